/**
 * The schema's history. Append-only: a released migration never changes, a new one is added.
 *
 * Indexes cover unfinished work only: a finished run leaves its primary key, its `run_id`, and where
 * retention finds it.
 * In every table the small columns come first, for SQLite reads past what is before a column and
 * long JSON lies on pages of its own.
 */

const initial = [
  // `wakeups` counts wake-ups; `seen_wakeups` how many the holder knows of.
  `CREATE TABLE workflow_runs (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    status TEXT NOT NULL CHECK (
      status IN ('pending', 'running', 'suspended', 'completed', 'failed', 'interrupted')
    ),
    executor INTEGER,
    claim INTEGER NOT NULL,
    wakeups INTEGER NOT NULL DEFAULT 0,
    seen_wakeups INTEGER NOT NULL DEFAULT 0,
    wake_at INTEGER,
    interrupt_requested INTEGER NOT NULL DEFAULT 0,
    trace_id TEXT,
    span_id TEXT,
    sampled INTEGER,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    completed_at INTEGER,
    payload TEXT NOT NULL,
    exit TEXT,
    cause TEXT
  ) STRICT`,
  `CREATE INDEX workflow_runs_pending ON workflow_runs (workflow, id)
    WHERE status = 'pending'`,
  `CREATE INDEX workflow_runs_timers ON workflow_runs (wake_at)
    WHERE status = 'suspended' AND wake_at IS NOT NULL`,
  `CREATE INDEX workflow_runs_held ON workflow_runs (executor)
    WHERE status = 'running'`,
  // `position` orders steps that started in the same millisecond.
  `CREATE TABLE workflow_steps (
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    position INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'interrupted')),
    started_at INTEGER NOT NULL,
    completed_at INTEGER,
    exit TEXT,
    PRIMARY KEY (run, name, attempt)
  ) STRICT, WITHOUT ROWID`,
  // By `run_id`: a signal may come before its run.
  `CREATE TABLE workflow_signals (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    exit TEXT NOT NULL,
    PRIMARY KEY (run_id, name)
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE workflow_timers (
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    wake_at INTEGER NOT NULL,
    fired INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, name)
  ) STRICT, WITHOUT ROWID`,
  // `awaits` goes back to 0 once the parent was woken, so that the index forgets the pair.
  `CREATE TABLE workflow_children (
    parent INTEGER NOT NULL,
    child INTEGER NOT NULL,
    awaits INTEGER NOT NULL,
    PRIMARY KEY (parent, child)
  ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX workflow_children_awaited ON workflow_children (child)
    WHERE awaits = 1`,
  // AUTOINCREMENT: an id is the right to hold runs and is never given to a second executor.
  `CREATE TABLE workflow_executors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'draining')),
    started_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
  ) STRICT`
]

/**
 * Runs can be retried and removed.
 *
 * Of the pending and the running ones an index of their own knows how many there are; the others are
 * counted as they change.
 */
