/**
 * What an executor writes most - new runs, steps, ends - in one round trip and one commit: a function
 * of the database. It takes a new snapshot for each of its statements, as READ COMMITTED does for a
 * client's, but between them no client can freeze with locks in its hand.
 *
 * Done again with the same `p_batch`, because its answer was lost, it writes nothing twice and answers
 * as it would have: new runs and ends bear the batch, and a step that is recorded stays.
 */
import { positionOfHolder, positionOfWakeUp } from "../Position.js"
import * as Fence from "./Fence.js"
import {
  byIndex,
  creationLock,
  databaseTime,
  isUnfinished,
  plannedOnce,
  returningWoken,
  takenOver,
  wakeUp
} from "./Fragments.js"

/** Wakes the runs that wait for this one. Parents are locked first, so that their counts are right. */
export const wakeParentsFunction = `
CREATE FUNCTION workflow_wake_parents_v1(p_child bigint, p_lease_now bigint)
RETURNS TABLE(run_id text, status text, claim integer, wakeups integer) LANGUAGE plpgsql
${byIndex} AS $f$
#variable_conflict use_column
DECLARE
  p_parent bigint;
BEGIN
  FOR p_parent IN
    SELECT c.parent FROM workflow_children c
    WHERE c.child = p_child AND c.awaits = 1 ORDER BY c.parent
  LOOP
    PERFORM 1 FROM workflow_runs r WHERE r.id = p_parent FOR NO KEY UPDATE;
    UPDATE workflow_children c SET
      awaits = 0, wakeup = r.wakeups + 1, position = ${positionOfWakeUp("r")}
    FROM workflow_runs r
    WHERE c.child = p_child AND c.parent = p_parent AND c.awaits = 1 AND r.id = c.parent;
    RETURN QUERY UPDATE workflow_runs r SET ${wakeUp("p_lease_now")}
      WHERE r.id = p_parent AND r.${isUnfinished} ${returningWoken};
  END LOOP;
END $f$`

/** When whoever creates a run may claim it at once. */
const unlessPaused = `
        AND NOT EXISTS (SELECT 1 FROM workflow_paused p WHERE p.workflow = v.workflow)`

const createRuns = `
    PERFORM pg_advisory_xact_lock_shared(${creationLock});
    -- whoever takes over from it waits
    PERFORM 1 FROM workflow_executors e
      WHERE e.id = ANY(c_executor) AND e.lease_until <> ${takenOver} ORDER BY e.id FOR SHARE;
    RETURN QUERY INSERT INTO workflow_runs AS t (
        run_id, workflow, payload, trace_id, span_id, sampled, created_at, batch,
        executor, status, claim, started_at
      )
      SELECT v.run_id, v.workflow, v.payload, v.trace_id, v.span_id, v.sampled, p_now, p_batch,
        e.id, CASE WHEN e.id IS NULL THEN 'pending' ELSE 'running' END,
        (e.id IS NOT NULL)::integer, CASE WHEN e.id IS NOT NULL THEN p_now END
      FROM unnest(c_run_id, c_workflow, c_payload, c_trace_id, c_span_id, c_sampled, c_executor)
        WITH ORDINALITY v(run_id, workflow, payload, trace_id, span_id, sampled, executor, ord)
      LEFT JOIN workflow_executors e ON e.id = v.executor AND e.lease_until <> ${takenOver} ${unlessPaused}
      ORDER BY v.ord
      ON CONFLICT (run_id) DO NOTHING
      RETURNING 'created', t.id, t.run_id, t.executor, NULL::text, NULL::text;
    GET DIAGNOSTICS p_count = ROW_COUNT;
    p_pending := EXISTS (
      SELECT 1 FROM workflow_runs t
      WHERE p_count > 0 AND t.run_id = ANY(c_run_id) AND t.batch = p_batch AND t.executor IS NULL
    );
    IF p_count < cardinality(c_run_id) THEN
      -- those of this batch that are there already were created by it
      RETURN QUERY SELECT 'again', t.id, t.run_id, t.executor, NULL::text, NULL::text
        FROM workflow_runs t
        WHERE t.run_id = ANY(c_run_id) AND t.batch = p_batch AND t.claim <= 1
          AND coalesce(t.completed_at, 0) = 0;
    END IF;
    -- they may have come before their run did
    RETURN QUERY SELECT 'signal', NULL::bigint, s.run_id, NULL::bigint, s.name, s.exit
      FROM workflow_signals s WHERE s.run_id = ANY(c_run_id) ORDER BY s.run_id, s.name;`

