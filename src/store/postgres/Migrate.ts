import type { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { RunStoreError } from "../RunStore.js"
import * as Failure from "./Failure.js"
import type { Schema } from "./Schema.js"
import type { Sql } from "./Sql.js"

/** By name, beginning with its number. */
export type Migrations = Readonly<Record<string, ReadonlyArray<string>>>

const table = "workflow_executor_migrations"

const createTable = `CREATE TABLE IF NOT EXISTS ${table} (
  migration_id integer PRIMARY KEY,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  name text NOT NULL
)`

const selectNewest = `SELECT max(migration_id) AS id FROM ${table}`

const insertMigration = `INSERT INTO ${table} (migration_id, name) VALUES ($1, $2)`

/** The lock of a schema, by its name: there may be no schema yet. */
const lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 7263))"

const numberOf = (name: string) => Number.parseInt(name, 10)

/** The number of the last one. */
export const newest = (migrations: Migrations): number =>
  Math.max(0, ...Object.keys(migrations).map(numberOf))

/** Bodies of functions are executed under whatever search path their caller has. */
const inSchema = (statement: string, { qualified }: Schema) =>
  statement.replaceAll(/\$f\$[\s\S]*?\$f\$/g, (body) => qualified(body))

/**
 * Brings the schema to this version, all of it or nothing, also when many begin at once: the others
 * wait for the first. Makes the schema where it is missing.
 */
export const migrate = (
  sql: Sql,
  schema: Schema,
  migrations: Migrations
): Effect.Effect<void, RunStoreError> =>
  Effect.gen(function* () {
    yield* sql.script("BEGIN")
    yield* sql.rows(lock, [schema.name])
    const before = yield* recorded(sql, schema)
    const ours = newest(migrations)
    if (before > ours) return yield* newerSchema(schema, before, ours)
    if (before < ours) yield* apply(sql, schema, migrations, before)
    yield* sql.script("COMMIT")
  }).pipe(
    Effect.tapErrorCause(() => Failure.ignoreAll(sql.script("ROLLBACK"))),
    Effect.catchAllCause((cause) => Effect.fail(migrationError(cause, schema))),
    Effect.tapError((error) => Effect.logError(error.message, Cause.fail(error)))
  )

const apply = (
  sql: Sql,
  schema: Schema,
  migrations: Migrations,
  before: number
): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    yield* enter(sql, schema)
    yield* sql.script(createTable)
    for (const [name, statements] of Object.entries(migrations)) {
      if (numberOf(name) <= before) continue
      for (const statement of statements) yield* sql.script(inSchema(statement, schema))
      yield* sql.rows(insertMigration, [numberOf(name), name.replace(/^\d+_/, "")])
    }
  })

/** The schema is made where it is missing, and what is made then is in it. */
const enter = (sql: Sql, schema: Schema): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    if ((yield* sql.rows(schemaExists, [schema.name])).length === 0) {
      yield* sql.script(`CREATE SCHEMA ${schema.identifier}`)
    }
    yield* sql.script(`SET LOCAL search_path = ${schema.identifier}`)
  })

/** Makes tables that are no part of the runs' own, where they are missing; also when many begin at once. */
export const makeTables = (
  sql: Sql,
  schema: Schema,
  tables: ReadonlyArray<string>
): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    yield* sql.script("BEGIN")
    yield* sql.rows(lock, [schema.name])
    yield* enter(sql, schema)
    for (const table of tables) yield* sql.script(table)
    yield* sql.script("COMMIT")
  }).pipe(Effect.tapErrorCause(() => Failure.ignoreAll(sql.script("ROLLBACK"))))

const schemaExists = "SELECT 1 FROM pg_namespace WHERE nspname = $1"

const tableExists = `
  SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2`

/** The newest migration that the schema has; 0 when it has none. */
export const recorded = (sql: Sql, schema: Schema): Effect.Effect<number, SqlError> =>
  Effect.gen(function* () {
    if ((yield* sql.rows(tableExists, [schema.name, table])).length === 0) return 0
    const [row] = yield* sql.rows<{ readonly id: number | null }>(selectNewest)
    return row?.id ?? 0
  })

const newerSchema = ({ name }: Schema, theirs: number, ours: number) =>
  new RunStoreError({
    reason: "migration",
    message:
      `The schema ${name} is of version ${theirs}, written by a newer version of ` +
      `effect-workflow-executor; this version knows schemas up to ${ours}`
  })

const migrationError = (cause: Cause.Cause<unknown>, { name }: Schema): RunStoreError => {
  const error = Cause.squash(cause)
  if (error instanceof RunStoreError) return error
  const failure = Failure.fromCause(cause, `migrate the schema ${name}`)
  return Failure.isConnectionLost(cause)
    ? failure
    : new RunStoreError({ reason: "migration", message: failure.message, cause: error })
}
