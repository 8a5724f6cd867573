/**
 * What the promises of the façade reject with: always an `Error` that has a `_tag`.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import { RunStoreError } from "../store/RunStore.js"
import * as Typed from "../values/Typed.js"

/** The executor has not been started, or not to the end. */
export class ExecutorNotStarted extends Data.TaggedError("ExecutorNotStarted") {
  override get message() {
    return "This executor has not been started: call start() and wait for it"
  }
}

/** The executor has stopped, or is about to. A stopped executor does not start again: make another. */
export class ExecutorStopped extends Data.TaggedError("ExecutorStopped") {
  override get message() {
    return "This executor has stopped, and does not start again: make a new one"
  }
}

/** The executor could not be started, for a reason that was not an `Error` with a `_tag`. */
export class StartFailed extends Data.TaggedError("StartFailed")<{
  readonly message: string
  readonly cause: unknown
}> {}

/**
 * The executor has stopped, and something could not be released or handed over; the log says what.
 * Runs that were not handed over follow when the lease lapses.
 */
export class StopFailed extends Data.TaggedError("StopFailed")<{
  readonly message: string
  readonly cause: unknown
}> {}

/** The executor stopped before the run was over; who waited for the run is told so. */
export class RunNotOver extends Data.TaggedError("RunNotOver")<{
  readonly runId: string
  /** Whether the run goes on in the next process; in memory it ends with this one. */
  readonly goesOn: boolean
}> {
  override get message() {
    return `The executor stopped before run ${this.runId} was over; ${
      this.goesOn
        ? "it goes on in the next process: ask there for the result of this runId"
        : "it was in memory, and is gone"
    }`
  }
}

/** The run failed with an error of the workflow's that is not an `Error` with a `_tag`: plain data. */
export class RunFailed extends Data.TaggedError("RunFailed")<{
  readonly runId: string
  readonly error: unknown
}> {
  override get message() {
    return `Run ${this.runId} failed: ${Inspectable.toStringUnknown(this.error)}`
  }
}

/** The run failed unexpectedly: something in the workflow threw, or died. */
export class RunDied extends Data.TaggedError("RunDied")<{
  readonly runId: string
  readonly cause: unknown
}> {
  override get message() {
    return `Run ${this.runId} failed unexpectedly: ${messageOf(this.cause)}`
  }
}

export const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause)

const isTagged = (error: unknown): error is Error =>
  error instanceof Error && "_tag" in error && typeof error._tag === "string"

/** What `start` rejects with. */
export const startError = (cause: Cause.Cause<unknown>): Error => {
  const error = Cause.squash(cause)
  return isTagged(error)
    ? error
    : new StartFailed({ message: `The executor did not start: ${messageOf(error)}`, cause: error })
}

/** What waiting for a run that did not complete rejects with. */
export const runError = (runId: string, cause: Cause.Cause<unknown>): Error => {
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure)) {
    const error = failure.value
    return isTagged(error) ? error : new RunFailed({ runId, error })
  }
  return Cause.isInterruptedOnly(cause)
    ? new Typed.RunInterrupted({ runId })
    : new RunDied({ runId, cause: Cause.squash(cause) })
}

/** What a call on an executor that has started rejects with. */
export const callError = (cause: Cause.Cause<unknown>): unknown => {
  const error = Cause.squash(cause)
  const closed = error instanceof RunStoreError && error.reason === "closed"
  return closed || Cause.isInterruptedOnly(cause) ? new ExecutorStopped() : error
}
