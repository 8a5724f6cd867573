/**
 * Loops in the background, of which nobody waits for the end: whatever goes wrong in one, it goes on.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

const first = Duration.seconds(1)

/**
 * Does it over and over. What goes wrong is logged, a defect with its stack, and it is tried again a
 * second later; while it is nothing but defects the pause doubles each time, up to `longest`.
 *
 * @param longest Default: 1 minute
 */
export const forever = <R>(
  what: string,
  round: Effect.Effect<unknown, unknown, R>,
  longest: Duration.DurationInput = Duration.minutes(1)
): Effect.Effect<never, never, R> =>
  Effect.suspend(() => {
    let pause = first
    const failed = (cause: Cause.Cause<unknown>) => {
      // an interrupt of this fiber is not handled: this one came from inside
      const isDefect = !Cause.isFailure(cause)
      const wait = isDefect ? Duration.min(pause, longest) : first
      pause = isDefect ? Duration.times(wait, 2) : first
      const message = `${what} failed; trying again`
      return (isDefect ? Effect.logError(message, cause) : Effect.logWarning(message, cause)).pipe(
        Effect.zipRight(Effect.sleep(wait))
      )
    }
    return Effect.forever(
      Effect.matchCauseEffect(round, {
        onFailure: failed,
        onSuccess: () => {
          pause = first
          return Effect.void
        }
      })
    )
  })
