/** Signals without a run do not stay for ever, and neither does what is known of removed runs. */

import * as Effect from "effect/Effect"
import type { Expired, Expiry, Millis } from "../RunStore.js"
import type { Operation } from "../Write.js"
import type { Transaction } from "./Transaction.js"

/** Those of which it is not known when they came are the first. */
const selectEarly = `
  SELECT s.run_id, s.name, s.received_at,
    EXISTS (SELECT 1 FROM workflow_runs WHERE run_id = s.run_id) AS has_run
  FROM workflow_signals s INDEXED BY workflow_signals_early
  WHERE s.wakeup = 0 ORDER BY s.received_at LIMIT ?`

interface EarlyRow {
  readonly run_id: string
  readonly name: string
  readonly received_at: Millis | null
  readonly has_run: 0 | 1
}

/** Goes with its run, and needs not be looked at again. It still came before any wake-up. */
const hasRun = "UPDATE workflow_signals SET wakeup = -1 WHERE run_id = ? AND name = ?"

/** As far as anybody knows it came now. */
const receivedNow = "UPDATE workflow_signals SET received_at = ? WHERE run_id = ? AND name = ?"

const deleteSignal = "DELETE FROM workflow_signals WHERE run_id = ? AND name = ?"

const selectRemoved = `
  SELECT run_id FROM workflow_removed INDEXED BY workflow_removed_at
  WHERE removed_at < ? ORDER BY removed_at LIMIT ?`

const forgetRemoved = "DELETE FROM workflow_removed WHERE run_id = ?"

export const expire =
  ({ limit, olderThanMillis }: Expiry): Operation<Transaction, Expired> =>
  (transaction) =>
    Effect.gen(function* () {
      const before = transaction.now - olderThanMillis
      const signals = yield* expireSignals(transaction, before, limit)
      const runs = yield* transaction.rows<{ readonly run_id: string }>(selectRemoved, [
        before,
        limit
      ])
      for (const { run_id } of runs) yield* transaction.changes(forgetRemoved, [run_id])
      return { removed: signals.removed, more: signals.more || runs.length === limit }
    })

const expireSignals = (transaction: Transaction, before: Millis, limit: number) =>
  Effect.gen(function* () {
    let removed = 0
    const rows = yield* transaction.rows<EarlyRow>(selectEarly, [limit])
    for (const { has_run, name, received_at, run_id } of rows) {
      if (received_at !== null && received_at >= before) return { removed, more: false }
      if (has_run === 1) {
        yield* transaction.changes(hasRun, [run_id, name])
      } else if (received_at === null) {
        yield* transaction.changes(receivedNow, [transaction.now, run_id, name])
      } else {
        yield* transaction.changes(deleteSignal, [run_id, name])
        removed++
      }
    }
    return { removed, more: rows.length === limit }
  })
