/**
 * A run that cannot be gone on with waits, suspended, for somebody to mend it and resume it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ClaimedRun, Held, Json, RunStore } from "../../store/RunStore.js"
import * as Codec from "../../values/Codec.js"
import type { Persist, PersistError } from "./Persist.js"

export interface SetAsideOptions {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
}

/** @param run with how many wake-ups it has had, as far as is known */
export const suspend = (
  run: { readonly held: Held; readonly wakeups: number },
  cause: Json,
  { persist, store }: SetAsideOptions
): Effect.Effect<void, PersistError> =>
  Effect.gen(function* () {
    let { wakeups } = run
    while (true) {
      const woken = yield* persist(
        store.suspend({ held: run.held, wakeups, timers: [], wakeAt: undefined, cause })
      )
      if (Option.isNone(woken)) return
      wakeups = woken.value.wakeups
    }
  })

/** Names the run, what it has and what is allowed. */
export const tooLarge = (
  run: { readonly runId: string; readonly workflow: string; readonly bytes: number },
  limit: number
): string =>
  `run ${run.runId} of workflow "${run.workflow}" has recorded ${run.bytes} bytes, and at most ${limit} are allowed (MAX_RUN_SIZE)`

/** One that was claimed, and cannot even be begun. */
export const unbegun = (
  { held, history, workflow }: ClaimedRun,
  defect: unknown,
  options: SetAsideOptions
): Effect.Effect<void> => {
  const what = `run ${held.runId} of workflow "${workflow}" cannot be executed`
  const cause = Cause.die(defect)
  const message = `${what}: ${Cause.pretty(cause)}`
  return Effect.logError(what, cause).pipe(
    Effect.zipRight(
      suspend({ held, wakeups: history.wakeups }, Codec.blockCause(message), options)
    ),
    Effect.ignoreLogged
  )
}

/** One that was claimed and is too large to be read. */
export const unread = (
  { bytes, held, history, workflow }: ClaimedRun,
  limit: number,
  options: SetAsideOptions
): Effect.Effect<void> => {
  const message = tooLarge({ runId: held.runId, workflow, bytes }, limit)
  return Effect.logError(`${message}; it waits to be resumed`).pipe(
    Effect.zipRight(
      suspend({ held, wakeups: history.wakeups }, Codec.blockCause(message), options)
    ),
    Effect.ignoreLogged
  )
}
