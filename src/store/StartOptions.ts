/**
 * Runs that were started with options or in a queue: when they may begin, how long they may take, what
 * they are marked with. A run is created as any other, and gets these in the same transaction.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Admission from "./Admission.js"
import * as Labels from "./Labels.js"
import type { PortableTransaction } from "./Portable.js"
import { type RunRow, runColumns, toRun, wholeMillis } from "./Rows.js"
import type { CreatedRun, Millis, NewRun, Run, RunOptions } from "./RunStore.js"
import * as Unbegun from "./Unbegun.js"

/** What `gate` says: until when the run is held back. */
const gates = {
  /** Its `wake_at`. */
  time: 1,
  /** It has a slot of its queue. */
  slot: 2
} as const

type Gate = (typeof gates)[keyof typeof gates] | null

const isWithout = ({ attributes, priority = 0, startAt, tags, timeout }: RunOptions): boolean =>
  priority === 0 &&
  startAt === undefined &&
  timeout === undefined &&
  Labels.toJson({ attributes, tags }) === undefined

/** Whether it is created with more than most are. */
export const has = ({ options, queue, replace = false }: NewRun): boolean =>
  replace || queue !== undefined || (options !== undefined && !isWithout(options))

const gateOf = ({ options, queue }: NewRun, now: Millis): Gate => {
  if (options?.startAt !== undefined && wholeMillis(options.startAt) > now) return gates.time
  return queue === undefined ? null : gates.slot
}

/** Whether it may not begin at once. */
export const isHeldBack = (run: NewRun, now: Millis): boolean => gateOf(run, now) !== null

const setOptions = `
  UPDATE workflow_runs SET
    priority = ?, start_at = CAST(? AS bigint), timeout = CAST(? AS bigint), labels = ?,
    deadline = CASE WHEN started_at IS NULL THEN NULL ELSE started_at + CAST(? AS bigint) END,
    status = CASE WHEN CAST(? AS smallint) IS NULL THEN status ELSE 'suspended' END,
    gate = CAST(? AS smallint), wake_at = CAST(? AS bigint),
    queue = CAST(? AS bigint), lane = CAST(? AS bigint)
  WHERE run_id = ?
  RETURNING id, deadline`

interface SetRow {
  readonly id: number
  readonly deadline: Millis | null
}

const insertLabel = "INSERT INTO workflow_labels (run, label) VALUES (?, ?)"

const deleteLabels = "DELETE FROM workflow_labels WHERE run = ?"

const millisOrNull = (millis: Millis | undefined) =>
  millis === undefined ? null : wholeMillis(millis)

const set = (
  transaction: PortableTransaction,
  run: NewRun
): Effect.Effect<SetRow | undefined, SqlError> =>
  Effect.gen(function* () {
    const { options = {}, queue, runId } = run
    const gate = gateOf(run, transaction.now)
    const lane = queue === undefined ? undefined : yield* Admission.laneOf(transaction, queue)
    const startAt = millisOrNull(options.startAt)
    const timeout = millisOrNull(options.timeout)
    const [row] = yield* transaction.rows<SetRow>(setOptions, [
      options.priority ?? 0,
      startAt,
      timeout,
      Labels.toJson(options) ?? null,
      timeout,
      gate,
      gate,
      gate === gates.time ? startAt : null,
      lane?.queue ?? null,
      lane?.lane ?? null,
      runId
    ])
    if (row === undefined) return undefined
    for (const label of Labels.texts(options)) {
      yield* transaction.changes(insertLabel, [row.id, label])
    }
    if (gate === gates.time && startAt !== null) transaction.log.timer(startAt)
    if (gate === gates.slot && lane !== undefined) yield* Admission.mark(transaction, lane)
    if (row.deadline !== null) transaction.log.timer(row.deadline)
    return row
  })