/** Holds, as a parameter for each of their columns. @param prefix what the parameters' names begin with */
const holdParams = (prefix: string) => `${prefix}_run bigint[], ${prefix}_claim integer[],
  ${prefix}_executor bigint[], ${prefix}_run_id text[]`

/** The same, as `unnest` takes them. */
const holds = (prefix: string) =>
  `${prefix}_run, ${prefix}_claim, ${prefix}_executor, ${prefix}_run_id`

const holdColumns = "run, claim, executor, run_id"

/** Of the run `r` and the hold `v`. */
const isHold = `${Fence.isHold} AND coalesce(r.status, '') = 'running'`

/** The share lock on the executor's row is what a take-over waits for, and its mark refuses the step. */
const recordSteps = `
    INSERT INTO workflow_steps AS t (
        run, position, name, attempt, status, started_at, completed_at, exit, is_inner, executor
      )
      SELECT r.id, ${positionOfHolder("r", "v.count")}, v.name, v.attempt, v.status,
        v.started_at, v.completed_at, v.exit, v.is_inner, r.executor
      FROM unnest(
        ${holds("s")}, s_count, s_name, s_attempt, s_status, s_started_at,
        s_completed_at, s_exit, s_inner
      ) v(${holdColumns}, count, name, attempt, status, started_at, completed_at, exit, is_inner)
      JOIN workflow_runs r ON ${isHold}
      JOIN workflow_executors e ON e.id = r.executor AND e.lease_until <> ${takenOver}
      FOR SHARE OF e
      ON CONFLICT (run, name, attempt) DO UPDATE SET
        status = excluded.status, started_at = excluded.started_at,
        completed_at = excluded.completed_at, exit = excluded.exit,
        is_inner = excluded.is_inner, executor = excluded.executor
      WHERE t.exit IS NULL;
    GET DIAGNOSTICS p_count = ROW_COUNT;
    RETURN QUERY SELECT 'steps', p_count, NULL::text, NULL::bigint, NULL::text, NULL::text;
    IF 'running' = ANY(s_status) THEN
      -- of a run whose executors have not died nothing is to be told
      UPDATE workflow_runs r SET at_work = 1
        FROM unnest(${holds("s")}, s_status) v(${holdColumns}, status)
        WHERE ${isHold} AND v.status = 'running' AND r.crashes >= 1;
    END IF;
    IF cardinality(t_run) > 0 THEN
      INSERT INTO workflow_timers (run, name, wake_at, position)
        SELECT DISTINCT ON (v.run, v.name)
          v.run, v.name, v.wake_at, ${positionOfHolder("r", "v.count")}
        FROM unnest(${holds("t")}, t_name, t_wake_at, t_count) WITH ORDINALITY
          v(${holdColumns}, name, wake_at, count, ord)
        JOIN workflow_runs r ON ${isHold}
        ORDER BY v.run, v.name, v.ord
        ON CONFLICT (run, name) DO NOTHING;
    END IF;`

