import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { turn } from "../../internal/Turn.js"
import * as Admission from "../Admission.js"
import { type CountRow, toCounts } from "../Counts.js"
import * as Labels from "../Labels.js"
import * as NextWake from "../NextWake.js"
import type { Reading, ReadRow, RunRow, Sizes } from "../Rows.js"
import {
  bytesRead,
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
import { aboutRun } from "./AboutRuns.js"
import type { Database } from "./Database.js"
import type { Param, Sql } from "./Sql.js"
import { inSnapshot } from "./Sql.js"
import { stepsOf } from "./StepPages.js"

const selectRun = `SELECT ${runColumns} FROM workflow_runs WHERE run_id = ?`

const findRow = (sql: Sql, runId: string) =>
  Effect.map(sql.rows<RunRow>(selectRun, [runId]), ([row]) => Option.fromNullable(row))

export const find = (runId: string) => (sql: Sql) =>
  Effect.map(findRow(sql, runId), Option.map(toRun))

const readingOf = { payload: "?", result: "?", max: "?" }

const readingParams = ({
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
          ...(yield* stepsOf(sql, found.key, query)),
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

/**
 * How many runs one statement of `list` may look at: a filter that few runs pass would else stop
 * the event loop for as long as a whole table takes.
 */
const listWindow = 10_000

/** @param id the column of `from` that has the run's id */
const inWindow = (from: string, where: string, id: string) => `
  FROM ${from}
  WHERE ${id} < ? AND ${id} >= ?
    AND (? IS NULL OR workflow = ?)
    AND (? IS NULL OR ${shownStatus("workflow_runs")} IN (SELECT value FROM json_each(?)))
    AND created_at >= ? AND created_at < ? ${where}`

const isRoot = `AND NOT EXISTS (
  SELECT 1 FROM workflow_children INDEXED BY workflow_children_of WHERE child = workflow_runs.id
)`

const isBlocked = "AND status = 'suspended' AND cause IS NOT NULL"

const isChild = "AND parent = (SELECT id FROM workflow_runs WHERE run_id = ?)"

const hasLabels = `AND NOT EXISTS (
  SELECT 1 FROM json_each(?) asked WHERE NOT EXISTS (
    SELECT 1 FROM workflow_labels l WHERE l.label = asked.value AND l.run = workflow_runs.id
  )
)`

const labelsOf = ({ labels = {} }: RunFilter) => Labels.texts(labels)

/** Where the runs are looked for: in the table that has the fewest others, in the order of their ids. */
const sourceOf = (query: RunFilter): { readonly from: string; readonly id: string } => {
  if (query.parent !== undefined) {
    return { from: "workflow_children CROSS JOIN workflow_runs ON id = child", id: "child" }
  }
  if (labelsOf(query).length > 0) {
    return {
      from: "workflow_labels CROSS JOIN workflow_runs ON id = run AND label = ?",
      id: "run"
    }
  }
  const from = `workflow_runs${query.blocked === true ? " INDEXED BY workflow_runs_blocked" : ""}`
  return { from, id: "id" }
}

const windowOf = (query: RunFilter): { readonly id: string; readonly text: string } => {
  const { from, id } = sourceOf(query)
  const where = [
    query.blocked === true ? isBlocked : "",
    query.roots === true ? isRoot : "",
    query.parent === undefined ? "" : isChild,
    labelsOf(query).length === 0 ? "" : hasLabels
  ]
  return { id, text: inWindow(from, where.join(" "), id) }
}

const selectPage = (query: RunFilter): string => {
  const { id, text } = windowOf(query)
  return `
    SELECT id, ${shownStatus("workflow_runs")} AS status, ${sizeColumns("workflow_runs")}
    ${text} ORDER BY ${id} DESC LIMIT ?`
}

const selectCountsBy = (query: RunFilter): string =>
  `SELECT ${shownStatus("workflow_runs")} AS status, count(*) AS runs ${windowOf(query).text} GROUP BY 1`

const selectNewest = "SELECT max(id) AS id FROM workflow_runs"

const selectId = "SELECT id FROM workflow_runs WHERE run_id = ?"

/** The one run, if it is one of those that are asked for: the window that it is alone in. */
const onlyOne = (database: Database, query: RunQuery, runId: string) =>
  database.read((sql) =>
    Effect.gen(function* () {
      const [found] = yield* sql.rows<{ readonly id: number }>(selectId, [runId])
      const fitting =
        found === undefined || (query.cursor ?? Infinity) <= found.id
          ? []
          : yield* page(query, found.id + 1, query.limit, 1)(sql)
      return { runs: yield* runsOf(fitting, query)(sql), cursor: undefined }
    })
  )

export const list = (database: Database, query: RunQuery): Effect.Effect<Page, SqlError> =>
  Effect.gen(function* () {
    // a cursor may come from anywhere: there is nothing above the newest run
    let before = Math.min(query.cursor ?? Infinity, (yield* database.read(newest)) + 1)
    // a child is no root
    if (query.parent !== undefined && query.roots === true) return { runs: [], cursor: undefined }
    if (query.runId !== undefined) return yield* onlyOne(database, query, query.runId)
    const found = [...(yield* database.read(page(query, before, query.limit + 1)))]
    while (found.length <= query.limit && before > listWindow) {
      yield* turn
      before -= listWindow
      found.push(...(yield* database.read(page(query, before, query.limit + 1 - found.length))))
    }
    const fitting = fittingOf(found.slice(0, query.limit), query)
    return {
      runs: yield* database.read(runsOf(fitting, query)),
      cursor: found.length > fitting.length ? fitting.at(-1)?.id : undefined
    }
  })

const selectRuns = `
  SELECT ${readColumns("r", readingOf)}
  FROM json_each(?) v CROSS JOIN workflow_runs r ON r.id = v.value ORDER BY r.id DESC`

interface Found extends Sizes {
  readonly id: number
}

const runsOf = (found: ReadonlyArray<Found>, reading: Reading) => (sql: Sql) =>
  Effect.map(
    sql.rows<ReadRow>(selectRuns, [
      ...readingParams(reading),
      JSON.stringify(found.map(({ id }) => id))
    ]),
    (rows): ReadonlyArray<Run> => rows.map((row) => toReadRun(row, reading))
  )

/** The first of them that fit, and one at least. */
const fittingOf = (found: ReadonlyArray<Found>, query: RunQuery): ReadonlyArray<Found> => {
  const { maxBytes = Number.POSITIVE_INFINITY } = query
  let bytes = 0
  const tooMany = found.findIndex((run) => {
    bytes += bytesRead(run, query)
    return bytes > maxBytes
  })
  return tooMany === -1 ? found : found.slice(0, Math.max(1, tooMany))
}

const newest = (sql: Sql) =>
  Effect.map(sql.rows<{ readonly id: number | null }>(selectNewest), ([row]) => row?.id ?? 0)

/** One more than the page holds tells whether there is a next. */
const page =
  (query: RunQuery, before: number, limit: number, window = listWindow) =>
  (sql: Sql) =>
    sql.rows<Found>(selectPage(query), [...paramsOf(query, before, window), limit])

/** Those of `windowOf`. */
const paramsOf = (query: RunFilter, before: number, window: number): ReadonlyArray<Param> => {
  const workflow = query.workflow ?? null
  const status = query.status === undefined ? null : JSON.stringify(query.status)
  const labels = labelsOf(query)
  const [first] = labels
  return [
    ...(first === undefined || query.parent !== undefined ? [] : [first]),
    before,
    before - window,
    workflow,
    workflow,
    status,
    status,
    wholeMillis(query.createdAfter ?? 0),
    wholeMillis(query.createdBefore ?? Number.MAX_SAFE_INTEGER),
    ...(query.parent === undefined ? [] : [query.parent]),
    ...(first === undefined ? [] : [JSON.stringify(labels)])
  ]
}

/** The windows in which a run of the filter can be: where each begins from above, and how long it is. */
const windows = (database: Database, { runId }: RunFilter) =>
  Effect.gen(function* () {
    if (runId !== undefined) {
      const found = yield* database.read((sql) =>
        sql.rows<{ readonly id: number }>(selectId, [runId])
      )
      return found.map(({ id }) => ({ before: id + 1, window: 1 }))
    }
    const above = (yield* database.read(newest)) + 1
    return Array.from({ length: Math.ceil(above / listWindow) }, (_, index) => ({
      before: above - index * listWindow,
      window: listWindow
    }))
  })

/** A window at a time, as `list` does. */
export const countBy = (database: Database, filter: RunFilter) =>
  Effect.gen(function* () {
    // a child is no root
    if (filter.parent !== undefined && filter.roots === true) return toCounts([])
    const counted: Array<CountRow> = []
    for (const { before, window } of yield* windows(database, filter)) {
      const params = paramsOf(filter, before, window)
      const rows = database.read((sql) => sql.rows<CountRow>(selectCountsBy(filter), params))
      counted.push(...(yield* rows))
      yield* turn
    }
    return toCounts(counted)
  })
