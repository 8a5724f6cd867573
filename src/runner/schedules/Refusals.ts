/** How what is asked of schedules is refused, with what is said. */
import { InvalidSchedule, maxBackfill, ScheduleNotFound } from "../../api/Schedules.js"

export const scheduleNotFound = (name: string) =>
  new ScheduleNotFound({ name, message: `There is no schedule ${JSON.stringify(name)}` })

export const invalidName = (name: string) =>
  new InvalidSchedule({
    field: "name",
    message: `name: ${JSON.stringify(name.slice(0, 200))} is not allowed; it is to have 1 to 100 letters, digits, "-", "_" and ".", and to begin with a letter or a digit`
  })

export const invalidRange = (field: string, message: string) =>
  new InvalidSchedule({ field, message: `${field}: ${message}` })

export const tooManyTicks = () =>
  invalidRange(
    "to",
    `the range has more than ${maxBackfill} ticks, which is as many as one backfill may have; ask for it in parts`
  )
