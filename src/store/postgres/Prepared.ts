/**
 * Statements that the connections of a client keep, by a name: they are parsed and planned once for
 * each connection. Not behind a pooler, which may give a client another connection of its own with each
 * transaction: PgBouncer tells its clients of sessions that are not the server's. One that passes on the
 * server's own is known by the first statement that a connection does not have.
 */
import { createHash } from "node:crypto"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Pg from "pg"
import { codeOf } from "./Failure.js"

type Execute = Connection["executeRaw"]

/**
 * The connection does not have it, has another of its name, or has it from before the tables were
 * changed. Nothing was executed.
 */
const isNotKept = (error: SqlError): boolean =>
  ["26000", "42P05", "0A000"].includes(codeOf(error) ?? "")

/**
 * Begins with the first of our tables or functions that is in it. Two that have the same name are the
 * same, in whatever schema and version. PostgreSQL's names have 63 bytes at most.
 */
const nameOf = (statement: string): string => {
  const about = /"\.(workflow_[a-z0-9_]+)/.exec(statement)?.[1] ?? "workflow"
  const hash = createHash("sha256").update(statement).digest("hex")
  return `${about.slice(0, 40)}_${hash.slice(0, 16)}`
}

interface HasClient {
  readonly pg: Pg.ClientBase & { readonly processID: unknown }
}

/** What `@effect/sql-pg` has reserved. The id is that of the session, as the client was told. */
const hasClient = (connection: unknown): connection is HasClient =>
  Predicate.hasProperty(connection, "pg") &&
  Predicate.hasProperty(connection.pg, "processID") &&
  Predicate.hasProperty(connection.pg, "query") &&
  typeof connection.pg.query === "function"

const executeBy = (
  client: Pg.ClientBase,
  name: string,
  text: string,
  params: ReadonlyArray<unknown>
) =>
  Effect.async<unknown, SqlError>((resume) => {
    client.query({ name, text, values: [...params] }, (cause, result) => {
      resume(
        // there is no error where there is a result, whatever its type says
        Predicate.isNotNullable(cause)
          ? Effect.fail(new SqlError({ cause, message: "Failed to execute statement" }))
          : Effect.succeed(result)
      )
    })
  })

const selectSession = "SELECT pg_backend_pid() AS pid"

/** Whether the session that the client was told of is the server's. */
const asksServer = (connection: Connection & HasClient): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    connection.executeRaw(selectSession, []),
    (result) =>
      Predicate.hasProperty(result, "rows") &&
      Array.isArray(result.rows) &&
      result.rows[0]?.pid === connection.pg.processID
  )

/** Of one client: what executes a statement on a connection of it that may keep it. */
export const make = (): ((connection: Connection) => Execute) => {
  const names = new Map<string, string>()
  const direct = new WeakMap<Pg.ClientBase, boolean>()
  let areKept = true
  const nameFor = (statement: string): string => {
    const known = names.get(statement)
    if (known !== undefined) return known
    const name = nameOf(statement)
    names.set(statement, name)
    return name
  }
  const isDirect = (connection: Connection & HasClient): Effect.Effect<boolean, SqlError> => {
    const known = direct.get(connection.pg)
    return known === undefined
      ? Effect.tap(asksServer(connection), (is) => {
          direct.set(connection.pg, is)
          return Effect.void
        })
      : Effect.succeed(known)
  }
  const orUnprepared =
    (unprepared: ReturnType<Execute>) =>
    (error: SqlError): ReturnType<Execute> => {
      if (!isNotKept(error)) return Effect.fail(error)
      areKept = false
      return unprepared
    }
  return (connection) => (statement, params) => {
    const unprepared = Effect.suspend(() => connection.executeRaw(statement, params))
    if (!areKept || !hasClient(connection)) return unprepared
    const { pg } = connection
    return Effect.flatMap(isDirect(connection), (is) =>
      is
        ? Effect.catchAll(
            executeBy(pg, nameFor(statement), statement, params),
            orUnprepared(unprepared)
          )
        : unprepared
    )
  }
}
