/** One transaction of the store's writes. */

import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Admission from "../Admission.js"
import { ChangeLog } from "../ChangeLog.js"
import { TransactionFailed } from "../GroupCommit.js"
import type { Change } from "../RunStore.js"
import { RunStoreError } from "../RunStore.js"
import type { Write } from "../Write.js"
import { runAll } from "../Write.js"
import type { Database } from "./Database.js"
import { fromCause, ignoreAll, ofStatement } from "./Failure.js"
import { onlyWellFormed } from "./Texts.js"
import type { Transaction } from "./Transaction.js"

/** Whether there are queues: who has none pays nothing for them. */
export interface Queues {
  known: boolean
}

/** How far a transaction has come. */
type Stage = "begins" | "operations" | "commits"

/** What it failed with is of an operation, or of the transaction as such. */
const failureAt = (stage: Stage, cause: Cause.Cause<unknown>) => {
  const inOperation = stage === "operations"
  return new TransactionFailed({
    inOperation,
    error: inOperation ? ofStatement(cause) : fromCause(cause, "write")
  })
}

/** Holds the write lock from the first statement to the last, and for one turn only. */
export const transact = (
  database: Database,
  writes: ReadonlyArray<Write<Transaction>>,
  queues: Queues
): Effect.Effect<Change | undefined, TransactionFailed> =>
  database
    .reserved((sql) => {
      let stage: Stage = "begins"
      return Effect.gen(function* () {
        yield* sql.rows("BEGIN IMMEDIATE")
        stage = "operations"
        const transaction = {
          ...onlyWellFormed(sql),
          now: Math.floor(yield* Clock.currentTimeMillis),
          log: new ChangeLog()
        }
        yield* runAll(writes, transaction)
        if (queues.known) yield* Admission.admitMarked(transaction)
        stage = "commits"
        yield* sql.rows("COMMIT")
        return transaction.log.toChange()
      }).pipe(
        Effect.catchAllCause((cause) => {
          const failed = Effect.fail(failureAt(stage, cause))
          // SQLite has rolled back by itself after some errors; then this one fails
          return stage === "begins"
            ? failed
            : Effect.zipRight(ignoreAll(sql.rows("ROLLBACK")), failed)
        })
      )
    })
    .pipe(
      Effect.catchTag("SqlError", (error) => Effect.fail(failureAt("begins", Cause.fail(error))))
    )

/**
 * The writer waits for the connection that the caller's own transaction holds, and the caller for
 * the writer: if it were let in both would wait for ever.
 */
const insideTransaction = new RunStoreError({
  reason: "unavailable",
  message:
    "The run store cannot write inside a transaction of its own SQL client: commit first, then call it"
})

/** Why one with these services must not wait for the writer. */
export const refusedInside =
  (database: Database) =>
  (services: Context.Context<never>): RunStoreError | undefined =>
    database.isInside(services) ? insideTransaction : undefined
