/** Who holds a run: claiming, giving back, taking over. */

import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { Left } from "../Judgement.js"
import { suspicious } from "../Judgement.js"
import type { TraceRow } from "../Rows.js"
import { toTrace } from "../Rows.js"
import type {
  ClaimedRun,
  ClaimOptions,
  Held,
  History,
  Json,
  Millis,
  NewTimers,
  WokenRun
} from "../RunStore.js"
import { RunLost } from "../RunStore.js"
import type { Operation } from "../Write.js"
import * as Crashes from "./Crashes.js"
import * as Histories from "./History.js"
import type { Sql } from "./Sql.js"
import { inSnapshot } from "./Sql.js"
import * as Timers from "./Timers.js"
import type { Transaction } from "./Transaction.js"

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

/** Refuses it once the run is not held under that claim. */
export const asHolder =
  <A>(held: Held, operation: Operation<Transaction, A>): Operation<Transaction, A, RunLost> =>
  (transaction) =>
    Effect.flatMap(
      holds(transaction, held),
      (isHolder): Effect.Effect<A, SqlError | RunLost> =>
        isHolder ? operation(transaction) : lost(held)
    )

/** Those of these holds that are over; looks at each once. */
export const lostAmong = (
  transaction: Transaction,
  helds: ReadonlyArray<Held>
): Effect.Effect<ReadonlySet<Held>, SqlError> =>
  Effect.map(
    Effect.filter(new Set(helds), (held) => Effect.map(holds(transaction, held), (is) => !is)),
    (lost) => new Set(lost)
  )

export const lost = (held: Held) => new RunLost({ runId: held.runId })

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
    WHERE crashes >= ${suspicious} AND status = 'running'
  ))
  RETURNING id, run_id, claim, deadline`

/**
 * The `lease_until` of an executor of whose runs some were taken over: it can not be renewed any
 * more, for it does not know of those.
 */
export const takenOver = -1

const selectExecutor = `SELECT id FROM workflow_executors WHERE id = ? AND lease_until <> ${takenOver}`

/** A run that was claimed. */
export interface Taken {
  readonly held: Held
  readonly bytes: number
}

/** Those of the oldest with which it comes to `maxBytes`, or to one run. */
const upTo = (oldest: ReadonlyArray<Sized>, maxBytes: number): ReadonlyArray<Sized> => {
  let bytes = 0
  const enough = oldest.findIndex((run) => {
    bytes += run.bytes
    return bytes >= maxBytes
  })
  return enough === -1 ? oldest : oldest.slice(0, enough + 1)
}

interface Sized extends Key {
  readonly priority: number
  readonly bytes: number
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
      for (const { bytes, id } of upTo(oldest, options.maxBytes ?? Number.POSITIVE_INFINITY)) {
        const { now } = transaction
        const [row] = yield* transaction.rows<
          Pick<Histories.Claimed, "claim" | "run_id"> & { readonly deadline: Millis | null }
        >(claimRun, [options.executor, now, now, id])
        if (row === undefined) heldBack.push(id)
        else claimed.push({ held: { runId: row.run_id, key: id, claim: row.claim }, bytes })
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
    timeout, slot,
    (SELECT q.name FROM workflow_queues q WHERE q.id = queue AND slot IS NOT NULL) AS queue_name
  FROM workflow_runs WHERE ${isHeld}`

