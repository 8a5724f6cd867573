import * as Effect from "effect/Effect"
import { wholeMillis } from "../Rows.js"
import type { ExecutorInfo, Executors, Millis } from "../RunStore.js"
import { toldFor } from "../Terminate.js"
import type { Operation } from "../Write.js"
import { takenOver } from "./Claims.js"
import type { Sql } from "./Sql.js"
import type { Transaction } from "./Transaction.js"

const insertExecutor = `
  INSERT INTO workflow_executors (host, pid, version, state, started_at, lease_until)
  VALUES (?, ?, ?, 'running', ?, ?)
  RETURNING id`

export const register =
  ({
    host,
    leaseMillis,
    pid,
    version
  }: Parameters<Executors["register"]>[0]): Operation<Transaction, number> =>
  (transaction) =>
    Effect.flatMap(
      transaction.rows<{ readonly id: number }>(insertExecutor, [
        host,
        pid,
        version ?? null,
        transaction.now,
        wholeMillis(transaction.now + leaseMillis)
      ]),
      ([row]) =>
        row === undefined ? Effect.dieMessage("An executor got no id") : Effect.succeed(row.id)
    )

const renewLease = `
  UPDATE workflow_executors SET lease_until = ?, state = ?
  WHERE id = ? AND lease_until <> ${takenOver}`

const forgetTerminations = "DELETE FROM workflow_terminations WHERE at < ?"

export const renew =
  (
    executor: number,
    lease: { readonly leaseMillis: number; readonly state: ExecutorInfo["state"] }
  ): Operation<Transaction, boolean> =>
  (transaction) =>
    Effect.gen(function* () {
      const { now } = transaction
      const until = wholeMillis(now + lease.leaseMillis)
      const renewed = yield* transaction.changes(renewLease, [until, lease.state, executor])
      yield* transaction.changes(forgetTerminations, [now - toldFor])
      return renewed > 0
    })

/** While it holds runs its row stays, so that they are taken over when the lease lapses. */
const deleteExecutor = `
  DELETE FROM workflow_executors
  WHERE id = ? AND NOT EXISTS (
    SELECT 1 FROM workflow_runs INDEXED BY workflow_runs_held
    WHERE executor = workflow_executors.id AND status = 'running'
  )`

export const unregister =
  (executor: number): Operation<Transaction, void> =>
  (transaction) =>
    Effect.asVoid(transaction.changes(deleteExecutor, [executor]))

const selectExecutors = `
  SELECT id, host, pid, version, state, started_at, lease_until, (
    SELECT count(*) FROM workflow_runs INDEXED BY workflow_runs_held
    WHERE executor = workflow_executors.id AND status = 'running'
  ) AS runs
  FROM workflow_executors ORDER BY id`

export const all = (sql: Sql) =>
  Effect.map(
    sql.rows<{
      readonly id: number
      readonly host: string
      readonly pid: number
      readonly version: string | null
      readonly state: ExecutorInfo["state"]
      readonly started_at: Millis
      readonly lease_until: Millis
      readonly runs: number
    }>(selectExecutors),
    (rows): ReadonlyArray<ExecutorInfo> =>
      rows.map(({ started_at, lease_until, version, ...info }) => ({
        ...info,
        ...(version === null ? {} : { version }),
        startedAt: started_at,
        leaseUntil: lease_until
      }))
  )
