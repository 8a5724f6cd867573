/**
 * The RunStore on SQLite, by `@effect/sql`.
 *
 * - Writes that are ready together share one transaction (group commit), and with
 *   `synchronous = FULL` an acknowledged one survives power loss.
 * - Several processes may use one file. What others commit is noticed within `pollInterval`.
 * - A lock that another process holds is waited for up to 10 seconds with the event loop free; then
 *   the write fails as `busy`.
 * - A caller that is interrupted while its write waits does not know whether it was written.
 * - When the layer's scope closes, the writes that wait are committed first.
 * - Whether the file is still the one that was opened is looked at with each renewal of a lease. Once
 *   it is not, everything fails as `gone`.
 *
 * It can share a database with the app: its tables begin with `workflow_`. Then the app's client
 * gets `synchronous = FULL` and a `busy_timeout` of 20 milliseconds, because SQLite waits for a lock
 * with the whole event loop stopped. Do not call the store's writes inside a transaction of that
 * client: they are refused as `unavailable`.
 */

import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import { turn } from "../../internal/Turn.js"
import * as Admission from "../Admission.js"
import * as Bulk from "../Bulk.js"
import { retryWhileBusy } from "../Busy.js"
import { closed } from "../Closed.js"
import * as Marks from "../copy/Marks.js"
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
import type { Operation, Write } from "../Write.js"
import * as Backup from "./Backup.js"
import * as Claims from "./Claims.js"
import * as Connect from "./Connect.js"
import * as CopySide from "./CopySide.js"
import * as Crashes from "./Crashes.js"
import { bytesOf, type Creation, createAll, createPending, createWithOptions } from "./Creation.js"
import type { Database } from "./Database.js"
import * as Databases from "./Database.js"
import * as Executors from "./Executors.js"
import * as Failure from "./Failure.js"
import * as Finished from "./Finished.js"
import * as ForeignCommits from "./ForeignCommits.js"
import * as Listing from "./Listing.js"
import { migrate } from "./Migrate.js"
import { migrations } from "./Migrations.js"
import type { OpenFile } from "./OpenFile.js"
import * as OpenFiles from "./OpenFile.js"
import * as Progress from "./Progress.js"
import * as Queries from "./Queries.js"
import * as Signals from "./Signals.js"
import type { Sql } from "./Sql.js"
import * as StepPages from "./StepPages.js"
import { terminate } from "./Terminate.js"
import { type Queues, refusedInside, transact } from "./Transact.js"
import type { Transaction } from "./Transaction.js"
import * as WakeUps from "./WakeUps.js"

export interface Options {
  /**
   * How often, on Effect's Clock, to look whether another process wrote to the database; costs
   * microseconds. `Duration.infinity` never looks: for a database of one process. By default every
   * 20 milliseconds of the system's own clock: what another process does follows no TestClock, and
   * one that is moved by an hour would stop at each look.
   */
  readonly pollInterval?: Duration.DurationInput | undefined
  /**
   * What the first write of a transaction waits for, so that others which are ready join it. By
   * default one turn of the event loop: Effect's fibers run on microtasks, so all that the last
   * commit woke have written before it ends. Under a clock that is not the system's a commit waits
   * for no turn, so that all that a TestClock sets off has happened when the loop turns.
   */
  readonly gather?: Effect.Effect<void> | undefined
}

/**
 * Migrates the database and starts the writer. Fails as `migration` when the schema cannot be
 * brought to this version or is newer, as `busy` when another process holds the lock for longer
 * than 10 seconds, as `damaged` when the database is none, or not whole as far as that is seen (a
 * file of up to 4 MiB is read through), and as `unavailable` when it cannot be read or written.
 */
export const make = (
  options: Options = {}
): Effect.Effect<RunStore["Type"], RunStoreError, SqlClient.SqlClient | Scope.Scope> =>
  makeNamed(options, identity)

