import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { aboutRun } from "../AboutRuns.js"
import * as Admission from "../Admission.js"
import { type CountRow, toCounts } from "../Counts.js"
import * as NextWake from "../NextWake.js"
import type { Reading, ReadRow, RunRow } from "../Rows.js"
import { readColumns, runColumns, shownStatus, toReadRun, toRun, wholeMillis } from "../Rows.js"
import type {
  Json,
  Millis,
  RunOutline,
  RunStatus,
  RunWithSteps,
  StepsQuery,
  WokenRun
} from "../RunStore.js"
import { stepsOf } from "../StepPages.js"
import type { Sql } from "./Sql.js"
import { inSnapshot } from "./Sql.js"
import { stepReader } from "./StepReader.js"

const selectRun = `SELECT ${runColumns} FROM workflow_runs WHERE run_id = ?`

const findRow = (sql: Sql, runId: string) =>
  Effect.map(sql.rows<RunRow>(selectRun, [runId]), ([row]) => Option.fromNullable(row))

export const find = (runId: string) => (sql: Sql) =>
  Effect.map(findRow(sql, runId), Option.map(toRun))

export const readingOf = { payload: "?", result: "?", max: "?" }

export const readingParams = ({
  maxValueBytes = Number.MAX_SAFE_INTEGER,
  payload = true,
  result = true
}: Reading): ReadonlyArray<number> => {
  const max = wholeMillis(maxValueBytes)
  return [payload ? 1 : 0, max, result ? 1 : 0, max, max]
}

const selectReadRun = `SELECT ${readColumns("r", readingOf)} FROM workflow_runs r WHERE r.run_id = ?`

/** A run as far as it is asked for, with its key. */
const readRun = (sql: Sql, runId: string, reading: Reading) =>
  Effect.map(
    sql.rows<ReadRow>(selectReadRun, [...readingParams(reading), runId]),
    ([row]) => row && { key: row.id, run: toReadRun(row, reading) }
  )

export const findWithSteps =
  (runId: string, query: Omit<StepsQuery, "after"> = {}) =>
  (sql: Sql): Effect.Effect<Option.Option<RunWithSteps>, SqlError> =>
    inSnapshot(
      sql,
      Effect.gen(function* () {
        const found = yield* readRun(sql, runId, query)
        if (found === undefined) return Option.none()
        return Option.some({
          run: found.run,
          ...(yield* stepsOf(stepReader(sql), found.key, query)),
          ...(yield* aboutRun(sql, { key: found.key, runId }))
        })
      })
    )

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
  WHERE run_id >= ? AND run_id < ? ORDER BY run_id LIMIT ?`

/** No id goes on with this character, which is the last that there is. */
const last = "\u{10ffff}"

export const beginningWith =
  ({ limit, prefix }: { readonly prefix: string; readonly limit: number }) =>
  (sql: Sql) =>
    Effect.map(
      sql.rows<OutlineRow>(selectBeginningWith, [prefix, prefix + last, limit]),
      (rows): ReadonlyArray<RunOutline> => rows.map(toOutline)
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

const selectMissing = `
  SELECT value AS run_id FROM json_each(?)
  WHERE NOT EXISTS (SELECT 1 FROM workflow_runs WHERE run_id = value)`

export const missing = (runIds: ReadonlyArray<string>) => (sql: Sql) =>
  Effect.map(
    sql.rows<{ readonly run_id: string }>(selectMissing, [JSON.stringify(runIds)]),
    (rows): ReadonlyArray<string> => rows.map(({ run_id }) => run_id)
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
        held: { runId: run_id, key: id, claim, executor },
        wakeups,
        ...(over === 1 ? { over: true } : {})
      }))
  )

const next = NextWake.make("workflow_runs INDEXED BY workflow_runs_timers")

export const nextWakeAt = (sql: Sql) => next(sql)

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
      WHERE status = 'pending' AND workflow = name ORDER BY priority, id LIMIT 1000
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
  )
  UNION ALL SELECT 'held back', (
    SELECT count(*) FROM workflow_runs INDEXED BY workflow_runs_held_back
    WHERE status = 'suspended' AND gate IS NOT NULL
  )`

export const queues = (sql: Sql) => Admission.all(sql)

export const counts = (sql: Sql) => Effect.map(sql.rows<CountRow>(selectCounts), toCounts)

const countBlocked = `
  SELECT count(*) AS runs FROM workflow_runs INDEXED BY workflow_runs_blocked
  WHERE status = 'suspended' AND cause IS NOT NULL`

export const blocked = (sql: Sql) =>
  Effect.map(sql.rows<{ readonly runs: number }>(countBlocked), ([row]) => row?.runs ?? 0)
