/**
 * Whether executors are there, by the end of their sessions: a process that was killed is noticed in
 * less than a second, on whichever machine it was, and not when its lease lapses.
 *
 * Each executor's listening connection holds a lock of the database in its name, and what holds a
 * lock and ends, or is cut off, lets go of it. An executor whose lock nobody holds has lost that
 * connection and not come back in between several looks: its lease is taken to have lapsed. If it
 * lives all the same, it is as one that was frozen: what it still writes is refused.
 */
import * as Effect from "effect/Effect"
import { takenOver } from "./Fragments.js"
import type { Sql } from "./Sql.js"

/** Between two looks. */
export const betweenLooks = "300 millis"

/** So many times in a row is looked for the lock of one that is taken to be gone. */
const looks = 3

/** A session that is this young has others beside it that are not there yet: the server was restarted. */
const young = "3 seconds"

const lockExecutor = "SELECT pg_advisory_lock_shared(hashtext($1), $2::integer)"

const noteSession = `
  UPDATE workflow_executors SET session = 1 WHERE id = $1 AND lease_until <> ${takenOver}`

/** This session stands for the executor. */
export const standFor = (sql: Sql, schema: string, executor: number) =>
  Effect.zipRight(sql.rows(lockExecutor, [schema, executor]), sql.changes(noteSession, [executor]))

const withoutLock = `
  e.session = 1 AND e.lease_until > 0 AND NOT EXISTS (
    SELECT 1 FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.classid = hashtext($1)::bigint & 4294967295 AND l.objid = e.id
  )`

const selectMissing = `
  SELECT e.id FROM workflow_executors e
  WHERE ${withoutLock} AND EXISTS (
    SELECT 1 FROM pg_stat_activity a
    WHERE a.pid = pg_backend_pid() AND a.backend_start < clock_timestamp() - interval '${young}'
  )`

const endLease = `
  UPDATE workflow_executors e SET lease_until = 0
  WHERE e.id = ANY($2::bigint[]) AND ${withoutLock}`

/** Looks once more; answers whether an executor was found to be gone. */
export const make = (schema: string) => {
  const missed = new Map<number, number>()
  return (sql: Sql) =>
    Effect.gen(function* () {
      const rows = yield* sql.rows<{ readonly id: number }>(selectMissing, [schema])
      const missing = new Set(rows.map(({ id }) => id))
      for (const id of missed.keys()) if (!missing.has(id)) missed.delete(id)
      for (const id of missing) missed.set(id, (missed.get(id) ?? 0) + 1)
      const gone = [...missed].filter(([, count]) => count >= looks).map(([id]) => id)
      if (gone.length === 0) return false
      return (yield* sql.changes(endLease, [schema, gone])) > 0
    })
}
