/**
 * A database file, looked at before anything is done with it: nothing is made, and no schema
 * changed, by a command that only asks.
 */
import { stat } from "node:fs/promises"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Effect from "effect/Effect"
import { RunStoreError } from "../store/RunStore.js"
import * as Databases from "../store/sqlite/Database.js"
import * as Failure from "../store/sqlite/Failure.js"
import { newest, recorded } from "../store/sqlite/Migrate.js"
import { migrations } from "../store/sqlite/Migrations.js"
import type { Sql } from "../store/sqlite/Sql.js"

/** The newest schema that this version knows. */
export const ourSchema = newest(migrations)

const refused = (message: string) => new RunStoreError({ reason: "unavailable", message })

/** Fails where there is no such file. */
export const assertExists = (file: string): Effect.Effect<void, RunStoreError> =>
  Effect.tryPromise({
    try: () => stat(file),
    catch: () => refused(`${file}: there is no such file`)
  }).pipe(
    Effect.filterOrFail(
      (stats) => stats.isFile(),
      () => refused(`${file}: it is not a file`)
    ),
    Effect.asVoid
  )

/** Reads without being able to write. */
export const inspect = <A, E>(
  file: string,
  use: (sql: Sql) => Effect.Effect<A, E>
): Effect.Effect<A, RunStoreError> =>
  Effect.scoped(
    SqliteClient.make({ filename: file, readonly: true, disableWAL: true }).pipe(
      Effect.flatMap(Databases.make),
      Effect.flatMap((database) => database.read(use)),
      Effect.provide(Reactivity.layer)
    )
  ).pipe(
    Failure.orRunStoreError("read it"),
    Effect.mapError((error) => Failure.named(file)(error))
  )

/** Its schema; 0 where it has none. */
export const schemaOf = (file: string): Effect.Effect<number, RunStoreError> =>
  Effect.zipRight(assertExists(file), inspect(file, recorded))

/** What is wrong with a schema that is not ours. */
export const describeSchema = (file: string, schema: number): string => {
  const migrate = `workflow-executor migrate --database ${file}`
  if (schema === 0) return `no executor has used this file yet; ${migrate} prepares it`
  return schema < ourSchema
    ? `it has schema ${schema}, and this version needs ${ourSchema}: start an executor of this version, or run ${migrate}`
    : `it has schema ${schema}, written by a newer version; this version knows schemas up to ${ourSchema}`
}

/** Fails unless the file is there with the schema of this version. */
export const assertOurs = (file: string): Effect.Effect<void, RunStoreError> =>
  Effect.flatMap(schemaOf(file), (schema) =>
    schema === ourSchema
      ? Effect.void
      : new RunStoreError({
          reason: "migration",
          message: `${file}: ${describeSchema(file, schema)}`
        })
  )
