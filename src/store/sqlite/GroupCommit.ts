/**
 * The one place that writes. Writes wait in a queue; whatever is ready in one turn of the event
 * loop shares one transaction, and so one sync of the disk. Nobody hears of a write before its
 * COMMIT.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Metrics from "../../telemetry/Metrics.js"
import type { Change, RunLost } from "../RunStore.js"
import { RunStoreError } from "../RunStore.js"
import { retryWhileBusy } from "./Busy.js"
import { ChangeLog } from "./ChangeLog.js"
import type { Database } from "./Database.js"
import { closed, fromCause, ignoreAll, ofStatement } from "./Failure.js"
import { nextTurn } from "./Sql.js"
import { onlyWellFormed } from "./Texts.js"
import type { Batch, Operation, Write } from "./Write.js"
import { failAll, inTransactions, makeBatched, makeWrite, runAll } from "./Write.js"

export interface GroupCommit {
  /** Succeeds once committed. Interrupted meanwhile, it is not known whether it was written. */
  readonly write: <A, E extends RunLost = never>(
    operation: Operation<A, E>,
    bytes?: number
  ) => Effect.Effect<A, E | RunStoreError>
  /** As `write`; `bytesOf` says about how many an input has. */
  readonly writeBatched: <Input, A, E extends RunLost = never>(
    batch: Batch<Input, A, E>,
    bytesOf: (input: Input) => number
  ) => (input: Input) => Effect.Effect<A, E | RunStoreError>
}

/** Bounds how long one transaction keeps the event loop and other processes waiting. */
const largest = { writes: 500, bytes: 4 * 1024 * 1024 }

const closeTimeout = Duration.seconds(10)

/** Flushes the queue when the scope closes; then every write fails with `closed`. */
export const make = (options: {
  readonly database: Database
  readonly publish: (change: Change) => void
  /** Lets the writes that are ready join the first. */
  readonly gather: Effect.Effect<void>
  /** Says in an error of which database it is. */
  readonly named: (error: RunStoreError) => RunStoreError
  /** Why nothing is written any more. */
  readonly gone: () => RunStoreError | undefined
}): Effect.Effect<GroupCommit, never, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = yield* Mailbox.make<Write>()
    const closing = yield* Deferred.make<void>()
    const commit = committer({ ...options, hurry: Deferred.await(closing) })

    yield* Effect.acquireRelease(
      Effect.forkDaemon(Effect.interruptible(drainQueue(queue, options.gather, commit))),
      (writer) =>
        Deferred.succeed(closing, undefined).pipe(
          Effect.zipRight(queue.end),
          Effect.zipRight(queueFlushed(writer)),
          Effect.zipRight(Fiber.interrupt(writer))
        )
    )

    const enqueue = <A, E>(
      make: (answer: (exit: Exit.Exit<A, E | RunStoreError>) => void) => Write
    ): Effect.Effect<A, E | RunStoreError> =>
      Effect.withFiberRuntime((fiber) =>
        options.database.isInside(fiber.currentContext)
          ? Effect.fail(insideTransaction)
          : Effect.async((resume) => {
              if (!queue.unsafeOffer(make(resume))) resume(Effect.fail(closed))
            })
      )

    return {
      write: <A, E extends RunLost>(operation: Operation<A, E>, bytes = 0) =>
        enqueue<A, E>((answer) => makeWrite(operation, bytes, answer)),
      writeBatched:
        <Input, A, E extends RunLost>(
          batch: Batch<Input, A, E>,
          bytesOf: (input: Input) => number
        ) =>
        (input: Input) =>
          enqueue<A, E>((answer) => makeBatched(batch, input, bytesOf(input), answer))
    }
  })

/** Interruptible, for a finalizer is not, and a timeout would wait for what it gave up. */
const queueFlushed = (writer: Fiber.Fiber<void>) =>
  Effect.timeoutOption(Effect.interruptible(Fiber.await(writer)), closeTimeout)

const drainQueue = (
  queue: Mailbox.Mailbox<Write>,
  gather: Effect.Effect<void>,
  commit: (writes: ReadonlyArray<Write>) => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    /** Out of the queue, and not answered. */
    let taken: ReadonlyArray<Write> = []
    // the queue ends before its writer is interrupted: this does not wait then
    const take = Effect.uninterruptible(
      Effect.map(queue.takeAll, ([first, done]) => {
        taken = [...first]
        return taken.length > 0 || !done
      })
    )
    const join = Effect.uninterruptible(
      Effect.map(queue.clear, (more) => {
        taken = [...taken, ...more]
      })
    )
    const failLeft = Effect.map(queue.clear, (more) => failAll(closed)([...taken, ...more]))
    return Effect.gen(function* () {
      while (yield* take) {
        yield* gather
        yield* join
        for (const [index, part] of inTransactions(taken, largest).entries()) {
          if (index > 0) yield* nextTurn
          yield* Effect.catchAllCause(commit(part), (cause) => giveUp(part, cause))
          taken = taken.slice(part.length)
        }
      }
    }).pipe(Effect.onInterrupt(() => failLeft))
  })

