/** Transactions of services that keep something of their own beside the runs. */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type { RunStoreError } from "./Failures.js"
import type { Portable } from "./Portable.js"

export interface Transactions {
  /** All of it, or nothing. While the database is locked it is tried again, for up to 10 seconds. */
  readonly write: <A>(
    use: (sql: Portable) => Effect.Effect<A, SqlError>
  ) => Effect.Effect<A, RunStoreError>
}
