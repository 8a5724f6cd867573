/**
 * Executes runs for as long as its scope is open, and drains when it closes.
 *
 * The Runner is acquired last, so that its finalizer runs first, while everything that a step or a
 * status query may need is still there. Interrupting the scope (SIGTERM, under
 * `NodeRuntime.runMain`) is all it takes to drain.
 */

import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { RunnerState } from "../api/RunnerState.js"
import { logCut } from "../engine/held/ActiveRuns.js"
import { Dispatcher } from "../engine/held/Dispatcher.js"
import { RunnerConfig } from "../engine/RunnerConfig.js"
import type { StepInFlight } from "../engine/step/StepInFlight.js"
import * as Elapsed from "../internal/Elapsed.js"
import * as Machine from "../internal/Machine.js"
import { version } from "../internal/Version.js"
import { orLeftBehind } from "../internal/Within.js"
import { RunStore, RunStoreError } from "../store/RunStore.js"
import * as Metrics from "../telemetry/Metrics.js"
import * as BulkLoop from "./BulkLoop.js"
import * as Loops from "./Loops.js"
import * as Nudges from "./Nudges.js"
import * as Parking from "./Parking.js"
import { Shutdown } from "./Shutdown.js"
import * as Ticking from "./schedules/Ticking.js"

/**
 * A Runner was started where there is one already, or where one has stopped. A stopped Runner does
 * not start again: build a new executor.
 */
export class RunnerAlreadyStarted extends Data.TaggedError("RunnerAlreadyStarted")<{
  readonly state: RunnerState
}> {
  override get message() {
    return `This executor's Runner is ${this.state}; it starts once. Build a new executor instead`
  }
}

/** What a drain came to. */
export interface Drained {
  /** How long it took, in milliseconds. */
  readonly durationMillis: number
  /** Steps that were in flight when it began. */
  readonly stepsInFlight: number
  /** Steps that were interrupted at the stop timeout. */
  readonly stepsCut: number
  /** Runs that were given to the next executor. */
  readonly handedOver: number
}

export class Runner extends Context.Tag("effect-workflow-executor/Runner")<
  Runner,
  {
    readonly state: Effect.Effect<RunnerState>
    /** The present state, then every change. */
    readonly changes: Stream.Stream<RunnerState>
    /** The steps in flight in this process, oldest first. */
    readonly inFlight: Effect.Effect<ReadonlyArray<StepInFlight>>
    /**
     * Drains now, rather than when the scope closes, and waits for it. Calls at the same time, and
     * the scope's closing, share one drain. Interrupting the caller does not interrupt the drain.
     */
    readonly drain: Effect.Effect<Drained>
    /** Waits until a drain, whoever began it, is over. */
    readonly awaitDrained: Effect.Effect<Drained>
  }
>() {}

export const make: Effect.Effect<
  Runner["Type"],
  RunStoreError | RunnerAlreadyStarted,
  RunStore | Dispatcher | RunnerConfig | Scope.Scope
> = Effect.gen(function* () {
  const dispatcher = yield* Dispatcher
  const context = yield* Effect.context<RunStore | Dispatcher>()
  const drained = yield* Deferred.make<Drained>()
  const gone = yield* Deferred.make<RunStoreError>()
  const drainOnce = (started: Started) =>
    drainRunner(started).pipe(
      Effect.intoDeferred(drained),
      Effect.uninterruptible,
      Effect.provide(context),
      Effect.once
    )

  const drain = yield* Effect.acquireRelease(Effect.flatMap(start(gone), drainOnce), (drain) =>
    Effect.zipRight(drain, Deferred.await(drained))
  )
  yield* Effect.forkScoped(Effect.flatMap(Deferred.await(gone), stopWithout(drain)))

  return Runner.of({
    state: SubscriptionRef.get(dispatcher.state),
    changes: dispatcher.state.changes,
    inFlight: dispatcher.inFlight,
    drain: Effect.zipRight(Effect.forkDaemon(drain), Deferred.await(drained)),
    awaitDrained: Deferred.await(drained)
  })
})

export const layer: Layer.Layer<
  Runner,
  RunStoreError | RunnerAlreadyStarted,
  RunStore | Dispatcher | RunnerConfig
> = Layer.scoped(Runner, make)

/**
 * The store is gone: what is in flight ends, and cannot be recorded. Whoever can end the process is
 * asked to, which drains first; where that is nobody the Runner stops by itself, and is seen to have.
 */
const stopWithout = (drain: Effect.Effect<void>) => (error: RunStoreError) =>
  Effect.gen(function* () {
    yield* Effect.logError("the database is gone; this executor stops", Cause.fail(error))
    const shutdown = yield* Shutdown
    yield* Option.getOrElse(shutdown, () => Effect.forkDaemon(drain))
  })

/** What a Runner has going. */
interface Started {
  /** The id under which this Runner holds runs. */
  readonly executor: () => number
  readonly claiming: Fiber.RuntimeFiber<void>
  readonly ticking: Fiber.RuntimeFiber<void>
  /** Goes on with operations on many runs. */
  readonly bulk: Fiber.RuntimeFiber<void>
  readonly background: ReadonlyArray<Fiber.RuntimeFiber<void>>
}

