import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type {
  Json,
  Millis,
  Page,
  RunQuery,
  RunStatus,
  Step,
  StepStatus,
  WokenRun
} from "../../RunStore.js"
import type { Database } from "./Database.js"
import type { RunRow } from "./Rows.js"
import { runColumns, toRun, wholeMillis } from "./Rows.js"
import type { Sql } from "./Sql.js"
import { inSnapshot, nextTurn } from "./Sql.js"

const selectRun = `SELECT ${runColumns} FROM workflow_runs WHERE run_id = ?`

const findRow = (sql: Sql, runId: string) =>
  Effect.map(sql.rows<RunRow>(selectRun, [runId]), ([row]) => Option.fromNullable(row))

export const find = (runId: string) => (sql: Sql) =>
  Effect.map(findRow(sql, runId), Option.map(toRun))

const selectSteps = `
  SELECT name, attempt, status, started_at, completed_at, exit FROM workflow_steps
  WHERE run = ? ORDER BY started_at, position`

export const findWithSteps = (runId: string) => (sql: Sql) =>
  inSnapshot(
    sql,
    Effect.flatMap(
      findRow(sql, runId),
      Option.match({
        onNone: () => Effect.succeedNone,
        onSome: (row) =>
          Effect.map(stepsOf(sql, row.id), (steps) => Option.some({ run: toRun(row), steps }))
      })
    )
  )

const stepsOf = (sql: Sql, key: number) =>
  Effect.map(
    sql.rows<{
      readonly name: string
      readonly attempt: number
      readonly status: StepStatus
      readonly started_at: Millis
      readonly completed_at: Millis | null
      readonly exit: Json | null
    }>(selectSteps, [key]),
    (rows): ReadonlyArray<Step> =>
      rows.map((row) => ({
        name: row.name,
        attempt: row.attempt,
        status: row.status,
        startedAt: row.started_at,
        completedAt: row.completed_at ?? undefined,
        exit: row.exit ?? undefined
      }))
  )

/** A subquery for each, and not a join, which could become a scan of all runs. */
const selectFinished = `
  SELECT value AS run_id, (
    SELECT exit FROM workflow_runs
    WHERE run_id = value AND status IN ('completed', 'failed', 'interrupted')
  ) AS exit
  FROM json_each(?)`

export const finished = (runIds: ReadonlyArray<string>) => (sql: Sql) =>
  Effect.map(
    sql.rows<{ readonly run_id: string; readonly exit: Json | null }>(selectFinished, [
      JSON.stringify(runIds)
    ]),
    (rows) => rows.flatMap(({ run_id, exit }) => (exit === null ? [] : [{ runId: run_id, exit }]))
  )

const selectWoken = `
  SELECT id, run_id, claim, wakeups, 0 AS over FROM workflow_runs INDEXED BY workflow_runs_held
  WHERE executor = ? AND status = 'running' AND wakeups > seen_wakeups
  UNION ALL
  SELECT run, run_id, claim, 0, 1 FROM workflow_terminations WHERE executor = ?`

export const wokenRuns = (executor: number) => (sql: Sql) =>
  Effect.map(
    sql.rows<{
      readonly id: number
      readonly run_id: string
      readonly claim: number
      readonly wakeups: number
      readonly over: 0 | 1
    }>(selectWoken, [executor, executor]),
    (rows): ReadonlyArray<WokenRun> =>
      rows.map(({ id, run_id, claim, wakeups, over }) => ({
        held: { runId: run_id, key: id, claim },
        wakeups,
        ...(over === 1 ? { over: true } : {})
      }))
  )

const selectNextWakeAt = `
  SELECT wake_at FROM workflow_runs INDEXED BY workflow_runs_timers
  WHERE status = 'suspended' AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1`

export const nextWakeAt = (sql: Sql) =>
  Effect.map(sql.rows<{ readonly wake_at: Millis }>(selectNextWakeAt), ([row]) =>
    Option.fromNullable(row?.wake_at)
  )

