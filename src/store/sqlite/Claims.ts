/** Who holds a run: claiming, and what is read for whoever has claimed. */

import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { ClaimedRow, Taken } from "../Claimed.js"
import { toClaimedRun } from "../Claimed.js"
import { asHolderBy, lost, lostAmongBy } from "../Holding.js"
import { besideOthers, suspicious } from "../Judgement.js"
import type {
  ClaimedRun,
  ClaimOptions,
  Held,
  History,
  Millis,
  NewTimers,
  RunLost,
  WokenRun
} from "../RunStore.js"
import type { Operation } from "../Write.js"
import * as Crashes from "./Crashes.js"
import * as Histories from "./History.js"
import type { Sql } from "./Sql.js"
import { inSnapshot } from "./Sql.js"
import * as Timers from "./Timers.js"
import type { Transaction } from "./Transaction.js"

export { lost } from "../Holding.js"

/**
 * Every write of a holder has this condition in the statement that writes; its parameters are
 * `key` and `claim`.
 */
export const isHeld = "id = ? AND claim = ? AND status = 'running'"

/**
 * The same, where what is written is not the run's own record: its holder may keep it in memory. The
 * same parameters.
 */
const selectHolder = `
  SELECT 1 FROM workflow_runs
  WHERE id = ? AND claim = ? AND status IN ('running', 'suspended') AND executor IS NOT NULL`

const holds = (transaction: Transaction, { claim, key }: Held) =>
  Effect.map(transaction.rows(selectHolder, [key, claim]), (rows) => rows.length > 0)

export const asHolder = asHolderBy(holds)

export const lostAmong = lostAmongBy(holds)

const firstOf = (column: string) => `(
  SELECT ${column} FROM workflow_runs INDEXED BY workflow_runs_pending
  WHERE workflow = value AND status = 'pending' ORDER BY priority, id LIMIT 1
)`

const nextOf = (column: string) => `(
  SELECT r.${column} FROM workflow_runs r INDEXED BY workflow_runs_pending
  WHERE r.workflow = next.workflow AND r.status = 'pending'
    AND (r.priority, r.id) > (next.priority, next.id)
  ORDER BY r.priority, r.id LIMIT 1
)`

/**
 * Merges the workflows' queues: the queue of a recursive query that is ordered is a priority
 * queue. Reads of the index the runs that it finds and one more a workflow, however many wait.
 */
const oldestPending = `
  WITH RECURSIVE next (workflow, priority, id) AS (
    SELECT value, ${firstOf("priority")}, ${firstOf("id")} FROM json_each(?)
    WHERE value NOT IN (SELECT workflow FROM workflow_paused)
    UNION ALL
    SELECT next.workflow, ${nextOf("priority")}, ${nextOf("id")} FROM next WHERE next.id IS NOT NULL
    ORDER BY 2 NULLS LAST, 3
    LIMIT ?
  )
  SELECT next.id, next.priority, ${Histories.bytesOfRun} AS bytes
  FROM next CROSS JOIN workflow_runs r ON r.id = next.id`

/** Of workflows that are paused, those that go on. */
const pendingAgain = `
  SELECT r.id, r.priority, ${Histories.bytesOfRun} AS bytes
  FROM workflow_paused p
  CROSS JOIN workflow_runs r INDEXED BY workflow_runs_pending_again
    ON r.workflow = p.workflow AND r.status = 'pending'
      AND (r.started_at IS NOT NULL OR r.interrupt_requested = 1)
  WHERE p.parks = 0 AND p.workflow IN (SELECT value FROM json_each(?))
  ORDER BY r.priority, r.id LIMIT ?`

/**
 * One run a statement, here and wherever several runs are changed: `id IN (...)` becomes a scan of
 * the whole table when somebody ran ANALYZE while the table was small.
 */
/** Of the suspects one at a time, by whichever executor. */
const claimRun = `
  UPDATE workflow_runs SET
    status = 'running', executor = ?, claim = claim + 1, seen_wakeups = wakeups,
    started_at = coalesce(started_at, ?), at_work = (crashes > 0),
    deadline = iif(timeout IS NULL, NULL, coalesce(deadline, ? + timeout))
  WHERE id = ? AND (crashes < ${suspicious} OR NOT EXISTS (
    SELECT 1 FROM workflow_runs INDEXED BY workflow_runs_suspects
    WHERE crashes >= ${suspicious} AND status = 'running' AND at_work < ${besideOthers}
  ))
  RETURNING id, run_id, claim, deadline`

/**
 * The `lease_until` of an executor of whose runs some were taken over: it can not be renewed any
 * more, for it does not know of those.
 */
export const takenOver = -1

const selectExecutor = `SELECT id FROM workflow_executors WHERE id = ? AND lease_until <> ${takenOver}`

interface Sized {
  readonly id: number
  readonly priority: number
  readonly bytes: number
}

/** Those of the oldest with which it comes to `maxBytes`, or to one run. */
const upTo = <Sized extends { readonly bytes: number }>(
  oldest: ReadonlyArray<Sized>,
  maxBytes = Number.POSITIVE_INFINITY
): ReadonlyArray<Sized> => {
  let bytes = 0
  const enough = oldest.findIndex((run) => {
    bytes += run.bytes
    return bytes >= maxBytes
  })
  return enough === -1 ? oldest : oldest.slice(0, enough + 1)
}

