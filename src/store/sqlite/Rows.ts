import type { Json, Millis, NewRun, Run, RunStatus, Trace } from "../RunStore.js"

export interface RunRow {
  readonly id: number
  readonly run_id: string
  readonly workflow: string
  readonly status: RunStatus
  readonly payload: Json
  readonly exit: Json | null
  readonly cause: Json | null
  readonly waits_for: Json | null
  readonly executor: number | null
  readonly interrupt_requested: number
  readonly crashes: number
  readonly created_at: Millis
  readonly started_at: Millis | null
  readonly completed_at: Millis | null
}

export const runColumns = `id, run_id, workflow, status, payload, exit, cause, waits_for, executor,
  interrupt_requested, crashes, created_at, started_at, completed_at`

export const toRun = (row: RunRow): Run => ({
  runId: row.run_id,
  workflow: row.workflow,
  status: row.status,
  payload: row.payload,
  exit: row.exit ?? undefined,
  cause: row.cause ?? undefined,
  // it stays when the run is woken, for those who hold it next
  waitsFor: row.status === "suspended" ? (row.waits_for ?? undefined) : undefined,
  // one that waits in its executor's memory is held by nobody, to whoever asks
  executor: row.status === "running" ? (row.executor ?? undefined) : undefined,
  interruptRequested: row.interrupt_requested === 1,
  ...(row.crashes === 0 ? {} : { crashes: row.crashes }),
  createdAt: row.created_at,
  startedAt: row.started_at ?? undefined,
  completedAt: row.completed_at ?? undefined
})

/** The run that `create` has just stored; `executor` when it was claimed at once. */
export const newRun = (run: NewRun, executor: number | undefined, now: Millis): Run => ({
  runId: run.runId,
  workflow: run.workflow,
  status: executor === undefined ? "pending" : "running",
  payload: run.payload,
  exit: undefined,
  cause: undefined,
  waitsFor: undefined,
  executor,
  interruptRequested: false,
  createdAt: now,
  startedAt: executor === undefined ? undefined : now,
  completedAt: undefined
})

export interface TraceRow {
  readonly trace_id: string | null
  readonly span_id: string | null
  readonly sampled: number | null
}

export const toTrace = (row: TraceRow): Trace | undefined =>
  row.trace_id === null || row.span_id === null
    ? undefined
    : { traceId: row.trace_id, spanId: row.span_id, sampled: row.sampled === 1 }

/** Columns hold whole numbers; a duration may make a fraction or infinity of a time. */
export const wholeMillis = (millis: number): Millis =>
  Math.min(Math.ceil(millis), Number.MAX_SAFE_INTEGER)
