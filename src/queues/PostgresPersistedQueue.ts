/**
 * A store for the `PersistedQueue` of `@effect/experimental` in PostgreSQL, and so for `DurableQueue`. Its
 * table is `workflow_queue`, in the schema of the runs. See `StoredQueue`.
 *
 * @example
 * const QueueLive = PostgresPersistedQueue.layerUrl({ url: Redacted.make("postgres://localhost/orders") })
 *
 * const Workflows = Layer.merge(OrderLive, QueueWorker.layer(Mails, sendMail)).pipe(
 *   Layer.provide(QueueLive)
 * )
 */
import * as PersistedQueue from "@effect/experimental/PersistedQueue"
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Connect from "../store/postgres/Connect.js"
import * as Schema from "../store/postgres/Schema.js"
import * as Transactions from "../store/postgres/Transactions.js"
import * as StoredQueue from "./StoredQueue.js"

export interface Options extends StoredQueue.Options {
  /** The database schema that its table is in; made where it is missing. Default: `workflow_executor`. */
  readonly schema?: string | undefined
}

const dialect: StoredQueue.Dialect = {
  tables: [
    `CREATE TABLE IF NOT EXISTS workflow_queue (
      sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      attempts bigint NOT NULL DEFAULT 0,
      held_until bigint,
      tried_at bigint NOT NULL,
      completed_at bigint,
      queue text COLLATE "C" NOT NULL,
      id text COLLATE "C" NOT NULL,
      element text NOT NULL,
      failure text,
      holder text,
      UNIQUE (queue, id)
    )`,
    `CREATE INDEX IF NOT EXISTS workflow_queue_open ON workflow_queue (queue, tried_at, sequence)
      WHERE completed_at IS NULL`,
    `CREATE INDEX IF NOT EXISTS workflow_queue_completed ON workflow_queue (completed_at)
      WHERE completed_at IS NOT NULL`
  ],
  byOpen: "",
  skipLocked: "FOR UPDATE SKIP LOCKED"
}

/** Makes its table. Dies with `InvalidSchema` where the schema has a name that it cannot have. */
export const make = (
  options: Options = {}
): Effect.Effect<
  PersistedQueue.PersistedQueueStore["Type"],
  PersistedQueue.PersistedQueueError,
  PgClient.PgClient | Scope.Scope
> =>
  Effect.flatMap(
    Effect.mapError(
      Transactions.make(dialect.tables, options.schema ?? Schema.defaultName),
      StoredQueue.toQueueError
    ),
    (transactions) => StoredQueue.make(transactions, dialect, options)
  )

/** Over the app's own client. */
export const layerStore = (
  options?: Options
): Layer.Layer<
  PersistedQueue.PersistedQueueStore,
  PersistedQueue.PersistedQueueError,
  PgClient.PgClient
> => Layer.scoped(PersistedQueue.PersistedQueueStore, make(options))

/** What makes queues, over the app's own client. */
export const layer = (
  options?: Options
): Layer.Layer<
  PersistedQueue.PersistedQueueFactory,
  PersistedQueue.PersistedQueueError,
  PgClient.PgClient
> => Layer.provide(PersistedQueue.layer, layerStore(options))

/** What makes queues, over a database, which may be that of the executor, on a client of its own. */
export const layerUrl = (
  options: Options & {
    readonly url: Redacted.Redacted
    /** Connections to the database at most. Default: 4. */
    readonly maxConnections?: number | undefined
  }
): Layer.Layer<PersistedQueue.PersistedQueueFactory, PersistedQueue.PersistedQueueError> =>
  layer(options).pipe(
    Layer.provide(Layer.mapError(Connect.layer(options), StoredQueue.toQueueError))
  )
