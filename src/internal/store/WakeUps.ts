/**
 * What tells a run that something has changed. Each counts as a wake-up, so that a run which is
 * just suspending notices; a suspended run becomes `pending`.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Json, RunStatus } from "../../RunStore.js"
import { isFinal } from "../../RunStore.js"
import type { Operation, Transaction } from "./Write.js"

/** Only a suspended run has a `wake_at` and a `cause`. */
const wakeUp = `
  wakeups = wakeups + 1, wake_at = NULL, cause = NULL,
  status = iif(status = 'suspended', 'pending', status)`

const isUnfinished = "status IN ('pending', 'running', 'suspended')"

const wakeRun = `
  UPDATE workflow_runs SET ${wakeUp} WHERE run_id = ? AND ${isUnfinished} RETURNING status`

const insertSignal = `
  INSERT INTO workflow_signals (run_id, name, exit) VALUES (?, ?, ?)
  ON CONFLICT (run_id, name) DO NOTHING`

export const signal =
  ({
    runId,
    name,
    exit
  }: {
    readonly runId: string
    readonly name: string
    readonly exit: Json
  }): Operation<boolean> =>
  (transaction) =>
    Effect.gen(function* () {
      const inserted = yield* transaction.changes(insertSignal, [runId, name, exit])
      if (inserted === 0) return false
      const woken = yield* transaction.rows<Woken>(wakeRun, [runId])
      logPending(transaction, woken)
      transaction.log.signal(runId, name, exit)
      return true
    })

interface Woken {
  readonly status: RunStatus
}

const logPending = (transaction: Transaction, woken: ReadonlyArray<Woken>) => {
  if (woken.some(({ status }) => status === "pending")) transaction.log.becamePending()
}

const selectStatus = "SELECT status FROM workflow_runs WHERE run_id = ?"

const interruptRun = `
  UPDATE workflow_runs SET interrupt_requested = 1, ${wakeUp} WHERE run_id = ? AND ${isUnfinished}`

/** Runs `update` unless the run is over; answers with its status before. */
const updateUnfinished = (
  transaction: Transaction,
  runId: string,
  update: string
): Effect.Effect<Option.Option<RunStatus>, SqlError> =>
  Effect.gen(function* () {
    const [row] = yield* transaction.rows<Woken>(selectStatus, [runId])
    if (row === undefined) return Option.none()
    if (isFinal(row.status)) return Option.some(row.status)
    yield* transaction.rows(update, [runId])
    if (row.status === "suspended") transaction.log.becamePending()
    return Option.some(row.status)
  })

export const wake =
  (runId: string): Operation<Option.Option<RunStatus>> =>
  (transaction) =>
    updateUnfinished(transaction, runId, wakeRun)

export const requestInterrupt =
  (runId: string): Operation<Option.Option<RunStatus>> =>
  (transaction) =>
    Effect.tap(updateUnfinished(transaction, runId, interruptRun), (before) => {
      if (Option.isSome(before) && !isFinal(before.value)) transaction.log.interrupt(runId)
      return Effect.void
    })

const parentsToWake = `
  UPDATE workflow_children INDEXED BY workflow_children_awaited SET awaits = 0
  WHERE child = ? AND awaits = 1
  RETURNING parent`

const wakeById = `
  UPDATE workflow_runs SET ${wakeUp} WHERE id = ? AND ${isUnfinished} RETURNING status`

/** Wakes the runs that wait for this one. */
export const wakeParents = (transaction: Transaction, key: number): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    const parents = yield* transaction.rows<{ readonly parent: number }>(parentsToWake, [key])
    for (const { parent } of parents) {
      logPending(transaction, yield* transaction.rows<Woken>(wakeById, [parent]))
    }
  })

const selectDue = `
  SELECT id FROM workflow_runs INDEXED BY workflow_runs_timers
  WHERE status = 'suspended' AND wake_at IS NOT NULL AND wake_at <= ?
  ORDER BY wake_at LIMIT ?`

const fireTimers = "UPDATE workflow_timers SET fired = 1 WHERE run = ? AND wake_at <= ?"

export const wakeDue =
  (limit: number): Operation<number> =>
  (transaction) =>
    Effect.gen(function* () {
      const { now } = transaction
      const due = yield* transaction.rows<{ readonly id: number }>(selectDue, [now, limit])
      for (const { id } of due) {
        yield* transaction.changes(fireTimers, [id, now])
        logPending(transaction, yield* transaction.rows<Woken>(wakeById, [id]))
      }
      return due.length
    })