const makeNamed = (
  options: Options,
  /** Says in an error of which database it is. */
  named: (error: RunStoreError) => RunStoreError
): Effect.Effect<RunStore["Type"], RunStoreError, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function* () {
    const database = yield* Failure.orRunStoreError("reserve its connection")(
      Effect.flatMap(SqlClient.SqlClient, Databases.make)
    )
    yield* Connect.configure(database)
    yield* whileOthersOpenIt(OpenFiles.assertWhole(database))
    yield* whileOthersOpenIt(assertInUse(database))
    yield* migrate(migrations)
    const file = yield* whileOthersOpenIt(OpenFiles.make(database))

    const changes = yield* Effect.acquireRelease(PubSub.unbounded<Change>(), PubSub.shutdown)
    const publish = (change: Change) => void changes.unsafeOffer(change)
    const isClosed = yield* closedFlag
    const guarded = guardedWith(() => (isClosed() ? closed : file.gone()), named)
    const queues: Queues = {
      known: yield* guarded(database.read(Admission.hasAny)),
      lookedAt: Number.NEGATIVE_INFINITY
    }
    const writer = yield* GroupCommits.make({
      transact: (writes: ReadonlyArray<Write<Transaction>>) => transact(database, writes, queues),
      refused: refusedInside(database),
      fromCause: (cause) => Failure.fromCause(cause, "write"),
      publish,
      named,
      gone: file.gone,
      gather: options.gather ?? gathered
    })
    const pause = betweenPolls(options.pollInterval)
    if (pause !== undefined) yield* ForeignCommits.watch({ database, pause, publish })
    return RunStore.of({
      ...writes(writer, file, queues),
      ...reads(guarded, database),
      ...readingAfter(writer, readWith(guarded, database), queues),
      available: Effect.zipRight(
        file.check,
        Effect.asVoid(readWith(guarded, database)((sql) => sql.rows(selectAny)))
      ),
      changes: PubSub.subscribe(changes)
    })
  })

/** Not one that was copied elsewhere, nor one into which a copy is under way. */
const assertInUse = (database: Database) =>
  Failure.orRunStoreError("read it")(
    Effect.flatMap(
      database.read((sql) =>
        Effect.flatMap(CopySide.hasMarks(sql), (has) => (has ? Marks.all(sql) : Effect.succeed([])))
      ),
      (marks) =>
        Option.match(Marks.refusal(marks), { onNone: () => Effect.void, onSome: Effect.fail })
    )
  )

const selectAny = "SELECT id FROM workflow_executors LIMIT 1"

/** Reads that meet the recovery of the WAL by another process wait for it. */
const whileOthersOpenIt = <A>(read: Effect.Effect<A, RunStoreError>) =>
  retryWhileBusy(read, { isBusy: ({ reason }) => reason === "busy", hurry: Effect.never })

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
  file: OpenFile,
  queues: Queues
) => {
  const createPlain = writeBatched(createAll, bytesOf)
  const create = (creation: Creation) => {
    if (creation.run.queue !== undefined) queues.known = true
    return StartOptions.has(creation.run)
      ? write(createWithOptions(creation), bytesOf(creation))
      : createPlain(creation)
  }
  return {
    create: (run, claimFor) =>
      // only what is created in somebody's name can be refused
      // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
      create({ run, claimFor }) as Effect.Effect<CreatedRun, RunStoreError>,
    by: (held) => ({
      create: (run, claimFor) => create({ run, claimFor, by: held }),
      signal: (signal) => write(Claims.asHolder(held, WakeUps.signal(signal)), signal.exit.length),
      wake: (runId) => write(Claims.asHolder(held, WakeUps.wake(runId))),
      requestInterrupt: (runId) => write(Claims.asHolder(held, WakeUps.requestInterrupt(runId))),
      interruptChild: (runId) => write(Claims.asHolder(held, WakeUps.interruptChild(held, runId)))
    }),
    recordStep: writeBatched(Progress.recordSteps, ({ exit }) => exit.length),
    noteStep: (step) => write(Progress.noteStep(step)),
    proceed: (held) => write(Progress.proceed(held)),
    evict: (runs) => write(Progress.evict(runs)),
    complete: writeBatched(Progress.completeAll, ({ exit }) => exit.length),
    release: (runs) => write(Claims.release(runs)),
    sawWakeups: (runs) => write(Claims.sawWakeups(runs)),
    signal: (signal) => write(WakeUps.signal(signal), signal.exit.length),
    wake: (runId) => write(WakeUps.wake(runId)),
    requestInterrupt: (runId) => write(WakeUps.requestInterrupt(runId)),
    terminate: terminate({ write }),
    retry: (options) => write(Finished.retry(options)),
    remove: (runId) => write(Finished.remove(runId)),
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
    register: (executor) => write(Executors.register(executor)),
    renew: (executor, lease) =>
      Effect.zipRight(file.check, write(Executors.renew(executor, lease))),
    releaseAll: (executor, limit) => write(Claims.releaseAll(executor, limit)),
    unregister: (executor) => write(Executors.unregister(executor)),
    takeOver: (options) => write(Claims.takeOver(options)),
    waitsForRoom: (held) => write(Crashes.waitsForRoom(held)),
    progressed: (held) => write(Crashes.progressed(held)),
    survived: (runs) => write(Crashes.survived(runs)),
    changeSchedule: (change) => write(changeSchedule(change), change.schedule.payload.length),
    removeSchedule: (name) => write(removeSchedule(name))
  } satisfies Partial<RunStore["Type"]>
}

