/** What several statements, and functions in the database, have in common. */

/**
 * The `lease_until` of an executor of whose runs some were taken over: it can not be renewed any
 * more, for it does not know of those.
 */
export const takenOver = -1

export const isUnfinished = "status IN ('pending', 'running', 'suspended')"

/** The database's clock, in milliseconds. */
export const databaseTime = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

/** What lets go of a run that is held back; beside `wakeUp`. */
export const letGo = "gate = NULL"

/**
 * What a wake-up sets in the run `r`. One that waits in the memory of its executor goes on there; if
 * that executor is gone, its hold on the run is over. One that is held back may begin now.
 *
 * @param leaseNow the time by which leases are measured, in SQL
 */
export const wakeUp = (leaseNow: string): string => {
  const isHolderAlive = `EXISTS (
    SELECT 1 FROM workflow_executors e WHERE e.id = r.executor AND e.lease_until > ${leaseNow}
  )`
  return `
  wakeups = r.wakeups + 1, wake_at = NULL, cause = NULL,
  executor = CASE WHEN r.status <> 'suspended' OR ${isHolderAlive} THEN r.executor END,
  claim = r.claim
    + (r.status = 'suspended' AND r.executor IS NOT NULL AND NOT ${isHolderAlive})::integer,
  status = CASE
    WHEN r.status <> 'suspended' THEN r.status WHEN ${isHolderAlive} THEN 'running' ELSE 'pending'
  END`
}

/** What is told a run `r` that is held back, and stays so. */
export const staysHeldBack = "wakeups = r.wakeups + 1"

export const returningWoken = "RETURNING r.run_id, r.status, r.claim, r.wakeups"

/**
 * Whoever looks rows up by their keys is to find them by an index, whatever statistics say of a table
 * that was small a minute ago.
 */
export const byIndex = `
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
  SET lock_timeout = '2s'`

/**
 * And is not planned with every call, which took longer than what it does: the database's time for a step
 * was 2,600 µs at concurrency 1 and is 1,700 (medians of 7 rounds in turn, PostgreSQL 15, 2 cores).
 */
export const plannedOnce = `${byIndex} SET plan_cache_mode = force_generic_plan`

/** Signals that come before their run, and creations: see `WakeUps.signal`. */
export const creationLock = "'workflow_runs'::regclass::oid::bigint"

/** Of the suspects one is claimed at a time: see `Crashes`. */
export const suspectsLock = "'workflow_executors'::regclass::oid::bigint"
