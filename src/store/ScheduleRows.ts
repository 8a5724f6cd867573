/** The operations of `ScheduleStore`, for every store. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Param, Portable, PortableTransaction } from "./Portable.js"
import type {
  CreatedRun,
  FoundSchedule,
  Json,
  Millis,
  NewRun,
  RunOfSchedule,
  RunStatus,
  ScheduleChange,
  ScheduledRun,
  ScheduleOrigin,
  StoredSchedule
} from "./RunStore.js"
import * as ScheduleIds from "./ScheduleIds.js"

/** What a store does in its own way, inside the transaction. */
export interface Acts {
  readonly create: (
    runs: ReadonlyArray<NewRun>
  ) => Effect.Effect<ReadonlyArray<CreatedRun>, SqlError>
  readonly interrupt: (runId: string) => Effect.Effect<unknown, SqlError>
}

interface ScheduleRow {
  readonly name: string
  readonly version: number
  readonly workflow: string
  readonly origin: ScheduleOrigin
  readonly paused: number
  readonly created_at: Millis
  readonly changed_at: Millis
  readonly decided_to: Millis
  readonly waiting_tick: Millis | null
  readonly next_at: Millis | null
  readonly started: number
  readonly last_started: Millis | null
  readonly last_skipped: Millis | null
  readonly last_missed: Millis | null
  readonly payload: Json
  readonly definition: Json
}

const columns = `name, version, workflow, origin, paused, created_at, changed_at, decided_to,
  waiting_tick, next_at, started, last_started, last_skipped, last_missed, payload, definition`

const toSchedule = (row: ScheduleRow): StoredSchedule => ({
  name: row.name,
  workflow: row.workflow,
  payload: row.payload,
  definition: row.definition,
  origin: row.origin,
  paused: row.paused === 1,
  createdAt: row.created_at,
  changedAt: row.changed_at,
  decidedTo: row.decided_to,
  waitingTick: row.waiting_tick ?? undefined,
  nextAt: row.next_at ?? undefined,
  started: row.started,
  lastStarted: row.last_started ?? undefined,
  lastSkipped: row.last_skipped ?? undefined,
  lastMissed: row.last_missed ?? undefined
})

/** The runs of a schedule that are not over; `s` is the schedule's name, in SQL. */
const underWay = (s: string) => `
  FROM workflow_schedule_runs u JOIN workflow_runs r ON r.run_id = u.run_id
  WHERE u.schedule = ${s} AND r.completed_at IS NULL`

const selectUnderWay = `
  SELECT r.run_id, r.interrupt_requested ${underWay("?")} ORDER BY u.run_id LIMIT 100`

const found =
  (sql: Portable) =>
  (row: ScheduleRow): Effect.Effect<FoundSchedule, SqlError> =>
    Effect.map(
      sql.rows<{ readonly run_id: string; readonly interrupt_requested: number }>(selectUnderWay, [
        row.name
      ]),
      (runs) => ({
        schedule: toSchedule(row),
        version: row.version,
        underWay: runs.map(
          ({ interrupt_requested, run_id }): ScheduledRun => ({
            runId: run_id,
            interruptRequested: interrupt_requested === 1
          })
        )
      })
    )

const allFound = (sql: Portable, rows: Effect.Effect<ReadonlyArray<ScheduleRow>, SqlError>) =>
  Effect.flatMap(rows, Effect.forEach(found(sql)))

const selectSchedule = `SELECT ${columns} FROM workflow_schedules WHERE name = ?`

export const find =
  (name: string) =>
  (sql: Portable): Effect.Effect<Option.Option<FoundSchedule>, SqlError> =>
    Effect.map(allFound(sql, sql.rows<ScheduleRow>(selectSchedule, [name])), ([one]) =>
      Option.fromNullable(one)
    )

const selectAfter = `
  SELECT ${columns} FROM workflow_schedules WHERE name > ? ORDER BY name LIMIT CAST(? AS bigint)`

