/**
 * What became of a transaction whose COMMIT was not answered.
 *
 * A server tells the fate of a transaction by its number (`pg_xact_status`). But one that crashes before
 * anything of a transaction came to its log gives the number to another, and tells the fate of that:
 * numbers are not written down until something else is. So each transaction leaves a mark of its own
 * beside what it writes, and the number says only whether it may still be under way.
 */
import { randomInt } from "node:crypto"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Failure from "./Failure.js"
import { databaseTime } from "./Fragments.js"
import type { Schema } from "./Schema.js"
import type { Sql } from "./Sql.js"

/** What no other transaction, commit or mark has. */
export const unique = (): number => randomInt(2 ** 48 - 1)

/** Where a transaction leaves its mark: a row that nobody else writes at the same time. */
export interface Slots {
  readonly take: () => number
  /** Once it is known what became of the transaction. */
  readonly giveBack: (slot: number) => void
}

export const makeSlots = (): Slots => {
  const free: Array<number> = []
  return { take: () => free.pop() ?? unique(), giveBack: (slot) => void free.push(slot) }
}

/** A transaction that has left its mark, or is about to. */
export interface Marked {
  readonly slot: number
  /** What it is known by. */
  readonly batch: number
  /** Its number; a text, for it may be larger than a number is exact. */
  readonly xid: string
}

const leave = `INSERT INTO workflow_commits AS t (slot, batch, at) VALUES `

const again = ` ON CONFLICT (slot) DO UPDATE SET batch = excluded.batch, at = excluded.at`

/**
 * In one round trip. Where it fails, the transaction is still open.
 *
 * @param before what is done first, in SQL
 */
export const commit = (
  sql: Sql,
  schema: Schema,
  { batch, slot }: Marked,
  before: string
): Effect.Effect<unknown, SqlError> =>
  sql.script(
    `${before}${schema.qualified(leave)}(${slot}, ${batch}, ${databaseTime})${again}; COMMIT`
  )

export type Outcome = "committed" | "not committed" | "under way"

const isInFuture = (error: SqlError): boolean => Failure.codeOf(error) === "22023"

/** A number that was not given to any transaction since the server came up again is of none. */
const selectStatus = "SELECT pg_xact_status($1::xid8) AS status"

const selectMark = "SELECT 1 FROM workflow_commits WHERE slot = $1 AND batch = $2"

/** By another connection than the transaction's. */
export const of = (sql: Sql, { batch, slot, xid }: Marked): Effect.Effect<Outcome, SqlError> =>
  Effect.gen(function* () {
    const [row] = yield* Effect.catchIf(
      sql.rows<{ readonly status: string | null }>(selectStatus, [xid]),
      isInFuture,
      () => Effect.succeed([])
    )
    if (row?.status === "in progress") return "under way"
    // after that, for what has committed in between is to be seen
    const marks = yield* sql.rows(selectMark, [slot, batch])
    return marks.length > 0 ? "committed" : "not committed"
  })

const longAgoMillis = 24 * 60 * 60 * 1_000

const deleteOld = `DELETE FROM workflow_commits WHERE at < ${databaseTime} - ${longAgoMillis}`

/** Marks of processes that have ended long ago; one that is still there makes its own again. */
export const forget = (sql: Sql): Effect.Effect<unknown, SqlError> => sql.changes(deleteOld)
