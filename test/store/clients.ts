import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"

/** A client as an app would bring it. */
export const client = (
  filename: string,
  options: Omit<SqliteClient.SqliteClientConfig, "filename"> = {}
): Layer.Layer<SqlClient.SqlClient> =>
  Layer.scoped(SqlClient.SqlClient, SqliteClient.make({ filename, ...options })).pipe(
    Layer.provide(Reactivity.layer)
  )

/** A client that asks `before` before each statement; what that fails with the statement does. */
export const intercepted = (
  filename: string,
  before: (statement: string, params: ReadonlyArray<unknown>) => Effect.Effect<unknown, SqlError>
): Layer.Layer<SqlClient.SqlClient> =>
  Layer.map(client(filename), (context) => {
    const wrap = (connection: Connection): Connection => ({
      ...connection,
      execute: (statement, params, transform) =>
        Effect.zipRight(
          before(statement, params),
          connection.execute(statement, params, transform)
        ),
      executeRaw: (statement, params) =>
        Effect.zipRight(before(statement, params), connection.executeRaw(statement, params))
    })
    return Context.make(
      SqlClient.SqlClient,
      withReserve(Context.get(context, SqlClient.SqlClient), wrap)
    )
  })

const withReserve = (
  sql: SqlClient.SqlClient,
  wrap: (connection: Connection) => Connection
): SqlClient.SqlClient => Object.assign(sql, { reserve: Effect.map(sql.reserve, wrap) })

/** Lets time pass until the fiber is done. */
export const whileTimePasses = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Effect.Effect<A, E> =>
  Effect.gen(function* () {
    while (Option.isNone(yield* fiber.poll)) yield* TestClock.adjust("1 second")
    return yield* Fiber.join(fiber)
  })
