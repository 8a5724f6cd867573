/**
 * What becomes of a request where the store fails.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { StoreNotAvailable } from "../api/Api.js"
import { RunStoreError } from "../store/RunStore.js"

const isStoreError = (error: unknown): error is RunStoreError => error instanceof RunStoreError

/** What went wrong in the store is for the log; it is none of the client's business. */
export const orNotAvailable = <A, E, R>(effect: Effect.Effect<A, E | RunStoreError, R>) =>
  Effect.catchIf(effect, isStoreError, (error) =>
    Effect.zipRight(
      Effect.logError("The run store failed", Cause.fail(error)),
      new StoreNotAvailable({ message: "The run store is not available; try again" })
    )
  )
