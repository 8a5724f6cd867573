/** What there is about a run beside its steps: the runs around it, what it was told, what it has set. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { shownStatus } from "../Rows.js"
import type {
  Latest,
  Millis,
  ReceivedSignal,
  Relatives,
  RunStatus,
  RunWithSteps,
  SetTimer,
  StartedRelative
} from "../RunStore.js"
import type { Param, Sql } from "./Sql.js"

/** So many of each are told. */
const shown = 20

/** Those that were removed are still linked; a run has few of them, if any. */
const relativesBy = (own: string, other: string, columns: string) => ({
  some: `
    SELECT r.run_id, r.workflow, ${shownStatus("r")} AS status, ${columns} FROM workflow_children c
    JOIN workflow_runs r ON r.id = c.${other}
    WHERE c.${own} = $1 ORDER BY c.${other} LIMIT ${shown}`,
  total: `
    SELECT count(*) AS total FROM workflow_children c
    WHERE c.${own} = $1 AND EXISTS (SELECT 1 FROM workflow_runs WHERE id = c.${other})`
})

const parents = relativesBy("child", "parent", "NULL::bigint AS position")

const children = relativesBy("parent", "child", "c.position")

const signals = {
  some: `
    SELECT name, received_at, position FROM workflow_signals
    WHERE run_id = $1 ORDER BY position DESC, received_at DESC, name DESC LIMIT ${shown}`,
  total: "SELECT count(*) AS total FROM workflow_signals WHERE run_id = $1"
}

const timers = {
  some: `
    SELECT name, wake_at, fired, position FROM workflow_timers
    WHERE run = $1 ORDER BY position DESC, wake_at DESC, name DESC LIMIT ${shown}`,
  total: "SELECT count(*) AS total FROM workflow_timers WHERE run = $1"
}

/** Some of them, and how many there are: counted only where there may be more than are shown. */
const someOf = <Row>(
  sql: Sql,
  statements: { readonly some: string; readonly total: string },
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

const relatives = (sql: Sql, statements: typeof parents, key: number) =>
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

const signalsOf = (sql: Sql, runId: string) =>
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

const timersOf = (sql: Sql, key: number) =>
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
  sql: Sql,
  { key, runId }: { readonly key: number; readonly runId: string }
): Effect.Effect<Pick<RunWithSteps, "children" | "parents" | "signals" | "timers">, SqlError> =>
  Effect.all({
    parents: relatives(sql, parents, key),
    children: relatives(sql, children, key),
    signals: signalsOf(sql, runId),
    timers: timersOf(sql, key)
  })
