/** What several commands have in common: options, and how they answer. */

import * as Args from "@effect/cli/Args"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Time from "../../internal/Time.js"
import * as Failures from "../Failures.js"
import * as Output from "../Output.js"

/** What a command does is imported when it is called: none waits for the modules of the others. */
export const load = <A>(module: () => Promise<A>) => Effect.promise(module)

/** A command that answers on standard output; what goes wrong is told beside it. */
const answering = <A, E, R>(effect: Effect.Effect<A, E, R>, level = LogLevel.Fatal) =>
  effect.pipe(Failures.reported, Output.logBeside(level), (answer) =>
    Effect.zipRight(Output.endWithReader, answer)
  )

export const optionalText = (option: string, description: string) =>
  Options.text(option).pipe(Options.withDescription(description), Options.optional)

const invalid = (message: string) => ValidationError.invalidValue(HelpDoc.p(message))

/** An argument; what looks like an option is one that is not known, or lacks its value. */
export const argument = (name: string, description: string) =>
  Args.text({ name }).pipe(
    Args.mapEffect((text) =>
      text.startsWith("--")
        ? Effect.fail(HelpDoc.p(`${text} is no option of this command, or its value is missing`))
        : Effect.succeed(text)
    ),
    Args.withDescription(description)
  )

/** A whole number between two others, both included. */
export const integer = (
  option: string,
  { allowed, max, min }: { readonly min: number; readonly max: number; readonly allowed: string }
) =>
  Options.text(option).pipe(
    Options.withPseudoName("integer"),
    Options.mapEffect((text) => {
      const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
      return value >= min && value <= max
        ? Either.right(value)
        : Either.left(
            invalid(`--${option} is ${JSON.stringify(text)}; expected a whole number, ${allowed}`)
          )
    })
  )

/** A day, or a time with its zone. */
export const moment = (option: string, description: string) =>
  Options.text(option).pipe(
    Options.withPseudoName("time"),
    Options.mapEffect((text) =>
      Either.fromNullable(Time.parse(text), () => invalid(`--${option}: ${Time.describe(text)}`))
    ),
    Options.withDescription(`${description}, such as 2026-11-22 or 2026-11-22T18:00:00Z`),
    Options.optional
  )

/** Finite, and more than nothing. */
export const parseDuration = (option: string) => (text: string) =>
  Duration.decodeUnknown(text).pipe(
    Option.filter(
      (duration) => Duration.isFinite(duration) && Duration.greaterThan(duration, Duration.zero)
    ),
    Either.fromOption(() =>
      invalid(`--${option} is ${JSON.stringify(text)}; expected a duration such as "2 hours"`)
    )
  )

export const optionalDuration = (option: string, description: string) =>
  Options.text(option).pipe(
    Options.withPseudoName("duration"),
    Options.mapEffect(parseDuration(option)),
    Options.withDescription(`${description}, such as "2 hours"`),
    Options.optional
  )

export const json = Options.boolean("json").pipe(
  Options.withDescription("JSON instead of tables, for programs")
)

/** A secret, for the password is in it; in the schema DATABASE_SCHEMA. */
export const databaseUrl = (description: string) =>
  Options.redacted("database-url").pipe(Options.withDescription(description), Options.optional)

/** Of the commands that work on an API or, instead, on a database. */
export const target = {
  json,
  url: optionalText("url", "API of a running executor (http://HOST:PORT; http://127.0.0.1:3400)"),
  token: Options.redacted("token").pipe(
    Options.withDescription(
      "Bearer token (WORKFLOW_EXECUTOR_TOKEN; else one that is signed with AUTH_SECRET)"
    ),
    Options.optional
  ),
  database: optionalText("database", "Work on this SQLite file itself, instead of on an API"),
  databaseUrl: databaseUrl("Work on this PostgreSQL database itself, instead of on an API")
}

/** A command that answers, in a module of its own. */
export const calling = <Module, A, E, R>(
  module: () => Promise<Module>,
  use: (module: Module) => Effect.Effect<A, E, R>,
  level?: LogLevel.LogLevel
) => answering(Effect.flatMap(load(module), use), level)

/** A command of `RunsCommands`. */
export const runsCommands = <A>(
  use: (commands: typeof import("../RunsCommands.js")) => Effect.Effect<A, unknown>
) => calling(() => import("../RunsCommands.js"), use)
