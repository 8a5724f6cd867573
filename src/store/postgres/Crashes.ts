/** Deaths of executors, as they are written: what they are judged by is in `Judgement`. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Left } from "../Judgement.js"
import { besideOthers, inLineMillis, suspicious, taken } from "../Judgement.js"
import type { Held } from "../RunStore.js"
import type { Batch, Operation } from "../Write.js"
import * as Fence from "./Fence.js"
import { suspectsLock } from "./Fragments.js"
import type { Sql } from "./Sql.js"
import type { Transaction } from "./Transaction.js"
import { goOnWith } from "./WakeUps.js"

/** What is read of a run whose executor has died. */
export const leftColumns = "r.id, r.crashes, r.at_work, r.doubted"

const takeRunsOver = `
  UPDATE workflow_runs r SET
    executor = NULL, claim = r.claim + 1, crashes = v.crashes, doubted = v.doubted,
    status = CASE WHEN v.wake_at IS NULL THEN 'pending' ELSE 'suspended' END, wake_at = v.wake_at
  FROM unnest($1::bigint[], $2::integer[], $3::smallint[], $4::bigint[])
    v(run, crashes, doubted, wake_at)
  WHERE r.id = v.run`

/** Takes runs that are locked from an executor that has died. */
export const takeOver = (
  transaction: Transaction,
  runs: ReadonlyArray<Left>,
  options: { readonly maxCrashes: number; readonly alone: boolean }
): Effect.Effect<unknown, SqlError> => {
  if (runs.length === 0) return Effect.void
  const { log, now } = transaction
  const judged = runs.map((run) => taken(run, { ...options, now }))
  for (const { wakeAt } of judged) {
    if (wakeAt === undefined) log.becamePending()
    else log.timer(wakeAt)
  }
  return transaction.changes(takeRunsOver, [
    runs.map(({ id }) => id),
    judged.map(({ crashes }) => crashes),
    judged.map(({ doubted }) => doubted),
    judged.map(({ wakeAt }) => wakeAt ?? null)
  ])
}

/** Suspects that wait for their first try; one that was set aside has a cause. */
const clearWaiting = `
  UPDATE workflow_runs
  SET crashes = ${suspicious - 1}, status = 'pending', wake_at = NULL
  WHERE crashes >= ${suspicious} AND crashes = ${suspicious} AND doubted = 0 AND cause IS NULL
    AND status = $1`

const selectWaiting = `
  SELECT 1 FROM workflow_runs
  WHERE crashes >= ${suspicious} AND cause IS NULL AND status = $1 LIMIT 1`

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

const lockSuspects = `SELECT pg_advisory_xact_lock(${suspectsLock})`

const selectTried = `
  SELECT 1 FROM workflow_runs
  WHERE crashes >= ${suspicious} AND status = 'running' AND at_work < ${besideOthers} LIMIT 1`

/** Whether a suspect is under way, by whichever executor; no other begins before this is committed. */
export const isTried = (transaction: Transaction): Effect.Effect<boolean, SqlError> =>
  Effect.zipRight(
    transaction.rows(lockSuspects),
    Effect.map(transaction.rows(selectTried), (rows) => rows.length > 0)
  )

const holdRunsBack = `
  UPDATE workflow_runs r SET status = 'suspended', wake_at = v.wake_at
  FROM unnest($1::bigint[], $2::bigint[]) v(run, wake_at)
  WHERE r.id = v.run AND coalesce(r.status, '') = 'pending'`

/** Suspects that were not claimed, because one is under way; in their order. */
export const holdBack = (transaction: Transaction, keys: ReadonlyArray<number>) => {
  const wakeAts = keys.map((_, index) => transaction.now + (index + 1) * inLineMillis)
  for (const wakeAt of wakeAts) transaction.log.timer(wakeAt)
  return transaction.changes(holdRunsBack, [keys, wakeAts])
}

/** Of runs that are held, and whose executors have died so many times: when one has died, that is many runs. */
const updateHeld = (set: string, crashes: number) => `
  UPDATE workflow_runs r SET ${set} FROM ${Fence.holds}
  WHERE ${Fence.isHold} AND coalesce(r.status, '') = 'running' AND r.crashes >= ${crashes}`

const inOrder = (helds: ReadonlyArray<Held>) =>
  Fence.inOrder(helds.map((held) => ({ held }))).map(({ held }) => held)

