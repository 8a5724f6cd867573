import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { ClaimedRun, NewRun, Run } from "../../RunStore.js"
import { isFinal } from "../../RunStore.js"
import { takenOver } from "./Claims.js"
import type { Operation, Transaction } from "./GroupCommit.js"
import * as Histories from "./History.js"
import type { RunRow } from "./Rows.js"
import { newRun, runColumns, toRun } from "./Rows.js"

interface Created {
  readonly run: Run
  readonly created: boolean
  readonly claimed: ClaimedRun | undefined
}

/** Left to itself SQLite gives the id of the newest run, when that was removed, once more. */
const nextId = `
  max((SELECT ifnull(max(id), 0) FROM workflow_runs), (SELECT last FROM workflow_ids WHERE id = 1)) + 1`

/** An executor that is not registered, or not any more, claims nothing. */
const insertRun = `
  INSERT INTO workflow_runs (
    id, run_id, workflow, payload, trace_id, span_id, sampled, created_at,
    executor, status, claim, started_at
  )
  SELECT ${nextId}, ?, ?, ?, ?, ?, ?, ?,
    e.id, iif(e.id IS NULL, 'pending', 'running'), e.id IS NOT NULL, iif(e.id IS NULL, NULL, ?)
  FROM (
    SELECT (SELECT id FROM workflow_executors WHERE id = ? AND lease_until <> ${takenOver}) AS id
  ) e
  WHERE true
  ON CONFLICT (run_id) DO NOTHING
  RETURNING id, executor`

const selectRun = `SELECT ${runColumns} FROM workflow_runs WHERE run_id = ?`

/** A parent that has once asked to be woken stays to be woken. */
const insertChild = `
  INSERT INTO workflow_children (parent, child, awaits)
  SELECT id, ?, ? FROM workflow_runs WHERE run_id = ?
  ON CONFLICT (parent, child) DO UPDATE SET awaits = max(awaits, excluded.awaits)`

export const create =
  (run: NewRun, claimFor: number | undefined): Operation<Created> =>
  (transaction) =>
    Effect.gen(function* () {
      const inserted = yield* insert(transaction, run, claimFor)
      const row = inserted ?? (yield* existing(transaction, run.runId))
      if (run.parent !== undefined) {
        const awaits = run.parent.awaits && !isFinal(row.run.status)
        yield* transaction.changes(insertChild, [row.key, awaits ? 1 : 0, run.parent.runId])
      }
      const claimed =
        inserted?.run.status === "running"
          ? yield* claimedAtOnce(transaction, run, row.key)
          : undefined
      return { run: row.run, created: inserted !== undefined, claimed }
    })

interface Found {
  readonly key: number
  readonly run: Run
}

const insert = (transaction: Transaction, run: NewRun, claimFor: number | undefined) =>
  Effect.map(
    transaction.rows<{ readonly id: number; readonly executor: number | null }>(insertRun, [
      run.runId,
      run.workflow,
      run.payload,
      run.trace?.traceId ?? null,
      run.trace?.spanId ?? null,
      run.trace === undefined ? null : Number(run.trace.sampled),
      transaction.now,
      transaction.now,
      claimFor ?? null
    ]),
    ([row]): Found | undefined => {
      if (row === undefined) return undefined
      if (row.executor === null) transaction.log.becamePending()
      return { key: row.id, run: newRun(run, row.executor ?? undefined, transaction.now) }
    }
  )

const existing = (transaction: Transaction, runId: string): Effect.Effect<Found, SqlError> =>
  Effect.flatMap(transaction.rows<RunRow>(selectRun, [runId]), ([row]) =>
    row === undefined
      ? Effect.dieMessage(`Run ${runId} is neither new nor there`)
      : Effect.succeed({ key: row.id, run: toRun(row) })
  )

const claimedAtOnce = (transaction: Transaction, run: NewRun, key: number) =>
  Effect.map(
    Histories.readFirst(transaction, {
      id: key,
      run_id: run.runId,
      claim: 1,
      wakeups: 0,
      interrupt_requested: 0
    }),
    (history): ClaimedRun => ({
      held: { runId: run.runId, key, claim: 1 },
      workflow: run.workflow,
      payload: run.payload,
      trace: run.trace,
      history
    })
  )
