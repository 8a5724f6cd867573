/**
 * Ends runs at once, whoever holds them and whatever they are doing, with nothing undone. For runs
 * that would otherwise never end: of a workflow that nobody registers any more, or whose payload
 * nobody reads.
 */

import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Dialect } from "./Dialect.js"
import type { PortableTransaction } from "./Portable.js"
import { wasTerminated } from "./Rows.js"
import type { Json, RunStatus, RunStoreError, Terminated, Termination } from "./RunStore.js"
import { isFinal } from "./RunStore.js"
import type { Operation } from "./Write.js"

const selectBy = (column: "id" | "run_id", { forUpdate }: Dialect) =>
  `SELECT id, run_id, status, executor FROM workflow_runs WHERE ${column} = ? ${forUpdate}`

/** A transaction in which runs are ended. */
export interface Ending extends PortableTransaction {
  /** Wakes the runs that wait for this one. */
  readonly wakeParents: (key: number) => Effect.Effect<void, SqlError>
}

interface RunRow {
  readonly id: number
  readonly run_id: string
  readonly status: RunStatus
  readonly executor: number | null
}

const find = (transaction: Ending, column: "id" | "run_id", value: number | string) =>
  Effect.map(
    transaction.rows<RunRow>(selectBy(column, transaction.dialect), [value]),
    ([row]) => row
  )

/** Its holder's claim is over with it, so that whatever that one still writes is refused. */
const terminateRun = `
  UPDATE workflow_runs SET
    status = 'interrupted', exit = ?, completed_at = ?, compensated = ${wasTerminated},
    executor = NULL, claim = claim + 1, wakeups = wakeups + 1, wake_at = NULL, cause = NULL,
    crashes = 0, waits_for = NULL
  WHERE id = ?
  RETURNING run_id, workflow, claim, wakeups`

interface EndedRow {
  readonly run_id: string
  readonly workflow: string
  readonly claim: number
  readonly wakeups: number
}

const deleteTimers = "DELETE FROM workflow_timers WHERE run = ?"

/** For its holder, where that is another process. Whoever renews a lease removes what is old. */
const tellHolder = `
  INSERT INTO workflow_terminations (executor, run, run_id, claim, at) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (executor, run) DO UPDATE SET claim = excluded.claim, at = excluded.at`

/**
 * How many milliseconds a holder has to read that its run was terminated. It looks whenever another
 * process has written, and reads all of them; a hold that it goes on with all the same is refused by
 * every write.
 */
export const toldFor = 10 * 60 * 1000

const endRun = (
  transaction: Ending,
  { executor, id }: RunRow,
  exit: Json
): Effect.Effect<ReadonlyArray<EndedRow>, SqlError> =>
  Effect.gen(function* () {
    const { log, now } = transaction
    const ended = yield* transaction.rows<EndedRow>(terminateRun, [exit, now, id])
    yield* transaction.changes(deleteTimers, [id])
    for (const { claim, run_id, wakeups } of ended) {
      if (executor !== null) {
        yield* transaction.changes(tellHolder, [executor, id, run_id, claim, now])
      }
      log.wokeUp({ runId: run_id, claim, wakeups, at: now, over: true })
      log.finished(run_id, exit)
    }
    yield* transaction.wakeParents(id)
    return ended
  })

/** Runs whose children are still to be ended, and how far the first of them has been gone through. */
interface Below {
  readonly parents: ReadonlyArray<number>
  readonly after: number
}

/** One transaction's part. */
interface Part {
  readonly ended: ReadonlyArray<EndedRow>
  /** `undefined` where there was no such run. */
  readonly status: RunStatus | undefined
  /** Runs it came by. */
  readonly seen: ReadonlyArray<number>
  readonly below: Below
}

/** How many children one transaction goes through: others write in between. */
const partSize = 200

const selectChildren = `
  SELECT child FROM workflow_children WHERE parent = ? AND child > ? ORDER BY child LIMIT ?`

/** Goes through children of runs, in the order in which they were come by; each run once. */
const endBelow = (
  { parents, after }: Below,
  known: ReadonlySet<number>,
  exit: Json
): Operation<Ending, Omit<Part, "status">> =>
  Effect.fnUntraced(function* (transaction) {
    const open = [...parents]
    const seen = new Set<number>()
    const ended: Array<EndedRow> = []
    let from = after
    let left = partSize
    while (left > 0) {
      const [parent] = open
      if (parent === undefined) break
      const children = yield* transaction.rows<{ readonly child: number }>(selectChildren, [
        parent,
        from,
        left
      ])
      for (const { child } of children) {
        from = child
        if (known.has(child) || seen.has(child)) continue
        seen.add(child)
        open.push(child)
        const row = yield* find(transaction, "id", child)
        if (row !== undefined && !isFinal(row.status)) {
          ended.push(...(yield* endRun(transaction, row, exit)))
        }
      }
      if (children.length < left) {
        open.shift()
        from = 0
      }
      // a run without children is looked up too
      left -= Math.max(children.length, 1)
    }
    return { ended, seen: [...seen], below: { parents: open, after: from } }
  })

/** The run itself, and the first part of what is below it. */
const endRoot =
  ({ children, exit, runId }: Termination): Operation<Ending, Part> =>
  (transaction) =>
    Effect.gen(function* () {
      const run = yield* find(transaction, "run_id", runId)
      const none = { ended: [], seen: [], below: { parents: [], after: 0 } }
      if (run === undefined) return { ...none, status: undefined }
      const { id, status } = run
      const ended = isFinal(status) ? [] : yield* endRun(transaction, run, exit)
      if (!children) return { ...none, status, ended }
      const below = { parents: [id], after: 0 }
      const part = yield* endBelow(below, new Set([id]), exit)(transaction)
      return {
        status,
        ended: [...ended, ...part.ended],
        seen: [id, ...part.seen],
        below: part.below
      }
    })

/**
 * The run first, so that it starts no other; then part by part what is below it. Where that is cut
 * short, it is gone on with by asking again.
 */
export const terminate =
  (
    /** `run` is that which the operation is about. */
    write: <A>(operation: Operation<Ending, A>, run?: string) => Effect.Effect<A, RunStoreError>
  ) =>
  (options: Termination): Effect.Effect<Terminated, RunStoreError> =>
    Effect.gen(function* () {
      const { ended, status, ...first } = yield* write(endRoot(options), options.runId)
      if (status === undefined) return { _tag: "NotFound" }
      const all = [...ended]
      const known = new Set(first.seen)
      let { below } = first
      while (below.parents.length > 0) {
        const part = yield* write(endBelow(below, known, options.exit))
        for (const key of part.seen) known.add(key)
        all.push(...part.ended)
        below = part.below
      }
      return all.length === 0
        ? { _tag: "Refused", status, because: "status" }
        : {
            _tag: "Done",
            runs: all.map(({ run_id, workflow }) => ({ runId: run_id, workflow }))
          }
    })
