/**
 * Operations on all runs of a filter: who goes on with one, how far it is, and what it came to.
 *
 * It goes from the newest run that was there when it was asked for down to the oldest, part by part. A
 * part is written down together with what it came to, and only while the operation is held by who says so
 * and stands where that one found it: however many executors meet, each part is counted once.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { BulkAction } from "../api/Bulk.js"
import type { RunStoreError } from "./Failures.js"
import type { Portable, PortableTransaction } from "./Portable.js"
import type { RunFilter } from "./Queries.js"
import type { Json, Millis } from "./Records.js"

export interface NewBulk {
  readonly action: BulkAction
  readonly filter: RunFilter
  readonly options: {
    /** Of `terminate`. */
    readonly reason?: string | undefined
    readonly children?: boolean | undefined
    /** Of `retry`. */
    readonly withChildren?: boolean | undefined
  }
  /** How many runs there were of the filter. */
  readonly matched: number
}

/** How many were refused, by why. */
export type BulkRefusals = Readonly<Record<string, number>>

export interface BulkOperation extends NewBulk {
  readonly id: number
  readonly state: "running" | "completed" | "cancelled"
  readonly requestedAt: Millis
  readonly completedAt: Millis | undefined
  /** The runs below it, by the store's own ids, are still to be looked at. */
  readonly cursor: number
  /** With how many it was done. */
  readonly done: number
  readonly refused: BulkRefusals
  /** Who goes on with it, or was the last to. */
  readonly executor: number | undefined
}

/** What one part came to. */
export interface BulkPart {
  /** As it was claimed, or as the part before has left it. */
  readonly operation: BulkOperation
  readonly executor: number
  readonly done: number
  readonly refused: BulkRefusals
  /** Where the next part begins; `undefined`: this was the last. */
  readonly cursor: number | undefined
  readonly leaseMillis: number
}

export interface BulkStore {
  /** Asks for it. Runs that are created later are none of its. Forgets those that ended 7 days ago. */
  readonly createBulk: (bulk: NewBulk) => Effect.Effect<BulkOperation, RunStoreError>

  /**
   * The oldest operation that is not over and that nobody goes on with, or whose executor has not done
   * so for its lease, or is gone. Held by this executor from now on.
   */
  readonly claimBulk: (claiming: {
    readonly executor: number
    readonly leaseMillis: number
  }) => Effect.Effect<Option.Option<BulkOperation>, RunStoreError>

  /**
   * Writes down what a part came to. `None`, and nothing is written, where the operation was cancelled, is
   * held by another, or somebody has gone on with it from there.
   */
  readonly advanceBulk: (
    part: BulkPart
  ) => Effect.Effect<Option.Option<BulkOperation>, RunStoreError>

  /** Ends it where it is; no effect on one that is over. `None` where there is none. */
  readonly cancelBulk: (id: number) => Effect.Effect<Option.Option<BulkOperation>, RunStoreError>

  readonly findBulk: (id: number) => Effect.Effect<Option.Option<BulkOperation>, RunStoreError>

  /** The newest 50. */
  readonly bulks: Effect.Effect<ReadonlyArray<BulkOperation>, RunStoreError>

  /** Whether one is not over; as quick as can be. */
  readonly hasBulk: Effect.Effect<boolean, RunStoreError>
}

const keptMillis = 7 * 24 * 60 * 60 * 1_000

const most = 50

interface Row {
  readonly id: number
  readonly action: BulkAction
  readonly state: BulkOperation["state"]
  readonly requested_at: Millis
  readonly completed_at: Millis | null
  readonly below: number
  readonly matched: number
  readonly done: number
  readonly executor: number | null
  readonly filter: Json
  readonly options: Json
  readonly refused: Json
}

const columns = `id, action, state, requested_at, completed_at, below, matched, done, executor,
  filter, options, refused`

const toOperation = (row: Row): BulkOperation => ({
  id: row.id,
  action: row.action,
  state: row.state,
  requestedAt: row.requested_at,
  completedAt: row.completed_at ?? undefined,
  cursor: row.below,
  matched: row.matched,
  done: row.done,
  executor: row.executor ?? undefined,
  filter: JSON.parse(row.filter),
  options: JSON.parse(row.options),
  refused: JSON.parse(row.refused)
})

const first = (rows: Effect.Effect<ReadonlyArray<Row>, SqlError>) =>
  Effect.map(rows, ([row]) => Option.map(Option.fromNullable(row), toOperation))