const changeSchedule =
  (change: ScheduleChange): Operation<Transaction, Option.Option<ReadonlyArray<CreatedRun>>> =>
  (transaction) =>
    Schedules.change(change)(transaction, {
      create: (runs) => createPending(runs)(transaction),
      interrupt: (runId) => WakeUps.requestInterrupt(runId)(transaction)
    })

const removeSchedule =
  (name: string): Operation<Transaction, boolean> =>
  (transaction) =>
    Schedules.remove(name)(transaction)

/** Writes after which histories are read: when they are committed, and out of the write lock. */
const readingAfter = ({ write }: GroupCommit<Transaction>, read: Read, queues: Queues) => {
  const historyOf = (held: Held) =>
    Effect.flatMap(
      read(Claims.histories([held])),
      ([found = Option.none()]): Effect.Effect<History, RunLost> =>
        Option.isSome(found) ? Effect.succeed(found.value) : Claims.lost(held)
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
      Effect.flatMap(write(Progress.suspend(suspension)), (suspended) =>
        suspended ? Effect.succeedNone : Effect.asSome(historyOf(suspension.held))
      ),
    history: (held) => Effect.zipRight(write(Claims.aboutToRead(held)), historyOf(held))
  } satisfies Partial<RunStore["Type"]>
}

/** An operation that is written for all stores. */
const portably =
  <Input, A>(
    operation: (transaction: PortableTransaction, input: Input) => Effect.Effect<A, SqlError>,
    input: Input
  ): Operation<Transaction, A> =>
  (transaction) =>
    operation(transaction, input)

