/**
 * What this process holds and executes, of its parts: what is registered, the gate of the drain, the
 * room, the lease, the runs in memory and the steps in flight. The layer below both the engine (which
 * asks it to execute steps) and the Runner (which fills and drains it), so that HTTP can show all of it
 * from before the Runner starts until after it has stopped.
 */
import type { DurableDeferred, Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { RunNotFound } from "../../api/Errors.js"
import type { RunnerState } from "../../api/RunnerState.js"
import * as Events from "../../events/Events.js"
import {
  type ClaimedRun,
  type Held,
  type Json,
  type NewRun,
  type Run,
  type RunLost,
  RunStore,
  type RunStoreError
} from "../../store/RunStore.js"
import { blockCause } from "../../values/Codec.js"
import * as ValueSize from "../../values/ValueSize.js"
import { ofSameWorkflow, type RunIdTaken } from "../RunIdTaken.js"
import * as RunnerConfig from "../RunnerConfig.js"
import type { ActiveRun } from "../run/ActiveRun.js"
import * as Persist from "../run/Persist.js"
import * as Slots from "../step/Slots.js"
import type { StepInFlight } from "../step/StepInFlight.js"
import * as Steps from "../step/Steps.js"
import * as Active from "./ActiveRuns.js"
import * as Gates from "./Gate.js"
import * as Leases from "./Lease.js"
import * as News from "./News.js"
import * as Registries from "./Registry.js"
import * as Release from "./Releases.js"
import * as Rooms from "./Room.js"
import * as RunEnds from "./RunEnds.js"
import * as ScopeAround from "./ScopeAround.js"
import * as Start from "./Starts.js"

export { WorkflowAlreadyRegistered } from "./Registry.js"
export type { Started } from "./Starts.js"

/** What is for the engine and the Runner alone is left out of the package's types. */
export interface Holding {
  readonly state: SubscriptionRef.SubscriptionRef<RunnerState>

  /** The workflows registered in this process. */
  readonly workflows: Effect.Effect<ReadonlyArray<Workflow.Any>>

  /** As `Registry.deferred`. */
  readonly deferred: (workflow: string, name: string) => Option.Option<DurableDeferred.Any>

  /** The steps in flight in this process, oldest first. */
  readonly inFlight: Effect.Effect<ReadonlyArray<StepInFlight>>

  /** As `Gate.left`. */
  readonly drainLeft: Effect.Effect<number | undefined>

  /**
   * Stores a run, and begins it at once where this process has room and the workflow. Durable
   * when it succeeds, in every state. A run with the same `runId` is left as it is, and `created`
   * is then false; one of another workflow is not what was asked for.
   */
  readonly start: (run: NewRun) => Effect.Effect<Start.Started, RunIdTaken | RunStoreError>

  /** Waits for the end of a run, wherever it is executed: its encoded `Exit`. Fails once it is gone. */
  readonly result: (runId: string) => Effect.Effect<Json, RunNotFound | RunStoreError>

  /** Starts a run and waits for its end. */
  readonly startAndAwait: (
    run: NewRun
  ) => Effect.Effect<Json, RunIdTaken | RunNotFound | RunStoreError>

  /** As `start`, of a child: refused once its parent is not held under that claim. @internal */
  readonly startChild: (
    run: NewRun,
    parent: Held
  ) => Effect.Effect<Run, RunIdTaken | RunStoreError | RunLost>
  /** Begins runs that were claimed; gives back those that must not begin any more. @internal */
  readonly begin: (runs: ReadonlyArray<ClaimedRun>) => Effect.Effect<void>
  /** The text of a value, if it is not too large to be stored. @internal */
  readonly bounded: ValueSize.Bounded
  /** The id under which this process holds runs, while it does. @internal */
  readonly executor: () => number | undefined

  /** @internal */
  readonly registry: Registries.Registry
  /** @internal */
  readonly gate: Gates.Gate
  /** @internal */
  readonly releases: Release.Releases
  /** @internal */
  readonly room: Rooms.Room
  /** @internal */
  readonly lease: Leases.Lease
  /** @internal */
  readonly steps: Steps.Steps
  /** @internal */
  readonly runs: Active.ActiveRuns
}

export class Dispatcher extends Context.Tag("effect-workflow-executor/Dispatcher")<
  Dispatcher,
  Holding
>() {}

/** @param isStopping whether the scope around the executor has begun to close */
const make = Effect.fnUntraced(function* (isStopping: Effect.Effect<boolean>) {
  const store = yield* RunStore
  const config = yield* RunnerConfig.RunnerConfig
  const { giveUp, persist } = yield* Persist.make
  const clock = yield* Effect.clock
  const onRunning = yield* tellRunning
  const bounded = ValueSize.bounded(config.maxValueSize)

  const registry = Registries.make()
  const lease = Leases.make({
    clock,
    millis: Duration.toMillis(config.leaseDuration),
    onGranted: () => slots.look()
  })
  const { executor } = lease
  const slots = Slots.make(config.maxConcurrentSteps, lease.isFresh)
  const gate = Gates.make({ registry, slots, stopTimeout: config.stopTimeout, isStopping })

  // what is held is known to what executes it, and the other way round
  const steps: Steps.Steps = yield* Steps.make({
    store,
    slots,
    lease,
    persist,
    bounded,
    refuses: gate.refuses,
    onLost: (run) => runs.end(run, { _tag: "lost" }),
    onBlocked: (run, message) => runs.end(run, { _tag: "block", cause: blocked(run, message) }),
    onLanded: () => runs.poke(),
    activate: (run) => runs.activate(run)
  })
  const room = Rooms.make({
    maxRuns: config.maxConcurrentRuns,
    maxBytes: config.maxConcurrentBytes,
    held: () => runs,
    isClosed: gate.isClosed
  })
  const runs: Active.ActiveRuns = Active.make({
    store,
    persist,
    giveUp,
    steps,
    isDraining: gate.refuses,
    bounded,
    clock,
    warm: { runs: config.maxWarmRuns, bytes: config.maxWarmBytes },
    maxRunSize: config.maxRunSize,
    maxCrashes: config.maxCrashes,
    grace: config.stopGrace,
    onRoom: room.freed,
    onEvicted: (runId) => ends.left(runId),
    onRunning
  })

  const ends: RunEnds.RunEnds = yield* RunEnds.make({ store, isHeld: runs.isHeld })
  yield* News.tell({ store, runs, ends, room, executor })
  const starts = Start.make({
    store,
    persist,
    registry,
    gate,
    room,
    executor,
    maxRunSize: config.maxRunSize,
    begin: runs.begin
  })
  const start: Holding["start"] = (run) =>
    Effect.flatMap(starts.start(store.create, run), ofSameWorkflow(run))

  return Dispatcher.of({
    state: yield* SubscriptionRef.make<RunnerState>("idle"),
    workflows: Effect.sync(registry.workflows),
    deferred: registry.deferred,
    inFlight: Effect.sync(steps.list),
    drainLeft: gate.left,
    start,
    startChild: (run, parent) =>
      starts.start(store.by(parent).create, run).pipe(
        Effect.flatMap(ofSameWorkflow(run)),
        Effect.map(({ run }) => run)
      ),
    result: (runId) => ends.of(runId, Effect.map(store.find(runId), Option.getOrUndefined)),
    startAndAwait: (run) =>
      ends.of(
        run.runId,
        Effect.map(start(run), ({ run }) => run)
      ),
    begin: starts.begin,
    bounded,
    executor,
    registry,
    gate,
    releases: Release.make({ registry, gate, room, slots, runs, grace: config.stopGrace }),
    room,
    lease,
    steps,
    runs
  })
})

export const layer: Layer.Layer<Dispatcher, never, RunStore | RunnerConfig.RunnerConfig> =
  Layer.unwrapEffect(
    Effect.map(Effect.serviceOption(Scope.Scope), (around) =>
      Layer.scoped(Dispatcher, Effect.flatMap(ScopeAround.isClosing(around), make))
    )
  )

const blocked = ({ runId, workflowName }: ActiveRun, message: string): Json =>
  blockCause(`run ${runId} of workflow "${workflowName}": ${message}`)

/** Publishes that a run which waited in memory goes on, where anybody listens. */
const tellRunning = Effect.map(
  Effect.all([Effect.serviceOption(Events.Events), Effect.clock]),
  ([events, clock]) =>
    (run: ActiveRun): void =>
      Option.getOrUndefined(events)?.publish({
        type: "run",
        at: clock.unsafeCurrentTimeMillis(),
        runId: run.runId,
        workflow: run.workflowName,
        status: "running"
      })
)
