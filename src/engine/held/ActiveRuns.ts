/**
 * The runs that this process holds: begun, told what happens to them, cut, and brought to an end.
 */
import type * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ClaimedRun, History, Json, RunStore, Woken } from "../../store/RunStore.js"
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
import type { WarmLimits } from "../pass/Warm.js"
import { ActiveRun, type Registration } from "../run/ActiveRun.js"
import type { Persist } from "../run/Persist.js"
import * as SetAside from "../run/SetAside.js"
import type { Steps } from "../step/Steps.js"
import * as AwaitedChildren from "./AwaitedChildren.js"
import * as Elsewhere from "./Elsewhere.js"
import type { Retired } from "./Retirement.js"
import * as Retirement from "./Retirement.js"
import type { Told } from "./RunEnds.js"
import * as Suspects from "./Suspects.js"

export { logCut, type Retired } from "./Retirement.js"

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
  readonly refresh: Elsewhere.Refresh
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
  readonly isHeld: (runId: string) => boolean
  /** Cuts every run, because another executor holds them now, waits for that, and says that this one lives. */
  readonly lose: Effect.Effect<number>
}

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
  /** A run is not held any more that waits: whoever has it next may be another process. */
  readonly onEvicted: (runId: string) => void
  /** A run that was suspended goes on. */
  readonly onRunning: (run: ActiveRun) => void
}): ActiveRuns => {
  const { clock, persist, store } = options
  const active = new Map<string, Driving>()
  const children = AwaitedChildren.make()
  /** Runs in which nothing is under way but plain code that waits, beside waits of the engine's. */
  const idle = new Set<Driving>()
  const suspects = Suspects.make(store, (driving) => idle.has(driving))
  /** Of all runs held. */
  let bytes = 0

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
    suspects.forget(driving)
    if (driving.run.onGrowth !== undefined) {
      driving.run.onGrowth = undefined
      bytes -= driving.run.bytes
    }
    if (active.get(runId) !== driving) return
    active.delete(runId)
    Metrics.runsHeld(-1)
    if (driving.run.isSuspended) options.onEvicted(runId)
  }

  const remove = (driving: Driving) => {
    letGo(driving)
    children.remove(driving)
    retirement.gone(driving.run)
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
    children.read(driving)
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
      suspects.idles(driving)
      options.onRoom()
    }
    if (level === "rest" && !pass.isReplayOnly) onRest(driving, pass)
    if (options.isDraining(driving.run)) retirement.poke()
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
    children.read(driving)
    suspects.begins(driving)
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

  const retirement = Retirement.make({
    ...options,
    held: () => [...active.values()],
    isHeld: (driving) => active.get(driving.run.runId) === driving,
    end,
    letGo
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
    poke: retirement.poke,
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
    childFinished: children.finished,
    awaitChild: (run, child) => {
      const driving = drivingOf(run)
      if (driving !== undefined) children.add(driving, child)
    },
    childrenAwaited: children.all,
    refresh: Elsewhere.makeRefresh({
      store,
      clock,
      find: (runId) => active.get(runId),
      woken: suspension.woken,
      load
    }),
    evictAll: Effect.suspend(() => suspension.evict(suspension.all())),
    retire: retirement.retire,
    isHeld: (runId) => active.has(runId),
    lose: retirement.lose
  }
}
