/**
 * What runs have been through, of many at once. A run's own row is read before the rest, or with it: what
 * comes in between is then more than its `wakeups` have counted, and never less.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { isInner } from "../Rows.js"
import type { Child, Held, History, Json, Millis, RecordedStep, Timer } from "../RunStore.js"
import * as Fence from "./Fence.js"
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
  SELECT run_id, name, exit FROM workflow_signals WHERE run_id = ANY($1::text[])`

interface SignalRow {
  readonly run_id: string
  readonly name: string
  readonly exit: Json
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

/**
 * All of it in one statement, so of one moment, and in one round trip.
 *
 * @param runs what says, in SQL, the keys of the runs
 */
const selectParts = (runs: string) => `
  SELECT 'signal' AS kind, r.id AS run, s.name, s.exit, s.wakeup::bigint AS number, NULL::bigint AS other
  FROM workflow_runs r JOIN workflow_signals s ON s.run_id = r.run_id WHERE r.id = ANY(${runs})
  UNION ALL SELECT 'step', run, name, exit, attempt, is_inner FROM workflow_steps
  WHERE run = ANY(${runs}) AND exit IS NOT NULL
  UNION ALL SELECT 'timer', run, name, NULL, wake_at, fired FROM workflow_timers
  WHERE run = ANY(${runs})
  UNION ALL SELECT 'child', c.parent, r.run_id, r.exit, c.wakeup, NULL
  FROM workflow_children c JOIN workflow_runs r ON r.id = c.child WHERE c.parent = ANY(${runs})`

const selectAll = selectParts("$1::bigint[]")

/** Of runs that are held, with what their own rows say, and nothing of others. */
const selectHeld = `
  WITH held AS MATERIALIZED (
    SELECT ${claimedColumns
      .split(", ")
      .map((column) => `r.${column}`)
      .join(", ")}, r.executor
    FROM ${Fence.holds}
    JOIN workflow_runs r ON ${Fence.isHold} AND coalesce(r.status, '') = 'running'
  )
  SELECT 'run' AS kind, id AS run, run_id AS name, NULL AS exit, NULL::bigint AS number,
    NULL::bigint AS other, claim, executor, wakeups, interrupt_requested, interrupt_wakeup, interrupt_at
  FROM held
  UNION ALL SELECT p.*, NULL, NULL, NULL, NULL, NULL, NULL
  FROM (${selectParts("ARRAY(SELECT id FROM held)")}) p`

interface PartRow<Kind extends string> {
  readonly kind: Kind
  readonly run: number
  readonly name: string
}

/** `number`: the wake-up that it was. */
interface SignalPart extends PartRow<"signal"> {
  readonly exit: Json
  readonly number: number
}

/** `number`: the attempt; `other`: whether a replay comes by it. */
interface StepPart extends PartRow<"step"> {
  readonly exit: Json
  readonly number: number
  readonly other: number
}

/** `number`: when it is due; `other`: whether it was seen to be. */
interface TimerPart extends PartRow<"timer"> {
  readonly number: Millis
  readonly other: number
}

/** By the child's id; `number`: the wake-up that its end was. */
interface ChildPart extends PartRow<"child"> {
  readonly exit: Json | null
  readonly number: number | null
}

type Part = SignalPart | StepPart | TimerPart | ChildPart

interface HeldPart extends PartRow<"run">, Omit<Claimed, "id" | "run_id"> {
  readonly executor: number
}

/** In the order of the runs. */
export const read = (
  sql: Sql,
  runs: ReadonlyArray<Claimed>
): Effect.Effect<ReadonlyArray<History>, SqlError> =>
  runs.length === 0
    ? Effect.succeed([])
    : Effect.map(sql.rows<Part>(selectAll, [runs.map(({ id }) => id)]), (rows) => {
        const parts = byRun(rows)
        return runs.map((run) => toHistory(run, parts.get(run.id) ?? []))
      })

/** Those of the runs that are held so, by their holds as `Fence.keyOf` has them. */
export const ofHeld = (
  sql: Sql,
  runs: ReadonlyArray<Held>
): Effect.Effect<ReadonlyMap<string, History>, SqlError> =>
  Effect.map(sql.rows<Part | HeldPart>(selectHeld, Fence.ofAll(runs)), (rows) => {
    const parts = byRun(rows.filter((row) => row.kind !== "run"))
    return new Map(
      rows
        .filter((row) => row.kind === "run")
        .map((row) => [
          Fence.keyOf({ key: row.run, claim: row.claim, executor: row.executor, runId: row.name }),
          toHistory({ ...row, id: row.run, run_id: row.name }, parts.get(row.run) ?? [])
        ])
    )
  })

const byRun = (rows: ReadonlyArray<Part>) =>
  groupBy(
    rows,
    ({ run }) => run,
    (row) => row
  )

const toHistory = (run: Claimed, parts: ReadonlyArray<Part>): History => {
  const signals = parts.filter((part) => part.kind === "signal")
  const timers = parts.filter((part) => part.kind === "timer")
  const children = parts.filter((part) => part.kind === "child")
  return {
    steps: parts.filter((part) => part.kind === "step").map(toStep),
    signals: signals.map(({ exit, name }) => ({ name, exit })),
    timers: timers.map(
      ({ name, number, other }): Timer => ({ name, wakeAt: number, fired: other === 1 })
    ),
    children: children.map(({ exit, name }): Child => ({ runId: name, exit: exit ?? undefined })),
    interruptRequested: run.interrupt_requested === 1,
    wakeups: run.wakeups,
    ...(run.interrupt_wakeup === null
      ? {}
      : {
          beforeInterrupt: beforeInterrupt(
            { signals, timers, children },
            run.interrupt_wakeup,
            run.interrupt_at ?? 0
          )
        })
  }
}

const toStep = ({ exit, name, number, other }: StepPart): RecordedStep =>
  isInner(other) ? { name, attempt: number, exit, inner: true } : { name, attempt: number, exit }

interface Parts {
  readonly signals: ReadonlyArray<SignalPart>
  readonly timers: ReadonlyArray<TimerPart>
  readonly children: ReadonlyArray<ChildPart>
}

const beforeInterrupt = ({ children, signals, timers }: Parts, wakeup: number, at: Millis) => ({
  signals: signals.filter(({ number }) => number < wakeup).map(({ name }) => name),
  timers: timers.filter(({ number }) => number <= at).map(({ name }) => name),
  children: children
    .filter(({ exit, number }) => exit !== null && (number ?? 0) < wakeup)
    .map(({ name }) => name)
})
