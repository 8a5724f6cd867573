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
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Given from "../../internal/Given.js"
import { systemClock } from "../../internal/SystemClock.js"
import * as Admission from "../Admission.js"
import { retryWhileBusy } from "../Busy.js"
import { closed } from "../Closed.js"
import * as Marks from "../copy/Marks.js"
import { gathered, isMore } from "../Gather.js"
import * as GroupCommits from "../GroupCommit.js"
import type { Change, RunStoreError } from "../RunStore.js"
import { RunStore } from "../RunStore.js"
import type { Write } from "../Write.js"
import * as Backup from "./Backup.js"
import * as Connect from "./Connect.js"
import * as CopySide from "./CopySide.js"
import type { Database } from "./Database.js"
import * as Databases from "./Database.js"
import * as Failure from "./Failure.js"
import * as ForeignCommits from "./ForeignCommits.js"
import { migrate } from "./Migrate.js"
import { migrations } from "./Migrations.js"
import * as OpenFiles from "./OpenFile.js"
import { guardedWith, reads, readWith } from "./Reads.js"
import { type Queues, refusedInside, transact } from "./Transact.js"
import type { Transaction } from "./Transaction.js"
import { readingAfter, writes } from "./Writes.js"

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
   * commit woke have written before it ends; but where they need longer than the 10 ms after which
   * the loop is given a turn in between, it is waited for again, three times at most. Under a clock
   * that is not the system's a commit waits for no turn, so that all that a TestClock sets off has
   * happened when the loop turns.
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
      known: yield* guarded(database.read(Admission.hasAny))
    }
    const writer = yield* GroupCommits.make({
      transact: (writes: ReadonlyArray<Write<Transaction>>) => transact(database, writes, queues),
      refused: refusedInside(database),
      fromCause: (cause) => Failure.fromCause(cause, "write"),
      publish,
      named,
      gone: file.gone,
      gather: options.gather ?? gathered,
      isMore
    })
    const pause = betweenPolls(options.pollInterval)
    if (pause !== undefined) yield* ForeignCommits.watch({ database, pause, publish })
    return RunStore.of({
      ...writes(writer, file, queues),
      ...reads(guarded, database),
      ...readingAfter(writer, { read: readWith(guarded, database), queues, publish }),
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

/** `undefined` never ends. */
const betweenPolls = (given: Options["pollInterval"]): Effect.Effect<void> | undefined => {
  if (given === undefined) return Effect.withClock(Effect.sleep("20 millis"), systemClock)
  const interval = Given.duration("pollInterval", given, {
    min: Given.shortestPause,
    orInfinity: true
  })
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
