/**
 * Of the runs held here, those that were under way when an executor died, and wait now: for a signal, a
 * timer or a child, beside plain code that waits too, an `Effect.timeout` in most cases. One that only
 * waits is suspended, and has got somewhere by that; these are under way for as long as they wait, which
 * may be days, and it may be for a run that is held back until they have got somewhere.
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

export interface Suspects {
  /** All that the run has under way waits. */
  readonly idles: (driving: Driving) => void
  /** It is not held any more. */
  readonly forget: (driving: Driving) => void
}

/** @param isIdle whether all that the run has under way waits */
export const make = (store: RunStore["Type"], isIdle: (driving: Driving) => boolean): Suspects => {
  const waiting = new Map<Driving, Fiber.RuntimeFiber<void>>()

  const look = (driving: Driving) =>
    Effect.suspend(() => {
      waiting.delete(driving)
      const { run } = driving
      return run.crashes > 0 && isIdle(driving) ? Crashes.progressed(run, store) : Effect.void
    })

  return {
    idles: (driving) => {
      if (driving.run.crashes === 0 || waiting.has(driving)) return
      const looked = Effect.delay(look(driving), patience)
      waiting.set(driving, Fibers.fork(Fibers.interruptible(driving.origin), looked))
    },
    forget: (driving) => {
      const fiber = waiting.get(driving)
      if (fiber === undefined) return
      waiting.delete(driving)
      fiber.unsafeInterruptAsFork(fiber.id())
    }
  }
}
