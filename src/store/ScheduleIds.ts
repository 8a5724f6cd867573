/**
 * The ids of a schedule's runs: made of its name and the tick, so that whoever starts a tick starts the
 * same run. In the order of their times.
 */
import * as Option from "effect/Option"
import type { Millis } from "./RunStore.js"

const all = "schedule/"

/** What the ids of its runs begin with. */
export const prefix = (schedule: string): string => `${all}${schedule}/`

/** Whether a run of this id is one of a schedule. */
export const isScheduled = (runId: string): boolean => runId.startsWith(all)

export const ofTick = (schedule: string, tick: Millis): string =>
  `${prefix(schedule)}${new Date(tick).toISOString()}`

/** Of a run that somebody asked for, beside the ticks. */
export const ofTrigger = (schedule: string, at: Millis): string =>
  `${ofTick(schedule, at)}/triggered`

const pattern = /^schedule\/([^/]+)\/([^/]+)(?:\/triggered)?$/

/** Which schedule has started the run of this id, and for which time. */
export const read = (
  runId: string
): Option.Option<{ readonly schedule: string; readonly tick: Date }> => {
  const [, schedule, text] = pattern.exec(runId) ?? []
  if (schedule === undefined || text === undefined) return Option.none()
  const tick = new Date(text)
  return Number.isNaN(tick.getTime()) ? Option.none() : Option.some({ schedule, tick })
}
