import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { firstOf } from "../internal/FirstOf.js"
import { turn } from "../internal/Turn.js"

const firstPause = 5
const longestPause = 50
const patience = 10_000
/** What a pause counts that was cut short; bounds the attempts that a close still makes. */
const cutShort = 250

/**
 * Tries again while the database is locked, for up to 10 seconds by the Clock. Once `hurry` has
 * succeeded nothing waits for the Clock any more, and only some attempts are left.
 */
export const retryWhileBusy = <A, E, R>(
  attempt: Effect.Effect<A, E, R>,
  options: {
    readonly isBusy: (error: E) => boolean
    readonly hurry: Effect.Effect<void>
  }
): Effect.Effect<A, E, R> => {
  const pause = (millis: number) =>
    firstOf(
      Effect.as(Effect.sleep(Duration.millis(millis)), millis),
      Effect.as(Effect.zipRight(options.hurry, turn), cutShort)
    )
  const go = (next: number, waited: number): Effect.Effect<A, E, R> =>
    Effect.catchAll(attempt, (error) =>
      !options.isBusy(error) || waited >= patience
        ? Effect.fail(error)
        : Effect.flatMap(pause(next), (millis) =>
            go(Math.min(next * 2, longestPause), waited + millis)
          )
    )
  return go(firstPause, 0)
}