/** A defect of ours ends no writer: those who wait are told, as far as they were not. */
const giveUp = (writes: ReadonlyArray<Write>, cause: Cause.Cause<never>) =>
  Effect.zipRight(
    Effect.logError("a commit was not answered", cause),
    Effect.sync(() => failAll(fromCause(cause, "write"))(writes))
  )

/** Commits writes together and answers their callers. Never fails: the callers have the error. */
const committer = (options: {
  readonly database: Database
  readonly publish: (change: Change) => void
  readonly named: (error: RunStoreError) => RunStoreError
  readonly gone: () => RunStoreError | undefined
  readonly hurry: Effect.Effect<void>
}) => {
  const commit = (writes: ReadonlyArray<Write>): Effect.Effect<void> =>
    Effect.clockWith((clock) => {
      const gone = options.gone()
      return gone === undefined
        ? commitFrom(writes, clock, clock.unsafeCurrentTimeNanos())
        : Effect.sync(() => failAll(gone)(writes))
    })

  const commitFrom = (
    writes: ReadonlyArray<Write>,
    clock: Clock.Clock,
    began: bigint
  ): Effect.Effect<void> =>
    retryWhileBusy(transact(options.database, writes), {
      isBusy: ({ error }) => error.reason === "busy",
      hurry: options.hurry
    }).pipe(
      Effect.matchCauseEffect({
        onSuccess: (change) => {
          Metrics.committed(writes.length, Number(clock.unsafeCurrentTimeNanos() - began) / 1e9)
          for (const write of writes) write.settle()
          if (change !== undefined) options.publish(change)
          return Effect.void
        },
        onFailure: (cause) => {
          const failed = Cause.failureOption(cause)
          return Option.isSome(failed) && failed.value.inOperation && writes.length > 1
            ? oneByOne(writes)
            : Effect.sync(() => {
                const error = Option.isSome(failed) ? failed.value.error : fromCause(cause, "write")
                failAll(options.named(error))(writes)
              })
        }
      })
    )

  /** So that the write which cannot be done fails alone. */
  const oneByOne = (writes: ReadonlyArray<Write>) =>
    Effect.forEach(writes, (write) => Effect.zipRight(nextTurn, commit([write])), { discard: true })

  return commit
}

class TransactionFailed extends Data.TaggedError("TransactionFailed")<{
  readonly error: RunStoreError
  /** Of an operation; else of the transaction as such. */
  readonly inOperation: boolean
}> {}

const failure = (inOperation: boolean) => (cause: Cause.Cause<unknown>) =>
  Effect.fail(
    new TransactionFailed({
      inOperation,
      error: inOperation ? ofStatement(cause) : fromCause(cause, "write")
    })
  )

/** Holds the write lock from the first statement to the last, and for one turn only. */
const transact = (
  database: Database,
  writes: ReadonlyArray<Write>
): Effect.Effect<Change | undefined, TransactionFailed> =>
  database
    .reserved((sql) =>
      Effect.gen(function* () {
        yield* Effect.catchAllCause(sql.rows("BEGIN IMMEDIATE"), failure(false))
        const transaction = {
          ...onlyWellFormed(sql),
          now: Math.floor(yield* Clock.currentTimeMillis),
          log: new ChangeLog()
        }
        yield* runAll(writes, transaction).pipe(
          Effect.catchAllCause(failure(true)),
          Effect.zipRight(Effect.catchAllCause(sql.rows("COMMIT"), failure(false))),
          // SQLite has rolled back by itself after some errors; then this one fails.
          Effect.tapErrorCause(() => ignoreAll(sql.rows("ROLLBACK")))
        )
        return transaction.log.toChange()
      })
    )
    .pipe(Effect.catchTag("SqlError", (error) => failure(false)(Cause.fail(error))))

/**
 * The writer waits for the connection that the caller's own transaction holds, and the caller for
 * the writer: if it were let in both would wait for ever.
 */
const insideTransaction = new RunStoreError({
  reason: "unavailable",
  message:
    "The run store cannot write inside a transaction of its own SQL client: commit first, then call it"
})
