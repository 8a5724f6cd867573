/** Starts runs of the workflows that are registered here. */
import type { Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { InvalidPayload, RunIdTaken, type StartRequest } from "../../api/Runs.js"
import type { Dispatcher } from "../../engine/held/Dispatcher.js"
import { encodedPayloadToJson } from "../../values/Codec.js"
import { viewStarted } from "../RunViews.js"
import { explain, findWorkflow, outside } from "./Definitions.js"

/** A field that the schema does not have is a misspelt one: the schema that is published says so. */
const strict = { onExcessProperty: "error" } as const

export const make = (dispatcher: Dispatcher["Type"]) => {
  const storablePayload = (workflow: Workflow.Any, encoded: unknown) =>
    Either.flatMap(encodedPayloadToJson(workflow, encoded), dispatcher.bounded)

  return Effect.fnUntraced(function* (request: StartRequest) {
    const workflow = yield* findWorkflow(dispatcher, request.workflow)
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
    return viewStarted(
      yield* dispatcher
        .start({ runId, workflow: workflow.name, payload, trace: request.trace })
        .pipe(
          Effect.catchTag(
            "RunIdTaken",
            ({ message, runId, workflow }) => new RunIdTaken({ runId, workflow, message })
          )
        )
    )
  })
}