export const claim =
  (options: ClaimOptions): Operation<Transaction, ReadonlyArray<Taken>> =>
  (transaction) =>
    Effect.gen(function* () {
      // One that was taken over must not claim: nobody would ever take over from it again.
      const registered = yield* transaction.rows(selectExecutor, [options.executor])
      if (registered.length === 0) return []
      const workflows = JSON.stringify([...new Set(options.workflows)])
      const { limit } = options
      const open = yield* transaction.rows<Sized>(oldestPending, [workflows, limit])
      const paused = yield* transaction.rows<Sized>(pendingAgain, [workflows, limit])
      const oldest =
        paused.length === 0
          ? open
          : [...open, ...paused]
              .sort((a, b) => a.priority - b.priority || a.id - b.id)
              .slice(0, limit)
      const claimed: Array<Taken> = []
      const heldBack: Array<number> = []
      for (const { bytes, id } of upTo(oldest, options.maxBytes)) {
        const { now } = transaction
        const [row] = yield* transaction.rows<
          Pick<Histories.Claimed, "claim" | "run_id"> & { readonly deadline: Millis | null }
        >(claimRun, [options.executor, now, now, id])
        if (row === undefined) heldBack.push(id)
        else {
          const { executor } = options
          claimed.push({ held: { runId: row.run_id, key: id, claim: row.claim, executor }, bytes })
        }
        if (typeof row?.deadline === "number") transaction.log.timer(row.deadline)
      }
      if (heldBack.length > 0) {
        yield* Crashes.holdBack(transaction, heldBack)
        // others may wait behind these
        transaction.log.becamePending()
      }
      return claimed
    })

const selectClaimed = `
  SELECT ${Histories.claimedColumns}, workflow, payload, trace_id, span_id, sampled, waits_for, crashes,
    timeout, lane, slot,
    (SELECT q.name FROM workflow_queues q WHERE q.id = queue AND slot IS NOT NULL) AS queue_name
  FROM workflow_runs WHERE ${isHeld}`

type Row = Histories.Claimed & ClaimedRow

/** Whether nothing can have happened to it but signals: its history need not be read. */
const isNew = (row: Row): boolean => row.claim === 1 && row.interrupt_wakeup === null

/**
 * Reads runs that were claimed, in one turn and out of the write lock: as they are now. One that is
 * not held any more is left out; of one that is too large the history is.
 */
export const read =
  (taken: ReadonlyArray<Taken>, maxRunBytes = Number.POSITIVE_INFINITY) =>
  (sql: Sql): Effect.Effect<ReadonlyArray<ClaimedRun>, SqlError> =>
    inSnapshot(
      sql,
      Effect.gen(function* () {
        const rows: Array<{ readonly row: Row; readonly taken: Taken }> = []
        for (const one of taken) {
          const { claim, key } = one.held
          const [row] = yield* sql.rows<Row>(selectClaimed, [key, claim])
          if (row !== undefined) rows.push({ row, taken: one })
        }
        const signals = yield* Histories.signalsOf(
          sql,
          rows.flatMap(({ row, taken }) => (taken.bytes > maxRunBytes ? [] : [row.run_id]))
        )
        return yield* Effect.forEach(rows, (one) => claimedRun(sql, one, signals, maxRunBytes))
      })
    )

const claimedRun = (
  sql: Sql,
  { row, taken }: { readonly row: Row; readonly taken: Taken },
  signals: Histories.Signals,
  maxRunBytes: number
): Effect.Effect<ClaimedRun, SqlError> =>
  Effect.gen(function* () {
    const startedSteps = row.crashes === 0 ? [] : yield* Crashes.startedSteps(sql, row.id)
    const history =
      isNew(row) || taken.bytes > maxRunBytes
        ? Histories.first(row, signals)
        : yield* Histories.read(sql, row, signals)
    return toClaimedRun(row, taken, { history, startedSteps })
  })

const sawAll = `UPDATE workflow_runs SET seen_wakeups = wakeups WHERE ${isHeld}`

/**
 * The holder of a run is about to read its history, apart from this and out of the write lock: it
 * then knows of every wake-up so far, and of those in between.
 */
export const aboutToRead =
  (held: Held, timers: NewTimers = []): Operation<Transaction, void, RunLost> =>
  (transaction) =>
    Effect.gen(function* () {
      const written = yield* transaction.changes(sawAll, [held.key, held.claim])
      if (written === 0) return yield* lost(held)
      yield* Timers.insert(transaction, [{ key: held.key, timers }])
    })

const selectHeld = `SELECT ${Histories.claimedColumns} FROM workflow_runs WHERE ${isHeld}`

/**
 * Histories of runs that are held, as they are now. Writes nothing: what their holder knows of is
 * written apart, before (`aboutToRead`) or after (`sawWakeups`).
 */
export const histories =
  (runs: ReadonlyArray<Held>) =>
  (sql: Sql): Effect.Effect<ReadonlyArray<Option.Option<History>>, SqlError> =>
    inSnapshot(
      sql,
      Effect.gen(function* () {
        const signals = yield* Histories.signalsOf(
          sql,
          runs.map(({ runId }) => runId)
        )
        return yield* Effect.forEach(runs, ({ claim, key }) =>
          Effect.flatMap(sql.rows<Histories.Claimed>(selectHeld, [key, claim]), ([row]) =>
            row === undefined
              ? Effect.succeedNone
              : Effect.asSome(Histories.read(sql, row, signals))
          )
        )
      })
    )

const sawOfRun = `UPDATE workflow_runs SET seen_wakeups = max(seen_wakeups, ?) WHERE ${isHeld}`

export const sawWakeups =
  (runs: ReadonlyArray<WokenRun>): Operation<Transaction, void> =>
  (transaction) =>
    Effect.forEach(
      runs,
      ({ held, wakeups }) => transaction.changes(sawOfRun, [wakeups, held.key, held.claim]),
      { discard: true }
    )
