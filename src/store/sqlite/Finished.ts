/** What can still be done with a run that is over: begin it again where it failed, remove it. */

import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { shownStatus } from "../Rows.js"
import type { Millis, Prune, Pruned, RunStatus, WithFinished } from "../RunStore.js"
import { isFinal } from "../RunStore.js"
import { wasTerminated } from "../Terminate.js"
import type { Operation } from "../Write.js"
import type { Transaction } from "./Transaction.js"

const selectRun = `
  SELECT id, run_id, ${shownStatus("workflow_runs")} AS status, compensated
  FROM workflow_runs WHERE run_id = ?`

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

/** Who awaits it is to hear of its new end. */
const awaitAgain = "UPDATE workflow_children SET awaits = 1 WHERE child = ?"

const beginAgain = `
  UPDATE workflow_runs SET
    status = 'pending', exit = NULL, cause = NULL, waits_for = NULL, compensated = NULL, completed_at = NULL,
    spared = NULL, executor = NULL,
    interrupt_requested = 0, interrupt_wakeup = NULL, interrupt_at = NULL,
    wakeups = wakeups + 1, crashes = 0, deadline = NULL, timed_out = NULL
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
    if (compensated === wasTerminated) return "terminated"
    // of a run that ended before this was noted it is not known
    if (compensated !== 0) return "compensated"
    if (yield* any(transaction, goneOnParent, id)) return "parent"
    if (yield* any(transaction, removedChild, id)) return "child"
    return undefined
  })

const again = (transaction: Transaction, run: FinishedRow) =>
  Effect.gen(function* () {
    yield* transaction.changes(deleteFailures, [run.id, ...(yield* lastOf(transaction, run.id))])
    yield* transaction.changes(awaitAgain, [run.id])
    yield* transaction.changes(beginAgain, [run.id])
  })

export const retry =
  ({
    runId,
    withChildren = false
  }: {
    readonly runId: string
    readonly withChildren?: boolean | undefined
  }): Operation<Transaction, WithFinished> =>
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
      for (const one of all.values()) yield* again(transaction, one)
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

const selectSpared = `
  SELECT r.id FROM workflow_children c
  CROSS JOIN workflow_runs r ON r.id = c.child
  WHERE c.parent = ? AND r.spared IS NOT NULL`

const spareNoMore = "UPDATE workflow_runs SET spared = NULL WHERE id = ?"

/** What still comes for this run is not for another that is started under its id. */
const noteRemoved = `
  INSERT INTO workflow_removed (run_id, removed_at) VALUES (?, ?)
  ON CONFLICT (run_id) DO UPDATE SET removed_at = excluded.removed_at`

/** @returns how many of its children need to be spared no more */
export const removeRun = (
  transaction: Transaction,
  { id, run_id }: { readonly id: number; readonly run_id: string }
): Effect.Effect<number, SqlError> =>
  Effect.gen(function* () {
    const spared = yield* transaction.rows<{ readonly id: number }>(selectSpared, [id])
    for (const child of spared) yield* transaction.changes(spareNoMore, [child.id])
    yield* transaction.changes(noteRemoved, [run_id, transaction.now])
    for (const statement of deletions) yield* transaction.changes(statement, [id])
    yield* transaction.changes(deleteSignals, [run_id])
    yield* transaction.changes(keepId, [id, id])
    return spared.length
  })

export const remove =
  (runId: string): Operation<Transaction, WithFinished> =>
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
const selectEnded = `
  SELECT id, run_id, completed_at FROM workflow_runs INDEXED BY workflow_runs_ended
  WHERE completed_at IS NOT NULL AND spared IS NULL ORDER BY completed_at, id LIMIT ?`

interface EndedRow {
  readonly id: number
  readonly run_id: string
  readonly completed_at: Millis
}

const selectFinished = `
  SELECT sum(iif(status = 'spared', -runs, runs)) AS runs FROM workflow_counts
  WHERE status IN ('completed', 'failed', 'interrupted', 'spared')`

const spare = "UPDATE workflow_runs SET spared = 1 WHERE id = ?"

/**
 * From those that ended first, up to the first that is to be kept. One that has to stay because of
 * its parent is not looked at again before that is removed: what this costs is what it removes.
 */
export const prune =
  ({ keep, limit, olderThanMillis }: Prune): Operation<Transaction, Pruned> =>
  (transaction) =>
    Effect.gen(function* () {
      const [finished] = yield* transaction.rows<{ readonly runs: number }>(selectFinished)
      const before =
        olderThanMillis === undefined ? Number.NEGATIVE_INFINITY : transaction.now - olderThanMillis
      let excess = keep === undefined ? 0 : (finished?.runs ?? 0) - keep
      let removed = 0
      let freed = 0
      const rows = yield* transaction.rows<EndedRow>(selectEnded, [limit])
      for (const row of rows) {
        if (row.completed_at >= before && excess <= 0) return { removed, more: freed > 0 }
        // what has to stay counts as gone, or newer ones would go in its place
        excess--
        if (yield* any(transaction, unfinishedParent, row.id)) {
          yield* transaction.changes(spare, [row.id])
        } else {
          freed += yield* removeRun(transaction, row)
          removed++
        }
      }
      return { removed, more: rows.length === limit || freed > 0 }
    })
