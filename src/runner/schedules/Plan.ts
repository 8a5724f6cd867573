/** What a schedule's definition comes to: its texts, read and found possible. */
import * as Cron from "effect/Cron"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { InvalidSchedule, ScheduleDefinition } from "../../api/Schedules.js"
import * as Time from "../../internal/Time.js"
import type { Json, Millis } from "../../store/RunStore.js"
import * as Ticks from "./Ticks.js"
import * as Zone from "./Zone.js"

export interface Plan {
  readonly ticks: Ticks.Ticks
  /** When a tick's run is to start. */
  readonly dueAt: (tick: Millis) => Millis
  readonly overlap: NonNullable<ScheduleDefinition["overlap"]>
  /** How old a tick may be that is started; `undefined`: until the next is due. */
  readonly catchUp: number | undefined
  readonly jitter: number
  /** How many ticks may be started. */
  readonly count: number
}

type Read<A> = Either.Either<A, InvalidSchedule>

const invalid = (field: string, message: string): Read<never> =>
  Either.left(new InvalidSchedule({ field, message: `${field}: ${message}` }))

const quoted = (text: string) => JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)

/** Longer ones are no intervals that anybody waits for, and leave the range of times. */
const longest = Duration.days(3_660)

const duration = (
  field: string,
  text: string,
  min: Duration.Duration,
  atLeast: string
): Read<number> => {
  // a minus sign, which Duration takes and makes zero of, is not what anybody meant
  const value = text.trim().startsWith("-")
    ? Option.none()
    : Duration.decodeUnknown(text.trim().toLowerCase().replace(/\s+/g, " "))
  const isAllowed = Option.filter(value, Duration.between({ minimum: min, maximum: longest }))
  return Option.match(isAllowed, {
    onNone: () =>
      invalid(
        field,
        `${quoted(text)} is not allowed; it is to be a duration, such as "5 minutes", of ${atLeast} to 3660 days`
      ),
    onSome: (value) => Either.right(Math.round(Duration.toMillis(value)))
  })
}

const optional = <A>(
  text: string | undefined,
  read: (text: string) => Read<A>
): Read<A | undefined> => (text === undefined ? Either.right(undefined) : read(text))

const readEnd = (text: string): Read<Millis> =>
  Either.mapLeft(
    Either.fromNullable(Time.parse(text)?.getTime(), () => text),
    (text) => new InvalidSchedule({ field: "end", message: `end: ${Time.describe(text)}` })
  )

const readCron = (expression: string, timeZone: string): Read<Ticks.Ticks> => {
  const zone = Zone.make(timeZone)
  if (zone === undefined) {
    return invalid(
      "timeZone",
      `${quoted(timeZone)} is not a time zone; expected a name of IANA, such as "Europe/Berlin"`
    )
  }
  return Either.match(Cron.parse(expression, "UTC"), {
    onLeft: ({ input, message }) =>
      invalid(
        "cron",
        `${quoted(expression)} is not allowed: ${message}${
          input === undefined || input === expression ? "" : ` (${quoted(input)})`
        }; expected minute, hour, day of the month, month and day of the week, with a second before them if wanted, such as "0 3 * * *"`
      ),
    onRight: (cron) => {
      const ticks = Ticks.cron(cron, zone)
      return ticks.after(0) === undefined
        ? invalid("cron", `${quoted(expression)} is never: there is no such day`)
        : Either.right(ticks)
    }
  })
}

const readTicks = ({ cron, every, timeZone }: ScheduleDefinition): Read<Ticks.Ticks> => {
  if (cron !== undefined && every !== undefined) {
    return invalid("every", "there is a cron too; a schedule has one of them")
  }
  if (cron !== undefined) return readCron(cron, timeZone ?? "UTC")
  if (every === undefined) {
    return invalid("cron", `is missing; a schedule has a cron, such as "0 3 * * *", or an every`)
  }
  if (timeZone !== undefined) {
    return invalid("timeZone", "an interval is the same in every zone; leave it out, or use a cron")
  }
  return Either.map(duration("every", every, Duration.seconds(1), "1 second"), Ticks.every)
}

export const read = (name: string, definition: ScheduleDefinition): Read<Plan> =>
  Either.gen(function* () {
    const { catchUp, count, end, jitter, overlap = "skip" } = definition
    const until = yield* optional(end, readEnd)
    const ticks = Ticks.until(until)(yield* readTicks(definition))
    const fromZero = (field: string) => (text: string) =>
      duration(field, text, Duration.zero, "0 seconds")
    const jitterMillis = (yield* optional(jitter, fromZero("jitter"))) ?? 0
    return {
      ticks,
      dueAt: Ticks.dueAt(ticks, { name, jitter: jitterMillis }),
      overlap,
      catchUp: yield* optional(catchUp, fromZero("catchUp")),
      jitter: jitterMillis,
      count: count ?? Number.POSITIVE_INFINITY
    }
  })

const Stored = Schema.parseJson(ScheduleDefinition)

export const encode = Schema.encodeSync(Stored)

const decodeStored = Schema.decodeUnknownEither(Stored, { onExcessProperty: "error" })

/** As it is stored: what a newer version knows more is not left out of account. */
export const decode = (definition: Json): Read<ScheduleDefinition> =>
  Either.mapLeft(
    decodeStored(definition),
    () =>
      new InvalidSchedule({
        field: "definition",
        message: "it was written by a newer version, which knows more of schedules than this one"
      })
  )

const known = new Map<string, Read<Plan>>()

/** Plans that are kept: to read a cron takes longer than to find its next tick. */
const kept = 1_000

export const ofStored = ({
  definition,
  name
}: {
  readonly name: string
  readonly definition: Json
}): Read<Plan> => {
  const key = `${name} ${definition}`
  const before = known.get(key)
  if (before !== undefined) return before
  if (known.size >= kept) known.clear()
  const plan = Either.flatMap(decode(definition), (definition) => read(name, definition))
  known.set(key, plan)
  return plan
}
