/**
 * Statements that every database here understands, for operations that are written once for all
 * stores. What differs is written in each store: locks, indexes that are named, arrays.
 *
 * Parameters are `?`, each once; `CAST(? AS bigint)` where PostgreSQL could not tell what it is. A `?`
 * within a text or a name is not for such a statement. Truth is 1 and 0, as SQLite has it.
 */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type { ChangeLog } from "./ChangeLog.js"
import type { Millis } from "./RunStore.js"

export type Param = string | number | null

/** What reads. */
export interface Portable {
  readonly rows: <Row>(
    statement: string,
    params?: ReadonlyArray<Param>
  ) => Effect.Effect<ReadonlyArray<Row>, SqlError>
  /** Answers with how many rows it changed. */
  readonly changes: (
    statement: string,
    params?: ReadonlyArray<Param>
  ) => Effect.Effect<number, SqlError>
}

/** What writes: an operation inside a transaction. */
export interface PortableTransaction extends Portable {
  readonly now: Millis
  readonly log: ChangeLog
}
