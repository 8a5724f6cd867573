/**
 * Writes that a run cannot go on without. A store that is busy or full is waited for, as long as
 * anybody may wait; a run whose lease is lost is told so, and so is one whose write can never be done.
 */

import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { firstOf } from "../../internal/FirstOf.js"
import type { RunLost, RunStoreError } from "../../store/RunStore.js"

/** The write was not done when the executor's time to stop was up, or its store was closed or gone. */
export class GivenUp extends Data.TaggedError("GivenUp")<{ readonly message: string }> {}

/** The store will never take the write: its run is to be set aside, with this reason. */
export class WriteRefused extends Data.TaggedError("WriteRefused")<{ readonly message: string }> {}

/** How a write of a run may fail. */
export type PersistError = RunLost | GivenUp | WriteRefused

const schedule = Schedule.exponential("50 millis", 2).pipe(
  Schedule.modifyDelay((_, delay) => Duration.min(delay, "1 second"))
)

export interface Persist {
  readonly persist: <A>(
    write: Effect.Effect<A, RunStoreError | RunLost>
  ) => Effect.Effect<A, PersistError>
  /** Nothing is waited for any more. */
  readonly giveUp: Effect.Effect<void>
}

export const make: Effect.Effect<Persist> = Effect.gen(function* () {
  const over = yield* Deferred.make<never, GivenUp>()

  const persist = <A>(
    write: Effect.Effect<A, RunStoreError | RunLost>
  ): Effect.Effect<A, PersistError> =>
    Effect.catchTag(write, "RunStoreError", (error) =>
      !mayPass(error)
        ? Effect.fail(unpassing(error))
        : Effect.logWarning("store write failed; trying again", Cause.fail(error)).pipe(
            // what has happened is to be written, whoever does not want it any more
            Effect.zipRight(firstOf(retrying(write), Deferred.await(over)))
          )
    )

  return {
    persist,
    giveUp: Effect.asVoid(
      Deferred.fail(over, new GivenUp({ message: "the executor's time to stop was up" }))
    )
  }
})

/** Whether trying the write again may do it. */
export const mayPass = ({ reason }: RunStoreError): boolean =>
  reason !== "closed" && reason !== "refused" && reason !== "gone"

const unpassing = ({ message, reason }: RunStoreError) =>
  reason === "refused" ? new WriteRefused({ message }) : new GivenUp({ message })

const retrying = <A>(write: Effect.Effect<A, RunStoreError | RunLost>) =>
  write.pipe(
    Effect.delay("50 millis"),
    Effect.retry({
      while: (error) => error._tag === "RunStoreError" && mayPass(error),
      schedule
    }),
    Effect.catchTag("RunStoreError", (error) =>
      Effect.fail<GivenUp | WriteRefused>(unpassing(error))
    )
  )
