/** Signals without a run do not stay for ever, and neither does what is known of removed runs. */
import * as Effect from "effect/Effect"
import type { Expired, Expiry, Millis } from "../RunStore.js"
import type { Operation } from "../Write.js"
import type { Transaction } from "./Transaction.js"

const selectEarly = `
  SELECT s.run_id, s.name, s.received_at,
    EXISTS (SELECT 1 FROM workflow_runs WHERE run_id = s.run_id) AS has_run
  FROM workflow_signals s
  WHERE s.wakeup = 0 ORDER BY s.received_at LIMIT $1::bigint FOR UPDATE OF s SKIP LOCKED`

interface EarlyRow {
  readonly run_id: string
  readonly name: string
  readonly received_at: Millis
  readonly has_run: boolean
}

/** Goes with its run, and needs not be looked at again. It still came before any wake-up. */
const hasRun = "UPDATE workflow_signals SET wakeup = -1 WHERE run_id = $1 AND name = $2"

const deleteSignal = `
  DELETE FROM workflow_signals WHERE run_id = $1 AND name = $2
    AND NOT EXISTS (SELECT 1 FROM workflow_runs WHERE run_id = $1)`

const forgetRemoved = `
  DELETE FROM workflow_removed WHERE run_id = ANY(ARRAY(
    SELECT run_id FROM workflow_removed
    WHERE removed_at < $1 ORDER BY removed_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED
  ))`

export const expire =
  ({ limit, olderThanMillis }: Expiry): Operation<Transaction, Expired> =>
  (transaction) =>
    Effect.gen(function* () {
      const before = transaction.now - olderThanMillis
      const signals = yield* expireSignals(transaction, before, limit)
      const runs = yield* transaction.changes(forgetRemoved, [before, limit])
      return { removed: signals.removed, more: signals.more || runs === limit }
    })

const expireSignals = (transaction: Transaction, before: Millis, limit: number) =>
  Effect.gen(function* () {
    let removed = 0
    const rows = yield* transaction.rows<EarlyRow>(selectEarly, [limit])
    for (const { has_run, name, received_at, run_id } of rows) {
      if (received_at >= before) return { removed, more: false }
      yield* transaction.changes(has_run ? hasRun : deleteSignal, [run_id, name])
      if (!has_run) removed++
    }
    return { removed, more: rows.length === limit }
  })
