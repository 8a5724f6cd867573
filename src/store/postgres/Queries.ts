import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { aboutRun } from "../AboutRuns.js"
import * as Admission from "../Admission.js"
import { type CountRow, toCounts } from "../Counts.js"
import * as Labels from "../Labels.js"
import * as NextWake from "../NextWake.js"
import type { Reading, ReadRow, RunRow, Sizes } from "../Rows.js"
import {
  fittingOf,
  isShownAsOneOf,
  readColumns,
  runColumns,
  shownStatus,
  sizeColumns,
  toReadRun,
  toRun,
  wholeMillis
} from "../Rows.js"
import type {
  Json,
  Millis,
  Page,
  Run,
  RunFilter,
  RunOutline,
  RunQuery,
  RunStatus,
  RunWithSteps,
  StepsQuery,
  WokenRun
} from "../RunStore.js"
import { stepsOf } from "../StepPages.js"
import { portable } from "./Numbered.js"
import type { Param, Sql } from "./Sql.js"
import { stepReader } from "./StepReader.js"

const selectRun = `SELECT ${runColumns} FROM workflow_runs WHERE run_id = $1`

const findRow = (sql: Sql, runId: string) =>
  Effect.map(sql.rows<RunRow>(selectRun, [runId]), ([row]) => Option.fromNullable(row))

export const find = (runId: string) => (sql: Sql) =>
  Effect.map(findRow(sql, runId), Option.map(toRun))

/** The first three parameters of a statement. */
const readingOf = { payload: "$1::boolean", result: "$2::boolean", max: "$3::bigint" }

const readingParams = ({
  maxValueBytes = Number.MAX_SAFE_INTEGER,
  payload = true,
  result = true
}: Reading): ReadonlyArray<Param> => [payload, result, wholeMillis(maxValueBytes)]

const selectReadRun = `SELECT ${readColumns("r", readingOf)} FROM workflow_runs r WHERE r.run_id = $4`

/** A run as far as it is asked for, with its key. */
const readRun = (sql: Sql, runId: string, reading: Reading) =>
  Effect.map(
    sql.rows<ReadRow>(selectReadRun, [...readingParams(reading), runId]),
    ([row]) => row && { key: row.id, run: toReadRun(row, reading) }
  )

/** The run itself first: when it is over, none of its steps can be missing. */
export const findWithSteps =
  (runId: string, query: Omit<StepsQuery, "after"> = {}) =>
  (sql: Sql): Effect.Effect<Option.Option<RunWithSteps>, SqlError> =>
    Effect.gen(function* () {
      const found = yield* readRun(sql, runId, query)
      if (found === undefined) return Option.none()
      return Option.some({
        run: found.run,
        ...(yield* stepsOf(stepReader(sql), found.key, query)),
        ...(yield* aboutRun(portable(sql), { key: found.key, runId }))
      })
    })

interface OutlineRow {
  readonly run_id: string
  readonly workflow: string
  readonly status: RunStatus
}

const toOutline = ({ run_id, status, workflow }: OutlineRow): RunOutline => ({
  runId: run_id,
  workflow,
  status
})

/** A range of the index on `run_id`: texts are ordered by their bytes. */
const selectBeginningWith = `
  SELECT run_id, workflow, ${shownStatus("workflow_runs")} AS status FROM workflow_runs
  WHERE run_id >= $1 AND run_id < $2 ORDER BY run_id LIMIT $3::bigint`

/** No id goes on with this character, which is the last that there is. */
const last = "\u{10ffff}"

export const beginningWith =
  ({ limit, prefix }: { readonly prefix: string; readonly limit: number }) =>
  (sql: Sql) =>
    Effect.map(
      sql.rows<OutlineRow>(selectBeginningWith, [prefix, prefix + last, limit]),
      (rows): ReadonlyArray<RunOutline> => rows.map(toOutline)
    )

const selectFinished = `
  SELECT run_id, exit FROM workflow_runs
  WHERE run_id = ANY($1::text[]) AND status IN ('completed', 'failed', 'interrupted')`

/**
 * Before they are read: what ends in between is read, and what ends later sees it. One at a time: whoever
 * has several of these rows, and waits for another of them, would come to a deadlock with their ends.
 */
const awaitEnd = `
  UPDATE workflow_runs SET awaited = 1
  WHERE run_id = $1 AND completed_at IS NULL AND awaited IS NULL`

