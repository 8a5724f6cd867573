/**
 * `workflow-executor copy`: all that a file has into PostgreSQL, or back.
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { isSchemaName } from "../internal/SchemaName.js"
import * as PostgresStore from "../PostgresStore.js"
import type * as Settings from "../Settings.js"
import * as Copying from "../store/copy/Copy.js"
import type { Side } from "../store/copy/Side.js"
import { RunStoreError } from "../store/RunStore.js"
import * as SqliteSide from "../store/sqlite/CopySide.js"
import * as Database from "./Database.js"
import * as DatabaseFile from "./DatabaseFile.js"
import { UsageError } from "./Failures.js"
import * as Output from "./Output.js"

export interface Options {
  readonly json: boolean
  /** A file, or the URL of PostgreSQL. Default: `DATABASE_URL`. */
  readonly from: Option.Option<string>
  readonly to: Option.Option<string>
  /** Of PostgreSQL. Default: `DATABASE_SCHEMA`. */
  readonly schema: Option.Option<string>
  /** Gives up a copy that is under way. */
  readonly cancel: boolean
}

const usage = (message: string) => new UsageError({ message })

const schemaOf = (given: Option.Option<string>) =>
  Effect.gen(function* () {
    const schema = Option.isSome(given)
      ? given
      : yield* Config.option(Config.nonEmptyString("DATABASE_SCHEMA"))
    if (Option.isSome(schema) && !isSchemaName(schema.value)) {
      return yield* usage(
        `The schema is ${JSON.stringify(schema.value)}; expected 1 to 63 lower-case letters, digits and underscores, beginning with neither a digit nor pg_`
      )
    }
    return Option.getOrUndefined(schema)
  })

/** A URL is told nowhere: it may have a password. */
const databaseOf = (
  option: "from" | "to",
  { schema, ...options }: Options
): Effect.Effect<Settings.Database, UsageError | ConfigError.ConfigError> =>
  Effect.gen(function* () {
    const text = Option.isSome(options[option])
      ? options[option].value
      : Option.getOrUndefined(yield* Config.option(Config.nonEmptyString("DATABASE_URL")))
    if (text === undefined) {
      return yield* usage(
        `Say what to copy ${option}: --${option} with a file or postgres://...; left out it is DATABASE_URL, which is not set`
      )
    }
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return { _tag: "File", file: text }
    if (!URL.canParse(text) || !/^postgres(ql)?:$/.test(new URL(text).protocol)) {
      return yield* usage(
        `--${option} is <hidden>; expected a file, or a URL such as postgres://user:password@host:5432/name`
      )
    }
    return { _tag: "Postgres", url: Redacted.make(text), schema: yield* schemaOf(schema) }
  })

const sideOf = (database: Settings.Database): Effect.Effect<Side, RunStoreError, Scope.Scope> =>
  database._tag === "File"
    ? SqliteSide.make(database.file)
    : Effect.flatMap(PostgresStore.load, ({ copySide }) =>
        copySide(database, Database.nameOf(database))
      )

/** Nothing is made, and no schema changed, where it is copied from. */
const assertOurs = (database: Settings.Database): Effect.Effect<void, RunStoreError> =>
  database._tag === "File"
    ? DatabaseFile.assertOurs(database.file)
    : Effect.flatMap(Database.versions(database), (found) =>
        found.theirs === found.ours
          ? Effect.void
          : new RunStoreError({
              reason: "migration",
              message: `${Database.nameOf(database)}: ${Database.describeSchema(found)}`
            })
      )

export const copy = (options: Options) =>
  Effect.scoped(
    Effect.gen(function* () {
      const from = yield* databaseOf("from", options)
      const to = yield* databaseOf("to", options)
      if (from._tag === to._tag) {
        return yield* usage(
          "A copy goes from a file to PostgreSQL, or from PostgreSQL to a file: one of --from and --to is a file, and the other postgres://... A file is copied to another by a backup"
        )
      }
      yield* assertOurs(from)
      const source = yield* sideOf(from)
      const target = yield* sideOf(to)
      const sides = { from: source.name, to: target.name }
      if (options.cancel) {
        yield* Copying.cancel({ source, target })
        return yield* options.json
          ? Output.json({ ...sides, cancelled: true })
          : Output.line(
              `The copy of ${source.name} to ${target.name} was given up: ${source.name} may be used again`
            )
      }
      const { rows } = yield* Copying.copy({
        source,
        target,
        tell: (table, count) =>
          options.json ? Effect.void : Output.aside(`${table}: ${count} rows`)
      })
      yield* options.json
        ? Output.json({ ...sides, rows })
        : Output.line(
            `${source.name} was copied to ${target.name}: ${rows.workflow_runs ?? 0} runs, ${rows.workflow_steps ?? 0} steps. ${source.name} is out of use`
          )
    })
  )
