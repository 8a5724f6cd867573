/**
 * How many steps ended in each minute of the last hour, in this process. On the way of every step, so it
 * is two additions; read when somebody looks.
 */
import type { Millis } from "../store/RunStore.js"

const width = 60_000

/** An hour, and the minute that has begun. */
const kept = 61

/** A minute in which a step ended. */
export interface Minute {
  /** Its begin. */
  readonly at: Millis
  readonly completed: number
  readonly failed: number
}

export interface Minutes {
  readonly add: (at: Millis, outcome: "completed" | "failed") => void
  /** Those of the last hour, the oldest first, without those in which no step ended. */
  readonly read: (now: Millis) => ReadonlyArray<Minute>
}

export const make = (): Minutes => {
  // by minute, one after the other: the minute of each place, and what was counted in it
  const minutes = new Float64Array(kept).fill(-1)
  const completed = new Float64Array(kept)
  const failed = new Float64Array(kept)

  const placeOf = (minute: number) => {
    const place = minute % kept
    if (minutes[place] !== minute) {
      minutes[place] = minute
      completed[place] = 0
      failed[place] = 0
    }
    return place
  }

  return {
    add: (at, outcome) => {
      const counts = outcome === "completed" ? completed : failed
      const place = placeOf(Math.floor(at / width))
      counts[place] = (counts[place] ?? 0) + 1
    },
    read: (now) => {
      const last = Math.floor(now / width)
      return Array.from(minutes, (minute, place) => ({
        at: minute * width,
        completed: completed[place] ?? 0,
        failed: failed[place] ?? 0
      }))
        .filter(({ at }) => at > (last - kept) * width && at <= last * width && at >= 0)
        .sort((a, b) => a.at - b.at)
    }
  }
}
