/**
 * A run's steps, a page at a time: in the order in which they started, and no more of their outcomes
 * than fits.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Dialect } from "./Dialect.js"
import type { Portable } from "./Portable.js"
import { isCompensation, shownStatus, wholeMillis } from "./Rows.js"
import type {
  Json,
  Millis,
  RunStatus,
  Step,
  StepCursor,
  StepStatus,
  StepsPage,
  StepsQuery
} from "./RunStore.js"

/** What reads steps. */
export interface StepReader extends Portable {
  /** The outcomes of these steps of a run, by the primary key. */
  readonly exitsOf: (
    run: number,
    steps: ReadonlyArray<StepKey>
  ) => Effect.Effect<ReadonlyArray<ExitRow>, SqlError>
}

export interface StepKey {
  readonly name: string
  readonly attempt: number
}

/** An outcome, and what comes after it in its row. */
interface End {
  readonly exit: Json | null
  readonly executor: number | null
  readonly is_inner: number | null
}

export interface ExitRow extends StepKey, End {}

const stepColumns = "name, attempt, status, started_at, completed_at, position"

/**
 * What a page is cut by: how large an outcome is says the head of its row, and it is not read; nor is
 * what comes after it, but where there is none.
 */
const selectOutlines = `
  SELECT ${stepColumns}, octet_length(exit) AS bytes, CASE WHEN exit IS NULL THEN executor END AS executor,
    CASE WHEN exit IS NULL THEN is_inner END AS is_inner
  FROM workflow_steps
  WHERE run = ? AND (started_at, position) > (?, ?)
  ORDER BY started_at, position LIMIT ?`

interface StepRow extends StepKey {
  readonly status: StepStatus
  readonly started_at: Millis
  readonly completed_at: Millis | null
  readonly position: number
  readonly executor: number | null
  readonly is_inner: number | null
}

interface Outline extends StepRow {
  readonly bytes: number | null
}

const beforeAll: StepCursor = { startedAt: Number.MIN_SAFE_INTEGER, position: 0 }

/** @param end what is read of its outcome, where it has one */
const toStep = (row: StepRow, end: End | undefined): Step => ({
  name: row.name,
  attempt: row.attempt,
  status: row.status,
  startedAt: row.started_at,
  completedAt: row.completed_at ?? undefined,
  exit: end?.exit ?? undefined,
  position: row.position,
  executor: end?.executor ?? row.executor ?? undefined,
  ...(isCompensation(end?.is_inner ?? row.is_inner) ? { compensation: true } : {})
})

export const stepsOf = (
  sql: StepReader,
  run: number,
  query: StepsQuery
): Effect.Effect<StepsPage, SqlError> =>
  Effect.gen(function* () {
    const { after = beforeAll, maxValueBytes = Number.POSITIVE_INFINITY } = query
    // one more than the page holds tells whether there is a next
    const limit = Math.min(query.limit ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1)
    const found = yield* sql.rows<Outline>(selectOutlines, [
      run,
      wholeMillis(after.startedAt),
      after.position,
      limit + 1
    ])
    const fitting = fittingOf(found.slice(0, limit), query)
    const isRead = ({ bytes }: Outline) => bytes !== null && bytes <= maxValueBytes
    const last = found.length > fitting.length ? fitting.at(-1) : undefined
    const read = fitting.filter(isRead)
    const isWhole =
      query.after === undefined &&
      last === undefined &&
      fitting.every((step) => step.bytes === null || isRead(step))
    const exits = yield* isWhole ? allExits(sql, run) : Effect.map(sql.exitsOf(run, read), byKey)
    return {
      steps: fitting.map((row) => ({
        ...toStep(row, exits.get(keyOf(row))),
        ...(row.bytes === null || isRead(row) ? {} : { leftOut: row.bytes })
      })),
      cursor: last && { startedAt: last.started_at, position: last.position }
    }
  })

/** The first of them that fit, and one at least. */
const fittingOf = (
  found: ReadonlyArray<Outline>,
  { maxBytes = Number.POSITIVE_INFINITY, maxValueBytes = Number.POSITIVE_INFINITY }: StepsQuery
): ReadonlyArray<Outline> => {
  let sum = 0
  const tooMany = found.findIndex(({ bytes }) => {
    if (bytes !== null && bytes <= maxValueBytes) sum += bytes
    return sum > maxBytes
  })
  return tooMany === -1 ? found : found.slice(0, Math.max(1, tooMany))
}

const keyOf = ({ attempt, name }: StepKey) => `${attempt}/${name}`

const byKey = (rows: ReadonlyArray<ExitRow>): ReadonlyMap<string, End> =>
  new Map(rows.map((row) => [keyOf(row), row]))

const selectAllExits = `
  SELECT name, attempt, exit, executor, is_inner FROM workflow_steps WHERE run = ? AND exit IS NOT NULL`

/** Of a run whose steps fit all: most do. */
const allExits = (sql: Portable, run: number) =>
  Effect.map(sql.rows<ExitRow>(selectAllExits, [run]), byKey)

const selectKey = `
  SELECT id, ${shownStatus("workflow_runs")} AS status FROM workflow_runs WHERE run_id = ?`

interface KeyRow {
  readonly id: number
  readonly status: RunStatus
}

/** Of the run, how it is as well. */
export const steps = (
  sql: StepReader,
  runId: string,
  query: StepsQuery
): Effect.Effect<Option.Option<StepsPage & { readonly status: RunStatus }>, SqlError> =>
  Effect.gen(function* () {
    const [run] = yield* sql.rows<KeyRow>(selectKey, [runId])
    if (run === undefined) return Option.none()
    return Option.some({ ...(yield* stepsOf(sql, run.id, query)), status: run.status })
  })

/** By the primary key. */
const selectStep = `
  SELECT ${stepColumns}, exit, executor, is_inner FROM workflow_steps
  WHERE run = (SELECT id FROM workflow_runs WHERE run_id = ?) AND name = ? AND attempt = ?`

export const step = (
  sql: Portable,
  key: StepKey & { readonly runId: string }
): Effect.Effect<Option.Option<Step>, SqlError> =>
  Effect.map(
    sql.rows<StepRow & { readonly exit: Json | null }>(selectStep, [
      key.runId,
      key.name,
      key.attempt
    ]),
    ([row]) => (row === undefined ? Option.none() : Option.some(toStep(row, row)))
  )

const selectFailedWith = ({ instr, join }: Dialect) => `
  SELECT s.name, s.attempt FROM (
    SELECT run, name, attempt FROM workflow_steps
    WHERE run = (SELECT id FROM workflow_runs WHERE run_id = ?) AND status = 'failed'
    ORDER BY started_at DESC, position DESC LIMIT 100
  ) v
  ${join} workflow_steps s ON s.run = v.run AND s.name = v.name AND s.attempt = v.attempt
  WHERE ${instr}(s.exit, ?) > 0
  ORDER BY s.started_at DESC, s.position DESC LIMIT 1`

export const stepFailedWith = (
  sql: Portable,
  { runId, text }: { readonly runId: string; readonly text: string }
): Effect.Effect<Option.Option<StepKey>, SqlError> =>
  Effect.map(sql.rows<StepKey>(selectFailedWith(sql.dialect), [runId, text]), ([row]) =>
    Option.fromNullable(row)
  )
