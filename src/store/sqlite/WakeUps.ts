/**
 * What tells a run that something has changed. Each counts as a wake-up, so that a run which is
 * just suspending notices; a suspended run becomes `pending`, or `running` again where its executor
 * has kept it in memory.
 */

import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Admission from "../Admission.js"
import * as Deadlines from "../Deadlines.js"
import { positionOfWakeUp } from "../Position.js"
import { isHeldBack, shownStatus } from "../Rows.js"
import type { Held, RunStatus, Signal } from "../RunStore.js"
import { isFinal } from "../RunStore.js"
import type { Operation } from "../Write.js"
import type { Param } from "./Sql.js"
import type { Transaction } from "./Transaction.js"

/** Whether the run is held by an executor whose lease runs; its parameter is the time. */
const isHolderAlive = `EXISTS (
  SELECT 1 FROM workflow_executors e WHERE e.id = workflow_runs.executor AND e.lease_until > ?
)`

/**
 * Only a suspended run has a `wake_at` and a `cause`. One that waits in the memory of its executor
 * goes on there; if that executor is gone, its hold on the run is over. One that is held back may begin
 * now. Its parameter is the time, three times.
 */
const letGo = `
  wakeups = wakeups + 1, wake_at = NULL, cause = NULL, gate = NULL,
  executor = CASE WHEN status <> 'suspended' OR ${isHolderAlive} THEN executor END,
  claim = claim + (status = 'suspended' AND executor IS NOT NULL AND NOT ${isHolderAlive}),
  status = CASE
    WHEN status <> 'suspended' THEN status WHEN ${isHolderAlive} THEN 'running' ELSE 'pending'
  END`

/** The same, but that one which is held back stays so. */
const wakeUp = `
  wakeups = wakeups + 1, cause = NULL,
  wake_at = iif(${isHeldBack("workflow_runs")}, wake_at, NULL),
  executor = CASE WHEN status <> 'suspended' OR ${isHolderAlive} THEN executor END,
  claim = claim + (status = 'suspended' AND executor IS NOT NULL AND NOT ${isHolderAlive}),
  status = CASE
    WHEN status <> 'suspended' OR gate IS NOT NULL THEN status
    WHEN ${isHolderAlive} THEN 'running' ELSE 'pending'
  END`

const times = ({ now }: Transaction) => [now, now, now] as const

const isUnfinished = "status IN ('pending', 'running', 'suspended')"

const returningWoken = "RETURNING run_id, status, claim, wakeups"

interface WokenRow {
  readonly run_id: string
  readonly status: RunStatus
  readonly claim: number
  readonly wakeups: number
}

/** Notes whom it woke, for whoever holds them. */
const logWoken = (transaction: Transaction, woken: ReadonlyArray<WokenRow>): void => {
  for (const { claim, run_id, status, wakeups } of woken) {
    if (status === "pending") transaction.log.becamePending()
    transaction.log.wokeUp({ runId: run_id, claim, wakeups, at: transaction.now })
  }
}

const wakeRun = `
  UPDATE workflow_runs SET ${wakeUp} WHERE run_id = ? AND ${isUnfinished} ${returningWoken}`

/** One for a run that was removed is dropped, until there is another run of that id. */
const insertSignal = `
  INSERT INTO workflow_signals (run_id, name, exit, received_at, wakeup, position)
  SELECT v.column1, v.column2, v.column3, v.column4,
    ifnull(r.wakeups + 1, 0), ifnull(${positionOfWakeUp("r")}, 0)
  FROM (VALUES (?, ?, ?, ?)) v LEFT JOIN workflow_runs r ON r.run_id = v.column1
  WHERE r.id IS NOT NULL
    OR NOT EXISTS (SELECT 1 FROM workflow_removed WHERE run_id = v.column1)
  ON CONFLICT (run_id, name) DO NOTHING`

export const signal =
  ({ runId, name, exit }: Signal): Operation<Transaction, boolean> =>
  (transaction) =>
    Effect.gen(function* () {
      const { now } = transaction
      const inserted = yield* transaction.changes(insertSignal, [runId, name, exit, now])
      if (inserted === 0) return false
      logWoken(
        transaction,
        yield* transaction.rows<WokenRow>(wakeRun, [...times(transaction), runId])
      )
      transaction.log.signal(runId, name, exit)
      return true
    })

const selectStatus = `
  SELECT ${shownStatus("workflow_runs")} AS status FROM workflow_runs WHERE run_id = ?`

const interruptRun = `
  UPDATE workflow_runs SET
    interrupt_requested = 1, interrupt_wakeup = ifnull(interrupt_wakeup, wakeups + 1),
    interrupt_at = ifnull(interrupt_at, ?), ${letGo}
  WHERE run_id = ? AND ${isUnfinished} ${returningWoken}`

