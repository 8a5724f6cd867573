/**
 * Lists and counts of runs that a filter chooses. They are looked for in what holds the fewest others, a
 * window at a time: a filter that few runs pass would else stop the event loop for as long as a whole
 * table takes.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { turn } from "../../internal/Turn.js"
import { type CountRow, toCounts } from "../Counts.js"
import * as Labels from "../Labels.js"
import type { Reading, ReadRow, Sizes } from "../Rows.js"
import {
  fittingOf,
  isUnsuccessful,
  readColumns,
  shownStatus,
  sizeColumns,
  toReadRun,
  wholeMillis
} from "../Rows.js"
import { isFinal, type Page, type Run, type RunFilter, type RunQuery } from "../RunStore.js"
import type { Database } from "./Database.js"
import { readingOf, readingParams } from "./Queries.js"
import type { Param, Sql } from "./Sql.js"

// ---------------------------------------------------------------------------------------------
// Where they are looked for
// ---------------------------------------------------------------------------------------------

/** How many runs one statement may look at. */
const windowSize = 10_000

interface Source {
  readonly from: string
  /** The column of `from` that has the run's id: they are in its order. */
  readonly id: string
  /** What all of it have in common. */
  readonly where: string
  /** Where its windows begin is asked: their ids are far apart. Else each is as many ids. */
  readonly isSparse?: boolean
}

const everyRun: Source = { from: "workflow_runs", id: "id", where: "TRUE" }

const children: Source = {
  from: "workflow_children CROSS JOIN workflow_runs ON id = child",
  id: "child",
  where: "parent = (SELECT id FROM workflow_runs WHERE run_id = ?)"
}

const labelled: Source = {
  from: "workflow_labels CROSS JOIN workflow_runs ON id = run AND label = ?",
  id: "run",
  where: "TRUE"
}

const blocked: Source = {
  from: "workflow_runs INDEXED BY workflow_runs_blocked",
  id: "id",
  where: "status = 'suspended' AND cause IS NOT NULL",
  isSparse: true
}

const unsuccessful: Source = {
  from: "workflow_runs INDEXED BY workflow_runs_unsuccessful",
  id: "id",
  where: "status IN ('failed', 'interrupted')",
  isSparse: true
}

const unfinished: Source = {
  from: "workflow_runs INDEXED BY workflow_runs_unfinished",
  id: "id",
  where: "completed_at IS NULL",
  isSparse: true
}

/** Those that wait for room and those that have it, where they are few: not in the order of their ids. */
const ready = `
  SELECT id AS ready FROM workflow_runs INDEXED BY workflow_runs_pending WHERE status = 'pending'
  UNION ALL
  SELECT id FROM workflow_runs INDEXED BY workflow_runs_held_back
  WHERE status = 'suspended' AND gate IS NOT NULL
  UNION ALL
  SELECT id FROM workflow_runs INDEXED BY workflow_runs_held WHERE status = 'running'`

const fewReady: Source = {
  from: `(${ready}) CROSS JOIN workflow_runs ON id = ready`,
  id: "ready",
  where: "TRUE",
  isSparse: true
}

const countReady = `SELECT count(*) AS runs FROM (${ready} LIMIT ?)`

const areReadyFew = (sql: Sql) =>
  Effect.map(
    sql.rows<{ readonly runs: number }>(countReady, [windowSize + 1]),
    ([row]) => row !== undefined && row.runs <= windowSize
  )

const sourceOf =
  (query: RunFilter) =>
  (sql: Sql): Effect.Effect<Source, SqlError> => {
    const { status } = query
    if (query.parent !== undefined) return Effect.succeed(children)
    if (labelsOf(query).length > 0) return Effect.succeed(labelled)
    if (query.blocked === true) return Effect.succeed(blocked)
    if (status === undefined) return Effect.succeed(everyRun)
    if (status.every(isUnsuccessful)) return Effect.succeed(unsuccessful)
    if (status.some(isFinal)) return Effect.succeed(everyRun)
    if (status.includes("suspended")) return Effect.succeed(unfinished)
    return Effect.map(areReadyFew(sql), (few) => (few ? fewReady : unfinished))
  }

/** The runs whose ids are below `before`, down to `from`. */
interface Window {
  readonly before: number
  readonly from: number
}

/** The next window below an id; it ends at 0 where there is no further one. */
const windowBelow =
  (source: Source, before: number) =>
  (sql: Sql): Effect.Effect<Window, SqlError> =>
    source.isSparse === true
      ? Effect.map(
          sql.rows<{ readonly id: number | null }>(selectFloor(source), [before, windowSize]),
          ([row]) => ({ before, from: row?.id ?? 0 })
        )
      : Effect.succeed({ before, from: Math.max(0, before - windowSize) })

/** What is asked of the next window below an id, and where that ends. */
const nextWindow =
  <Row>(
    source: Source,
    before: number,
    ask: (window: Window) => (sql: Sql) => Effect.Effect<ReadonlyArray<Row>, SqlError>
  ) =>
  (sql: Sql) =>
    Effect.flatMap(windowBelow(source, before)(sql), (window) =>
      Effect.map(ask(window)(sql), (rows) => ({ from: window.from, rows }))
    )

const selectFloor = ({ from, id, where }: Source) => `
  SELECT min(id) AS id FROM (
    SELECT ${id} AS id FROM ${from} WHERE ${where} AND ${id} < ? ORDER BY ${id} DESC LIMIT ?
  )`

