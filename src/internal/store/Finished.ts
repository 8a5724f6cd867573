/** What can still be done with a run that is over: begin it again where it failed, remove it. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Millis, Prune, Pruned, RunStatus, WithFinished } from "../../RunStore.js"
import { isFinal } from "../../RunStore.js"
import type { Operation, Transaction } from "./Write.js"

const selectRun = "SELECT id, run_id, status, compensated FROM workflow_runs WHERE run_id = ?"

interface FinishedRow {
  readonly id: number
  readonly run_id: string
  readonly status: RunStatus
  readonly compensated: number | null
}

const find = (transaction: Transaction, runId: string) =>
  Effect.map(transaction.rows<FinishedRow>(selectRun, [runId]), ([row]) => row)

const any = (transaction: Transaction, statement: string, key: number) =>
  Effect.map(transaction.rows(statement, [key]), (rows) => rows.length > 0)

/** A run replays what its children came to, so they are a part of its history until it is over. */
const unfinishedParent = `
  SELECT 1 FROM workflow_children c INDEXED BY workflow_children_of
  CROSS JOIN workflow_runs r ON r.id = c.parent
  WHERE c.child = ? AND r.status IN ('pending', 'running', 'suspended') LIMIT 1`

/** But one that is suspended because of a failure has not gone on from what its child came to. */
const goneOnParent = `
  SELECT 1 FROM workflow_children c INDEXED BY workflow_children_of
  CROSS JOIN workflow_runs r ON r.id = c.parent
  WHERE c.child = ? AND (
    r.status IN ('pending', 'running') OR (r.status = 'suspended' AND r.cause IS NULL)
  ) LIMIT 1`

/** A child that was removed would begin anew. */
const removedChild = `
  SELECT 1 FROM workflow_children c
  WHERE c.parent = ? AND NOT EXISTS (SELECT 1 FROM workflow_runs WHERE id = c.child) LIMIT 1`

const lastCompleted = `
  SELECT started_at, position FROM workflow_steps
  WHERE run = ? AND status = 'completed' ORDER BY started_at DESC, position DESC LIMIT 1`

/**
 * The failures that the run did not get over: no step that completed began after them. The others
 * were tried again, or made the run take another way, and stay.
 */
const deleteFailures = `
  DELETE FROM workflow_steps
  WHERE run = ? AND status = 'failed' AND (completed_at, position) > (?, ?)`

const deleteSignal = "DELETE FROM workflow_signals WHERE run_id = ? AND name = ?"

/** Who awaits it is to hear of its new end. */
const awaitAgain = "UPDATE workflow_children SET awaits = 1 WHERE child = ?"

const beginAgain = `
  UPDATE workflow_runs SET
    status = 'pending', exit = NULL, cause = NULL, waits_for = NULL, compensated = NULL, completed_at = NULL,
    executor = NULL, interrupt_requested = 0, interrupt_wakeup = NULL, interrupt_at = NULL,
    wakeups = wakeups + 1
  WHERE id = ?`

/** So many runs are retried in one write. */
const maxRetried = 1_000

/**
 * Children whose failure the run did not get over, as `deleteFailures` has it for steps; only those
 * that it awaited have a `wakeup`.
 */
const failedChildren = `
  SELECT r.id, r.run_id, r.status, r.compensated FROM workflow_children c
  CROSS JOIN workflow_runs r ON r.id = c.child
  WHERE c.parent = ? AND c.wakeup IS NOT NULL AND r.status IN ('failed', 'interrupted')
    AND (r.completed_at, ifnull(c.position, 0)) > (?, ?)
  LIMIT ${maxRetried + 1}`

interface Last {
  readonly started_at: Millis
  readonly position: number
}

/** The last step of the run that completed. */
const lastOf = (transaction: Transaction, key: number) =>
  Effect.map(
    transaction.rows<Last>(lastCompleted, [key]),
    ([last]) => [last?.started_at ?? -1, last?.position ?? -1] as const
  )

type Because = Extract<WithFinished, { readonly _tag: "Refused" }>["because"]

/** Why it cannot be begun again, if it cannot. */
const whyNot = (
  transaction: Transaction,
  { compensated, id, status }: FinishedRow
): Effect.Effect<Because | undefined, SqlError> =>
  Effect.gen(function* () {
    if (status !== "failed" && status !== "interrupted") return "status"
    // of a run that ended before this was noted it is not known
    if (compensated !== 0) return "compensated"
    if (yield* any(transaction, goneOnParent, id)) return "parent"
    if (yield* any(transaction, removedChild, id)) return "child"
    return undefined
  })

const again = (transaction: Transaction, run: FinishedRow, forget: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    yield* transaction.changes(deleteFailures, [run.id, ...(yield* lastOf(transaction, run.id))])
    for (const name of forget) yield* transaction.changes(deleteSignal, [run.run_id, name])
    yield* transaction.changes(awaitAgain, [run.id])
    yield* transaction.changes(beginAgain, [run.id])
  })

