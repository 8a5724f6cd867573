/** What there is about a run beside its steps: the runs around it, what it was told, what it has set. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Dialect } from "./Dialect.js"
import type { Param, Portable } from "./Portable.js"
import { shownStatus } from "./Rows.js"
import type {
  Latest,
  Millis,
  ReceivedSignal,
  Relatives,
  RunStatus,
  RunWithSteps,
  SetTimer,
  StartedRelative
} from "./RunStore.js"

/** So many of each are told. */
const shown = 20

/** Those that were removed are still linked; a run has few of them, if any. */
const relativesBy = (
  own: string,
  other: string,
  {
    index = "",
    join,
    position
  }: { readonly index?: string; readonly join: string; readonly position: string }
) => ({
  some: `
    SELECT r.run_id, r.workflow, ${shownStatus("r")} AS status, ${position} AS position
    FROM workflow_children c ${index}
    ${join} workflow_runs r ON r.id = c.${other}
    WHERE c.${own} = ? ORDER BY c.${other} LIMIT ${shown}`,
  total: `
    SELECT count(*) AS total FROM workflow_children c ${index}
    WHERE c.${own} = ? AND EXISTS (SELECT 1 FROM workflow_runs WHERE id = c.${other})`
})

const parents = ({ by, join }: Dialect) =>
  relativesBy("child", "parent", {
    index: by("workflow_children_of"),
    join,
    position: "CAST(NULL AS bigint)"
  })

const children = ({ join }: Dialect) =>
  relativesBy("parent", "child", { join, position: "c.position" })

const signals = {
  some: `
    SELECT name, received_at, position FROM workflow_signals
    WHERE run_id = ? ORDER BY position DESC, received_at DESC, name DESC LIMIT ${shown}`,
  total: "SELECT count(*) AS total FROM workflow_signals WHERE run_id = ?"
}

const timers = {
  some: `
    SELECT name, wake_at, fired, position FROM workflow_timers
    WHERE run = ? ORDER BY position DESC, wake_at DESC, name DESC LIMIT ${shown}`,
  total: "SELECT count(*) AS total FROM workflow_timers WHERE run = ?"
}

interface Statements {
  readonly some: string
  readonly total: string
}

/** Some of them, and how many there are: counted only where there may be more than are shown. */
const someOf = <Row>(
  sql: Portable,
  statements: Statements,
  key: Param
): Effect.Effect<{ readonly total: number; readonly some: ReadonlyArray<Row> }, SqlError> =>
  Effect.gen(function* () {
    const some = yield* sql.rows<Row>(statements.some, [key])
    if (some.length < shown) return { total: some.length, some }
    const [counted] = yield* sql.rows<{ readonly total: number }>(statements.total, [key])
    return { total: counted?.total ?? some.length, some }
  })

interface RelativeRow {
  readonly run_id: string
  readonly workflow: string
  readonly status: RunStatus
  readonly position: number | null
}

const relatives = (sql: Portable, statements: Statements, key: number) =>
  Effect.map(
    someOf<RelativeRow>(sql, statements, key),
    ({ some, total }): Relatives<StartedRelative> => ({
      total,
      first: some.map(({ position, run_id, status, workflow }) => ({
        runId: run_id,
        workflow,
        status,
        ...(position === null ? {} : { position })
      }))
    })
  )

interface SignalRow {
  readonly name: string
  readonly received_at: Millis | null
  readonly position: number
}

const signalsOf = (sql: Portable, runId: string) =>
  Effect.map(
    someOf<SignalRow>(sql, signals, runId),
    ({ some, total }): Latest<ReceivedSignal> => ({
      total,
      last: some
        .map(({ name, position, received_at }) => ({
          name,
          receivedAt: received_at ?? undefined,
          position
        }))
        .reverse()
    })
  )

interface TimerRow {
  readonly name: string
  readonly wake_at: Millis
  readonly fired: 0 | 1
  readonly position: number
}

const timersOf = (sql: Portable, key: number) =>
  Effect.map(
    someOf<TimerRow>(sql, timers, key),
    ({ some, total }): Latest<SetTimer> => ({
      total,
      last: some
        .map(({ fired, name, position, wake_at }) => ({
          name,
          wakeAt: wake_at,
          fired: fired === 1,
          position
        }))
        .reverse()
    })
  )

export const aboutRun = (
  sql: Portable,
  { key, runId }: { readonly key: number; readonly runId: string }
): Effect.Effect<Pick<RunWithSteps, "children" | "parents" | "signals" | "timers">, SqlError> =>
  Effect.all({
    parents: relatives(sql, parents(sql.dialect), key),
    children: relatives(sql, children(sql.dialect), key),
    signals: signalsOf(sql, runId),
    timers: timersOf(sql, key)
  })
