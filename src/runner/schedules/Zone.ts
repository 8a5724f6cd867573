/**
 * What clocks on the wall show in a time zone, and when they do.
 *
 * Local times are milliseconds as if they were UTC, with which calendars can be reckoned. Where clocks
 * are put forward some do not exist; where they are put back some exist twice.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { Millis } from "../../store/RunStore.js"

export interface Zone {
  /** What clocks show at this time. */
  readonly localOf: (time: Millis) => number
  /**
   * When clocks show this: the first time if they do twice; where they never do, when they show a
   * later one first.
   */
  readonly timeOf: (local: number) => Millis
  /**
   * The last local time of which `timeOf` is not later than this: `localOf`, but while clocks show
   * again what they have shown already.
   */
  readonly lastLocalOf: (time: Millis) => number
}

const day = 86_400_000

/** Offsets at the beginnings of days that are kept, of a zone. */
const kept = 400

/** `undefined` where there is no such zone: those of IANA, by their names. */
export const make = (name: string): Zone | undefined => {
  const zone = Option.getOrUndefined(
    /^[A-Za-z]/.test(name) ? DateTime.zoneMakeNamed(name) : Option.none()
  )
  if (zone === undefined) return undefined
  const offsets = new Map<number, number>()

  const ask = (time: Millis): number =>
    DateTime.zonedOffset(DateTime.unsafeMakeZoned(time, { timeZone: zone }))

  /** Clocks are put forward or back seldom: most offsets are those of the days around. */
  const atMidnight = (time: Millis): number => {
    const known = offsets.get(time)
    if (known !== undefined) return known
    if (offsets.size >= kept) offsets.clear()
    const offset = ask(time)
    offsets.set(time, offset)
    return offset
  }

  const offsetAt = (time: Millis): number => {
    const before = atMidnight(Math.floor(time / day) * day)
    const after = atMidnight(Math.ceil(time / day) * day)
    return before === after ? before : ask(time)
  }

  /** The first time with this offset, of which `until` is one. */
  const firstWith = (offset: number, from: Millis, until: Millis): Millis => {
    let without = from
    let having = until
    while (having - without > 1) {
      const middle = Math.floor((having + without) / 2)
      if (ask(middle) === offset) having = middle
      else without = middle
    }
    return having
  }

  const timeOf = (local: number): Millis => {
    // no offset is larger than a day, and clocks are not changed twice in so short a time
    const before = atMidnight(Math.floor((local - day) / day) * day)
    const after = atMidnight(Math.ceil((local + day) / day) * day)
    const first = local - before
    if (before === after || ask(first) === before) return first
    const second = local - after
    return ask(second) === after ? second : firstWith(after, second, first)
  }

  const localOf = (time: Millis) => time + offsetAt(time)

  return {
    localOf,
    timeOf,
    lastLocalOf: (time) => {
      const local = localOf(time)
      const first = timeOf(local)
      if (first >= time) return local
      // shown for the second time; what is shown twice ends where clocks were put back
      const offset = time - first
      const changed = firstWith(offsetAt(time), first, time)
      return Math.max(local, localOf(changed) + offset - 1)
    }
  }
}