export const retry =
  ({
    forget,
    runId,
    withChildren = false
  }: {
    readonly runId: string
    readonly forget: ReadonlyArray<string>
    readonly withChildren?: boolean | undefined
  }): Operation<WithFinished> =>
  (transaction) =>
    Effect.gen(function* () {
      const run = yield* find(transaction, runId)
      if (run === undefined) return { _tag: "NotFound" }
      const { status } = run
      const refused = (because: Because, by: FinishedRow): WithFinished => ({
        _tag: "Refused",
        status,
        because,
        ...(by === run ? {} : { runId: by.run_id })
      })
      // children after the runs that they are retried for; all are looked at before one is changed
      const all = new Map([[run.id, run]])
      for (const one of all.values()) {
        const because = yield* whyNot(transaction, one)
        if (because !== undefined) return refused(because, one)
        const children = yield* transaction.rows<FinishedRow>(failedChildren, [
          one.id,
          ...(yield* lastOf(transaction, one.id))
        ])
        const [first] = children
        if (first !== undefined && !withChildren) return refused("failed child", first)
        for (const child of children) if (!all.has(child.id)) all.set(child.id, child)
        if (all.size > maxRetried) return refused("too many", run)
      }
      for (const one of all.values()) yield* again(transaction, one, forget)
      transaction.log.becamePending()
      return { _tag: "Done" }
    })

const deletions = [
  "DELETE FROM workflow_steps WHERE run = ?",
  "DELETE FROM workflow_timers WHERE run = ?",
  "DELETE FROM workflow_children WHERE parent = ?",
  "DELETE FROM workflow_runs WHERE id = ?"
]

const deleteSignals = "DELETE FROM workflow_signals WHERE run_id = ?"

/** So that no other run is ever given this id, by which its holders of once write. */
const keepId = "UPDATE workflow_ids SET last = ? WHERE id = 1 AND last < ?"

const removeRun = (
  transaction: Transaction,
  { id, run_id }: { readonly id: number; readonly run_id: string }
): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    for (const statement of deletions) yield* transaction.changes(statement, [id])
    yield* transaction.changes(deleteSignals, [run_id])
    yield* transaction.changes(keepId, [id, id])
  })

export const remove =
  (runId: string): Operation<WithFinished> =>
  (transaction) =>
    Effect.gen(function* () {
      const run = yield* find(transaction, runId)
      if (run === undefined) return { _tag: "NotFound" }
      const { id, status } = run
      if (!isFinal(status)) return { _tag: "Refused", status, because: "status" }
      if (yield* any(transaction, unfinishedParent, id)) {
        return { _tag: "Refused", status, because: "parent" }
      }
      yield* removeRun(transaction, run)
      return { _tag: "Done" }
    })

/** Only what stands before the long JSON is read. */
const selectOldest = `
  SELECT id, run_id, status, created_at, completed_at FROM workflow_runs
  WHERE id > ? ORDER BY id LIMIT ?`

interface OldRow {
  readonly id: number
  readonly run_id: string
  readonly status: RunStatus
  readonly created_at: Millis
  readonly completed_at: Millis | null
}

const selectFinished = `
  SELECT sum(runs) AS runs FROM workflow_counts
  WHERE status IN ('completed', 'failed', 'interrupted')`

/**
 * Goes through the runs from the oldest, and no further than there can be one to remove: a run is
 * over after it was created, so behind the first that is too young all are.
 */
export const prune =
  ({ cursor, keep, limit, olderThanMillis }: Prune): Operation<Pruned> =>
  (transaction) =>
    Effect.gen(function* () {
      const [finished] = yield* transaction.rows<{ readonly runs: number }>(selectFinished)
      const before =
        olderThanMillis === undefined ? Number.NEGATIVE_INFINITY : transaction.now - olderThanMillis
      let spared = cursor?.spared ?? 0
      let excess = keep === undefined ? 0 : (finished?.runs ?? 0) - spared - keep
      let removed = 0
      const rows = yield* transaction.rows<OldRow>(selectOldest, [cursor?.after ?? 0, limit])
      for (const row of rows) {
        if (row.created_at >= before && excess <= 0) return { removed, cursor: undefined }
        if (!isFinal(row.status)) continue
        if (excess <= 0 && (row.completed_at ?? row.created_at) >= before) continue
        // what has to stay counts as gone, or newer ones would go in its place
        excess--
        if (yield* any(transaction, unfinishedParent, row.id)) {
          spared++
        } else {
          yield* removeRun(transaction, row)
          removed++
        }
      }
      const last = rows[limit - 1]
      return { removed, cursor: last === undefined ? undefined : { after: last.id, spared } }
    })
