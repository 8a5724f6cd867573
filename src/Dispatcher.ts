/**
 * What this process holds and executes: the Runner's state, the workflows that are registered, the
 * runs in memory and the steps in flight. The layer below both the engine (which asks it to execute
 * steps) and the Runner (which fills and drains it), so that HTTP can show all of it from before
 * the Runner starts until after it has stopped.
 */
import type { DurableDeferred, Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Events from "./Events.js"
import type { ActiveRun, Registration } from "./engine/ActiveRun.js"
import * as Active from "./engine/ActiveRuns.js"
import * as Backlogs from "./engine/Backlog.js"
import { blockCause } from "./engine/Codec.js"
import * as Leases from "./engine/Lease.js"
import type { Ending } from "./engine/Pass.js"
import * as Persist from "./engine/Persist.js"
import * as Results from "./engine/Results.js"
import { ofSameWorkflow, type RunIdTaken } from "./engine/RunIdTaken.js"
import * as SetAside from "./engine/SetAside.js"
import * as Slots from "./engine/Slots.js"
import * as Steps from "./engine/Steps.js"
import * as ValueSize from "./engine/ValueSize.js"
import * as Elapsed from "./internal/Elapsed.js"
import * as KeepGoing from "./internal/KeepGoing.js"
import * as RunnerConfig from "./RunnerConfig.js"
import type { RunnerState } from "./RunnerState.js"
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
} from "./RunStore.js"
import { Signals } from "./Signals.js"
import type { StepInFlight } from "./StepInFlight.js"
import * as Metrics from "./telemetry/Metrics.js"
import * as Spans from "./telemetry/Spans.js"

/** A run, and whether it was stored now. */
export interface Started extends Run {
  readonly created: boolean
}

const started = ({ created, run }: { readonly created: boolean; readonly run: Run }): Started => ({
  ...run,
  created
})

export class Dispatcher extends Context.Tag("effect-workflow-executor/Dispatcher")<
  Dispatcher,
  {
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
     * Registers a workflow for as long as the scope is open. Its release waits for the steps of
     * that workflow which are in flight, as a drain does, and gives its runs back.
     * @internal
     */
    readonly register: (registration: Registration) => Effect.Effect<void, never, Scope.Scope>

    /** @internal */
    readonly steps: Steps.Steps
    /** @internal */
    readonly runs: Active.ActiveRuns
    /** @internal */
    readonly spans: Spans.Spans
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
    /** Refuses every step from now on. @internal */
    readonly closeSlots: Effect.Effect<void>
    /** When a drain that begins now has to be over, as `Elapsed.now`. @internal */
    readonly deadline: Effect.Effect<number>
    /** Ends what this process holds, as a drain does; see `ActiveRuns.retire`. @internal */
    readonly retire: (deadline: number) => Effect.Effect<Active.Retired>
  }
>() {}

export const make: Effect.Effect<
  Dispatcher["Type"],
  never,
  RunStore | RunnerConfig.RunnerConfig | Scope.Scope
