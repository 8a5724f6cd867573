/** Ends runs that this process holds without ending a step, and waits until they are gone. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Elapsed from "../../internal/Elapsed.js"
import { turn } from "../../internal/Turn.js"
import { within } from "../../internal/Within.js"
import type { RunStore } from "../../store/RunStore.js"
import type { Driving } from "../pass/Drive.js"
import type { Ending } from "../pass/Pass.js"
import type { ActiveRun } from "../run/ActiveRun.js"
import type { Persist } from "../run/Persist.js"
import * as Survived from "../run/Survived.js"
import type { StepInFlight } from "../step/StepInFlight.js"
import type { Steps } from "../step/Steps.js"

/** What a retirement left behind. */
export interface Retired {
  /** Steps still in flight at the deadline, which were interrupted. */
  readonly cut: ReadonlyArray<StepInFlight>
  /** Runs whose code could not be ended within the grace either. */
  readonly abandoned: ReadonlyArray<string>
  /** How many runs were handed over. */
  readonly handedOver: number
}

export interface Retirement {
  /** Whoever retires runs looks again. */
  readonly poke: () => void
  /** A run is held here no more. */
  readonly gone: (run: ActiveRun) => void
  /** As `ActiveRuns.retire`. */
  readonly retire: (
    matches: (run: ActiveRun) => boolean,
    options: { readonly deadline: number; readonly final: boolean }
  ) => Effect.Effect<Retired>
  /** As `ActiveRuns.lose`. */
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
  readonly grace: Duration.Duration
  readonly held: () => ReadonlyArray<Driving>
  readonly isHeld: (driving: Driving) => boolean
  readonly end: (driving: Driving, ending: Ending) => void
  /** It is not held here any more, whatever its code goes on to do. */
  readonly letGo: (driving: Driving) => void
}): Retirement => {
  const { end, grace, letGo, persist, store } = options
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

  const matching = (matches: (run: ActiveRun) => boolean) =>
    options.held().filter(({ run }) => matches(run))

  /** Ends runs that are between steps, and waits until none that match is left. */
  const parkUntilNone = (matches: (run: ActiveRun) => boolean) =>
    Effect.gen(function* () {
      const quiet = new Map<Driving, number>()
      while (true) {
        const seen = version
        const left = matching(matches)
        if (left.length === 0) return
        let waits = false
        for (const driving of left) if (park(driving, quiet, end)) waits = true
        yield* waits ? turn : changedSince(seen)
      }
    })

  /** Gives back runs whose code goes on all the same; what it still writes will be refused. */
  const abandon = (late: ReadonlyArray<Driving>) =>
    Effect.gen(function* () {
      if (late.length === 0) return
      for (const driving of late) {
        driving.run.lost = true
        // whatever becomes of it elsewhere is not for this executor to take back
        driving.run.survivalTold = true
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

  const untilGone = (drivings: ReadonlyArray<Driving>) =>
    Effect.gen(function* () {
      while (true) {
        const seen = version
        if (!drivings.some(options.isHeld)) return
        yield* changedSince(seen)
      }
    })

  return {
    poke,
    gone: (run) => {
      if (run.handedOver) handedOver++
      poke()
    },
    retire: (matches, { deadline, final }) =>
      Effect.gen(function* () {
        const before = handedOver
        const remaining = Math.max(0, deadline - (yield* Elapsed.now))
        const parked = yield* isDone(parkUntilNone(matches), Duration.millis(remaining))
        if (final) yield* options.giveUp
        if (parked) return { cut: [], abandoned: [], handedOver: handedOver - before }

        const late = matching(matches)
        const runs = new Set(late.map(({ run }) => run))
        const cut = options.steps.cut((run) => runs.has(run))
        for (const driving of late) end(driving, { _tag: "park" })
        yield* isDone(parkUntilNone(matches), grace)
        const abandoned = matching(matches)
        yield* abandon(abandoned)
        return {
          cut,
          abandoned: abandoned.map(({ run }) => run.runId),
          handedOver: handedOver - before
        }
      }),
    lose: Effect.gen(function* () {
      const lost = options.held()
      for (const driving of lost) end(driving, { _tag: "lost" })
      yield* isDone(untilGone(lost), grace)
      // of those that are gone it is told already
      yield* Survived.tell(
        lost.map(({ run }) => run),
        options
      )
      for (const driving of lost) letGo(driving)
      return lost.length
    })
  }
}

/**
 * Ends a run that is between steps.
 *
 * @param quiet for how many turns each has been
 * @returns whether it is to be looked at again in a turn
 */
const park = (
  driving: Driving,
  quiet: Map<Driving, number>,
  end: (driving: Driving, ending: Ending) => void
): boolean => {
  const { pass } = driving
  if (pass === undefined || pass.ended !== undefined) return false
  if (pass.quiescence.level === "rest" && !pass.isReplayOnly) {
    end(driving, { _tag: "park" })
    return false
  }
  if (pass.stepsInFlight > 0) {
    quiet.delete(driving)
    return false
  }
  if (pass.returned) return false
  const turns = quiet.get(driving) ?? 0
  quiet.set(driving, turns + 1)
  if (turns < patience) return true
  end(driving, { _tag: "park" })
  return false
}

/** Whether it was done in that time. */
const isDone = (effect: Effect.Effect<void>, duration: Duration.Duration) =>
  Effect.map(within(duration)(effect), Option.isSome)

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
