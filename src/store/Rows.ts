import * as Labels from "./Labels.js"
import {
  isFinal,
  type Json,
  type Millis,
  type NewRun,
  type Run,
  type RunOptions,
  type RunStatus,
  type Trace
} from "./RunStore.js"

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
  readonly gate: number | null
  readonly wake_at: Millis | null
  readonly priority: number
  readonly start_at: Millis | null
  readonly timeout: Millis | null
  readonly deadline: Millis | null
  readonly timed_out: number | null
  readonly labels: Json | null
  readonly compensated: number | null
  readonly created_at: Millis
  readonly started_at: Millis | null
  readonly completed_at: Millis | null
}

export const runColumns = `id, run_id, workflow, status, payload, exit, cause, waits_for, executor,
  interrupt_requested, crashes, gate, wake_at, priority, start_at, timeout, deadline, timed_out, labels,
  compensated, created_at, started_at, completed_at`

/**
 * A run that may not begin yet is `suspended` in its row, where what claims and what counts pending runs
 * does not come by it, with a `gate`. To whoever asks, it is pending.
 */
export const isHeldBack = (r: string): string =>
  `(${r}.gate IS NOT NULL AND ${r}.status = 'suspended')`

/** In SQL: the status as it is told. */
export const shownStatus = (r: string): string =>
  `CASE WHEN ${isHeldBack(r)} THEN 'pending' ELSE ${r}.status END`

/**
 * In SQL: whether its status is told as one of these. What they have in common is said, too, so that the
 * index of the runs that are sought among many can be used.
 */
export const isShownAsOneOf = (r: string, statuses: ReadonlyArray<RunStatus>): string => {
  if (statuses.length === 0) return "FALSE"
  const common = statuses.every(isUnsuccessful)
    ? ` AND ${r}.status IN ('failed', 'interrupted')`
    : statuses.some(isFinal)
      ? ""
      : ` AND ${r}.completed_at IS NULL`
  return `(${statuses.map((status) => isShownAs(r, status)).join(" OR ")})${common}`
}

const isShownAs = (r: string, status: RunStatus): string => {
  switch (status) {
    case "pending":
      return `${r}.status = 'pending' OR ${isHeldBack(r)}`
    case "suspended":
      return `${r}.status = 'suspended' AND ${r}.gate IS NULL`
    default:
      return `${r}.status = '${status}'`
  }
}

/** Over, and not well. */
export const isUnsuccessful = (status: RunStatus): boolean =>
  status === "failed" || status === "interrupted"

/** Which of a run's values a query reads. */
export interface Reading {
  readonly payload?: boolean | undefined
  readonly result?: boolean | undefined
  readonly maxValueBytes?: number | undefined
}

/** How large the values of a run are says the head of its row: they are not read. */
export const sizeColumns = (r: string): string =>
  `octet_length(${r}.payload) AS payload_bytes, octet_length(${r}.exit) AS exit_bytes,
  octet_length(${r}.cause) AS cause_bytes`

/** Of a run, how large its values are. */
export interface Sizes {
  readonly status: RunStatus
  readonly payload_bytes: number
  readonly exit_bytes: number | null
  readonly cause_bytes: number | null
}

export interface ReadRow extends Omit<RunRow, "payload">, Sizes {
  readonly payload: Json | null
}

/** Of what a query reads, in SQL: whether the payload, whether the result, and the largest value. */
export interface ReadingParams {
  readonly payload: string
  readonly result: string
  readonly max: string
}

/** The columns of a run of which only some values are read. */
export const readColumns = (r: string, { max, payload, result }: ReadingParams): string => `
  ${runColumns
    .split(",")
    .map((column) => column.trim())
    .filter((column) => !values.has(column))
    .map((column) => `${r}.${column}`)
    .join()},
  CASE WHEN ${payload} AND octet_length(${r}.payload) <= ${max} THEN ${r}.payload END AS payload,
  CASE WHEN (${result} OR ${r}.status <> 'completed') AND octet_length(${r}.exit) <= ${max}
    THEN ${r}.exit END AS exit,
  CASE WHEN octet_length(${r}.cause) <= ${max} THEN ${r}.cause END AS cause,
  ${sizeColumns(r)}`

const values: ReadonlySet<string> = new Set(["payload", "exit", "cause"])

/** The sizes of those values of a run that are asked for; of one that it does not have 0. */
const asked = (row: Sizes, { payload = true, result = true }: Reading) => ({
  payload: payload ? row.payload_bytes : 0,
  exit: result || row.status !== "completed" ? (row.exit_bytes ?? 0) : 0,
  cause: row.cause_bytes ?? 0
})

