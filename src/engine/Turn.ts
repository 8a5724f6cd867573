import * as Effect from "effect/Effect"

/**
 * One turn of the event loop: whatever is ready to run has run when it is over. Not a wait for
 * time, and so not the Clock's.
 */
export const turn: Effect.Effect<void> = Effect.async((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})
