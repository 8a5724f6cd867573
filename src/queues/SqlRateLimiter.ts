/**
 * A store for the `RateLimiter` of `@effect/experimental` in SQLite, and so for `DurableRateLimiter`:
 * a limit holds over restarts, and for all processes that share the file.
 *
 * A step uses a limit once. If it is cut while it waits, as by a drain, and executes again, it goes on
 * with what it was told the first time, less the time that has passed: it takes no second place.
 *
 * Its two tables begin with `workflow_rate_limit`, and keep nothing of limits of which nothing is
 * taken any more.
 *
 * @example
 * const charge = DurableRateLimiter.rateLimit({
 *   name: "bank", key: "bank", window: "1 minute", limit: 100
 * }).pipe(Effect.zipRight(callTheBank))
 *
 * const OrdersLive = Order.toLayer(() => charge).pipe(
 *   Layer.provide(SqlRateLimiter.layerFile({ filename: "data/executor.db" }))
 * )
 */
import * as RateLimiter from "@effect/experimental/RateLimiter"
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import { WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Instance, linkOf } from "../engine/pass/Pass.js"
import type { RunStoreError } from "../store/RunStore.js"
import * as Connect from "../store/sqlite/Connect.js"
import * as Failure from "../store/sqlite/Failure.js"
import type { Param, Sql } from "../store/sqlite/Sql.js"
import * as SqlTransactions from "../store/sqlite/Transactions.js"
import * as RateLimits from "./RateLimits.js"

const tables = [
  `CREATE TABLE IF NOT EXISTS workflow_rate_limits (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value REAL NOT NULL,
    at REAL NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (kind, key)
  ) STRICT, WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS workflow_rate_limits_until ON workflow_rate_limits (until)",
  `CREATE TABLE IF NOT EXISTS workflow_rate_limit_uses (
    run_id TEXT NOT NULL,
    step TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value REAL NOT NULL,
    at REAL NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (run_id, step, attempt, number, kind, key)
  ) STRICT, WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS workflow_rate_limit_uses_until ON workflow_rate_limit_uses (until)"
]

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

const forget = ["workflow_rate_limits", "workflow_rate_limit_uses"].map(
  (table) => `DELETE FROM ${table} WHERE until <= ?`
)

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

const toStoreError = ({ message, cause }: RunStoreError) =>
  new RateLimiter.RateLimitStoreError({ message: `a rate limit cannot be kept: ${message}`, cause })

/** Uses a limit, or answers as to the use that the same step has made of it before. */
const useLimit =
  <Options, Answer>(kind: string, limit: RateLimits.Limit<Options, Answer>) =>
  (sql: Sql, key: string, options: Options, user: User | undefined) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      for (const statement of forget) yield* sql.changes(statement, [now])
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

/**
 * Makes its tables. A limit that cannot be kept fails as `RateLimitStoreError`, also inside a
 * transaction of the same client, for which it would wait for ever.
 */
export const make: Effect.Effect<
  RateLimiter.RateLimiterStore["Type"],
  RateLimiter.RateLimitStoreError,
  SqlClient.SqlClient
> = Effect.gen(function* () {
  const { write } = yield* Effect.mapError(SqlTransactions.make(tables), toStoreError)
  const use = <A>(
    body: (sql: Sql, user: User | undefined) => Effect.Effect<A, SqlError>
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
        useWindow(sql, key, { tokens, limit, refill: Duration.toMillis(refillRate) }, user)
      ),
    tokenBucket: ({ allowOverflow, key, limit, refillRate, tokens }) =>
      use((sql, user) =>
        useBucket(
          sql,
          key,
          { tokens, limit, refill: Duration.toMillis(refillRate), mayOverflow: allowOverflow },
          user
        )
      )
  })
})

/** Over the app's own client. */
export const layerStore: Layer.Layer<
  RateLimiter.RateLimiterStore,
  RateLimiter.RateLimitStoreError,
  SqlClient.SqlClient
> = Layer.effect(RateLimiter.RateLimiterStore, make)

/** A `RateLimiter` over the app's own client. */
export const layer: Layer.Layer<
  RateLimiter.RateLimiter,
  RateLimiter.RateLimitStoreError,
  SqlClient.SqlClient
> = Layer.provide(RateLimiter.layer, layerStore)

/**
 * A `RateLimiter` over a file, which may be that of the executor. The file and its folder are made
 * when they are missing.
 */
export const layerFile = (options: {
  readonly filename: string
}): Layer.Layer<RateLimiter.RateLimiter, RateLimiter.RateLimitStoreError> =>
  layer.pipe(
    Layer.provide(
      Layer.mapError(Connect.layerFile(options.filename), (error) =>
        toStoreError(Failure.named(options.filename)(error))
      )
    )
  )
