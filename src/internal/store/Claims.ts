/** Who holds a run: claiming, giving back, taking over. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { ClaimedRun, Held, History, Json, NewTimers } from "../../RunStore.js"
import { RunLost } from "../../RunStore.js"
import * as Histories from "./History.js"
import type { TraceRow } from "./Rows.js"
import { toTrace } from "./Rows.js"
import * as Timers from "./Timers.js"
import type { Operation, Transaction } from "./Write.js"

/**
 * Every write of a holder has this condition in the statement that writes; its parameters are
 * `key` and `claim`.
 */
export const isHeld = "id = ? AND claim = ? AND status = 'running'"

export const lost = (held: Held) => new RunLost({ runId: held.runId })

/**
 * Merges the workflows' queues: the queue of a recursive query that is ordered is a priority
 * queue. Reads the runs that it finds and one more a workflow, however many wait.
 */
const oldestPending = `
  WITH RECURSIVE next (workflow, id) AS (
    SELECT value, (
      SELECT id FROM workflow_runs INDEXED BY workflow_runs_pending
      WHERE workflow = value AND status = 'pending' ORDER BY id LIMIT 1
    ) FROM json_each(?)
    UNION ALL
    SELECT next.workflow, (
      SELECT r.id FROM workflow_runs r INDEXED BY workflow_runs_pending
      WHERE r.workflow = next.workflow AND r.status = 'pending' AND r.id > next.id
      ORDER BY r.id LIMIT 1
    ) FROM next WHERE next.id IS NOT NULL
    ORDER BY 2 NULLS LAST
    LIMIT ?
  )
  SELECT id FROM next WHERE id IS NOT NULL`

/**
 * One run a statement, here and wherever several runs are changed: `id IN (...)` becomes a scan of
 * the whole table when somebody ran ANALYZE while the table was small.
 */
const claimRun = `
  UPDATE workflow_runs SET
    status = 'running', executor = ?, claim = claim + 1, seen_wakeups = wakeups,
    started_at = coalesce(started_at, ?)
  WHERE id = ?
  RETURNING ${Histories.claimedColumns}, workflow, payload, trace_id, span_id, sampled, waits_for`

/**
 * The `lease_until` of an executor of whose runs some were taken over: it can not be renewed any
 * more, for it does not know of those.
 */
export const takenOver = -1

const selectExecutor = `SELECT id FROM workflow_executors WHERE id = ? AND lease_until <> ${takenOver}`

interface ClaimedRow extends Histories.Claimed, TraceRow {
  readonly workflow: string
  readonly payload: Json
  readonly waits_for: Json | null
}

export const claim =
  (options: {
    readonly executor: number
    readonly workflows: ReadonlyArray<string>
    readonly limit: number
  }): Operation<ReadonlyArray<ClaimedRun>> =>
  (transaction) =>
    Effect.gen(function* () {
      // One that was taken over must not claim: nobody would ever take over from it again.
      const registered = yield* transaction.rows(selectExecutor, [options.executor])
      if (registered.length === 0) return []
      const oldest = yield* transaction.rows<Key>(oldestPending, [
        JSON.stringify([...new Set(options.workflows)]),
        options.limit
      ])
      const claimed: Array<ClaimedRow> = []
      for (const { id } of oldest) {
        const [row] = yield* transaction.rows<ClaimedRow>(claimRun, [
          options.executor,
          transaction.now,
          id
        ])
        if (row !== undefined) claimed.push(row)
      }
      const signals = yield* Histories.signalsOf(
        transaction,
        claimed.map(({ run_id }) => run_id)
      )
      return yield* Effect.forEach(claimed, (row) => claimedRun(transaction, row, signals))
    })

const claimedRun = (
  transaction: Transaction,
  row: ClaimedRow,
  signals: Histories.Signals
): Effect.Effect<ClaimedRun, SqlError> =>
  Effect.gen(function* () {
    return {
      held: { runId: row.run_id, key: row.id, claim: row.claim },
      workflow: row.workflow,
      payload: row.payload,
      trace: toTrace(row),
      waitsFor: row.waits_for ?? undefined,
      history:
        row.claim === 1 && row.interrupt_wakeup === null
          ? Histories.first(row, signals)
          : yield* Histories.read(transaction, row, signals)
    }
  })

const refreshRun = `
  UPDATE workflow_runs SET seen_wakeups = wakeups WHERE ${isHeld}
  RETURNING ${Histories.claimedColumns}`

/** The history of a held run, whose holder from now on knows of every wake-up so far. */
export const history =
  (held: Held, timers: NewTimers = []): Operation<History, RunLost> =>
  (transaction) =>
    Effect.gen(function* () {
      const [row] = yield* transaction.rows<Histories.Claimed>(refreshRun, [held.key, held.claim])
      if (row === undefined) return yield* lost(held)
      yield* Timers.insert(transaction, [{ key: held.key, timers }])
      const signals = yield* Histories.signalsOf(transaction, [row.run_id])
      return yield* Histories.read(transaction, row, signals)
    })

const giveBack = "status = 'pending', executor = NULL, claim = claim + 1"

const releaseHeld = `UPDATE workflow_runs SET ${giveBack} WHERE ${isHeld}`

/** One that waits in memory goes on waiting, held by nobody. */
const letGoOfWaiting = `
  UPDATE workflow_runs SET executor = NULL, claim = claim + 1
  WHERE id = ? AND claim = ? AND status = 'suspended' AND executor IS NOT NULL`

export const release =
  (runs: ReadonlyArray<{ readonly held: Held; readonly timers: NewTimers }>): Operation<number> =>
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
  (executor: number, limit: number): Operation<number> =>
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
  SELECT r.id FROM names
  LEFT JOIN workflow_executors e ON e.id = names.executor
  CROSS JOIN workflow_runs r INDEXED BY workflow_runs_held
    ON r.executor = names.executor AND r.status = 'running'
  WHERE names.executor <> ? AND (e.id IS NULL OR e.lease_until < ?) LIMIT ?`

const markLapsed = `
  UPDATE workflow_executors SET lease_until = ${takenOver}
  WHERE id <> ? AND lease_until < ? AND lease_until <> ${takenOver}`

const removeLapsed = `
  DELETE FROM workflow_executors
  WHERE id <> ? AND lease_until < ? AND NOT EXISTS (
    SELECT 1 FROM workflow_runs INDEXED BY workflow_runs_held
    WHERE executor = workflow_executors.id AND status = 'running'
  )`

const markDead = `UPDATE workflow_executors SET lease_until = ${takenOver} WHERE id = ?`

/** No executor has this id. */
const nobody = 0

export const takeOver =
  ({
    by = nobody,
    limit,
    dead = []
  }: {
    readonly by?: number | undefined
    readonly limit: number
    readonly dead?: ReadonlyArray<number> | undefined
  }): Operation<number> =>
  (transaction) =>
    Effect.gen(function* () {
      for (const id of dead) yield* transaction.changes(markDead, [id])
      const runs = yield* transaction.rows<Key>(selectLapsed, [by, transaction.now, limit])
      const count = yield* giveBackAll(transaction, runs)
      yield* transaction.changes(removeLapsed, [by, transaction.now])
      if (runs.length === limit) yield* transaction.changes(markLapsed, [by, transaction.now])
      return count
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
