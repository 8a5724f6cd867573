/** Giving back what is held. */

import * as Effect from "effect/Effect"
import type { Held, NewTimers } from "../RunStore.js"
import type { Operation } from "../Write.js"
import { isHeld } from "./Claims.js"
import * as Timers from "./Timers.js"
import type { Transaction } from "./Transaction.js"

const giveBack = "status = 'pending', executor = NULL, claim = claim + 1"

const releaseHeld = `UPDATE workflow_runs SET ${giveBack} WHERE ${isHeld}`

/** One that waits in memory goes on waiting, held by nobody. */
const letGoOfWaiting = `
  UPDATE workflow_runs SET executor = NULL, claim = claim + 1
  WHERE id = ? AND claim = ? AND status = 'suspended' AND executor IS NOT NULL`

export const release =
  (
    runs: ReadonlyArray<{ readonly held: Held; readonly timers: NewTimers }>
  ): Operation<Transaction, number> =>
  (transaction) =>
    Effect.gen(function* () {
      const released: Array<(typeof runs)[number]> = []
      for (const run of runs) {
        const params = [run.held.key, run.held.claim]
        if ((yield* transaction.changes(releaseHeld, params)) > 0) released.push(run)
        else yield* transaction.changes(letGoOfWaiting, params)
      }
      yield* Timers.insert(
        transaction,
        released.map(({ held, timers }) => ({ key: held.key, timers }))
      )
      return gaveBack(transaction, released.length)
    })

const releaseRun = `UPDATE workflow_runs SET ${giveBack} WHERE id = ?`

const selectHeldBy = `
  SELECT id FROM workflow_runs INDEXED BY workflow_runs_held
  WHERE executor = ? AND status = 'running' LIMIT ?`

export const releaseAll =
  (executor: number, limit: number): Operation<Transaction, number> =>
  (transaction) =>
    Effect.gen(function* () {
      const runs = yield* transaction.rows<{ readonly id: number }>(selectHeldBy, [executor, limit])
      for (const { id } of runs) yield* transaction.changes(releaseRun, [id])
      return gaveBack(transaction, runs.length)
    })

const gaveBack = (transaction: Transaction, count: number): number => {
  if (count > 0) transaction.log.becamePending()
  return count
}
