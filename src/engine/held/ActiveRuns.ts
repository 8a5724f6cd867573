/**
 * The runs that this process holds: begun, told what happens to them, cut, and brought to an end.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Elapsed from "../../internal/Elapsed.js"
import type {
  ClaimedRun,
  Held,
  History,
  Json,
  RunStore,
  RunStoreError,
  Woken,
  WokenRun
} from "../../store/RunStore.js"
import * as Metrics from "../../telemetry/Metrics.js"
import { blockCause, causeToJson } from "../../values/Codec.js"
import type { Bounded } from "../../values/ValueSize.js"
import {
  type DriveOptions,
  type Driving,
  drive,
  end as endPass,
  interrupt as interruptPass,
  next
} from "../pass/Drive.js"
import type { Ending, Pass } from "../pass/Pass.js"
import type { Level } from "../pass/Quiescence.js"
import { make as makeSuspend } from "../pass/Suspend.js"
import { turn } from "../pass/Turn.js"
import type { WarmLimits } from "../pass/Warm.js"
import { ActiveRun, childKey, type Registration } from "../run/ActiveRun.js"
import type { Persist } from "../run/Persist.js"
import * as SetAside from "../run/SetAside.js"
import type { StepInFlight } from "../step/StepInFlight.js"
import type { Steps } from "../step/Steps.js"
import type { Told } from "./Results.js"

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
  /** How many runs there are, but for those that only wait. */
  readonly size: () => number
  /** About how many bytes of JSON they have recorded. */
  readonly bytes: () => number
  /** How many wait in memory, suspended. */
  readonly warm: () => number
  readonly begin: (registration: Registration, claimed: ClaimedRun) => void
  /** Ends the run's present pass from outside. */
  readonly end: (run: ActiveRun, ending: Ending) => void
  /** The run is to be gone on with, and may be written to. */
  readonly activate: (run: ActiveRun) => Effect.Effect<void>
  /** A step has landed: whoever retires runs looks again. */
  readonly poke: () => void

  /** Runs were told something: whose hold on them is over, and who goes on. */
  readonly woken: (woken: ReadonlyArray<Woken>) => void
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
  /** Keeps no run in memory that only waits. */
  readonly evictAll: Effect.Effect<void>

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
  /** What this process holds. */
  readonly held: () => ReadonlyArray<Held>
  /** Cuts every run, because another executor holds them now, and waits for that. */
  readonly lose: Effect.Effect<number>
}

/** How many quiet turns a run between steps is given to reach its next step by itself. */
const patience = 3

/** How many histories that others have added to are read in one turn of the event loop. */
const historiesAtOnce = 16

/** How long the store may take to answer when runs are left behind. */
const storeTimeout = Duration.seconds(5)