export const list =
  ({ after = "", limit }: { readonly after?: string | undefined; readonly limit: number }) =>
  (sql: Portable): Effect.Effect<ReadonlyArray<FoundSchedule>, SqlError> =>
    allFound(sql, sql.rows<ScheduleRow>(selectAfter, [after, limit]))

const parameters = (count: number) => Array.from({ length: count }, () => "?").join()

/** The order of the indexes on `next_at` and on `waiting_tick`, which a paused one is not in. */
const due = (workflows: number) => `
  SELECT ${columns} FROM workflow_schedules
  WHERE next_at <= CAST(? AS bigint) AND paused = 0 AND workflow IN (${parameters(workflows)})
  ORDER BY next_at, name LIMIT CAST(? AS bigint)`

const ready = (workflows: number) => `
  SELECT ${columns} FROM workflow_schedules s
  WHERE waiting_tick IS NOT NULL AND paused = 0 AND workflow IN (${parameters(workflows)})
    AND NOT EXISTS (SELECT 1 ${underWay("s.name")})
  ORDER BY waiting_tick, name LIMIT CAST(? AS bigint)`

export const dueOf =
  (options: {
    readonly workflows: ReadonlyArray<string>
    readonly now: Millis
    readonly limit: number
  }) =>
  (sql: Portable): Effect.Effect<ReadonlyArray<FoundSchedule>, SqlError> =>
    Effect.gen(function* () {
      const { limit, now, workflows } = options
      if (workflows.length === 0) return []
      const byTime = yield* sql.rows<ScheduleRow>(due(workflows.length), [now, ...workflows, limit])
      const byEnd = yield* sql.rows<ScheduleRow>(ready(workflows.length), [...workflows, limit])
      const rows = new Map([...byTime, ...byEnd].map((row) => [row.name, row]))
      return yield* Effect.forEach(rows.values(), found(sql))
    })

const next = (workflows: number) => `
  SELECT next_at FROM workflow_schedules
  WHERE next_at > CAST(? AS bigint) AND paused = 0 AND workflow IN (${parameters(workflows)})
  ORDER BY next_at LIMIT 1`

export const nextOf =
  (options: { readonly workflows: ReadonlyArray<string>; readonly after: Millis }) =>
  (sql: Portable): Effect.Effect<Option.Option<Millis>, SqlError> => {
    const { after, workflows } = options
    if (workflows.length === 0) return Effect.succeedNone
    return Effect.map(
      sql.rows<{ readonly next_at: Millis }>(next(workflows.length), [after, ...workflows]),
      ([row]) => Option.map(Option.fromNullable(row), ({ next_at }) => next_at)
    )
  }

const selectLast = `
  SELECT run_id, workflow, status, created_at, completed_at FROM workflow_runs
  WHERE run_id >= ? AND run_id < ? ORDER BY run_id DESC LIMIT CAST(? AS bigint)`

/** No id goes on with this character, which is the last that there is. */
const last = "\u{10ffff}"

export const lastBeginningWith =
  ({ limit, prefix }: { readonly prefix: string; readonly limit: number }) =>
  (sql: Portable): Effect.Effect<ReadonlyArray<RunOfSchedule>, SqlError> =>
    Effect.map(
      sql.rows<{
        readonly run_id: string
        readonly workflow: string
        readonly status: RunStatus
        readonly created_at: Millis
        readonly completed_at: Millis | null
      }>(selectLast, [prefix, prefix + last, limit]),
      (rows) =>
        rows.map(({ completed_at, created_at, run_id, status, workflow }) => ({
          runId: run_id,
          workflow,
          status,
          createdAt: created_at,
          completedAt: completed_at ?? undefined
        }))
    )

const insertSchedule = `
  INSERT INTO workflow_schedules (
    workflow, origin, paused, created_at, changed_at, decided_to, waiting_tick, next_at, started,
    last_started, last_skipped, last_missed, payload, definition, name, version
  ) VALUES (${parameters(16)})
  ON CONFLICT (name) DO NOTHING`

