/**
 * The RunStore on PostgreSQL, for 14 to 18, by `@effect/sql-pg`: any number of executors on one schema.
 *
 * - Who holds a run is a row, and who writes in its name is fenced by it (`Fence`): there is no leader and
 *   no membership. Leases are measured by the database's clock.
 * - Writes that are ready together share one transaction (group commit), and with
 *   `synchronous_commit = on` an acknowledged one survives a crash of the server.
 * - What others commit is told by NOTIFY, on a connection of its own, and looked for every 5 seconds
 *   besides. Whose connection ends is taken to be gone about a second later.
 * - A commit whose answer was lost is asked after until it is known, and never done twice.
 * - A caller that is interrupted while its write waits does not know whether it was written.
 * - When the layer's scope closes, the writes that wait are committed first.
 *
 * It can share a database with the app: its tables are in a schema of their own, and the app's client
 * is used as it is.
 */

import * as PgClient from "@effect/sql-pg/PgClient"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Admission from "../Admission.js"
import * as Marks from "../copy/Marks.js"
import type { Side } from "../copy/Side.js"
import { gathered, isMore } from "../Gather.js"
import * as GroupCommits from "../GroupCommit.js"
import type { Change, RunStoreError } from "../RunStore.js"
import { RunStore } from "../RunStore.js"
import * as Connect from "./Connect.js"
import * as AllConnections from "./Connections.js"
import * as CopySide from "./CopySide.js"
import * as Executors from "./Executors.js"
import * as Failure from "./Failure.js"
import * as Listen from "./Listen.js"
import { migrate, newest, recorded } from "./Migrate.js"
import { migrations } from "./Migrations.js"
import { portable } from "./Numbered.js"
import { makeSlots } from "./Outcome.js"
import { reads, readWith } from "./Reads.js"
import * as Schemas from "./Schema.js"
import type { Sql } from "./Sql.js"
import type { Queues } from "./Transact.js"
import { transact } from "./Transact.js"
import type { Transaction } from "./Transaction.js"
import { readingAfter, writes } from "./Writes.js"

export { InvalidSchema } from "./Schema.js"

export interface Options {
  /**
   * The database schema that the tables are in; made where it is missing. Default:
   * `workflow_executor`.
   */
  readonly schema?: string | undefined
  /**
   * What the first write of a transaction waits for, so that others which are ready join it. By
   * default one turn of the event loop, and three more at most while runs that are ready have not had
   * theirs; under a clock that is not the system's a commit waits for no turn.
   */
  readonly gather?: Effect.Effect<void> | undefined
}

/** Where the tables are, unless `Options.schema` says otherwise. */
export const defaultSchema = Schemas.defaultName

/**
 * Migrates the schema and starts the writer. Fails as `migration` when the schema cannot be brought to
 * this version or is newer, and as `unavailable` when the database does not answer. Dies with
 * `InvalidSchema` where the schema has a name that it cannot have.
 */
export const make = (
  options: Options = {}
): Effect.Effect<RunStore["Type"], RunStoreError, PgClient.PgClient | Scope.Scope> =>
  Effect.gen(function* () {
    const schema = yield* Schemas.checked(options.schema ?? defaultSchema)
    const client = yield* PgClient.PgClient
    const connections = AllConnections.make(client, schema)
    yield* Failure.orRunStoreError("open it")(
      connections.reserved((sql) =>
        Effect.zipRight(assertInUse(sql), migrate(sql, schema, migrations))
      )
    )
    const changes = yield* Effect.acquireRelease(PubSub.unbounded<Change>(), PubSub.shutdown)
    const publish = (change: Change) => void changes.unsafeOffer(change)
    const isClosed = yield* closedFlag
    const listener = yield* Listen.listen({ client, schema, publish })
    const queues: Queues = {
      known: yield* Failure.orRunStoreError("open it")(
        connections.reserved((sql) => Admission.hasAny(portable(sql)))
      )
    }
    const writer = yield* GroupCommits.make<Transaction>({
      transact: transact({ connections, told: listener.told, queues, slots: makeSlots() }),
      // another connection than that of the caller's own transaction
      refused: () => undefined,
      fromCause: (cause) => Failure.fromCause(cause, "write"),
      publish,
      named: (error) => error,
      gone: () => undefined,
      gather: options.gather ?? gathered,
      isMore
    })
    const read = readWith(connections, isClosed)
    return RunStore.of({
      ...writes(writer, listener, queues),
      ...reads(read),
      ...readingAfter(writer, { read: read, queues, publish }),
      available: Effect.flatMap(read(Executors.isReadOnly), (isReadOnly) =>
        isReadOnly ? Effect.fail(Failure.readOnly) : Effect.void
      ),
      changes: PubSub.subscribe(changes)
    })
  })

