/**
 * Transactions of services that keep something of their own beside the runs, on a client of the
 * app's or on a file.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { retryWhileBusy } from "../Busy.js"
import { RunStoreError } from "../RunStore.js"
import type { Transactions } from "../Transactions.js"
import * as Connect from "./Connect.js"
import * as Databases from "./Database.js"
import * as Failure from "./Failure.js"
import type { Sql } from "./Sql.js"

const inside = new RunStoreError({
  reason: "unavailable",
  message:
    "it was called inside a transaction of its own SQL client, for which it would wait for ever"
})

/** Makes the tables. Other processes are waited for with the event loop free. The client gets `synchronous = FULL` and a `busy_timeout` of 20 milliseconds. */
export const make = (
  tables: ReadonlyArray<string>
): Effect.Effect<Transactions, RunStoreError, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const database = yield* Failure.orRunStoreError("reserve its connection")(
      Effect.flatMap(SqlClient.SqlClient, Databases.make)
    )
    yield* Connect.configure(database)
    const transact = <A>(use: (sql: Sql) => Effect.Effect<A, SqlError>) =>
      database.reserved((sql) =>
        Effect.zipRight(
          sql.rows("BEGIN IMMEDIATE"),
          use(sql).pipe(
            Effect.zipLeft(sql.rows("COMMIT")),
            Effect.tapErrorCause(() => Failure.ignoreAll(sql.rows("ROLLBACK")))
          )
        )
      )
    const write: Transactions["write"] = (use) =>
      Effect.contextWithEffect((services: Context.Context<never>) =>
        database.isInside(services)
          ? Effect.fail(inside)
          : retryWhileBusy(Failure.orRunStoreError("write")(transact(use)), {
              isBusy: ({ reason }) => reason === "busy",
              hurry: Effect.never
            })
      )
    yield* write((sql) =>
      Effect.forEach(tables, (statement) => sql.changes(statement), { discard: true })
    )
    return { write }
  })
