/** Starts runs of the workflows that are registered here. */
import * as Effect from "effect/Effect"
import { RunIdTaken, type StartRequest } from "../../api/Runs.js"
import type { Dispatcher } from "../../engine/held/Dispatcher.js"
import { viewStarted } from "../RunViews.js"
import { findWorkflow } from "./Definitions.js"
import * as Payloads from "./Payloads.js"

export const make = (dispatcher: Dispatcher["Type"]) => {
  const payloadOf = Payloads.make(dispatcher)

  return Effect.fnUntraced(function* (request: StartRequest) {
    const workflow = yield* findWorkflow(dispatcher, request.workflow)
    const { decoded, payload } = yield* payloadOf(workflow, request.payload)
    const runId = yield* Effect.suspend(() => workflow.executionId(decoded))
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
