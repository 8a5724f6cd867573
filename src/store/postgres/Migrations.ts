/**
 * The schema's history. Append-only: a released migration never changes, a new one is added. What the
 * columns mean is said in the SQLite store's.
 *
 * Values are `text` and not `jsonb`, which refuses `\u0000` and changes numbers. Names are compared by
 * their bytes. Functions carry a version in their names: in a rolling deploy both are called.
 */
import { claimFunction } from "./ClaimCall.js"
import { commitFunction, wakeParentsFunction } from "./Functions.js"
import { readFunction } from "./ReadCall.js"
import { signalFunction } from "./SignalCall.js"

const initial = [
  // much is updated, and little of it indexed: room in the page spares the indexes
  `CREATE TABLE workflow_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch bigint NOT NULL,
    executor bigint,
    wake_at bigint,
    created_at bigint NOT NULL,
    started_at bigint,
    completed_at bigint,
    interrupt_at bigint,
    claim integer NOT NULL,
    wakeups integer NOT NULL DEFAULT 0,
    seen_wakeups integer NOT NULL DEFAULT 0,
    interrupt_wakeup integer,
    crashes integer NOT NULL DEFAULT 0,
    interrupt_requested smallint NOT NULL DEFAULT 0,
    at_work smallint NOT NULL DEFAULT 0,
    doubted smallint NOT NULL DEFAULT 0,
    compensated smallint,
    spared smallint,
    sampled smallint,
    status text COLLATE "C" NOT NULL CHECK (
      status IN ('pending', 'running', 'suspended', 'completed', 'failed', 'interrupted')
    ),
    run_id text COLLATE "C" NOT NULL UNIQUE,
    workflow text COLLATE "C" NOT NULL,
    trace_id text,
    span_id text,
    payload text NOT NULL,
    exit text,
    cause text,
    waits_for text
  ) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05
  )`,
  `CREATE INDEX workflow_runs_pending ON workflow_runs (workflow, id)
    WHERE status = 'pending'`,
  `CREATE INDEX workflow_runs_timers ON workflow_runs (wake_at)
    WHERE status = 'suspended' AND wake_at IS NOT NULL`,
  `CREATE INDEX workflow_runs_held ON workflow_runs (executor)
    WHERE status = 'running'`,
  `CREATE INDEX workflow_runs_blocked ON workflow_runs (id)
    WHERE status = 'suspended' AND cause IS NOT NULL`,
  `CREATE INDEX workflow_runs_ended ON workflow_runs (completed_at, id)
    WHERE completed_at IS NOT NULL AND spared IS NULL`,
  `CREATE INDEX workflow_runs_suspects ON workflow_runs (status, wake_at)
    WHERE crashes >= 2`,
  `CREATE TABLE workflow_steps (
    run bigint NOT NULL,
    position bigint NOT NULL,
    started_at bigint NOT NULL,
    completed_at bigint,
    executor bigint,
    attempt integer NOT NULL,
    is_inner smallint NOT NULL DEFAULT 0,
    status text COLLATE "C" NOT NULL CHECK (
      status IN ('running', 'completed', 'failed', 'interrupted')
    ),
    name text COLLATE "C" NOT NULL,
    exit text,
    PRIMARY KEY (run, name, attempt)
  ) WITH (autovacuum_vacuum_insert_scale_factor = 0.05)`,
  `CREATE TABLE workflow_signals (
    received_at bigint NOT NULL,
    position bigint NOT NULL,
    wakeup integer NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    exit text NOT NULL,
    PRIMARY KEY (run_id, name)
  )`,
  `CREATE INDEX workflow_signals_early ON workflow_signals (received_at)
    WHERE wakeup = 0`,
  `CREATE TABLE workflow_timers (
    run bigint NOT NULL,
    wake_at bigint NOT NULL,
    position bigint NOT NULL,
    fired smallint NOT NULL DEFAULT 0,
    name text COLLATE "C" NOT NULL,
    PRIMARY KEY (run, name)
  )`,
  `CREATE TABLE workflow_children (
    parent bigint NOT NULL,
    child bigint NOT NULL,
    position bigint,
    wakeup integer,
    awaits smallint NOT NULL,
    PRIMARY KEY (parent, child)
  )`,
  "CREATE INDEX workflow_children_of ON workflow_children (child)",
  // `session`: 1 once a session of the database stands for it, see `Liveness`.
  `CREATE TABLE workflow_executors (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at bigint NOT NULL,
    lease_until bigint NOT NULL,
    pid integer NOT NULL,
    session smallint NOT NULL DEFAULT 0,
    state text COLLATE "C" NOT NULL CHECK (state IN ('running', 'draining')),
    host text NOT NULL
  ) WITH (fillfactor = 50)`,
  `CREATE TABLE workflow_terminations (
    executor bigint NOT NULL,
    run bigint NOT NULL,
    at bigint NOT NULL,
    claim integer NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (executor, run)
  )`,
  "CREATE INDEX workflow_terminations_at ON workflow_terminations (at)",
  `CREATE TABLE workflow_removed (
    removed_at bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL PRIMARY KEY
  )`,
  "CREATE INDEX workflow_removed_at ON workflow_removed (removed_at)",
  // Changes to be summed up, and now and then put together: a row that all write would be waited for.
  `CREATE TABLE workflow_counts (
    runs bigint NOT NULL,
    status text COLLATE "C" NOT NULL
  )`,
  `CREATE FUNCTION workflow_count() RETURNS trigger LANGUAGE plpgsql AS $f$
  BEGIN
    IF TG_OP <> 'INSERT' AND old.status NOT IN ('pending', 'running') THEN
      INSERT INTO workflow_counts (status, runs) VALUES (old.status, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND new.status NOT IN ('pending', 'running') THEN
      INSERT INTO workflow_counts (status, runs) VALUES (new.status, 1);
    END IF;
    RETURN NULL;
  END $f$`,
  `CREATE TRIGGER workflow_runs_counted AFTER UPDATE OF status ON workflow_runs
    FOR EACH ROW WHEN (old.status <> new.status AND (
      old.status NOT IN ('pending', 'running') OR new.status NOT IN ('pending', 'running')
    ))
    EXECUTE FUNCTION workflow_count()`,
  `CREATE TRIGGER workflow_runs_removed AFTER DELETE ON workflow_runs
    FOR EACH ROW EXECUTE FUNCTION workflow_count()`,
  `CREATE FUNCTION workflow_count_spared() RETURNS trigger LANGUAGE plpgsql AS $f$
  BEGIN
    IF TG_OP = 'UPDATE' AND new.spared IS NOT NULL THEN
      INSERT INTO workflow_counts (status, runs) VALUES ('spared', 1);
    ELSE
      INSERT INTO workflow_counts (status, runs) VALUES ('spared', -1);
    END IF;
    RETURN NULL;
  END $f$`,
  `CREATE TRIGGER workflow_runs_spared AFTER UPDATE OF spared ON workflow_runs
    FOR EACH ROW WHEN ((old.spared IS NULL) <> (new.spared IS NULL))
    EXECUTE FUNCTION workflow_count_spared()`,
  `CREATE TRIGGER workflow_runs_spared_removed AFTER DELETE ON workflow_runs
    FOR EACH ROW WHEN (old.spared IS NOT NULL) EXECUTE FUNCTION workflow_count_spared()`,
  wakeParentsFunction
]

