/** What the holder of a run writes on the way: steps, the suspension, the end. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type {
  Completion,
  Held,
  History,
  Json,
  NewTimers,
  RunLost,
  StepNote,
  StepOutcome,
  StepStatus,
  Suspension
} from "../../RunStore.js"
import { history, isHeld, lost } from "./Claims.js"
import type { Operation, Transaction } from "./GroupCommit.js"
import { wholeMillis } from "./Rows.js"
import * as Timers from "./Timers.js"
import { wakeParents } from "./WakeUps.js"

/** Only one process writes to a run under one claim, so its own count orders the run's steps. */
const position = "? * 4294967296 + ?"
let writtenSteps = 0

/** An outcome stays; a note is replaced, and keeps its position. */
const upsertStep = `
  INSERT INTO workflow_steps (
    run, position, name, attempt, status, started_at, completed_at, exit
  )
  SELECT id, ${position}, ?, ?, ?, ?, ?, ? FROM workflow_runs WHERE ${isHeld}
  ON CONFLICT (run, name, attempt) DO UPDATE SET
    status = excluded.status, started_at = excluded.started_at,
    completed_at = excluded.completed_at, exit = excluded.exit
  WHERE workflow_steps.exit IS NULL`

const selectHeld = `SELECT 1 FROM workflow_runs WHERE ${isHeld}`

/** `exit` is apart from the step, for only an outcome has one, whatever else a note brings along. */
const writeStep = (
  transaction: Transaction,
  step: Omit<StepNote, "status"> & { readonly status: StepStatus },
  exit: Json | null
) =>
  Effect.gen(function* () {
    const { held } = step
    const written = yield* transaction.changes(upsertStep, [
      held.claim,
      writtenSteps++,
      step.name,
      step.attempt,
      step.status,
      wholeMillis(step.startedAt),
      step.completedAt === undefined ? null : wholeMillis(step.completedAt),
      exit,
      held.key,
      held.claim
    ])
    if (written === 0) yield* assertHeld(transaction, held)
  })

const assertHeld = (transaction: Transaction, held: Held) =>
  Effect.flatMap(transaction.rows(selectHeld, [held.key, held.claim]), (rows) =>
    rows.length === 0 ? Effect.fail(lost(held)) : Effect.void
  )

export const recordStep =
  (step: StepOutcome): Operation<void, RunLost> =>
  (transaction) =>
    Effect.zipRight(
      writeStep(transaction, step, step.exit),
      insertTimers(transaction, step.held, step.timers)
    )

export const noteStep =
  (step: StepNote): Operation<void, RunLost> =>
  (transaction) =>
    writeStep(transaction, step, null)

const insertTimers = (transaction: Transaction, { key }: Held, timers: NewTimers) =>
  Timers.insert(transaction, [{ key, timers }])

const suspendRun = `
  UPDATE workflow_runs SET status = 'suspended', executor = NULL, wake_at = ?, cause = ?
  WHERE ${isHeld} AND wakeups = ?`

export const suspend =
  (suspension: Suspension): Operation<Option.Option<History>, RunLost> =>
  (transaction) =>
    Effect.gen(function* () {
      const { held, timers, cause } = suspension
      const wakeAt = suspension.wakeAt === undefined ? null : wholeMillis(suspension.wakeAt)
      const suspended = yield* transaction.changes(suspendRun, [
        wakeAt,
        cause ?? null,
        held.key,
        held.claim,
        suspension.wakeups
      ])
      if (suspended === 0) return Option.some(yield* history(held, timers)(transaction))
      yield* insertTimers(transaction, held, timers)
      if (wakeAt !== null) transaction.log.timer(wakeAt)
      return Option.none()
    })

const completeRun = `
  UPDATE workflow_runs SET
    status = ?, exit = ?, completed_at = ?, executor = NULL, compensated = ?
  WHERE ${isHeld}`

const deleteTimers = "DELETE FROM workflow_timers WHERE run = ?"

export const complete =
  ({ held, status, exit, compensated = false }: Completion): Operation<void, RunLost> =>
  (transaction) =>
    Effect.gen(function* () {
      const completed = yield* transaction.changes(completeRun, [
        status,
        exit,
        transaction.now,
        compensated ? 1 : 0,
        held.key,
        held.claim
      ])
      if (completed === 0) return yield* lost(held)
      // any other may be retried, and is not to sleep again
      if (status === "completed") yield* transaction.changes(deleteTimers, [held.key])
      yield* wakeParents(transaction, held.key)
      transaction.log.finished(held.runId, exit)
    })
