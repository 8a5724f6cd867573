/**
 * The RunStore on PostgreSQL, made for 14 to 18 and tested on 15 and 18, by `@effect/sql-pg`: any
 * number of executors on one schema.
 *
 * - Who holds a run is a row, and who writes in its name is fenced by it: there is no leader and no
 *   membership. Leases are measured by the database's clock.
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

import type { SqlError } from "@effect/sql/SqlError"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { turn } from "../../internal/Turn.js"
import * as Admission from "../Admission.js"
import * as Bulk from "../Bulk.js"
import { closed } from "../Closed.js"
import * as Marks from "../copy/Marks.js"
import type { Side } from "../copy/Side.js"
import type { GroupCommit } from "../GroupCommit.js"
import * as GroupCommits from "../GroupCommit.js"
import * as Pauses from "../Pauses.js"
import type { PortableTransaction } from "../Portable.js"
import type {
  Change,
  CreatedRun,
  Held,
  History,
  RunLost,
  RunStoreError,
  ScheduleChange
} from "../RunStore.js"
import { RunStore } from "../RunStore.js"
import * as Schedules from "../ScheduleRows.js"
import * as StartOptions from "../StartOptions.js"
import type { Operation } from "../Write.js"
import * as Claims from "./Claims.js"
import type { Creation } from "./Commit.js"
import * as Connect from "./Connect.js"
import type { Connections } from "./Connections.js"
import * as AllConnections from "./Connections.js"
import * as CopySide from "./CopySide.js"
import * as Crashes from "./Crashes.js"
import { bytesOf, createAll, createPending, createWithOptions } from "./Creation.js"
import * as Executors from "./Executors.js"
import * as Failure from "./Failure.js"
import * as Finished from "./Finished.js"
import * as Listen from "./Listen.js"
import { migrate, newest, recorded } from "./Migrate.js"
import { migrations } from "./Migrations.js"
import { inTransaction, portable } from "./Numbered.js"
import * as Progress from "./Progress.js"
import * as Queries from "./Queries.js"
import * as Schemas from "./Schema.js"
import * as Signals from "./Signals.js"
import type { Sql } from "./Sql.js"
import * as StepPages from "./StepPages.js"
import { takeOver } from "./TakeOver.js"
import { terminate } from "./Terminate.js"
import type { Queues } from "./Transact.js"
import { transact } from "./Transact.js"
import type { Transaction } from "./Transaction.js"
import * as WakeUps from "./WakeUps.js"

export { InvalidSchema } from "./Schema.js"

export interface Options {
  /**
   * The database schema that the tables are in; made where it is missing. Default:
   * `workflow_executor`.
   */
  readonly schema?: string | undefined
  /**
   * What the first write of a transaction waits for, so that others which are ready join it. By
   * default one turn of the event loop; under a clock that is not the system's a commit waits for no
   * turn.
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
      ),
      lookedAt: Number.NEGATIVE_INFINITY
    }
    const writer = yield* GroupCommits.make<Transaction>({
      transact: transact({ connections, told: listener.told, queues }),
      // another connection than that of the caller's own transaction
      refused: () => undefined,
      fromCause: (cause) => Failure.fromCause(cause, "write"),
      publish,
      named: (error) => error,
      gone: () => undefined,
      gather: options.gather ?? gathered
    })
    const read = readWith(connections, isClosed)
    return RunStore.of({
      ...writes(writer, listener, queues),
      ...reads(read),
      ...readingAfter(writer, read, queues),
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

const writes = (
  { write, writeBatched }: GroupCommit<Transaction>,
  { standFor }: Listen.Listener,
  queues: Queues
) => {
  const createPlain = writeBatched(createAll, bytesOf)
  const create = (creation: Creation) => {
    if (creation.run.queue !== undefined) queues.known = true
    return StartOptions.has(creation.run)
      ? write(createWithOptions(creation), bytesOf(creation), creation.run.runId)
      : createPlain(creation)
  }
  return {
    create: (run, claimFor) =>
      // only what is created in somebody's name can be refused
      // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
      create({ run, claimFor }) as Effect.Effect<CreatedRun, RunStoreError>,
    by: (held) => ({
      create: (run, claimFor) => create({ run, claimFor, by: held }),
      signal: (signal) =>
        write(Claims.asHolder(held, WakeUps.signal(signal)), signal.exit.length, signal.runId),
      wake: (runId) => write(Claims.asHolder(held, WakeUps.wake(runId)), 0, runId),
      requestInterrupt: (runId) =>
        write(Claims.asHolder(held, WakeUps.requestInterrupt(runId)), 0, runId),
      interruptChild: (runId) =>
        write(Claims.asHolder(held, WakeUps.interruptChild(held, runId)), 0, runId)
    }),
    recordStep: writeBatched(Progress.recordSteps, ({ exit }) => exit.length),
    noteStep: (step) => write(Progress.noteStep(step), 0, step.held.runId),
    proceed: (held) => write(Progress.proceed(held), 0, held.runId),
    evict: (runs) => write(Progress.evict(runs)),
    complete: writeBatched(Progress.completeAll, ({ exit }) => exit.length),
    release: (runs) => write(Claims.release(runs)),
    sawWakeups: (runs) => write(Claims.sawWakeups(runs)),
    signal: (signal) => write(WakeUps.signal(signal), signal.exit.length, signal.runId),
    wake: (runId) => write(WakeUps.wake(runId), 0, runId),
    requestInterrupt: (runId) => write(WakeUps.requestInterrupt(runId), 0, runId),
    terminate: terminate({ write }),
    retry: (options) => write(Finished.retry(options), 0, options.runId),
    remove: (runId) => write(Finished.remove(runId), 0, runId),
    prune: (options) => write(Finished.prune(options)),
    expire: (options) => write(Signals.expire(options)),
    wakeDue: (limit) => write(WakeUps.wakeDue(limit)),
    changeQueue: (change) => write(changeQueue(queues, change)),
    createBulk: (bulk) => write(portably(Bulk.create, bulk)),
    claimBulk: (claiming) => write(portably(Bulk.claim, claiming)),
    advanceBulk: (part) => write(portably(Bulk.advance, part)),
    cancelBulk: (id) => write(portably(Bulk.cancel, id)),
    pauseWorkflow: (pause) => write(portably(Pauses.pause, pause)),
    resumeWorkflow: (workflow) => write(portably(Pauses.resume, workflow)),
    register: (executor) => Effect.tap(write(Executors.register(executor)), standFor),
    renew: (executor, lease) => write(Executors.renew(executor, lease)),
    releaseAll: (executor, limit) => write(Claims.releaseAll(executor, limit)),
    unregister: (executor) => write(Executors.unregister(executor)),
    takeOver: (options) => write(takeOver(options)),
    waitsForRoom: (held) => write(Crashes.waitsForRoom(held), 0, held.runId),
    progressed: (held) => write(Crashes.progressed(held), 0, held.runId),
    survived: (runs) => write(Crashes.survived(runs)),
    changeSchedule: (change) =>
      write(
        changeSchedule(change),
        change.schedule.payload.length,
        `schedule/${change.schedule.name}`
      ),
    removeSchedule: (name) => write(removeSchedule(name), 0, `schedule/${name}`)
  } satisfies Partial<RunStore["Type"]>
}

const changeSchedule =
  (change: ScheduleChange): Operation<Transaction, Option.Option<ReadonlyArray<CreatedRun>>> =>
  (transaction) =>
    Schedules.change(change)(inTransaction(transaction), {
      create: (runs) => createPending(runs)(transaction),
      interrupt: (runId) => WakeUps.requestInterrupt(runId)(transaction)
    })

const removeSchedule =
  (name: string): Operation<Transaction, boolean> =>
  (transaction) =>
    Schedules.remove(name)(inTransaction(transaction))

/** Writes after which histories are read, when they are committed. */
const readingAfter = ({ write }: GroupCommit<Transaction>, read: Read, queues: Queues) => {
  const historyOf = (held: Held) =>
    Effect.flatMap(
      read(Claims.histories([held])),
      ([found]): Effect.Effect<History, RunStoreError | RunLost> =>
        found?._tag === "Some" ? Effect.succeed(found.value) : Effect.fail(Claims.lost(held))
    )
  return {
    // what is claimed is read, or given back
    claim: (options) =>
      Effect.flatMap(write(lookForQueues(queues, Claims.claim(options))), (taken) =>
        taken.length === 0
          ? Effect.succeed([])
          : Effect.onError(read(Claims.read(taken, options.maxRunBytes)), () =>
              Effect.ignore(write(Claims.release(taken.map(({ held }) => ({ held, timers: [] })))))
            )
      ).pipe(
        Effect.tap((claimed) => {
          if (claimed.some(({ queue }) => queue !== undefined)) queues.known = true
          return Effect.void
        })
      ),
    suspend: (suspension) =>
      Effect.flatMap(write(Progress.suspend(suspension), 0, suspension.held.runId), (suspended) =>
        suspended ? Effect.succeedNone : Effect.asSome(historyOf(suspension.held))
      ),
    history: (held) =>
      Effect.zipRight(write(Claims.aboutToRead(held), 0, held.runId), historyOf(held))
  } satisfies Partial<RunStore["Type"]>
}

