/**
 * Runs that are held, with all that they have been through: a function of the database, planned once for
 * each connection. Planning it took twice as long as reading a run does.
 */
import * as Fence from "./Fence.js"
import { plannedOnce } from "./Fragments.js"

/** What of a run is read for its history. */
const ofAll = [
  ["claim", "integer"],
  ["executor", "bigint"],
  ["wakeups", "integer"],
  ["interrupt_requested", "smallint"],
  ["interrupt_wakeup", "integer"],
  ["interrupt_at", "bigint"]
] as const

/** What more is read of a run that was claimed. */
const ofClaimed = [
  ["workflow", "text"],
  ["payload", "text"],
  ["trace_id", "text"],
  ["span_id", "text"],
  ["sampled", "smallint"],
  ["waits_for", "text"],
  ["crashes", "integer"],
  ["timeout", "bigint"],
  ["lane", "bigint"],
  ["slot", "smallint"]
] as const

const whereClaimed = (expression: string) => `CASE WHEN p_claimed THEN ${expression} END`

const columns = [
  ...ofAll.map(([name]) => `r.${name}`),
  ...ofClaimed.map(([name]) => `${whereClaimed(`r.${name}`)} AS ${name}`),
  `${whereClaimed(
    "(SELECT q.name FROM workflow_queues q WHERE q.id = r.queue AND r.slot IS NOT NULL)"
  )} AS queue_name`
]

const types = [...ofAll, ...ofClaimed, ["queue_name", "text"]] as const

/** @param runs what says, in SQL, the keys of the runs */
const parts = (runs: string) => `
  SELECT 'signal' AS kind, r.id AS run, s.name, s.exit, s.wakeup::bigint AS number, NULL::bigint AS other
  FROM workflow_runs r JOIN workflow_signals s ON s.run_id = r.run_id WHERE r.id = ANY(${runs})
  UNION ALL SELECT 'step', run, name, exit, attempt, is_inner FROM workflow_steps
  WHERE run = ANY(${runs}) AND exit IS NOT NULL
  UNION ALL SELECT 'timer', run, name, NULL, wake_at, fired FROM workflow_timers
  WHERE run = ANY(${runs})
  UNION ALL SELECT 'child', c.parent, r.run_id, r.exit, c.wakeup, NULL
  FROM workflow_children c JOIN workflow_runs r ON r.id = c.child WHERE c.parent = ANY(${runs})`

/**
 * One statement, so all of it is of one moment. A row is a run, or a part of what one has been through;
 * of those that are too large to be read there are no parts.
 */
export const readFunction = `
CREATE FUNCTION workflow_read_v1(
  p_run bigint[], p_claim integer[], p_executor bigint[], p_run_id text[],
  p_small bigint[], p_claimed boolean
) RETURNS TABLE(
  kind text, run bigint, name text, exit text, number bigint, other bigint,
  ${types.map(([name, type]) => `${name} ${type}`).join(", ")}
) LANGUAGE plpgsql ${plannedOnce} AS $f$
#variable_conflict use_column
BEGIN
  RETURN QUERY WITH held AS MATERIALIZED (
    SELECT r.id, r.run_id, ${columns.join(", ")}
    FROM unnest(p_run, p_claim, p_executor, p_run_id) v(run, claim, executor, run_id)
    JOIN workflow_runs r ON ${Fence.isHold} AND coalesce(r.status, '') = 'running'
  )
  SELECT 'run' AS kind, id AS run, run_id AS name, NULL AS exit, NULL::bigint AS number,
    NULL::bigint AS other, ${types.map(([name]) => name).join(", ")}
  FROM held
  UNION ALL SELECT p.*, ${types.map(() => "NULL").join(", ")}
  FROM (${parts("ARRAY(SELECT id FROM held WHERE id = ANY(p_small))")}) p;
END $f$`

/** The first parameters are `Fence.ofAll`, then the keys of those that are not too large to be read. */
const call = (isClaimed: boolean) => `SELECT * FROM workflow_read_v1(
  $1::bigint[], $2::integer[], $3::bigint[], $4::text[], $5::bigint[], ${isClaimed})`

export const readClaimed = call(true)

export const readHistories = call(false)
