/** A run of which it is asked what can still be done with it, once it is over. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Dialect } from "./Dialect.js"
import type { PortableTransaction } from "./Portable.js"
import { shownStatus } from "./Rows.js"
import type { RunStatus } from "./RunStore.js"

export interface FinishedRow {
  readonly id: number
  readonly run_id: string
  readonly status: RunStatus
  readonly compensated: number | null
}

/** Whoever creates it, or tells it something, has done so before, or comes after. */
const selectRun = ({ forUpdate }: Dialect) => `
  SELECT id, run_id, ${shownStatus("workflow_runs")} AS status, compensated
  FROM workflow_runs WHERE run_id = ? ${forUpdate}`

export const find = (
  transaction: PortableTransaction,
  runId: string
): Effect.Effect<FinishedRow | undefined, SqlError> =>
  Effect.map(transaction.rows<FinishedRow>(selectRun(transaction.dialect), [runId]), ([row]) => row)
