/**
 * Statements that every database here understands, for operations that are written once for all
 * stores. What they say otherwise in each is its `Dialect`; what differs more is written in each store.
 *
 * Parameters are `?`, each once; `CAST(? AS bigint)` where PostgreSQL could not tell what it is. A `?`
 * within a text or a name is not for such a statement. Truth is 1 and 0, as SQLite has it.
 */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type { ChangeLog } from "./ChangeLog.js"
import type { Dialect } from "./Dialect.js"
import type { Millis } from "./RunStore.js"

export type Param = string | number | null

/** What reads. */
export interface Portable {
  readonly dialect: Dialect
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
