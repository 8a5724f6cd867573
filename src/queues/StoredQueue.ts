/**
 * A store for the `PersistedQueue` of `@effect/experimental` in a database, and so for `DurableQueue`.
 *
 * What is taken is held by the one who took it, who renews that while it lives; once it lapses, as
 * after a crash, somebody else takes the element: at least once. An interrupt puts it back and is no
 * attempt. All time is Effect's Clock's.
 */
import * as PersistedQueue from "@effect/experimental/PersistedQueue"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { firstOf } from "../internal/FirstOf.js"
import * as Given from "../internal/Given.js"
import * as KeepGoing from "../internal/KeepGoing.js"
import type { RunStoreError } from "../store/RunStore.js"
import type { Transactions } from "../store/Transactions.js"

export interface Options {
  /**
   * How often to look for what other processes have offered or given back. What this process offers
   * is taken at once. Default: 1 second.
   */
  readonly pollInterval?: Duration.DurationInput | undefined
  /** How long an element stays taken when its process dies; renewed each third. Default: 30 seconds. */
  readonly holdDuration?: Duration.DurationInput | undefined
  /**
   * How long the id of an element that was processed is remembered, so that it is not added again. A
   * run that waits for an element offers it anew at each replay: shorter than its longest wait, and
   * the element is processed twice. Default: for ever. What was in the element is not kept.
   */
  readonly remember?: Duration.DurationInput | undefined
}

/** What databases say differently. Elements that were given up have their failure. */
export interface Dialect {
  /** The table `workflow_queue`. */
  readonly tables: ReadonlyArray<string>
  /** Where elements that are open are looked up. */
  readonly byOpen: string
  /** What locks the row that is to be taken, and passes over one that another takes. */
  readonly skipLocked: string
}

const insert = `
  INSERT INTO workflow_queue (queue, id, element, tried_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (queue, id) DO NOTHING`

/** The one that was tried longest ago, so that one that fails does not keep others waiting. */
const takeNext = ({ byOpen, skipLocked }: Dialect) => `
  UPDATE workflow_queue SET holder = ?, held_until = ?
  WHERE sequence = (
    SELECT sequence FROM workflow_queue ${byOpen}
    WHERE queue = ? AND completed_at IS NULL AND (holder IS NULL OR held_until <= ?)
    ORDER BY tried_at, sequence LIMIT 1 ${skipLocked}
  )
  RETURNING sequence, id, element, attempts`

const isHeld = "sequence = ? AND holder = ?"

const renew = `UPDATE workflow_queue SET held_until = ? WHERE ${isHeld}`

const complete = `
  UPDATE workflow_queue
  SET completed_at = ?, attempts = attempts + 1, element = '', holder = NULL, held_until = NULL
  WHERE ${isHeld}`

const putBack = `UPDATE workflow_queue SET holder = NULL, held_until = NULL WHERE ${isHeld}`

const fail = `
  UPDATE workflow_queue SET
    attempts = attempts + 1, failure = ?, tried_at = ?, holder = NULL, held_until = NULL,
    completed_at = CASE WHEN attempts + 1 >= CAST(? AS bigint) THEN CAST(? AS bigint) END
  WHERE ${isHeld}`

const forget = "DELETE FROM workflow_queue WHERE completed_at <= ?"

interface Taken {
  readonly sequence: number
  readonly id: string
  readonly element: string
  readonly attempts: number
}

/** How much of a failure is kept. */
const maxFailure = 10_000

/** How its errors are told. */
export const toQueueError = ({ cause, message }: RunStoreError) =>
  new PersistedQueue.PersistedQueueError({ message: `the queue: ${message}`, cause })

