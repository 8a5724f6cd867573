/**
 * A store for the `RateLimiter` of `@effect/experimental` in PostgreSQL, and so for `DurableRateLimiter`:
 * a limit holds over restarts, and for all executors of a database. Its tables are in the schema of the
 * runs. See `StoredRateLimits`.
 *
 * Time is that of the process that asks: where the clocks of two machines differ, so do their windows.
 */
import * as RateLimiter from "@effect/experimental/RateLimiter"
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Connect from "../store/postgres/Connect.js"
import * as Schema from "../store/postgres/Schema.js"
import * as Transactions from "../store/postgres/Transactions.js"
import * as StoredRateLimits from "./StoredRateLimits.js"

export interface Options {
  /** The database schema that its tables are in; made where it is missing. Default: `workflow_executor`. */
  readonly schema?: string | undefined
}

/** A limit that nobody has used yet has no row that could be locked. */
const lockLimit = "SELECT pg_advisory_xact_lock(hashtextextended(CAST(? AS text), 7264))"

const dialect: StoredRateLimits.Dialect = {
  tables: [
    `CREATE TABLE IF NOT EXISTS workflow_rate_limits (
      value double precision NOT NULL,
      at double precision NOT NULL,
      until double precision NOT NULL,
      kind text COLLATE "C" NOT NULL,
      key text COLLATE "C" NOT NULL,
      PRIMARY KEY (kind, key)
    )`,
    "CREATE INDEX IF NOT EXISTS workflow_rate_limits_until ON workflow_rate_limits (until)",
    `CREATE TABLE IF NOT EXISTS workflow_rate_limit_uses (
      attempt bigint NOT NULL,
      number bigint NOT NULL,
      value double precision NOT NULL,
      at double precision NOT NULL,
      until double precision NOT NULL,
      run_id text COLLATE "C" NOT NULL,
      step text COLLATE "C" NOT NULL,
      kind text COLLATE "C" NOT NULL,
      key text COLLATE "C" NOT NULL,
      PRIMARY KEY (run_id, step, attempt, number, kind, key)
    )`,
    "CREATE INDEX IF NOT EXISTS workflow_rate_limit_uses_until ON workflow_rate_limit_uses (until)"
  ],
  lock: (sql, kind, key) => sql.rows(lockLimit, [`${kind}/${key}`]),
  // two that remove the same rows do not wait for each other
  over: (table) =>
    `ctid = ANY(ARRAY(SELECT ctid FROM ${table} WHERE until <= ? FOR UPDATE SKIP LOCKED))`
}

/** Makes its tables. Dies with `InvalidSchema` where the schema has a name that it cannot have. */
export const make = ({
  schema = Schema.defaultName
}: Options = {}): Effect.Effect<
  RateLimiter.RateLimiterStore["Type"],
  RateLimiter.RateLimitStoreError,
  PgClient.PgClient
> =>
  Transactions.make(dialect.tables, schema).pipe(
    Effect.mapError(StoredRateLimits.toStoreError),
    Effect.map((transactions) => StoredRateLimits.make(transactions, dialect))
  )

/** Over the app's own client. */
export const layerStore = (
  options?: Options
): Layer.Layer<RateLimiter.RateLimiterStore, RateLimiter.RateLimitStoreError, PgClient.PgClient> =>
  Layer.effect(RateLimiter.RateLimiterStore, make(options))

/** A `RateLimiter` over the app's own client. */
export const layer = (
  options?: Options
): Layer.Layer<RateLimiter.RateLimiter, RateLimiter.RateLimitStoreError, PgClient.PgClient> =>
  Layer.provide(RateLimiter.layer, layerStore(options))

/** A `RateLimiter` over a database, which may be that of the executor, on a client of its own. */
export const layerUrl = (
  options: Options & {
    readonly url: Redacted.Redacted
    /** Connections to the database at most. Default: 4. */
    readonly maxConnections?: number | undefined
  }
): Layer.Layer<RateLimiter.RateLimiter, RateLimiter.RateLimitStoreError> =>
  layer(options).pipe(
    Layer.provide(Layer.mapError(Connect.layer(options), StoredRateLimits.toStoreError))
  )
