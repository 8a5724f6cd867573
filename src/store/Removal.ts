/** Removes runs that are over: one, or those that ended first. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Dialect } from "./Dialect.js"
import { find } from "./Finished.js"
import type { PortableTransaction } from "./Portable.js"
import type { Millis, Prune, Pruned, WithFinished } from "./RunStore.js"
import { isFinal } from "./RunStore.js"

/** A run replays what its children came to, so they are a part of its history until it is over. */
const unfinishedParent = ({ by, join }: Dialect) => `
  SELECT 1 FROM workflow_children c ${by("workflow_children_of")}
  ${join} workflow_runs r ON r.id = c.parent
  WHERE c.child = ? AND r.status IN ('pending', 'running', 'suspended') LIMIT 1`

const isNeeded = (transaction: PortableTransaction, key: number) =>
  Effect.map(
    transaction.rows(unfinishedParent(transaction.dialect), [key]),
    (rows) => rows.length > 0
  )

const deletions = [
  "DELETE FROM workflow_steps WHERE run = ?",
  "DELETE FROM workflow_timers WHERE run = ?",
  "DELETE FROM workflow_children WHERE parent = ?",
  "DELETE FROM workflow_runs WHERE id = ?"
]

const deleteSignals = "DELETE FROM workflow_signals WHERE run_id = ?"

const selectSpared = ({ join }: Dialect) => `
  SELECT r.id FROM workflow_children c
  ${join} workflow_runs r ON r.id = c.child
  WHERE c.parent = ? AND r.spared IS NOT NULL`

const spareNoMore = "UPDATE workflow_runs SET spared = NULL WHERE id = ?"

/** What still comes for this run is not for another that is started under its id. */
const noteRemoved = `
  INSERT INTO workflow_removed (run_id, removed_at) VALUES (?, ?)
  ON CONFLICT (run_id) DO UPDATE SET removed_at = excluded.removed_at`

/** How a run is removed. Answers with how many of its children need to be spared no more. */
export type RemoveRun = (
  transaction: PortableTransaction,
  run: { readonly id: number; readonly run_id: string }
) => Effect.Effect<number, SqlError>

export const removeRun: RemoveRun = (transaction, { id, run_id }) =>
  Effect.gen(function* () {
    const spared = yield* transaction.rows<{ readonly id: number }>(
      selectSpared(transaction.dialect),
      [id]
    )
    for (const child of spared) yield* transaction.changes(spareNoMore, [child.id])
    yield* transaction.changes(noteRemoved, [run_id, transaction.now])
    for (const statement of deletions) yield* transaction.changes(statement, [id])
    yield* transaction.changes(deleteSignals, [run_id])
    return spared.length
  })

export const remove = (
  transaction: PortableTransaction,
  { removeRun, runId }: { readonly runId: string; readonly removeRun: RemoveRun }
): Effect.Effect<WithFinished, SqlError> =>
  Effect.gen(function* () {
    const run = yield* find(transaction, runId)
    if (run === undefined) return { _tag: "NotFound" }
    const { id, status } = run
    if (!isFinal(status)) return { _tag: "Refused", status, because: "status" }
    if (yield* isNeeded(transaction, id)) return { _tag: "Refused", status, because: "parent" }
    yield* removeRun(transaction, run)
    return { _tag: "Done" }
  })

/** Only what stands before the long JSON is read. */
const selectEnded = ({ by, skipLocked }: Dialect) => `
  SELECT id, run_id, completed_at FROM workflow_runs ${by("workflow_runs_ended")}
  WHERE completed_at IS NOT NULL AND spared IS NULL ORDER BY completed_at, id LIMIT ? ${skipLocked}`

interface EndedRow {
  readonly id: number
  readonly run_id: string
  readonly completed_at: Millis
}

const selectFinished = `
  SELECT CAST(coalesce(sum(CASE WHEN status = 'spared' THEN -runs ELSE runs END), 0) AS bigint) AS runs
  FROM workflow_counts
  WHERE status IN ('completed', 'failed', 'interrupted', 'spared')`

const spare = "UPDATE workflow_runs SET spared = 1 WHERE id = ?"

/**
 * From those that ended first, up to the first that is to be kept. One that has to stay because of
 * its parent is not looked at again before that is removed: what this costs is what it removes.
 */
export const prune = (
  transaction: PortableTransaction,
  { keep, limit, olderThanMillis, removeRun }: Prune & { readonly removeRun: RemoveRun }
): Effect.Effect<Pruned, SqlError> =>
  Effect.gen(function* () {
    const [finished] = yield* transaction.rows<{ readonly runs: number }>(selectFinished)
    const before =
      olderThanMillis === undefined ? Number.NEGATIVE_INFINITY : transaction.now - olderThanMillis
    let excess = keep === undefined ? 0 : (finished?.runs ?? 0) - keep
    let removed = 0
    let freed = 0
    const rows = yield* transaction.rows<EndedRow>(selectEnded(transaction.dialect), [limit])
    for (const row of rows) {
      if (row.completed_at >= before && excess <= 0) return { removed, more: freed > 0 }
      // what has to stay counts as gone, or newer ones would go in its place
      excess--
      if (yield* isNeeded(transaction, row.id)) {
        yield* transaction.changes(spare, [row.id])
      } else {
        freed += yield* removeRun(transaction, row)
        removed++
      }
    }
    return { removed, more: rows.length === limit || freed > 0 }
  })
