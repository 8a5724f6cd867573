/**
 * The runs that this process holds: begun, told what happens to them, cut, and brought to an end.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Elapsed from "../internal/Elapsed.js"
import type { ClaimedRun, Json, RunStore, RunStoreError } from "../RunStore.js"
import type { StepInFlight } from "../StepInFlight.js"
import * as Metrics from "../telemetry/Metrics.js"
import type { Spans } from "../telemetry/Spans.js"
import { ActiveRun, type Halt, type Registration, strongerHalt } from "./ActiveRun.js"
import { type DriveOptions, drive } from "./Drive.js"
import type { Origin } from "./Fibers.js"
import type { Persist } from "./Persist.js"
import type { Told } from "./Results.js"
import type { Steps } from "./Steps.js"
import { turn } from "./Turn.js"
import type { Bounded } from "./ValueSize.js"

/** What a retirement left behind. */
export interface Retired {
  /** Steps still in flight at the deadline, which were interrupted. */
  readonly cut: ReadonlyArray<StepInFlight>
  /** Runs whose code could not be ended within the grace either. */
  readonly abandoned: ReadonlyArray<string>
  /** How many runs were handed over. */
  readonly handedOver: number
}

export interface ActiveRuns {
  readonly size: () => number
  readonly begin: (registration: Registration, claimed: ClaimedRun) => void
  readonly halt: (run: ActiveRun, halt: Halt) => void
  /** A step has landed: whoever retires runs looks again. */
  readonly poke: () => void

  readonly signal: (signal: {
    readonly runId: string
    readonly name: string
    readonly exit: Json
  }) => void
  readonly interrupt: (runId: string) => void
  readonly childFinished: (runId: string, exit: Json) => void
  /** The run waits for this child while it is in memory. */
  readonly awaitChild: (run: ActiveRun, child: string) => void
  readonly childrenAwaited: () => ReadonlyArray<Told>
  /** Reads again what other processes told the runs held here. */
  readonly refresh: (executor: number) => Effect.Effect<void, RunStoreError>

  /**
   * Ends the matching runs without ending a step: waits until each one's steps are recorded and
   * the run is over, suspended or handed over. What is still in flight at the deadline (as
   * `Elapsed.now`) is interrupted, and what does not heed that within the grace is left behind. With
   * `final` writes that fail after the deadline are not tried again.
   */
  readonly retire: (
    matches: (run: ActiveRun) => boolean,
    options: { readonly deadline: number; readonly final: boolean }
  ) => Effect.Effect<Retired>
  /** Cuts every run, because another executor holds them now, and waits for that. */
  readonly lose: Effect.Effect<number>
}

/** How many quiet turns a run between steps is given to reach its next step by itself. */
const patience = 3

/** How long the store may take to answer when runs are left behind. */
const storeTimeout = Duration.seconds(5)

