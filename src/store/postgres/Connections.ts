/** Connections of a `PgClient`, one at a time, for as long as they are good. */
import { EventEmitter } from "node:events"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { OutcomeUnknown, TransactionFailed } from "../GroupCommit.js"
import { isConnectionLost } from "./Failure.js"
import type { Schema } from "./Schema.js"
import type { Sql } from "./Sql.js"
import { fromConnection } from "./Sql.js"

export interface Connections {
  readonly schema: Schema
  readonly reserved: <A, E>(
    use: (sql: Sql) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | SqlError>
}

export const make = (client: PgClient.PgClient, schema: Schema): Connections => ({
  schema,
  reserved: (use) =>
    Effect.scoped(
      Effect.flatMap(client.reserve, (connection) =>
        Effect.tapErrorCause(use(fromConnection(connection, schema)), (cause) =>
          Effect.sync(() => {
            if (isOfNoUse(cause)) discard(connection, cause)
          })
        )
      )
    )
})

const isOfNoUse = (cause: Cause.Cause<unknown>): boolean => {
  const failed = Cause.squash(cause)
  if (failed instanceof OutcomeUnknown) return true
  return failed instanceof TransactionFailed
    ? isConnectionLost(Cause.fail(failed.error.cause))
    : isConnectionLost(cause)
}

/**
 * A connection that was timed out would go back to the pool with its statement still under way: the
 * client lets go of those only that have told of an error of their own.
 */
const discard = (connection: Connection, cause: Cause.Cause<unknown>): void => {
  if (Predicate.hasProperty(connection, "pg") && connection.pg instanceof EventEmitter) {
    connection.pg.emit("error", Cause.squash(cause))
  }
}
