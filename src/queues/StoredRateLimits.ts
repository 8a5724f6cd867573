/**
 * A store for the `RateLimiter` of `@effect/experimental` in a database, and so for `DurableRateLimiter`:
 * a limit holds over restarts, and for all processes that share the database.
 *
 * A step uses a limit once. If it is cut while it waits, as by a drain, and executes again, it goes on
 * with what it was told the first time, less the time that has passed: it takes no second place.
 *
 * Its two tables begin with `workflow_rate_limit`, and keep nothing of limits of which nothing is
 * taken any more.
 */
import * as RateLimiter from "@effect/experimental/RateLimiter"
import type { SqlError } from "@effect/sql/SqlError"
import { WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Instance, linkOf } from "../engine/pass/Pass.js"
import type { Param, Portable } from "../store/Portable.js"
import type { RunStoreError } from "../store/RunStore.js"
import type { Transactions } from "../store/Transactions.js"
import * as RateLimits from "./RateLimits.js"

/** What databases say differently. */
export interface Dialect {
  /** The tables `workflow_rate_limits` and `workflow_rate_limit_uses`. */
  readonly tables: ReadonlyArray<string>
  /** Two that use one limit at once do so one after the other. */
  readonly lock: (sql: Portable, kind: string, key: string) => Effect.Effect<unknown, SqlError>
  /** Which rows of a table whose time is over are removed; its parameter is the time. */
  readonly over: (table: string) => string
}

const selectLimit = "SELECT value, at FROM workflow_rate_limits WHERE kind = ? AND key = ?"

const upsertLimit = `
  INSERT INTO workflow_rate_limits (kind, key, value, at, until) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (kind, key) DO UPDATE
    SET value = excluded.value, at = excluded.at, until = excluded.until`

const selectUse = `
  SELECT value, at FROM workflow_rate_limit_uses
  WHERE run_id = ? AND step = ? AND attempt = ? AND number = ? AND kind = ? AND key = ?`

const insertUse = `
  INSERT INTO workflow_rate_limit_uses
    (run_id, step, attempt, number, kind, key, value, at, until)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

const ours = ["workflow_rate_limits", "workflow_rate_limit_uses"]

/** The step that uses a limit, and how many limits it has used before in this execution. */
type User = readonly [runId: string, step: string, attempt: number, number: number]

const usesOf = new WeakMap<Instance, number>()

/** `undefined` outside of a step of this package's engine. */
const currentUser: Effect.Effect<User | undefined> = Effect.map(
  Effect.serviceOption(WorkflowInstance),
  (found) => {
    const instance = Option.getOrUndefined(found)
    const link = instance === undefined ? undefined : linkOf(instance)
    if (instance === undefined || link?.step === undefined) return undefined
    const number = usesOf.get(instance) ?? 0
    usesOf.set(instance, number + 1)
    return [link.run.runId, link.step.name, link.step.attempt, number]
  }
)

/** How its errors are told. */
export const toStoreError = ({ message, cause }: RunStoreError) =>
  new RateLimiter.RateLimitStoreError({ message: `a rate limit cannot be kept: ${message}`, cause })

/** Uses a limit, or answers as to the use that the same step has made of it before. */
const useLimit =
  <Options, Answer>(kind: string, limit: RateLimits.Limit<Options, Answer>) =>
  (sql: Portable, dialect: Dialect, key: string, options: Options, user: User | undefined) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      yield* dialect.lock(sql, kind, key)
      for (const table of ours) {
        yield* sql.changes(`DELETE FROM ${table} WHERE ${dialect.over(table)}`, [now])
      }
      const of: ReadonlyArray<Param> = [...(user ?? []), kind, key]
      if (user !== undefined) {
        const [use] = yield* sql.rows<RateLimits.Known>(selectUse, of)
        if (use !== undefined) return limit.again(use, options, now)
      }
      const [known] = yield* sql.rows<RateLimits.Known>(selectLimit, [kind, key])
      const { answer, taken } = limit.use(known, options, now)
      if (taken === undefined) return answer
      const { until } = taken
      yield* sql.changes(upsertLimit, [kind, key, taken.limit.value, taken.limit.at, until])
      if (user !== undefined) {
        yield* sql.changes(insertUse, [...of, taken.use.value, taken.use.at, until])
      }
      return answer
    })

const useWindow = useLimit("fixed-window", RateLimits.window)
const useBucket = useLimit("token-bucket", RateLimits.bucket)

/** @param transactions of a database that has its tables */
export const make = (
  { write }: Transactions,
  dialect: Dialect
): RateLimiter.RateLimiterStore["Type"] => {
  const use = <A>(
    body: (sql: Portable, user: User | undefined) => Effect.Effect<A, SqlError>
  ): Effect.Effect<A, RateLimiter.RateLimitStoreError> =>
    Effect.flatMap(currentUser, (user) =>
      Effect.mapError(
        write((sql) => body(sql, user)),
        toStoreError
      )
    )
  return RateLimiter.RateLimiterStore.of({
    fixedWindow: ({ key, limit, refillRate, tokens }) =>
      use((sql, user) =>
        useWindow(sql, dialect, key, { tokens, limit, refill: Duration.toMillis(refillRate) }, user)
      ),
    tokenBucket: ({ allowOverflow, key, limit, refillRate, tokens }) =>
      use((sql, user) =>
        useBucket(
          sql,
          dialect,
          key,
          { tokens, limit, refill: Duration.toMillis(refillRate), mayOverflow: allowOverflow },
          user
        )
      )
  })
}
