/**
 * Variables of the environment, each with what it allows.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"

/** Shown instead of the value of a secret. */
const hidden = "<hidden>"

/**
 * A variable that `parse` reads; `undefined` is a value that is not allowed. Blanks around a value
 * do not count, and an empty one counts as not set. The error names the variable, the value and
 * what is allowed.
 *
 * @param options.option the command's option that overrides it
 */
export const make = <A>(
  name: string,
  options: {
    readonly allowed: string
    readonly parse: (text: string) => A | undefined
    readonly option?: string | undefined
    readonly secret?: boolean | undefined
  }
): Config.Config<A> =>
  Config.string(name).pipe(
    Config.mapOrFail((raw) => {
      const text = raw.trim()
      if (text === "") return Either.left(ConfigError.MissingData([name], `${name} is empty`))
      // blanks may be part of a secret
      const value = options.parse(options.secret === true ? raw : text)
      if (value !== undefined) return Either.right(value)
      const names = options.option === undefined ? name : `${name} (option ${options.option})`
      const shown = options.secret === true ? hidden : JSON.stringify(raw)
      return Either.left(
        ConfigError.InvalidData([name], `${names} is ${shown}; expected ${options.allowed}`)
      )
    })
  )

/** A whole number between two others, both included. */
export const integer = (
  name: string,
  range: {
    readonly min: number
    readonly max: number
    readonly allowed: string
    readonly option?: string
  }
): Config.Config<number> => make(name, { ...range, parse: (text) => wholeNumber(text, range) })

/** `undefined` where it is not one in that range. */
export const wholeNumber = (
  text: string,
  { max, min }: { readonly min: number; readonly max: number }
): number | undefined => {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  return value >= min && value <= max ? value : undefined
}

/** A finite duration in Effect's words, such as `30 seconds`; `0` is one too. */
export const duration = (
  name: string,
  options: { readonly min: Duration.Duration; readonly allowed: string; readonly option?: string }
): Config.Config<Duration.Duration> =>
  make(name, {
    ...options,
    parse: (text) => {
      const value = text === "0" ? Option.some(Duration.zero) : decodeDuration(text)
      return Option.getOrUndefined(
        Option.filter(
          value,
          (value) => Duration.isFinite(value) && Duration.greaterThanOrEqualTo(value, options.min)
        )
      )
    }
  })

const decodeDuration = (text: string) =>
  // a minus sign, which Duration takes and makes zero of, is not what anybody meant
  text.startsWith("-")
    ? Option.none()
    : Duration.decodeUnknown(text.toLowerCase().replace(/\s+/g, " "))

/** One of these, whatever its case. */
export const oneOf = <A>(name: string, values: Readonly<Record<string, A>>): Config.Config<A> =>
  make(name, {
    allowed: `one of ${Object.keys(values).join(", ")}`,
    parse: (text) =>
      Object.entries(values).find(([key]) => key.toLowerCase() === text.toLowerCase())?.[1]
  })

/** What a failed reading has to say, one line for each variable. */
export const describe = (error: ConfigError.ConfigError): ReadonlyArray<string> => {
  switch (error._op) {
    case "And":
    case "Or":
      return [...describe(error.left), ...describe(error.right)]
    case "InvalidData":
      return [error.message]
    default:
      return [`${error.path.join(".")}: ${error.message}`]
  }
}
