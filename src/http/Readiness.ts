/**
 * Whether the database is there, for `GET /ready`.
 *
 * Looked at when somebody asks, so that an executor that nobody asks wakes for nothing. All who ask at
 * a time share one look, and its answer is good for a second: however many ask, and however long the
 * database takes, it is asked once at a time, on one connection.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Elapsed from "../internal/Elapsed.js"
import { systemClock } from "../internal/SystemClock.js"
import type { RunStoreError } from "../store/RunStore.js"
import { RunStore } from "../store/RunStore.js"

/** Milliseconds. So long a probe waits for its answer, as Kubernetes does by default. */
const patience = 1_000
const remembered = 1_000

interface Look {
  readonly began: number
  readonly found: Deferred.Deferred<Exit.Exit<void, RunStoreError>>
  /** Once it has been answered. */
  ended: number | undefined
}

export type Found = { readonly _tag: "Ready" } | { readonly _tag: "NotReady"; readonly why: string }

const noAnswer = `The database has not answered for ${patience} milliseconds`

export const make: Effect.Effect<Effect.Effect<Found>, never, RunStore> = Effect.gen(function* () {
  const { available } = yield* RunStore
  let last: Look | undefined
  let wasReady = true

  const begin = (began: number) => {
    const look: Look = { began, found: Deferred.unsafeMake(FiberId.none), ended: undefined }
    last = look
    // one that does not answer may not heed an interruption either
    return Effect.exit(Effect.interruptible(available)).pipe(
      Effect.tap(() =>
        Effect.map(Elapsed.now, (now) => {
          look.ended = now
        })
      ),
      Effect.intoDeferred(look.found),
      Effect.forkDaemon,
      Effect.as(look)
    )
  }

  // whoever goes away in the middle leaves no look behind that nobody takes
  const current = Effect.uninterruptible(
    Effect.flatMap(Elapsed.now, (now) =>
      last !== undefined && (last.ended === undefined || now - last.ended < remembered)
        ? Effect.succeed(last)
        : begin(now)
    )
  )

  const found = Effect.gen(function* () {
    const look = yield* current
    const left = Math.max(0, look.began + patience - (yield* Elapsed.now))
    const answer = yield* Effect.timeoutOption(Deferred.await(look.found), left)
    return Option.match(answer, {
      onNone: (): Found => ({ _tag: "NotReady", why: noAnswer }),
      onSome: Exit.match({
        onSuccess: (): Found => ({ _tag: "Ready" }),
        onFailure: (): Found => ({ _tag: "NotReady", why: "The database is not available" })
      })
    })
  })

  /** Told once, and not to each who asks. */
  const told = (found: Found) => {
    const isReady = found._tag === "Ready"
    if (isReady === wasReady) return Effect.void
    wasReady = isReady
    return found._tag === "Ready"
      ? Effect.logInfo("ready again: the database answers")
      : Effect.logWarning(`not ready: ${found.why}`)
  }

  // a database that hangs does so in real time
  return Effect.withClock(Effect.tap(found, told), systemClock)
})
