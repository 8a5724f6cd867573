/**
 * An executor without a store and without HTTP of its own: for apps that bring theirs.
 */
import type { WorkflowEngine } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { boundedRelease } from "./BoundedRelease.js"
import * as Engine from "./engine/Engine.js"
import * as Dispatcher from "./engine/held/Dispatcher.js"
import * as RunnerConfig from "./engine/RunnerConfig.js"
import * as Events from "./events/Events.js"
import * as Misplaced from "./Misplaced.js"
import * as Runner from "./runner/Runner.js"
import * as Runs from "./runner/Runs.js"
import * as Schedules from "./runner/Schedules.js"
import type { RunStore, RunStoreError } from "./store/RunStore.js"

/** What every executor provides. */
export type Services =
  | WorkflowEngine.WorkflowEngine
  | Runner.Runner
  | Runs.Runs
  | Schedules.Schedules
  | Dispatcher.Dispatcher
  | Events.Events

/** The services that workflows, and what serves HTTP, may ask an executor for. */
export type Below = Exclude<Services, Runner.Runner>

/**
 * The engine and what it executes on, over a RunStore. Executes nothing until a Runner starts. What
 * is above it gets the RunStore from it, so that all that they write is told of as `Events`.
 */
export const layerEngine: Layer.Layer<
  Below | RunStore,
  never,
  RunStore | RunnerConfig.RunnerConfig
> = Layer.mergeAll(Engine.layer, Runs.layer, Schedules.layerService).pipe(
  Layer.provideMerge(Dispatcher.layer),
  Layer.provideMerge(Events.layer)
)

/**
 * An executor over the RunStore and the config of the app.
 *
 * Dies where `RunAccess`, `Shutdown`, `Exposed` or `Signals` come out of one of its layers: nobody
 * there asks for them, so what they were meant to do would silently not be done.
 *
 * @param options.workflows the registrations (`Workflow.toLayer`), with all they need
 * @param options.http what answers HTTP requests: acquired before the workflows and released after
 * them, so that it answers all through the drain
 *
 * @example
 * Executor.layerCore({ workflows: OrdersLive }).pipe(
 *   Layer.provide(SqliteRunStore.layer),
 *   Layer.provide(RunnerConfig.layer({ stopTimeout: "1 minute" })),
 *   Layer.provide(MySqlClientLive)
 * )
 */
export const layerCore = <WA, WE, WR, HA = never, HE = never, HR = never>(options: {
  readonly workflows: Layer.Layer<WA, WE, WR>
  readonly http?: Layer.Layer<HA, HE, HR> | undefined
}): Layer.Layer<
  Services | RunStore | WA | HA,
  RunStoreError | Runner.RunnerAlreadyStarted | WE | HE,
  | RunStore
  | RunnerConfig.RunnerConfig
  | Exclude<HR, Below | RunStore>
  | Exclude<WR, Below | RunStore | HA>
> => {
  const workflows = Layer.unwrapEffect(
    Effect.map(RunnerConfig.RunnerConfig, ({ closeTimeout }) =>
      boundedRelease("the workflows' resources", closeTimeout)(options.workflows)
    )
  )
  // without one, its type parameters are `never`, and so is all that it could provide
  const http = (options.http ?? Layer.empty) as Layer.Layer<HA, HE, HR>
  const composed = Layer.unwrapEffect(
    Effect.map(Effect.context<never>(), (outside) =>
      Runner.layer.pipe(
        Layer.provide(Misplaced.refuse(outside)),
        Layer.provideMerge(workflows),
        Layer.provideMerge(http),
        Layer.provideMerge(layerEngine)
      )
    )
  )
  // what is inferred asks for the executor's own services once more, unless a type parameter has them
  // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
  return composed as Layer.Layer<
    Layer.Layer.Success<typeof composed>,
    Layer.Layer.Error<typeof composed>,
    | RunStore
    | RunnerConfig.RunnerConfig
    | Exclude<HR, Below | RunStore>
    | Exclude<WR, Below | RunStore | HA>
  >
}