/** In the order in which they were asked for. */
export const finished =
  (runIds: ReadonlyArray<string>, { tells = false }: { readonly tells?: boolean } = {}) =>
  (sql: Sql) =>
    Effect.map(
      Effect.zipRight(
        tells
          ? Effect.forEach(runIds, (runId) => sql.changes(awaitEnd, [runId]), { discard: true })
          : Effect.void,
        sql.rows<{ readonly run_id: string; readonly exit: Json | null }>(selectFinished, [runIds])
      ),
      (rows) => {
        const exits = new Map(rows.map(({ exit, run_id }) => [run_id, exit]))
        return runIds.flatMap((runId) => {
          const exit = exits.get(runId) ?? null
          return exit === null ? [] : [{ runId, exit }]
        })
      }
    )

const selectThere = "SELECT run_id FROM workflow_runs WHERE run_id = ANY($1::text[])"

/** In the order in which they were asked for. */
export const missing = (runIds: ReadonlyArray<string>) => (sql: Sql) =>
  Effect.map(sql.rows<{ readonly run_id: string }>(selectThere, [runIds]), (rows) => {
    const there = new Set(rows.map(({ run_id }) => run_id))
    return runIds.filter((runId) => !there.has(runId))
  })

const selectWoken = `
  SELECT id, run_id, claim, wakeups, 0 AS over FROM workflow_runs
  WHERE executor = $1 AND status = 'running' AND wakeups > seen_wakeups
  UNION ALL
  SELECT run, run_id, claim, 0, 1 FROM workflow_terminations WHERE executor = $1
  ORDER BY over, id`

export const wokenRuns = (executor: number) => (sql: Sql) =>
  Effect.map(
    sql.rows<{
      readonly id: number
      readonly run_id: string
      readonly claim: number
      readonly wakeups: number
      readonly over: 0 | 1
    }>(selectWoken, [executor]),
    (rows): ReadonlyArray<WokenRun> =>
      rows.map(({ id, run_id, claim, wakeups, over }) => ({
        held: { runId: run_id, key: id, claim, executor },
        wakeups,
        ...(over === 1 ? { over: true } : {})
      }))
  )

const next = NextWake.make("workflow_runs")

export const nextWakeAt = (sql: Sql) => next(portable(sql))

/** From each name to the next one, past however many runs wait for it. */
const pendingNames = `
  WITH RECURSIVE names (name) AS (
    (
      SELECT workflow FROM workflow_runs
      WHERE status = 'pending' ORDER BY workflow LIMIT 1
    )
    UNION ALL
    SELECT (
      SELECT workflow FROM workflow_runs
      WHERE status = 'pending' AND workflow > names.name ORDER BY workflow LIMIT 1
    ) FROM names WHERE name IS NOT NULL
  )`

const selectPendingWorkflows = `${pendingNames} SELECT name FROM names WHERE name IS NOT NULL`

export const pendingWorkflows = (sql: Sql) =>
  Effect.map(sql.rows<{ readonly name: string }>(selectPendingWorkflows), (rows) =>
    rows.map(({ name }) => name)
  )

/** Looks at no more than a thousand runs a workflow: those that were woken wait among the others. */
const selectOldestPending = `${pendingNames}
  SELECT min((
    SELECT created_at FROM (
      SELECT created_at, started_at FROM workflow_runs
      WHERE status = 'pending' AND workflow = names.name ORDER BY priority, id LIMIT 1000
    ) oldest WHERE started_at IS NULL LIMIT 1
  )) AS created_at
  FROM names WHERE name IS NOT NULL`

export const oldestPending = (sql: Sql) =>
  Effect.map(
    sql.rows<{ readonly created_at: Millis | null }>(selectOldestPending),
    ([row]): Option.Option<Millis> => Option.fromNullable(row?.created_at)
  )

const selectCounts = `
  SELECT status, sum(runs)::bigint AS runs FROM workflow_counts
  WHERE status <> 'spared' GROUP BY status
  UNION ALL SELECT 'pending', count(*) FROM workflow_runs WHERE status = 'pending'
  UNION ALL SELECT 'running', count(*) FROM workflow_runs WHERE status = 'running'
  UNION ALL SELECT 'held back', count(*) FROM workflow_runs
  WHERE status = 'suspended' AND gate IS NOT NULL`

