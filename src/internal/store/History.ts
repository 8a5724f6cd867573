import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Child, History, Json, RecordedStep, Timer } from "../../RunStore.js"
import type { Sql } from "./Sql.js"

/** The columns of a run that its history needs. */
export interface Claimed {
  readonly id: number
  readonly run_id: string
  readonly claim: number
  readonly wakeups: number
  readonly interrupt_requested: number
}

export const claimedColumns = "id, run_id, claim, wakeups, interrupt_requested"

/** Of a run that was never held before: it can have no steps, timers or children. */
export const readFirst = (sql: Sql, run: Claimed): Effect.Effect<History, SqlError> =>
  Effect.map(signalsOf(sql, run.run_id), (signals) => ({
    ...fresh,
    signals,
    interruptRequested: run.interrupt_requested === 1,
    wakeups: run.wakeups
  }))

const fresh = { steps: [], timers: [], children: [] }

export const read = (sql: Sql, run: Claimed): Effect.Effect<History, SqlError> =>
  Effect.gen(function* () {
    return {
      ...(yield* readFirst(sql, run)),
      steps: yield* sql.rows<RecordedStep>(selectSteps, [run.id]),
      timers: yield* timersOf(sql, run.id),
      children: yield* childrenOf(sql, run.id)
    }
  })

const selectSignals = "SELECT name, exit FROM workflow_signals WHERE run_id = ?"

const signalsOf = (sql: Sql, runId: string) =>
  sql.rows<{ readonly name: string; readonly exit: Json }>(selectSignals, [runId])

const selectSteps = `
  SELECT name, attempt, exit FROM workflow_steps WHERE run = ? AND exit IS NOT NULL`

const selectTimers = "SELECT name, wake_at, fired FROM workflow_timers WHERE run = ?"

const timersOf = (sql: Sql, key: number) =>
  Effect.map(
    sql.rows<{ readonly name: string; readonly wake_at: number; readonly fired: number }>(
      selectTimers,
      [key]
    ),
    (rows): ReadonlyArray<Timer> =>
      rows.map(({ name, wake_at, fired }) => ({ name, wakeAt: wake_at, fired: fired === 1 }))
  )

const selectChildren = `
  SELECT r.run_id, r.exit FROM workflow_children c
  CROSS JOIN workflow_runs r ON r.id = c.child
  WHERE c.parent = ?`

const childrenOf = (sql: Sql, key: number) =>
  Effect.map(
    sql.rows<{ readonly run_id: string; readonly exit: Json | null }>(selectChildren, [key]),
    (rows): ReadonlyArray<Child> =>
      rows.map(({ run_id, exit }) => ({ runId: run_id, exit: exit ?? undefined }))
  )