const finishedRuns = [
  // Whether compensations were executed when it failed; NULL: not known, or not over.
  "ALTER TABLE workflow_runs ADD COLUMN compensated INTEGER",
  "CREATE INDEX workflow_children_of ON workflow_children (child)",
  // The highest id of a run that was removed: the next run's is higher.
  `CREATE TABLE workflow_ids (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL
  ) STRICT`,
  "INSERT INTO workflow_ids (id, last) VALUES (1, 0)",
  `CREATE TABLE workflow_counts (
    status TEXT NOT NULL PRIMARY KEY,
    runs INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
  `INSERT INTO workflow_counts (status, runs)
    VALUES ('suspended', 0), ('completed', 0), ('failed', 0), ('interrupted', 0)`,
  `UPDATE workflow_counts SET runs = counted.runs
    FROM (SELECT status, count(*) AS runs FROM workflow_runs GROUP BY status) AS counted
    WHERE counted.status = workflow_counts.status`,
  `CREATE TRIGGER workflow_runs_inserted AFTER INSERT ON workflow_runs
    WHEN new.status NOT IN ('pending', 'running')
    BEGIN
      UPDATE workflow_counts SET runs = runs + 1 WHERE status = new.status;
    END`,
  `CREATE TRIGGER workflow_runs_updated AFTER UPDATE OF status ON workflow_runs
    WHEN old.status <> new.status AND (
      old.status NOT IN ('pending', 'running') OR new.status NOT IN ('pending', 'running')
    )
    BEGIN
      UPDATE workflow_counts SET runs = runs - 1 WHERE status = old.status;
      UPDATE workflow_counts SET runs = runs + 1 WHERE status = new.status;
    END`,
  `CREATE TRIGGER workflow_runs_deleted AFTER DELETE ON workflow_runs
    WHEN old.status NOT IN ('pending', 'running')
    BEGIN
      UPDATE workflow_counts SET runs = runs - 1 WHERE status = old.status;
    END`
]

/**
 * A run that waits may be kept in its executor's memory: `suspended` with an `executor`. What came
 * after an interrupt was asked for can be told from what came before: a wake-up's number is what
 * `wakeups` was after it.
 */
const waitsInMemory = [
  // When it came; NULL: not known.
  "ALTER TABLE workflow_signals ADD COLUMN received_at INTEGER",
  // The wake-up that it was; 0: it came before its run.
  "ALTER TABLE workflow_signals ADD COLUMN wakeup INTEGER NOT NULL DEFAULT 0",
  // The parent's wake-up by the child's end; NULL: it has not been woken by it.
  "ALTER TABLE workflow_children ADD COLUMN wakeup INTEGER",
  // The wake-up by which an interrupt was asked for first, and when.
  "ALTER TABLE workflow_runs ADD COLUMN interrupt_wakeup INTEGER",
  "ALTER TABLE workflow_runs ADD COLUMN interrupt_at INTEGER"
]

/**
 * What a run waits for can be seen, and which runs wait to be mended. What its children came to has
 * its place among its steps.
 */
const visibleWaits = [
  // JSON, of its last suspension; NULL: not known, or over.
  "ALTER TABLE workflow_runs ADD COLUMN waits_for TEXT",
  `CREATE INDEX workflow_runs_blocked ON workflow_runs (id)
    WHERE status = 'suspended' AND cause IS NOT NULL`,
  // Orders the child's end among the parent's steps of the same millisecond, as their `position` does.
  "ALTER TABLE workflow_children ADD COLUMN position INTEGER"
]

/** Runs can be terminated; retention and signals without a run cost what is removed, and no more. */
const endsAndUpkeep = [
  // Who held a run that was terminated, and which claim is over: for holders in other processes.
  `CREATE TABLE workflow_terminations (
    executor INTEGER NOT NULL,
    run INTEGER NOT NULL,
    claim INTEGER NOT NULL,
    at INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (executor, run)
  ) STRICT, WITHOUT ROWID`,
  "CREATE INDEX workflow_terminations_at ON workflow_terminations (at)",
  // 1: over, and to stay until a run that started it goes; NULL: not so.
  "ALTER TABLE workflow_runs ADD COLUMN spared INTEGER",
  // What retention may look at, in the order in which it ended.
  `CREATE INDEX workflow_runs_ended ON workflow_runs (completed_at)
    WHERE completed_at IS NOT NULL AND spared IS NULL`,
  "INSERT INTO workflow_counts (status, runs) VALUES ('spared', 0)",
  `CREATE TRIGGER workflow_runs_spared AFTER UPDATE OF spared ON workflow_runs
    WHEN old.spared IS NOT new.spared
    BEGIN
      UPDATE workflow_counts
      SET runs = runs + (new.spared IS NOT NULL) - (old.spared IS NOT NULL)
      WHERE status = 'spared';
    END`,
  `CREATE TRIGGER workflow_runs_spared_deleted AFTER DELETE ON workflow_runs
    WHEN old.spared IS NOT NULL
    BEGIN
      UPDATE workflow_counts SET runs = runs - 1 WHERE status = 'spared';
    END`,
  // Signals that came before their run, until that is seen to be there.
  `CREATE INDEX workflow_signals_early ON workflow_signals (received_at)
    WHERE wakeup = 0`,
  // Runs that were removed: a signal that still comes for one is not for the next of that id.
  `CREATE TABLE workflow_removed (
    run_id TEXT NOT NULL PRIMARY KEY,
    removed_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
  "CREATE INDEX workflow_removed_at ON workflow_removed (removed_at)"
]

/**
 * What kills its executor is told from what was only there: how many executors in a row have died
 * while the run was under way, without its getting anywhere.
 */
const crashes = [
  "ALTER TABLE workflow_runs ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0",
  // The few that come back one at a time; one that is over has none.
  `CREATE INDEX workflow_runs_suspects ON workflow_runs (status, wake_at)
    WHERE crashes >= 2`
]

/** What a run is at whose executors have died, so that those are not suspected that only were there. */
const atWork = [
  // 1: since it was claimed its code or a step of it has been executing; of one with `crashes`.
  "ALTER TABLE workflow_runs ADD COLUMN at_work INTEGER NOT NULL DEFAULT 0",
  // 1: an executor died while it was tried, and others were suspected too; of one with `crashes`.
  "ALTER TABLE workflow_runs ADD COLUMN doubted INTEGER NOT NULL DEFAULT 0"
]

/** Which database this is: its file may be overwritten by another. A copy has the same. */
const identity = [
  "CREATE TABLE workflow_identity (id TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID",
  "INSERT INTO workflow_identity (id) VALUES (lower(hex(randomblob(16))))"
]

/**
 * The signal under which 0.1.0 kept what a run had come by when its interrupt took hold: a list of
 * names of signals and timers, and of its children as `child/<run id>`.
 */
const interruptPoint = "'workflow-executor/interrupt-point'"

/** The runs that have one, as `p.run` and `p.run_id`, with that list as `p.seen`. */
const interruptPoints = `(
  SELECT r.id AS run, r.run_id, iif(json_valid(s.exit), s.exit, '[]') AS seen
  FROM workflow_signals s CROSS JOIN workflow_runs r ON r.run_id = s.run_id
  WHERE s.name = ${interruptPoint}
) AS p`

const isSeen = (key: string) => `${key} IN (SELECT value FROM json_each(p.seen))`

/**
 * What was in JSON or in a name has a column. The outcomes of steps that are marked by `"inner":true`
 * at their end stay so, for what reads them knows the mark; 0.1.0's interrupt points become what the
 * columns say since 0003: what was seen came before the first wake-up, and what was not came with it.
 */
const factsInColumns = [
  // Who executed it; NULL: not known.
  "ALTER TABLE workflow_steps ADD COLUMN executor INTEGER",
  // 1: executed inside another step, a race or a compensation.
  "ALTER TABLE workflow_steps ADD COLUMN is_inner INTEGER NOT NULL DEFAULT 0",
  // 0: before its run, or before this was noted.
  "ALTER TABLE workflow_signals ADD COLUMN position INTEGER NOT NULL DEFAULT 0",
  // Of its being set; 0: before this was noted.
  "ALTER TABLE workflow_timers ADD COLUMN position INTEGER NOT NULL DEFAULT 0",
  `UPDATE workflow_runs SET interrupt_wakeup = 1, interrupt_at = ifnull((
      SELECT max(t.wake_at) FROM workflow_timers t WHERE t.run = p.run AND ${isSeen("t.name")}
    ), -1)
    FROM ${interruptPoints} WHERE workflow_runs.id = p.run`,
  `UPDATE workflow_signals SET wakeup = iif(${isSeen("name")}, -1, 1)
    FROM ${interruptPoints} WHERE workflow_signals.run_id = p.run_id`,
  `UPDATE workflow_children SET wakeup = 1
    FROM ${interruptPoints}, workflow_runs c
    WHERE parent = p.run AND c.id = child AND c.exit IS NOT NULL
      AND NOT ${isSeen("'child/' || c.run_id")}`,
  `DELETE FROM workflow_signals WHERE name = ${interruptPoint}`
]

/**
 * When a run may begin, how long it may take, and what it is marked with.
 *
 * The index of pending runs keeps its name and its condition, by which an executor of an older version
 * asks for it while it drains.
 */
const startOptions = [
  // Of those of a workflow that wait, the smaller begin first.
  "ALTER TABLE workflow_runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
  // Of a `suspended` run that has not begun: why it is held back; NULL: it is not.
  "ALTER TABLE workflow_runs ADD COLUMN gate INTEGER",
  "ALTER TABLE workflow_runs ADD COLUMN start_at INTEGER",
  // Milliseconds from its begin on, and when they are over; NULL: no bound, or not begun.
  "ALTER TABLE workflow_runs ADD COLUMN timeout INTEGER",
  "ALTER TABLE workflow_runs ADD COLUMN deadline INTEGER",
  // 1: its interrupt was asked for because of that; 0: it was before; NULL: neither.
  "ALTER TABLE workflow_runs ADD COLUMN timed_out INTEGER",
  "ALTER TABLE workflow_runs ADD COLUMN labels TEXT",
  "DROP INDEX workflow_runs_pending",
  `CREATE INDEX workflow_runs_pending ON workflow_runs (workflow, priority, id)
    WHERE status = 'pending'`,
  `CREATE INDEX workflow_runs_held_back ON workflow_runs (gate)
    WHERE status = 'suspended' AND gate IS NOT NULL`,
  `CREATE INDEX workflow_runs_deadlines ON workflow_runs (deadline)
    WHERE deadline IS NOT NULL AND timed_out IS NULL AND completed_at IS NULL`,
  `CREATE TABLE workflow_labels (
    label TEXT NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (label, run)
  ) STRICT, WITHOUT ROWID`,
  "CREATE INDEX workflow_labels_of ON workflow_labels (run)",
  `CREATE TRIGGER workflow_runs_labelled AFTER DELETE ON workflow_runs
    WHEN old.labels IS NOT NULL
    BEGIN
      DELETE FROM workflow_labels WHERE run = old.id;
    END`
]

/**
 * Queues. What makes a run of one pending or lets it end is in many places; triggers see all of them: one
 * that is to go on without a slot waits in its lane, and a slot that is free marks the lane.
 */
const queues = [
  `CREATE TABLE workflow_queues (
    id INTEGER PRIMARY KEY,
    paused INTEGER NOT NULL DEFAULT 0,
    turn INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL UNIQUE,
    declared TEXT NOT NULL,
    override TEXT
  ) STRICT`,
  // One for each key; `ready`: a run of it may begin as far as the lane is concerned.
  `CREATE TABLE workflow_lanes (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    ready INTEGER NOT NULL DEFAULT 0,
    turn INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER,
    key TEXT NOT NULL,
    UNIQUE (queue, key)
  ) STRICT`,
  "CREATE INDEX workflow_lanes_ready ON workflow_lanes (queue, turn, id) WHERE ready = 1",
  "CREATE INDEX workflow_lanes_next ON workflow_lanes (next_at) WHERE next_at IS NOT NULL",
  // Lanes to be looked at.
  "CREATE TABLE workflow_lane_marks (lane INTEGER PRIMARY KEY, queue INTEGER NOT NULL) STRICT",
  // When runs of lanes with a rate have begun.
  `CREATE TABLE workflow_begins (
    lane INTEGER NOT NULL,
    at INTEGER NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (lane, at, run)
  ) STRICT, WITHOUT ROWID`,
  "ALTER TABLE workflow_runs ADD COLUMN queue INTEGER",
  "ALTER TABLE workflow_runs ADD COLUMN lane INTEGER",
  // 1: it has one until it is suspended; 2: until it is over; NULL: it has none.
  "ALTER TABLE workflow_runs ADD COLUMN slot INTEGER",
  "CREATE INDEX workflow_runs_slots ON workflow_runs (queue, lane) WHERE slot IS NOT NULL",
  `CREATE INDEX workflow_runs_queued ON workflow_runs (queue, lane, priority, id)
    WHERE gate = 2 AND status = 'suspended'`,
  `CREATE INDEX workflow_runs_queued_again ON workflow_runs (queue, lane, priority, id)
    WHERE gate = 2 AND status = 'suspended' AND started_at IS NOT NULL`,
  // one that is interrupted before it has begun only ends
  `CREATE TRIGGER workflow_runs_to_lane AFTER UPDATE OF status ON workflow_runs
    WHEN new.lane IS NOT NULL AND new.slot IS NULL AND new.status IN ('pending', 'running')
      AND NOT (new.status = 'running' AND old.status = 'pending')
      AND (new.started_at IS NOT NULL OR new.interrupt_requested = 0)
    BEGIN
      UPDATE workflow_runs SET
        status = 'suspended', gate = 2, wake_at = NULL, executor = NULL,
        claim = claim + (executor IS NOT NULL)
        WHERE id = new.id;
      INSERT INTO workflow_lane_marks (queue, lane) VALUES (new.queue, new.lane)
        ON CONFLICT DO NOTHING;
    END`,
  // nor does one that waits to be mended keep it
  `CREATE TRIGGER workflow_runs_from_slot AFTER UPDATE OF status ON workflow_runs
    WHEN old.slot IS NOT NULL AND new.status NOT IN ('pending', 'running')
      AND (new.status <> 'suspended' OR old.slot = 1 OR new.cause IS NOT NULL)
    BEGIN
      UPDATE workflow_runs SET slot = NULL WHERE id = new.id;
      INSERT INTO workflow_lane_marks (queue, lane) VALUES (new.queue, new.lane)
        ON CONFLICT DO NOTHING;
    END`
]

/** What is to be started at which times. */
const schedules = [
  // `decided_to`: what became of every tick up to this time is decided.
  `CREATE TABLE workflow_schedules (
    name TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    workflow TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('declared', 'set')),
    paused INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    decided_to INTEGER NOT NULL,
    waiting_tick INTEGER,
    next_at INTEGER,
    started INTEGER NOT NULL,
    last_started INTEGER,
    last_skipped INTEGER,
    last_missed INTEGER,
    payload TEXT NOT NULL,
    definition TEXT NOT NULL
  ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX workflow_schedules_next ON workflow_schedules (next_at, name)
    WHERE next_at IS NOT NULL AND paused = 0`,
  `CREATE INDEX workflow_schedules_waiting ON workflow_schedules (waiting_tick, name)
    WHERE waiting_tick IS NOT NULL AND paused = 0`,
  // Those that were not over when one was started last.
  `CREATE TABLE workflow_schedule_runs (
    schedule TEXT NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (schedule, run_id)
  ) STRICT, WITHOUT ROWID`
]

/** Operations on all runs of a filter. Those that are over are not in the index of the others. */
const bulk = [
  `CREATE TABLE workflow_bulk (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'running',
    requested_at INTEGER NOT NULL,
    completed_at INTEGER,
    -- The runs below it are still to be looked at.
    below INTEGER NOT NULL,
    matched INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    executor INTEGER,
    lease_until INTEGER,
    filter TEXT NOT NULL,
    options TEXT NOT NULL,
    refused TEXT NOT NULL
  ) STRICT`,
  "CREATE INDEX workflow_bulk_running ON workflow_bulk (id) WHERE state = 'running'",
  `CREATE INDEX workflow_bulk_completed ON workflow_bulk (completed_at)
    WHERE completed_at IS NOT NULL`
]

/** What a start does to others of its key, and workflows that are paused. */
const arrivals = [
  // When the first of the runs was started that have taken each other's place since.
  "ALTER TABLE workflow_lanes ADD COLUMN debounced_from INTEGER",
  `CREATE INDEX workflow_runs_of_lane ON workflow_runs (queue, lane, id)
    WHERE lane IS NOT NULL AND status IN ('pending', 'running', 'suspended')`,
  `CREATE TABLE workflow_paused (
    workflow TEXT NOT NULL PRIMARY KEY,
    since INTEGER NOT NULL,
    parks INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
  // What of a paused workflow goes on.
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
const executorVersions = ["ALTER TABLE workflow_executors ADD COLUMN version TEXT"]

/** Of a queue that parks, what is given back or goes on waits in its lane. */
const parkedQueues = [
  `CREATE TRIGGER workflow_runs_parked AFTER UPDATE OF status ON workflow_runs
    WHEN new.slot IS NOT NULL AND new.status = 'pending'
      AND (new.started_at IS NOT NULL OR new.interrupt_requested = 0)
      AND EXISTS (SELECT 1 FROM workflow_queues WHERE id = new.queue AND paused = 2)
    BEGIN
      UPDATE workflow_runs SET slot = NULL, status = 'suspended', gate = 2, wake_at = NULL
        WHERE id = new.id;
      INSERT INTO workflow_lane_marks (queue, lane) VALUES (new.queue, new.lane)
        ON CONFLICT DO NOTHING;
    END`
]

/** Of the runs of a lane that wait, those that are interrupted go first. */
const interruptedInLanes = [
  `CREATE INDEX workflow_runs_queued_interrupted ON workflow_runs (queue, lane, priority, id)
    WHERE gate = 2 AND status = 'suspended' AND interrupt_requested = 1`
]

/** Name, beginning with its number, to the statements. */
export const migrations: Readonly<Record<string, ReadonlyArray<string>>> = {
  "0001_initial": initial,
  "0002_finished_runs": finishedRuns,
  "0003_waits_in_memory": waitsInMemory,
  "0004_visible_waits": visibleWaits,
  "0005_ends_and_upkeep": endsAndUpkeep,
  "0006_crashes": crashes,
  "0007_at_work": atWork,
  "0008_identity": identity,
  "0009_facts_in_columns": factsInColumns,
  "0010_start_options": startOptions,
  "0011_queues": queues,
  "0012_schedules": schedules,
  "0013_bulk": bulk,
  "0014_arrivals": arrivals,
  "0015_sought_runs": soughtRuns,
  "0016_executor_versions": executorVersions,
  "0017_parked_queues": parkedQueues,
  "0018_interrupted_in_lanes": interruptedInLanes
}
