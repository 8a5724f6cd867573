/**
 * Runs that were started with options: when they may begin, how long they may take, what they are
 * marked with. A run is created as any other, and gets its options in the same transaction.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Labels from "./Labels.js"
import type { PortableTransaction } from "./Portable.js"
import { type RunRow, runColumns, toRun, wholeMillis } from "./Rows.js"
import type { CreatedRun, Millis, NewRun, Run, RunOptions } from "./RunStore.js"

/** What `gate` says: until when the run is held back. */
export const gates = {
  /** Its `wake_at`. */
  time: 1
} as const

const isWithout = ({ attributes, priority = 0, startAt, tags, timeout }: RunOptions): boolean =>
  priority === 0 &&
  startAt === undefined &&
  timeout === undefined &&
  Labels.toJson({ attributes, tags }) === undefined

/** Whether it is created with more than most are. */
export const has = ({ options, replace = false }: NewRun): boolean =>
  replace || (options !== undefined && !isWithout(options))

/** Whether it may not begin at once. */
export const isHeldBack = ({ options }: NewRun, now: Millis): boolean =>
  options?.startAt !== undefined && wholeMillis(options.startAt) > now

const setOptions = `
  UPDATE workflow_runs SET
    priority = ?, start_at = CAST(? AS bigint), timeout = CAST(? AS bigint), labels = ?,
    deadline = CASE WHEN started_at IS NULL THEN NULL ELSE started_at + CAST(? AS bigint) END,
    status = CASE WHEN ? = 1 THEN 'suspended' ELSE status END,
    gate = CASE WHEN ? = 1 THEN ${gates.time} ELSE NULL END, wake_at = CAST(? AS bigint)
  WHERE run_id = ?
  RETURNING id, started_at, deadline`

interface SetRow {
  readonly id: number
  readonly deadline: Millis | null
}

const insertLabel = "INSERT INTO workflow_labels (run, label) VALUES (?, ?)"

const deleteLabels = "DELETE FROM workflow_labels WHERE run = ?"

/** @param heldBack whether it may not begin yet */
const set = (
  transaction: PortableTransaction,
  runId: string,
  options: RunOptions,
  heldBack: boolean
): Effect.Effect<SetRow | undefined, SqlError> =>
  Effect.gen(function* () {
    const startAt = options.startAt === undefined ? null : wholeMillis(options.startAt)
    const timeout = options.timeout === undefined ? null : wholeMillis(options.timeout)
    const held = heldBack ? 1 : 0
    const [row] = yield* transaction.rows<SetRow>(setOptions, [
      options.priority ?? 0,
      startAt,
      timeout,
      Labels.toJson(options) ?? null,
      timeout,
      held,
      held,
      heldBack ? startAt : null,
      runId
    ])
    if (row === undefined) return undefined
    for (const label of Labels.texts(options)) {
      yield* transaction.changes(insertLabel, [row.id, label])
    }
    if (heldBack && startAt !== null) transaction.log.timer(startAt)
    if (row.deadline !== null) transaction.log.timer(row.deadline)
    return row
  })

/** What a run that was just created has by its options. */
const told = (run: Run, options: RunOptions, heldBack: boolean, row: SetRow): Run => ({
  ...run,
  options: {
    ...(options.priority === undefined || options.priority === 0
      ? {}
      : { priority: options.priority }),
    ...(options.startAt === undefined ? {} : { startAt: wholeMillis(options.startAt) }),
    ...(options.timeout === undefined ? {} : { timeout: wholeMillis(options.timeout) }),
    ...Labels.fromJson(Labels.toJson(options) ?? null)
  },
  ...(heldBack && options.startAt !== undefined ? { heldUntil: wholeMillis(options.startAt) } : {}),
  ...(row.deadline === null ? {} : { deadline: row.deadline })
})

/** Gives a run its options that this transaction has created. */
export const give = (
  transaction: PortableTransaction,
  { options = {}, runId }: NewRun,
  created: CreatedRun
): Effect.Effect<CreatedRun, SqlError> =>
  Effect.gen(function* () {
    const heldBack = options.startAt !== undefined && wholeMillis(options.startAt) > transaction.now
    const row = yield* set(transaction, runId, options, heldBack)
    if (row === undefined) return yield* Effect.dieMessage(`Run ${runId} was not created`)
    const { claimed } = created
    return {
      ...created,
      run: told(created.run, options, heldBack, row),
      claimed: claimed && {
        ...claimed,
        ...(options.timeout === undefined ? {} : { timeout: wholeMillis(options.timeout) })
      }
    }
  })

/** It is claimed by whoever changes its row first. */
const replaceRun = `
  UPDATE workflow_runs SET payload = ?, trace_id = ?, span_id = ?, sampled = CAST(? AS smallint),
    status = 'pending', gate = NULL
  WHERE run_id = ? AND workflow = ? AND started_at IS NULL AND interrupt_requested = 0
    AND (status = 'pending' OR (status = 'suspended' AND gate IS NOT NULL))
  RETURNING id`

const selectRun = `SELECT ${runColumns} FROM workflow_runs WHERE run_id = ?`

/** Gives a run that has not begun another payload and other options; `undefined` where it has. */
export const replace = (
  transaction: PortableTransaction,
  run: NewRun
): Effect.Effect<CreatedRun | undefined, SqlError> =>
  Effect.gen(function* () {
    const { options = {}, payload, runId, trace, workflow } = run
    const [replaced] = yield* transaction.rows<{ readonly id: number }>(replaceRun, [
      payload,
      trace?.traceId ?? null,
      trace?.spanId ?? null,
      trace === undefined ? null : Number(trace.sampled),
      runId,
      workflow
    ])
    if (replaced === undefined) return undefined
    yield* transaction.changes(deleteLabels, [replaced.id])
    yield* set(transaction, runId, options, isHeldBack(run, transaction.now))
    if (!isHeldBack(run, transaction.now)) transaction.log.becamePending()
    const [row] = yield* transaction.rows<RunRow>(selectRun, [runId])
    if (row === undefined) return undefined
    return { run: toRun(row), created: false, replaced: true, claimed: undefined }
  })

/** By what was created just now, or by replacing what was there. */
export const finish = (
  transaction: PortableTransaction,
  run: NewRun,
  answer: CreatedRun
): Effect.Effect<CreatedRun, SqlError> => {
  if (answer.created) return give(transaction, run, answer)
  if (run.replace !== true) return Effect.succeed(answer)
  return Effect.map(replace(transaction, run), (replaced) => replaced ?? answer)
}
