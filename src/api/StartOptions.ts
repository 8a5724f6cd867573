/** How a run can be started, beside its payload. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Time from "../internal/Time.js"

/** So many tags a run can have, and so many attributes. */
export const maxLabels = 16

/** So many characters a tag can have, and an attribute's name. */
export const maxLabelLength = 64

/** So many characters an attribute can have that is a text. */
export const maxAttributeLength = 256

/** What to do where there is a run of that id. */
export const conflicts = ["use", "fail", "replace"] as const

export type OnConflict = (typeof conflicts)[number]

/** What a run is marked with, and can be found by. */
export interface Labels {
  /** Up to 16, of 1 to 64 characters. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** Up to 16, by names of 1 to 64 characters; a text has up to 256, and a number is finite. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>> | undefined
}

export interface StartOptions extends Labels {
  /** When it may begin; a text is ISO 8601 with its zone. Default: at once. */
  readonly startAt?: Date | string | undefined
  /** The same, from now on. Not together with `startAt`. */
  readonly delay?: Duration.DurationInput | undefined
  /**
   * A whole number, from -1,000,000 to 1,000,000: of the runs that wait for room, those with the smaller
   * begin first. Default: 0.
   */
  readonly priority?: number | undefined
  /**
   * How long it may take from its begin on, also where it waits, and across restarts. Then it is
   * interrupted, with its compensations and its children, and has `failed` with `RunTimedOut`. Default:
   * no bound.
   */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * Where there is a run of that id: `use` it; `fail` with `RunExists`; or `replace` its payload and its
   * options, which fails with `RunExists` where it has begun. Default: `use`.
   */
  readonly onConflict?: OnConflict | undefined
  /**
   * With `use`: whether the run that is there may have another payload; else that fails with
   * `PayloadDiffers`. Default: false.
   */
  readonly ignorePayload?: boolean | undefined
}

/** `Duration` in words (`5 minutes`), or a whole number of milliseconds; what is told is words. */
const DurationParam = Schema.transformOrFail(
  Schema.Union(Schema.String, Schema.Number),
  Schema.DurationFromSelf,
  {
    strict: true,
    decode: (given, _, ast) => {
      const isNegative = typeof given === "number" ? !(given >= 0) : given.startsWith("-")
      const decoded = isNegative
        ? Option.none()
        : Duration.decodeUnknown(
            typeof given === "number" ? given : given.trim().toLowerCase().replace(/\s+/g, " ")
          )
      return Option.match(decoded, {
        onNone: () => ParseResult.fail(new ParseResult.Type(ast, given, describeDuration(given))),
        onSome: ParseResult.succeed
      })
    },
    encode: (duration) => ParseResult.succeed(`${Duration.toMillis(duration)} millis`)
  }
)

const describeDuration = (given: string | number) =>
  `${JSON.stringify(given)} is not a duration; expected one in words, such as "5 minutes", or a number of milliseconds`

const StartAtParam = Schema.transformOrFail(Schema.String, Schema.ValidDateFromSelf, {
  strict: true,
  decode: (text, _, ast) => {
    const time = Time.parse(text)
    return time === undefined
      ? ParseResult.fail(new ParseResult.Type(ast, text, Time.describe(text)))
      : ParseResult.succeed(time)
  },
  encode: (date) => ParseResult.succeed(date.toISOString())
})

/** As JSON, of which the limits are looked at where the run is started. */
export const StartOptionsBody = Schema.Struct({
  startAt: Schema.optional(StartAtParam),
  delay: Schema.optional(DurationParam),
  priority: Schema.optional(Schema.Number),
  timeout: Schema.optional(DurationParam),
  tags: Schema.optional(Schema.Array(Schema.String)),
  attributes: Schema.optional(
    Schema.Record({
      key: Schema.String,
      value: Schema.Union(Schema.String, Schema.Number, Schema.Boolean)
    })
  ),
  onConflict: Schema.optional(Schema.Literal(...conflicts)),
  ignorePayload: Schema.optional(Schema.Boolean)
}).annotations({
  // a misspelt delay would be none
  parseOptions: { onExcessProperty: "error" }
})
export type StartOptionsBody = typeof StartOptionsBody.Type

/** The options are not what is allowed; the message names the value and what is. */
export class InvalidOptions extends Schema.TaggedError<InvalidOptions>()("InvalidOptions", {
  message: Schema.String
}) {}

const names: ReadonlyArray<string> = Object.keys(StartOptionsBody.fields)

/** As they are sent. A time or a duration that is none cannot be, nor what is no option. */
export const toBody = (
  options: StartOptions
): { readonly body: StartOptionsBody } | { readonly problem: string } => {
  const unknown = Object.keys(options).find((name) => !names.includes(name))
  if (unknown !== undefined) {
    return { problem: `${unknown}: there is no such option; there are ${names.join(", ")}` }
  }
  const { delay, startAt, timeout, ...rest } = options
  const time = typeof startAt === "string" ? Time.parse(startAt) : startAt
  if (startAt !== undefined && (time === undefined || Number.isNaN(time.getTime()))) {
    return { problem: `startAt: ${Time.describe(String(startAt))}` }
  }
  const problem = problemOf("delay", delay) ?? problemOf("timeout", timeout)
  if (problem !== undefined) return { problem }
  const said = {
    ...rest,
    startAt: time,
    delay: delay === undefined ? undefined : Duration.decode(delay),
    timeout: timeout === undefined ? undefined : Duration.decode(timeout)
  }
  return {
    body: Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
  }
}

const problemOf = (name: string, given: Duration.DurationInput | undefined) =>
  given === undefined || Option.exists(Duration.decodeUnknown(given), Duration.isFinite)
    ? undefined
    : `${name}: ${String(given)} is not a finite duration`