/** Whoever writes it at once waits for the first, and then finds another version. */
const updateSchedule = `
  UPDATE workflow_schedules SET
    workflow = ?, origin = ?, paused = ?, created_at = ?, changed_at = ?, decided_to = ?,
    waiting_tick = ?, next_at = ?, started = ?, last_started = ?, last_skipped = ?,
    last_missed = ?, payload = ?, definition = ?, version = version + 1
  WHERE name = ? AND version = ? AND decided_to <= ?`

const values = (schedule: StoredSchedule): ReadonlyArray<Param> => [
  schedule.workflow,
  schedule.origin,
  schedule.paused ? 1 : 0,
  schedule.createdAt,
  schedule.changedAt,
  schedule.decidedTo,
  schedule.waitingTick ?? null,
  schedule.nextAt ?? null,
  schedule.started,
  schedule.lastStarted ?? null,
  schedule.lastSkipped ?? null,
  schedule.lastMissed ?? null,
  schedule.payload,
  schedule.definition
]

/** One that is removed and put again is not taken for the one that it was. */
const firstVersion = (now: Millis): number => now * 1_024

const write = (
  transaction: PortableTransaction,
  { schedule, version }: ScheduleChange
): Effect.Effect<number, SqlError> =>
  version === undefined
    ? transaction.changes(insertSchedule, [
        ...values(schedule),
        schedule.name,
        firstVersion(transaction.now)
      ])
    : transaction.changes(updateSchedule, [
        ...values(schedule),
        schedule.name,
        version,
        schedule.decidedTo
      ])

/** Those that are over, or gone, are no runs under way any more. */
const forgetEnded = `
  DELETE FROM workflow_schedule_runs WHERE schedule = ? AND NOT EXISTS (
    SELECT 1 FROM workflow_runs r
    WHERE r.run_id = workflow_schedule_runs.run_id AND r.completed_at IS NULL
  )`

const insertRun = `
  INSERT INTO workflow_schedule_runs (schedule, run_id) VALUES (?, ?)
  ON CONFLICT (schedule, run_id) DO NOTHING`

const insertAgain = `
  INSERT INTO workflow_schedule_runs (schedule, run_id)
  SELECT name, CAST(? AS text) FROM workflow_schedules WHERE name = ?
  ON CONFLICT (schedule, run_id) DO NOTHING`

/** A run that is retried is under way again, should it be one of a schedule. */
export const began = (
  transaction: PortableTransaction,
  runId: string
): Effect.Effect<unknown, SqlError> =>
  Option.match(ScheduleIds.read(runId), {
    onNone: () => Effect.void,
    onSome: ({ schedule }) => transaction.changes(insertAgain, [runId, schedule])
  })

export const change =
  (asked: ScheduleChange) =>
  (
    transaction: PortableTransaction,
    acts: Acts
  ): Effect.Effect<Option.Option<ReadonlyArray<CreatedRun>>, SqlError> =>
    Effect.gen(function* () {
      const { interrupts, queue, schedule, starts } = asked
      const { name, payload, workflow } = schedule
      if ((yield* write(transaction, asked)) === 0) return Option.none()
      transaction.log.scheduled()
      for (const runId of interrupts) yield* acts.interrupt(runId)
      if (starts.length === 0) return Option.some([])
      yield* transaction.changes(forgetEnded, [name])
      const runs = yield* acts.create(
        starts.map(({ runId }) => ({ runId, workflow, payload, ...(queue && { queue }) }))
      )
      for (const { runId } of starts) yield* transaction.changes(insertRun, [name, runId])
      return Option.some(runs)
    })

const deleteSchedule = "DELETE FROM workflow_schedules WHERE name = ?"

const deleteRuns = "DELETE FROM workflow_schedule_runs WHERE schedule = ?"

export const remove =
  (name: string) =>
  (transaction: PortableTransaction): Effect.Effect<boolean, SqlError> =>
    Effect.gen(function* () {
      const removed = yield* transaction.changes(deleteSchedule, [name])
      yield* transaction.changes(deleteRuns, [name])
      if (removed > 0) transaction.log.scheduled()
      return removed > 0
    })
