/**
 * The oldest runs that an executor may take: a function of the database, in whatever transaction there is.
 * Who waits for a run to go on waits for this too, and it is planned once for each connection.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { suspicious } from "../Judgement.js"
import type { ClaimOptions, Millis } from "../RunStore.js"
import { plannedOnce, takenOver } from "./Fragments.js"
import { bytesOfRun } from "./History.js"
import type { Transaction } from "./Transaction.js"

/** So many times as many are looked at as are wanted: others may be claiming the first ones. */
const beyond = 4

/** What becomes of a run `r` that is claimed. */
const setClaimed = ({ executor, now }: { readonly executor: string; readonly now: string }) => `
  status = 'running', executor = ${executor}, claim = r.claim + 1, seen_wakeups = r.wakeups,
  started_at = coalesce(r.started_at, ${now}), at_work = (r.crashes > 0)::integer,
  deadline = CASE WHEN r.timeout IS NOT NULL THEN coalesce(r.deadline, ${now} + r.timeout) END`

/**
 * An executor that was taken over must not claim: nobody would ever take over from it again. Of the
 * oldest those are taken with which it comes to so many bytes, or to one run. Suspects among them are
 * locked and answered, and not claimed. A row without an id says that there is a queue.
 */
export const claimFunction = `
CREATE FUNCTION workflow_claim_v1(
  p_executor bigint, p_now bigint, p_names text[], p_limit bigint, p_max_bytes numeric
) RETURNS TABLE(id bigint, bytes bigint, run_id text, claim integer, deadline bigint)
LANGUAGE plpgsql ${plannedOnce} AS $f$
#variable_conflict use_column
BEGIN
  PERFORM 1 FROM workflow_executors e
    WHERE e.id = p_executor AND e.lease_until <> ${takenOver} FOR SHARE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT NULL::bigint, NULL::bigint, NULL::text, NULL::integer, NULL::bigint
    WHERE EXISTS (SELECT 1 FROM workflow_queues);
  RETURN QUERY WITH oldest AS MATERIALIZED (
    SELECT b.id FROM (
      SELECT r.id, r.priority FROM unnest(p_names) w(name)
      CROSS JOIN LATERAL (
        SELECT id, priority FROM workflow_runs
        WHERE workflow = w.name AND status = 'pending' ORDER BY priority, id LIMIT p_limit * ${beyond}
      ) r
      WHERE NOT EXISTS (SELECT 1 FROM workflow_paused p WHERE p.workflow = w.name)
      UNION ALL
      -- of workflows that are paused, those that go on
      SELECT r.id, r.priority FROM workflow_paused p
      CROSS JOIN LATERAL (
        SELECT id, priority FROM workflow_runs
        WHERE workflow = p.workflow AND status = 'pending'
          AND (started_at IS NOT NULL OR interrupt_requested = 1)
        ORDER BY priority, id LIMIT p_limit * ${beyond}
      ) r
      WHERE p.parks = 0 AND p.workflow = ANY(p_names)
    ) b
    ORDER BY b.priority, b.id LIMIT p_limit * ${beyond}
  ), free AS MATERIALIZED (
    SELECT r.id, r.run_id, r.crashes, r.priority, r.payload FROM workflow_runs r
    WHERE r.id = ANY(ARRAY(SELECT o.id FROM oldest o)) AND r.status = 'pending'
    ORDER BY r.priority, r.id LIMIT p_limit FOR UPDATE OF r SKIP LOCKED
  ), sized AS (
    SELECT r.id, r.crashes, r.priority, ${bytesOfRun} AS bytes FROM free r
  ), summed AS (
    SELECT s.*, sum(s.bytes) OVER (ORDER BY s.priority, s.id) - s.bytes AS before FROM sized s
  ), fitting AS MATERIALIZED (
    SELECT s.* FROM summed s WHERE s.before = 0 OR s.before < p_max_bytes
  ), claimed AS (
    UPDATE workflow_runs r SET ${setClaimed({ executor: "p_executor", now: "p_now" })}
    FROM fitting f WHERE r.id = f.id AND f.crashes < ${suspicious}
    RETURNING r.id, r.run_id, r.claim, r.deadline
  )
  SELECT f.id, f.bytes, c.run_id, c.claim, c.deadline
  FROM fitting f LEFT JOIN claimed c ON c.id = f.id ORDER BY f.priority, f.id;
END $f$`

const call = `SELECT * FROM workflow_claim_v1(
  $1::bigint, $2::bigint, $3::text[], $4::bigint, $5::numeric)`

/** A run that was claimed. */
export interface ClaimedNow {
  readonly id: number
  readonly run_id: string
  readonly claim: number
  readonly deadline: Millis | null
}

/** Of JSON; a suspect has no claim yet. */
export type Oldest = { readonly bytes: number } & (
  | ClaimedNow
  | { readonly id: number; readonly claim: null }
)

/**
 * In their order.
 *
 * @param onQueue there is a queue, which somebody else may have made
 */
export const claimOldest = (
  { now, rows }: Transaction,
  { executor, limit, maxBytes = Number.POSITIVE_INFINITY, workflows }: ClaimOptions,
  onQueue: () => void
): Effect.Effect<ReadonlyArray<Oldest>, SqlError> =>
  Effect.map(
    rows<Oldest | { readonly id: null }>(call, [
      executor,
      now,
      [...new Set(workflows)],
      limit,
      maxBytes
    ]),
    (answered) => {
      const oldest = answered.filter((row) => row.id !== null)
      if (oldest.length < answered.length) onQueue()
      return oldest
    }
  )

const updateSuspect = `
  UPDATE workflow_runs r SET ${setClaimed({ executor: "$1::bigint", now: "$2::bigint" })}
  WHERE r.id = $3::bigint
  RETURNING r.id, r.run_id, r.claim, r.deadline`

/** One that is locked. */
export const claimSuspect = (
  { now, rows }: Transaction,
  executor: number,
  suspect: number
): Effect.Effect<ReadonlyArray<ClaimedNow>, SqlError> =>
  rows(updateSuspect, [executor, now, suspect])
