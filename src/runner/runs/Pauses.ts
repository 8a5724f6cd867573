/** Workflows that are paused. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { PauseRequest, PauseView } from "../../api/Pauses.js"
import type { Dispatcher } from "../../engine/held/Dispatcher.js"
import type { PausedWorkflow, RunStore } from "../../store/RunStore.js"
import { findWorkflow } from "./Definitions.js"

const view = ({ parks, since, workflow }: PausedWorkflow): PauseView => ({
  workflow,
  since: DateTime.formatIso(DateTime.unsafeMake(since)),
  park: parks
})

export const make = (store: RunStore["Type"], dispatcher: Dispatcher["Type"]) => {
  /** One that is not registered here may be so elsewhere: then there are runs of it. */
  const requireKnown = (name: string) =>
    Effect.catchTag(findWorkflow(dispatcher, name), "UnknownWorkflow", (unknown) =>
      Effect.flatMap(
        store.list({ workflow: name, limit: 1, payload: false, result: false }),
        ({ runs }) => (runs.length > 0 ? Effect.void : Effect.fail(unknown))
      )
    )

  const told = (message: string, workflow: string, more: Readonly<Record<string, unknown>> = {}) =>
    Effect.annotateLogs(Effect.logInfo(message), { workflow, ...more })

  return {
    pauses: Effect.map(store.pausedWorkflows, (paused) => paused.map(view)),
    pauseWorkflow: Effect.fnUntraced(function* ({ park = false, workflow }: PauseRequest) {
      yield* requireKnown(workflow)
      yield* store.pauseWorkflow({ workflow, parks: park })
      yield* told("workflow paused", workflow, { park })
    }),
    resumeWorkflow: (workflow: string) =>
      Effect.flatMap(store.resumeWorkflow(workflow), (was) =>
        was ? told("workflow resumed", workflow) : Effect.void
      )
  }
}
