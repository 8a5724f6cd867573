import * as Effect from "effect/Effect"

/**
 * What comes first of two waits; the other is let go. So does `Effect.raceFirst`, but in a region that
 * cannot be interrupted: there it waits for the other too, which may never come.
 */
export const firstOf = <A, E, R, A2, E2, R2>(
  one: Effect.Effect<A, E, R>,
  other: Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> =>
  Effect.raceFirst(Effect.interruptible(one), Effect.interruptible(other))
