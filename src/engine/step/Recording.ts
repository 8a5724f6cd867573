/**
 * Records what steps came to, before anybody hears of it.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Json, RunStore } from "../../store/RunStore.js"
import * as Codec from "../../values/Codec.js"
import type { Bounded } from "../../values/ValueSize.js"
import * as MissingService from "../MissingService.js"
import { type ActiveRun, stepKey } from "../run/ActiveRun.js"
import * as Crashes from "../run/Crashes.js"
import type { Persist, PersistError } from "../run/Persist.js"
import * as Draining from "./Draining.js"
import { type Flight, outcomeOf, type StepResult, suspended } from "./Flight.js"
import * as Programs from "./Programs.js"

export interface RecordingOptions {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
  readonly bounded: Bounded
  readonly clock: Clock.Clock
  /** The run was found to be held by somebody else. */
  readonly onLost: (run: ActiveRun) => void
  /** The run is to wait until somebody has mended this, and resumes it. */
  readonly onBlocked: (run: ActiveRun, message: string) => void
  /** Goes on with a run that waits in memory, if it is to be gone on with here. */
  readonly activate: (run: ActiveRun) => Effect.Effect<void>
  /** No step of this run may start: this process drains. */
  readonly refuses: (run: ActiveRun) => boolean
  /** The step is in flight no more. */
  readonly land: (flight: Flight, result: StepResult) => StepResult
}

/**
 * Concludes a step whose activity has been executed: its outcome is recorded, or it has none. Not to
 * be interrupted.
 */
export const make = (options: RecordingOptions) => {
  const { clock, land, store } = options
  const fitting = Codec.boundedExit(options.bounded)

  const record = (flight: Flight, exit: Exit.Exit<unknown, unknown>): Effect.Effect<StepResult> => {
    const outcome = outcomeAtHand(flight, exit, fitting)
    return outcome === undefined
      ? Effect.flatMap(outcomeOfFlight(flight, exit, fitting), (outcome) => write(flight, outcome))
      : write(flight, outcome)
  }

  const write = (flight: Flight, outcome: Outcome): Effect.Effect<StepResult> => {
    const { run } = flight
    const status = Exit.isSuccess(outcome.exit) ? "completed" : "failed"
    const { text } = outcome
    const timers = run.takeNewTimers()
    const completedAt = clock.unsafeCurrentTimeMillis()
    flight.outcome = "unrecorded"
    const step = {
      held: run.held,
      name: flight.name,
      attempt: flight.attempt,
      status,
      startedAt: flight.startedAt,
      completedAt,
      exit: text,
      timers,
      inner: flight.inner,
      compensation: flight.compensation
    } as const
    const recorded = options.persist(store.recordStep(step))
    const written = run.isSuspended ? Effect.zipRight(options.activate(run), recorded) : recorded
    return Effect.matchCauseEffect(written, {
      onSuccess: () => {
        const key = stepKey(flight.name, flight.attempt)
        run.setStep(key, text)
        if (flight.inner) run.setInner(key)
        flight.pass.reach(key)
        flight.outcome = status
        flight.millis = completedAt - flight.startedAt
        const result: StepResult = { _tag: "Recorded", exit: text, read: outcome.read }
        return run.crashes > 0
          ? Effect.map(Crashes.progressed(run, store), () => land(flight, result))
          : Effect.succeed(land(flight, result))
      },
      onFailure: (cause) => {
        run.returnTimers(timers)
        return unrecorded(flight, cause)
      }
    })
  }

  const unrecorded = (flight: Flight, cause: Cause.Cause<PersistError>) => {
    const error = Option.getOrUndefined(Cause.failureOption(cause))
    if (error?._tag === "RunLost") options.onLost(flight.run)
    if (error?._tag === "WriteRefused") {
      options.onBlocked(flight.run, `step "${flight.name}" cannot be recorded: ${error.message}`)
    }
    // what executed and was not recorded executes again, in another executor
    const result = Effect.succeed(land(flight, suspended))
    return error?._tag === "RunLost"
      ? result
      : Effect.zipRight(
          Effect.annotateLogs(Effect.logError("step not recorded", cause), "step", flight.key),
          result
        )
  }

  /** What has come of executing it is recorded, or is no outcome. Not to be interrupted. */
  const conclude = (
    flight: Flight,
    exit: Exit.Exit<unknown, unknown>
  ): Effect.Effect<StepResult> => {
    flight.fiber = undefined
    const outcome = outcomeOf(exit)
    if (isGivenUp(flight, outcome)) return Effect.succeed(putBack(flight))
    if (outcome === undefined || (flight.cut && Exit.isFailure(outcome))) {
      const { cause } = flight.instance
      return Effect.succeed(land(flight, { _tag: "Suspended", cause }))
    }
    const missing = MissingService.of(outcome)
    if (missing !== undefined) return lacking(flight, missing)
    return Exit.isFailure(outcome) && Programs.wereEnded(flight.instance, outcome.cause)
      ? Effect.flatMap(
          Programs.isStopping(() => options.refuses(flight.run)),
          (stops) =>
            stops ? Effect.as(warnOfSignal(flight), putBack(flight)) : recorded(flight, outcome)
        )
      : recorded(flight, outcome)
  }

  /** It could not be executed to its end: it executes again once the service is there. */
  const lacking = (flight: Flight, service: string): Effect.Effect<StepResult> =>
    Effect.map(MissingService.tell(flight.run, service), () => {
      options.onBlocked(flight.run, MissingService.explain(service, flight.name))
      return land(flight, { _tag: "Suspended", cause: flight.instance.cause })
    })

  /** What it has begun goes first; then what it came to is recorded. */
  const recorded = (flight: Flight, outcome: Exit.Exit<unknown, unknown>) =>
    flight.instanceScope.isMade
      ? Effect.zipRight(
          Effect.ignoreLogged(flight.instanceScope.close(outcome)),
          record(flight, outcome)
        )
      : record(flight, outcome)

  /** It has learned of the drain, and does not want to be finished in it. */
  const isGivenUp = (flight: Flight, outcome: Exit.Exit<unknown, unknown> | undefined) =>
    (outcome === undefined || Exit.isFailure(outcome)) &&
    Draining.hasGivenUp(flight.instance) &&
    options.refuses(flight.run)

  /** As if it were cut. */
  const putBack = (flight: Flight): StepResult => {
    flight.cut = true
    return land(flight, suspended)
  }

  const warnOfSignal = ({ key }: Flight) =>
    Effect.annotateLogs(
      Effect.logWarning(
        "a program of a step was ended by a signal while this process stops: the step executes again"
      ),
      "step",
      key
    )

  return conclude
}

