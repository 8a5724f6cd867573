/**
 * The scope around a layer, as far as it can be known: the one that was there where the layer was
 * built, such as that of `Layer.launch`, of a `ManagedRuntime` or of `Layer.build`.
 *
 * A scope that begins to close says so to nobody, and its finalizers hear of it one after the other.
 * Whoever is released can ask whether it goes alone or with all around it.
 */
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"

const child = (scope: Scope.Scope) => Scope.fork(scope, ExecutionStrategy.sequential)

/** Whether the scope has begun to close: its new children are closed then. */
const isClosed = (scope: Scope.Scope): Effect.Effect<boolean> =>
  Effect.flatMap(child(scope), (probe) => {
    let closed = false
    return Scope.addFinalizer(
      probe,
      Effect.sync(() => {
        closed = true
      })
    ).pipe(
      // read before the probe is closed, which says so too
      Effect.zipRight(Effect.sync(() => closed)),
      Effect.zipLeft(Scope.close(probe, Exit.void))
    )
  })

/**
 * Answers whether the scope around has begun to close. `false` where there is none, and where it
 * turns out not to be around: it was over, and what asks was not released with it.
 */
export const isClosing = (
  around: Option.Option<Scope.Scope>
): Effect.Effect<Effect.Effect<boolean>, never, Scope.Scope> =>
  Option.match(around, {
    onNone: () => Effect.succeed(Effect.succeed(false)),
    onSome: (scope) => {
      let over = false
      const whenOver = Effect.sync(() => {
        over = true
      })
      const watched = Effect.acquireRelease(
        Effect.tap(child(scope), (watch) => Scope.addFinalizer(watch, whenOver)),
        (watch) => Scope.close(watch, Exit.void)
      )
      return Effect.as(
        watched,
        Effect.suspend(() => (over ? Effect.succeed(false) : isClosed(scope)))
      )
    }
  })
