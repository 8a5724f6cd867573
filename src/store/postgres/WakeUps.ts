/**
 * What tells a run that something has changed. Each counts as a wake-up, so that a run which is
 * just suspending notices; a suspended run becomes `pending`, or `running` again where its executor
 * has kept it in memory. Whoever tells a run something locks its row first.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Admission from "../Admission.js"
import * as Deadlines from "../Deadlines.js"
import { positionOfWakeUp } from "../Position.js"
import { isHeldBack, shownStatus } from "../Rows.js"
import type { Held, RunStatus, Signal } from "../RunStore.js"
import { isFinal } from "../RunStore.js"
import type { Batch, Operation } from "../Write.js"
import * as Again from "./Again.js"
import { isUnfinished, letGo, returningWoken, staysHeldBack, wakeUp } from "./Fragments.js"
import { inTransaction } from "./Numbered.js"
import type { Param } from "./Sql.js"
import type { Transaction } from "./Transaction.js"

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

const lockRun = `
  SELECT id, ${shownStatus("workflow_runs")} AS status,
    ${isHeldBack("workflow_runs")} AS held_back
  FROM workflow_runs WHERE run_id = $1 FOR NO KEY UPDATE`

interface Locked {
  readonly id: number
  readonly status: RunStatus
  readonly held_back: boolean
}

const locked = (transaction: Transaction, runId: string) =>
  Effect.map(transaction.rows<Locked>(lockRun, [runId]), ([row]) => row)

const wakeById = `
  UPDATE workflow_runs r SET ${wakeUp("$1::bigint")}
  WHERE r.id = ANY($2::bigint[]) AND r.${isUnfinished} ${returningWoken}`

const wakeAll = (
  transaction: Transaction,
  keys: ReadonlyArray<number>,
  statement = wakeById
): Effect.Effect<void, SqlError> =>
  Effect.map(transaction.rows<WokenRow>(statement, [transaction.leaseNow, keys]), (rows) =>
    logWoken(transaction, rows)
  )

/** Every run that is woken by its key has begun, or may now. */
const goOn = `
  UPDATE workflow_runs r SET ${letGo}, ${wakeUp("$1::bigint")}
  WHERE r.id = ANY($2::bigint[]) AND r.${isUnfinished} ${returningWoken}`

/** Runs that have begun go on, whatever they wait for. */
export const goOnWith = (
  transaction: Transaction,
  keys: ReadonlyArray<number>
): Effect.Effect<void, SqlError> => wakeAll(transaction, keys, goOn)

const tellHeldBack = `UPDATE workflow_runs r SET ${staysHeldBack} WHERE r.id = $1`

const insertSignal = `
  INSERT INTO workflow_signals (run_id, name, exit, received_at, wakeup, position)
  SELECT $1, $2, $3, $4::bigint, coalesce(r.wakeups + 1, 0), coalesce(${positionOfWakeUp("r")}, 0)
  FROM (VALUES (1)) v LEFT JOIN workflow_runs r ON r.id = $5::bigint
  ON CONFLICT (run_id, name) DO NOTHING`

const selectRemoved = "SELECT 1 FROM workflow_removed WHERE run_id = $1"

/**
 * A signal may come before its run. Creations share a lock, and a signal that finds no run is done in
 * a transaction that has that lock alone, from its beginning: else each could miss the other, neither
 * being committed, and the signal be lost.
 */
export const signal =
  ({ exit, name, runId }: Signal): Operation<Transaction, boolean> =>
  (transaction) =>
    Effect.gen(function* () {
      const run = yield* locked(transaction, runId)
      if (run === undefined) {
        if (!transaction.alone) return yield* Again.alone
        // one for a run that was removed is dropped, until there is another run of that id
        if ((yield* transaction.rows(selectRemoved, [runId])).length > 0) return false
      }
      const inserted = yield* transaction.changes(insertSignal, [
        runId,
        name,
        exit,
        transaction.now,
        run?.id ?? null
      ])
      if (inserted === 0) return false
      if (run?.held_back === true) yield* transaction.changes(tellHeldBack, [run.id])
      else if (run !== undefined) yield* wakeAll(transaction, [run.id])
      transaction.log.signal(runId, name, exit)
      return true
    })

/** Where they are all that a transaction does they are one call: see `SignalCall`. */
export const signals: Batch<Transaction, Signal, boolean> = (inputs) => (transaction) =>
  Effect.forEach(inputs, (input) => Effect.map(signal(input)(transaction), Exit.succeed))

