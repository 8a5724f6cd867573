/** Who holds a run: claiming, and what is read for whoever has claimed. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ClaimedRow, Taken } from "../Claimed.js"
import { isNew, toClaimedRun, upTo } from "../Claimed.js"
import { asHolderBy, lost, lostAmongBy } from "../Holding.js"
import { suspicious } from "../Judgement.js"
import type {
  ClaimedRun,
  ClaimOptions,
  Held,
  History,
  Millis,
  NewTimers,
  RunLost,
  WokenRun
} from "../RunStore.js"
import type { Operation } from "../Write.js"
import * as Crashes from "./Crashes.js"
import * as Fence from "./Fence.js"
import { takenOver } from "./Fragments.js"
import * as Histories from "./History.js"
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

/** One that was taken over must not claim: nobody would ever take over from it again. */
const selectExecutor = `
  SELECT id FROM workflow_executors WHERE id = $1 AND lease_until <> ${takenOver} FOR SHARE`

/** So many times as many are looked at as are wanted: others may be claiming the first ones. */
const beyond = 4

const selectPending = `
  WITH oldest AS MATERIALIZED (
    SELECT id FROM (
      SELECT r.id, r.priority FROM unnest($1::text[]) w(name)
      CROSS JOIN LATERAL (
        SELECT id, priority FROM workflow_runs
        WHERE workflow = w.name AND status = 'pending' ORDER BY priority, id LIMIT $3::bigint
      ) r
      WHERE NOT EXISTS (SELECT 1 FROM workflow_paused p WHERE p.workflow = w.name)
      UNION ALL
      -- of workflows that are paused, those that go on
      SELECT r.id, r.priority FROM workflow_paused p
      CROSS JOIN LATERAL (
        SELECT id, priority FROM workflow_runs
        WHERE workflow = p.workflow AND status = 'pending'
          AND (started_at IS NOT NULL OR interrupt_requested = 1)
        ORDER BY priority, id LIMIT $3::bigint
      ) r
      WHERE p.parks = 0 AND p.workflow = ANY($1::text[])
    ) both_kinds
    ORDER BY priority, id LIMIT $3::bigint
  )
  SELECT r.id, r.crashes FROM workflow_runs r
  WHERE r.id = ANY(ARRAY(SELECT id FROM oldest)) AND r.status = 'pending'
  ORDER BY r.priority, r.id LIMIT $2::bigint FOR UPDATE OF r SKIP LOCKED`

const selectSizes = `
  SELECT r.id, ${Histories.bytesOfRun} AS bytes FROM workflow_runs r
  WHERE r.id = ANY($1::bigint[]) ORDER BY r.priority, r.id`

interface Pending {
  readonly id: number
  readonly crashes: number
}

interface Sized {
  readonly id: number
  readonly bytes: number
}

const claimRuns = `
  UPDATE workflow_runs SET
    status = 'running', executor = $1, claim = claim + 1, seen_wakeups = wakeups,
    started_at = coalesce(started_at, $2::bigint), at_work = (crashes > 0)::integer,
    deadline = CASE WHEN timeout IS NOT NULL THEN coalesce(deadline, $2::bigint + timeout) END
  WHERE id = ANY($3::bigint[])
  RETURNING id, run_id, claim, priority, deadline`

interface ClaimedNow extends Pick<Histories.Claimed, "id" | "run_id" | "claim"> {
  readonly priority: number
  readonly deadline: Millis | null
}

