import type { SqlError } from "@effect/sql/SqlError"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { Child, History, Json, RecordedStep, Timer } from "../../RunStore.js"
import type { Sql } from "./Sql.js"

/** The columns of a run that its history needs. */
export interface Claimed {
  readonly id: number
  readonly claim: number
  readonly wakeups: number
  readonly interrupt_requested: number
}

export const claimedColumns = "id, claim, wakeups, interrupt_requested"

interface Parts {
  readonly steps: Array<RecordedStep>
  readonly signals: Array<{ readonly name: string; readonly exit: Json }>
  readonly timers: Array<Timer>
  readonly children: Array<Child>
}

const selectSignals = `
  SELECT r.id AS run, s.name, s.exit
  FROM json_each(?) j
  CROSS JOIN workflow_runs r ON r.id = j.value
  CROSS JOIN workflow_signals s ON s.run_id = r.run_id`

const selectSteps = `
  SELECT run, name, attempt, exit FROM workflow_steps
  WHERE run IN (SELECT value FROM json_each(?)) AND exit IS NOT NULL`

const selectTimers = `
  SELECT run, name, wake_at, fired FROM workflow_timers
  WHERE run IN (SELECT value FROM json_each(?))`

const selectChildren = `
  SELECT c.parent AS run, r.run_id, r.exit
  FROM json_each(?) j
  CROSS JOIN workflow_children c ON c.parent = j.value
  CROSS JOIN workflow_runs r ON r.id = c.child`

/**
 * The histories of these runs, in their order. `past` are those of them that were held before, for
 * no other can have steps, timers or children.
 */
export const read = (
  sql: Sql,
  runs: ReadonlyArray<Claimed>,
  past: ReadonlyArray<Claimed> = runs
): Effect.Effect<ReadonlyArray<History>, SqlError> =>
  Effect.gen(function*() {
    const histories = runs.map((run) => ({
      ...noParts(),
      interruptRequested: run.interrupt_requested === 1,
      wakeups: run.wakeups
    }))
    const parts: PartsOf = new Map(
      Arr.zip(
        runs.map(({ id }) => id),
        histories
      )
    )
    if (runs.length > 0) yield* readSignals(sql, parts)
    if (past.length > 0) yield* readPast(sql, parts, JSON.stringify(past.map(({ id }) => id)))
    return histories
  })

type PartsOf = ReadonlyMap<number, Parts>

const noParts = (): Parts => ({ steps: [], signals: [], timers: [], children: [] })

const readSignals = (sql: Sql, parts: PartsOf) =>
  Effect.map(
    sql.rows<{ readonly run: number; readonly name: string; readonly exit: Json }>(selectSignals, [
      JSON.stringify([...parts.keys()])
    ]),
    (rows) => {
      for (const { run, name, exit } of rows) parts.get(run)?.signals.push({ name, exit })
    }
  )

const readPast = (sql: Sql, parts: PartsOf, ids: Json) =>
  Effect.gen(function*() {
    const steps = yield* sql.rows<RecordedStep & { readonly run: number }>(selectSteps, [ids])
    for (const { run, name, attempt, exit } of steps) {
      parts.get(run)?.steps.push({ name, attempt, exit })
    }
    const timers = yield* sql.rows<{
      readonly run: number
      readonly name: string
      readonly wake_at: number
      readonly fired: number
    }>(selectTimers, [ids])
    for (const { run, name, wake_at, fired } of timers) {
      parts.get(run)?.timers.push({ name, wakeAt: wake_at, fired: fired === 1 })
    }
    const children = yield* sql.rows<{
      readonly run: number
      readonly run_id: string
      readonly exit: Json | null
    }>(selectChildren, [ids])
    for (const { run, run_id, exit } of children) {
      parts.get(run)?.children.push({ runId: run_id, exit: exit ?? undefined })
    }
  })