const resumeRun = `
  UPDATE workflow_runs r SET crashes = 0, ${letGo}, ${wakeUp("$2::bigint")}
  WHERE r.id = $1 ${returningWoken}`

const interruptRun = `
  UPDATE workflow_runs r SET
    interrupt_requested = 1, interrupt_wakeup = coalesce(r.interrupt_wakeup, r.wakeups + 1),
    interrupt_at = coalesce(r.interrupt_at, $3::bigint), ${letGo}, ${wakeUp("$2::bigint")}
  WHERE r.id = $1 ${returningWoken}`

/** Runs `update` unless the run is over; answers with its status before. */
const updateUnfinished = (
  transaction: Transaction,
  runId: string,
  update: string,
  params: ReadonlyArray<Param>
): Effect.Effect<Option.Option<RunStatus>, SqlError> =>
  Effect.gen(function* () {
    const run = yield* locked(transaction, runId)
    if (run === undefined) return Option.none()
    if (!isFinal(run.status)) {
      logWoken(transaction, yield* transaction.rows<WokenRow>(update, [run.id, ...params]))
    }
    return Option.some(run.status)
  })

export const wake =
  (runId: string): Operation<Transaction, Option.Option<RunStatus>> =>
  (transaction) =>
    updateUnfinished(transaction, runId, resumeRun, [transaction.leaseNow])

export const requestInterrupt =
  (runId: string): Operation<Transaction, Option.Option<RunStatus>> =>
  (transaction) =>
    Effect.tap(
      updateUnfinished(transaction, runId, interruptRun, [transaction.leaseNow, transaction.now]),
      (before) => {
        if (Option.isSome(before) && !isFinal(before.value)) transaction.log.interrupt(runId)
        return Effect.void
      }
    )

/** Whether a run waits for it that is neither this one nor to be interrupted itself. */
const isAwaitedByOthers = `
  SELECT 1 FROM workflow_children c
  JOIN workflow_runs p ON p.id = c.parent
  WHERE c.child = $1 AND c.awaits = 1
    AND c.parent <> $2 AND p.interrupt_requested = 0 AND p.${isUnfinished}
  LIMIT 1`

/** With its parent, unless another run waits for it. */
export const interruptChild =
  (parent: Held, child: string): Operation<Transaction, Option.Option<RunStatus>> =>
  (transaction) =>
    Effect.gen(function* () {
      // nobody begins to wait for it meanwhile
      const run = yield* locked(transaction, child)
      if (run === undefined) return Option.none()
      const others = yield* transaction.rows(isAwaitedByOthers, [run.id, parent.key])
      return others.length > 0 ? Option.none() : yield* requestInterrupt(child)(transaction)
    })

const wakeParentsOf = "SELECT * FROM workflow_wake_parents_v1($1, $2)"

/** Wakes the runs that wait for this one. */
export const wakeParents = (transaction: Transaction, key: number): Effect.Effect<void, SqlError> =>
  Effect.map(transaction.rows<WokenRow>(wakeParentsOf, [key, transaction.leaseNow]), (rows) =>
    logWoken(transaction, rows)
  )

const selectDue = `
  SELECT id FROM workflow_runs
  WHERE status = 'suspended' AND wake_at IS NOT NULL AND wake_at <= $1
  ORDER BY wake_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED`

const fireTimers = `
  UPDATE workflow_timers SET fired = 1 WHERE run = ANY($1::bigint[]) AND wake_at <= $2`

/** @param onQueue there is a queue, which somebody else may have made */
export const wakeDue =
  (limit: number, onQueue: () => void): Operation<Transaction, number> =>
  (transaction) =>
    Effect.gen(function* () {
      const { now } = transaction
      const due = yield* transaction.rows<{ readonly id: number }>(selectDue, [now, limit])
      const keys = due.map(({ id }) => id)
      if (keys.length > 0) {
        yield* transaction.changes(fireTimers, [keys, now])
        yield* wakeAll(transaction, keys, goOn)
      }
      const expired = yield* Deadlines.expire(inTransaction(transaction), limit, (runId) =>
        requestInterrupt(runId)(transaction)
      )
      const lanes = yield* Admission.markDue(inTransaction(transaction), limit)
      if (lanes > 0) onQueue()
      return keys.length + expired + lanes
    })
