/** Runs that were given so much time, and have had it: their interrupt is asked for. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { PortableTransaction } from "./Portable.js"

/** The condition of the index. One that is over, or was interrupted before, is not looked at again. */
const isOpen = "deadline IS NOT NULL AND timed_out IS NULL AND completed_at IS NULL"

const selectDue = `
  SELECT id FROM workflow_runs WHERE ${isOpen} AND deadline <= ? ORDER BY deadline LIMIT ?`

/** 0: somebody had asked for its interrupt before. */
const timeOut = `
  UPDATE workflow_runs SET timed_out = 1 - interrupt_requested
  WHERE id = ? AND ${isOpen} RETURNING run_id, timed_out`

interface TimedOut {
  readonly run_id: string
  readonly timed_out: number
}

/** Answers with how many there were. */
export const expire = (
  transaction: PortableTransaction,
  limit: number,
  requestInterrupt: (runId: string) => Effect.Effect<unknown, SqlError>
): Effect.Effect<number, SqlError> =>
  Effect.gen(function* () {
    const due = yield* transaction.rows<{ readonly id: number }>(selectDue, [
      transaction.now,
      limit
    ])
    for (const { id } of due) {
      const [run] = yield* transaction.rows<TimedOut>(timeOut, [id])
      if (run?.timed_out === 1) yield* requestInterrupt(run.run_id)
    }
    return due.length
  })

/** When the next one is. */
export const selectNext = `SELECT deadline FROM workflow_runs WHERE ${isOpen} ORDER BY deadline LIMIT 1`
