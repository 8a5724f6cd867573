/**
 * One transaction of the store's writes, at READ COMMITTED.
 *
 * Those that are written most are one call of a function, which is a transaction by itself; any
 * others make one of several statements. Where the answer did not come, the call is made again, which
 * writes nothing twice, and of the other kind the database is asked what became of it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { systemClock } from "../../internal/SystemClock.js"
import * as Admission from "../Admission.js"
import { ChangeLog } from "../ChangeLog.js"
import { OutcomeUnknown, TransactionFailed } from "../GroupCommit.js"
import type { Change, Millis } from "../RunStore.js"
import type { Write } from "../Write.js"
import { runAll } from "../Write.js"
import * as Again from "./Again.js"
import { type Call, callOf } from "./Calls.js"
import type { Told } from "./Commit.js"
import type { Connections } from "./Connections.js"
import * as Failure from "./Failure.js"
import { creationLock, databaseTime } from "./Fragments.js"
import { notify } from "./Notify.js"
import { inTransaction } from "./Numbered.js"
import * as Outcome from "./Outcome.js"
import type { Sql } from "./Sql.js"
import type { Transaction } from "./Transaction.js"

export interface Options {
  readonly connections: Connections
  readonly told: Told
  readonly queues: Queues
  readonly slots: Outcome.Slots
}

/** Whether there are queues: who has none pays nothing for them. */
export interface Queues {
  known: boolean
}

const admitMarked = (transaction: Transaction) => Admission.admitMarked(inTransaction(transaction))

const isMarked = "SELECT 1 FROM workflow_lane_marks LIMIT 1"

const earlier = (one: Millis | undefined, other: Millis | undefined) =>
  one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)

/** What two commits have changed. The second has freed nothing but what may be claimed. */
const both = (one: Change | undefined, admitted: Change): Change =>
  one === undefined
    ? admitted
    : { ...one, pending: true, wakeAt: earlier(one.wakeAt, admitted.wakeAt) }

/**
 * After a call of the function, which gives no slots: what it has freed another gets at once. What goes
 * wrong is for whoever writes next.
 */
const admitAfter = (options: Options, change: Change | undefined) =>
  options.connections
    .reserved((sql) => sql.rows(isMarked))
    .pipe(
      Effect.flatMap((marks) =>
        marks.length === 0 ? Effect.succeed(undefined) : several(options, [], false)
      ),
      Effect.orElseSucceed(() => undefined),
      Effect.map((admitted) => (admitted === undefined ? change : both(change, admitted)))
    )

type Failed = TransactionFailed | OutcomeUnknown

export const transact =
  (options: Options) =>
  (writes: ReadonlyArray<Write<Transaction>>): Effect.Effect<Change | undefined, Failed> => {
    const call = callOf(writes)
    if (call === undefined) return Effect.uninterruptible(several(options, writes, false))
    const called = oneCall(options, writes, call)
    return Effect.uninterruptible(
      options.queues.known
        ? Effect.flatMap(called, (change) => admitAfter(options, change))
        : called
    )
  }

const failed =
  (inOperation: boolean) =>
  (cause: Cause.Cause<unknown>): Effect.Effect<never, TransactionFailed> =>
    Effect.fail(
      new TransactionFailed({
        // what a lost connection had not committed is not the doing of one of the writes
        inOperation: inOperation && !Failure.isConnectionLost(cause),
        error: Failure.fromCause(cause, "write")
      })
    )

/** Until the database can be asked. */
const untilAnswered = <A>(effect: Effect.Effect<A, Failed>): Effect.Effect<A, TransactionFailed> =>
  Effect.retry(Effect.interruptible(effect), {
    while: (error) =>
      error._tag === "OutcomeUnknown" ||
      error.error.reason === "unavailable" ||
      error.error.reason === "busy",
    schedule: Schedule.exponential("50 millis", 2).pipe(Schedule.union(Schedule.spaced("1 second")))
  }).pipe(Effect.catchTag("OutcomeUnknown", () => Effect.never))

const unknown = (
  outcome: Effect.Effect<Change | undefined, TransactionFailed>
): Effect.Effect<never, Failed> => Effect.fail(new OutcomeUnknown({ outcome }))

const oneCall = (
  options: Options,
  writes: ReadonlyArray<Write<Transaction>>,
  call: Call
): Effect.Effect<Change | undefined, Failed> => {
  const batch = Outcome.unique()
  const once = (by: "prepared" | "rows") =>
    Effect.suspend(() => callOnce(options, writes, { call, batch, by }))
  return Effect.catchAll(once("prepared"), (error) =>
    error._tag === "OutcomeUnknown" ? unknown(untilAnswered(once("rows"))) : Effect.fail(error)
  )
}

const callOnce = (
  options: Options,
  writes: ReadonlyArray<Write<Transaction>>,
  {
    batch,
    by,
    call
  }: { readonly call: Call; readonly batch: number; readonly by: "prepared" | "rows" }
): Effect.Effect<Change | undefined, Failed> => {
  const { connections, told } = options
  let asked = false
  return connections
    .reserved((sql) =>
      Effect.gen(function* () {
        const clock = yield* Effect.clock
        const now = Math.floor(clock.unsafeCurrentTimeMillis())
        const transaction = {
          ...sql,
          // each is a transaction by itself
          rows: sql[by],
          now,
          leaseNow: clock === systemClock ? null : now,
          batch,
          log: new ChangeLog()
        }
        asked = true
        yield* call(transaction, told)
        return transaction.log.toChange()
      })
    )
    .pipe(
      Effect.catchAllCause((cause) =>
        Cause.squash(cause) === Again.alone
          ? several(options, writes, true)
          : asked && Failure.isConnectionLost(cause)
            ? unknown(Effect.never)
            : failed(asked)(cause)
      )
    )
}

