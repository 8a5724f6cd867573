/**
 * Signals to runs that are there, in one round trip and one commit: a function of the database, which
 * also tells the other executors. See `Functions` on what such a call is.
 *
 * A signal may come before its run. Then nothing is done: see `WakeUps.signal`.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { positionOfWakeUp } from "../Position.js"
import { isHeldBack } from "../Rows.js"
import type { RunStatus, Signal } from "../RunStore.js"
import type { Told } from "./Commit.js"
import {
  databaseTime,
  isUnfinished,
  plannedOnce,
  returningWoken,
  staysHeldBack,
  wakeUp
} from "./Fragments.js"
import type { Transaction } from "./Transaction.js"

/** So many runs a note names, in so many bytes: it has 8,000 at most. Where there are more everybody looks. */
export const mostTold = 20
export const mostBytesTold = 4_000

/**
 * Runs are locked first, in the order of their keys. One that is sent again, because the answer was
 * lost, is known by its batch, and answered as it would have been.
 */
export const signalFunction = `
CREATE FUNCTION workflow_signal_v1(
  p_run_id text[], p_name text[], p_exit text[],
  p_now bigint, p_lease_now bigint, p_batch bigint, p_channel text, p_from text,
  p_at double precision
) RETURNS TABLE(kind text, number integer, run_id text, status text, claim integer, wakeups integer)
LANGUAGE plpgsql ${plannedOnce} AS $f$
#variable_conflict use_column
DECLARE
  p_count bigint;
  p_signal record;
  p_woken record;
  p_told text[] := '{}';
  p_pending boolean := false;
BEGIN
  p_lease_now := coalesce(p_lease_now, ${databaseTime});
  PERFORM 1 FROM workflow_runs r WHERE r.run_id = ANY(p_run_id) ORDER BY r.id FOR NO KEY UPDATE;
  GET DIAGNOSTICS p_count = ROW_COUNT;
  IF p_count < (SELECT count(DISTINCT u) FROM unnest(p_run_id) u) THEN
    RETURN QUERY SELECT 'early', 0, NULL::text, NULL::text, 0, 0;
    RETURN;
  END IF;
  FOR p_signal IN
    SELECT v.run_id AS run, v.name, v.exit, v.ord::integer AS ord
    FROM unnest(p_run_id, p_name, p_exit) WITH ORDINALITY v(run_id, name, exit, ord) ORDER BY v.ord
  LOOP
    INSERT INTO workflow_signals (run_id, name, exit, received_at, wakeup, position, batch)
      SELECT r.run_id, p_signal.name, p_signal.exit, p_now, r.wakeups + 1, ${positionOfWakeUp("r")},
        p_batch
      FROM workflow_runs r WHERE r.run_id = p_signal.run
      ON CONFLICT (run_id, name) DO NOTHING;
    GET DIAGNOSTICS p_count = ROW_COUNT;
    IF p_count > 0 THEN
      RETURN QUERY SELECT 'stored', p_signal.ord, p_signal.run, NULL::text, 0, 0;
      p_told := p_told || p_signal.run;
      UPDATE workflow_runs r SET ${staysHeldBack}
        WHERE r.run_id = p_signal.run AND ${isHeldBack("r")};
      IF NOT FOUND THEN
        FOR p_woken IN UPDATE workflow_runs r SET ${wakeUp("p_lease_now")}
          WHERE r.run_id = p_signal.run AND r.${isUnfinished} ${returningWoken}
        LOOP
          p_pending := p_pending OR p_woken.status = 'pending';
          RETURN QUERY SELECT 'woken', p_signal.ord, p_woken.run_id, p_woken.status, p_woken.claim,
            p_woken.wakeups;
        END LOOP;
      END IF;
    ELSIF EXISTS (
      SELECT 1 FROM workflow_signals s
      WHERE s.run_id = p_signal.run AND s.name = p_signal.name AND s.batch = p_batch
    ) THEN
      RETURN QUERY SELECT 'stored', p_signal.ord, p_signal.run, NULL::text, 0, 0;
      RETURN QUERY SELECT 'woken', p_signal.ord, r.run_id, r.status, r.claim, r.wakeups
        FROM workflow_runs r WHERE r.run_id = p_signal.run AND r.${isUnfinished}
          AND NOT ${isHeldBack("r")};
    END IF;
  END LOOP;
  IF p_channel IS NOT NULL AND cardinality(p_told) > 0 THEN
    PERFORM pg_notify(p_channel, (
      jsonb_build_object('from', p_from, 'at', p_at, 'pending', p_pending, 'woken', true) || CASE
        WHEN cardinality(p_told) <= ${mostTold}
          AND octet_length(to_json(p_told)::text) < ${mostBytesTold}
          THEN jsonb_build_object('runs', p_told)
        ELSE '{}'::jsonb
      END
    )::text);
  END IF;
END $f$`

const call = `SELECT * FROM workflow_signal_v1(
  $1::text[], $2::text[], $3::text[], $4::bigint, $5::bigint, $6::bigint, $7::text, $8::text,
  $9::double precision)`

type Row =
  | { readonly kind: "early" }
  | { readonly kind: "stored"; readonly number: number }
  | {
      readonly kind: "woken"
      readonly run_id: string
      readonly status: RunStatus
      readonly claim: number
      readonly wakeups: number
    }

/**
 * Answers of each whether it was stored, and in the log what that did; or `early`, with nothing done,
 * where the run of one is not there.
 */
export const signalAll = (
  transaction: Omit<Transaction, "leaseNow" | "alone"> & { readonly leaseNow: number | null },
  signals: ReadonlyArray<Signal>,
  told: Told
): Effect.Effect<ReadonlyArray<boolean> | "early", SqlError> => {
  const { batch, leaseNow, log, now } = transaction
  const first = firstOfEach(signals)
  return Effect.map(
    transaction.rows<Row>(call, [
      first.map(({ runId }) => runId),
      first.map(({ name }) => name),
      first.map(({ exit }) => exit),
      now,
      leaseNow,
      batch,
      told.channel,
      told.from,
      // by the clock of who hears of itself; nobody else's
      performance.now()
    ]),
    (rows) => {
      const stored = new Set<Signal>()
      for (const row of rows) {
        switch (row.kind) {
          case "early":
            return "early"
          case "stored": {
            const signal = first[row.number - 1]
            if (signal !== undefined) stored.add(signal)
            break
          }
          case "woken":
            if (row.status === "pending") log.becamePending()
            log.wokeUp({ runId: row.run_id, claim: row.claim, wakeups: row.wakeups, at: now })
        }
      }
      for (const { exit, name, runId } of stored) log.signal(runId, name, exit)
      return signals.map((signal) => stored.has(signal))
    }
  )
}

/** One call stores none twice: of two with one name the first is kept. */
const firstOfEach = (signals: ReadonlyArray<Signal>): ReadonlyArray<Signal> => {
  const seen = new Set<string>()
  return signals.filter(({ name, runId }) => {
    const key = JSON.stringify([runId, name])
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}
