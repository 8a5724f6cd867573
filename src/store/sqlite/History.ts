import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { isInner } from "../Rows.js"
import type { Child, History, Json, RecordedStep, Timer } from "../RunStore.js"
import type { Sql } from "./Sql.js"
import * as Statements from "./Statements.js"

/** The columns of a run that its history needs. */
export interface Claimed {
  readonly id: number
  readonly run_id: string
  readonly claim: number
  readonly wakeups: number
  readonly interrupt_requested: number
  readonly interrupt_wakeup: number | null
  readonly interrupt_at: number | null
}

export const claimedColumns =
  "id, run_id, claim, wakeups, interrupt_requested, interrupt_wakeup, interrupt_at"

/**
 * How many bytes of JSON the run `r` has, with its payload. The heads of the rows say how large their
 * values are: the values are not read.
 */
export const bytesOfRun = `(
    octet_length(r.payload)
    + ifnull((SELECT sum(octet_length(exit)) FROM workflow_steps WHERE run = r.id), 0)
    + ifnull((SELECT sum(octet_length(exit)) FROM workflow_signals WHERE run_id = r.run_id), 0)
    + ifnull((
      SELECT sum(octet_length(c.exit)) FROM workflow_children w
      CROSS JOIN workflow_runs c ON c.id = w.child WHERE w.parent = r.id
    ), 0)
  )`

/** By `run_id`; a run without any is not in it. */
export type Signals = ReadonlyMap<string, History["signals"]>

/**
 * Without steps, timers and children: a run that is held for the first time has none, and one that is
 * too large to be read is set aside without them.
 */
export const first = (
  run: Pick<Claimed, "run_id" | "wakeups" | "interrupt_requested">,
  signals: Signals
): History => ({
  steps: [],
  timers: [],
  children: [],
  signals: signals.get(run.run_id) ?? [],
  interruptRequested: run.interrupt_requested === 1,
  wakeups: run.wakeups
})

export const read = (sql: Sql, run: Claimed, signals: Signals): Effect.Effect<History, SqlError> =>
  Effect.gen(function* () {
    return {
      ...first(run, signals),
      steps: yield* stepsOf(sql, run.id),
      timers: yield* timersOf(sql, run.id),
      children: yield* childrenOf(sql, run.id),
      ...(run.interrupt_wakeup === null
        ? {}
        : { beforeInterrupt: yield* beforeInterrupt(sql, run, run.interrupt_wakeup) })
    }
  })

const signalsBefore = "SELECT name AS value FROM workflow_signals WHERE run_id = ? AND wakeup < ?"

const timersBefore = "SELECT name AS value FROM workflow_timers WHERE run = ? AND wake_at <= ?"

const childrenBefore = `
  SELECT r.run_id AS value FROM workflow_children c
  CROSS JOIN workflow_runs r ON r.id = c.child
  WHERE c.parent = ? AND r.exit IS NOT NULL AND ifnull(c.wakeup, 0) < ?`

const beforeInterrupt = (sql: Sql, run: Claimed, wakeup: number) =>
  Effect.gen(function* () {
    const select = (statement: string, key: string | number, bound: number) =>
      Effect.map(sql.rows<{ readonly value: string }>(statement, [key, bound]), (rows) =>
        rows.map(({ value }) => value)
      )
    return {
      signals: yield* select(signalsBefore, run.run_id, wakeup),
      timers: yield* select(timersBefore, run.id, run.interrupt_at ?? 0),
      children: yield* select(childrenBefore, run.id, wakeup)
    }
  })

const selectSignals = Statements.forRows(
  (rows) => `
  SELECT s.run_id, s.name, s.exit FROM ${Statements.table(rows, 1)} v
  CROSS JOIN workflow_signals s ON s.run_id = v.column1`
)

interface SignalRow {
  readonly run_id: string
  readonly name: string
  readonly exit: Json
}

export const signalsOf = (
  sql: Sql,
  runIds: ReadonlyArray<string>
): Effect.Effect<Signals, SqlError> =>
  Effect.gen(function* () {
    const signals = new Map<string, Array<History["signals"][number]>>()
    for (const part of Statements.parts(runIds)) {
      const rows = yield* sql.rows<SignalRow>(selectSignals(part.length), part)
      for (const { exit, name, run_id } of rows) {
        const others = signals.get(run_id)
        if (others === undefined) signals.set(run_id, [{ name, exit }])
        else others.push({ name, exit })
      }
    }
    return signals
  })

const selectSteps = `
  SELECT name, attempt, exit, is_inner FROM workflow_steps WHERE run = ? AND exit IS NOT NULL`

/** How an executor of before schema 9 says so; one may still be there, or have left it. */
const innerMark = ',"inner":true}'

const stepsOf = (sql: Sql, key: number) =>
  Effect.map(
    sql.rows<Omit<RecordedStep, "inner"> & { readonly is_inner: number }>(selectSteps, [key]),
    (rows): ReadonlyArray<RecordedStep> =>
      rows.map(({ attempt, exit, is_inner, name }) =>
        isInner(is_inner) || exit.endsWith(innerMark)
          ? { name, attempt, exit, inner: true }
          : { name, attempt, exit }
      )
  )

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