/** How many bytes of values are read of a run. */
export const bytesRead = (row: Sizes, reading: Reading): number => {
  const { maxValueBytes = Number.POSITIVE_INFINITY } = reading
  return Object.values(asked(row, reading))
    .filter((bytes) => bytes <= maxValueBytes)
    .reduce((sum, bytes) => sum + bytes, 0)
}

/** A run of which only some values were read. */
export const toReadRun = (row: ReadRow, reading: Reading): Run => {
  const { maxValueBytes = Number.POSITIVE_INFINITY } = reading
  const large = Object.entries(asked(row, reading)).filter(([, bytes]) => bytes > maxValueBytes)
  return {
    ...toRun({ ...row, payload: "" }),
    payload: row.payload ?? undefined,
    ...(large.length === 0 ? {} : { leftOut: Object.fromEntries(large) })
  }
}

const isHeldBackRow = ({ gate, status }: Pick<RunRow, "gate" | "status">): boolean =>
  gate !== null && status === "suspended"

const optionsOf = (row: RunRow): Pick<Run, "options"> => {
  const { labels, priority, start_at, timeout } = row
  if (priority === 0 && start_at === null && timeout === null && labels === null) return {}
  const options: RunOptions = {
    ...(priority === 0 ? {} : { priority }),
    ...(start_at === null ? {} : { startAt: start_at }),
    ...(timeout === null ? {} : { timeout }),
    ...Labels.fromJson(labels)
  }
  return { options }
}

/** What `slot` says: whether it is kept while the run is suspended. */
export const slots = { givenUp: 1, kept: 2 } as const

/** What `compensated` says of a run that was terminated. */
export const wasTerminated = 2

/** Whether what it had done was undone, as far as that matters to who would retry it. */
const undoingOf = ({
  compensated,
  status
}: Pick<RunRow, "compensated" | "status">): Pick<Run, "compensated" | "terminated"> => {
  if (!isUnsuccessful(status) || compensated === 0) return {}
  return compensated === wasTerminated ? { terminated: true } : { compensated: true }
}

export const toRun = (row: RunRow): Run => ({
  runId: row.run_id,
  workflow: row.workflow,
  status: isHeldBackRow(row) ? "pending" : row.status,
  payload: row.payload,
  exit: row.exit ?? undefined,
  cause: row.cause ?? undefined,
  // it stays when the run is woken, for those who hold it next
  waitsFor: row.status === "suspended" ? (row.waits_for ?? undefined) : undefined,
  // one that waits in its executor's memory is held by nobody, to whoever asks
  executor: row.status === "running" ? (row.executor ?? undefined) : undefined,
  interruptRequested: row.interrupt_requested === 1,
  ...(row.crashes === 0 ? {} : { crashes: row.crashes }),
  ...optionsOf(row),
  ...(isHeldBackRow(row) && row.gate === 1 && row.wake_at !== null
    ? { heldUntil: row.wake_at }
    : {}),
  ...(isHeldBackRow(row) && row.gate === 2 ? { queued: true } : {}),
  ...(row.deadline === null ? {} : { deadline: row.deadline }),
  ...(row.timed_out === 1 ? { timedOut: true } : {}),
  ...undoingOf(row),
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

/** What `is_inner` says of a step: 0 of one that a replay comes by, 1 of an inner one, 2 of one in a compensation. */
export const innerness = ({
  compensation = false,
  inner = false
}: {
  readonly inner?: boolean | undefined
  readonly compensation?: boolean | undefined
}): 0 | 1 | 2 => (compensation ? 2 : inner ? 1 : 0)

export const isInner = (innerness: number): boolean => innerness !== 0

export const isCompensation = (innerness: number | null | undefined): boolean => innerness === 2

/** Columns hold whole numbers; a duration may make a fraction or infinity of a time. */
export const wholeMillis = (millis: number): Millis =>
  Math.min(Math.ceil(millis), Number.MAX_SAFE_INTEGER)

/** The first of a page's runs that fit, and one at least. */
export const fittingOf = <Found extends Sizes>(
  found: ReadonlyArray<Found>,
  query: Reading & { readonly maxBytes?: number | undefined }
): ReadonlyArray<Found> => {
  const { maxBytes = Number.POSITIVE_INFINITY } = query
  let bytes = 0
  const tooMany = found.findIndex((run) => {
    bytes += bytesRead(run, query)
    return bytes > maxBytes
  })
  return tooMany === -1 ? found : found.slice(0, Math.max(1, tooMany))
}
