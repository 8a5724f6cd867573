/** Starts runs of the workflows that are registered here. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { RunIdTaken, type StartOptions, type StartRequest } from "../../api/Runs.js"
import type { Dispatcher, Started } from "../../engine/held/Dispatcher.js"
import type { Json } from "../../store/RunStore.js"
import * as Canonical from "../../values/Canonical.js"
import { parse } from "../../values/Described.js"
import { payloadDiffers, runExists } from "../Refusals.js"
import { viewStarted } from "../RunViews.js"
import { findWorkflow } from "./Definitions.js"
import * as Options from "./Options.js"
import * as Payloads from "./Payloads.js"

/** Whether they say the same, in whatever order. */
const isSame = (one: Json | undefined, other: Json): boolean => {
  if (one === undefined || one === other) return one !== undefined
  const parsed = parse(one)
  return (
    Either.isRight(parsed) &&
    Canonical.canonical(parsed.right) === Canonical.canonical(JSON.parse(other))
  )
}

/** Whether the run that was there is what was asked for. */
const answered = (
  { created, replaced, run, skipped }: Started,
  payload: Json,
  { ignorePayload = false, onConflict = "use" }: StartOptions
) => {
  if (created || replaced === true) return Effect.void
  if (skipped === true && onConflict !== "fail") return Effect.void
  if (onConflict !== "use") return runExists(run.runId, run.status, onConflict)
  return ignorePayload || isSame(run.payload, payload)
    ? Effect.void
    : payloadDiffers(run.runId, run.status)
}

export const make = (dispatcher: Dispatcher["Type"]) => {
  const payloadOf = Payloads.make(dispatcher)

  return Effect.fnUntraced(function* (request: StartRequest) {
    const workflow = yield* findWorkflow(dispatcher, request.workflow)
    const { options = {} } = request
    const resolved = yield* Options.resolve(options, yield* Clock.currentTimeMillis)
    const { decoded, payload, queue } = yield* payloadOf(workflow, request.payload)
    const runId = yield* Effect.suspend(() => workflow.executionId(decoded))
    const started = yield* dispatcher
      .start({
        runId,
        workflow: workflow.name,
        payload,
        trace: request.trace,
        options: resolved,
        ...(queue === undefined ? {} : { queue }),
        replace: options.onConflict === "replace"
      })
      .pipe(
        Effect.catchTag(
          "RunIdTaken",
          ({ message, runId, workflow }) => new RunIdTaken({ runId, workflow, message })
        )
      )
    yield* answered(started, payload, options)
    return viewStarted(started)
  })
}
