/**
 * Room for steps: at most so many in flight, none while it is not known whether this
 * executor still holds its runs, none any more once closed.
 */
import * as Effect from "effect/Effect"
import * as Metrics from "../../telemetry/Metrics.js"

export interface Slots {
  /**
   * Takes room, if there is any now. `false`: refused, because of what `refuses` says, or because
   * no step starts any more. `undefined`: there is none.
   */
  readonly enter: (refuses: () => boolean) => boolean | undefined
  /** Waits for room. As `enter`; what `refuses` says is asked at every `recheck` too. */
  readonly admit: (refuses: () => boolean) => Effect.Effect<boolean>
  /** Gives the room back. */
  readonly leave: () => void
  /** Takes room again after `leave`, also where there is none. */
  readonly takeBack: () => void
  /** There may be room now. */
  readonly look: () => void
  /** Refuses those of them who wait that are not to start any more. */
  readonly recheck: () => void
  /** Refuses whoever waits, and everybody from now on. */
  readonly close: () => void
  readonly isClosed: () => boolean
}

interface Waiting {
  readonly refuses: () => boolean
  readonly answer: (admitted: boolean) => void
}

/**
 * @param size at most this many at a time
 * @param isFresh whether this executor's lease runs
 */
export const make = (size: number, isFresh: () => boolean): Slots => {
  let taken = 0
  let closed = false
  const waiting = new Set<Waiting>()

  const unqueue = (one: Waiting): boolean => {
    const waited = waiting.delete(one)
    if (waited) Metrics.stepsWaiting(-1)
    return waited
  }

  const hasRoom = () => taken < size && isFresh()

  const admitWaiting = () => {
    for (const one of waiting) {
      if (!hasRoom()) return
      unqueue(one)
      taken++
      one.answer(true)
    }
  }

  const refuse = (which: (one: Waiting) => boolean) => {
    for (const one of waiting) {
      if (!which(one)) continue
      unqueue(one)
      one.answer(false)
    }
  }

  const wait = (refuses: () => boolean) =>
    Effect.async<boolean>((resume) => {
      let admitted = false
      const one: Waiting = {
        refuses,
        answer: (answer) => {
          admitted = answer
          resume(Effect.succeed(answer))
        }
      }
      waiting.add(one)
      Metrics.stepsWaiting(1)
      return Effect.sync(() => {
        // admitted and interrupted at once: the room must not be lost
        if (!unqueue(one) && admitted) leave()
      })
    })

  const leave = () => {
    taken--
    admitWaiting()
  }

  const enter: Slots["enter"] = (refuses) => {
    if (closed || refuses()) return false
    if (!hasRoom()) return undefined
    taken++
    return true
  }

  return {
    enter,
    admit: (refuses) =>
      Effect.suspend(() => {
        const admitted = enter(refuses)
        return admitted === undefined ? wait(refuses) : Effect.succeed(admitted)
      }),
    leave,
    takeBack: () => {
      taken++
    },
    look: admitWaiting,
    recheck: () => refuse((one) => one.refuses()),
    close: () => {
      closed = true
      refuse(() => true)
    },
    isClosed: () => closed
  }
}
