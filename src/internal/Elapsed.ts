/** How long something takes, whatever is done to the time of day meanwhile. */
import * as Effect from "effect/Effect"

/** Milliseconds on the Clock, since a moment of its own: they only ever grow. */
export const now: Effect.Effect<number> = Effect.clockWith((clock) =>
  Effect.sync(() => Number(clock.unsafeCurrentTimeNanos()) / 1e6)
)
