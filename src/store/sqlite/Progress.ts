/** What the holder of a run writes on the way: steps, the suspension, the end. */

import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { nextPosition, positionOfHolder } from "../Position.js"
import { innerness, wholeMillis } from "../Rows.js"
import type {
  Completion,
  Held,
  Json,
  NewTimers,
  RunLost,
  StepNote,
  StepOutcome,
  StepStatus,
  Suspension
} from "../RunStore.js"
import type { Batch, Operation } from "../Write.js"
import { aboutToRead, isHeld, lost } from "./Claims.js"
import * as Crashes from "./Crashes.js"
import type { Param } from "./Sql.js"
import * as Statements from "./Statements.js"
import * as Timers from "./Timers.js"
import type { Transaction } from "./Transaction.js"
import { wakeParents } from "./WakeUps.js"

/** An outcome stays; a note is replaced, and keeps its position. The executor is the run's. */
const upsertSteps = Statements.forRows(
  (rows) => `
  INSERT INTO workflow_steps (
    run, position, name, attempt, status, started_at, completed_at, exit, is_inner, executor
  )
  SELECT r.id, ${positionOfHolder("r", "v.column3")}, v.column4, v.column5, v.column6, v.column7,
    v.column8, v.column9, v.column10, r.executor
  FROM ${Statements.table(rows, 10)} v
  CROSS JOIN workflow_runs r NOT INDEXED
    ON r.id = v.column1 AND r.claim = v.column2 AND r.status = 'running'
  WHERE true
  ON CONFLICT (run, name, attempt) DO UPDATE SET
    status = excluded.status, started_at = excluded.started_at,
    completed_at = excluded.completed_at, exit = excluded.exit, is_inner = excluded.is_inner,
    executor = excluded.executor
  WHERE workflow_steps.exit IS NULL`
)

/** What only an outcome has is apart from the step, whatever else a note brings along. */
const addStep = (
  params: Array<Param>,
  step: Omit<StepNote, "status"> & Pick<StepOutcome, "inner"> & { readonly status: StepStatus },
  exit: Json | null
): void => {
  const { attempt, completedAt, held, name, startedAt, status } = step
  params.push(held.key, held.claim, nextPosition(), name, attempt, status)
  params.push(wholeMillis(startedAt), completedAt === undefined ? null : wholeMillis(completedAt))
  params.push(exit, innerness(step))
}

const selectHeld = `SELECT 1 FROM workflow_runs WHERE ${isHeld}`

const isStillHeld = (transaction: Transaction, held: Held) =>
  Effect.map(transaction.rows(selectHeld, [held.key, held.claim]), (rows) => rows.length > 0)

export const noteStep =
  (step: StepNote): Operation<Transaction, void, RunLost> =>
  (transaction) =>
    Effect.gen(function* () {
      const params: Array<Param> = []
      addStep(params, step, null)
      const written = yield* transaction.changes(upsertSteps(1), params)
      if (written === 0 && !(yield* isStillHeld(transaction, step.held))) {
        return yield* lost(step.held)
      }
      if (step.status === "running") yield* Crashes.begins(transaction, step.held)
    })

export const recordSteps: Batch<Transaction, StepOutcome, void, RunLost> =
  (steps) => (transaction) =>
    Effect.gen(function* () {
      let written = 0
      for (const part of Statements.parts(steps)) {
        const params: Array<Param> = []
        for (const step of part) addStep(params, step, step.exit)
        written += yield* transaction.changes(upsertSteps(part.length), params)
      }
      const answers =
        written === steps.length
          ? steps.map(() => Exit.void)
          : yield* Effect.forEach(steps, ({ held }) => stillHeld(transaction, held))
      const kept = steps.filter(
        ({ timers }, index) => timers.length > 0 && Exit.isSuccess(answers[index] ?? Exit.void)
      )
      yield* Timers.insert(
        transaction,
        kept.map(({ held, timers }) => ({ key: held.key, timers }))
      )
      return answers
    })

/** Of those that wrote nothing, some found an outcome, and the others' runs are lost. */
const stillHeld = (transaction: Transaction, held: Held) =>
  Effect.map(isStillHeld(transaction, held), (isHeld) =>
    isHeld ? Exit.void : Exit.fail(lost(held))
  )

const insertTimers = (transaction: Transaction, { key }: Held, timers: NewTimers) =>
  Timers.insert(transaction, [{ key, timers }])

