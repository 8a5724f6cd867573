import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Change } from "../RunStore.js"
import type { Database } from "./Database.js"

const foreignChange: Change = {
  pending: true,
  foreign: true,
  finished: [],
  signals: [],
  interrupts: [],
  woken: [],
  wakeAt: undefined
}

/**
 * Notices what other processes commit. SQLite counts it itself, in a number that takes
 * microseconds to read and that this connection's own commits do not move.
 */
export const watch = (options: {
  readonly database: Database
  /** Between two looks. */
  readonly pause: Effect.Effect<void>
  readonly publish: (change: Change) => void
}): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const version = options.database
      .read((sql) => sql.rows<{ readonly data_version: number }>("PRAGMA data_version"))
      .pipe(Effect.map(([row]) => row?.data_version))

    let healthy = true
    let seen = yield* Effect.orElseSucceed(version, () => undefined)
    const look = version.pipe(
      Effect.tap((current) => {
        healthy = true
        if (current !== seen) options.publish(foreignChange)
        seen = current
        return Effect.void
      }),
      Effect.catchAllCause((cause) => {
        const wasHealthy = healthy
        healthy = false
        return wasHealthy
          ? Effect.logWarning("Cannot see whether other processes write to the run store", cause)
          : Effect.void
      })
    )
    yield* options.pause.pipe(
      Effect.zipRight(look),
      Effect.forever,
      Effect.interruptible,
      Effect.forkScoped
    )
  })
