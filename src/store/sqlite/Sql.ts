import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Dialect } from "../Dialect.js"
import { dialect } from "./Dialect.js"

export type Param = string | number | null

/**
 * Statements on one reserved connection. Goes past `@effect/sql`'s tagged templates: a template is
 * built, compiled and traced each time, which costs more than SQLite needs for the statement.
 */
export interface Sql {
  readonly dialect: Dialect
  readonly rows: <Row>(
    statement: string,
    params?: ReadonlyArray<Param>
  ) => Effect.Effect<ReadonlyArray<Row>, SqlError>
  /** Runs a statement that returns no rows; answers with how many rows it changed. */
  readonly changes: (
    statement: string,
    params?: ReadonlyArray<Param>
  ) => Effect.Effect<number, SqlError>
  /** Runs a statement once, without keeping it prepared. */
  readonly once: <Row>(statement: string) => Effect.Effect<ReadonlyArray<Row>, SqlError>
}

/** `Row` is what the statement selects; the tables are STRICT, so the types are SQLite's promise. */
export const fromConnection = (connection: Connection): Sql => {
  const unprepared = <Row>(
    statement: string,
    params: ReadonlyArray<Param>
  ): Effect.Effect<ReadonlyArray<Row>, SqlError> =>
    Effect.suspend(() => connection.executeUnprepared(statement, params, undefined))

  const lastChanges = Effect.map(
    unprepared<{ readonly changes: number }>("SELECT changes() AS changes", []),
    (rows) => rows[0]?.changes ?? 0
  )

  return {
    dialect,
    rows: <Row>(statement: string, params: ReadonlyArray<Param> = []) => {
      const prepared: Effect.Effect<ReadonlyArray<Row>, SqlError> = connection.execute(
        statement,
        params,
        undefined
      )
      return Effect.catchAll(prepared, (error) =>
        failedToPrepare(error) ? unprepared<Row>(statement, params) : Effect.fail(error)
      )
    },
    changes: (statement, params = []) =>
      Effect.matchEffect(connection.executeRaw(statement, params), {
        onSuccess: (result) => Effect.succeed(changesOf(result)),
        onFailure: (error) =>
          failedToPrepare(error)
            ? Effect.zipRight(unprepared(statement, params), lastChanges)
            : Effect.fail(error)
      }),
    once: (statement) => unprepared(statement, [])
  }
}

/**
 * The client keeps prepared statements in a cache that also keeps a failure to prepare, for ten
 * minutes: a lock or a full disk of one moment would be this statement's error long after.
 */
const failedToPrepare = (error: SqlError) => error.message.startsWith("Failed to prepare")

const changesOf = (result: unknown): number =>
  Predicate.hasProperty(result, "changes") && Predicate.isNumber(result.changes)
    ? result.changes
    : 0

/**
 * Runs statements in one turn of the event loop: whoever reserves the connection holds up every
 * other user of the client, and an open transaction every other process.
 */
export const inOneTurn = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  effect.pipe(
    // A fiber in whose context this is set would turn the shared statements to bigint for good.
    Effect.provideService(SqlClient.SafeIntegers, false),
    Effect.withMaxOpsBeforeYield(Number.POSITIVE_INFINITY),
    Effect.uninterruptible
  )

/** A savepoint is a read transaction of its own, or a part of the one that the caller is in. */
export const inSnapshot = <A, E>(
  sql: Sql,
  effect: Effect.Effect<A, E>
): Effect.Effect<A, E | SqlError> =>
  Effect.acquireUseRelease(
    sql.rows("SAVEPOINT workflow_read"),
    () => effect,
    () => Effect.orDie(sql.rows("RELEASE workflow_read"))
  )
