/**
 * A store for the `PersistedQueue` of `@effect/experimental` in SQLite, and so for `DurableQueue`. Its
 * table is `workflow_queue`. See `StoredQueue`.
 *
 * @example
 * const QueueLive = SqlitePersistedQueue.layerFile({ filename: "data/executor.db" })
 *
 * const Workflows = Layer.merge(OrderLive, QueueWorker.layer(Mails, sendMail)).pipe(
 *   Layer.provide(QueueLive)
 * )
 */
import * as PersistedQueue from "@effect/experimental/PersistedQueue"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Connect from "../store/sqlite/Connect.js"
import * as Failure from "../store/sqlite/Failure.js"
import * as Transactions from "../store/sqlite/Transactions.js"
import * as StoredQueue from "./StoredQueue.js"

export type Options = StoredQueue.Options

const dialect: StoredQueue.Dialect = {
  tables: [
    `CREATE TABLE IF NOT EXISTS workflow_queue (
      sequence INTEGER PRIMARY KEY AUTOINCREMENT,
      queue TEXT NOT NULL,
      id TEXT NOT NULL,
      element TEXT NOT NULL,
      attempts INTEGER NOT NULL DEFAULT 0,
      failure TEXT,
      holder TEXT,
      held_until INTEGER,
      tried_at INTEGER NOT NULL,
      completed_at INTEGER,
      UNIQUE (queue, id)
    ) STRICT`,
    `CREATE INDEX IF NOT EXISTS workflow_queue_open ON workflow_queue (queue, tried_at, sequence)
      WHERE completed_at IS NULL`,
    `CREATE INDEX IF NOT EXISTS workflow_queue_completed ON workflow_queue (completed_at)
      WHERE completed_at IS NOT NULL`
  ],
  byOpen: "INDEXED BY workflow_queue_open",
  // transactions are serial
  skipLocked: ""
}

/** Makes its table. */
export const make = (
  options?: Options
): Effect.Effect<
  PersistedQueue.PersistedQueueStore["Type"],
  PersistedQueue.PersistedQueueError,
  SqlClient.SqlClient | Scope.Scope
> =>
  Effect.flatMap(
    Effect.mapError(Transactions.make(dialect.tables), StoredQueue.toQueueError),
    (transactions) => StoredQueue.make(transactions, dialect, options)
  )

/** Over the app's own client. */
export const layerStore = (
  options?: Options
): Layer.Layer<
  PersistedQueue.PersistedQueueStore,
  PersistedQueue.PersistedQueueError,
  SqlClient.SqlClient
> => Layer.scoped(PersistedQueue.PersistedQueueStore, make(options))

/** What makes queues, over the app's own client. */
export const layer = (
  options?: Options
): Layer.Layer<
  PersistedQueue.PersistedQueueFactory,
  PersistedQueue.PersistedQueueError,
  SqlClient.SqlClient
> => Layer.provide(PersistedQueue.layer, layerStore(options))

/**
 * What makes queues, over a file, which may be that of the executor. The file and its folder are
 * made when they are missing.
 */
export const layerFile = (
  options: Options & { readonly filename: string }
): Layer.Layer<PersistedQueue.PersistedQueueFactory, PersistedQueue.PersistedQueueError> =>
  layer(options).pipe(
    Layer.provide(
      Layer.mapError(Connect.layerFile(options.filename), (error) =>
        StoredQueue.toQueueError(Failure.named(options.filename)(error))
      )
    )
  )