export const make = (options: {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
  readonly giveUp: Effect.Effect<void>
  readonly steps: Steps
  readonly isDraining: (run: ActiveRun) => boolean
  readonly bounded: Bounded
  readonly clock: Clock.Clock
  readonly warm: WarmLimits
  /** Bytes of JSON that a run may have. */
  readonly maxRunSize: number
  readonly maxCrashes: number
  readonly grace: Duration.Duration
  readonly onRoom: () => void
  /** A run that was suspended goes on. */
  readonly onRunning: (run: ActiveRun) => void
}): ActiveRuns => {
  const { clock, persist, store } = options
  const active = new Map<string, Driving>()
  const parents = new Map<string, Set<Driving>>()
  /** Runs in which nothing is under way but plain code that waits, beside waits of the engine's. */
  const idle = new Set<Driving>()
  const looking = new Set<() => void>()
  /** Grows with everything that whoever retires runs waits for. */
  let version = 0
  let handedOver = 0
  /** Of all runs held. */
  let bytes = 0

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

  const hold = (driving: Driving) => {
    const { runId } = driving.run
    const former = active.get(runId)
    if (former === undefined) Metrics.runsHeld(1)
    // claimed anew: of the end of that hold nobody may have told it, and it would go on beside this one
    else end(former, { _tag: "lost" })
    active.set(runId, driving)
    bytes += driving.run.bytes
    driving.run.onGrowth = grown
  }

  /** One that has become too large is set aside; `resume` tries again. */
  const grown = (run: ActiveRun, more: number) => {
    bytes += more
    if (run.bytes <= options.maxRunSize) return
    const driving = drivingOf(run)
    if (driving?.pass === undefined || driving.pass.ended !== undefined) return
    const { bytes: size, runId, workflowName: workflow } = run
    const message = SetAside.tooLarge({ runId, workflow, bytes: size }, options.maxRunSize)
    end(driving, { _tag: "block", cause: blockCause(message) })
  }

  const letGo = (driving: Driving) => {
    const { runId } = driving.run
    suspension.forget(driving)
    idle.delete(driving)
    if (driving.run.onGrowth !== undefined) {
      driving.run.onGrowth = undefined
      bytes -= driving.run.bytes
    }
    if (active.get(runId) !== driving) return
    active.delete(runId)
    Metrics.runsHeld(-1)
  }

  const remove = (driving: Driving) => {
    letGo(driving)
    for (const child of driving.awaited ?? []) {
      const waiting = parents.get(child)
      if (waiting?.delete(driving) && waiting.size === 0) parents.delete(child)
    }
    if (driving.run.handedOver) handedOver++
    poke()
    options.onRoom()
  }

  /** The run's own, and not of one that was claimed anew. */
  const drivingOf = (run: ActiveRun): Driving | undefined => {
    const driving = active.get(run.runId)
    return driving?.run === run ? driving : undefined
  }

  const end = (driving: Driving, ending: Ending) => {
    const { pass, run } = driving
    if (ending._tag === "lost") run.lost = true
    if (pass === undefined) return
    endPass(driving, pass, ending)
    options.steps.cut((other) => other === run)
  }

  const load = (driving: Driving, history: History) => {
    const { run } = driving
    const asked = history.interruptRequested && !run.interrupting
    run.load(history)
    driving.pass?.waits.tellAll()
    if (asked) interrupting(driving)
  }

  const onRest = (driving: Driving, pass: Pass) => {
    if (options.isDraining(driving.run)) end(driving, { _tag: "park" })
    else if (pass.failure !== undefined) {
      end(driving, { _tag: "block", cause: causeToJson(pass.failure) })
    } else suspension.suspend(driving, pass)
  }

  const onLevel = (driving: Driving, pass: Pass, level: Level) => {
    if (driving.pass !== pass || pass.ended !== undefined) return
    // whoever interrupts it where the record ends looks again
    pass.onProgress?.()
    if (level !== "idle") idle.delete(driving)
    if (level === "idle" && pass.waits.size > 0) {
      idle.add(driving)
      options.onRoom()
    }
    if (level === "rest" && !pass.isReplayOnly) onRest(driving, pass)
    if (options.isDraining(driving.run)) poke()
  }

  const suspension = makeSuspend({
    store,
    persist,
    clock,
    limits: options.warm,
    end,
    load,
    again: onRest,
    onRoom: options.onRoom,
    onRunning: options.onRunning
  })

  const activate = (run: ActiveRun) =>
    Effect.suspend(() => {
      const driving = drivingOf(run)
      if (driving !== undefined) return suspension.activate(driving)
      // another has its place: nothing of it begins here
      run.lost = true
      return Effect.void
    })

  const driveOptions: DriveOptions = { ...options, activate, onLevel, onOver: remove }

  const begin = (registration: Registration, claimed: ClaimedRun) => {
    const run = new ActiveRun(registration, claimed)
    const driving = drive(run, driveOptions)
    hold(driving)
    for (const [child, exit] of run.children) {
      if (exit === undefined) awaitChild(driving, child)
    }
    next(driving)
  }

  const interrupt = (driving: Driving) => {
    if (driving.run.askToInterrupt(clock.unsafeCurrentTimeMillis())) interrupting(driving)
  }

  /** Its interrupt was asked for, which is news. */
  const interrupting = (driving: Driving) => {
    const { pass, run } = driving
    interruptPass(driving)
    if (pass?.isReplayOnly) options.steps.interrupt(run)
  }

  const awaitChild = (driving: Driving, child: string) => {
    const waiting = parents.get(child)
    if (waiting === undefined) parents.set(child, new Set([driving]))
    else waiting.add(driving)
    driving.awaited ??= new Set()
    driving.awaited.add(child)
  }

  const childFinished = (child: string, exit: Json) => {
    for (const { pass, run } of parents.get(child) ?? []) {
      run.setChild(child, exit)
      pass?.waits.tell(childKey(child))
    }
  }

  /** Runs held here that were told something by another process which is not known here yet. */
  const toldElsewhere = (told: ReadonlyArray<WokenRun>): ReadonlyArray<WokenRun> =>
    told.filter(({ held, over, wakeups }) => {
      const driving = active.get(held.runId)
      if (driving === undefined) return false
      if (over !== true) {
        return driving.run.held.claim === held.claim && driving.run.wakeups < wakeups
      }
      const at = clock.unsafeCurrentTimeMillis()
      suspension.woken(driving, { ...held, wakeups, at, over })
      return false
    })

  const takeIn = (held: Held, history: History) => {
    const driving = active.get(held.runId)
    // what it was told here meanwhile is known, and may be more
    if (driving?.run.held.claim !== held.claim || driving.run.wakeups > history.wakeups) return
    const at = clock.unsafeCurrentTimeMillis()
    suspension.woken(driving, { ...held, wakeups: history.wakeups, at })
    load(driving, history)
  }

  const refresh = Effect.fnUntraced(function* (executor: number) {
    const told = toldElsewhere(yield* store.wokenRuns(executor))
    for (let from = 0; from < told.length; from += historiesAtOnce) {
      // what is under way here goes on in between
      if (from > 0) yield* turn
      const part = told.slice(from, from + historiesAtOnce).map(({ held }) => held)
      const histories = yield* store.histories(part)
      const seen: Array<WokenRun> = []
      for (const [index, held] of part.entries()) {
        const history = Option.getOrUndefined(histories[index] ?? Option.none())
        if (history === undefined) continue
        takeIn(held, history)
        seen.push({ held, wakeups: history.wakeups })
      }
      yield* store.sawWakeups(seen)
    }
  })

  /** Ends runs that are between steps, and waits until none that match is left. */
  const parkUntilNone = (matches: (run: ActiveRun) => boolean) =>
    Effect.gen(function* () {
      const quiet = new Map<Driving, number>()
      while (true) {
        const seen = version
        const left = [...active.values()].filter(({ run }) => matches(run))
        if (left.length === 0) return
        let waits = false
        for (const driving of left) {
          const { pass } = driving
          if (pass === undefined || pass.ended !== undefined) continue
          if (pass.quiescence.level === "rest" && !pass.isReplayOnly) {
            end(driving, { _tag: "park" })
          } else if (pass.stepsInFlight > 0) quiet.delete(driving)
          else if (!pass.returned) {
            const turns = quiet.get(driving) ?? 0
            quiet.set(driving, turns + 1)
            if (turns >= patience) end(driving, { _tag: "park" })
            else waits = true
          }
        }
        yield* waits ? turn : changedSince(seen)
      }
    })

  const retire: ActiveRuns["retire"] = (matches, { deadline, final }) =>
    Effect.gen(function* () {
      const before = handedOver
      const remaining = Math.max(0, deadline - (yield* Elapsed.now))
      const parked = yield* within(parkUntilNone(matches), Duration.millis(remaining))
      if (final) yield* options.giveUp
      if (parked) return { cut: [], abandoned: [], handedOver: handedOver - before }

      const late = [...active.values()].filter(({ run }) => matches(run))
      const runs = new Set(late.map(({ run }) => run))
      const cut = options.steps.cut((run) => runs.has(run))
      for (const driving of late) end(driving, { _tag: "park" })
      yield* within(parkUntilNone(matches), options.grace)
      const abandoned = [...active.values()].filter(({ run }) => matches(run))
      yield* abandon(abandoned)
      return {
        cut,
        abandoned: abandoned.map(({ run }) => run.runId),
        handedOver: handedOver - before
      }
    })

  /** Gives back runs whose code goes on all the same; what it still writes will be refused. */
  const abandon = (late: ReadonlyArray<Driving>) =>
    Effect.gen(function* () {
      if (late.length === 0) return
      for (const driving of late) {
        driving.run.lost = true
        letGo(driving)
      }
      const released = yield* Effect.forkDaemon(
        persist(
          store.release(late.map(({ run }) => ({ held: run.held, timers: run.takeNewTimers() })))
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
    size: () => active.size - suspension.size() - idle.size,
    bytes: () => bytes - suspension.bytes(),
    warm: suspension.size,
    begin,
    end: (run, ending) => {
      const driving = drivingOf(run)
      if (driving !== undefined) end(driving, ending)
    },
    activate,
    poke,
    woken: (woken) => {
      for (const one of woken) {
        const driving = active.get(one.runId)
        if (driving !== undefined) suspension.woken(driving, one)
      }
    },
    signal: ({ exit, name, runId }) => {
      const driving = active.get(runId)
      if (driving === undefined || driving.run.signals.has(name)) return
      driving.run.setSignal(name, exit)
      driving.pass?.waits.tell(name)
    },
    interrupt: (runId) => {
      const driving = active.get(runId)
      if (driving !== undefined) interrupt(driving)
    },
    childFinished,
    awaitChild: (run, child) => {
      const driving = drivingOf(run)
      if (driving !== undefined) awaitChild(driving, child)
    },
    childrenAwaited: () =>
      Array.from(parents.keys(), (runId) => ({
        runId,
        tell: (exit: Json) => childFinished(runId, exit)
      })),
    refresh,
    evictAll: Effect.suspend(() => suspension.evict(suspension.all())),
    retire,
    held: () => Array.from(active.values(), ({ run }) => run.held),
    lose: Effect.gen(function* () {
      const lost = [...active.values()]
      for (const driving of lost) end(driving, { _tag: "lost" })
      yield* within(
        Effect.gen(function* () {
          while (true) {
            const seen = version
            if (!lost.some((driving) => active.get(driving.run.runId) === driving)) return
            yield* changedSince(seen)
          }
        }),
        options.grace
      )
      for (const driving of lost) letGo(driving)
      return lost.length
    })
  }
}

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
