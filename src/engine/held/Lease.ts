/**
 * Whether this executor may still take itself for the holder of its runs. One that was frozen (a
 * stopped process, a paused machine, a blocked event loop) does not know how long; until it has
 * renewed its lease its runs may be another's, and it starts no step.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/**
 * A moment, on the time of day and on a clock that nobody sets. The one goes on while a machine
 * sleeps, the other whatever is done to the time of day.
 */
export interface Moment {
  readonly timeOfDay: number
  readonly elapsed: number
}

export interface Lease {
  /** It was asked for, and granted, within its duration. Asks for another where it was not. */
  readonly isFresh: () => boolean
  /** Waits until it is. */
  readonly fresh: Effect.Effect<void>
  readonly now: () => Moment
  /** It was granted, and asked for at that moment. */
  readonly granted: (asked: Moment) => void
  /** Open when somebody waits for it to be renewed. */
  readonly wanted: Effect.Latch
  /** The id under which this process holds runs, while it does. */
  readonly executor: () => number | undefined
  /** Says which that is. */
  readonly setExecutor: (id: number | undefined) => void
}

export const make = (options: {
  readonly clock: Clock.Clock
  readonly millis: number
  /** It was renewed. */
  readonly onGranted: () => void
}): Lease => {
  const { clock, millis } = options
  const wanted = Effect.unsafeMakeLatch(false)
  const waiting = new Set<() => void>()
  let executor: number | undefined
  // before there is one there is nothing to hold
  let until: Moment = { timeOfDay: Number.POSITIVE_INFINITY, elapsed: Number.POSITIVE_INFINITY }

  const elapsed = () => Number(clock.unsafeCurrentTimeNanos()) / 1e6

  const isFresh = () => {
    if (clock.unsafeCurrentTimeMillis() < until.timeOfDay && elapsed() < until.elapsed) return true
    wanted.unsafeOpen()
    return false
  }

  return {
    isFresh,
    fresh: Effect.async<void>((resume) => {
      if (isFresh()) return resume(Effect.void)
      const look = () => {
        if (!isFresh()) return
        waiting.delete(look)
        resume(Effect.void)
      }
      waiting.add(look)
      return Effect.sync(() => {
        waiting.delete(look)
      })
    }),
    now: () => ({ timeOfDay: clock.unsafeCurrentTimeMillis(), elapsed: elapsed() }),
    granted: (asked) => {
      until = { timeOfDay: asked.timeOfDay + millis, elapsed: asked.elapsed + millis }
      for (const look of [...waiting]) look()
      options.onGranted()
    },
    wanted,
    executor: () => executor,
    setExecutor: (id) => {
      executor = id
    }
  }
}