/** See `startOptions` of the SQLite store. */
const startOptions = [
  `ALTER TABLE workflow_runs
    ADD COLUMN priority integer NOT NULL DEFAULT 0,
    ADD COLUMN gate smallint,
    ADD COLUMN start_at bigint,
    ADD COLUMN timeout bigint,
    ADD COLUMN deadline bigint,
    ADD COLUMN timed_out smallint,
    ADD COLUMN labels text`,
  "DROP INDEX workflow_runs_pending",
  `CREATE INDEX workflow_runs_pending ON workflow_runs (workflow, priority, id)
    WHERE status = 'pending'`,
  `CREATE INDEX workflow_runs_held_back ON workflow_runs (gate)
    WHERE status = 'suspended' AND gate IS NOT NULL`,
  `CREATE INDEX workflow_runs_deadlines ON workflow_runs (deadline)
    WHERE deadline IS NOT NULL AND timed_out IS NULL AND completed_at IS NULL`,
  `CREATE TABLE workflow_labels (
    run bigint NOT NULL,
    label text COLLATE "C" NOT NULL,
    PRIMARY KEY (label, run)
  )`,
  "CREATE INDEX workflow_labels_of ON workflow_labels (run)",
  `CREATE FUNCTION workflow_forget_labels() RETURNS trigger LANGUAGE plpgsql AS $f$
  BEGIN
    DELETE FROM workflow_labels WHERE run = old.id;
    RETURN NULL;
  END $f$`,
  `CREATE TRIGGER workflow_runs_labelled AFTER DELETE ON workflow_runs
    FOR EACH ROW WHEN (old.labels IS NOT NULL) EXECUTE FUNCTION workflow_forget_labels()`
]