const optionsOf = (options: RunOptions): RunOptions => ({
  ...(options.priority === undefined || options.priority === 0
    ? {}
    : { priority: options.priority }),
  ...(options.startAt === undefined ? {} : { startAt: wholeMillis(options.startAt) }),
  ...(options.timeout === undefined ? {} : { timeout: wholeMillis(options.timeout) }),
  ...Labels.fromJson(Labels.toJson(options) ?? null)
})

/** What a run that was just created has by its options. */
const told = (run: Run, options: RunOptions, gate: Gate, row: SetRow): Run => ({
  ...run,
  ...(isWithout(options) ? {} : { options: optionsOf(options) }),
  ...(gate === gates.time && options.startAt !== undefined
    ? { heldUntil: wholeMillis(options.startAt) }
    : {}),
  ...(gate === gates.slot ? { queued: true } : {}),
  ...(row.deadline === null ? {} : { deadline: row.deadline })
})

/** Gives a run its options that this transaction has created. */
const give = (
  transaction: PortableTransaction,
  run: NewRun,
  created: CreatedRun
): Effect.Effect<CreatedRun, SqlError> =>
  Effect.gen(function* () {
    const { options = {}, runId } = run
    const row = yield* set(transaction, run)
    if (row === undefined) return yield* Effect.dieMessage(`Run ${runId} was not created`)
    const { claimed } = created
    return {
      ...created,
      run: told(created.run, options, gateOf(run, transaction.now), row),
      claimed: claimed && {
        ...claimed,
        ...(options.timeout === undefined ? {} : { timeout: wholeMillis(options.timeout) })
      }
    }
  })

const selectLane = "SELECT queue, lane FROM workflow_runs WHERE run_id = ? AND lane IS NOT NULL"

/** It is claimed by whoever changes its row first. */
const replaceRun = `
  UPDATE workflow_runs SET payload = ?, trace_id = ?, span_id = ?, sampled = CAST(? AS smallint),
    status = 'pending', gate = NULL, queue = NULL, lane = NULL, slot = NULL
  WHERE run_id = ? AND workflow = ? AND started_at IS NULL AND interrupt_requested = 0
    AND (status = 'pending' OR (status = 'suspended' AND gate IS NOT NULL))
  RETURNING id`

const selectRun = `SELECT ${runColumns} FROM workflow_runs WHERE run_id = ?`

/** Gives a run that has not begun another payload and other options; `undefined` where it has. */
const replace = (
  transaction: PortableTransaction,
  run: NewRun
): Effect.Effect<CreatedRun | undefined, SqlError> =>
  Effect.gen(function* () {
    const { payload, runId, trace, workflow } = run
    const [before] = yield* transaction.rows<Admission.Lane>(selectLane, [runId])
    const [replaced] = yield* transaction.rows<{ readonly id: number }>(replaceRun, [
      payload,
      trace?.traceId ?? null,
      trace?.spanId ?? null,
      trace === undefined ? null : Number(trace.sampled),
      runId,
      workflow
    ])
    if (replaced === undefined) return undefined
    if (before !== undefined) {
      // it may have had a slot
      yield* Unbegun.forget(transaction, { lane: before.lane, run: replaced.id })
      yield* Admission.mark(transaction, before)
    }
    yield* transaction.changes(deleteLabels, [replaced.id])
    yield* set(transaction, run)
    if (!isHeldBack(run, transaction.now)) transaction.log.becamePending()
    const [row] = yield* transaction.rows<RunRow>(selectRun, [runId])
    return row && { run: toRun(row), created: false, replaced: true, claimed: undefined }
  })

/** By what was created just now, or by replacing what was there. */
export const finish = (
  transaction: PortableTransaction,
  run: NewRun,
  answer: CreatedRun
): Effect.Effect<CreatedRun, SqlError> => {
  if (answer.created) return has(run) ? give(transaction, run, answer) : Effect.succeed(answer)
  if (run.replace !== true) return Effect.succeed(answer)
  return Effect.map(replace(transaction, run), (replaced) => replaced ?? answer)
}