/** Runs `update` unless the run is over; answers with its status before. */
const updateUnfinished = (
  transaction: Transaction,
  runId: string,
  update: string,
  params: ReadonlyArray<Param>
): Effect.Effect<Option.Option<RunStatus>, SqlError> =>
  Effect.gen(function* () {
    const [row] = yield* transaction.rows<{ readonly status: RunStatus }>(selectStatus, [runId])
    if (row === undefined) return Option.none()
    if (isFinal(row.status)) return Option.some(row.status)
    logWoken(transaction, yield* transaction.rows<WokenRow>(update, [...params, runId]))
    return Option.some(row.status)
  })

/** Somebody wants it to be tried again, whatever it may have done before. */
const resumeRun = `
  UPDATE workflow_runs SET crashes = 0, ${letGo}
  WHERE run_id = ? AND ${isUnfinished} ${returningWoken}`

export const wake =
  (runId: string): Operation<Transaction, Option.Option<RunStatus>> =>
  (transaction) =>
    updateUnfinished(transaction, runId, resumeRun, times(transaction))

export const requestInterrupt =
  (runId: string): Operation<Transaction, Option.Option<RunStatus>> =>
  (transaction) =>
    Effect.tap(
      updateUnfinished(transaction, runId, interruptRun, [transaction.now, ...times(transaction)]),
      (before) => {
        if (Option.isSome(before) && !isFinal(before.value)) transaction.log.interrupt(runId)
        return Effect.void
      }
    )

/** Whether a run waits for it that is neither this one nor to be interrupted itself. */
const isAwaitedByOthers = `
  SELECT EXISTS (
    SELECT 1 FROM workflow_children c INDEXED BY workflow_children_awaited
    JOIN workflow_runs p ON p.id = c.parent
    WHERE c.child = (SELECT id FROM workflow_runs WHERE run_id = ?) AND c.awaits = 1
      AND c.parent <> ? AND p.interrupt_requested = 0 AND p.${isUnfinished}
  ) AS others`

/** With its parent, unless another run waits for it. */
export const interruptChild =
  (parent: Held, child: string): Operation<Transaction, Option.Option<RunStatus>> =>
  (transaction) =>
    Effect.flatMap(
      transaction.rows<{ readonly others: number }>(isAwaitedByOthers, [child, parent.key]),
      ([row]) => (row?.others === 1 ? Effect.succeedNone : requestInterrupt(child)(transaction))
    )

const parentsToWake = `
  UPDATE workflow_children INDEXED BY workflow_children_awaited SET
    awaits = 0, wakeup = (SELECT wakeups + 1 FROM workflow_runs WHERE id = parent),
    position = (SELECT ${positionOfWakeUp("r")} FROM workflow_runs r WHERE r.id = parent)
  WHERE child = ? AND awaits = 1
  RETURNING parent`

const wakeById = `
  UPDATE workflow_runs SET ${wakeUp} WHERE id = ? AND ${isUnfinished} ${returningWoken}`

/** Wakes the runs that wait for this one. */
export const wakeParents = (transaction: Transaction, key: number): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    const parents = yield* transaction.rows<{ readonly parent: number }>(parentsToWake, [key])
    for (const { parent } of parents) {
      logWoken(
        transaction,
        yield* transaction.rows<WokenRow>(wakeById, [...times(transaction), parent])
      )
    }
  })

const selectDue = `
  SELECT id FROM workflow_runs INDEXED BY workflow_runs_timers
  WHERE status = 'suspended' AND wake_at IS NOT NULL AND wake_at <= ?
  ORDER BY wake_at LIMIT ?`

const goOn = `
  UPDATE workflow_runs SET ${letGo} WHERE id = ? AND ${isUnfinished} ${returningWoken}`

/** A run that has begun goes on, whatever it waits for. */
export const goOnWith = (transaction: Transaction, key: number): Effect.Effect<void, SqlError> =>
  Effect.map(transaction.rows<WokenRow>(goOn, [...times(transaction), key]), (rows) =>
    logWoken(transaction, rows)
  )

const fireTimers = "UPDATE workflow_timers SET fired = 1 WHERE run = ? AND wake_at <= ?"

/** @param onQueue there is a queue, which somebody else may have made */
export const wakeDue =
  (limit: number, onQueue: () => void): Operation<Transaction, number> =>
  (transaction) =>
    Effect.gen(function* () {
      const { now } = transaction
      const due = yield* transaction.rows<{ readonly id: number }>(selectDue, [now, limit])
      for (const { id } of due) {
        yield* transaction.changes(fireTimers, [id, now])
        yield* goOnWith(transaction, id)
      }
      const expired = yield* Deadlines.expire(transaction, limit, (runId) =>
        requestInterrupt(runId)(transaction)
      )
      const lanes = yield* Admission.markDue(transaction, limit)
      if (lanes > 0) onQueue()
      return due.length + expired + lanes
    })
