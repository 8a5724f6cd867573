/**
 * Goes on with operations on many runs, one part after the other: lists the next runs of the filter,
 * does with each what was asked for, and writes down what it came to and where the next part begins.
 *
 * Whoever dies in between has done a part, or some of it, that is not written down. The next executor does
 * that part again, from a new list. See `act` for why that does no harm; what is told of that part then
 * has those runs as refused, or not at all.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { firstOf } from "../internal/FirstOf.js"
import * as KeepGoing from "../internal/KeepGoing.js"
import { turn } from "../internal/Turn.js"
import {
  type BulkOperation,
  isFinal,
  type Run,
  RunStore,
  type RunStoreError,
  type WithFinished
} from "../store/RunStore.js"
import type { Nudge } from "./Nudges.js"
import { type Refused, whyNotRemoved, whyNotRetried } from "./Refusals.js"
import * as Change from "./runs/Change.js"

/** So many runs are a part. */
const partSize = 100

/** So many of them are written together: whoever else wants to write comes in between. */
const atOnce = 10

/** How long another executor waits for one that may have died in a part. */
const leaseMillis = 30_000

/** How often it is looked after one that another executor goes on with, which may die. */
const betweenHeld = "10 seconds"

/** Why it was not done with a run; `undefined`: it was. */
type WhyNot = string | undefined

const deleted = "it was deleted meanwhile"

const ofFinished = (answer: WithFinished, why: (refused: Refused) => string): WhyNot => {
  switch (answer._tag) {
    case "Done":
      return undefined
    case "NotFound":
      return deleted
    case "Refused":
      return why(answer)
  }
}

/**
 * Does it with one run, which may have changed since it was listed, or have been done with already by an
 * executor that died before that was written down.
 */
const act = (store: RunStore["Type"], { action, options }: BulkOperation) => {
  const { terminate } = Change.make(store)
  return ({ runId, status }: Run): Effect.Effect<WhyNot, RunStoreError> => {
    switch (action) {
      case "retry":
        // one that was retried is not over, and refused; if it has failed again by then, it is retried
        // once more, as by whoever would ask again
        return Effect.map(
          store.retry({ runId, withChildren: options.withChildren ?? true }),
          (answer) => ofFinished(answer, whyNotRetried)
        )
      case "interrupt":
        // asked for twice it is as asked for once
        return isFinal(status)
          ? Effect.succeed(`it is ${status}; only a run that is not over can be interrupted`)
          : Effect.map(
              store.requestInterrupt(runId),
              Option.match({ onNone: () => deleted, onSome: () => undefined })
            )
      case "terminate":
        // one that was terminated is over, and refused
        return terminate({ runId, reason: options.reason, children: options.children }).pipe(
          Effect.as(undefined),
          Effect.catchTags({
            RunNotFound: () => Effect.succeed(deleted),
            RunFinished: ({ status }) =>
              Effect.succeed(`it is ${status}; only a run that is not over can be terminated`),
            // it was asked for with one that is short enough
            InvalidReason: ({ message }) => Effect.succeed(message)
          })
        )
      case "resume":
        // a run that is woken twice looks twice at what it waits for, and waits again
        return Effect.map(
          store.wake(runId),
          Option.match({
            onNone: () => deleted,
            onSome: (before) =>
              isFinal(before) ? `it is ${before}; nothing resumes it` : undefined
          })
        )
      case "delete":
        // one that was deleted is not listed again; one that got its place in the table is a later one,
        // which `listed` leaves out
        return Effect.map(store.remove(runId), (answer) => ofFinished(answer, whyNotRemoved))
    }
  }
}

/**
 * The next runs. SQLite gives the id of the newest run again once that was deleted, so that what is
 * deleted is also older than the request.
 */
const listed = (
  store: RunStore["Type"],
  { action, cursor, filter, requestedAt }: BulkOperation
) => {
  const { createdBefore = Number.MAX_SAFE_INTEGER } = filter
  const notLater = { createdBefore: Math.min(createdBefore, requestedAt + 1) }
  return store.list({
    ...filter,
    ...(action === "delete" ? notLater : {}),
    cursor,
    limit: partSize,
    payload: false,
    result: false,
    maxValueBytes: 0
  })
}

/** A write that can never be done is refused to its run: the others are not to wait for it. */
const refusable = (write: Effect.Effect<WhyNot, RunStoreError>) =>
  Effect.catchAll(write, (error) =>
    error.reason === "refused" ? Effect.succeed(error.message) : Effect.fail(error)
  )

const tally = (whys: ReadonlyArray<WhyNot>) => {
  const refused: Record<string, number> = {}
  for (const why of whys) {
    if (why !== undefined) refused[why] = (refused[why] ?? 0) + 1
  }
  return { done: whys.filter((why) => why === undefined).length, refused }
}

/** `None`: it is over, or another's. */
const part = (store: RunStore["Type"], executor: number, operation: BulkOperation) =>
  Effect.gen(function* () {
    const { cursor, runs } = yield* listed(store, operation)
    const whys = yield* Effect.forEach(runs, (run) => refusable(act(store, operation)(run)), {
      concurrency: atOnce
    })
    const advanced = yield* store.advanceBulk({
      operation,
      executor,
      ...tally(whys),
      cursor,
      leaseMillis
    })
    return Option.filter(advanced, ({ state }) => state === "running")
  }).pipe(Effect.uninterruptible)

/** Claims one and goes through it; answers whether there was one. */
const oneOperation = (store: RunStore["Type"], executor: number) =>
  Effect.gen(function* () {
    let claimed = yield* store.claimBulk({ executor, leaseMillis })
    if (Option.isNone(claimed)) return false
    const { id } = claimed.value
    while (Option.isSome(claimed)) {
      claimed = yield* part(store, executor, claimed.value)
      // whoever else wants to write comes in between
      yield* turn
    }
    const ended = yield* store.findBulk(id)
    if (Option.isSome(ended)) {
      const { action, done, refused, state } = ended.value
      yield* Effect.logInfo(`an operation on many runs is ${state}`).pipe(
        Effect.annotateLogs({ id, action, done, refused: JSON.stringify(refused) })
      )
    }
    return true
  })

export interface BulkLoop {
  readonly nudge: Nudge
  /** Until it is interrupted, which it is between two parts. */
  readonly goOn: Effect.Effect<void, never, RunStore>
}

export const make = (executor: () => number): BulkLoop => {
  const wanted = Effect.unsafeMakeLatch(true)
  // while another goes on with one, all that it writes would be a reason to look
  let heldElsewhere = false
  const round = Effect.gen(function* () {
    const store = yield* RunStore
    wanted.unsafeClose()
    const has = yield* store.hasBulk
    if (has && (yield* oneOperation(store, executor()))) return
    heldElsewhere = has
    // one that is asked for is told of; an idle executor wakes for nothing
    yield* has ? firstOf(Effect.sleep(betweenHeld), wanted.await) : wanted.await
  })
  return {
    nudge: ({ bulk = false, foreign, told }) => {
      if (bulk || (foreign && told === undefined && !heldElsewhere)) wanted.unsafeOpen()
    },
    goOn: KeepGoing.forever("operations on many runs", round)
  }
}