/**
 * What waits has got somewhere; what was set aside keeps its count of crashes, which may be why. While
 * its executor keeps it, the run still has one; its holder knows of all wake-ups so far. */
const suspendRun = `
  UPDATE workflow_runs SET
    status = 'suspended', executor = iif(?, executor, NULL), wake_at = ?, cause = ?,
    waits_for = ?, seen_wakeups = wakeups, crashes = iif(?, crashes, 0)
  WHERE ${isHeld} AND wakeups = ?`

/** Answers whether it did; if not, its holder is to read the history, out of the write lock. */
export const suspend =
  (suspension: Suspension): Operation<Transaction, boolean, RunLost> =>
  (transaction) =>
    Effect.gen(function* () {
      const { held, timers, cause } = suspension
      const wakeAt = suspension.wakeAt === undefined ? null : wholeMillis(suspension.wakeAt)
      const suspended = yield* transaction.changes(suspendRun, [
        suspension.keep === true ? 1 : 0,
        wakeAt,
        cause ?? null,
        suspension.waitsFor ?? null,
        cause === undefined ? 0 : 1,
        held.key,
        held.claim,
        suspension.wakeups
      ])
      if (suspended === 0) {
        yield* aboutToRead(held, timers)(transaction)
        return false
      }
      yield* insertTimers(transaction, held, timers)
      if (wakeAt !== null) transaction.log.timer(wakeAt)
      return true
    })

const proceedRun = `
  UPDATE workflow_runs SET status = 'running', wake_at = NULL, cause = NULL
  WHERE id = ? AND claim = ? AND status IN ('suspended', 'running') AND executor IS NOT NULL`

export const proceed =
  (held: Held): Operation<Transaction, void, RunLost> =>
  (transaction) =>
    Effect.flatMap(transaction.changes(proceedRun, [held.key, held.claim]), (count) =>
      count === 0 ? Effect.fail(lost(held)) : Effect.void
    )

const evictRun = `
  UPDATE workflow_runs SET executor = NULL, claim = claim + 1
  WHERE id = ? AND claim = ? AND status = 'suspended' AND executor IS NOT NULL`

export const evict =
  (runs: ReadonlyArray<Held>): Operation<Transaction, ReadonlyArray<boolean>> =>
  (transaction) =>
    Effect.forEach(runs, (held) =>
      Effect.map(transaction.changes(evictRun, [held.key, held.claim]), (count) => count > 0)
    )

const completeRun = `
  UPDATE workflow_runs SET
    status = ?, exit = ?, completed_at = ?, executor = NULL, compensated = ?, crashes = 0,
    waits_for = NULL
  WHERE ${isHeld}`

/** The few that have timers, or parents that wait for them. */
const selectAttached = Statements.forRows(
  (rows) => `
  SELECT v.column1 AS key FROM ${Statements.table(rows, 1)} v
  WHERE EXISTS (SELECT 1 FROM workflow_timers WHERE run = v.column1)
  OR EXISTS (
    SELECT 1 FROM workflow_children INDEXED BY workflow_children_awaited
    WHERE child = v.column1 AND awaits = 1
  )`
)

const deleteTimers = "DELETE FROM workflow_timers WHERE run = ?"

/** Several rows would not take one statement: how SQLite looks for them depends on statistics. */
export const completeAll: Batch<Transaction, Completion, void, RunLost> =
  (completions) => (transaction) =>
    Effect.gen(function* () {
      const answers: Array<Exit.Exit<void, RunLost>> = []
      const completed = new Map<number, Completion>()
      for (const completion of completions) {
        const { compensated = false, exit, held, status } = completion
        const written = yield* transaction.changes(completeRun, [
          status,
          exit,
          transaction.now,
          compensated ? 1 : 0,
          held.key,
          held.claim
        ])
        answers.push(written === 0 ? Exit.fail(lost(held)) : Exit.void)
        if (written === 0) continue
        completed.set(held.key, completion)
        transaction.log.finished(held.runId, exit)
      }
      for (const part of Statements.parts([...completed.keys()])) {
        const attached = yield* transaction.rows<{ readonly key: number }>(
          selectAttached(part.length),
          part
        )
        for (const { key } of attached) {
          // any other may be retried, and is not to sleep again
          if (completed.get(key)?.status === "completed") {
            yield* transaction.changes(deleteTimers, [key])
          }
          yield* wakeParents(transaction, key)
        }
      }
      return answers
    })
