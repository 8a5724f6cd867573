/**
 * What runs have been through, of many at once. A run's own row is read before the rest: what comes in
 * between is then more than its `wakeups` have counted, and never less.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { isInner } from "../Rows.js"
import type { Child, History, Json, Millis, RecordedStep, Timer } from "../RunStore.js"
import type { Sql } from "./Sql.js"

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

/** How many bytes of JSON the run `r` has, with its payload. */
export const bytesOfRun = `(
    octet_length(r.payload)
    + coalesce((SELECT sum(octet_length(exit)) FROM workflow_steps WHERE run = r.id), 0)
    + coalesce((SELECT sum(octet_length(exit)) FROM workflow_signals WHERE run_id = r.run_id), 0)
    + coalesce((
      SELECT sum(octet_length(c.exit)) FROM workflow_children w
      JOIN workflow_runs c ON c.id = w.child WHERE w.parent = r.id
    ), 0)
  )::bigint`

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

const groupBy = <Row, Key, A>(
  rows: ReadonlyArray<Row>,
  key: (row: Row) => Key,
  value: (row: Row) => A
): ReadonlyMap<Key, ReadonlyArray<A>> => {
  const groups = new Map<Key, Array<A>>()
  for (const row of rows) {
    const group = groups.get(key(row))
    if (group === undefined) groups.set(key(row), [value(row)])
    else group.push(value(row))
  }
  return groups
}

const selectSignals = `
  SELECT run_id, name, exit, wakeup FROM workflow_signals
  WHERE run_id = ANY($1::text[]) ORDER BY run_id, name`

interface SignalRow {
  readonly run_id: string
  readonly name: string
  readonly exit: Json
  readonly wakeup: number
}

const signalRows = (sql: Sql, runIds: ReadonlyArray<string>) =>
  sql.rows<SignalRow>(selectSignals, [runIds])

export const signalsOf = (
  sql: Sql,
  runIds: ReadonlyArray<string>
): Effect.Effect<Signals, SqlError> =>
  runIds.length === 0
    ? Effect.succeed(new Map())
    : Effect.map(signalRows(sql, runIds), (rows) =>
        groupBy(
          rows,
          ({ run_id }) => run_id,
          ({ exit, name }) => ({ name, exit })
        )
      )

const selectSteps = `
  SELECT run, name, attempt, exit, is_inner FROM workflow_steps
  WHERE run = ANY($1::bigint[]) AND exit IS NOT NULL ORDER BY run, name, attempt`

interface StepRow extends Omit<RecordedStep, "inner"> {
  readonly run: number
  readonly is_inner: number
}

const selectTimers = `
  SELECT run, name, wake_at, fired FROM workflow_timers
  WHERE run = ANY($1::bigint[]) ORDER BY run, name`

interface TimerRow {
  readonly run: number
  readonly name: string
  readonly wake_at: Millis
  readonly fired: number
}

const selectChildren = `
  SELECT c.parent, r.run_id, r.exit, c.wakeup FROM workflow_children c
  JOIN workflow_runs r ON r.id = c.child
  WHERE c.parent = ANY($1::bigint[]) ORDER BY c.parent, c.child`

interface ChildRow {
  readonly parent: number
  readonly run_id: string
  readonly exit: Json | null
  readonly wakeup: number | null
}

/** In the order of the runs. */
export const read = (
  sql: Sql,
  runs: ReadonlyArray<Claimed>
): Effect.Effect<ReadonlyArray<History>, SqlError> =>
  Effect.gen(function* () {
    if (runs.length === 0) return []
    const keys = runs.map(({ id }) => id)
    const ofRun = ({ run }: { readonly run: number }) => run
    const signals = groupBy(
      yield* signalRows(
        sql,
        runs.map(({ run_id }) => run_id)
      ),
      ({ run_id }) => run_id,
      (row) => row
    )
    const steps = groupBy(
      yield* sql.rows<StepRow>(selectSteps, [keys]),
      ofRun,
      ({ attempt, exit, is_inner, name }): RecordedStep =>
        isInner(is_inner) ? { name, attempt, exit, inner: true } : { name, attempt, exit }
    )
    const timers = groupBy(yield* sql.rows<TimerRow>(selectTimers, [keys]), ofRun, (row) => row)
    const children = groupBy(
      yield* sql.rows<ChildRow>(selectChildren, [keys]),
      ({ parent }) => parent,
      (row) => row
    )
    return runs.map((run) => {
      const parts = {
        signals: signals.get(run.run_id) ?? [],
        timers: timers.get(run.id) ?? [],
        children: children.get(run.id) ?? []
      }
      return { ...toHistory(run, parts), steps: steps.get(run.id) ?? [] }
    })
  })

interface Parts {
  readonly signals: ReadonlyArray<SignalRow>
  readonly timers: ReadonlyArray<TimerRow>
  readonly children: ReadonlyArray<ChildRow>
}

const toHistory = (run: Claimed, parts: Parts): Omit<History, "steps"> => ({
  signals: parts.signals.map(({ exit, name }) => ({ name, exit })),
  timers: parts.timers.map(
    ({ fired, name, wake_at }): Timer => ({ name, wakeAt: wake_at, fired: fired === 1 })
  ),
  children: parts.children.map(
    ({ exit, run_id }): Child => ({ runId: run_id, exit: exit ?? undefined })
  ),
  interruptRequested: run.interrupt_requested === 1,
  wakeups: run.wakeups,
  ...(run.interrupt_wakeup === null
    ? {}
    : { beforeInterrupt: beforeInterrupt(parts, run.interrupt_wakeup, run.interrupt_at ?? 0) })
})

const beforeInterrupt = ({ children, signals, timers }: Parts, wakeup: number, at: Millis) => ({
  signals: signals.filter((signal) => signal.wakeup < wakeup).map(({ name }) => name),
  timers: timers.filter(({ wake_at }) => wake_at <= at).map(({ name }) => name),
  children: children
    .filter((child) => child.exit !== null && (child.wakeup ?? 0) < wakeup)
    .map(({ run_id }) => run_id)
})