export const claim =
  (options: ClaimOptions): Operation<Transaction, ReadonlyArray<Taken>> =>
  (transaction) =>
    Effect.gen(function* () {
      const { executor, limit, maxBytes } = options
      const registered = yield* transaction.rows(selectExecutor, [executor])
      if (registered.length === 0) return []
      const pending = yield* transaction.rows<Pending>(selectPending, [
        [...new Set(options.workflows)],
        limit,
        limit * beyond
      ])
      if (pending.length === 0) return []
      const sized = upTo(
        yield* transaction.rows<Sized>(selectSizes, [pending.map(({ id }) => id)]),
        maxBytes
      )
      const fitting = pending.slice(0, sized.length)
      const heldBack = yield* withoutSuspects(transaction, fitting)
      const bytes = new Map(sized.map((run) => [run.id, run.bytes]))
      const rows = yield* transaction.rows<ClaimedNow>(claimRuns, [
        executor,
        transaction.now,
        fitting.map(({ id }) => id).filter((id) => !heldBack.has(id))
      ])
      for (const { deadline } of rows) if (deadline !== null) transaction.log.timer(deadline)
      return [...rows]
        .sort((a, b) => a.priority - b.priority || a.id - b.id)
        .map(
          ({ claim, id, run_id }): Taken => ({
            held: { runId: run_id, key: id, claim, executor },
            bytes: bytes.get(id) ?? 0
          })
        )
    })

/** Suspects are claimed one at a time; answers which of these have to wait, and makes them. */
const withoutSuspects = (transaction: Transaction, runs: ReadonlyArray<Pending>) =>
  Effect.gen(function* () {
    const suspects = runs.filter(({ crashes }) => crashes >= suspicious).map(({ id }) => id)
    if (suspects.length === 0) return new Set<number>()
    const others = (yield* Crashes.isTried(transaction)) ? suspects : suspects.slice(1)
    if (others.length > 0) {
      yield* Crashes.holdBack(transaction, others)
      // others may wait behind these
      transaction.log.becamePending()
    }
    return new Set(others)
  })

const selectClaimed = `
  SELECT ${Histories.claimedColumns
    .split(", ")
    .map((column) => `r.${column}`)
    .join(", ")},
    r.workflow, r.payload, r.trace_id, r.span_id, r.sampled, r.waits_for, r.crashes, r.timeout, r.slot,
    (SELECT q.name FROM workflow_queues q WHERE q.id = r.queue AND r.slot IS NOT NULL) AS queue_name
  FROM ${Fence.holds}
  JOIN workflow_runs r ON ${Fence.isHold} AND coalesce(r.status, '') = 'running'`

type Row = Histories.Claimed & ClaimedRow

/** Reads runs that were claimed, as they are now. Of one that is too large the history is not read. */
export const read =
  (taken: ReadonlyArray<Taken>, maxRunBytes = Number.POSITIVE_INFINITY) =>
  (sql: Sql): Effect.Effect<ReadonlyArray<ClaimedRun>, SqlError> =>
    Effect.gen(function* () {
      const rows = yield* sql.rows<Row>(selectClaimed, Fence.ofAll(taken.map(({ held }) => held)))
      const rowOf = new Map(rows.map((row) => [row.id, row]))
      const small = taken.filter(({ bytes }) => bytes <= maxRunBytes)
      const old = small.flatMap(({ held }) => {
        const row = rowOf.get(held.key)
        return row === undefined || isNew(row) ? [] : [row]
      })
      const read = yield* Histories.read(sql, old)
      const histories = new Map(old.map(({ id }, index) => [id, read[index]]))
      const signals = yield* Histories.signalsOf(
        sql,
        small.flatMap(({ held }) => (histories.has(held.key) ? [] : [held.runId]))
      )
      const steps = yield* Crashes.startedSteps(
        sql,
        rows.filter(({ crashes }) => crashes > 0).map(({ id }) => id)
      )
      return taken.flatMap((one): ReadonlyArray<ClaimedRun> => {
        const row = rowOf.get(one.held.key)
        if (row === undefined) return []
        const history = histories.get(row.id) ?? Histories.first(row, signals)
        return [toClaimedRun(row, one, { history, startedSteps: steps.get(row.id) ?? [] })]
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
    Effect.map(Histories.ofHeld(sql, runs), (found) =>
      runs.map((held) => Option.fromNullable(found.get(Fence.keyOf(held))))
    )

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
