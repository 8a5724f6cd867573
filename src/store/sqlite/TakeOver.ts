/** What becomes of the runs of executors that are gone. */
import * as Effect from "effect/Effect"
import type { Left } from "../Judgement.js"
import { defaultMaxCrashes, isAlone, nobody, suspicious } from "../Judgement.js"
import type { Executors } from "../RunStore.js"
import type { Operation } from "../Write.js"
import { takenOver } from "./Claims.js"
import * as Crashes from "./Crashes.js"
import type { Transaction } from "./Transaction.js"

/** From each holder to the next one; one that is not registered at all has no lease either. */
const selectLapsed = `
  WITH RECURSIVE names (executor) AS (
    SELECT (
      SELECT executor FROM workflow_runs INDEXED BY workflow_runs_held
      WHERE status = 'running' AND executor >= 0 ORDER BY executor LIMIT 1
    )
    UNION ALL
    SELECT (
      SELECT executor FROM workflow_runs INDEXED BY workflow_runs_held
      WHERE status = 'running' AND executor > names.executor ORDER BY executor LIMIT 1
    ) FROM names WHERE executor IS NOT NULL
  )
  SELECT ${Crashes.leftColumns} FROM names
  LEFT JOIN workflow_executors e ON e.id = names.executor
  CROSS JOIN workflow_runs r INDEXED BY workflow_runs_held
    ON r.executor = names.executor AND r.status = 'running'
  WHERE names.executor <> ? AND (e.id IS NULL OR e.lease_until < ?) LIMIT ?`

/** The one that was under way, first of all: what it died beside is known now. */
const selectLapsedSuspects = `
  SELECT ${Crashes.leftColumns}
  FROM workflow_runs r INDEXED BY workflow_runs_suspects
  LEFT JOIN workflow_executors e ON e.id = r.executor
  WHERE r.crashes >= ${suspicious} AND r.status = 'running' AND r.executor <> ?
    AND (e.id IS NULL OR e.lease_until < ?) LIMIT ?`

const markLapsed = `
  UPDATE workflow_executors SET lease_until = ${takenOver}
  WHERE id <> ? AND lease_until < ? AND lease_until <> ${takenOver}`

const removeLapsed = `
  DELETE FROM workflow_executors
  WHERE id <> ? AND lease_until < ? AND NOT EXISTS (
    SELECT 1 FROM workflow_runs INDEXED BY workflow_runs_held
    WHERE executor = workflow_executors.id AND status = 'running'
  )`

const markDead = `
  UPDATE workflow_executors SET lease_until = ${takenOver} WHERE id = ? AND lease_until <> ${takenOver}`

const selectNewlyLapsed = `
  SELECT 1 FROM workflow_executors
  WHERE id <> ? AND lease_until < ? AND lease_until <> ${takenOver} LIMIT 1`

/** Whether one of them has died of which nothing has been taken over yet. */
const hasNewDeath = (transaction: Transaction, by: number, dead: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const lapsed = yield* transaction.rows(selectNewlyLapsed, [by, transaction.now])
    let count = lapsed.length
    for (const id of dead) count += yield* transaction.changes(markDead, [id])
    return count > 0
  })

export const takeOver =
  ({
    by = nobody,
    limit,
    maxCrashes = defaultMaxCrashes,
    dead = []
  }: Parameters<Executors["takeOver"]>[0]): Operation<Transaction, number> =>
  (transaction) =>
    Effect.gen(function* () {
      let taken = 0
      if ((yield* hasNewDeath(transaction, by, dead)) && Number.isFinite(maxCrashes)) {
        const othersWait = yield* Crashes.diedWithout(transaction)
        const suspects = yield* transaction.rows<Left>(selectLapsedSuspects, [
          by,
          transaction.now,
          limit
        ])
        const alone = isAlone(suspects, othersWait)
        for (const run of suspects) yield* Crashes.takeOver(transaction, run, { maxCrashes, alone })
        taken += suspects.length
      }
      const runs = yield* transaction.rows<Left>(selectLapsed, [by, transaction.now, limit - taken])
      for (const run of runs) yield* Crashes.takeOver(transaction, run, { maxCrashes, alone: true })
      taken += runs.length
      yield* transaction.changes(removeLapsed, [by, transaction.now])
      if (taken === limit) yield* transaction.changes(markLapsed, [by, transaction.now])
      return taken
    })
