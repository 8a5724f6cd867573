/** What the holder of a run writes on the way: steps, the suspension, the end. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { wholeMillis } from "../Rows.js"
import type { Completion, Held, RunLost, StepNote, StepOutcome, Suspension } from "../RunStore.js"
import type { Batch, Operation } from "../Write.js"
import { aboutToRead, lost } from "./Claims.js"
import { type AnyStep, commit } from "./Commit.js"
import * as Fence from "./Fence.js"
import { takenOver } from "./Fragments.js"
import type { Sql } from "./Sql.js"
import * as Timers from "./Timers.js"
import type { Transaction } from "./Transaction.js"

const selectHeld = `
  SELECT ${Fence.holdColumns} FROM ${Fence.holds}
  JOIN workflow_runs r ON ${Fence.isHold} AND coalesce(r.status, '') = 'running'
  JOIN workflow_executors e ON e.id = r.executor AND e.lease_until <> ${takenOver}`

/** Which of these holds go on. */
const stillHeld = (
  sql: Pick<Sql, "rows">,
  helds: ReadonlyArray<Held>
): Effect.Effect<(held: Held) => boolean, SqlError> =>
  Effect.map(sql.rows<Fence.HoldRow>(selectHeld, Fence.ofAll(helds)), Fence.among)

/** One statement writes no row twice: of two outcomes of a step the first stays, and of two notes the last. */
export const onceEach = (
  outcomes: ReadonlyArray<StepOutcome>,
  notes: ReadonlyArray<StepNote> = []
): ReadonlyArray<AnyStep> => {
  const seen = new Set<string>()
  const noted = [...notes].reverse().map((note): AnyStep => ({ ...note, exit: null, timers: [] }))
  return [...outcomes, ...Fence.inOrder(noted)].filter(({ attempt, held, name }) => {
    const key = `${Fence.keyOf(held)}/${attempt}/${name}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

/**
 * Of those that wrote nothing, some found an outcome, and the others' runs are lost.
 *
 * @param allWritten whether all have written
 */
export const stepAnswers = (
  sql: Pick<Sql, "rows">,
  steps: ReadonlyArray<StepOutcome | StepNote>,
  allWritten: boolean
): Effect.Effect<ReadonlyArray<Exit.Exit<void, RunLost>>, SqlError> =>
  allWritten
    ? Effect.succeed(steps.map(() => Exit.void))
    : Effect.map(
        stillHeld(
          sql,
          steps.map(({ held }) => held)
        ),
        (isStillHeld) =>
          steps.map(({ held }) => (isStillHeld(held) ? Exit.void : Exit.fail(lost(held))))
      )

export const recordSteps: Batch<Transaction, StepOutcome, void, RunLost> =
  (steps) => (transaction) =>
    Effect.flatMap(commit(transaction, { steps: onceEach(steps) }), ({ steps: written }) =>
      stepAnswers(transaction, steps, written === steps.length)
    )

export const noteSteps: Batch<Transaction, StepNote, void, RunLost> = (notes) => (transaction) =>
  Effect.flatMap(commit(transaction, { steps: onceEach([], notes) }), ({ steps: written }) =>
    stepAnswers(transaction, notes, written === notes.length)
  )

const suspendRun = `
  UPDATE workflow_runs SET
    status = 'suspended', executor = CASE WHEN $6::boolean THEN executor END,
    wake_at = $7::bigint, cause = $8::text, waits_for = $9::text, seen_wakeups = wakeups,
    crashes = CASE WHEN $8::text IS NULL THEN 0 ELSE crashes END
  WHERE ${Fence.isHeld} AND wakeups = $5`

/** Answers whether it did; if not, its holder is to read the history, when this is committed. */
export const suspend =
  (suspension: Suspension): Operation<Transaction, boolean, RunLost> =>
  (transaction) =>
    Effect.gen(function* () {
      const { cause, held, timers } = suspension
      const wakeAt = suspension.wakeAt === undefined ? null : wholeMillis(suspension.wakeAt)
      const suspended = yield* transaction.changes(suspendRun, [
        ...Fence.ofOne(held),
        suspension.wakeups,
        suspension.keep === true,
        wakeAt,
        cause ?? null,
        suspension.waitsFor ?? null
      ])
      if (suspended === 0) {
        yield* aboutToRead(held, timers)(transaction)
        return false
      }
      yield* Timers.insert(transaction, [{ key: held.key, timers }])
      if (wakeAt !== null) transaction.log.timer(wakeAt)
      return true
    })

const proceedRun = `
  UPDATE workflow_runs SET status = 'running', wake_at = NULL, cause = NULL
  WHERE ${Fence.isHeldBy} AND status IN ('suspended', 'running')`

export const proceed =
  (held: Held): Operation<Transaction, void, RunLost> =>
  (transaction) =>
    Effect.flatMap(transaction.changes(proceedRun, Fence.ofOne(held)), (count) =>
      count === 0 ? Effect.fail(lost(held)) : Effect.void
    )

const evictRuns = `
  UPDATE workflow_runs r SET executor = NULL, claim = r.claim + 1
  FROM ${Fence.holds}
  WHERE ${Fence.isHold} AND coalesce(r.status, '') = 'suspended'
  RETURNING ${Fence.holdColumns}`

export const evict =
  (runs: ReadonlyArray<Held>): Operation<Transaction, ReadonlyArray<boolean>> =>
  (transaction) =>
    Effect.map(transaction.rows<Fence.HoldRow>(evictRuns, Fence.ofAll(runs)), (rows) =>
      runs.map(Fence.among(rows))
    )

/** Only the first of two ends of a run under one claim is its end. */
export const firstEnds = (completions: ReadonlyArray<Completion>): ReadonlyArray<Completion> => {
  const seen = new Set<string>()
  return Fence.inOrder(completions).filter(({ held }) => {
    const key = Fence.keyOf(held)
    const isFirst = !seen.has(key)
    seen.add(key)
    return isFirst
  })
}

/** @param written what `ended` counts: the first ends */
export const endAnswers = (
  { log }: Pick<Transaction, "log">,
  completions: ReadonlyArray<Completion>,
  {
    ended,
    written
  }: {
    readonly written: ReadonlyArray<Completion>
    readonly ended: ReadonlySet<number>
  }
): ReadonlyArray<Exit.Exit<void, RunLost>> => {
  const ends = new Set(written.filter((_, index) => ended.has(index)))
  return completions.map((completion) => {
    const { exit, held } = completion
    if (!ends.has(completion)) return Exit.fail(lost(held))
    log.finished(held.runId, exit)
    return Exit.void
  })
}

export const completeAll: Batch<Transaction, Completion, void, RunLost> =
  (completions) => (transaction) => {
    const written = firstEnds(completions)
    return Effect.map(commit(transaction, { completions: written }), ({ ended }) =>
      endAnswers(transaction, completions, { written, ended })
    )
  }
