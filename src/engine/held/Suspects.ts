/**
 * Of the runs held here, those that were under way when executors died, and may wait for others that
 * are held back until these have got somewhere.
 *
 * - One that waits for a signal, a timer or a child, beside plain code that waits too, an
 *   `Effect.timeout` in most cases. One that only waits is suspended, and has got somewhere by that;
 *   these are under way for as long as they wait, which may be days. They have got somewhere when they
 *   have waited for a while.
 * - One that executes a step, or code, that takes long. What it does nobody knows: it is suspected still,
 *   and others are tried beside it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { RunStore } from "../../store/RunStore.js"
import type { Driving } from "../pass/Drive.js"
import * as Fibers from "../pass/Fibers.js"
import * as Crashes from "../run/Crashes.js"

/** After so long what it waits beside is not what executors die of. */
const patience = Duration.seconds(5)

/** How long one is tried alone; for as long again from a step on that it begins. */
const trial = Duration.minutes(1)

export interface Suspects {
  readonly begins: (driving: Driving) => void
  /** All that the run has under way waits. */
  readonly idles: (driving: Driving) => void
  /** It is not held any more. */
  readonly forget: (driving: Driving) => void
}

/** @param isIdle whether all that the run has under way waits */
export const make = (store: RunStore["Type"], isIdle: (driving: Driving) => boolean): Suspects => {
  const waiting = timers()
  const tried = timers()

  const waited = (driving: Driving) =>
    Effect.suspend(() => {
      const { run } = driving
      return run.crashes > 0 && isIdle(driving) ? Crashes.progressed(run, store) : Effect.void
    })

  const letOthersTry = ({ run }: Driving) =>
    Effect.suspend(() =>
      Crashes.isSuspect(run) ? Effect.ignore(store.letOthersTry(run.held)) : Effect.void
    ).pipe(Effect.delay(trial), Effect.repeat({ while: () => Crashes.isSuspect(run) }))

  return {
    begins: (driving) => {
      if (Crashes.isSuspect(driving.run)) tried.start(driving, letOthersTry(driving))
    },
    idles: (driving) => {
      if (driving.run.crashes === 0 || waiting.has(driving)) return
      waiting.start(driving, Effect.delay(waited(driving), patience))
    },
    forget: (driving) => {
      waiting.stop(driving)
      tried.stop(driving)
    }
  }
}

/** At most one fiber for each run. */
const timers = () => {
  const fibers = new Map<Driving, Fiber.RuntimeFiber<unknown>>()
  return {
    has: (driving: Driving) => fibers.has(driving),
    start: (driving: Driving, effect: Effect.Effect<unknown>) => {
      const fiber = Fibers.forkLater(Fibers.interruptible(driving.origin), effect)
      fibers.set(driving, fiber)
      fiber.addObserver(() => {
        if (fibers.get(driving) === fiber) fibers.delete(driving)
      })
    },
    stop: (driving: Driving) => {
      const fiber = fibers.get(driving)
      fibers.delete(driving)
      fiber?.unsafeInterruptAsFork(fiber.id())
    }
  }
}