/** @param transactions of a database that has its tables */
export const make = (
  { write }: Transactions,
  dialect: Dialect,
  options: Options = {}
): Effect.Effect<PersistedQueue.PersistedQueueStore["Type"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const pollInterval = Given.duration("pollInterval", options.pollInterval ?? "1 second", {
      min: Given.shortestPause,
      orInfinity: true
    })
    const hold = Given.duration("holdDuration", options.holdDuration ?? "30 seconds", {
      min: Given.shortestPause
    })
    const holdMillis = Math.ceil(Duration.toMillis(hold))
    const remembered = Given.duration("remember", options.remember ?? Duration.infinity, {
      orInfinity: true
    })
    const taking = takeNext(dialect)
    const holder = crypto.randomUUID()
    /** Opened when there may be something to take. */
    const offered = yield* Effect.makeLatch(false)
    const held = new Set<number>()
    const now = Effect.map(Clock.currentTimeMillis, Math.floor)

    const renewAll = Effect.flatMap(now, (now) =>
      write((sql) =>
        Effect.forEach(held, (sequence) => sql.changes(renew, [now + holdMillis, sequence, holder]))
      )
    )
    const renewal = Effect.zipRight(
      Effect.sleep(Duration.unsafeDivide(hold, 3)),
      Effect.suspend(() => (held.size === 0 ? Effect.void : renewAll))
    )
    yield* Effect.forkScoped(
      Effect.interruptible(KeepGoing.forever("keeping what was taken from queues", renewal))
    )

    const takeOnce = (queue: string) =>
      Effect.flatMap(now, (now) =>
        write((sql) => sql.rows<Taken>(taking, [holder, now + holdMillis, queue, now]))
      )

    const forgetOld = (now: number) =>
      Duration.isFinite(remembered)
        ? write((sql) => sql.changes(forget, [now - Duration.toMillis(remembered)]))
        : Effect.void

    /** What became of it; where that cannot be written, it is taken again once the hold lapses. */
    const settle = ({ sequence }: Taken, maxAttempts: number, exit: Exit.Exit<unknown, unknown>) =>
      Effect.gen(function* () {
        const at = yield* now
        yield* write((sql) => {
          if (Exit.isSuccess(exit)) return sql.changes(complete, [at, sequence, holder])
          if (Cause.isInterruptedOnly(exit.cause)) return sql.changes(putBack, [sequence, holder])
          const failure = Cause.pretty(exit.cause).slice(0, maxFailure)
          return sql.changes(fail, [failure, at, maxAttempts, at, sequence, holder])
        })
        if (Exit.isFailure(exit)) yield* offered.open
        yield* forgetOld(at)
      }).pipe(
        Effect.catchAll((error) =>
          Effect.logError("what became of an element of a queue was not written", error)
        ),
        Effect.ensuring(Effect.sync(() => held.delete(sequence)))
      )

    const taken = (queue: string, maxAttempts: number) =>
      Effect.uninterruptible(
        Effect.tap(takeOnce(queue), ([one]) => {
          if (one === undefined) return Effect.void
          held.add(one.sequence)
          return Effect.addFinalizer((exit) => settle(one, maxAttempts, exit))
        })
      )

    const next = (
      queue: string,
      maxAttempts: number
    ): Effect.Effect<Taken, RunStoreError, Scope.Scope> =>
      Effect.suspend(() => {
        offered.unsafeClose()
        return Effect.flatMap(taken(queue, maxAttempts), ([one]) =>
          one === undefined
            ? Effect.zipRight(
                firstOf(offered.await, Effect.sleep(pollInterval)),
                next(queue, maxAttempts)
              )
            : Effect.succeed(one)
        )
      })

    return PersistedQueue.PersistedQueueStore.of({
      offer: ({ element, id, name }) =>
        Effect.flatMap(now, (now) =>
          write((sql) => sql.changes(insert, [name, id, JSON.stringify(element), now]))
        ).pipe(Effect.zipRight(offered.open), Effect.mapError(toQueueError), Effect.asVoid),
      take: ({ maxAttempts, name }) =>
        next(name, maxAttempts).pipe(
          Effect.map(({ attempts, element, id }) => ({
            id,
            attempts,
            element: JSON.parse(element) as unknown
          })),
          Effect.mapError(toQueueError)
        )
    })
  })
