/** Starts runs of the workflows that are registered here. */
import type { Workflow } from "@effect/workflow"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { InvalidPayload, RunIdTaken, type StartOptions, type StartRequest } from "../../api/Runs.js"
import type { Dispatcher, Started } from "../../engine/held/Dispatcher.js"
import * as RunQueue from "../../engine/RunQueue.js"
import type { Json } from "../../store/RunStore.js"
import * as Canonical from "../../values/Canonical.js"
import { encodedPayloadToJson } from "../../values/Codec.js"
import { parse } from "../../values/Described.js"
import { payloadDiffers, runExists } from "../Refusals.js"
import { viewStarted } from "../RunViews.js"
import { explain, findWorkflow, outside } from "./Definitions.js"
import * as Options from "./Options.js"

/** A field that the schema does not have is a misspelt one: the schema that is published says so. */
const strict = { onExcessProperty: "error" } as const

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

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
  { created, replaced, run }: Started,
  payload: Json,
  { ignorePayload = false, onConflict = "use" }: StartOptions
) => {
  if (created || replaced === true) return Effect.void
  if (onConflict !== "use") return runExists(run.runId, run.status, onConflict)
  return ignorePayload || isSame(run.payload, payload)
    ? Effect.void
    : payloadDiffers(run.runId, run.status)
}

export const make = (dispatcher: Dispatcher["Type"]) => {
  const storablePayload = (workflow: Workflow.Any, encoded: unknown) =>
    Either.flatMap(encodedPayloadToJson(workflow, encoded), dispatcher.bounded)

  return Effect.fnUntraced(function* (request: StartRequest) {
    const workflow = yield* findWorkflow(dispatcher, request.workflow)
    const { options = {} } = request
    const resolved = yield* Options.resolve(options, yield* Clock.currentTimeMillis)
    const invalid = (message: string) => new InvalidPayload({ workflow: workflow.name, message })
    const schema = outside(workflow.payloadSchema)
    const decoded = yield* Schema.decodeUnknown(schema)(request.payload ?? {}, strict).pipe(
      Effect.mapError((error) => invalid(explain(error)))
    )
    const runId = yield* Effect.suspend(() => workflow.executionId(decoded))
    const payload = yield* Schema.encode(schema)(decoded).pipe(
      Effect.mapError((error) => invalid(explain(error))),
      Effect.flatMap((encoded) =>
        Effect.mapError(storablePayload(workflow, encoded), (error) =>
          invalid(`The payload cannot be stored as JSON: ${error.message}`)
        )
      )
    )
    const queue = yield* Effect.try({
      try: () => RunQueue.of(workflow, decoded),
      catch: (cause) => invalid(`The key of its queue: ${messageOf(cause)}`)
    })
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
