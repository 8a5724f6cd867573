/** A database that a copy reads or writes. What all of them understand is said once, in `Copy`. */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type { Portable } from "../Portable.js"
import type { RunStoreError } from "../RunStore.js"
import type { Column, Columns, Row } from "./Tables.js"

/** The highest ids that were given so far, by the table. The next ones are higher. */
export type HighestIds = Readonly<Record<string, number>>

/** Tables whose rows get their ids from the database. */
export const numbered = [
  "workflow_runs",
  "workflow_queues",
  "workflow_lanes",
  "workflow_bulk",
  "workflow_executors"
] as const

type Failure = SqlError | RunStoreError

/** Inside a transaction. */
export interface Writer extends Portable {
  readonly insert: (
    table: string,
    columns: ReadonlyArray<Column>,
    rows: ReadonlyArray<Row>
  ) => Effect.Effect<void, SqlError>
}

export interface Side {
  /** What people call it; without a password. */
  readonly name: string
  readonly read: <A>(
    use: (sql: Portable) => Effect.Effect<A, Failure>
  ) => Effect.Effect<A, RunStoreError>
  /** One transaction, which nobody else writes in between. */
  readonly write: <A>(
    use: (sql: Writer) => Effect.Effect<A, Failure>
  ) => Effect.Effect<A, RunStoreError>
  /** Brings its schema to this version. */
  readonly migrate: Effect.Effect<void, RunStoreError>
  readonly columns: (sql: Portable) => Effect.Effect<Columns, SqlError>
  /** Whether anything was ever copied from it or into it. */
  readonly hasMarks: (sql: Portable) => Effect.Effect<boolean, SqlError>
  readonly createMarks: (sql: Portable) => Effect.Effect<void, SqlError>
  /** Whatever still has it open, and of whatever version: it writes nothing any more. */
  readonly protect: (sql: Portable, tables: ReadonlyArray<string>) => Effect.Effect<void, SqlError>
  readonly unprotect: (
    sql: Portable,
    tables: ReadonlyArray<string>
  ) => Effect.Effect<void, SqlError>
  /** Executors that may still write, for people. */
  readonly living: (sql: Portable) => Effect.Effect<ReadonlyArray<string>, SqlError>
  readonly highestIds: (sql: Portable) => Effect.Effect<HighestIds, SqlError>
  readonly setHighestIds: (sql: Portable, highest: HighestIds) => Effect.Effect<void, SqlError>
  /** How many runs there are in each status. */
  readonly recount: (sql: Portable) => Effect.Effect<void, SqlError>
}
