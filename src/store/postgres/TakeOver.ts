/**
 * What becomes of the runs of executors that are gone. Their rows are marked before a run is looked
 * at: whoever writes in the name of one holds a share lock on its row until that is committed, or sees
 * the mark. One whose row is locked, because it writes at this moment, is left for the next time.
 */
import * as Effect from "effect/Effect"
import type { Left } from "../Judgement.js"
import { defaultMaxCrashes, isAlone, nobody, suspicious } from "../Judgement.js"
import type { Executors } from "../RunStore.js"
import type { Operation } from "../Write.js"
import * as Crashes from "./Crashes.js"
import { takenOver } from "./Fragments.js"
import type { Transaction } from "./Transaction.js"

const markLapsed = `
  UPDATE workflow_executors SET lease_until = ${takenOver} WHERE id = ANY(ARRAY(
    SELECT id FROM workflow_executors
    WHERE id <> $1 AND lease_until <> ${takenOver}
      AND (lease_until < $2 OR id = ANY($3::bigint[]))
    ORDER BY id FOR UPDATE SKIP LOCKED
  ))`

/** The one that was under way, first of all: what it died beside is known now. */
const selectLapsedSuspects = `
  SELECT ${Crashes.leftColumns} FROM workflow_runs r
  LEFT JOIN workflow_executors e ON e.id = r.executor
  WHERE r.crashes >= ${suspicious} AND r.status = 'running' AND r.executor <> $1
    AND (e.id IS NULL OR e.lease_until = ${takenOver})
  ORDER BY r.id LIMIT $2::bigint FOR UPDATE OF r SKIP LOCKED`

/** From each holder to the next one; one that is not registered at all has no lease either. */
const selectLapsed = `
  WITH RECURSIVE holders (executor) AS (
    (
      SELECT executor FROM workflow_runs
      WHERE status = 'running' AND executor IS NOT NULL ORDER BY executor LIMIT 1
    )
    UNION ALL
    SELECT (
      SELECT executor FROM workflow_runs
      WHERE status = 'running' AND executor > holders.executor ORDER BY executor LIMIT 1
    ) FROM holders WHERE executor IS NOT NULL
  ),
  lapsed AS MATERIALIZED (
    SELECT h.executor FROM holders h LEFT JOIN workflow_executors e ON e.id = h.executor
    WHERE h.executor <> $1 AND (e.id IS NULL OR e.lease_until = ${takenOver})
  )
  SELECT ${Crashes.leftColumns} FROM workflow_runs r
  WHERE r.status = 'running' AND r.executor = ANY(ARRAY(SELECT executor FROM lapsed))
  ORDER BY r.id LIMIT $2::bigint FOR UPDATE OF r SKIP LOCKED`

const removeLapsed = `
  DELETE FROM workflow_executors e
  WHERE e.id <> $1 AND e.lease_until = ${takenOver} AND NOT EXISTS (
    SELECT 1 FROM workflow_runs WHERE executor = e.id AND status = 'running'
  )`

export const takeOver =
  ({
    by = nobody,
    dead = [],
    limit,
    maxCrashes = defaultMaxCrashes
  }: Parameters<Executors["takeOver"]>[0]): Operation<Transaction, number> =>
  (transaction) =>
    Effect.gen(function* () {
      const deaths = yield* transaction.changes(markLapsed, [by, transaction.leaseNow, dead])
      let taken = 0
      if (deaths > 0 && Number.isFinite(maxCrashes)) {
        const othersWait = yield* Crashes.diedWithout(transaction)
        const suspects = yield* transaction.rows<Left>(selectLapsedSuspects, [by, limit])
        const alone = isAlone(suspects, othersWait)
        yield* Crashes.takeOver(transaction, suspects, { maxCrashes, alone })
        taken += suspects.length
      }
      const runs = yield* transaction.rows<Left>(selectLapsed, [by, limit - taken])
      yield* Crashes.takeOver(transaction, runs, { maxCrashes, alone: true })
      yield* transaction.changes(removeLapsed, [by])
      return taken + runs.length
    })
