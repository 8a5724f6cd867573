/**
 * Runs that have been given a slot of their queue, and that no executor has begun yet. Where the queue is
 * paused, or has other limits, they wait for their turn again: nothing of it begins that it would not let
 * begin now.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Dialect } from "./Dialect.js"
import type { PortableTransaction } from "./Portable.js"

/** One that another transaction has locked begins there. One that is interrupted only ends. */
const takeSlots = ({ skipLocked }: Dialect, which: string) => `
  UPDATE workflow_runs SET slot = NULL, status = 'suspended', gate = 2
  FROM (
    SELECT id AS unbegun FROM workflow_runs
    WHERE queue = ? AND slot IS NOT NULL AND status = 'pending' AND ${which}
    ${skipLocked}
  ) AS given
  WHERE workflow_runs.id = given.unbegun`

const hasNotBegun = "started_at IS NULL AND interrupt_requested = 0"

const onlyEndsNot = "(started_at IS NOT NULL OR interrupt_requested = 0)"

const forgetBegins = `
  DELETE FROM workflow_begins
  WHERE lane IN (SELECT id FROM workflow_lanes WHERE queue = ?) AND EXISTS (
    SELECT 1 FROM workflow_runs r
    WHERE r.id = workflow_begins.run AND r.gate = 2 AND r.status = 'suspended'
      AND r.started_at IS NULL
  )`

/** Takes their slots back, and where the queue parks those of what has begun. They count for no rate then. */
export const takeBack = (
  transaction: PortableTransaction,
  queue: number,
  parks: boolean
): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    const taken = yield* transaction.changes(
      takeSlots(transaction.dialect, parks ? onlyEndsNot : hasNotBegun),
      [queue]
    )
    if (taken > 0) yield* transaction.changes(forgetBegins, [queue])
  })

const forgetBegin = "DELETE FROM workflow_begins WHERE lane = ? AND run = ?"

/** One that leaves its lane before it has begun counts for no rate there. */
export const forget = (
  transaction: PortableTransaction,
  { lane, run }: { readonly lane: number; readonly run: number }
): Effect.Effect<unknown, SqlError> => transaction.changes(forgetBegin, [lane, run])
