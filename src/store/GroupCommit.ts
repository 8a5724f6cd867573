/**
 * The one place that writes, of every store. Writes wait in a queue; whatever is ready in one turn
 * of the event loop shares one transaction, and so one sync of the disk. Nobody hears of a write
 * before its COMMIT. What a transaction is, the store says.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { turn } from "../internal/Turn.js"
import * as Metrics from "../telemetry/Metrics.js"
import { retryWhileBusy } from "./Busy.js"
import { closed } from "./Closed.js"
import type { Change, RunLost, RunStoreError } from "./RunStore.js"
import type { Batch, Operation, Write } from "./Write.js"
import { failAll, inTransactions, makeBatched, makeWrite } from "./Write.js"

/** Writes in transactions `T`. */
export interface GroupCommit<T> {
  /**
   * Succeeds once committed. Interrupted meanwhile, it is not known whether it was written. `run` is
   * that which it is about.
   */
  readonly write: <A, E extends RunLost = never>(
    operation: Operation<T, A, E>,
    bytes?: number,
    run?: string
  ) => Effect.Effect<A, E | RunStoreError>
  /**
   * As `write`; `bytesOf` says about how many an input has. With `runOf` each is about that run, and is
   * done by itself, among others that lock runs.
   */
  readonly writeBatched: <Input, A, E extends RunLost = never>(
    batch: Batch<T, Input, A, E>,
    bytesOf: (input: Input) => number,
    runOf?: (input: Input) => string
  ) => (input: Input) => Effect.Effect<A, E | RunStoreError>
}

/** No write of the transaction was done. */
export class TransactionFailed extends Data.TaggedError("TransactionFailed")<{
  readonly error: RunStoreError
  /** Of an operation, so that the others may be done without it; else of the transaction as such. */
  readonly inOperation: boolean
}> {}

/**
 * Whether the writes were committed is not known, for the answer did not come. Nobody hears of them
 * until `outcome` knows; others are written meanwhile.
 */
export class OutcomeUnknown extends Data.TaggedError("OutcomeUnknown")<{
  readonly outcome: Effect.Effect<Change | undefined, TransactionFailed>
}> {}

export interface Options<T> {
  /**
   * Does the writes (`runAll`), commits them, and answers with what they have changed. While it
   * fails as `busy` it is tried again, for up to 10 seconds.
   */
  readonly transact: (
    writes: ReadonlyArray<Write<T>>
  ) => Effect.Effect<Change | undefined, TransactionFailed | OutcomeUnknown>
  readonly publish: (change: Change) => void
  /** Lets the writes that are ready join the first. */
  readonly gather: Effect.Effect<void>
  /** Whether others are about to write, and have not had their turn. */
  readonly isMore: Effect.Effect<boolean>
  /** Of a caller with these services: why it would wait for ever. */
  readonly refused: (services: Context.Context<never>) => RunStoreError | undefined
  /** What a defect comes to. */
  readonly fromCause: (cause: Cause.Cause<unknown>) => RunStoreError
  /** Says in an error of which database it is. */
  readonly named: (error: RunStoreError) => RunStoreError
  /** Why nothing is written any more. */
  readonly gone: () => RunStoreError | undefined
}

/** Bounds how long one transaction keeps the event loop and other processes waiting. */
const largest = { writes: 500, bytes: 4 * 1024 * 1024 }

/**
 * How many more turns of the event loop the first write waits for those that are about to write. A turn
 * takes 10 ms then, or as long as an effect that takes longer: see `RunScheduler`. With 500 runs at work it
 * saves two commits of five.
 */
const patience = 3

const closeTimeout = Duration.seconds(10)

/** Flushes the queue when the scope closes; then every write fails with `closed`. */
export const make = <T>(options: Options<T>): Effect.Effect<GroupCommit<T>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = yield* Mailbox.make<Write<T>>()
    const closing = yield* Deferred.make<void>()
    const unsettled = yield* FiberSet.make<void>()
    const commit = committer({
      ...options,
      hurry: Deferred.await(closing),
      fork: (effect) => Effect.asVoid(FiberSet.run(unsettled, Effect.interruptible(effect)))
    })

    yield* Effect.acquireRelease(
      Effect.forkDaemon(Effect.interruptible(drainQueue(queue, options, commit))),
      (writer) =>
        Deferred.succeed(closing, undefined).pipe(
          Effect.zipRight(queue.end),
          Effect.zipRight(flushed(Fiber.await(writer))),
          Effect.zipRight(Fiber.interrupt(writer)),
          Effect.zipRight(flushed(FiberSet.awaitEmpty(unsettled)))
        )
    )

    const enqueue = <A, E>(
      make: (answer: (exit: Exit.Exit<A, E | RunStoreError>) => void) => Write<T>
    ): Effect.Effect<A, E | RunStoreError> =>
      Effect.withFiberRuntime((fiber) => {
        const refusal = options.refused(fiber.currentContext)
        return refusal === undefined
          ? Effect.async((resume) => {
              if (!queue.unsafeOffer(make(resume))) resume(Effect.fail(closed))
            })
          : Effect.fail(refusal)
      })

    return {
      write: <A, E extends RunLost>(operation: Operation<T, A, E>, bytes = 0, run = "") =>
        enqueue<A, E>((answer) => makeWrite(operation, bytes, run, answer)),
      writeBatched:
        <Input, A, E extends RunLost>(
          batch: Batch<T, Input, A, E>,
          bytesOf: (input: Input) => number,
          runOf?: (input: Input) => string
        ) =>
        (input: Input) =>
          enqueue<A, E>((answer) =>
            makeBatched(batch, input, bytesOf(input), answer, runOf?.(input))
          )
    }
  })