const forget = "DELETE FROM workflow_bulk WHERE completed_at <= ?"

const insert = `
  INSERT INTO workflow_bulk (below, action, requested_at, matched, filter, options, refused)
  VALUES ((SELECT coalesce(max(id), 0) + 1 FROM workflow_runs), ?, ?, ?, ?, ?, '{}')
  RETURNING ${columns}`

export const create = (transaction: PortableTransaction, bulk: NewBulk) =>
  Effect.gen(function* () {
    const { action, filter, matched, options } = bulk
    yield* transaction.changes(forget, [transaction.now - keptMillis])
    const [row] = yield* transaction.rows<Row>(insert, [
      action,
      transaction.now,
      matched,
      JSON.stringify(filter),
      JSON.stringify(options)
    ])
    transaction.log.bulk()
    return row === undefined
      ? yield* Effect.dieMessage("an operation was not stored")
      : toOperation(row)
  })

/**
 * The clocks of two machines may differ, and then both may go on with it for a while: what is done twice
 * does no harm, and what it came to is written down once.
 */
const isFree = `
  state = 'running' AND (
    executor IS NULL OR lease_until <= CAST(? AS bigint) OR executor = CAST(? AS bigint)
    OR NOT EXISTS (SELECT 1 FROM workflow_executors e WHERE e.id = workflow_bulk.executor)
  )`

/** The condition twice: who has waited for another's claim looks at the row again, and not for a row. */
const claimNext = `
  UPDATE workflow_bulk SET executor = CAST(? AS bigint), lease_until = CAST(? AS bigint)
  WHERE ${isFree} AND id = (
    SELECT id FROM workflow_bulk WHERE ${isFree} ORDER BY id LIMIT 1
  )
  RETURNING ${columns}`

export const claim = (
  transaction: PortableTransaction,
  { executor, leaseMillis }: { readonly executor: number; readonly leaseMillis: number }
) => {
  const free = [transaction.now, executor]
  return first(
    transaction.rows<Row>(claimNext, [executor, transaction.now + leaseMillis, ...free, ...free])
  )
}

const goOn = `
  UPDATE workflow_bulk SET
    below = CAST(? AS bigint), done = done + CAST(? AS bigint), refused = ?, state = ?,
    completed_at = CAST(? AS bigint), lease_until = CAST(? AS bigint)
  WHERE id = ? AND executor = ? AND below = ? AND state = 'running'
  RETURNING ${columns}`

const sum = (one: BulkRefusals, other: BulkRefusals): BulkRefusals => {
  const sums = new Map(Object.entries(one))
  for (const [why, runs] of Object.entries(other)) sums.set(why, (sums.get(why) ?? 0) + runs)
  return Object.fromEntries(sums)
}

export const advance = (transaction: PortableTransaction, part: BulkPart) => {
  const { operation } = part
  const isLast = part.cursor === undefined
  return first(
    transaction.rows<Row>(goOn, [
      part.cursor ?? 0,
      part.done,
      // while it stands where it was found, so do these
      JSON.stringify(sum(operation.refused, part.refused)),
      isLast ? "completed" : "running",
      isLast ? transaction.now : null,
      isLast ? null : transaction.now + part.leaseMillis,
      operation.id,
      part.executor,
      operation.cursor
    ])
  )
}

const end = `
  UPDATE workflow_bulk SET state = 'cancelled', completed_at = ?, lease_until = NULL
  WHERE id = ? AND state = 'running'`

export const cancel = (transaction: PortableTransaction, id: number) =>
  Effect.zipRight(transaction.changes(end, [transaction.now, id]), find(transaction, id))

const selectOne = `SELECT ${columns} FROM workflow_bulk WHERE id = ?`

export const find = (sql: Portable, id: number) => first(sql.rows<Row>(selectOne, [id]))

const selectNewest = `SELECT ${columns} FROM workflow_bulk ORDER BY id DESC LIMIT ${most}`

export const newest = (sql: Portable) =>
  Effect.map(sql.rows<Row>(selectNewest), (rows) => rows.map(toOperation))

const selectAny = "SELECT 1 FROM workflow_bulk WHERE state = 'running' LIMIT 1"

export const hasAny = (sql: Portable) => Effect.map(sql.rows(selectAny), (rows) => rows.length > 0)
