/** What runs have been through, of many at once. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { isInner } from "../Rows.js"
import type { Child, Held, History, Json, Millis, RecordedStep, Timer } from "../RunStore.js"
import * as Fence from "./Fence.js"
import type { Sql } from "./Sql.js"

/** The columns of a run, beside its key and its id, that its history needs. */
interface Columns {
  readonly claim: number
  readonly executor: number
  readonly wakeups: number
  readonly interrupt_requested: number
  readonly interrupt_wakeup: number | null
  readonly interrupt_at: number | null
}

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

/**
 * Of these runs those that are held, each with what it has been through: in one round trip, and of one
 * moment.
 *
 * @param statement of `ReadCall`
 * @param small keys of those that are not too large to be read
 */
export const read = <More>(
  sql: Sql,
  statement: string,
  helds: ReadonlyArray<Held>,
  small: ReadonlyArray<number> = helds.map(({ key }) => key)
): Effect.Effect<ReadonlyArray<readonly [row: HeldRow<More>, history: History]>, SqlError> =>
  Effect.map(sql.rows<Part | HeldRow<More>>(statement, [...Fence.ofAll(helds), small]), (rows) => {
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