/** An operation that is written for all stores. */
const portably =
  <Input, A>(
    operation: (transaction: PortableTransaction, input: Input) => Effect.Effect<A, SqlError>,
    input: Input
  ): Operation<Transaction, A> =>
  (transaction) =>
    operation(inTransaction(transaction), input)

const changeQueue =
  (
    queues: Queues,
    change: Parameters<RunStore["Type"]["changeQueue"]>[0]
  ): Operation<Transaction, boolean> =>
  (transaction) =>
    Effect.map(Admission.change(inTransaction(transaction), change), (found) => {
      // another process may have made it
      if (found) queues.known = true
      return found
    })

/** Milliseconds: how often a store without queues looks whether there is one. */
const betweenLooks = 1_000

/** Another process may have made the first of them. */
const lookForQueues =
  <A>(queues: Queues, operation: Operation<Transaction, A>): Operation<Transaction, A> =>
  (transaction) =>
    queues.known || Math.abs(transaction.now - queues.lookedAt) < betweenLooks
      ? operation(transaction)
      : Effect.flatMap(Admission.hasAny(portable(transaction)), (any) => {
          queues.known = any
          queues.lookedAt = transaction.now
          return operation(transaction)
        })

type Read = ReturnType<typeof readWith>

const readWith =
  (connections: Connections, isClosed: () => boolean) =>
  <A, E>(query: (sql: Sql) => Effect.Effect<A, E>): Effect.Effect<A, RunStoreError> =>
    Effect.suspend(() =>
      isClosed()
        ? Effect.fail(closed)
        : Failure.orRunStoreError("read")(connections.reserved(query))
    )