interface ClaimedRow extends Histories.Claimed, TraceRow {
  readonly workflow: string
  readonly payload: Json
  readonly waits_for: Json | null
  readonly crashes: number
  readonly timeout: Millis | null
  readonly slot: number | null
  readonly queue_name: string | null
}

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
        const rows: Array<{ readonly row: ClaimedRow; readonly taken: Taken }> = []
        for (const one of taken) {
          const { claim, key } = one.held
          const [row] = yield* sql.rows<ClaimedRow>(selectClaimed, [key, claim])
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
  { row, taken }: { readonly row: ClaimedRow; readonly taken: Taken },
  signals: Histories.Signals,
  maxRunBytes: number
): Effect.Effect<ClaimedRun, SqlError> =>
  Effect.gen(function* () {
    const isNew = row.claim === 1 && row.interrupt_wakeup === null
    const crashes =
      row.crashes === 0
        ? {}
        : { crashes: { count: row.crashes, steps: yield* Crashes.startedSteps(sql, row.id) } }
    return {
      held: taken.held,
      workflow: row.workflow,
      payload: row.payload,
      trace: toTrace(row),
      ...(row.timeout === null ? {} : { timeout: row.timeout }),
      ...(row.slot === 1 ? { yields: true } : {}),
      ...(row.queue_name === null ? {} : { queue: row.queue_name }),
      bytes: taken.bytes,
      waitsFor: row.waits_for ?? undefined,
      history:
        isNew || taken.bytes > maxRunBytes
          ? Histories.first(row, signals)
          : yield* Histories.read(sql, row, signals),
      ...crashes
    }
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

const giveBack = "status = 'pending', executor = NULL, claim = claim + 1"

const releaseHeld = `UPDATE workflow_runs SET ${giveBack} WHERE ${isHeld}`

/** One that waits in memory goes on waiting, held by nobody. */
const letGoOfWaiting = `
  UPDATE workflow_runs SET executor = NULL, claim = claim + 1
  WHERE id = ? AND claim = ? AND status = 'suspended' AND executor IS NOT NULL`

export const release =
  (
    runs: ReadonlyArray<{ readonly held: Held; readonly timers: NewTimers }>
  ): Operation<Transaction, number> =>
  (transaction) =>
    Effect.gen(function* () {
      const released: Array<(typeof runs)[number]> = []
      for (const run of runs) {
        const params = [run.held.key, run.held.claim]
        if ((yield* transaction.changes(releaseHeld, params)) > 0) released.push(run)
        else yield* transaction.changes(letGoOfWaiting, params)
      }
      yield* Timers.insert(
        transaction,
        released.map(({ held, timers }) => ({ key: held.key, timers }))
      )
      return gaveBack(transaction, released.length)
    })

const selectHeldBy = `
  SELECT id FROM workflow_runs INDEXED BY workflow_runs_held
  WHERE executor = ? AND status = 'running' LIMIT ?`

export const releaseAll =
  (executor: number, limit: number): Operation<Transaction, number> =>
  (transaction) =>
    Effect.flatMap(transaction.rows<Key>(selectHeldBy, [executor, limit]), (runs) =>
      giveBackAll(transaction, runs)
    )

/** From each holder to the next one; one that is not registered at all has no lease either. */
const selectLapsed = `
  WITH RECURSIVE names (executor) AS (
    SELECT (
      SELECT executor FROM workflow_runs INDEXED BY workflow_runs_held
      WHERE status = 'running' AND executor >= 0 ORDER BY executor LIMIT 1
    )
    UNION ALL
    SELECT (
      SELECT executor FROM workflow_runs INDEXED BY workflow_runs_held
      WHERE status = 'running' AND executor > names.executor ORDER BY executor LIMIT 1
    ) FROM names WHERE executor IS NOT NULL
  )
  SELECT ${Crashes.leftColumns} FROM names
  LEFT JOIN workflow_executors e ON e.id = names.executor
  CROSS JOIN workflow_runs r INDEXED BY workflow_runs_held
    ON r.executor = names.executor AND r.status = 'running'
  WHERE names.executor <> ? AND (e.id IS NULL OR e.lease_until < ?) LIMIT ?`

/** The one that was under way, first of all: what it died beside is known now. */
const selectLapsedSuspects = `
  SELECT ${Crashes.leftColumns}
  FROM workflow_runs r INDEXED BY workflow_runs_suspects
  LEFT JOIN workflow_executors e ON e.id = r.executor
  WHERE r.crashes >= ${suspicious} AND r.status = 'running' AND r.executor <> ?
    AND (e.id IS NULL OR e.lease_until < ?) LIMIT ?`

const markLapsed = `
  UPDATE workflow_executors SET lease_until = ${takenOver}
  WHERE id <> ? AND lease_until < ? AND lease_until <> ${takenOver}`

const removeLapsed = `
  DELETE FROM workflow_executors
  WHERE id <> ? AND lease_until < ? AND NOT EXISTS (
    SELECT 1 FROM workflow_runs INDEXED BY workflow_runs_held
    WHERE executor = workflow_executors.id AND status = 'running'
  )`

const markDead = `
  UPDATE workflow_executors SET lease_until = ${takenOver} WHERE id = ? AND lease_until <> ${takenOver}`

const selectNewlyLapsed = `
  SELECT 1 FROM workflow_executors
  WHERE id <> ? AND lease_until < ? AND lease_until <> ${takenOver} LIMIT 1`

/** Whether one of them has died of which nothing has been taken over yet. */
const hasNewDeath = (transaction: Transaction, by: number, dead: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const lapsed = yield* transaction.rows(selectNewlyLapsed, [by, transaction.now])
    let count = lapsed.length
    for (const id of dead) count += yield* transaction.changes(markDead, [id])
    return count > 0
  })

/** No executor has this id. */
const nobody = 0

const defaultMaxCrashes = 3

export const takeOver =
  ({
    by = nobody,
    limit,
    maxCrashes = defaultMaxCrashes,
    dead = []
  }: {
    readonly maxCrashes?: number | undefined
    readonly by?: number | undefined
    readonly limit: number
    readonly dead?: ReadonlyArray<number> | undefined
  }): Operation<Transaction, number> =>
  (transaction) =>
    Effect.gen(function* () {
      let taken = 0
      if ((yield* hasNewDeath(transaction, by, dead)) && Number.isFinite(maxCrashes)) {
        const alone = !(yield* Crashes.diedWithout(transaction))
        const suspects = yield* transaction.rows<Left>(selectLapsedSuspects, [
          by,
          transaction.now,
          limit
        ])
        for (const run of suspects) yield* Crashes.takeOver(transaction, run, { maxCrashes, alone })
        taken += suspects.length
      }
      const runs = yield* transaction.rows<Left>(selectLapsed, [by, transaction.now, limit - taken])
      for (const run of runs) yield* Crashes.takeOver(transaction, run, { maxCrashes, alone: true })
      taken += runs.length
      yield* transaction.changes(removeLapsed, [by, transaction.now])
      if (taken === limit) yield* transaction.changes(markLapsed, [by, transaction.now])
      return taken
    })

interface Key {
  readonly id: number
}

const releaseRun = `UPDATE workflow_runs SET ${giveBack} WHERE id = ?`

const giveBackAll = (transaction: Transaction, runs: ReadonlyArray<Key>) =>
  Effect.map(
    Effect.forEach(runs, ({ id }) => transaction.changes(releaseRun, [id]), { discard: true }),
    () => gaveBack(transaction, runs.length)
  )

const gaveBack = (transaction: Transaction, count: number): number => {
  if (count > 0) transaction.log.becamePending()
  return count
}
