/** A schedule in words: when it ticks, and how it stands. */
import type { ScheduleView } from "../../api/Schedules.js"
import { clock, count, fromNow, millisOf } from "../parts/Words.js"

export const zoneOf = ({ timeZone }: Pick<ScheduleView, "timeZone">): string => timeZone ?? "UTC"

/** `0 3 * * * in Europe/Berlin`, `every 5 minutes`. */
export const when = ({ cron, every, timeZone }: ScheduleView): string =>
  cron === undefined ? `every ${every ?? "so often"}` : `${cron} in ${timeZone ?? "UTC"}`

export const statusOf = ({ paused, problem }: ScheduleView): "active" | "paused" | "problem" =>
  problem !== undefined ? "problem" : paused ? "paused" : "active"

/** What clocks of the zone show; `undefined` where this browser does not know it. */
export const zoned = (iso: string, timeZone: string): string | undefined => {
  try {
    return new Intl.DateTimeFormat(undefined, {
      weekday: "short",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hour12: false,
      timeZone
    }).format(millisOf(iso))
  } catch {
    return undefined
  }
}

const at = (iso: string, now: number) =>
  `${fromNow(millisOf(iso), now)}, at ${clock(millisOf(iso), now)}`

/** Why there is no next tick: it is over. */
const over = ({ count: bound, end, started }: ScheduleView, now: number) =>
  bound !== undefined && started >= bound
    ? `It is over: all ${count(bound)} of its ticks were started`
    : end !== undefined && millisOf(end) <= now
      ? `It is over since ${clock(millisOf(end), now)}`
      : "It has no tick to come"

/** Where it is not at its tick that the run starts. */
const later = ({ nextStart, nextTicks: [next] }: ScheduleView, now: number) =>
  nextStart === undefined || nextStart === next
    ? ""
    : `; its run starts at ${clock(millisOf(nextStart), now)}`

/** In one sentence, what it does next, or why it does nothing. */
export const state = (schedule: ScheduleView, now: number): string => {
  const { nextTicks, paused, problem, waitingTick } = schedule
  if (problem !== undefined) return `It does not tick: ${problem}`
  if (paused) return "It is paused: nothing starts, and what is due meanwhile is left out"
  const [next] = nextTicks
  const to =
    next === undefined
      ? over(schedule, now)
      : `Its next tick is ${at(next, now)}${later(schedule, now)}`
  return waitingTick === undefined
    ? to
    : `The tick of ${clock(millisOf(waitingTick), now)} waits until the run under way is over. ${to}`
}