export const make = (options: {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
  readonly giveUp: Effect.Effect<void>
  readonly steps: Steps
  readonly spans: Spans
  readonly isDraining: (run: ActiveRun) => boolean
  readonly origin: Origin
  readonly bounded: Bounded
  readonly grace: Duration.Duration
  readonly onRoom: () => void
}): ActiveRuns => {
  const active = new Map<string, ActiveRun>()
  const parents = new Map<string, Set<ActiveRun>>()
  const looking = new Set<() => void>()
  /** Grows with everything that whoever retires runs waits for. */
  let version = 0
  let handedOver = 0

  const poke = () => {
    version++
    if (looking.size > 0) for (const look of [...looking]) look()
  }

  /** Until something has changed since that version. */
  const changedSince = (seen: number) =>
    Effect.async<void>((resume) => {
      if (version !== seen) return resume(Effect.void)
      const look = () => {
        looking.delete(look)
        resume(Effect.void)
      }
      looking.add(look)
      return Effect.sync(() => {
        looking.delete(look)
      })
    })

  const hold = (run: ActiveRun) => {
    if (!active.has(run.runId)) Metrics.runsHeld(1)
    active.set(run.runId, run)
  }

  const letGo = (run: ActiveRun) => {
    if (active.get(run.runId) !== run) return
    active.delete(run.runId)
    Metrics.runsHeld(-1)
  }

  const remove = (run: ActiveRun) => {
    letGo(run)
    for (const child of run.children.keys()) {
      const waiting = parents.get(child)
      if (waiting?.delete(run) && waiting.size === 0) parents.delete(child)
    }
    if (run.handedOver) handedOver++
    poke()
    options.onRoom()
  }

  const driveOptions: DriveOptions = { ...options, onOver: remove }

  const begin = (registration: Registration, claimed: ClaimedRun) => {
    const run = new ActiveRun(registration, claimed)
    hold(run)
    for (const [child, exit] of run.children) if (exit === undefined) awaitChild(run, child)
    drive(run, driveOptions)
  }

  const halt = (run: ActiveRun, reason: Halt) => {
    if (reason._tag === "interrupt") run.interrupting = true
    if (reason._tag === "lost") run.lost = true
    if (run.fiber === undefined || run.instance === undefined) return
    // compensations are not cut: the next step of one parks it, and plain ones are let finish
    if (run.closing && (reason._tag === "interrupt" || reason._tag === "park")) {
      if (reason._tag === "park") run.refused = true
      return
    }
    run.halt = strongerHalt(run.halt, reason)
    run.instance.suspended = true
    run.fiber.unsafeInterruptAsFork(run.fiber.id())
    run.changed()
    // a step of a compensation does not heed its workflow's interrupt
    if (reason._tag === "lost") options.steps.cut((other) => other === run)
  }

  const awaitChild = (run: ActiveRun, child: string) => {
    const waiting = parents.get(child)
    if (waiting === undefined) parents.set(child, new Set([run]))
    else waiting.add(run)
  }

  const childFinished = (child: string, exit: Json) => {
    for (const run of parents.get(child) ?? []) {
      run.setChild(child, exit)
      run.changed()
    }
  }

  const refresh = Effect.fnUntraced(function* (executor: number) {
    for (const held of yield* options.store.wokenRuns(executor)) {
      const run = active.get(held.runId)
      if (run === undefined || run.held.claim !== held.claim) continue
      const history = yield* Effect.option(options.store.history(held))
      if (history._tag === "None") continue
      // the pass goes on with the wake-up count it began with, so that its suspension is refused
      const { wakeups } = run
      run.load(history.value)
      run.wakeups = wakeups
      run.changed()
      if (history.value.interruptRequested) halt(run, { _tag: "interrupt" })
    }
  })

  /** Parks runs that are between steps, and waits until none that match is left. */
  const parkUntilNone = (matches: (run: ActiveRun) => boolean) =>
    Effect.gen(function* () {
      const quiet = new Map<ActiveRun, number>()
      while (true) {
        const seen = version
        const left = [...active.values()].filter(matches)
        if (left.length === 0) return
        const idle = left.filter((run) => isBetweenSteps(run))
        for (const run of idle) {
          const turns = quiet.get(run) ?? 0
          quiet.set(run, turns + 1)
          if (turns === patience) halt(run, { _tag: "park" })
        }
        for (const run of left) if (run.stepsInFlight > 0) quiet.delete(run)
        yield* idle.some((run) => (quiet.get(run) ?? 0) <= patience) ? turn : changedSince(seen)
      }
    })

  const retire: ActiveRuns["retire"] = (matches, { deadline, final }) =>
    Effect.gen(function* () {
      const before = handedOver
      for (const run of active.values()) if (matches(run)) run.changed()
      const remaining = Math.max(0, deadline - (yield* Elapsed.now))
      const parked = yield* within(parkUntilNone(matches), Duration.millis(remaining))
      if (final) yield* options.giveUp
      if (parked) return { cut: [], abandoned: [], handedOver: handedOver - before }

      const late = new Set([...active.values()].filter(matches))
      for (const run of late) halt(run, { _tag: "park" })
      const cut = options.steps.cut((run) => late.has(run))
      yield* within(parkUntilNone(matches), options.grace)
      const abandoned = [...active.values()].filter(matches)
      yield* abandon(abandoned)
      return {
        cut,
        abandoned: abandoned.map((run) => run.runId),
        handedOver: handedOver - before
      }
    })

  /** Gives back runs whose code goes on all the same; what it still writes will be refused. */
  const abandon = (runs: ReadonlyArray<ActiveRun>) =>
    Effect.gen(function* () {
      if (runs.length === 0) return
      for (const run of runs) {
        run.lost = true
        letGo(run)
      }
      const released = yield* Effect.forkDaemon(
        options.persist(
          options.store.release(
            runs.map((run) => ({ held: run.held, timers: run.takeNewTimers() }))
          )
        )
      )
      handedOver += yield* Fiber.join(released).pipe(
        Effect.interruptible,
        Effect.timeout(storeTimeout),
        Effect.catchAll((error) =>
          Effect.as(Effect.logError("runs not handed over", Cause.fail(error)), 0)
        )
      )
    })

  return {
    size: () => active.size,
    begin,
    halt,
    poke,
    signal: ({ exit, name, runId }) => {
      const run = active.get(runId)
      if (run === undefined || run.signals.has(name)) return
      run.setSignal(name, exit)
      run.changed()
    },
    interrupt: (runId) => {
      const run = active.get(runId)
      if (run !== undefined) halt(run, { _tag: "interrupt" })
    },
    childFinished,
    awaitChild,
    childrenAwaited: () =>
      Array.from(parents.keys(), (runId) => ({
        runId,
        tell: (exit: Json) => childFinished(runId, exit)
      })),
    refresh,
    retire,
    lose: Effect.gen(function* () {
      const lost = [...active.values()]
      for (const run of lost) halt(run, { _tag: "lost" })
      yield* within(
        Effect.gen(function* () {
          while (true) {
            const seen = version
            if (!lost.some((run) => active.get(run.runId) === run)) return
            yield* changedSince(seen)
          }
        }),
        options.grace
      )
      for (const run of lost) letGo(run)
      return lost.length
    })
  }
}

/** In a pass, with no step in flight and not in its compensations. */
const isBetweenSteps = (run: ActiveRun) =>
  run.fiber !== undefined && run.stepsInFlight === 0 && !run.closing

/** Whether it was done in that time. */
const within = (effect: Effect.Effect<void>, duration: Duration.Duration) =>
  Effect.map(
    Effect.timeoutOption(Effect.interruptible(effect), duration),
    (done) => done._tag === "Some"
  )

/** A line of the log names at most so many. */
const named = (names: ReadonlyArray<string>) => names.slice(0, 100)

/** Says what was cut, and what could not be. */
export const logCut = (retired: Retired): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (retired.cut.length > 0) {
      yield* Effect.logWarning("stop timeout: steps interrupted").pipe(
        Effect.annotateLogs({
          count: retired.cut.length,
          steps: named(retired.cut.map((step) => step.key))
        })
      )
    }
    if (retired.abandoned.length > 0) {
      yield* Effect.logError("stop timeout: code that cannot be interrupted was left behind").pipe(
        Effect.annotateLogs({ count: retired.abandoned.length, runIds: named(retired.abandoned) })
      )
    }
  })