export const queues = (sql: Sql) => Admission.all(portable(sql))

export const counts = (sql: Sql) => Effect.map(sql.rows<CountRow>(selectCounts), toCounts)

const countBlocked = `
  SELECT count(*) AS runs FROM workflow_runs
  WHERE status = 'suspended' AND cause IS NOT NULL`

export const blocked = (sql: Sql) =>
  Effect.map(sql.rows<{ readonly runs: number }>(countBlocked), ([row]) => row?.runs ?? 0)

/** Conditions with their parameters, as far as they are asked for. */
const conditionsOf = (query: RunFilter & Pick<RunQuery, "cursor">) => {
  const params: Array<Param> = []
  const conditions: Array<string> = []
  const add = (condition: (param: string) => string, value: Param | undefined) => {
    if (value === undefined) return
    params.push(value)
    conditions.push(condition(`$${params.length}`))
  }
  add((param) => `r.id < ${param}::bigint`, query.cursor)
  add((param) => `r.run_id = ${param}`, query.runId)
  add((param) => `r.workflow = ${param}`, query.workflow)
  add((param) => `r.created_at >= ${param}::bigint`, bounded(query.createdAfter))
  add((param) => `r.created_at < ${param}::bigint`, bounded(query.createdBefore))
  add((param) => isChildOf(param), query.parent)
  for (const label of Labels.texts(query.labels ?? {})) add(isLabelled, label)
  if (query.status !== undefined) conditions.push(isShownAsOneOf("r", query.status))
  if (query.roots === true) conditions.push(isRoot)
  if (query.blocked === true) conditions.push(isBlocked)
  return { conditions, params }
}

const bounded = (time: Millis | undefined) => (time === undefined ? undefined : wholeMillis(time))

const isChildOf = (param: string) => `r.id IN (
  SELECT c.child FROM workflow_children c
  WHERE c.parent = (SELECT id FROM workflow_runs WHERE run_id = ${param})
)`

const isLabelled = (param: string) =>
  `r.id IN (SELECT l.run FROM workflow_labels l WHERE l.label = ${param})`

const isRoot = "NOT EXISTS (SELECT 1 FROM workflow_children c WHERE c.child = r.id)"

const isBlocked = "r.status = 'suspended' AND r.cause IS NOT NULL"

interface Found extends Sizes {
  readonly id: number
}

const whereOf = (conditions: ReadonlyArray<string>) =>
  conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`

export const countBy = (filter: RunFilter) => (sql: Sql) => {
  const { conditions, params } = conditionsOf(filter)
  return Effect.map(
    sql.rows<CountRow>(
      `SELECT ${shownStatus("r")} AS status, count(*) AS runs FROM workflow_runs r
      ${whereOf(conditions)} GROUP BY 1`,
      params
    ),
    toCounts
  )
}

/** One more than the page holds tells whether there is a next. */
const page = (query: RunQuery) => (sql: Sql) => {
  const { conditions, params } = conditionsOf(query)
  const where = whereOf(conditions)
  return sql.rows<Found>(
    `SELECT r.id, ${shownStatus("r")} AS status, ${sizeColumns("r")} FROM workflow_runs r ${where}
    ORDER BY r.id DESC LIMIT $${params.length + 1}::bigint`,
    [...params, query.limit + 1]
  )
}

export const list =
  (query: RunQuery) =>
  (sql: Sql): Effect.Effect<Page, SqlError> =>
    Effect.gen(function* () {
      const found = yield* page(query)(sql)
      const fitting = fittingOf(found.slice(0, query.limit), query)
      return {
        runs: yield* runsOf(fitting, query)(sql),
        cursor: found.length > fitting.length ? fitting.at(-1)?.id : undefined
      }
    })

const selectRuns = `
  SELECT ${readColumns("r", readingOf)} FROM workflow_runs r
  WHERE r.id = ANY($4::bigint[]) ORDER BY r.id DESC`

const runsOf = (found: ReadonlyArray<Found>, reading: Reading) => (sql: Sql) =>
  found.length === 0
    ? Effect.succeed([])
    : Effect.map(
        sql.rows<ReadRow>(selectRuns, [...readingParams(reading), found.map(({ id }) => id)]),
        (rows): ReadonlyArray<Run> => rows.map((row) => toReadRun(row, reading))
      )
