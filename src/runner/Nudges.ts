/**
 * Tells the loops of a Runner of what they wait for. One fiber for all of them: there is a change with
 * almost every commit, and most are nothing to any of them.
 */
import * as Effect from "effect/Effect"
import * as KeepGoing from "../internal/KeepGoing.js"
import { type Change, RunStore } from "../store/RunStore.js"

/** Looks at a change, and opens the latch of its loop where that has something to do now. */
export type Nudge = (change: Change) => void

/** From when it begins on, for as long as it is not interrupted. */
export const tell = (nudges: ReadonlyArray<Nudge>) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const changes = yield* store.changes
    yield* KeepGoing.forever(
      "looking at what has changed",
      Effect.map(changes.take, (change) => {
        for (const nudge of nudges) nudge(change)
      })
    )
  }).pipe(Effect.scoped)
