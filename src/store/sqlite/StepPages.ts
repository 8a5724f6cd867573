/**
 * A run's steps, a page at a time: in the order in which they started, and no more of their outcomes
 * than fits.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isCompensation, shownStatus, wholeMillis } from "../Rows.js"
import type {
  Json,
  Millis,
  RunStatus,
  Step,
  StepCursor,
  StepStatus,
  StepsPage,
  StepsQuery
} from "../RunStore.js"
import type { Param, Sql } from "./Sql.js"
import { inSnapshot } from "./Sql.js"
import * as Statements from "./Statements.js"

const stepColumns = "name, attempt, status, started_at, completed_at, position"

/**
 * What a page is cut by: how large an outcome is says the head of its row, and it is not read; nor is
 * what comes after it, but where there is none.
 */
const selectOutlines = `
  SELECT ${stepColumns}, octet_length(exit) AS bytes, iif(exit IS NULL, executor, NULL) AS executor,
    iif(exit IS NULL, is_inner, NULL) AS is_inner
  FROM workflow_steps
  WHERE run = ? AND (started_at, position) > (?, ?)
  ORDER BY started_at, position LIMIT ?`

interface StepRow {
  readonly name: string
  readonly attempt: number
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

/** By the primary key. */
const selectExits = Statements.forRows(
  (rows) => `
  SELECT s.name, s.attempt, s.exit, s.executor, s.is_inner FROM ${Statements.table(rows, 3)} v
  CROSS JOIN workflow_steps s
    ON s.run = v.column1 AND s.name = v.column2 AND s.attempt = v.column3`
)

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
  sql: Sql,
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
    const exits = yield* isWhole ? allExits(sql, run) : exitsOf(sql, run, read)
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

const keyOf = ({ attempt, name }: { readonly name: string; readonly attempt: number }) =>
  `${attempt}/${name}`

/** An outcome, and what comes after it in its row. */
interface End {
  readonly exit: Json | null
  readonly executor: number | null
  readonly is_inner: number | null
}

interface ExitRow extends End {
  readonly name: string
  readonly attempt: number
}

const byKey = (rows: ReadonlyArray<ExitRow>): ReadonlyMap<string, End> =>
  new Map(rows.map((row) => [keyOf(row), row]))

const selectAllExits = `
  SELECT name, attempt, exit, executor, is_inner FROM workflow_steps WHERE run = ? AND exit IS NOT NULL`

/** Of a run whose steps fit all: most do. */
const allExits = (sql: Sql, run: number) =>
  Effect.map(sql.rows<ExitRow>(selectAllExits, [run]), byKey)

const exitsOf = (sql: Sql, run: number, steps: ReadonlyArray<Outline>) =>
  Effect.gen(function* () {
    const found: Array<ExitRow> = []
    for (const part of Statements.parts(steps)) {
      const params: Array<Param> = []
      for (const { attempt, name } of part) params.push(run, name, attempt)
      found.push(...(yield* sql.rows<ExitRow>(selectExits(part.length), params)))
    }
    return byKey(found)
  })

const selectKey = `
  SELECT id, ${shownStatus("workflow_runs")} AS status FROM workflow_runs WHERE run_id = ?`

interface KeyRow {
  readonly id: number
  readonly status: RunStatus
}

export const steps =
  (runId: string, query: StepsQuery) =>
  (sql: Sql): Effect.Effect<Option.Option<StepsPage & { readonly status: RunStatus }>, SqlError> =>
    inSnapshot(
      sql,
      Effect.gen(function* () {
        const [run] = yield* sql.rows<KeyRow>(selectKey, [runId])
        if (run === undefined) return Option.none()
        return Option.some({ ...(yield* stepsOf(sql, run.id, query)), status: run.status })
      })
    )

/** By the primary key. */
const selectStep = `
  SELECT ${stepColumns}, exit, executor, is_inner FROM workflow_steps
  WHERE run = (SELECT id FROM workflow_runs WHERE run_id = ?) AND name = ? AND attempt = ?`

export const step =
  (key: { readonly runId: string; readonly name: string; readonly attempt: number }) =>
  (sql: Sql): Effect.Effect<Option.Option<Step>, SqlError> =>
    Effect.map(
      sql.rows<StepRow & { readonly exit: Json | null }>(selectStep, [
        key.runId,
        key.name,
        key.attempt
      ]),
      ([row]) => (row === undefined ? Option.none() : Option.some(toStep(row, row)))
    )

const selectFailedWith = `
  SELECT s.name, s.attempt FROM (
    SELECT run, name, attempt FROM workflow_steps
    WHERE run = (SELECT id FROM workflow_runs WHERE run_id = ?) AND status = 'failed'
    ORDER BY started_at DESC, position DESC LIMIT 100
  ) v
  CROSS JOIN workflow_steps s ON s.run = v.run AND s.name = v.name AND s.attempt = v.attempt
  WHERE instr(s.exit, ?) > 0
  ORDER BY s.started_at DESC, s.position DESC LIMIT 1`

export const stepFailedWith =
  ({ runId, text }: { readonly runId: string; readonly text: string }) =>
  (sql: Sql) =>
    Effect.map(
      sql.rows<{ readonly name: string; readonly attempt: number }>(selectFailedWith, [
        runId,
        text
      ]),
      ([row]) => Option.fromNullable(row)
    )