/** See `queues` of the SQLite store. Marks are only added, so that nobody waits for another's. */
const queues = [
  `CREATE TABLE workflow_queues (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    turn bigint NOT NULL DEFAULT 0,
    paused smallint NOT NULL DEFAULT 0,
    name text COLLATE "C" NOT NULL UNIQUE,
    declared text NOT NULL,
    override text
  )`,
  `CREATE TABLE workflow_lanes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue bigint NOT NULL,
    turn bigint NOT NULL DEFAULT 0,
    next_at bigint,
    ready smallint NOT NULL DEFAULT 0,
    key text COLLATE "C" NOT NULL,
    UNIQUE (queue, key)
  )`,
  "CREATE INDEX workflow_lanes_ready ON workflow_lanes (queue, turn, id) WHERE ready = 1",
  "CREATE INDEX workflow_lanes_next ON workflow_lanes (next_at) WHERE next_at IS NOT NULL",
  "CREATE TABLE workflow_lane_marks (queue bigint NOT NULL, lane bigint NOT NULL)",
  "CREATE INDEX workflow_lane_marks_of ON workflow_lane_marks (queue, lane)",
  `CREATE TABLE workflow_begins (
    lane bigint NOT NULL,
    at bigint NOT NULL,
    run bigint NOT NULL,
    PRIMARY KEY (lane, at, run)
  )`,
  `ALTER TABLE workflow_runs
    ADD COLUMN queue bigint,
    ADD COLUMN lane bigint,
    ADD COLUMN slot smallint`,
  "CREATE INDEX workflow_runs_slots ON workflow_runs (queue, lane) WHERE slot IS NOT NULL",
  `CREATE INDEX workflow_runs_queued ON workflow_runs (queue, lane, priority, id)
    WHERE gate = 2 AND status = 'suspended'`,
  `CREATE INDEX workflow_runs_queued_again ON workflow_runs (queue, lane, priority, id)
    WHERE gate = 2 AND status = 'suspended' AND started_at IS NOT NULL`,
  `CREATE FUNCTION workflow_to_lane() RETURNS trigger LANGUAGE plpgsql AS $f$
  BEGIN
    UPDATE workflow_runs SET
      status = 'suspended', gate = 2, wake_at = NULL, executor = NULL,
      claim = claim + (executor IS NOT NULL)::integer
      WHERE id = new.id;
    INSERT INTO workflow_lane_marks (queue, lane) VALUES (new.queue, new.lane);
    RETURN NULL;
  END $f$`,
  `CREATE TRIGGER workflow_runs_to_lane AFTER UPDATE OF status ON workflow_runs
    FOR EACH ROW WHEN (
      new.lane IS NOT NULL AND new.slot IS NULL AND new.status IN ('pending', 'running')
      AND NOT (new.status = 'running' AND old.status = 'pending')
      AND (new.started_at IS NOT NULL OR new.interrupt_requested = 0)
    ) EXECUTE FUNCTION workflow_to_lane()`,
  `CREATE FUNCTION workflow_from_slot() RETURNS trigger LANGUAGE plpgsql AS $f$
  BEGIN
    UPDATE workflow_runs SET slot = NULL WHERE id = new.id;
    INSERT INTO workflow_lane_marks (queue, lane) VALUES (new.queue, new.lane);
    RETURN NULL;
  END $f$`,
  `CREATE TRIGGER workflow_runs_from_slot AFTER UPDATE OF status ON workflow_runs
    FOR EACH ROW WHEN (
      old.slot IS NOT NULL AND new.status NOT IN ('pending', 'running')
      AND (new.status <> 'suspended' OR old.slot = 1 OR new.cause IS NOT NULL)
    ) EXECUTE FUNCTION workflow_from_slot()`
]

/** What is to be started at which times. */
const schedules = [
  // `decided_to`: what became of every tick up to this time is decided.
  `CREATE TABLE workflow_schedules (
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    decided_to bigint NOT NULL,
    waiting_tick bigint,
    next_at bigint,
    started bigint NOT NULL,
    last_started bigint,
    last_skipped bigint,
    last_missed bigint,
    paused smallint NOT NULL,
    name text COLLATE "C" NOT NULL PRIMARY KEY,
    workflow text COLLATE "C" NOT NULL,
    origin text COLLATE "C" NOT NULL CHECK (origin IN ('declared', 'set')),
    payload text COLLATE "C" NOT NULL,
    definition text COLLATE "C" NOT NULL
  )`,
  `CREATE INDEX workflow_schedules_next ON workflow_schedules (next_at, name)
    WHERE next_at IS NOT NULL AND paused = 0`,
  `CREATE INDEX workflow_schedules_waiting ON workflow_schedules (waiting_tick, name)
    WHERE waiting_tick IS NOT NULL AND paused = 0`,
  // Those that were not over when one was started last.
  `CREATE TABLE workflow_schedule_runs (
    schedule text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (schedule, run_id)
  )`
]

