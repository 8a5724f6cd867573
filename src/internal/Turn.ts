import * as Effect from "effect/Effect"

/**
 * One turn of the event loop: whatever is ready to run has run when it is over. Not a wait for
 * time, and so not the Clock's.
 */
export const turn: Effect.Effect<void> = Effect.async((resume) => {
  // not taken back: it is over in a moment, and a fiber that was interrupted does not hear of it
  setImmediate(() => resume(Effect.void))
})

/**
 * For whoever looks again and again: a turn at first, and when that has gone on for long a moment of
 * the Clock's time.
 *
 * @param count how often it has looked
 */
export const pause = (count: number): Effect.Effect<void> =>
  count < manyTurns ? turn : Effect.sleep("100 millis")

const manyTurns = 1_000