/**
 * `idle_in_transaction_session_timeout`: an executor that is frozen in the middle holds nobody up for
 * longer. The others: rows are looked up by their keys, whatever statistics say.
 */
const begin = `BEGIN ISOLATION LEVEL READ COMMITTED;
  SET LOCAL lock_timeout = '2s';
  SET LOCAL idle_in_transaction_session_timeout = '5s';
  SET LOCAL synchronous_commit = on;
  SET LOCAL enable_seqscan = off;
  SET LOCAL enable_hashjoin = off;
  SET LOCAL enable_mergejoin = off;`

const selectBegun = `
  SELECT ${databaseTime}::text AS time, pg_current_xact_id()::text AS xid;`

interface Begun {
  readonly time: string
  readonly xid: string
}

/** Two transactions that are about the same runs wait for each other in one direction only. */
const inOrder = (writes: ReadonlyArray<Write<Transaction>>): ReadonlyArray<Write<Transaction>> =>
  [...writes].sort((a, b) => (a.run < b.run ? -1 : a.run > b.run ? 1 : 0))

/** @param alone nobody creates a run meanwhile */
const several = (
  options: Options,
  writes: ReadonlyArray<Write<Transaction>>,
  alone: boolean
): Effect.Effect<Change | undefined, Failed> => {
  const { connections, slots } = options
  return Effect.suspend(() => {
    const slot = slots.take()
    const giveBack = Effect.sync(() => slots.giveBack(slot))
    return connections
      .reserved((sql) => severalOn(sql, options, { writes, alone, slot }))
      .pipe(
        Effect.tap(giveBack),
        Effect.catchAllCause((cause) => {
          const error = Cause.squash(cause)
          if (error instanceof OutcomeUnknown) {
            return unknown(Effect.ensuring(error.outcome, giveBack))
          }
          const given =
            error === Again.alone
              ? several(options, writes, true)
              : error instanceof TransactionFailed
                ? Effect.fail(error)
                : failed(true)(cause)
          return Effect.zipRight(giveBack, given)
        })
      )
  })
}

const severalOn = (
  sql: Sql,
  { connections, queues, told }: Options,
  {
    alone,
    slot,
    writes
  }: {
    readonly writes: ReadonlyArray<Write<Transaction>>
    readonly alone: boolean
    readonly slot: number
  }
) =>
  Effect.gen(function* () {
    const lock = connections.schema.qualified(`SELECT pg_advisory_xact_lock(${creationLock});`)
    const script = alone ? `${begin}${lock}${selectBegun}` : `${begin}${selectBegun}`
    const [begun] = yield* Effect.catchAllCause(sql.script<Begun>(script), failed(false))
    const log = new ChangeLog()
    const marked = { slot, batch: Outcome.unique(), xid: begun?.xid ?? "" }
    const { batch } = marked
    yield* Effect.flatMap(transactionOf(sql, { begun, alone, batch, log }), (transaction) =>
      Effect.zipRight(
        runAll(inOrder(writes), transaction),
        Effect.suspend(() => (queues.known ? admitMarked(transaction) : Effect.void))
      )
    ).pipe(Effect.tapErrorCause(() => Failure.ignoreAll(sql.script("ROLLBACK"))))
    const tells = notify(told, log.toChange())
    yield* Effect.catchAllCause(Outcome.commit(sql, connections.schema, marked, tells), (cause) =>
      Failure.isConnectionLost(cause)
        ? unknown(outcomeOf(connections, marked, log))
        : Effect.zipRight(Failure.ignoreAll(sql.script("ROLLBACK")), failed(false)(cause))
    )
    return log.toChange()
  })

const transactionOf = (
  sql: Sql,
  {
    begun,
    ...rest
  }: Pick<Transaction, "alone" | "batch" | "log"> & { readonly begun: Begun | undefined }
): Effect.Effect<Transaction> =>
  Effect.map(Effect.clock, (clock) => {
    const now = Math.floor(clock.unsafeCurrentTimeMillis())
    const leaseNow = clock === systemClock ? Number(begun?.time) : now
    return { ...sql, ...rest, now, leaseNow }
  })

/** What becomes of a commit whose answer did not come is the database's to say. */
const outcomeOf = (
  { reserved }: Connections,
  marked: Outcome.Marked,
  log: ChangeLog
): Effect.Effect<Change | undefined, TransactionFailed> => {
  const known = Effect.gen(function* () {
    const outcome = yield* reserved((sql) => Outcome.of(sql, marked))
    return outcome === "under way" ? yield* unknown(Effect.never) : outcome
  })
  return Effect.flatMap(
    untilAnswered(Effect.catchTag(known, "SqlError", (error) => failed(false)(Cause.fail(error)))),
    (outcome) =>
      outcome === "committed"
        ? Effect.succeed(log.toChange())
        : new TransactionFailed({ inOperation: false, error: Failure.notWritten })
  )
}