/** From each name to the next one, past however many runs wait for it. */
const pendingNames = `
  WITH RECURSIVE names (name) AS (
    SELECT (
      SELECT workflow FROM workflow_runs INDEXED BY workflow_runs_pending
      WHERE status = 'pending' ORDER BY workflow LIMIT 1
    )
    UNION ALL
    SELECT (
      SELECT workflow FROM workflow_runs INDEXED BY workflow_runs_pending
      WHERE status = 'pending' AND workflow > name ORDER BY workflow LIMIT 1
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
      SELECT created_at, started_at FROM workflow_runs INDEXED BY workflow_runs_pending
      WHERE status = 'pending' AND workflow = name ORDER BY id LIMIT 1000
    ) WHERE started_at IS NULL LIMIT 1
  )) AS created_at
  FROM names WHERE name IS NOT NULL`

export const oldestPending = (sql: Sql) =>
  Effect.map(
    sql.rows<{ readonly created_at: Millis | null }>(selectOldestPending),
    ([row]): Option.Option<Millis> => Option.fromNullable(row?.created_at)
  )

const selectCounts = `
  SELECT status, runs FROM workflow_counts WHERE status <> 'spared'
  UNION ALL SELECT 'pending', (
    SELECT count(*) FROM workflow_runs INDEXED BY workflow_runs_pending WHERE status = 'pending'
  )
  UNION ALL SELECT 'running', (
    SELECT count(*) FROM workflow_runs INDEXED BY workflow_runs_held
    WHERE status = 'running' AND executor >= 0
  )`

export const counts = (sql: Sql) =>
  Effect.map(
    sql.rows<{ readonly status: RunStatus; readonly runs: number }>(selectCounts),
    (rows): Readonly<Record<RunStatus, number>> => {
      const counted = {
        pending: 0,
        running: 0,
        suspended: 0,
        completed: 0,
        failed: 0,
        interrupted: 0
      }
      for (const { runs, status } of rows) counted[status] = runs
      return counted
    }
  )

/**
 * How many runs one statement of `list` may look at: a filter that few runs pass would else stop
 * the event loop for as long as a whole table takes.
 */
const listWindow = 10_000

const selectPage = `
  SELECT ${runColumns} FROM workflow_runs
  WHERE id < ? AND id >= ?
    AND (? IS NULL OR workflow = ?)
    AND (? IS NULL OR status IN (SELECT value FROM json_each(?)))
    AND created_at >= ? AND created_at < ?
  ORDER BY id DESC LIMIT ?`

const selectNewest = "SELECT max(id) AS id FROM workflow_runs"

export const list = (database: Database, query: RunQuery): Effect.Effect<Page, SqlError> =>
  Effect.gen(function* () {
    // a cursor may come from anywhere: there is nothing above the newest run
    let before = Math.min(query.cursor ?? Infinity, (yield* database.read(newest)) + 1)
    const rows = [...(yield* database.read(page(query, before, query.limit + 1)))]
    while (rows.length <= query.limit && before > listWindow) {
      yield* nextTurn
      before -= listWindow
      rows.push(...(yield* database.read(page(query, before, query.limit + 1 - rows.length))))
    }
    const last = rows[query.limit - 1]
    return {
      runs: rows.slice(0, query.limit).map(toRun),
      cursor: rows.length > query.limit ? last?.id : undefined
    }
  })

const newest = (sql: Sql) =>
  Effect.map(sql.rows<{ readonly id: number | null }>(selectNewest), ([row]) => row?.id ?? 0)

/** One more than the page holds tells whether there is a next. */
const page = (query: RunQuery, before: number, limit: number) => (sql: Sql) => {
  const workflow = query.workflow ?? null
  const status = query.status === undefined ? null : JSON.stringify(query.status)
  return sql.rows<RunRow>(selectPage, [
    before,
    before - listWindow,
    workflow,
    workflow,
    status,
    status,
    wholeMillis(query.createdAfter ?? 0),
    wholeMillis(query.createdBefore ?? Number.MAX_SAFE_INTEGER),
    limit
  ])
}
