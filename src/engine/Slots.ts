/**
 * Room for steps: at most so many in flight, none while paused, none any more once closed.
 */
import * as Effect from "effect/Effect"

export interface Slots {
  /** Waits for room. `false`: refused, no step starts any more. */
  readonly admit: Effect.Effect<boolean>
  /** Gives the room back. */
  readonly leave: () => void
  /** Nobody is admitted until as many `resume`s. */
  readonly pause: () => void
  readonly resume: () => void
  /** Refuses whoever waits, and everybody from now on. */
  readonly close: () => void
  readonly isClosed: () => boolean
}

/** @param size at most this many at a time */
export const make = (size: number): Slots => {
  let taken = 0
  let pauses = 0
  let closed = false
  const waiting = new Set<(admitted: boolean) => void>()

  const hasRoom = () => pauses === 0 && taken < size

  const admitWaiting = () => {
    for (const admit of waiting) {
      if (!hasRoom()) return
      waiting.delete(admit)
      taken++
      admit(true)
    }
  }

  const wait = Effect.async<boolean>((resume) => {
    const admit = (admitted: boolean) => resume(Effect.succeed(admitted))
    waiting.add(admit)
    return Effect.sync(() => {
      // admitted and interrupted at once: the room must not be lost
      if (!waiting.delete(admit)) leave()
    })
  })

  const leave = () => {
    taken--
    admitWaiting()
  }

  return {
    admit: Effect.suspend(() => {
      if (closed) return Effect.succeed(false)
      if (!hasRoom()) return wait
      taken++
      return Effect.succeed(true)
    }),
    leave,
    pause: () => {
      pauses++
    },
    resume: () => {
      pauses--
      admitWaiting()
    },
    close: () => {
      closed = true
      for (const admit of waiting) admit(false)
      waiting.clear()
    },
    isClosed: () => closed
  }
}