/** By which of the holds it was: two of one key may be in one call. */
const tellEnded = `
    RETURN QUERY SELECT 'ended', u, NULL::text, NULL::bigint, NULL::text, NULL::text
      FROM unnest(p_holds) u;
    IF cardinality(p_holds) < cardinality(e_run) THEN
      -- of those that are over who had them is not known any more: no batch has two ends of a run
      RETURN QUERY SELECT 'ended', v.ord, NULL::text, NULL::bigint, NULL::text, NULL::text
        FROM unnest(${holds("e")}) WITH ORDINALITY v(${holdColumns}, ord)
        JOIN workflow_runs r ON r.id = v.run AND r.claim = v.claim
          AND coalesce(r.run_id, '') = v.run_id AND coalesce(r.batch, 0) = p_batch
        WHERE r.completed_at IS NOT NULL AND NOT r.id = ANY(p_ended);
    END IF;`

const endRuns = `
    WITH done AS (
      UPDATE workflow_runs r SET
        status = v.status, exit = v.exit, completed_at = p_now, executor = NULL,
        compensated = v.compensated, crashes = 0, waits_for = NULL, batch = p_batch
      FROM unnest(${holds("e")}, e_status, e_exit, e_compensated)
        WITH ORDINALITY v(${holdColumns}, status, exit, compensated, ord)
      WHERE ${isHold}
      RETURNING r.id, r.awaited, r.status, v.ord
    ) SELECT coalesce(array_agg(id), '{}'), coalesce(bool_or(awaited = 1), false),
        coalesce(array_agg(ord), '{}'), array_agg(id) FILTER (WHERE status = 'completed')
      INTO p_ended, p_woken, p_holds, p_completed FROM done;${tellEnded}
    -- any that has not completed may be retried, and is not to sleep again
    DELETE FROM workflow_timers WHERE run = ANY(p_completed);
    FOR p_run IN
      SELECT u FROM unnest(p_ended) u WHERE EXISTS (
        SELECT 1 FROM workflow_children c WHERE c.child = u AND c.awaits = 1
      ) ORDER BY u
    LOOP
      p_woken := true;
      RETURN QUERY SELECT 'woken', w.claim::bigint, w.run_id, w.wakeups::bigint, w.status, NULL::text
        FROM workflow_wake_parents_v1(p_run, p_lease_now) w;
    END LOOP;`

/**
 * It looks at a run by its key or its id alone, for its plans may be of a time when there were no runs.
 * Those before the fourth were of no release.
 */
export const commitFunction = `
CREATE FUNCTION workflow_commit_v4(
  c_run_id text[], c_workflow text[], c_payload text[], c_trace_id text[], c_span_id text[],
  c_sampled smallint[], c_executor bigint[],
  ${holdParams("s")}, s_count bigint[], s_name text[], s_attempt integer[],
  s_status text[], s_started_at bigint[], s_completed_at bigint[], s_exit text[],
  s_inner smallint[],
  ${holdParams("t")}, t_name text[], t_wake_at bigint[], t_count bigint[],
  ${holdParams("e")}, e_status text[], e_exit text[], e_compensated smallint[],
  p_now bigint, p_lease_now bigint, p_batch bigint, p_channel text, p_from text
) RETURNS TABLE(kind text, key bigint, run_id text, number bigint, name text, exit text)
LANGUAGE plpgsql ${plannedOnce} AS $f$
#variable_conflict use_column
DECLARE
  p_count bigint;
  p_ended bigint[];
  p_holds bigint[];
  p_completed bigint[];
  p_run bigint;
  p_pending boolean := false;
  p_woken boolean := false;
BEGIN
  p_lease_now := coalesce(p_lease_now, ${databaseTime});
  IF cardinality(c_run_id) > 0 THEN ${createRuns}
  END IF;
  IF cardinality(s_run) > 0 THEN ${recordSteps}
  END IF;
  IF cardinality(e_run) > 0 THEN ${endRuns}
  END IF;
  IF p_channel IS NOT NULL AND (p_pending OR p_woken) THEN
    PERFORM pg_notify(
      p_channel, json_build_object('from', p_from, 'pending', true, 'woken', p_woken)::text
    );
  END IF;
END $f$`
