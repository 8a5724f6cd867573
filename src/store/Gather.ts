/** What the first write of a transaction waits for, so that others which are ready join it. */
import * as Effect from "effect/Effect"
import * as Ready from "../internal/Ready.js"
import { systemClock } from "../internal/SystemClock.js"
import { turn } from "../internal/Turn.js"

/** One turn of the event loop; under a clock that is not the system's a commit waits for no turn. */
export const gathered: Effect.Effect<void> = Effect.clockWith((clock) =>
  clock === systemClock ? turn : Effect.yieldNow()
)

/**
 * Whether there are more, whose turn is the next. How far a turn came is the processor's doing: under a
 * clock that is not the system's nothing depends on it.
 */
export const isMore: Effect.Effect<boolean> = Effect.clockWith((clock) =>
  Effect.sync(() => clock === systemClock && Ready.isMore())
)
