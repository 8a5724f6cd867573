/**
 * What the start of a run does to others of its key: it takes the place of one that waits for more of
 * them (debounce), or is not made, or ends those that are not over (singleton). One decision with the
 * run's creation.
 *
 * Where transactions are not serial, whoever decides has the queue's row locked (`Admission.laneOf`). Runs
 * that are to end are asked for that before it, and once more under it: who locks a run's row and then
 * the queue's, as the end of a run does, is not waited for the other way round.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Admission from "./Admission.js"
import type { Dialect } from "./Dialect.js"
import type { PortableTransaction } from "./Portable.js"
import { type RunRow, runColumns, toRun } from "./Rows.js"
import type { Arrival, CreatedRun, Debounce, Json, Millis, NewRun } from "./RunStore.js"

/** What is done to other runs, in the same transaction. */
export interface Others {
  readonly interrupt: (runId: string) => Effect.Effect<unknown, SqlError>
  /** Of a run that nobody has begun. */
  readonly remove: (run: {
    readonly id: number
    readonly run_id: string
  }) => Effect.Effect<unknown, SqlError>
}

/** The run as it is to be created, or what is answered in its place. */
export type Arrived =
  | { readonly run: NewRun; readonly superseded?: CreatedRun["superseded"] }
  | { readonly instead: CreatedRun }

const ofLane = "queue = ? AND lane = ? AND status IN ('pending', 'running', 'suspended')"

const selectFirst = `
  SELECT ${runColumns} FROM workflow_runs WHERE ${ofLane} AND run_id <> ? ORDER BY id LIMIT 1`

const selectOthers = `
  SELECT run_id FROM workflow_runs
  WHERE ${ofLane} AND run_id <> ? AND interrupt_requested = 0 ORDER BY id`

/** One that another run waits for is not taken back. */
const selectWaiting = ({ skipLocked }: Dialect) => `
  SELECT id, run_id, workflow FROM workflow_runs
  WHERE ${ofLane} AND gate = 1 AND status = 'suspended' AND started_at IS NULL
    AND interrupt_requested = 0
    AND NOT EXISTS (SELECT 1 FROM workflow_children WHERE child = workflow_runs.id)
  ORDER BY id ${skipLocked}`

interface WaitingRow {
  readonly id: number
  readonly run_id: string
  readonly workflow: string
}

const selectRun = "SELECT 1 FROM workflow_runs WHERE run_id = ?"

const isThere = (transaction: PortableTransaction, { runId }: NewRun) =>
  Effect.map(transaction.rows(selectRun, [runId]), (rows) => rows.length > 0)

/** To be done before it is created. */
export const decide = (
  transaction: PortableTransaction,
  run: NewRun,
  others: Others
): Effect.Effect<Arrived, SqlError> => {
  const { debounce, singleton }: Arrival = run.queue?.arrival ?? {}
  if (run.queue === undefined) return Effect.succeed({ run })
  if (debounce !== undefined) return debounced(transaction, run, { ...others, debounce })
  if (singleton === "skip") return unlessOneIsThere(transaction, run)
  return singleton === "cancel"
    ? Effect.as(cancelOthers(transaction, run, others), { run })
    : Effect.succeed({ run })
}

/** To be done once it is created: others may have come in between. */
export const settle = (
  transaction: PortableTransaction,
  run: NewRun,
  others: Others
): Effect.Effect<unknown, SqlError> =>
  run.queue?.arrival?.singleton === "cancel"
    ? interruptOthers(transaction, run, others)
    : Effect.void

const unlessOneIsThere = (
  transaction: PortableTransaction,
  run: NewRun
): Effect.Effect<Arrived, SqlError> =>
  Effect.gen(function* () {
    if (run.queue === undefined || (yield* isThere(transaction, run))) return { run }
    const { lane, queue } = yield* Admission.laneOf(transaction, run.queue)
    const [first] = yield* transaction.rows<RunRow>(selectFirst, [queue, lane, run.runId])
    if (first === undefined) return { run }
    return {
      instead: { run: toRun(first), created: false, skipped: true, claimed: undefined }
    }
  })

const cancelOthers = (transaction: PortableTransaction, run: NewRun, others: Others) =>
  Effect.flatMap(isThere(transaction, run), (there) =>
    there ? Effect.void : interruptOthers(transaction, run, others)
  )

const interruptOthers = (
  transaction: PortableTransaction,
  { queue, runId }: NewRun,
  { interrupt }: Others
): Effect.Effect<unknown, SqlError> =>
  Effect.gen(function* () {
    if (queue === undefined) return
    const lane = yield* Admission.find(transaction, queue)
    if (lane === undefined) return
    const rows = yield* transaction.rows<{ readonly run_id: string }>(selectOthers, [
      lane.queue,
      lane.lane,
      runId
    ])
    for (const { run_id } of rows) yield* interrupt(run_id)
  })

const selectSince = "SELECT debounced_from FROM workflow_lanes WHERE id = ?"

const setSince = "UPDATE workflow_lanes SET debounced_from = CAST(? AS bigint) WHERE id = ?"

/** What whoever waits for a run hears whose place another has taken. */
const supersededExit = (by: string): Json =>
  JSON.stringify({
    _tag: "Failure",
    cause: { _tag: "Interrupt", fiberId: { _tag: "None" } },
    superseded: { by }
  })

const debounced = (
  transaction: PortableTransaction,
  run: NewRun,
  { debounce, remove }: Others & { readonly debounce: Debounce }
): Effect.Effect<Arrived, SqlError> =>
  Effect.gen(function* () {
    if (run.queue === undefined) return { run }
    const { lane, queue } = yield* Admission.laneOf(transaction, run.queue)
    const waiting = yield* transaction.rows<WaitingRow>(selectWaiting(transaction.dialect), [
      queue,
      lane
    ])
    const isOneOfThem = waiting.some(({ run_id }) => run_id === run.runId)
    // one that has begun, or is over, is not this start's to change
    if (!isOneOfThem && (yield* isThere(transaction, run))) return { run }
    const since = yield* sinceWhen(transaction, lane, waiting.length > 0)
    const others = waiting.filter(({ run_id }) => run_id !== run.runId)
    for (const other of others) {
      yield* remove(other)
      transaction.log.finished(other.run_id, supersededExit(run.runId))
    }
    const quiet = transaction.now + debounce.period
    const begins = Math.min(quiet, since + (debounce.maxWait ?? Number.POSITIVE_INFINITY))
    const startAt = Math.max(begins, run.options?.startAt ?? begins)
    return {
      run: { ...run, replace: true, options: { ...run.options, startAt } },
      superseded: others.map(({ run_id, workflow }) => ({ runId: run_id, workflow }))
    }
  })

/** When the first of those that have taken each other's place was started. */
const sinceWhen = (
  transaction: PortableTransaction,
  lane: number,
  goesOn: boolean
): Effect.Effect<Millis, SqlError> =>
  Effect.gen(function* () {
    const { now } = transaction
    if (goesOn) {
      const [row] = yield* transaction.rows<{ readonly debounced_from: Millis | null }>(
        selectSince,
        [lane]
      )
      // a clock that was set back makes nothing wait for longer
      if (row?.debounced_from != null) return Math.min(row.debounced_from, now)
    }
    yield* transaction.changes(setSince, [now, lane])
    return now
  })