const changeQueue =
  (
    queues: Queues,
    change: Parameters<RunStore["Type"]["changeQueue"]>[0]
  ): Operation<Transaction, boolean> =>
  (transaction) =>
    Effect.map(Admission.change(transaction, change), (found) => {
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
      : Effect.flatMap(Admission.hasAny(transaction), (any) => {
          queues.known = any
          queues.lookedAt = transaction.now
          return operation(transaction)
        })

type Read = ReturnType<typeof readWith>

const guardedWith =
  (refused: () => RunStoreError | undefined, named: (error: RunStoreError) => RunStoreError) =>
  <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, RunStoreError> =>
    Effect.suspend(() => {
      const error = refused()
      return error === undefined
        ? Effect.mapError(Failure.orRunStoreError("read")(effect), named)
        : Effect.fail(error)
    })

type Guarded = ReturnType<typeof guardedWith>

const readWith =
  (guarded: Guarded, database: Database) =>
  <A, E>(query: (sql: Sql) => Effect.Effect<A, E>) =>
    guarded(database.read(query))

const reads = (guarded: Guarded, database: Database) => {
  const read = readWith(guarded, database)
  return {
    find: (runId) => read(Queries.find(runId)),
    findWithSteps: (runId, query) => read(Queries.findWithSteps(runId, query)),
    steps: (runId, query) => read(StepPages.steps(runId, query)),
    step: (step) => read(StepPages.step(step)),
    stepFailedWith: (options) => read(StepPages.stepFailedWith(options)),
    beginningWith: (options) => read(Queries.beginningWith(options)),
    finished: (runIds) => read(Queries.finished(runIds)),
    list: (query) => guarded(Listing.list(database, query)),
    histories: (runs) => read(Claims.histories(runs)),
    wokenRuns: (executor) => read(Queries.wokenRuns(executor)),
    nextWakeAt: read(Queries.nextWakeAt),
    counts: read(Queries.counts),
    countBy: (filter) => guarded(Listing.countBy(database, filter)),
    findBulk: (id) => read((sql) => Bulk.find(sql, id)),
    bulks: read(Bulk.newest),
    hasBulk: read(Bulk.hasAny),
    queues: read(Queries.queues),
    pausedWorkflows: read(Pauses.all),
    parkedQueues: read(Admission.parked),
    blocked: read(Queries.blocked),
    oldestPending: read(Queries.oldestPending),
    pendingWorkflows: read(Queries.pendingWorkflows),
    executors: read(Executors.all),
    findSchedule: (name) => read(Schedules.find(name)),
    listSchedules: (options) => read(Schedules.list(options)),
    dueSchedules: (options) => read(Schedules.dueOf(options)),
    nextSchedule: (options) => read(Schedules.nextOf(options)),
    lastBeginningWith: (options) => read(Schedules.lastBeginningWith(options))
  } satisfies Partial<RunStore["Type"]>
}

const systemClock = Context.get(DefaultServices.liveServices, Clock.Clock)

const gathered = Effect.clockWith((clock) => (clock === systemClock ? turn : Effect.yieldNow()))

/** `undefined` never ends. */
const betweenPolls = (given: Options["pollInterval"]): Effect.Effect<void> | undefined => {
  if (given === undefined) return Effect.withClock(Effect.sleep("20 millis"), systemClock)
  const interval = Duration.decode(given)
  return Duration.isFinite(interval) ? Effect.sleep(interval) : undefined
}

/** Over the app's own client, with the options' defaults. */
export const layer: Layer.Layer<RunStore, RunStoreError, SqlClient.SqlClient> = Layer.scoped(
  RunStore,
  make()
)

/** Over the app's own client. */
export const layerWith = (
  options: Options
): Layer.Layer<RunStore, RunStoreError, SqlClient.SqlClient> =>
  Layer.scoped(RunStore, make(options))

/**
 * Over a file of its own, in WAL mode. The file and its folder are made when they are missing. A
 * file that cannot be opened, made or written fails as `unavailable`, one that is not a database as
 * `damaged`, with its name and the reason.
 *
 * @example
 * const Store = SqliteRunStore.layerFile({ filename: "data/executor.db" })
 */
export const layerFile = (
  options: Options & { readonly filename: string }
): Layer.Layer<RunStore, RunStoreError> => {
  const named = Failure.named(options.filename)
  return Layer.scoped(RunStore, makeNamed(options, named)).pipe(
    Layer.provide(Connect.layerFile(options.filename)),
    Layer.mapError(named)
  )
}

/** In memory: for tests, and for runs that need not outlive the process. */
export const layerMemory: Layer.Layer<RunStore, RunStoreError> = layerWith({
  pollInterval: Duration.infinity
}).pipe(Layer.provide(Connect.layerFile(":memory:")))

/**
 * Copies a store's file, also while executors write to it: the copy is all that was committed when
 * it began. It replaces a file that is there, once it is complete. Fails as `unavailable` where the
 * one cannot be read or the other not be written, as `full` where there is no room for it.
 *
 * @example
 * SqliteRunStore.backup({ filename: "data/executor.db", destination: "backup.db" })
 */
export const backup: (options: {
  readonly filename: string
  readonly destination: string
}) => Effect.Effect<void, RunStoreError> = Backup.backup
