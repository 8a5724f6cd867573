/**
 * Runs that were under way when their executor died, again and again, and have got nowhere in
 * between: one of them may be what it dies of.
 *
 * The first time says nothing: all that was under way is counted. From the second in a row on, the
 * run is a suspect: it comes back after a pause, and one at a time (see `Claims`), so that the next
 * death tells it from the others. What gets a step recorded, waits or ends is none any more.
 */
import * as Effect from "effect/Effect"
import type { Held } from "../RunStore.js"
import type { Operation, Transaction } from "./Write.js"

/** From so many deaths in a row on. */
export const suspicious = 2

const firstPauseMillis = 1_000
const longestPauseMillis = 5 * 60 * 1_000

/** A second, and then four times as long each time; of a run that has counted `crashes` before. */
const pause = `min(${longestPauseMillis}, ${firstPauseMillis} << (2 * min(crashes - 1, 9)))`

const takeOverRun = `
  UPDATE workflow_runs SET
    executor = NULL, claim = claim + 1, crashes = crashes + 1,
    status = iif(crashes + 1 < ${suspicious}, 'pending', 'suspended'),
    wake_at = iif(crashes + 1 < ${suspicious}, NULL, ? + ${pause})
  WHERE id = ?
  RETURNING wake_at`

const takeOverUncounted = `
  UPDATE workflow_runs SET executor = NULL, claim = claim + 1, status = 'pending', wake_at = NULL
  WHERE id = ?
  RETURNING wake_at`

interface TakenOver {
  readonly wake_at: number | null
}

/** Takes a run from an executor that has died. */
export const takeOver = (transaction: Transaction, key: number, counts: boolean) =>
  Effect.map(
    counts
      ? transaction.rows<TakenOver>(takeOverRun, [transaction.now, key])
      : transaction.rows<TakenOver>(takeOverUncounted, [key]),
    ([row]) => {
      if (row?.wake_at == null) transaction.log.becamePending()
      else transaction.log.timer(row.wake_at)
    }
  )

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

const clear = `
  UPDATE workflow_runs SET crashes = 0
  WHERE id = ? AND claim = ? AND status = 'running' AND crashes > 0`

/** Of those that are suspects for the first time: the others have a pause that is theirs. */
const nextInLine = `
  UPDATE workflow_runs SET wake_at = ? WHERE id = (
    SELECT id FROM workflow_runs INDEXED BY workflow_runs_suspects
    WHERE crashes >= ${suspicious} AND status = 'suspended' AND crashes = ${suspicious}
      AND cause IS NULL
    ORDER BY wake_at LIMIT 1
  )`

/** The run has got somewhere: it is no suspect, and the next one is tried. */
export const progressed =
  (held: Held): Operation<void> =>
  (transaction) =>
    Effect.gen(function* () {
      if ((yield* transaction.changes(clear, [held.key, held.claim])) === 0) return
      const { now } = transaction
      if ((yield* transaction.changes(nextInLine, [now])) > 0) transaction.log.timer(now)
    })

const takeBack = `
  UPDATE workflow_runs SET crashes = crashes - 1 WHERE id = ? AND claim > ? AND crashes > 0`

/** Their executor was taken for dead, and was not: what was counted of it does not count. */
export const survived =
  (runs: ReadonlyArray<Held>): Operation<void> =>
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