/** See `bulk` of the SQLite store. */
const bulk = [
  `CREATE TABLE workflow_bulk (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    requested_at bigint NOT NULL,
    completed_at bigint,
    below bigint NOT NULL,
    matched bigint NOT NULL,
    done bigint NOT NULL DEFAULT 0,
    executor bigint,
    lease_until bigint,
    action text NOT NULL,
    state text NOT NULL DEFAULT 'running',
    filter text NOT NULL,
    options text NOT NULL,
    refused text NOT NULL
  )`,
  "CREATE INDEX workflow_bulk_running ON workflow_bulk (id) WHERE state = 'running'",
  `CREATE INDEX workflow_bulk_completed ON workflow_bulk (completed_at)
    WHERE completed_at IS NOT NULL`
]

/** See `arrivals` of the SQLite store. */
const arrivals = [
  "ALTER TABLE workflow_lanes ADD COLUMN debounced_from bigint",
  `CREATE INDEX workflow_runs_of_lane ON workflow_runs (queue, lane, id)
    WHERE lane IS NOT NULL AND status IN ('pending', 'running', 'suspended')`,
  `CREATE TABLE workflow_paused (
    since bigint NOT NULL,
    parks smallint NOT NULL,
    workflow text COLLATE "C" NOT NULL PRIMARY KEY
  )`,
  `CREATE INDEX workflow_runs_pending_again ON workflow_runs (workflow, priority, id)
    WHERE status = 'pending' AND (started_at IS NOT NULL OR interrupt_requested = 1)`
]

/** The runs that people look for among many that have ended well, newest first. */
const soughtRuns = [
  `CREATE INDEX workflow_runs_unfinished ON workflow_runs (id)
    WHERE completed_at IS NULL`,
  `CREATE INDEX workflow_runs_unsuccessful ON workflow_runs (id)
    WHERE status IN ('failed', 'interrupted')`
]

/** During a deploy executors of several versions work on one store. */
const executorVersions = ["ALTER TABLE workflow_executors ADD COLUMN version text"]

/** Who waits in another process for a run's end is told of it. */
const awaitedEnds = ["ALTER TABLE workflow_runs ADD COLUMN awaited smallint"]

/** `batch`: the commit that has stored it. */
const signalsByCall = ["ALTER TABLE workflow_signals ADD COLUMN batch bigint", signalFunction]

/** See `parkedQueues` of the SQLite store. */
const parkedQueues = [
  `CREATE FUNCTION workflow_parked() RETURNS trigger LANGUAGE plpgsql AS $f$
  BEGIN
    IF EXISTS (SELECT 1 FROM workflow_queues WHERE id = new.queue AND paused = 2) THEN
      UPDATE workflow_runs SET slot = NULL, status = 'suspended', gate = 2, wake_at = NULL
        WHERE id = new.id;
      INSERT INTO workflow_lane_marks (queue, lane) VALUES (new.queue, new.lane);
    END IF;
    RETURN NULL;
  END $f$`,
  `CREATE TRIGGER workflow_runs_parked AFTER UPDATE OF status ON workflow_runs
    FOR EACH ROW WHEN (
      new.slot IS NOT NULL AND new.status = 'pending'
      AND (new.started_at IS NOT NULL OR new.interrupt_requested = 0)
    ) EXECUTE FUNCTION workflow_parked()`
]

/** See `Outcome`. */
const commitMarks = [
  `CREATE TABLE workflow_commits (
    slot bigint NOT NULL PRIMARY KEY,
    batch bigint NOT NULL,
    at bigint NOT NULL
  ) WITH (fillfactor = 50)`
]

/** Of the runs of a lane that wait, those that are interrupted go first. */
const interruptedInLanes = [
  `CREATE INDEX workflow_runs_queued_interrupted ON workflow_runs (queue, lane, priority, id)
    WHERE gate = 2 AND status = 'suspended' AND interrupt_requested = 1`
]

/** Name, beginning with its number, to the statements. */
export const migrations: Readonly<Record<string, ReadonlyArray<string>>> = {
  "0001_initial": initial,
  "0002_start_options": startOptions,
  "0003_queues": queues,
  "0004_schedules": schedules,
  "0005_bulk": bulk,
  "0006_arrivals": arrivals,
  "0007_sought_runs": soughtRuns,
  "0008_executor_versions": executorVersions,
  "0009_awaited_ends": awaitedEnds,
  "0010_signals_by_call": signalsByCall,
  "0011_parked_queues": parkedQueues,
  "0012_commit_marks": commitMarks,
  "0013_fenced_by_holder": [commitFunction],
  "0014_claims_by_call": [claimFunction],
  "0015_reads_by_call": [readFunction],
  "0016_interrupted_in_lanes": interruptedInLanes
}