const setNotAtWork = updateHeld("at_work = 0", 1)

/**
 * They have come as far as to a step for which there is no room yet: whatever happens is not their doing.
 * That a step was begun is noted with it: see `Functions`.
 */
export const waitForRoom: Batch<Transaction, Held, void> = (helds) => (transaction) =>
  Effect.as(
    transaction.changes(setNotAtWork, Fence.ofAll(inOrder(helds))),
    helds.map(() => Exit.void)
  )

const clearSuspect = updateHeld("crashes = 0", suspicious)
const clearAny = updateHeld("crashes = 0", 1)

/** Of those that are suspects for the first time: the others have a pause that is theirs. */
const nextInLine = `
  UPDATE workflow_runs SET wake_at = $1::bigint WHERE id = (
    SELECT id FROM workflow_runs
    WHERE crashes >= ${suspicious} AND status = 'suspended' AND crashes = ${suspicious}
      AND cause IS NULL
    ORDER BY wake_at LIMIT 1 FOR UPDATE SKIP LOCKED
  )`

const tryNext = (transaction: Transaction) =>
  Effect.map(transaction.changes(nextInLine, [transaction.now]), (changed) => {
    if (changed > 0) transaction.log.timer(transaction.now)
  })

/** The runs have got somewhere: they are no suspects, and where one was the next is tried. */
export const progressed: Batch<Transaction, Held, void> = (helds) => (transaction) =>
  Effect.gen(function* () {
    const runs = Fence.ofAll(inOrder(helds))
    const suspects = yield* transaction.changes(clearSuspect, runs)
    if (suspects < helds.length) yield* transaction.changes(clearAny, runs)
    for (let n = 0; n < suspects; n++) yield* tryNext(transaction)
    return helds.map(() => Exit.void)
  })

const setBesideOthers = `
  UPDATE workflow_runs SET at_work = at_work | ${besideOthers}
  WHERE ${Fence.isHeldBy} AND coalesce(status, '') = 'running'
    AND crashes >= ${suspicious} AND at_work < ${besideOthers}`

/** The suspect has been under way for long: others are tried beside it. */
export const letOthersTry =
  (held: Held): Operation<Transaction, void> =>
  (transaction) =>
    Effect.flatMap(transaction.changes(setBesideOthers, Fence.ofOne(held)), (changed) =>
      changed > 0 ? tryNext(transaction) : Effect.void
    )

const takeBack = `
  UPDATE workflow_runs r SET crashes = r.crashes - 1
  FROM ${Fence.holds}
  WHERE r.id = v.run AND r.claim > v.claim AND coalesce(r.run_id, '') = v.run_id AND r.crashes > 0
  RETURNING r.id, r.status = 'suspended' AND r.cause IS NOT NULL AS set_aside`

interface TakenBack {
  readonly id: number
  readonly set_aside: boolean
}

/**
 * Their executor was taken for dead, and was not: what was counted of it does not count. A run that was
 * set aside for that goes on.
 */
export const survived =
  (runs: ReadonlyArray<Held>): Operation<Transaction, void> =>
  (transaction) =>
    Effect.gen(function* () {
      const rows = yield* transaction.rows<TakenBack>(takeBack, Fence.ofAll(runs))
      const aside = rows.flatMap(({ id, set_aside }) => (set_aside ? [id] : []))
      if (aside.length > 0) yield* goOnWith(transaction, aside)
    })

const selectStarted = `
  SELECT run, name, attempt FROM workflow_steps
  WHERE run = ANY($1::bigint[]) AND status = 'running' AND exit IS NULL
  ORDER BY started_at, position`

interface Started {
  readonly name: string
  readonly attempt: number
}

/** The steps of these runs that were noted as begun, and have no outcome. */
export const startedSteps = (
  sql: Sql,
  keys: ReadonlyArray<number>
): Effect.Effect<ReadonlyMap<number, ReadonlyArray<Started>>, SqlError> =>
  keys.length === 0
    ? Effect.succeed(new Map())
    : Effect.map(sql.rows<Started & { readonly run: number }>(selectStarted, [keys]), (rows) => {
        const steps = new Map<number, Array<Started>>(keys.map((key) => [key, []]))
        for (const { attempt, name, run } of rows) steps.get(run)?.push({ name, attempt })
        return steps
      })
