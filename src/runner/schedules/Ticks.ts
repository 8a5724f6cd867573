/** When a schedule ticks, and when a tick's run is to start. Plain reckoning: reads no clock. */
import * as Cron from "effect/Cron"
import type { Millis } from "../../store/RunStore.js"
import type { Zone } from "./Zone.js"

export interface Ticks {
  /** The first tick that is later than this. */
  readonly after: (time: Millis) => Millis | undefined
  /** The last tick that is not later than this. */
  readonly upTo: (time: Millis) => Millis | undefined
}

/** The latest time that a Date can be. */
const endOfTime = 8_640_000_000_000_000

const within = (time: number): Millis | undefined =>
  Math.abs(time) <= endOfTime ? time : undefined

/** At the multiples of the interval since 1970, so that it is the same for whoever reckons it. */
export const every = (interval: number): Ticks => ({
  after: (time) => within((Math.floor(time / interval) + 1) * interval),
  upTo: (time) => within(Math.floor(time / interval) * interval)
})

const second = 1_000

/** Effect's `Cron` in UTC, where no time is missing and none is there twice. */
const found = (search: (from: Date) => Date, from: number): number | undefined => {
  if (within(from) === undefined) return undefined
  try {
    const time = search(new Date(from)).getTime()
    return Number.isNaN(time) ? undefined : time
  } catch {
    // no day of any year is such a one
    return undefined
  }
}

/**
 * At the local times that the expression says: one that does not exist is brought to the next that
 * does, and one that exists twice is there once, the first time. `utc` is the expression in UTC: in
 * another zone `Cron` moves what does not exist on by as much as clocks are put forward.
 */
export const cron = (utc: Cron.Cron, zone: Zone): Ticks => {
  return {
    after: (time) => {
      let local: number | undefined = zone.lastLocalOf(time)
      while (local !== undefined) {
        local = found((from) => Cron.next(utc, from), local)
        const tick = local === undefined ? undefined : zone.timeOf(local)
        if (tick !== undefined && tick > time) return within(tick)
      }
      return undefined
    },
    upTo: (time) => {
      const local = zone.lastLocalOf(time)
      // of a time before the next second, for it looks at those before the one that it is given
      const from = Math.floor(local / second) * second + second
      const before = found((from) => Cron.prev(utc, from), from)
      return before === undefined ? undefined : within(zone.timeOf(before))
    }
  }
}

/** No tick is later than this. */
export const until =
  (end: Millis | undefined) =>
  (ticks: Ticks): Ticks => {
    if (end === undefined) return ticks
    return {
      after: (time) => {
        const tick = ticks.after(time)
        return tick !== undefined && tick <= end ? tick : undefined
      },
      upTo: (time) => ticks.upTo(Math.min(time, end))
    }
  }

/** FNV-1a: of all texts the same numbers in every version, for a jitter is to stay what it is. */
const hash = (text: string): number => {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    value ^= text.charCodeAt(index)
    value = Math.imul(value, 0x01000193)
  }
  // what differs at its end only is to differ in all of it
  value ^= value >>> 16
  value = Math.imul(value, 0x85ebca6b)
  value ^= value >>> 13
  value = Math.imul(value, 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}

/**
 * When a tick's run is to start: up to `jitter` later, and before the next tick. By the schedule's name
 * and the tick alone, so that every executor, and each after a restart, has it start at the same time.
 */
export const dueAt =
  (ticks: Ticks, { jitter, name }: { readonly jitter: number; readonly name: string }) =>
  (tick: Millis): Millis => {
    if (jitter <= 0) return tick
    const next = ticks.after(tick) ?? Number.POSITIVE_INFINITY
    return tick + Math.floor((hash(`${name}/${tick}`) / 2 ** 32) * Math.min(jitter, next - tick))
  }

/** Ticks in their order, from the first after this time on. */
export function* sequence(ticks: Ticks, after: Millis): Generator<Millis> {
  let tick = ticks.after(after)
  while (tick !== undefined) {
    yield tick
    tick = ticks.after(tick)
  }
}

/** The first ticks after this time, so many at most. @param last none is later than this */
export const first = (
  ticks: Ticks,
  after: Millis,
  count: number,
  last = Number.POSITIVE_INFINITY
): ReadonlyArray<Millis> => {
  const found: Array<Millis> = []
  if (count <= 0) return found
  for (const tick of sequence(ticks, after)) {
    if (tick > last) break
    found.push(tick)
    if (found.length >= count) break
  }
  return found
}