> = Effect.gen(function* () {
  const store = yield* RunStore
  const config = yield* RunnerConfig.RunnerConfig
  const state = yield* SubscriptionRef.make<RunnerState>("idle")
  const runtime = yield* Effect.runtime()
  const { giveUp, persist } = yield* Persist.make
  const spans = yield* Spans.make
  const wanted = yield* Effect.makeLatch(false)
  /** Released when a workflow is registered: this is not an executor that stops. */
  const goesOn = yield* Effect.makeLatch(false)
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
  /** When the releases of registrations began that are under way or have just been, and ended. */
  let releasing: { readonly began: number; ended: number } | undefined
  let executor: number | undefined
  let stopping = false
  /** Room kept for runs that are being stored or claimed. */
  let reserved = 0
  const backlog = Backlogs.make()

  const bounded = ValueSize.bounded(config.maxValueSize)
  const isDraining = (run: ActiveRun) => stopping || run.lost || retiring.has(run.registration)

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
    spans,
    isDraining,
    origin: runtime,
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
    if (stopping) return 0
    const under = runs.size() + reserved
    // one is begun whatever it has: it would wait for ever
    return under > 0 && roomInBytes() <= 0 ? 0 : config.maxConcurrentRuns - under
  }

  const beginOne = (run: ClaimedRun): Effect.Effect<void> => {
    const registration = registrations.get(run.workflow)
    if (registration === undefined || stopping) {
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
        return Effect.map(create(run), started)
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
              return Effect.as(beginOne(answer.claimed), started(answer))
            }
            roomFreed()
            return Effect.succeed(started(answer))
          }
        })
      )
    })

  const start = (run: NewRun) => Effect.flatMap(startIn(store.create, run), ofSameWorkflow(run))

  const budget = Duration.toMillis(config.stopTimeout)
  /** The drain that is under way now, or one that begins. */
  const draining = (now: number) =>
    releasing !== undefined &&
    (retiring.size > 0 || now < Math.max(releasing.began + budget, releasing.ended + sameDrain))
      ? releasing
      : { began: now, ended: now }
  const deadline = Effect.map(Elapsed.now, (now) => draining(now).began + budget)

  /** Waits for the steps of one workflow, while no step of any other starts. */
  const unregister = (registration: Registration) =>
    Effect.gen(function* () {
      const { name } = registration.workflow
      if (registrations.get(name) === registration) registrations.delete(name)
      const drain = draining(yield* Elapsed.now)
      releasing = drain
      retiring.add(registration)
      slots.pause()
      slots.recheck()
      const retired = yield* runs.retire((run) => run.registration === registration, {
        deadline: drain.began + budget,
        final: false
      })
      yield* Active.logCut(retired)
      retiring.delete(registration)
      drain.ended = yield* Elapsed.now
      // when the whole executor stops the next release follows: let no step start in between
      yield* Effect.sleep(betweenReleases).pipe(
        Effect.raceFirst(goesOn.await),
        Effect.ensuring(Effect.sync(slots.resume)),
        Effect.interruptible,
        Effect.forkIn(scope)
      )
    })

  return Dispatcher.of({
    state,
    workflows: Effect.sync(() => Array.from(registrations.values(), ({ workflow }) => workflow)),
    deferred: (workflow, name) =>
      Option.fromNullable(
        deferreds.get(`${workflow}/${name}`) ?? declared(registrations.get(workflow), name)
      ),
    inFlight: Effect.sync(steps.list),
    start,
    startChild: (run, parent) =>
      Effect.flatMap(startIn(store.by(parent).create, run), ofSameWorkflow(run)),
    result: (runId) =>
      results.of(
        runId,
        Effect.map(store.find(runId), (run) => Option.getOrUndefined(run))
      ),
    startAndAwait: (run) => results.of(run.runId, start(run)),
    register: (registration) =>
      Effect.sync(() => {
        registrations.set(registration.workflow.name, registration)
        registrationsOf.add(registration)
        Metrics.registered(registration.workflow.name)
        releasing = undefined
        backlog.grows()
        wanted.unsafeOpen()
      }).pipe(
        Effect.zipRight(goesOn.release),
        Effect.zipRight(Effect.addFinalizer(() => unregister(registration)))
      ),
    steps,
    runs,
    spans,
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
    closeSlots: Effect.sync(() => {
      stopping = true
      slots.close()
    }),
    deadline,
    retire: (until) => runs.retire(() => true, { deadline: until, final: true })
  })
})

export const layer: Layer.Layer<Dispatcher, never, RunStore | RunnerConfig.RunnerConfig> =
  Layer.scoped(Dispatcher, make)

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

/**
 * How long after the release of a workflow the others' steps still wait. Layers above the Runner
 * are released one after the other, and a drain begins with the first.
 */
const betweenReleases = Duration.seconds(1)

/**
 * Releases that follow each other within this time share the deadline of the first: so long, in
 * milliseconds, the resources may take that are released between two of them.
 */
const sameDrain = 10_000

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