const start = (gone: Deferred.Deferred<RunStoreError>) =>
  Effect.gen(function* () {
    const dispatcher = yield* Dispatcher
    const store = yield* RunStore
    const { leaseDuration } = yield* RunnerConfig
    let executor = 0
    const register = Effect.suspend(() => {
      const asked = dispatcher.lease.now()
      return store
        .register({
          host: Machine.here.host,
          pid: process.pid,
          version,
          leaseMillis: Duration.toMillis(leaseDuration)
        })
        .pipe(
          Effect.flatMap((id) =>
            Effect.sync(() => {
              executor = id
              dispatcher.lease.setExecutor(id)
              dispatcher.lease.granted(asked)
            })
          )
        )
    })
    yield* SubscriptionRef.updateEffect(
      dispatcher.state,
      (state): Effect.Effect<RunnerState, RunStoreError | RunnerAlreadyStarted> =>
        state === "idle"
          ? Effect.as(register, "running")
          : Effect.fail(new RunnerAlreadyStarted({ state }))
    )
    yield* Effect.logInfo("runner running").pipe(Effect.annotateLogs({ executor }))

    const reregister = Effect.gen(function* () {
      Metrics.leaseLost()
      const lost = yield* dispatcher.runs.lose
      yield* Effect.logWarning("lease lost: another executor has taken over").pipe(
        Effect.annotateLogs({ executor, runs: lost })
      )
      yield* register
      yield* dispatcher.room.wanted.open
    })
    const timers = yield* Effect.makeLatch(true)
    const schedules = yield* Effect.makeLatch(true)
    const bulk = BulkLoop.make(() => executor)
    const parking = Parking.make()
    const nudges = Nudges.tell([
      Loops.nudgeTimers(timers),
      Loops.nudgeLeases(dispatcher.lease),
      Ticking.nudge(schedules),
      bulk.nudge,
      parking.nudge
    ])
    const background = [
      Loops.timers(timers),
      parking.keep,
      Loops.retention,
      Loops.expiry,
      Loops.leases({
        executor: () => executor,
        reregister,
        onGone: (error) => Deferred.succeed(gone, error),
        timers,
        schedules
      })
    ]
    // before anybody has looked: what comes after that is told
    const telling = yield* Effect.forkDaemon(Effect.interruptible(nudges))
    const started: Started = {
      executor: () => executor,
      claiming: yield* Effect.forkDaemon(Effect.interruptible(Loops.claims(() => executor))),
      ticking: yield* Effect.forkDaemon(Effect.interruptible(Ticking.ticking(schedules))),
      bulk: yield* Effect.forkDaemon(Effect.interruptible(bulk.goOn)),
      background: [
        telling,
        ...(yield* Effect.forEach(background, (loop) =>
          Effect.forkDaemon(Effect.interruptible(loop))
        ))
      ]
    }
    return started
  })

/** The drain, in the order in which it happens. */
const drainRunner = (started: Started) =>
  Effect.gen(function* () {
    const dispatcher = yield* Dispatcher
    const began = yield* Elapsed.now
    const inFlight = yield* dispatcher.inFlight

    // no step starts from here on
    const deadline = yield* dispatcher.gate.close
    yield* SubscriptionRef.set(dispatcher.state, "draining")
    yield* Effect.logInfo("drain begun").pipe(
      Effect.annotateLogs({
        stepsInFlight: inFlight.length,
        steps: inFlight.slice(0, 100).map(({ key }) => key)
      })
    )

    // what is due from here on is the next executor's
    yield* Fiber.interruptFork(started.ticking)

    // the steps in flight are recorded, and their runs are over, suspended or handed over
    yield* Fiber.interruptFork(started.claiming)
    yield* Fiber.interruptFork(started.bulk)
    const retired = yield* dispatcher.releases.retire(deadline)
    yield* logCut(retired)

    // a claim that was under way has ended, and what it brought was given back
    yield* Effect.ignore(answered(Fiber.await(started.claiming)))
    yield* Effect.ignore(answered(Fiber.await(started.ticking)))
    // what a part of an operation came to is written down, and another executor goes on from there
    yield* Effect.ignore(answered(Fiber.await(started.bulk)))

    // nothing is held under this executor's name any more
    yield* Effect.forEach(started.background, Fiber.interruptFork, { discard: true })
    const left = yield* Effect.exit(leave(started.executor()))
    dispatcher.lease.setExecutor(undefined)
    yield* SubscriptionRef.set(dispatcher.state, "stopped")

    const result: Drained = {
      durationMillis: Math.round((yield* Elapsed.now) - began),
      stepsInFlight: inFlight.length,
      stepsCut: retired.cut.length,
      handedOver: retired.handedOver + Exit.getOrElse(left, () => 0)
    }
    Metrics.drained(result.durationMillis)
    yield* Effect.logInfo("drain over").pipe(Effect.annotateLogs({ ...result }))
    // whoever stops this process is to know that its runs follow only when the lease lapses
    yield* left
    return result
  })

/** Gives back whatever is still held, and goes. A store that fails does not hold the stop up. */
const leave = (executor: number) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const released = yield* store.releaseAll(executor, Number.MAX_SAFE_INTEGER)
    yield* store.unregister(executor)
    return released
  }).pipe(
    answered,
    Effect.tapError((error) =>
      Effect.logError("runs not handed over: they follow when the lease lapses", Cause.fail(error))
    ),
    Effect.orDie
  )

const answered = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    orLeftBehind("5 seconds")(effect),
    Option.match({
      onNone: () =>
        new RunStoreError({ reason: "unavailable", message: "the store did not answer" }),
      onSome: Effect.succeed
    })
  )
