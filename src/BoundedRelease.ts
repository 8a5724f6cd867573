/**
 * Layers whose release cannot hold up the release of what is below them.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

/**
 * The same layer, released in at most that time. A release that takes longer goes on by itself and
 * counts as failed: it is logged, and makes the scope's closing fail once everything else is
 * released. So does one that fails.
 *
 * @param name what it is, for the log
 */
export const boundedRelease =
  (name: string, timeout: Duration.Duration) =>
  <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
    Layer.scopedContext(
      Effect.gen(function* () {
        const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) =>
          Scope.close(scope, exit).pipe(
            Effect.uninterruptible,
            Effect.disconnect,
            // a finalizer is uninterruptible, and so would be the wait that the timeout has to cut
            Effect.interruptible,
            Effect.timeoutFail({
              duration: timeout,
              onTimeout: () => new Error(`${name} not released within ${Duration.format(timeout)}`)
            }),
            Effect.tapErrorCause((cause) => Effect.logError(`releasing ${name} failed`, cause)),
            Effect.orDie
          )
        )
        const memoMap = yield* Layer.CurrentMemoMap
        return yield* Layer.buildWithMemoMap(layer, memoMap, scope)
      })
    )
