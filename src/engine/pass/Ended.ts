/**
 * What the log says of a run that did not complete: once a run, by whoever recorded its end.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { FinalStatus, Json } from "../../store/RunStore.js"
import { describeFailure } from "../../values/Described.js"
import * as EncodedCause from "../../values/EncodedCause.js"
import type { ActiveRun } from "../run/ActiveRun.js"

/** An end, as it was recorded. */
export interface End {
  readonly status: FinalStatus
  readonly exit: Exit.Exit<unknown, unknown>
  readonly text: Json
}

/** `name/attempt` of the step whose failure it is, where it is that of a step. */
const stepOf = (run: ActiveRun, exit: Json) => {
  const text = EncodedCause.tellingText(exit)
  if (text === undefined) return undefined
  const steps = Array.from(run.steps, ([key, exit]) => ({ key, exit }))
  return EncodedCause.failedWith(text, steps)?.key
}

/** What a run that fails can mean is a warning; an unexpected error is a fault, told with its stack. */
export const logEnd = (run: ActiveRun, { exit, status, text }: End): Effect.Effect<void> => {
  if (status !== "failed" || exit._tag === "Success") return Effect.logDebug(`run ${status}`)
  const step = stepOf(run, text)
  const annotations = {
    failure: describeFailure(text),
    ...(step === undefined ? {} : { step })
  }
  const line = Cause.isDie(exit.cause)
    ? Effect.logError("run failed unexpectedly", exit.cause)
    : Effect.logWarning("run failed")
  return Effect.annotateLogs(line, annotations)
}
