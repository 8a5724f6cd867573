/** Waits that are given up after a time, also in a finalizer. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"

/**
 * What it comes to within that time, else `None`. A finalizer is uninterruptible, and so would be the
 * wait that the timeout has to cut: it is interruptible here, and its interruption is waited for.
 */
export const within =
  (duration: Duration.DurationInput) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> =>
    Effect.timeoutOption(Effect.interruptible(effect), duration)

/** The same of what may not heed an interruption: that goes on by itself, and nobody waits for it. */
export const orLeftBehind =
  (duration: Duration.DurationInput) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> =>
    within(duration)(Effect.disconnect(effect))
