/** Who holds a run: claiming, giving back, taking over. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { ClaimedRun, Held, History, Json, NewTimers } from "../../RunStore.js"
import { RunLost } from "../../RunStore.js"
import type { Operation, Transaction } from "./GroupCommit.js"
import * as Histories from "./History.js"
import type { TraceRow } from "./Rows.js"
import { toTrace } from "./Rows.js"
import * as Timers from "./Timers.js"

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

const claimRuns = `
  UPDATE workflow_runs SET
    status = 'running', executor = ?, claim = claim + 1, seen_wakeups = wakeups,
    started_at = coalesce(started_at, ?)
  WHERE id IN (${oldestPending})
  RETURNING ${Histories.claimedColumns}, run_id, workflow, payload, trace_id, span_id, sampled`

const selectExecutor = "SELECT id FROM workflow_executors WHERE id = ?"

interface ClaimedRow extends Histories.Claimed, TraceRow {
  readonly run_id: string
  readonly workflow: string
  readonly payload: Json
}

export const claim =
  (options: {
    readonly executor: number
    readonly workflows: ReadonlyArray<string>
    readonly limit: number
  }): Operation<ReadonlyArray<ClaimedRun>> =>
  (transaction) =>
    Effect.gen(function*() {
      // One that was taken over must not claim: nobody would ever take over from it again.
      const registered = yield* transaction.rows(selectExecutor, [options.executor])
      if (registered.length === 0) return []
      const claimed = yield* transaction.rows<ClaimedRow>(claimRuns, [
        options.executor,
        transaction.now,
        JSON.stringify([...new Set(options.workflows)]),
        options.limit
      ])
      const rows = [...claimed].sort((a, b) => a.id - b.id)
      const heldBefore = rows.filter((row) => row.claim > 1)
      const histories = yield* Histories.read(transaction, rows, heldBefore)
      return Arr.zipWith(rows, histories, toClaimedRun)
    })

const toClaimedRun = (row: ClaimedRow, history: History): ClaimedRun => ({
  held: { runId: row.run_id, key: row.id, claim: row.claim },
  workflow: row.workflow,
  payload: row.payload,
  trace: toTrace(row),
  history
})

const refreshRun = `
  UPDATE workflow_runs SET seen_wakeups = wakeups WHERE ${isHeld}
  RETURNING ${Histories.claimedColumns}`

/** The history of a held run, whose holder from now on knows of every wake-up so far. */
export const history =
  (held: Held, timers: NewTimers = []): Operation<History, RunLost> =>
  (transaction) =>
    Effect.gen(function*() {
      const rows = yield* transaction.rows<Histories.Claimed>(refreshRun, [held.key, held.claim])
      if (rows.length === 0) return yield* lost(held)
      yield* Timers.insert(transaction, [{ key: held.key, timers }])
      const [history] = yield* Histories.read(transaction, rows)
      return history ?? (yield* lost(held))
    })

const giveBack = "status = 'pending', executor = NULL, claim = claim + 1"

const releaseRuns = `
  UPDATE workflow_runs SET ${giveBack}
  FROM (
    SELECT value ->> 'key' AS held_key, value ->> 'claim' AS held_claim FROM json_each(?)
  )
  WHERE id = held_key AND claim = held_claim AND status = 'running'
  RETURNING id`

export const release =
  (
    runs: ReadonlyArray<{ readonly held: Held; readonly timers: NewTimers }>
  ): Operation<number> =>
  (transaction) =>
    Effect.gen(function*() {
      const rows = yield* transaction.rows<{ readonly id: number }>(releaseRuns, [
        JSON.stringify(runs.map(({ held }) => ({ key: held.key, claim: held.claim })))
      ])
      const released = new Set(rows.map(({ id }) => id))
      yield* Timers.insert(
        transaction,
        runs
          .filter(({ held }) => released.has(held.key))
          .map(({ held, timers }) => ({ key: held.key, timers }))
      )
      return gaveBack(transaction, released.size)
    })

const releaseExecutor = `
  UPDATE workflow_runs SET ${giveBack}
  WHERE id IN (
    SELECT id FROM workflow_runs INDEXED BY workflow_runs_held
    WHERE executor = ? AND status = 'running' LIMIT ?
  )`

export const releaseAll =
  (executor: number, limit: number): Operation<number> =>
  (transaction) =>
    Effect.map(transaction.changes(releaseExecutor, [executor, limit]), (count) =>
      gaveBack(transaction, count)
    )

const takeOverRuns = `
  UPDATE workflow_runs SET ${giveBack}
  WHERE id IN (
    SELECT r.id FROM workflow_executors e
    CROSS JOIN workflow_runs r INDEXED BY workflow_runs_held
      ON r.executor = e.id AND r.status = 'running'
    WHERE e.lease_until < ? LIMIT ?
  )`

const removeLapsed = `
  DELETE FROM workflow_executors
  WHERE lease_until < ? AND NOT EXISTS (
    SELECT 1 FROM workflow_runs INDEXED BY workflow_runs_held
    WHERE executor = workflow_executors.id AND status = 'running'
  )`

export const takeOver =
  (limit: number): Operation<number> =>
  (transaction) =>
    Effect.gen(function*() {
      const count = yield* transaction.changes(takeOverRuns, [transaction.now, limit])
      yield* transaction.changes(removeLapsed, [transaction.now])
      return gaveBack(transaction, count)
    })

const gaveBack = (transaction: Transaction, count: number): number => {
  if (count > 0) transaction.log.becamePending()
  return count
}
