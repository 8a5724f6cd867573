/** Connections of a `PgClient`, one at a time, for as long as they are good. */
import { EventEmitter } from "node:events"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import * as Elapsed from "../../internal/Elapsed.js"
import * as PostgresMetrics from "../../telemetry/PostgresMetrics.js"
import { OutcomeUnknown, TransactionFailed } from "../GroupCommit.js"
import { isConnectionLost } from "./Failure.js"
import * as Prepared from "./Prepared.js"
import type { Schema } from "./Schema.js"
import type { Sql } from "./Sql.js"
import { fromConnection } from "./Sql.js"

export interface Connections {
  readonly schema: Schema
  readonly reserved: <A, E>(
    use: (sql: Sql) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | SqlError>
}

export const make = (client: PgClient.PgClient, schema: Schema): Connections => {
  const prepared = Prepared.make()
  return {
    schema,
    reserved: (use) =>
      Effect.checkInterruptible((isInterruptible) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(Scope.make(), (scope) =>
            Effect.flatMap(
              // who is not interrupted needs nobody to wait in his place
              isInterruptible ? restoring(restore, client, scope) : reserved(client, scope),
              (connection) =>
                restore(use(fromConnection(connection, schema, prepared(connection)))).pipe(
                  Effect.onExit((exit) => {
                    if (Exit.isFailure(exit) && isOfNoUse(exit.cause)) {
                      discard(connection, exit.cause)
                    }
                    return Scope.close(scope, exit)
                  })
                )
            )
          )
        )
      )
  }
}

/**
 * The client gives a connection that comes after its caller was interrupted to nobody, for ever: so it
 * is waited for by somebody who is not, and given back. Its caller need not wait for that.
 */
const restoring = (
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>,
  client: PgClient.PgClient,
  scope: Scope.CloseableScope
): Effect.Effect<Connection, SqlError> =>
  Effect.flatMap(Effect.forkDaemon(reserved(client, scope)), (reserving) =>
    // not joined: it has changed nothing that its caller is to have
    restore(Effect.flatten(Fiber.await(reserving))).pipe(
      Effect.onInterrupt(() =>
        Effect.forkDaemon(Effect.zipRight(Fiber.await(reserving), Scope.close(scope, Exit.void)))
      )
    )
  )

/** Counted for as long as it is. */
const reserved = (client: PgClient.PgClient, scope: Scope.Scope) =>
  Effect.flatMap(Elapsed.now, (asked) =>
    Effect.tap(Scope.extend(client.reserve, scope), () =>
      Effect.flatMap(Elapsed.now, (now) => {
        PostgresMetrics.waitedForConnection(now - asked)
        PostgresMetrics.connectionsInUse(1)
        return Scope.addFinalizer(scope, notInUse)
      })
    )
  )

const notInUse = Effect.sync(() => PostgresMetrics.connectionsInUse(-1))

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