/** An outcome as it is recorded. */
interface Outcome {
  readonly exit: Exit.Exit<unknown, unknown>
  readonly text: Json
  /** What the text is read as, where that is known already. */
  readonly read?: Exit.Exit<unknown, unknown>
}

type Fitting = ReturnType<typeof Codec.boundedExit>

/** Where neither writing it nor reading it again takes more than the value, as of most. */
const outcomeAtHand = (
  flight: Flight,
  exit: Exit.Exit<unknown, unknown>,
  fitting: Fitting
): Outcome | undefined => {
  const json = Codec.atHand(Codec.encodedExitToJson(exit, flight.activity.successSchema))
  if (json === undefined) return undefined
  const text = fitting(json.right)
  if (Either.isLeft(text)) return undefined
  const read = Codec.readBack(flight.activity, text.right)
  if (read === undefined) return { text: text.right, exit }
  return Either.isRight(read) ? { text: text.right, exit, read: read.right } : undefined
}

/**
 * What cannot be written, or would not be read again, is the step's failure, as a defect that says so.
 * What it is read as is kept: nothing is decoded twice.
 */
const outcomeOfFlight = (
  flight: Flight,
  exit: Exit.Exit<unknown, unknown>,
  fitting: Fitting
): Effect.Effect<Outcome> =>
  Codec.encodedExitToJson(exit, flight.activity.successSchema).pipe(
    Effect.flatMap(fitting),
    Effect.flatMap((text) => readable(flight, text, exit)),
    Effect.catchAll((error) => unwritable(flight, error))
  )

const readable = (
  flight: Flight,
  text: Json,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<Outcome> => {
  const read = Codec.readBack(flight.activity, text)
  if (read === undefined) return Effect.succeed({ text, exit })
  return Either.isRight(read)
    ? Effect.succeed({ text, exit, read: read.right })
    : unwritable(flight, Codec.notReadBack(read.left))
}

const unwritable = (flight: Flight, error: Error): Effect.Effect<Outcome> => {
  const message = `the outcome of step "${flight.name}" of workflow "${flight.workflow}" cannot be recorded as JSON: ${error.message}`
  const exit = Exit.die(new Error(message))
  return Effect.map(
    Effect.orDie(Codec.encodedExitToJson(exit, flight.activity.successSchema)),
    (text) => ({ text, exit })
  )
}
