/**
 * Options that are given in code, each with what it allows: types do not tell a count of 0 or a
 * duration that is none from others, and JavaScript has no types.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/** An option has a value that is not allowed. A fault in the app's code, thrown where it is given. */
export class InvalidOption extends Data.TaggedError("InvalidOption")<{
  readonly option: string
  readonly given: unknown
  readonly allowed: string
}> {
  override get message() {
    return `${this.option} is ${shown(this.given)}; expected ${this.allowed}`
  }
}

const longest = 100

const shown = (value: unknown): string => {
  const text = typeof value === "string" ? JSON.stringify(value) : inWords(value)
  return text.length > longest ? `${text.slice(0, longest)}…` : text
}

const inWords = (value: unknown) =>
  Duration.isDuration(value) ? Duration.format(value) : String(value)

/** A whole number of `min` or more; with `orInfinity` that, too. */
export const wholeNumber = (
  option: string,
  given: number,
  range: { readonly min: number; readonly max?: number; readonly orInfinity?: boolean }
): number => {
  const { max = Number.MAX_SAFE_INTEGER, min, orInfinity = false } = range
  if (Number.isSafeInteger(given) && given >= min && given <= max) return given
  if (orInfinity && given === Number.POSITIVE_INFINITY) return given
  const limits = range.max === undefined ? `of ${min} or more` : `from ${min} to ${max}`
  throw new InvalidOption({
    option,
    given,
    allowed: `a whole number ${limits}${orInfinity ? ", or Infinity" : ""}`
  })
}

/**
 * A duration of `min` or more; finite unless `orInfinity`. A negative one is zero for Effect, which is
 * meant only where it says how long it is until some time: `orNegative`.
 */
export const duration = (
  option: string,
  given: Duration.DurationInput,
  {
    min = Duration.zero,
    orInfinity = false,
    orNegative = false
  }: {
    readonly min?: Duration.Duration
    readonly orInfinity?: boolean
    readonly orNegative?: boolean
  } = {}
): Duration.Duration => {
  const refused = !orNegative && isNegative(given)
  const decoded = refused ? undefined : Option.getOrUndefined(decode(given))
  if (
    decoded !== undefined &&
    Duration.greaterThanOrEqualTo(decoded, min) &&
    (orInfinity || Duration.isFinite(decoded))
  ) {
    return decoded
  }
  const least = Duration.equals(min, Duration.zero) ? "" : ` of at least ${Duration.format(min)}`
  throw new InvalidOption({
    option,
    given,
    allowed: `a duration${least} such as "30 seconds", or a number of milliseconds${orInfinity ? ", or Duration.infinity" : ""}`
  })
}

/** The shortest pause of whoever repeats something: without one it would do nothing else. */
export const shortestPause = Duration.millis(1)

const isNegative = (given: Duration.DurationInput) =>
  typeof given === "string" ? given.trim().startsWith("-") : Number(given) < 0

const decode = (given: Duration.DurationInput): Option.Option<Duration.Duration> =>
  Number.isNaN(given) ? Option.none() : Duration.decodeUnknown(given)