const reads = (read: Read) =>
  ({
    find: (runId) => read(Queries.find(runId)),
    findWithSteps: (runId, query) => read(Queries.findWithSteps(runId, query)),
    steps: (runId, query) => read(StepPages.steps(runId, query)),
    step: (step) => read(StepPages.step(step)),
    stepFailedWith: (options) => read(StepPages.stepFailedWith(options)),
    beginningWith: (options) => read(Queries.beginningWith(options)),
    finished: (runIds, options) => read(Queries.finished(runIds, options)),
    list: (query) => read(Queries.list(query)),
    histories: (runs) => read(Claims.histories(runs)),
    wokenRuns: (executor) => read(Queries.wokenRuns(executor)),
    nextWakeAt: read(Queries.nextWakeAt),
    counts: read(Queries.counts),
    countBy: (filter) => read(Queries.countBy(filter)),
    findBulk: (id) => read((sql) => Bulk.find(portable(sql), id)),
    bulks: read((sql) => Bulk.newest(portable(sql))),
    hasBulk: read((sql) => Bulk.hasAny(portable(sql))),
    queues: read(Queries.queues),
    pausedWorkflows: read((sql) => Pauses.all(portable(sql))),
    parkedQueues: read((sql) => Admission.parked(portable(sql))),
    blocked: read(Queries.blocked),
    oldestPending: read(Queries.oldestPending),
    pendingWorkflows: read(Queries.pendingWorkflows),
    executors: read(Executors.all),
    findSchedule: (name) => read((sql) => Schedules.find(name)(portable(sql))),
    listSchedules: (options) => read((sql) => Schedules.list(options)(portable(sql))),
    dueSchedules: (options) => read((sql) => Schedules.dueOf(options)(portable(sql))),
    nextSchedule: (options) => read((sql) => Schedules.nextOf(options)(portable(sql))),
    lastBeginningWith: (options) =>
      read((sql) => Schedules.lastBeginningWith(options)(portable(sql)))
  }) satisfies Partial<RunStore["Type"]>

const systemClock = Context.get(DefaultServices.liveServices, Clock.Clock)

const gathered = Effect.clockWith((clock) => (clock === systemClock ? turn : Effect.yieldNow()))

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
