/** Giving back what is held. */
import * as Effect from "effect/Effect"
import type { Held, NewTimers } from "../RunStore.js"
import type { Operation } from "../Write.js"
import * as Fence from "./Fence.js"
import * as Timers from "./Timers.js"
import type { Transaction } from "./Transaction.js"

const giveBack = "status = 'pending', executor = NULL, claim = r.claim + 1"

const releaseHeld = `
  UPDATE workflow_runs r SET ${giveBack}
  FROM ${Fence.holds}
  WHERE ${Fence.isHold} AND coalesce(r.status, '') = 'running'
  RETURNING ${Fence.holdColumns}`

/** One that waits in memory goes on waiting, held by nobody. */
const letGoOfWaiting = `
  UPDATE workflow_runs r SET executor = NULL, claim = r.claim + 1
  FROM ${Fence.holds}
  WHERE ${Fence.isHold} AND coalesce(r.status, '') = 'suspended'`

export const release =
  (
    runs: ReadonlyArray<{ readonly held: Held; readonly timers: NewTimers }>
  ): Operation<Transaction, number> =>
  (transaction) =>
    Effect.gen(function* () {
      if (runs.length === 0) return 0
      const params = Fence.ofAll(runs.map(({ held }) => held))
      const rows = yield* transaction.rows<Fence.HoldRow>(releaseHeld, params)
      if (rows.length < runs.length) yield* transaction.changes(letGoOfWaiting, params)
      const isReleased = Fence.among(rows)
      yield* Timers.insert(
        transaction,
        runs
          .filter(({ held }) => isReleased(held))
          .map(({ held, timers }) => ({ key: held.key, timers }))
      )
      return gaveBack(transaction, rows.length)
    })

const releaseAllOf = `
  UPDATE workflow_runs r SET ${giveBack} WHERE r.id = ANY(ARRAY(
    SELECT id FROM workflow_runs
    WHERE executor = $1 AND status = 'running' ORDER BY id LIMIT $2::bigint FOR UPDATE
  ))`

export const releaseAll =
  (executor: number, limit: number): Operation<Transaction, number> =>
  (transaction) =>
    Effect.map(transaction.changes(releaseAllOf, [executor, limit]), (count) =>
      gaveBack(transaction, count)
    )

const gaveBack = (transaction: Transaction, count: number): number => {
  if (count > 0) transaction.log.becamePending()
  return count
}
