/** Who holds a run: claiming, and what is read for whoever has claimed. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ClaimedRow, Taken } from "../Claimed.js"
import { toClaimedRun } from "../Claimed.js"
import { asHolderBy, lost, lostAmongBy } from "../Holding.js"
import type {
  ClaimedRun,
  ClaimOptions,
  Held,
  History,
  NewTimers,
  RunLost,
  WokenRun
} from "../RunStore.js"
import type { Operation } from "../Write.js"
import { claimOldest, claimSuspect } from "./ClaimCall.js"
import * as Crashes from "./Crashes.js"
import * as Fence from "./Fence.js"
import { takenOver } from "./Fragments.js"
import * as Histories from "./History.js"
import { readClaimed, readHistories } from "./ReadCall.js"
import type { Sql } from "./Sql.js"
import * as Timers from "./Timers.js"
import type { Transaction } from "./Transaction.js"

export { lost } from "../Holding.js"

/**
 * The fence of what is not written to the run's own row; its holder may keep it in memory. Whoever
 * takes over from the executor waits for the lock, and marks its row before it takes a run.
 */
const selectHolder = `
  SELECT 1 FROM workflow_runs r
  JOIN workflow_executors e ON e.id = r.executor AND e.lease_until <> ${takenOver}
  WHERE ${Fence.isHeldByOf} AND r.status IN ('running', 'suspended')
  FOR SHARE OF e`

const holds = (transaction: Transaction, held: Held) =>
  Effect.map(transaction.rows(selectHolder, Fence.ofOne(held)), (rows) => rows.length > 0)

export const asHolder = asHolderBy(holds)

export const lostAmong = lostAmongBy(holds)

export const claim =
  (options: ClaimOptions, onQueue: () => void): Operation<Transaction, ReadonlyArray<Taken>> =>
  (transaction) =>
    Effect.gen(function* () {
      const { executor } = options
      const oldest = yield* claimOldest(transaction, options, onQueue)
      const suspects = oldest.flatMap(({ claim, id }) => (claim === null ? [id] : []))
      const tried = yield* claimFirst(transaction, executor, suspects)
      return oldest.flatMap((run): ReadonlyArray<Taken> => {
        const claimed = run.claim === null ? tried.find(({ id }) => id === run.id) : run
        if (claimed === undefined) return []
        const { claim, deadline, id, run_id: runId } = claimed
        if (deadline !== null) transaction.log.timer(deadline)
        return [{ held: { runId, key: id, claim, executor }, bytes: run.bytes }]
      })
    })

/** Suspects are claimed one at a time: the first of these, unless one is under way. The others wait. */
const claimFirst = (transaction: Transaction, executor: number, suspects: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const [first, ...rest] = suspects
    if (first === undefined) return []
    const isTried = yield* Crashes.isTried(transaction)
    const others = isTried ? suspects : rest
    if (others.length > 0) {
      yield* Crashes.holdBack(transaction, others)
      // others may wait behind these
      transaction.log.becamePending()
    }
    return isTried ? [] : yield* claimSuspect(transaction, executor, first)
  })

/** Reads runs that were claimed, as they are now. Of one that is too large the history is not read. */
export const read =
  (taken: ReadonlyArray<Taken>, maxRunBytes = Number.POSITIVE_INFINITY) =>
  (sql: Sql): Effect.Effect<ReadonlyArray<ClaimedRun>, SqlError> =>
    Effect.gen(function* () {
      const found = yield* Histories.read<ClaimedRow>(
        sql,
        readClaimed,
        taken.map(({ held }) => held),
        taken.flatMap(({ bytes, held }) => (bytes <= maxRunBytes ? [held.key] : []))
      )
      const steps = yield* Crashes.startedSteps(
        sql,
        found.flatMap(([{ crashes, run }]) => (crashes > 0 ? [run] : []))
      )
      const runs = new Map(found.map((run) => [run[0].run, run]))
      return taken.flatMap((one): ReadonlyArray<ClaimedRun> => {
        const run = runs.get(one.held.key)
        if (run === undefined) return []
        const [row, history] = run
        return [toClaimedRun(row, one, { history, startedSteps: steps.get(row.run) ?? [] })]
      })
    })

const sawAll = `UPDATE workflow_runs SET seen_wakeups = wakeups WHERE ${Fence.isHeld}`

/**
 * The holder of a run is about to read its history, apart from this: it then knows of every wake-up
 * so far, and of those in between.
 */
export const aboutToRead =
  (held: Held, timers: NewTimers = []): Operation<Transaction, void, RunLost> =>
  (transaction) =>
    Effect.gen(function* () {
      const written = yield* transaction.changes(sawAll, Fence.ofOne(held))
      if (written === 0) return yield* lost(held)
      yield* Timers.insert(transaction, [{ key: held.key, timers }])
    })

/** Histories of runs that are held, as they are now. Writes nothing. */
export const histories =
  (runs: ReadonlyArray<Held>) =>
  (sql: Sql): Effect.Effect<ReadonlyArray<Option.Option<History>>, SqlError> =>
    Effect.map(Histories.read(sql, readHistories, runs), (found) => {
      const histories = new Map(
        found.map(([{ claim, executor, name, run }, history]) => [
          Fence.keyOf({ key: run, claim, executor, runId: name }),
          history
        ])
      )
      return runs.map((held) => Option.fromNullable(histories.get(Fence.keyOf(held))))
    })

const sawOfRuns = `
  UPDATE workflow_runs r SET seen_wakeups = greatest(r.seen_wakeups, v.wakeups)
  FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::text[], $5::integer[])
    v(run, claim, executor, run_id, wakeups)
  WHERE ${Fence.isHold} AND coalesce(r.status, '') = 'running'`

export const sawWakeups =
  (runs: ReadonlyArray<WokenRun>): Operation<Transaction, void> =>
  (transaction) =>
    Effect.asVoid(
      transaction.changes(sawOfRuns, [
        ...Fence.ofAll(runs.map(({ held }) => held)),
        runs.map(({ wakeups }) => wakeups)
      ])
    )
