import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Sql } from "./Sql.js"
import { fromConnection, inOneTurn } from "./Sql.js"

/** The one connection of a SQLite client, shared with the app that brought it. */
export interface Database {
  /**
   * Runs statements in one turn, while no transaction of the app is open; waits for the end of one
   * that is.
   */
  readonly reserved: <A, E>(
    use: (sql: Sql) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | SqlError>
  /** As `reserved`; but called inside such a transaction, which `reserved` would wait for, in it. */
  readonly read: <A, E>(use: (sql: Sql) => Effect.Effect<A, E>) => Effect.Effect<A, E | SqlError>
  /** Whether somebody with these services is inside a transaction of this client. */
  readonly isInside: (services: Context.Context<never>) => boolean
}

export const make = (client: SqlClient.SqlClient): Effect.Effect<Database, SqlError> =>
  Effect.gen(function* () {
    const connection = yield* Effect.scoped(client.reserve)
    const isInside = (services: Context.Context<never>) =>
      Option.match(Context.getOption(services, SqlClient.TransactionConnection), {
        onNone: () => false,
        onSome: ([theirs]) => theirs === connection
      })
    const reserved: Database["reserved"] = (use) =>
      Effect.scoped(
        Effect.flatMap(client.reserve, (connection) => inOneTurn(use(fromConnection(connection))))
      )
    return {
      reserved,
      isInside,
      read: (use) =>
        Effect.contextWithEffect((services: Context.Context<never>) =>
          isInside(services) ? inOneTurn(use(fromConnection(connection))) : reserved(use)
        )
    }
  })
