/** What is asked of runs: to end, to go on, to begin again, to be forgotten. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import {
  InvalidReason,
  maxReasonLength,
  type NotResumable,
  type RetryOptions,
  type RunNotFound,
  type TerminateRequest
} from "../../api/Runs.js"
import {
  isFinal,
  type RunStatus,
  type RunStore,
  type RunStoreError,
  type WithFinished
} from "../../store/RunStore.js"
import * as Metrics from "../../telemetry/Metrics.js"
import { terminatedExit } from "../../values/Codec.js"
import {
  notResumable,
  notRetryable,
  type Refused,
  runFinished,
  runNotFinished,
  runNotFound
} from "../Refusals.js"

/** Refused where there is no such run. */
const known = (
  runId: string,
  status: Effect.Effect<Option.Option<RunStatus>, RunStoreError>
): Effect.Effect<void, RunNotFound | RunStoreError> =>
  Effect.flatMap(
    status,
    Option.match({ onNone: () => runNotFound(runId), onSome: () => Effect.void })
  )

const finished = <E>(
  runId: string,
  answer: Effect.Effect<WithFinished, RunStoreError>,
  refuse: (runId: string, refused: Refused) => E
): Effect.Effect<void, RunNotFound | E | RunStoreError> =>
  Effect.flatMap(answer, (answer): Effect.Effect<void, RunNotFound | E> => {
    switch (answer._tag) {
      case "Done":
        return Effect.void
      case "NotFound":
        return runNotFound(runId)
      case "Refused":
        return Effect.fail(refuse(runId, answer))
    }
  })

export const make = (store: RunStore["Type"]) => {
  const terminate = Effect.fnUntraced(function* (request: TerminateRequest) {
    const { children = false, reason, runId } = request
    if (reason !== undefined && reason.length > maxReasonLength) {
      return yield* new InvalidReason({
        message: `The reason has ${reason.length} characters; at most ${maxReasonLength} are allowed`
      })
    }
    const exit = terminatedExit(reason)
    const answer = yield* store.terminate({ runId, exit, children })
    switch (answer._tag) {
      case "NotFound":
        return yield* runNotFound(runId)
      case "Refused":
        return yield* runFinished(runId, answer.status)
      case "Done": {
        const terminated = answer.runs.length
        for (const { workflow } of answer.runs) Metrics.runFinished(workflow, "interrupted")
        yield* Effect.logWarning("run terminated, without compensations").pipe(
          Effect.annotateLogs({
            runId,
            runs: terminated,
            ...(reason === undefined ? {} : { reason })
          })
        )
        return { terminated }
      }
    }
  })

  const resume = (runId: string) =>
    Effect.flatMap(store.wake(runId), (before): Effect.Effect<void, RunNotFound | NotResumable> => {
      if (Option.isNone(before)) return runNotFound(runId)
      return isFinal(before.value) ? notResumable(runId, before.value) : Effect.void
    })

  return {
    interrupt: (runId: string) => known(runId, store.requestInterrupt(runId)),
    terminate,
    resume,
    retry: (runId: string, { withChildren = true }: RetryOptions = {}) =>
      finished(runId, store.retry({ runId, withChildren }), notRetryable),
    remove: (runId: string) => finished(runId, store.remove(runId), runNotFinished)
  }
}
