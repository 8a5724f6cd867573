import * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import { retryWhileBusy } from "../Busy.js"
import { RunStoreError } from "../RunStore.js"
import * as Failure from "./Failure.js"
import type { Sql } from "./Sql.js"
import { fromConnection, inOneTurn } from "./Sql.js"

const table = "workflow_executor_migrations"

/** By name, beginning with its number. */
export type Migrations = Readonly<Record<string, ReadonlyArray<string>>>

/**
 * Brings the schema to this version, all of it or nothing, also when several processes start on
 * one new file at once.
 */
export const migrate = (
  migrations: Migrations
): Effect.Effect<void, RunStoreError, SqlClient.SqlClient> =>
  retryWhileBusy(migrateLocked(migrations), {
    isBusy: (error) => error.reason === "busy",
    hurry: Effect.never
  }).pipe(Effect.tapError((error) => Effect.logError(error.message, Cause.fail(error))))

/**
 * The Migrator reads before it writes, in a deferred transaction, and takes a collision with
 * another process for "already running", that is for success. Inside this transaction, which has
 * the write lock from the beginning, it uses a savepoint and collides with nobody.
 */
const migrateLocked = (migrations: Migrations) =>
  Effect.flatMap(SqlClient.SqlClient, (client) =>
    Effect.scoped(
      Effect.flatMap(
        Failure.orRunStoreError("reserve its connection")(client.reserve),
        (connection) => inOneTurn(inTransaction(connection, runMigrator(connection, migrations)))
      )
    )
  )

const inTransaction = <R>(
  connection: Connection,
  effect: Effect.Effect<void, RunStoreError, R>
) => {
  const sql = fromConnection(connection)
  return Failure.orRunStoreError("lock its database")(sql.once("BEGIN IMMEDIATE")).pipe(
    Effect.zipRight(
      effect.pipe(
        Effect.zipRight(Failure.orRunStoreError("write its schema")(sql.once("COMMIT"))),
        Effect.tapErrorCause(() => Failure.ignoreAll(sql.once("ROLLBACK")))
      )
    ),
    Effect.asVoid
  )
}

const runMigrator = (connection: Connection, migrations: Migrations) =>
  Effect.gen(function* () {
    const sql = fromConnection(connection)
    const ours = newest(migrations)
    const before = yield* recorded(sql)
    if (before > ours) return yield* newerSchema(before, ours)
    yield* Effect.provideService(
      Migrator.make({})({ table, loader: Migrator.fromRecord(Record.map(migrations, run)) }),
      SqlClient.TransactionConnection,
      [connection, 0]
    )
    // It takes a failure to record a migration for another process's doing.
    if ((yield* recorded(sql)) !== ours) return yield* notRecorded
  }).pipe(Effect.catchAllCause((cause) => Effect.fail(migrationError(cause))))

/**
 * Unprepared: the client would keep the failure of a statement, and fail a second attempt with it.
 * It throws what it cannot prepare, and as a defect the Migrator would not say which migration.
 */
const run = (statements: ReadonlyArray<string>) =>
  Effect.flatMap(SqlClient.SqlClient, (client) =>
    Effect.forEach(statements, (statement) => client.unsafe(statement).unprepared, {
      discard: true
    }).pipe(Effect.catchAllDefect((cause) => new SqlError({ cause })))
  )

/** The number of the last one. */
export const newest = (migrations: Migrations): number =>
  Math.max(0, ...Object.keys(migrations).map((name) => Number.parseInt(name, 10)))

/** The newest migration that the database has; 0 when it has none. */
export const recorded = (sql: Sql) =>
  Effect.gen(function* () {
    const tables = yield* sql.once(`SELECT 1 FROM sqlite_master WHERE name = '${table}'`)
    if (tables.length === 0) return 0
    const rows = yield* sql.once<{ readonly id: number | null }>(
      `SELECT max(migration_id) AS id FROM ${table}`
    )
    return rows[0]?.id ?? 0
  })

const newerSchema = (theirs: number, ours: number) =>
  new RunStoreError({
    reason: "migration",
    message:
      `The database has schema ${theirs}, written by a newer version of effect-workflow-executor; ` +
      `this version knows schemas up to ${ours}`
  })

const notRecorded = new RunStoreError({
  reason: "migration",
  message: "The run store could not record its schema's migrations"
})

const migrationError = (cause: Cause.Cause<unknown>): RunStoreError => {
  const error = Cause.squash(cause)
  if (error instanceof RunStoreError) return error
  const failure = Failure.fromCause(cause, "migrate its schema")
  if (failure.reason === "damaged") return failure
  const message = error instanceof Migrator.MigrationError ? `${error.message}: ` : ""
  return new RunStoreError({
    reason: "migration",
    message: `The run store could not migrate its schema: ${message}${Failure.describe(error)}`,
    cause: error
  })
}