/** Not one that was copied elsewhere, nor one into which a copy is under way. */
const assertInUse = (sql: Sql) =>
  Effect.flatMap(
    Effect.flatMap(CopySide.hasMarks(portable(sql)), (has) =>
      has ? Marks.all(portable(sql)) : Effect.succeed([])
    ),
    (marks) =>
      Option.match(Marks.refusal(marks), { onNone: () => Effect.void, onSome: Effect.fail })
  )

/** Released after the writer, whose last writes are still to be read. */
const closedFlag = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => ({ closed: false })),
    (state) =>
      Effect.sync(() => {
        state.closed = true
      })
  ),
  (state) => () => state.closed
)

/** Over the app's own client, with the options' defaults. */
export const layer: Layer.Layer<RunStore, RunStoreError, PgClient.PgClient> = Layer.scoped(
  RunStore,
  make()
)

/** Over the app's own client. */
export const layerWith = (
  options: Options
): Layer.Layer<RunStore, RunStoreError, PgClient.PgClient> => Layer.scoped(RunStore, make(options))

/**
 * On a database of its own client.
 *
 * @example
 * const Store = PostgresRunStore.layerUrl({ url: Redacted.make("postgres://localhost/orders") })
 */
export const layerUrl = (
  options: Options & {
    /** `postgres://user:password@host:port/database`, and whatever else `pg` understands. */
    readonly url: Redacted.Redacted
    /** Connections to the database at most, beside the one that listens. Default: 4. */
    readonly maxConnections?: number | undefined
    /**
     * How long an answer of the database may take. Then the connection is given up, and what became of
     * a write is asked for on another. Default: 15 seconds.
     */
    readonly answerTimeout?: Duration.DurationInput | undefined
  }
): Layer.Layer<RunStore, RunStoreError> =>
  Layer.scoped(RunStore, make(options)).pipe(Layer.provide(Connect.layer(options)))

/**
 * The version of the schema there, 0 where there is none, and the one that this version of the package
 * knows. Changes nothing.
 */
export const versions = (options: {
  readonly url: Redacted.Redacted
  readonly schema?: string | undefined
}): Effect.Effect<{ readonly theirs: number; readonly ours: number }, RunStoreError> =>
  Effect.flatMap(PgClient.PgClient, (client) => {
    const schema = Schemas.make(options.schema ?? defaultSchema)
    return Effect.map(
      Failure.orRunStoreError("read")(
        AllConnections.make(client, schema).reserved((sql) => recorded(sql, schema))
      ),
      (theirs) => ({ theirs, ours: newest(migrations) })
    )
  }).pipe(Effect.provide(Connect.layer(options)))

/** As a copy reads and writes it. @param name what people call it */
export const copySide = (
  options: { readonly url: Redacted.Redacted; readonly schema?: string | undefined },
  name: string
): Effect.Effect<Side, RunStoreError, Scope.Scope> =>
  Effect.flatMap(Schemas.checked(options.schema ?? defaultSchema), (schema) =>
    CopySide.make(options, schema, name)
  )
