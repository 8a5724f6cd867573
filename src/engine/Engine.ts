/**
 * The service of `@effect/workflow` over the RunStore: what workflow code talks to.
 *
 * Everything a workflow asks for is first looked up in what the run has recorded; only what is not
 * there is done, and recorded before the workflow goes on.
 */
import { WorkflowEngine, type WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RunStore } from "../store/RunStore.js"
import * as Spans from "../telemetry/Spans.js"
import * as Calls from "./calls/Call.js"
import * as Deferreds from "./calls/Deferreds.js"
import * as Runs from "./calls/Runs.js"
import * as Steps from "./calls/Steps.js"
import { setTimer } from "./calls/Timers.js"
import { Dispatcher } from "./held/Dispatcher.js"
import * as Fibers from "./pass/Fibers.js"
import { scheduled } from "./pass/RunScheduler.js"

/**
 * Not by `WorkflowEngine.makeUnsafe` of `@effect/workflow`: that lets a run suspend by interrupting the
 * fiber that waits, which handlers of the workflow can see, and takes what is recorded for values that
 * are decoded already.
 */
export const make: Effect.Effect<WorkflowEngine["Type"], never, RunStore | Dispatcher> = Effect.gen(
  function* () {
    const dispatcher = yield* Dispatcher
    const calls = Calls.make({ store: yield* RunStore, dispatcher })
    const { execute, poll, tell } = Runs.make(calls)

    // The service's types tie each call to the schemas of its definition; the functions above work on
    // any of them, through those schemas.
    return WorkflowEngine.of({
      register: Effect.fnUntraced(function* (workflow, execute) {
        yield* Calls.requireWellFormed("workflow name", workflow.name)
        yield* dispatcher.releases.register({
          workflow,
          origin: Fibers.interruptible(Fibers.compact(scheduled(yield* Effect.runtime<never>()))),
          spans: yield* Spans.make,
          draining: Effect.unsafeMakeLatch(false),
          execute: (payload, runId) =>
            // what else it needs is in the context that it was registered with
            // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
            Effect.suspend(() => execute(payload, runId)) as Effect.Effect<
              unknown,
              unknown,
              WorkflowEngine | WorkflowInstance
            >
        })
      }),
      execute,
      poll,
      interrupt: (workflow, runId) =>
        tell(workflow, runId, ({ requestInterrupt }) => requestInterrupt(runId)),
      resume: (workflow, runId) => tell(workflow, runId, ({ wake }) => wake(runId)),
      activityExecute: Steps.make(calls),
      ...Deferreds.make(calls),
      scheduleClock: (_, { clock, executionId }) =>
        Effect.flatMap(calls.callersLink, (link) =>
          link?.run.runId === executionId
            ? setTimer(link, clock.deferred.name, clock.duration)
            : Effect.dieMessage("a DurableClock is scheduled by its own run only")
        )
    } as WorkflowEngine["Type"])
  }
)

export const layer: Layer.Layer<WorkflowEngine, never, RunStore | Dispatcher> = Layer.effect(
  WorkflowEngine,
  make
)
