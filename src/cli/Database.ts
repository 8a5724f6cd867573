/** The database that a command works on, a file or PostgreSQL: which one, and its store. */
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as PostgresStore from "../PostgresStore.js"
import * as Settings from "../Settings.js"
import type { RunStore } from "../store/RunStore.js"
import { RunStoreError } from "../store/RunStore.js"
import { withVariables } from "./Variables.js"

export interface Options {
  /** A file. */
  readonly database: Option.Option<string>
  /** PostgreSQL instead. */
  readonly databaseUrl: Option.Option<Redacted.Redacted>
}

/** As the options have it, and where they say nothing the environment. */
export const read = (options: Options): Effect.Effect<Settings.Database, ConfigError.ConfigError> =>
  withVariables({
    DATABASE_FILE: options.database,
    DATABASE_URL: Option.map(options.databaseUrl, Redacted.value)
  })(Settings.database)

type Postgres = Extract<Settings.Database, { readonly _tag: "Postgres" }>

/** What it is called, without who asks and with what. */
export const nameOf = (database: Settings.Database): string =>
  database._tag === "File" ? database.file : PostgresStore.describe(database)

/** The version of the schema there, 0 where there is none, and that of this version. */
export const versions = (
  database: Postgres
): Effect.Effect<{ readonly theirs: number; readonly ours: number }, RunStoreError> =>
  Effect.flatMap(PostgresStore.load, (PostgresRunStore) => PostgresRunStore.versions(database))

/** What is wrong with a schema that is not ours. */
export const describeSchema = (versions: { readonly theirs: number; readonly ours: number }) => {
  const { ours, theirs } = versions
  const migrate = "workflow-executor migrate --database-url URL"
  if (theirs === 0) return `no executor has used this schema yet; ${migrate} prepares it`
  return theirs < ours
    ? `it is of version ${theirs}, and this one needs ${ours}: start an executor of this version, or run ${migrate}`
    : `it is of version ${theirs}, written by a newer version; this one knows schemas up to ${ours}`
}

/** A store on PostgreSQL whose schema is ours already: a command that only asks changes none. */
export const layerPostgres = (database: Postgres): Layer.Layer<RunStore, RunStoreError> =>
  Layer.unwrapEffect(
    Effect.flatMap(versions(database), (found) =>
      found.theirs === found.ours
        ? Effect.succeed(PostgresStore.layer(database))
        : new RunStoreError({
            reason: "migration",
            message: `${nameOf(database)}: ${describeSchema(found)}`
          })
    )
  )
