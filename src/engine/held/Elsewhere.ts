/** What other processes told the runs that this one holds, read from the store. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { turn } from "../../internal/Turn.js"
import type { Held, History, RunStore, RunStoreError, WokenRun } from "../../store/RunStore.js"
import type { Driving } from "../pass/Drive.js"
import type { Suspend } from "../pass/Suspend.js"

/** How many histories that others have added to are read in one turn of the event loop. */
const historiesAtOnce = 16

/** Reads it again, for the executor that this process holds its runs as. */
export const makeRefresh = (options: {
  readonly store: RunStore["Type"]
  readonly clock: Clock.Clock
  /** The run, while it is held here. */
  readonly find: (runId: string) => Driving | undefined
  readonly woken: Suspend["woken"]
  /** A history was read that has news. */
  readonly load: (driving: Driving, history: History) => void
}): ((executor: number) => Effect.Effect<void, RunStoreError>) => {
  const { clock, find, store, woken } = options

  /** Runs held here that were told something which is not known here yet. */
  const unknownHere = (told: ReadonlyArray<WokenRun>): ReadonlyArray<WokenRun> =>
    told.filter(({ held, over, wakeups }) => {
      const driving = find(held.runId)
      if (driving === undefined) return false
      if (over !== true) {
        return driving.run.held.claim === held.claim && driving.run.wakeups < wakeups
      }
      const at = clock.unsafeCurrentTimeMillis()
      woken(driving, { ...held, wakeups, at, over })
      return false
    })

  const takeIn = (held: Held, history: History) => {
    const driving = find(held.runId)
    // what it was told here meanwhile is known, and may be more
    if (driving?.run.held.claim !== held.claim || driving.run.wakeups > history.wakeups) return
    const at = clock.unsafeCurrentTimeMillis()
    woken(driving, { ...held, wakeups: history.wakeups, at })
    options.load(driving, history)
  }

  return Effect.fnUntraced(function* (executor) {
    const told = unknownHere(yield* store.wokenRuns(executor))
    for (let from = 0; from < told.length; from += historiesAtOnce) {
      // what is under way here goes on in between
      if (from > 0) yield* turn
      const part = told.slice(from, from + historiesAtOnce).map(({ held }) => held)
      const histories = yield* store.histories(part)
      const seen: Array<WokenRun> = []
      for (const [index, held] of part.entries()) {
        const history = Option.getOrUndefined(histories[index] ?? Option.none())
        if (history === undefined) continue
        takeIn(held, history)
        seen.push({ held, wakeups: history.wakeups })
      }
      yield* store.sawWakeups(seen)
    }
  })
}
