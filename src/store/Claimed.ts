/** Runs that were claimed, and what whoever claimed them is told of them. */
import type { TraceRow } from "./Rows.js"
import { slots, toTrace } from "./Rows.js"
import type { ClaimedRun, Held, History, Json, Millis } from "./RunStore.js"

/** A run that was claimed. */
export interface Taken {
  readonly held: Held
  /** Of JSON that it has, with its payload. */
  readonly bytes: number
}

export interface ClaimedRow extends TraceRow {
  readonly workflow: string
  readonly payload: Json
  readonly waits_for: Json | null
  readonly crashes: number
  readonly timeout: Millis | null
  /** Of its queue, if it has one. */
  readonly lane: number | null
  readonly slot: number | null
  /** The queue whose slot it has. */
  readonly queue_name: string | null
}

/**
 * Whether it waits for its turn when it goes on: also one that was interrupted before it had a slot, and is
 * held without.
 */
const yields = ({ lane, slot }: ClaimedRow): boolean => lane !== null && slot !== slots.kept

export const toClaimedRun = (
  row: ClaimedRow,
  { bytes, held }: Taken,
  {
    history,
    startedSteps
  }: {
    readonly history: History
    /** Of a run that has crashed. */
    readonly startedSteps: NonNullable<ClaimedRun["crashes"]>["steps"]
  }
): ClaimedRun => ({
  held,
  workflow: row.workflow,
  payload: row.payload,
  trace: toTrace(row),
  ...(row.timeout === null ? {} : { timeout: row.timeout }),
  ...(yields(row) ? { yields: true } : {}),
  ...(row.queue_name === null ? {} : { queue: row.queue_name }),
  bytes,
  waitsFor: row.waits_for ?? undefined,
  history,
  ...(row.crashes === 0 ? {} : { crashes: { count: row.crashes, steps: startedSteps } })
})
