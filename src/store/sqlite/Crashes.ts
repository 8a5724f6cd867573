/**
 * Runs that were under way when their executor died, again and again, and have got nowhere in
 * between: one of them may be what it dies of.
 *
 * The first time says nothing: all that was under way is counted, so that nothing need be noted of
 * runs whose executors live. From then on it is noted what the run is at (`at_work`), and a further
 * death counts only where its code or a step of it was executing. From the second in a row on the run
 * is a suspect: it comes back after a pause, and one at a time (see `Claims`), so that the next death
 * tells it from the others. A death for which it was not even there clears one that is suspected for
 * the first time, and so does what it gets recorded, waits for, or comes to. One that dies while others
 * are suspected too is `doubted`, and has another try before it is set aside: where executors are
 * killed from outside, one of a long line is always under way.
 */

import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Held } from "../RunStore.js"
import type { Operation } from "../Write.js"
import type { Transaction } from "./Transaction.js"

/** From so many deaths in a row on. */
export const suspicious = 2

const firstPauseMillis = 5_000
const longestPauseMillis = 5 * 60 * 1_000

/** What is known of a run when its executor has died. */
export interface Evidence {
  /** Deaths in a row, before this one. */
  readonly crashes: number
  /** Since it was claimed its code has executed, or a step was begun; known from the first death on. */
  readonly atWork: boolean
  /** No others were suspected when the executor died. */
  readonly alone: boolean
  readonly doubted: boolean
}

/** What a death makes of a run; `pauseMillis` of one that is to come back later. */
export interface Verdict {
  readonly crashes: number
  readonly doubted: boolean
  readonly pauseMillis: number | undefined
}

/** Five seconds, and then four times as long each time. */
const pauseOf = (crashes: number) =>
  Math.min(longestPauseMillis, firstPauseMillis * 4 ** (crashes - suspicious))

/** @param maxCrashes with so many it is set aside by whoever claims it, which nothing has to wait for */
export const judge = (evidence: Evidence, maxCrashes: number): Verdict => {
  const { alone, atWork, crashes } = evidence
  const doubted = evidence.doubted && crashes > 0
  const counted = crashes === 0 || atWork ? crashes + 1 : withoutIt(crashes, doubted)
  if (counted < suspicious) return { crashes: counted, doubted, pauseMillis: undefined }
  if (counted < maxCrashes) return { crashes: counted, doubted, pauseMillis: pauseOf(counted) }
  return counted > crashes && !alone && !doubted
    ? { crashes, doubted: true, pauseMillis: pauseOf(counted) }
    : { crashes: counted, doubted, pauseMillis: 0 }
}

/** Of one that was tried already there is more to say than that executors die of others, too. */
const withoutIt = (crashes: number, doubted: boolean) =>
  crashes === suspicious && !doubted ? suspicious - 1 : crashes

const takeOverRun = `
  UPDATE workflow_runs SET
    executor = NULL, claim = claim + 1, crashes = ?, doubted = ?, status = ?, wake_at = ?
  WHERE id = ?`

/** A run of an executor that has died. */
export interface Left {
  readonly id: number
  readonly crashes: number
  readonly at_work: number
  readonly doubted: number
}

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
  const { crashes } = run
  const known = { crashes, atWork: run.at_work === 1, doubted: run.doubted === 1 }
  const judged = Number.isFinite(maxCrashes)
    ? judge({ ...known, alone }, maxCrashes)
    : { ...known, pauseMillis: undefined }
  const { pauseMillis } = judged
  const wakeAt = pauseMillis === undefined ? null : transaction.now + pauseMillis
  if (wakeAt === null) transaction.log.becamePending()
  else transaction.log.timer(wakeAt)
  const status = wakeAt === null ? "pending" : "suspended"
  const doubted = judged.doubted ? 1 : 0
  return transaction.changes(takeOverRun, [judged.crashes, doubted, status, wakeAt, run.id])
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

/** How much later the next suspect asks again, where one is under way. */
const inLineMillis = 1_000

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

/** The run has got somewhere: it is no suspect, and where it was one the next is tried. */
export const progressed =
  ({ claim, key }: Held): Operation<Transaction, void> =>
  (transaction) =>
    Effect.gen(function* () {
      if ((yield* transaction.changes(clearSuspect, [key, claim])) > 0) {
        const { now } = transaction
        if ((yield* transaction.changes(nextInLine, [now])) > 0) transaction.log.timer(now)
      } else yield* transaction.changes(clearAny, [key, claim])
    })

const takeBack = `
  UPDATE workflow_runs SET crashes = crashes - 1 WHERE id = ? AND claim > ? AND crashes > 0`

/** Their executor was taken for dead, and was not: what was counted of it does not count. */
export const survived =
  (runs: ReadonlyArray<Held>): Operation<Transaction, void> =>
  (transaction) =>
    Effect.forEach(runs, ({ claim, key }) => transaction.changes(takeBack, [key, claim]), {
      discard: true
    })

const selectStarted = `
  SELECT name, attempt FROM workflow_steps
  WHERE run = ? AND status = 'running' AND exit IS NULL ORDER BY started_at, position`

/** The steps that were noted as begun, and have no outcome. */
export const startedSteps = (sql: Pick<Transaction, "rows">, key: number) =>
  sql.rows<{ readonly name: string; readonly attempt: number }>(selectStarted, [key])
