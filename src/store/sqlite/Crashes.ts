/** Deaths of executors, as they are written: what they are judged by is in `Judgement`. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Left } from "../Judgement.js"
import { besideOthers, inLineMillis, suspicious, taken } from "../Judgement.js"
import type { Held } from "../RunStore.js"
import type { Operation } from "../Write.js"
import type { Transaction } from "./Transaction.js"
import { goOnWith } from "./WakeUps.js"

const takeOverRun = `
  UPDATE workflow_runs SET
    executor = NULL, claim = claim + 1, crashes = ?, doubted = ?, status = ?, wake_at = ?
  WHERE id = ?`

/** What is read of it. */
export const leftColumns = "r.id, r.crashes, r.at_work, r.doubted"

/**
 * Takes a run from an executor that has died.
 *
 * @param options.maxCrashes `Infinity`: nothing is counted
 */
export const takeOver = (
  transaction: Transaction,
  run: Left,
  { alone, maxCrashes }: { readonly maxCrashes: number; readonly alone: boolean }
) => {
  const { log, now } = transaction
  const { crashes, doubted, wakeAt } = taken(run, { alone, maxCrashes, now })
  if (wakeAt === undefined) log.becamePending()
  else log.timer(wakeAt)
  const status = wakeAt === undefined ? "pending" : "suspended"
  return transaction.changes(takeOverRun, [crashes, doubted, status, wakeAt ?? null, run.id])
}

/** Suspects that wait for their first try; one that was set aside has a cause. */
const clearWaiting = `
  UPDATE workflow_runs INDEXED BY workflow_runs_suspects
  SET crashes = ${suspicious - 1}, status = 'pending', wake_at = NULL
  WHERE crashes >= ${suspicious} AND crashes = ${suspicious} AND doubted = 0 AND cause IS NULL
    AND status = ?`

const selectWaiting = `
  SELECT 1 FROM workflow_runs INDEXED BY workflow_runs_suspects
  WHERE crashes >= ${suspicious} AND cause IS NULL AND status = ? LIMIT 1`

/**
 * An executor has died, and not of the suspects that wait: those that were not tried yet come back at
 * once. Answers whether there were any.
 */
export const diedWithout = (transaction: Transaction): Effect.Effect<boolean, SqlError> =>
  Effect.gen(function* () {
    let waiting = 0
    for (const status of ["suspended", "pending"]) {
      waiting += (yield* transaction.rows(selectWaiting, [status])).length
      const cleared = yield* transaction.changes(clearWaiting, [status])
      if (cleared > 0) transaction.log.becamePending()
    }
    return waiting > 0
  })

const holdBackRun = `
  UPDATE workflow_runs SET status = 'suspended', wake_at = ? WHERE id = ? AND status = 'pending'`

/** Suspects that were not claimed, because one is under way; in their order. */
export const holdBack = (transaction: Transaction, keys: ReadonlyArray<number>) =>
  Effect.forEach(
    keys,
    (key, index) => {
      const wakeAt = transaction.now + (index + 1) * inLineMillis
      transaction.log.timer(wakeAt)
      return transaction.changes(holdBackRun, [wakeAt, key])
    },
    { discard: true }
  )

const isHeldWith = (crashes: number) =>
  `id = ? AND claim = ? AND status = 'running' AND crashes >= ${crashes}`

const setAtWork = `UPDATE workflow_runs SET at_work = ? WHERE ${isHeldWith(1)}`

/** A step was begun; of a run whose executors have not died nothing is to be told. */
export const begins = (transaction: Transaction, { claim, key }: Held) =>
  transaction.changes(setAtWork, [1, key, claim])

/** It has come as far as to a step for which there is no room yet: whatever happens is not its doing. */
export const waitsForRoom =
  ({ claim, key }: Held): Operation<Transaction, void> =>
  (transaction) =>
    Effect.asVoid(transaction.changes(setAtWork, [0, key, claim]))

const clear = (crashes: number) =>
  `UPDATE workflow_runs SET crashes = 0 WHERE ${isHeldWith(crashes)}`

const clearSuspect = clear(suspicious)
const clearAny = clear(1)

/** Of those that are suspects for the first time: the others have a pause that is theirs. */
const nextInLine = `
  UPDATE workflow_runs SET wake_at = ? WHERE id = (
    SELECT id FROM workflow_runs INDEXED BY workflow_runs_suspects
    WHERE crashes >= ${suspicious} AND status = 'suspended' AND crashes = ${suspicious}
      AND cause IS NULL
    ORDER BY wake_at LIMIT 1
  )`

const tryNext = (transaction: Transaction) =>
  Effect.map(transaction.changes(nextInLine, [transaction.now]), (changed) => {
    if (changed > 0) transaction.log.timer(transaction.now)
  })

/** The run has got somewhere: it is no suspect, and where it was one the next is tried. */
export const progressed =
  ({ claim, key }: Held): Operation<Transaction, void> =>
  (transaction) =>
    Effect.gen(function* () {
      if ((yield* transaction.changes(clearSuspect, [key, claim])) > 0) yield* tryNext(transaction)
      else yield* transaction.changes(clearAny, [key, claim])
    })

const setBesideOthers = `
  UPDATE workflow_runs SET at_work = at_work | ${besideOthers}
  WHERE ${isHeldWith(suspicious)} AND at_work < ${besideOthers}`

/** The suspect has been under way for long: others are tried beside it. */
export const letOthersTry =
  ({ claim, key }: Held): Operation<Transaction, void> =>
  (transaction) =>
    Effect.flatMap(transaction.changes(setBesideOthers, [key, claim]), (changed) =>
      changed > 0 ? tryNext(transaction) : Effect.void
    )

const takeBack = `
  UPDATE workflow_runs SET crashes = crashes - 1 WHERE id = ? AND claim > ? AND crashes > 0
  RETURNING status = 'suspended' AND cause IS NOT NULL AS set_aside`

/**
 * Their executor was taken for dead, and was not: what was counted of it does not count. A run that was
 * set aside for that goes on.
 */
export const survived =
  (runs: ReadonlyArray<Held>): Operation<Transaction, void> =>
  (transaction) =>
    Effect.forEach(
      runs,
      ({ claim, key }) =>
        Effect.flatMap(
          transaction.rows<{ readonly set_aside: number }>(takeBack, [key, claim]),
          ([row]) => (row?.set_aside === 1 ? goOnWith(transaction, key) : Effect.void)
        ),
      { discard: true }
    )

const selectStarted = `
  SELECT name, attempt FROM workflow_steps
  WHERE run = ? AND status = 'running' AND exit IS NULL ORDER BY started_at, position`

/** The steps that were noted as begun, and have no outcome. */
export const startedSteps = (sql: Pick<Transaction, "rows">, key: number) =>
  sql.rows<{ readonly name: string; readonly attempt: number }>(selectStarted, [key])
