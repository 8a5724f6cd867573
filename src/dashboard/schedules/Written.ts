/** A schedule as it is written in a form, and what is sent of it. */
import type { PutScheduleRequest, ScheduleView } from "../../api/Schedules.js"

export interface Written {
  readonly name: string
  readonly workflow: string
  readonly by: "cron" | "every"
  readonly cron: string
  readonly timeZone: string
  readonly every: string
  readonly overlap: NonNullable<ScheduleView["overlap"]>
  readonly catchUp: string
  readonly jitter: string
  /** ISO 8601. */
  readonly end: string | undefined
  readonly count: string
  readonly paused: boolean
}

/** What a new one begins with: this reader's zone is more often meant than another. */
export const empty = (workflow: string, timeZone: string): Written => ({
  name: "",
  workflow,
  by: "cron",
  cron: "",
  timeZone,
  every: "",
  overlap: "skip",
  catchUp: "",
  jitter: "",
  end: undefined,
  count: "",
  paused: false
})

export const ofSchedule = (schedule: ScheduleView): Written => ({
  ...empty(schedule.workflow, schedule.timeZone ?? "UTC"),
  name: schedule.name,
  by: schedule.every === undefined ? "cron" : "every",
  cron: schedule.cron ?? "",
  every: schedule.every ?? "",
  overlap: schedule.overlap ?? "skip",
  catchUp: schedule.catchUp ?? "",
  jitter: schedule.jitter ?? "",
  end: schedule.end,
  count: schedule.count === undefined ? "" : String(schedule.count),
  paused: schedule.paused
})

/** What is empty is not said. */
const text = <Name extends string>(name: Name, value: string | undefined) =>
  value === undefined || value.trim() === "" ? {} : { [name]: value.trim() }

export const isWhole = (text: string): boolean =>
  /^\d+$/.test(text.trim()) && Number.isSafeInteger(Number(text)) && Number(text) > 0

/** Of what it has no problem here; the executor looks at the rest. */
export const requestOf = (written: Written, payload: unknown): PutScheduleRequest => ({
  workflow: written.workflow,
  payload,
  ...(written.by === "cron"
    ? { cron: written.cron.trim(), ...text("timeZone", written.timeZone) }
    : { every: written.every.trim() }),
  overlap: written.overlap,
  ...text("catchUp", written.catchUp),
  ...text("jitter", written.jitter),
  ...text("end", written.end),
  ...(written.count.trim() === "" ? {} : { count: Number(written.count) }),
  paused: written.paused
})
