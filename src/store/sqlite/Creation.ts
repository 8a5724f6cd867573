import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Creating, Creation } from "../Creation.js"
import { claimedAtOnce } from "../Creation.js"
import type { RunRow } from "../Rows.js"
import { newRun, runColumns, toRun } from "../Rows.js"
import type { CreatedRun, Held, Millis, Run, RunLost } from "../RunStore.js"
import { isFinal } from "../RunStore.js"
import type { Batch, Operation } from "../Write.js"
import { lost, lostAmong, takenOver } from "./Claims.js"
import * as Histories from "./History.js"
import { removeRun } from "./Removal.js"
import type { Param } from "./Sql.js"
import * as Statements from "./Statements.js"
import type { Transaction } from "./Transaction.js"
import { requestInterrupt } from "./WakeUps.js"

/** Left to itself SQLite gives the id of the newest run, when that was removed, once more. */
const nextId = `
  max((SELECT ifnull(max(id), 0) FROM workflow_runs), (SELECT last FROM workflow_ids WHERE id = 1)) + 1`

/**
 * An executor that is not registered, or not any more, claims nothing, nor is a run claimed whose
 * workflow is paused. The ids are counted from the
 * next one, which is looked up before the first row is written.
 */
const insertRuns = Statements.forRows(
  (rows) => `
  INSERT INTO workflow_runs (
    id, run_id, workflow, payload, trace_id, span_id, sampled, created_at,
    executor, status, claim, started_at
  )
  SELECT ${nextId} + v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7,
    v.column8, e.id, iif(e.id IS NULL, 'pending', 'running'), e.id IS NOT NULL,
    iif(e.id IS NULL, NULL, v.column8)
  FROM ${Statements.table(rows, 9)} v
  LEFT JOIN workflow_executors e ON e.id = v.column9 AND e.lease_until <> ${takenOver}
    AND NOT EXISTS (SELECT 1 FROM workflow_paused WHERE workflow = v.column3)
  WHERE true
  ON CONFLICT (run_id) DO NOTHING
  RETURNING id, run_id, executor`
)

const selectRun = `SELECT ${runColumns} FROM workflow_runs WHERE run_id = ?`

/**
 * A parent that has once asked to be woken stays to be woken. A `wakeup` of 0: when it awaited the child,
 * that was over.
 */
const insertChild = `
  INSERT INTO workflow_children (parent, child, awaits, wakeup)
  SELECT id, ?, ?, ? FROM workflow_runs WHERE run_id = ?
  ON CONFLICT (parent, child) DO UPDATE SET
    awaits = max(awaits, excluded.awaits), wakeup = coalesce(wakeup, excluded.wakeup)`

export const createAll: Batch<Transaction, Creation, CreatedRun, RunLost> =
  (creations) => (transaction) =>
    Effect.gen(function* () {
      const refused = yield* refusedOf(transaction, creations)
      const isRefused = ({ by }: Creation) => by !== undefined && refused.has(by)
      const inserted = yield* insert(
        transaction,
        refused.size === 0 ? creations : creations.filter((creation) => !isRefused(creation))
      )
      const held = [...inserted.values()].filter(({ executor }) => executor !== null)
      // they may have come before their run did
      const signals = yield* Histories.signalsOf(
        transaction,
        held.map(({ run_id }) => run_id)
      )
      const answers: Array<Exit.Exit<CreatedRun, RunLost>> = []
      for (const { by, claimFor, run } of creations) {
        if (by !== undefined && refused.has(by)) {
          answers.push(Exit.fail(lost(by)))
          continue
        }
        const row = inserted.get(run.runId)
        // of two that have the same id, the first is the one that created the run
        inserted.delete(run.runId)
        if (row?.executor === null) transaction.log.becamePending()
        const holder = row?.executor ?? undefined
        const found =
          row === undefined
            ? yield* existing(transaction, run.runId)
            : { key: row.id, run: newRun(run, holder, transaction.now) }
        // one of another workflow is not what its parent has asked for
        if (run.parent !== undefined && found.run.workflow === run.workflow) {
          const { awaits, runId } = run.parent
          const isOver = isFinal(found.run.status)
          yield* transaction.changes(insertChild, [
            found.key,
            awaits && !isOver ? 1 : 0,
            awaits && isOver ? 0 : null,
            runId
          ])
        }
        answers.push(
          Exit.succeed({
            run: found.run,
            created: row !== undefined,
            claimed:
              claimFor !== undefined && holder === claimFor
                ? claimedAtOnce(run, { key: found.key, executor: holder }, signals.get(run.runId))
                : undefined
          })
        )
      }
      return answers
    })

const nobody: ReadonlySet<Held> = new Set()

/** In whose name nothing is created any more. */
const refusedOf = (
  transaction: Transaction,
  creations: ReadonlyArray<Creation>
): Effect.Effect<ReadonlySet<Held>, SqlError> => {
  const holders = creations.flatMap(({ by }) => (by === undefined ? [] : [by]))
  return holders.length === 0 ? Effect.succeed(nobody) : lostAmong(transaction, holders)
}

interface Inserted {
  readonly id: number
  readonly run_id: string
  readonly executor: number | null
}

/** The runs that were not there yet, by their `runId`. */
const insert = (transaction: Transaction, creations: ReadonlyArray<Creation>) =>
  Effect.gen(function* () {
    const inserted = new Map<string, Inserted>()
    for (const part of Statements.parts(creations)) {
      const rows = yield* transaction.rows<Inserted>(
        insertRuns(part.length),
        part.flatMap((creation, index) => runRow(creation, index, transaction.now))
      )
      for (const row of rows) inserted.set(row.run_id, row)
    }
    return inserted
  })

const runRow = ({ claimFor, run }: Creation, index: number, now: Millis): ReadonlyArray<Param> => [
  index,
  run.runId,
  run.workflow,
  run.payload,
  run.trace?.traceId ?? null,
  run.trace?.spanId ?? null,
  run.trace === undefined ? null : Number(run.trace.sampled),
  now,
  claimFor ?? null
]

interface Found {
  readonly key: number
  readonly run: Run
}

const existing = (transaction: Transaction, runId: string): Effect.Effect<Found, SqlError> =>
  Effect.flatMap(transaction.rows<RunRow>(selectRun, [runId]), ([row]) =>
    row === undefined
      ? Effect.dieMessage(`Run ${runId} is neither new nor there`)
      : Effect.succeed({ key: row.id, run: toRun(row) })
  )

/** A part of a transaction that may do more: in which runs are created in any way. */
export const creating =
  <A, E extends RunLost = never>(
    operation: Operation<Creating, A, E>
  ): Operation<Transaction, A, E> =>
  (transaction) =>
    operation({
      ...transaction,
      createAll: (creations) => createAll(creations)(transaction),
      interrupt: (runId) => requestInterrupt(runId)(transaction),
      remove: (run) => removeRun(transaction, run)
    })
