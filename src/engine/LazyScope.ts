/**
 * A scope that is made when somebody first puts something in: every run and every step has one, and
 * hardly any needs it.
 */
import * as Effect from "effect/Effect"
import type { ExecutionStrategy } from "effect/ExecutionStrategy"
import type * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** What `Scope.addFinalizerExit`, `Scope.fork` and `Scope.close` call; not in the scope's type. */
export class LazyScope {
  private made: Scope.CloseableScope | undefined = undefined
  private closed: Exit.Exit<unknown, unknown> | undefined = undefined

  /** Whether there is anything to close. */
  get isMade(): boolean {
    return this.made !== undefined
  }

  addFinalizer(finalizer: Scope.Scope.Finalizer): Effect.Effect<void> {
    return Effect.flatMap(this.scope(), (scope) => Scope.addFinalizerExit(scope, finalizer))
  }

  fork(strategy: ExecutionStrategy): Effect.Effect<Scope.CloseableScope> {
    return Effect.flatMap(this.scope(), (scope) => Scope.fork(scope, strategy))
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.closed = exit
      return this.made === undefined ? Effect.void : Scope.close(this.made, exit)
    })
  }

  private scope(): Effect.Effect<Scope.CloseableScope> {
    return Effect.suspend(() => {
      if (this.made !== undefined) return Effect.succeed(this.made)
      // another fiber may have made it meanwhile: a fiber can yield anywhere
      const made = Effect.map(Scope.make(), (scope) => {
        this.made ??= scope
        return this.made
      })
      const { closed } = this
      return closed === undefined ? made : Effect.tap(made, (scope) => Scope.close(scope, closed))
    })
  }
}

// what makes it a scope to whoever asks, and cannot be had otherwise
Object.setPrototypeOf(LazyScope.prototype, Effect.runSync(Scope.make()))

/** As the scope that it is at run time. */
export const toScope = (lazy: LazyScope): Scope.CloseableScope =>
  lazy as object as Scope.CloseableScope
