/**
 * Transactions of services that keep something of their own beside the runs, on a client of the app's or
 * on a database of their own client. Their tables are in the schema of the runs.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import { retryWhileBusy } from "../Busy.js"
import type { RunStoreError } from "../RunStore.js"
import type { Transactions } from "../Transactions.js"
import * as AllConnections from "./Connections.js"
import * as Failure from "./Failure.js"
import { makeTables } from "./Migrate.js"
import { portable } from "./Numbered.js"
import * as Schemas from "./Schema.js"

/** Makes the tables, once for all processes that begin together. Dies with `InvalidSchema`. */
export const make = (
  tables: ReadonlyArray<string>,
  schemaName: string
): Effect.Effect<Transactions, RunStoreError, PgClient.PgClient> =>
  Effect.gen(function* () {
    const schema = yield* Schemas.checked(schemaName)
    const connections = AllConnections.make(yield* PgClient.PgClient, schema)
    const transact: Transactions["write"] = (use) =>
      Failure.orRunStoreError("write")(
        connections.reserved((sql) =>
          Effect.zipRight(
            sql.script("BEGIN"),
            use(portable(sql)).pipe(
              Effect.zipLeft(sql.script("COMMIT")),
              Effect.tapErrorCause(() => Failure.ignoreAll(sql.script("ROLLBACK")))
            )
          )
        )
      )
    yield* Failure.orRunStoreError("make its tables")(
      connections.reserved((sql) => makeTables(sql, schema, tables))
    )
    return {
      // a transaction that was left open would go back to the pool
      write: (use) =>
        Effect.uninterruptible(
          retryWhileBusy(transact(use), {
            isBusy: ({ reason }) => reason === "busy",
            hurry: Effect.never
          })
        )
    }
  })
