import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Sql } from "./Sql.js"
import { fromConnection, inOneTurn } from "./Sql.js"

/** The one connection of a SQLite client, shared with the app that brought it. */
export interface Database {
  /**
   * Runs statements in one turn, while no transaction of the app is open; waits for the end of one
   * that is.
   */
  readonly reserved: <A, E>(
    use: (sql: Sql) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | SqlError>
  /** As `reserved`; but called inside such a transaction, which `reserved` would wait for, in it. */
  readonly read: <A, E>(use: (sql: Sql) => Effect.Effect<A, E>) => Effect.Effect<A, E | SqlError>
  /** Whether somebody with these services is inside a transaction of this client. */
  readonly isInside: (services: Context.Context<never>) => boolean
}

/**
 * What `Effect.scoped`, `provideService` and `withMaxOpsBeforeYield` come to, in one region: each of them
 * is an `acquireUseRelease` of its own, some fifteen effects, with every commit.
 */
const inRegion = <A, E, R>(
  use: Effect.Effect<A, E, R | Scope.Scope>
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.withFiberRuntime((fiber) => {
    const services = fiber.currentContext
    const maxOps = fiber.getFiberRef(FiberRef.currentMaxOpsBeforeYield)
    return Effect.acquireUseRelease(
      Effect.tap(Scope.make(), (scope) =>
        Effect.zipRight(
          FiberRef.set(FiberRef.currentContext, withinScope(services, scope)),
          FiberRef.set(FiberRef.currentMaxOpsBeforeYield, Number.POSITIVE_INFINITY)
        )
      ),
      // the scope that it asks for is there now, with whatever was there
      // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
      () => use as Effect.Effect<A, E, Exclude<R, Scope.Scope>>,
      (scope, exit) =>
        FiberRef.set(FiberRef.currentContext, services).pipe(
          Effect.zipRight(FiberRef.set(FiberRef.currentMaxOpsBeforeYield, maxOps)),
          Effect.zipRight(Scope.close(scope, exit))
        )
    )
  })

/** A fiber in whose context `SafeIntegers` is set would turn the shared statements to bigint for good. */
const withinScope = (services: Context.Context<never>, scope: Scope.Scope) =>
  services.pipe(Context.add(SqlClient.SafeIntegers, false), Context.add(Scope.Scope, scope))

export const make = (client: SqlClient.SqlClient): Effect.Effect<Database, SqlError> =>
  Effect.gen(function* () {
    const connection = yield* Effect.scoped(client.reserve)
    // it is the only one
    const sql = fromConnection(connection)
    const isInside = (services: Context.Context<never>) =>
      Option.match(Context.getOption(services, SqlClient.TransactionConnection), {
        onNone: () => false,
        onSome: ([theirs]) => theirs === connection
      })
    const reserved: Database["reserved"] = (use) =>
      inRegion(Effect.flatMap(client.reserve, () => Effect.uninterruptible(use(sql))))
    return {
      reserved,
      isInside,
      read: (use) =>
        Effect.contextWithEffect((services: Context.Context<never>) =>
          isInside(services) ? inOneTurn(use(sql)) : reserved(use)
        )
    }
  })