/** Interruptible, for a finalizer is not, and a timeout would wait for what it gave up. */
const flushed = (end: Effect.Effect<unknown>) =>
  Effect.timeoutOption(Effect.interruptible(end), closeTimeout)

const drainQueue = <T>(
  queue: Mailbox.Mailbox<Write<T>>,
  { fromCause, gather, isMore }: Options<T>,
  commit: (writes: ReadonlyArray<Write<T>>) => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    /** Out of the queue, and not answered. */
    let taken: ReadonlyArray<Write<T>> = []
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
    /** What is ready, and what is about to be, as long as more comes. */
    const gathered = Effect.gen(function* () {
      let before = 0
      for (let turn = 0; turn <= patience && taken.length > before; turn++) {
        before = taken.length
        yield* gather
        yield* join
        if (taken.length >= largest.writes || !(yield* isMore)) return
      }
    })
    const failLeft = Effect.map(queue.clear, (more) => failAll(closed)([...taken, ...more]))
    return Effect.gen(function* () {
      while (yield* take) {
        yield* gathered
        for (const [index, part] of inTransactions(taken, largest).entries()) {
          if (index > 0) yield* turn
          yield* Effect.catchAllCause(commit(part), (cause) => giveUp(part, cause, fromCause))
          taken = taken.slice(part.length)
        }
      }
    }).pipe(Effect.onInterrupt(() => failLeft))
  })

/** A defect of ours ends no writer: those who wait are told, as far as they were not. */
const giveUp = <T>(
  writes: ReadonlyArray<Write<T>>,
  cause: Cause.Cause<never>,
  fromCause: Options<T>["fromCause"]
) =>
  Effect.zipRight(
    Effect.logError("a commit was not answered", cause),
    Effect.sync(() => failAll(fromCause(cause))(writes))
  )

/** Commits writes together and answers their callers. Never fails: the callers have the error. */
const committer = <T>(
  options: Options<T> & {
    readonly hurry: Effect.Effect<void>
    /** In the background; it ends with the store. */
    readonly fork: (effect: Effect.Effect<void>) => Effect.Effect<void>
  }
) => {
  const commit = (writes: ReadonlyArray<Write<T>>): Effect.Effect<void> =>
    Effect.clockWith((clock) => {
      const gone = options.gone()
      return gone === undefined
        ? commitFrom(writes, clock, clock.unsafeCurrentTimeNanos())
        : Effect.sync(() => failAll(gone)(writes))
    })

  const commitFrom = (
    writes: ReadonlyArray<Write<T>>,
    clock: Clock.Clock,
    began: bigint
  ): Effect.Effect<void> =>
    retryWhileBusy(options.transact(writes), {
      isBusy: (failed) => failed._tag === "TransactionFailed" && failed.error.reason === "busy",
      hurry: options.hurry
    }).pipe(
      Effect.matchCauseEffect({
        onSuccess: (change) => {
          Metrics.committed(writes.length, Number(clock.unsafeCurrentTimeNanos() - began) / 1e9)
          succeeded(writes, change)
          return Effect.void
        },
        onFailure: (cause) => {
          const failed = Option.getOrUndefined(Cause.failureOption(cause))
          return failed?._tag === "OutcomeUnknown"
            ? options.fork(settleLater(writes, failed))
            : failedWith(writes, failed, cause)
        }
      })
    )

  const succeeded = (writes: ReadonlyArray<Write<T>>, change: Change | undefined) => {
    for (const write of writes) write.settle()
    if (change !== undefined) options.publish(change)
  }

  const failedWith = (
    writes: ReadonlyArray<Write<T>>,
    failed: TransactionFailed | undefined,
    cause: Cause.Cause<unknown>
  ): Effect.Effect<void> =>
    failed?.inOperation === true && writes.length > 1
      ? oneByOne(writes)
      : Effect.sync(() => {
          failAll(options.named(failed?.error ?? options.fromCause(cause)))(writes)
        })

  const settleLater = (writes: ReadonlyArray<Write<T>>, { outcome }: OutcomeUnknown) =>
    outcome.pipe(
      Effect.matchCauseEffect({
        onSuccess: (change) => Effect.sync(() => succeeded(writes, change)),
        onFailure: (cause) =>
          failedWith(writes, Option.getOrUndefined(Cause.failureOption(cause)), cause)
      }),
      // the store is closed: nobody knows, and nobody waits any more
      Effect.onInterrupt(() => Effect.sync(() => failAll(closed)(writes)))
    )

  /** So that the write which cannot be done fails alone. */
  const oneByOne = (writes: ReadonlyArray<Write<T>>) =>
    Effect.forEach(writes, (write) => Effect.zipRight(turn, commit([write])), { discard: true })

  return commit
}
