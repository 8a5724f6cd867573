/** The executors themselves. Their leases are measured by the database's clock. */
import * as Effect from "effect/Effect"
import { wholeMillis } from "../Rows.js"
import type { ExecutorInfo, Executors, Millis } from "../RunStore.js"
import { toldFor } from "../Terminate.js"
import type { Operation } from "../Write.js"
import { takenOver } from "./Fragments.js"
import { forget } from "./Outcome.js"
import type { Sql } from "./Sql.js"
import type { Transaction } from "./Transaction.js"

const insertExecutor = `
  INSERT INTO workflow_executors (host, pid, version, state, started_at, lease_until)
  VALUES ($1, $2, $3, 'running', $4, $5)
  RETURNING id`

/** What an executor is known by beside its id, which a failover may give out again. */
interface Registration {
  readonly host: string
  readonly pid: number
  readonly startedAt: Millis
}

/** Of executors that were registered here. */
export type Registered = Map<number, Registration>

export const register =
  (
    { host, leaseMillis, pid, version }: Parameters<Executors["register"]>[0],
    registered: Registered
  ): Operation<Transaction, number> =>
  (transaction) =>
    forget(transaction).pipe(
      Effect.zipRight(
        transaction.rows<{ readonly id: number }>(insertExecutor, [
          host,
          pid,
          version ?? null,
          transaction.now,
          wholeMillis(transaction.leaseNow + leaseMillis)
        ])
      ),
      Effect.flatMap(([row]) => {
        if (row === undefined) return Effect.dieMessage("An executor got no id")
        registered.set(row.id, { host, pid, startedAt: transaction.now })
        return Effect.succeed(row.id)
      })
    )

const renewLease = `
  UPDATE workflow_executors SET lease_until = $2, state = $3
  WHERE id = $1 AND lease_until <> ${takenOver}
    AND ($4::text IS NULL OR (host = $4::text AND pid = $5::bigint AND started_at = $6::bigint))`

/** What changed since they were last put together; see `Migrations`. */
const sumCounts = `
  WITH changes AS (DELETE FROM workflow_counts RETURNING status, runs)
  INSERT INTO workflow_counts (status, runs)
  SELECT status, sum(runs)::bigint FROM changes GROUP BY status`

const forgetTerminations = "DELETE FROM workflow_terminations WHERE at < $1::bigint"

export const renew =
  (
    executor: number,
    lease: Parameters<Executors["renew"]>[1],
    registered: Registered
  ): Operation<Transaction, boolean> =>
  (transaction) =>
    Effect.gen(function* () {
      const known = registered.get(executor)
      const renewed = yield* transaction.changes(renewLease, [
        executor,
        wholeMillis(transaction.leaseNow + lease.leaseMillis),
        lease.state,
        known?.host ?? null,
        known?.pid ?? null,
        known?.startedAt ?? null
      ])
      yield* transaction.changes(sumCounts)
      yield* transaction.changes(forgetTerminations, [transaction.now - toldFor])
      return renewed > 0
    })

/** While it holds runs its row stays, so that they are taken over when the lease lapses. */
const deleteExecutor = `
  DELETE FROM workflow_executors e
  WHERE e.id = $1 AND NOT EXISTS (
    SELECT 1 FROM workflow_runs WHERE executor = e.id AND status = 'running'
  )`

export const unregister =
  (executor: number, registered: Registered): Operation<Transaction, void> =>
  (transaction) => {
    registered.delete(executor)
    return Effect.asVoid(transaction.changes(deleteExecutor, [executor]))
  }

const selectExecutors = `
  SELECT e.id, e.host, e.pid, e.version, e.state, e.started_at, e.lease_until, (
    SELECT count(*) FROM workflow_runs WHERE executor = e.id AND status = 'running'
  ) AS runs
  FROM workflow_executors e ORDER BY e.id`

interface ExecutorRow extends Omit<ExecutorInfo, "startedAt" | "leaseUntil" | "version"> {
  readonly version: string | null
  readonly started_at: Millis
  readonly lease_until: Millis
}

export const all = (sql: Sql) =>
  Effect.map(
    sql.rows<ExecutorRow>(selectExecutors),
    (rows): ReadonlyArray<ExecutorInfo> =>
      rows.map(({ lease_until, started_at, version, ...info }) => ({
        ...info,
        ...(version === null ? {} : { version }),
        startedAt: started_at,
        leaseUntil: lease_until
      }))
  )

/** Of a replica, and of a database that somebody has set so. */
const selectReadOnly = `
  SELECT current_setting('transaction_read_only') AS read_only,
    (SELECT id FROM workflow_executors LIMIT 1) AS any_executor`

export const isReadOnly = (sql: Sql) =>
  Effect.map(
    sql.rows<{ readonly read_only: string }>(selectReadOnly),
    ([row]) => row?.read_only === "on"
  )
