/** What runs have been through, of many at once. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { isInner } from "../Rows.js"
import type { Child, History, Json, Millis, RecordedStep, Timer } from "../RunStore.js"
import * as Fence from "./Fence.js"
import type { Param, Sql } from "./Sql.js"

/** The columns of a run, beside its key and its id, that its history needs. */
interface Columns {
  readonly claim: number
  readonly executor: number
  readonly wakeups: number
  readonly interrupt_requested: number
  readonly interrupt_wakeup: number | null
  readonly interrupt_at: number | null
}

const columns = [
  ...["r.claim", "r.executor", "r.wakeups"],
  ...["r.interrupt_requested", "r.interrupt_wakeup", "r.interrupt_at"]
]

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

/** @param runs what says, in SQL, the keys of the runs */
const selectParts = (runs: string) => `
  SELECT 'signal' AS kind, r.id AS run, s.name, s.exit, s.wakeup::bigint AS number, NULL::bigint AS other
  FROM workflow_runs r JOIN workflow_signals s ON s.run_id = r.run_id WHERE r.id = ANY(${runs})
  UNION ALL SELECT 'step', run, name, exit, attempt, is_inner FROM workflow_steps
  WHERE run = ANY(${runs}) AND exit IS NOT NULL
  UNION ALL SELECT 'timer', run, name, NULL, wake_at, fired FROM workflow_timers
  WHERE run = ANY(${runs})
  UNION ALL SELECT 'child', c.parent, r.run_id, r.exit, c.wakeup, NULL
  FROM workflow_children c JOIN workflow_runs r ON r.id = c.child WHERE c.parent = ANY(${runs})`

/** What a column, or an expression that is called something, is selected as. */
const nameOf = (column: string) => column.replace(/^.*( AS |\.)/s, "")

/**
 * Runs that are held, with what they have been through: all of it in one statement, so of one moment,
 * and in one round trip. The first parameters are `Fence.ofAll`.
 *
 * @param more what else is read of a run `r`, in SQL
 * @param small which of those that are held are not too large to be read, in SQL
 */
export const selectHeld = (more: ReadonlyArray<string>, small = "true") => {
  const all = [...columns, ...more]
  return `
  WITH held AS MATERIALIZED (
    SELECT r.id, r.run_id, ${all.join(", ")}
    FROM ${Fence.holds}
    JOIN workflow_runs r ON ${Fence.isHold} AND coalesce(r.status, '') = 'running'
  )
  SELECT 'run' AS kind, id AS run, run_id AS name, NULL AS exit, NULL::bigint AS number,
    NULL::bigint AS other, ${all.map(nameOf).join(", ")}
  FROM held
  UNION ALL SELECT p.*, ${all.map(() => "NULL").join(", ")}
  FROM (${selectParts(`ARRAY(SELECT id FROM held WHERE ${small})`)}) p`
}

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

/** What is read of a run itself: its columns, and more. */
export type HeldRow<More> = PartRow<"run"> & Columns & More

/** The runs that a statement of `selectHeld` finds, each with what it has been through. */
export const read = <More>(
  sql: Sql,
  statement: string,
  params: ReadonlyArray<Param>
): Effect.Effect<ReadonlyArray<readonly [row: HeldRow<More>, history: History]>, SqlError> =>
  Effect.map(sql.rows<Part | HeldRow<More>>(statement, params), (rows) => {
    const isRun = (row: Part | HeldRow<More>): row is HeldRow<More> => row.kind === "run"
    const isPart = (row: Part | HeldRow<More>): row is Part => row.kind !== "run"
    const parts = byRun(rows.filter(isPart))
    return rows.filter(isRun).map((row) => [row, toHistory(row, parts.get(row.run) ?? [])] as const)
  })

const byRun = (rows: ReadonlyArray<Part>) =>
  groupBy(
    rows,
    ({ run }) => run,
    (row) => row
  )

const toHistory = (run: Columns, parts: ReadonlyArray<Part>): History => {
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
