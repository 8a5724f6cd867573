/** The calls about whole runs: execute one, look at it, tell it something. */
import * as Workflow from "@effect/workflow/Workflow"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import {
  isFinal,
  type RunLost,
  type RunStoreError,
  type WritesOfHolder
} from "../../store/RunStore.js"
import * as Codec from "../../values/Codec.js"
import * as RunQueue from "../RunQueue.js"
import { type Calls, currentFiber, inside } from "./Call.js"
import * as Children from "./Children.js"
import * as NewRuns from "./NewRuns.js"

const suspended = new Workflow.Suspended({})

export const make = (calls: Calls) => {
  const { asHolder, callersLink, dispatcher, store } = calls
  const newRun = NewRuns.make(calls)
  const executeChild = Children.make(calls, newRun)

  const execute = (workflow: Workflow.Any, options: NewRuns.Execution) =>
    Effect.flatMap(callersLink, (link) => {
      if (link !== undefined) return executeChild(workflow, options, link)
      if (options.discard === true) {
        return Effect.flatMap(newRun(workflow, options, RunQueue.ofStart), (run) =>
          // one that was not made is answered with the one that is there
          Effect.map(Effect.orDie(dispatcher.start(run)), ({ run }) => run.runId)
        )
      }
      return Effect.flatMap(newRun(workflow, options), (run) =>
        Effect.flatMap(Effect.orDie(dispatcher.startAndAwait(run)), (exit) =>
          Effect.flatten(Effect.orDie(Codec.exitFromJson(workflow, exit)))
        )
      )
    })

  /** Tells a run something, in the name of the run in which this is called. */
  const tell = (
    workflow: Workflow.Any,
    runId: string,
    write: (
      store: Pick<WritesOfHolder, "requestInterrupt" | "wake">
    ) => Effect.Effect<unknown, RunStoreError | RunLost>
  ): Effect.Effect<void> => {
    const told: typeof write = (store) =>
      Effect.zipRight(requireRunOf(workflow, runId), write(store))
    return Effect.asVoid(
      Effect.flatMap(callersLink, (link) =>
        link === undefined
          ? Effect.orDie(told(store))
          : Effect.flatMap(currentFiber, (fiber) =>
              inside(link, fiber, asHolder(link, fiber, told))
            )
      )
    )
  }

  const requireRunOf = (workflow: Workflow.Any, runId: string) =>
    Effect.flatMap(store.find(runId), (run) =>
      Option.isSome(run) && run.value.workflow !== workflow.name
        ? Effect.dieMessage(
            `run ${runId} is one of workflow "${run.value.workflow}", not of "${workflow.name}"`
          )
        : Effect.void
    )

  const poll = Effect.fnUntraced(function* (workflow: Workflow.Any, runId: string) {
    const run = Option.getOrUndefined(yield* Effect.orDie(store.find(runId)))
    // one of another workflow is not there for this one
    if (run === undefined || run.workflow !== workflow.name) return undefined
    if (run.status === "suspended") {
      return run.cause === undefined
        ? suspended
        : new Workflow.Suspended({ cause: Codec.causeFromJson(run.cause) })
    }
    if (!isFinal(run.status) || run.exit === undefined) return undefined
    const exit = yield* Effect.orDie(Codec.exitFromJson(workflow, run.exit))
    return new Workflow.Complete({ exit })
  })

  return { execute, tell, poll }
}
