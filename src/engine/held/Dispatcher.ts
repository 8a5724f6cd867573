/**
 * What this process holds and executes: the Runner's state, the workflows that are registered, the
 * runs in memory and the steps in flight. The layer below both the engine (which asks it to execute
 * steps) and the Runner (which fills and drains it), so that HTTP can show all of it from before
 * the Runner starts until after it has stopped.
 */
import type { DurableDeferred, Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { RunnerState } from "../../api/RunnerState.js"
import * as Events from "../../events/Events.js"
import * as Elapsed from "../../internal/Elapsed.js"
import * as KeepGoing from "../../internal/KeepGoing.js"
import {
  type Change,
  type ClaimedRun,
  type CreatedRun,
  type Held,
  type Json,
  type NewRun,
  type Run,
  type RunLost,
  RunStore,
  type RunStoreError
} from "../../store/RunStore.js"
import * as Metrics from "../../telemetry/Metrics.js"
import { blockCause } from "../../values/Codec.js"
import * as ValueSize from "../../values/ValueSize.js"
import type { Ending } from "../pass/Pass.js"
import { ofSameWorkflow, type RunIdTaken } from "../RunIdTaken.js"
import * as RunnerConfig from "../RunnerConfig.js"
import { Signals } from "../Signals.js"
import * as Slots from "../step/Slots.js"
import type { StepInFlight } from "../step/StepInFlight.js"
import * as Steps from "../step/Steps.js"
import type { ActiveRun, Registration } from "./ActiveRun.js"
import * as Active from "./ActiveRuns.js"
import * as Backlogs from "./Backlog.js"
import * as Besides from "./Beside.js"
import * as Leases from "./Lease.js"
import * as Persist from "./Persist.js"
import * as Results from "./Results.js"
import * as ScopeAround from "./ScopeAround.js"
import * as SetAside from "./SetAside.js"

/** A run as it is, and whether it was stored now. */
export type Started = Pick<CreatedRun, "run" | "created">

/** What is for the engine and the Runner alone is left out of the package's types. */
export interface Holding {
  readonly state: SubscriptionRef.SubscriptionRef<RunnerState>

  /** The workflows registered in this process. */
  readonly workflows: Effect.Effect<ReadonlyArray<Workflow.Any>>

  /**
   * The deferred of that name, when the workflow has awaited it in this process or declares it
   * with the `Signals` annotation.
   */
  readonly deferred: (workflow: string, name: string) => Option.Option<DurableDeferred.Any>

  /** The steps in flight in this process, oldest first. */
  readonly inFlight: Effect.Effect<ReadonlyArray<StepInFlight>>

  /** For how many milliseconds more a drain that has begun waits for them; `undefined` where none has. */
  readonly drainLeft: Effect.Effect<number | undefined>

  /**
   * Stores a run, and begins it at once where this process has room and the workflow. Durable
   * when it succeeds, in every state. A run with the same `runId` is left as it is, and `created`
   * is then false; one of another workflow is not what was asked for.
   */
  readonly start: (run: NewRun) => Effect.Effect<Started, RunIdTaken | RunStoreError>

  /** As `start`, of a child: refused once its parent is not held under that claim. @internal */
  readonly startChild: (
    run: NewRun,
    parent: Held
  ) => Effect.Effect<Run, RunIdTaken | RunStoreError | RunLost>

  /** Waits for the end of a run, wherever it is executed: its encoded `Exit`. */
  readonly result: (runId: string) => Effect.Effect<Json, RunStoreError>

  /** Starts a run and waits for its end. */
  readonly startAndAwait: (run: NewRun) => Effect.Effect<Json, RunIdTaken | RunStoreError>

  /**
   * Registers a workflow for as long as the scope is open. Its release is a drain of that workflow
   * alone: it waits for its steps in flight, with a deadline of its own, and gives its runs back,
   * while those of others go on. Where the scope around the executor closes too it is the first
   * part of the executor's own drain, and shares its deadline.
   *
   * Dies with `WorkflowAlreadyRegistered`.
   * @internal
   */
  readonly register: (registration: Registration) => Effect.Effect<void, never, Scope.Scope>

  /**
   * Does other work for as long as the scope is open, in a fiber of its own. Drains wait for its
   * pieces as they do for steps, and so does its release.
   * @internal
   */
  readonly beside: <R>(
    name: string,
    work: (beside: Besides.Beside) => Effect.Effect<unknown, never, R>
  ) => Effect.Effect<void, never, R | Scope.Scope>

  /** @internal */
  readonly steps: Steps.Steps
  /** @internal */
  readonly runs: Active.ActiveRuns
  /** The workflow has awaited this deferred. @internal */
  readonly noteDeferred: (workflow: string, deferred: DurableDeferred.Any) => void
  /** Runs of this workflow take no new work in this process. @internal */
  readonly isDraining: (run: ActiveRun) => boolean
  /** The text of a value, if it is not too large to be stored. @internal */
  readonly bounded: ValueSize.Bounded
  /** Whether it is a run of this process, and not of another executor in it. @internal */
  readonly holds: (run: ActiveRun) => boolean
  /** Ends the run's present pass from outside. @internal */
  readonly end: (run: ActiveRun, ending: Ending) => void
  /** Goes on with a run that waits in memory. @internal */
  readonly activate: (run: ActiveRun) => Effect.Effect<void>

  /** The id under which this process holds runs, while it does. @internal */
  readonly executor: () => number | undefined
  /** Says which that is. @internal */
  readonly setExecutor: (id: number | undefined) => void
  /** This executor's lease, as far as it knows. @internal */
  readonly lease: Leases.Lease
  /** How many more runs there is room for. @internal */
  readonly room: () => number
  /** How many more bytes of JSON there is room for; at least 1 while there is room. @internal */
  readonly roomInBytes: () => number
  /** Keeps room for runs that are about to be claimed. @internal */
  readonly reserve: Reserve
  /** The registered workflows whose runs may be claimed. @internal */
  readonly claimable: () => ReadonlyArray<string>
  /** Begins runs that were claimed; gives back those that must not begin any more. @internal */
  readonly begin: (runs: ReadonlyArray<ClaimedRun>) => Effect.Effect<void>
  /** Opened whenever there may be something to claim. @internal */
  readonly wanted: Effect.Latch
  /**
   * The executor stops: refuses every step from now on. Answers with the time at which the drain has
   * to be over, as `Elapsed.now`, which counts from when it was first called.
   * @internal
   */
  readonly beginDrain: Effect.Effect<number>
  /** Ends what this process holds, as a drain does; see `ActiveRuns.retire`. @internal */
  readonly retire: (deadline: number) => Effect.Effect<Active.Retired>
}

export class Dispatcher extends Context.Tag("effect-workflow-executor/Dispatcher")<
  Dispatcher,
  Holding
>() {}

/** A workflow of that name is registered in this executor already. A fault in the app's code. */
export class WorkflowAlreadyRegistered extends Data.TaggedError("WorkflowAlreadyRegistered")<{
  readonly workflow: string
}> {
  override get message() {
    return `workflow "${this.workflow}" is registered twice in one executor: two workflows have that name, or its layer is provided in two places`
  }
}

/** @param isStopping whether the scope around the executor has begun to close */
const make = Effect.fnUntraced(function* (isStopping: Effect.Effect<boolean>) {
  const store = yield* RunStore
  const config = yield* RunnerConfig.RunnerConfig
  const state = yield* SubscriptionRef.make<RunnerState>("idle")
  const { giveUp, persist } = yield* Persist.make
  const wanted = yield* Effect.makeLatch(false)
  const scope = yield* Effect.scope
  const clock = yield* Effect.clock
  const lease = Leases.make({
    clock,
    millis: Duration.toMillis(config.leaseDuration),
    onGranted: () => slots.look()
  })
  const slots = Slots.make(config.maxConcurrentSteps, lease.isFresh)
  const events = Option.getOrUndefined(yield* Effect.serviceOption(Events.Events))

  const registrations = new Map<string, Registration>()
  /** All that there have been. */
  const registrationsOf = new WeakSet<Registration>()
  const deferreds = new Map<string, DurableDeferred.Any>()
  /** Registrations that are being released. */
  const retiring = new Set<Registration>()
  /** What is done beside runs. */
  const besides = new Set<Besides.Beside>()
  let executor: number | undefined
  /** When this executor began to stop. */
  let stoppingSince: number | undefined
  /** Room kept for runs that are being stored or claimed. */
  let reserved = 0
  const backlog = Backlogs.make()

  const bounded = ValueSize.bounded(config.maxValueSize)
  const isStopped = () => stoppingSince !== undefined
  const isDraining = (run: ActiveRun) => isStopped() || run.lost || retiring.has(run.registration)

  const steps = yield* Steps.make({
    store,
    slots,
    lease,
    persist,
    bounded,
    refuses: isDraining,
    onLost: (run) => runs.end(run, { _tag: "lost" }),
    onBlocked: (run, message) =>
      runs.end(run, {
        _tag: "block",
        cause: blockCause(`run ${run.runId} of workflow "${run.workflowName}": ${message}`)
      }),
    onLanded: () => runs.poke(),
    activate: (run) => runs.activate(run)
  })

  const runs = Active.make({
    store,
    persist,
    giveUp,
    steps,
    isDraining,
    bounded,
    clock,
    warm: { runs: config.maxWarmRuns, bytes: config.maxWarmBytes },
    maxRunSize: config.maxRunSize,
    maxCrashes: config.maxCrashes,
    grace: config.stopGrace,
    onRoom: () => roomFreed(),
    onRunning: (run) =>
      events?.publish({
        type: "run",
        at: clock.unsafeCurrentTimeMillis(),
        runId: run.runId,
        workflow: run.workflowName,
        status: "running"
      })
  })

  const results = yield* Results.make(store)
  yield* watch(
    store,
    (change) => react(change),
    Effect.suspend(() => look)
  )

  const react = (change: Change) => {
    if (change.pending || change.foreign) {
      backlog.grows()
      wanted.unsafeOpen()
    }
    // first whose runs they are, then what they were told
    runs.woken(change.woken)
    for (const { exit, runId } of change.finished) {
      results.tell(runId, exit)
      runs.childFinished(runId, exit)
    }
    for (const signal of change.signals) runs.signal(signal)
    for (const runId of change.interrupts) runs.interrupt(runId)
    return change.foreign ? look : Effect.void
  }

  /** Another process has written since the last look began. */
  let unseen = false
  let looking = false

  /**
   * What another process wrote is looked for until it could be read; beside what is told of this
   * process's own writes, which does not wait for it.
   */
  const look: Effect.Effect<void> = Effect.suspend(() => {
    unseen = true
    if (looking) return Effect.void
    looking = true
    return Effect.asVoid(Effect.forkIn(lookWhileUnseen, scope))
  })

  const lookWhileUnseen = Effect.gen(function* () {
    while (unseen) {
      unseen = false
      yield* Effect.catchAllCause(lookOnce, (cause) => {
        unseen = true
        return Effect.zipRight(
          Effect.logWarning("store could not be read; trying again", cause),
          Effect.sleep("1 second")
        )
      })
    }
    looking = false
  })

  const lookOnce = Effect.suspend(() =>
    Effect.zipRight(
      results.look(runs.childrenAwaited()),
      executor === undefined ? Effect.void : runs.refresh(executor)
    )
  )

  /** There may be runs to claim, which wait for room. */
  let roomWanted = false
  const roomFreed = () => {
    if (!roomWanted) return
    roomWanted = false
    wanted.unsafeOpen()
  }
  const reserve: Reserve = (wanted, use) =>
    Effect.suspend(() => {
      const count = Math.max(0, Math.min(room(), wanted))
      if (count === 0) {
        roomWanted = true
        return Effect.void
      }
      reserved += count
      const version = backlog.version()
      return Effect.ensuring(
        use(count, () => backlog.isTaken(version)),
        Effect.sync(() => {
          reserved -= count
          roomFreed()
        })
      )
    })
  const roomInBytes = () => config.maxConcurrentBytes - runs.bytes()
  const room = () => {
    if (isStopped()) return 0
    const under = runs.size() + reserved
    // one is begun whatever it has: it would wait for ever
    return under > 0 && roomInBytes() <= 0 ? 0 : config.maxConcurrentRuns - under
  }

  const beginOne = (run: ClaimedRun): Effect.Effect<void> => {
    const registration = registrations.get(run.workflow)
    if (registration === undefined || isStopped()) {
      return Effect.ignore(persist(store.release([{ held: run.held, timers: [] }])))
    }
    if (run.bytes > config.maxRunSize) {
      return SetAside.unread(run, config.maxRunSize, { store, persist })
    }
    return Effect.catchAllDefect(
      Effect.sync(() => runs.begin(registration, run)),
      // the others that were claimed with it are begun
      (defect) => SetAside.unbegun(run, defect, { store, persist })
    )
  }

  const begin = (claimed: ReadonlyArray<ClaimedRun>) =>
    // those that are given back come last: the others are told what comes next from now on
    Effect.suspend(() => Effect.all(claimed.map(beginOne), { discard: true }))

  const startIn = <E>(create: Create<E>, run: NewRun): Effect.Effect<Started, E> =>
    Effect.suspend(() => {
      const isNext = room() > 0 && registrations.has(run.workflow) && !backlog.mayWait()
      const claimFor = isNext ? executor : undefined
      if (claimFor === undefined) {
        backlog.grows()
        return create(run)
      }
      reserved++
      // a run that is claimed is also begun, or given back
      return Effect.uninterruptible(
        Effect.matchCauseEffect(create(run, claimFor), {
          onFailure: (cause) => {
            reserved--
            roomFreed()
            return Effect.failCause(cause)
          },
          onSuccess: (answer) => {
            reserved--
            if (answer.claimed !== undefined) {
              return Effect.as(beginOne(answer.claimed), answer)
            }
            roomFreed()
            return Effect.succeed(answer)
          }
        })
      )
    })

  const start = (run: NewRun) => Effect.flatMap(startIn(store.create, run), ofSameWorkflow(run))

  const budget = Duration.toMillis(config.stopTimeout)
  const beginDrain = Effect.map(Elapsed.now, (now) => {
    if (stoppingSince === undefined) {
      stoppingSince = now
      slots.close()
      for (const { draining } of [...registrations.values(), ...retiring]) draining.unsafeOpen()
      for (const { close } of besides) close()
    }
    return stoppingSince + budget
  })

  const register = (registration: Registration) =>
    Effect.suspend(() => {
      const { name } = registration.workflow
      if (registrations.has(name))
        return Effect.die(new WorkflowAlreadyRegistered({ workflow: name }))
      registrations.set(name, registration)
      registrationsOf.add(registration)
      if (isStopped()) registration.draining.unsafeOpen()
      Metrics.registered(name)
      backlog.grows()
      wanted.unsafeOpen()
      return Effect.addFinalizer(() => unregister(registration))
    })

  /** Of what is released alone it is its own. */
  const deadlineOfRelease = Effect.gen(function* () {
    const stops = isStopped() || (yield* isStopping)
    return stops ? yield* beginDrain : (yield* Elapsed.now) + budget
  })

  const beside: Dispatcher["Type"]["beside"] = (name, work) =>
    Effect.suspend(() => {
      const one = Besides.make(name, config.stopGrace)
      if (isStopped()) one.close()
      besides.add(one)
      const release = Effect.flatMap(deadlineOfRelease, one.drain).pipe(
        Effect.ensuring(Effect.sync(() => besides.delete(one)))
      )
      // released before the fiber is interrupted
      return Effect.zipRight(
        Effect.forkScoped(work(one)),
        Effect.addFinalizer(() => release)
      )
    })

  const retire = (until: number) =>
    Effect.zipLeft(
      runs.retire(() => true, { deadline: until, final: true }),
      Effect.forEach(besides, (one) => one.drain(until), {
        concurrency: "unbounded",
        discard: true
      }),
      { concurrent: true }
    )

  const unregister = (registration: Registration) =>
    Effect.gen(function* () {
      registrations.delete(registration.workflow.name)
      retiring.add(registration)
      registration.draining.unsafeOpen()
      slots.recheck()
      const retired = yield* runs.retire((run) => run.registration === registration, {
        deadline: yield* deadlineOfRelease,
        final: false
      })
      yield* Active.logCut(retired)
      retiring.delete(registration)
    })

  return Dispatcher.of({
    state,
    workflows: Effect.sync(() => Array.from(registrations.values(), ({ workflow }) => workflow)),
    deferred: (workflow, name) =>
      Option.fromNullable(
        deferreds.get(`${workflow}/${name}`) ?? declared(registrations.get(workflow), name)
      ),
    inFlight: Effect.sync(steps.list),
    drainLeft: Effect.map(Elapsed.now, (now) =>
      stoppingSince === undefined ? undefined : Math.max(0, stoppingSince + budget - now)
    ),
    start,
    startChild: (run, parent) =>
      startIn(store.by(parent).create, run).pipe(
        Effect.flatMap(ofSameWorkflow(run)),
        Effect.map(({ run }) => run)
      ),
    result: (runId) =>
      results.of(
        runId,
        Effect.map(store.find(runId), (run) => Option.getOrUndefined(run))
      ),
    startAndAwait: (run) =>
      results.of(
        run.runId,
        Effect.map(start(run), ({ run }) => run)
      ),
    register,
    beside,
    steps,
    runs,
    noteDeferred: (workflow, deferred) => {
      const key = `${workflow}/${deferred.name}`
      deferreds.delete(key)
      deferreds.set(key, deferred)
      if (deferreds.size <= rememberedDeferreds) return
      const [oldest = key] = deferreds.keys()
      deferreds.delete(oldest)
    },
    isDraining,
    bounded,
    holds: (run) => registrationsOf.has(run.registration),
    end: runs.end,
    activate: runs.activate,
    executor: () => executor,
    setExecutor: (id) => {
      executor = id
    },
    lease,
    room,
    roomInBytes: () => Math.max(1, roomInBytes()),
    reserve,
    claimable: () => [...registrations.keys()],
    begin,
    wanted,
    beginDrain,
    retire
  })
})

export const layer: Layer.Layer<Dispatcher, never, RunStore | RunnerConfig.RunnerConfig> =
  Layer.unwrapEffect(
    Effect.map(Effect.serviceOption(Scope.Scope), (around) =>
      Layer.scoped(Dispatcher, Effect.flatMap(ScopeAround.isClosing(around), make))
    )
  )

/**
 * Keeps room for up to `wanted` runs while `use` claims and begins them. Where there is none, opens
 * `Dispatcher.wanted` once there is.
 */
type Reserve = <E, R>(
  wanted: number,
  use: (
    count: number,
    /** It got less than it asked for: nothing waits but what has come meanwhile. */
    nothingWaits: () => void
  ) => Effect.Effect<void, E, R>
) => Effect.Effect<void, E, R>

/** Who stores a run. */
type Create<E> = (run: NewRun, claimFor?: number) => Effect.Effect<CreatedRun, E>

const declared = (registration: Registration | undefined, name: string) =>
  registration === undefined
    ? undefined
    : Context.get(registration.workflow.annotations, Signals).find(
        (deferred) => deferred.name === name
      )

/** A workflow may name its deferreds after its data; the oldest are forgotten. */
const rememberedDeferreds = 1_000

/** Handles what commits change, in the background. */
const watch = (
  store: RunStore["Type"],
  react: (change: Change) => Effect.Effect<void>,
  look: Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const changes = yield* store.changes
    const round = Effect.flatMap(changes.take, (change) =>
      Effect.suspend(() => react(change)).pipe(
        // what was to be told then is read from the store
        Effect.tapErrorCause(() => look)
      )
    )
    yield* Effect.forkScoped(KeepGoing.forever("telling runs what has changed", round))
  })
