/**
 * A store for the `RateLimiter` of `@effect/experimental` in SQLite, and so for `DurableRateLimiter`:
 * a limit holds over restarts, and for all processes that share the file. See `StoredRateLimits`.
 *
 * @example
 * const charge = DurableRateLimiter.rateLimit({
 *   name: "bank", key: "bank", window: "1 minute", limit: 100
 * }).pipe(Effect.zipRight(callTheBank))
 *
 * const OrdersLive = Order.toLayer(() => charge).pipe(
 *   Layer.provide(SqliteRateLimiter.layerFile({ filename: "data/executor.db" }))
 * )
 */
import * as RateLimiter from "@effect/experimental/RateLimiter"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Connect from "../store/sqlite/Connect.js"
import * as Failure from "../store/sqlite/Failure.js"
import * as Transactions from "../store/sqlite/Transactions.js"
import * as StoredRateLimits from "./StoredRateLimits.js"

const dialect: StoredRateLimits.Dialect = {
  tables: [
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
  ],
  // transactions are serial
  lock: () => Effect.void,
  over: () => "until <= ?"
}

/**
 * Makes its tables. A limit that cannot be kept fails as `RateLimitStoreError`, also inside a
 * transaction of the same client, for which it would wait for ever.
 */
export const make: Effect.Effect<
  RateLimiter.RateLimiterStore["Type"],
  RateLimiter.RateLimitStoreError,
  SqlClient.SqlClient
> = Transactions.make(dialect.tables).pipe(
  Effect.mapError(StoredRateLimits.toStoreError),
  Effect.map((transactions) => StoredRateLimits.make(transactions, dialect))
)

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
        StoredRateLimits.toStoreError(Failure.named(options.filename)(error))
      )
    )
  )