/** Above it there is none. A cursor may come from anywhere. */
const top = (query: Pick<RunQuery, "cursor">) => (sql: Sql) =>
  Effect.map(sql.rows<{ readonly id: number | null }>(selectNewest), ([row]) =>
    Math.min(query.cursor ?? Infinity, (row?.id ?? 0) + 1)
  )

const selectNewest = "SELECT max(id) AS id FROM workflow_runs"

/** The window that a run is alone in. */
const windowOf = (runId: string, cursor: number | undefined) => (sql: Sql) =>
  Effect.map(
    sql.rows<{ readonly id: number }>("SELECT id FROM workflow_runs WHERE run_id = ?", [runId]),
    ([found]): Window =>
      found === undefined || (cursor ?? Infinity) <= found.id
        ? { before: 0, from: 0 }
        : { before: found.id + 1, from: found.id }
  )

// ---------------------------------------------------------------------------------------------
// What is asked of them
// ---------------------------------------------------------------------------------------------

const isRoot = `AND NOT EXISTS (
  SELECT 1 FROM workflow_children INDEXED BY workflow_children_of WHERE child = workflow_runs.id
)`

const hasLabels = `AND NOT EXISTS (
  SELECT 1 FROM json_each(?) asked WHERE NOT EXISTS (
    SELECT 1 FROM workflow_labels l WHERE l.label = asked.value AND l.run = workflow_runs.id
  )
)`

const labelsOf = ({ labels = {} }: RunFilter) => Labels.texts(labels)

const inWindow = ({ from, id, where }: Source, query: RunFilter) => `
  FROM ${from}
  WHERE ${id} < ? AND ${id} >= ?
    AND (? IS NULL OR workflow = ?)
    AND (? IS NULL OR ${shownStatus("workflow_runs")} IN (SELECT value FROM json_each(?)))
    AND created_at >= ? AND created_at < ? AND ${where}
    ${labelsOf(query).length > 0 ? hasLabels : ""}
    ${query.blocked === true ? `AND ${blocked.where}` : ""} ${query.roots === true ? isRoot : ""}`

/** Those of `inWindow`. */
const paramsOf = (query: RunFilter, { before, from }: Window): ReadonlyArray<Param> => {
  const workflow = query.workflow ?? null
  const status = query.status === undefined ? null : JSON.stringify(query.status)
  const labels = labelsOf(query)
  const [first] = labels
  return [
    ...(first === undefined || query.parent !== undefined ? [] : [first]),
    before,
    from,
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

/** A child is no root. */
const isNone = ({ parent, roots }: RunFilter) => parent !== undefined && roots === true

// ---------------------------------------------------------------------------------------------
// Pages
// ---------------------------------------------------------------------------------------------

interface Found extends Sizes {
  readonly id: number
}

const selectPage = (source: Source, query: RunFilter): string => `
  SELECT id, ${shownStatus("workflow_runs")} AS status, ${sizeColumns("workflow_runs")}
  ${inWindow(source, query)} ORDER BY ${source.id} DESC LIMIT ?`

const foundIn = (source: Source, query: RunQuery, window: Window, limit: number) => (sql: Sql) =>
  sql.rows<Found>(selectPage(source, query), [...paramsOf(query, window), limit])

/** The one run, if it is one of those that are asked for. */
const onlyOne = (query: RunQuery, runId: string) => (sql: Sql) =>
  Effect.gen(function* () {
    const source = yield* sourceOf(query)(sql)
    const window = yield* windowOf(runId, query.cursor)(sql)
    const found = yield* foundIn(source, query, window, query.limit)(sql)
    return { runs: yield* runsOf(found, query)(sql), cursor: undefined }
  })

/** One more than the page holds tells whether there is a next. */
const pageAndOne = (database: Database, query: RunQuery) =>
  Effect.gen(function* () {
    const source = yield* database.read(sourceOf(query))
    const found: Array<Found> = []
    let before = yield* database.read(top(query))
    while (before > 0) {
      const left = query.limit + 1 - found.length
      const { from, rows } = yield* database.read(
        nextWindow(source, before, (window) => foundIn(source, query, window, left))
      )
      found.push(...rows)
      if (found.length > query.limit) break
      before = from
      yield* turn
    }
    return found
  })

export const list = (database: Database, query: RunQuery): Effect.Effect<Page, SqlError> =>
  Effect.gen(function* () {
    if (isNone(query)) return { runs: [], cursor: undefined }
    if (query.runId !== undefined) return yield* database.read(onlyOne(query, query.runId))
    const found = yield* pageAndOne(database, query)
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

// ---------------------------------------------------------------------------------------------
// Counts
// ---------------------------------------------------------------------------------------------

const selectCountsBy = (source: Source, query: RunFilter): string =>
  `SELECT ${shownStatus("workflow_runs")} AS status, count(*) AS runs
  ${inWindow(source, query)} GROUP BY 1`

const countIn = (source: Source, filter: RunFilter, window: Window) => (sql: Sql) =>
  sql.rows<CountRow>(selectCountsBy(source, filter), paramsOf(filter, window))

export const countBy = (database: Database, filter: RunFilter) =>
  Effect.gen(function* () {
    const { runId } = filter
    if (isNone(filter)) return toCounts([])
    const source = yield* database.read(sourceOf(filter))
    if (runId !== undefined) {
      const window = yield* database.read(windowOf(runId, undefined))
      return toCounts(yield* database.read(countIn(source, filter, window)))
    }
    const counted: Array<CountRow> = []
    let before = yield* database.read(top({}))
    while (before > 0) {
      const { from, rows } = yield* database.read(
        nextWindow(source, before, (window) => countIn(source, filter, window))
      )
      counted.push(...rows)
      before = from
      yield* turn
    }
    return toCounts(counted)
  })
