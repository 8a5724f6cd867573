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

/** Reads it again. */
export interface Refresh {
  /** Of all runs that this process holds, as this executor. */
  readonly all: (executor: number) => Effect.Effect<void, RunStoreError>
  /** Of those of these runs that it holds. */
  readonly runs: (runIds: ReadonlyArray<string>) => Effect.Effect<void, RunStoreError>
}

export const makeRefresh = (options: {
  readonly store: RunStore["Type"]
  readonly clock: Clock.Clock
  /** The run, while it is held here. */
  readonly find: (runId: string) => Driving | undefined
  readonly woken: Suspend["woken"]
  /** A history was read that has news. */
  readonly load: (driving: Driving, history: History) => void
}): Refresh => {
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

  /** Answers what is known of them now. */
  const read = (part: ReadonlyArray<Held>) =>
    Effect.map(store.histories(part), (histories) =>
      part.flatMap((held, index): ReadonlyArray<WokenRun> => {
        const history = Option.getOrUndefined(histories[index] ?? Option.none())
        if (history === undefined) return []
        takeIn(held, history)
        return [{ held, wakeups: history.wakeups }]
      })
    )

  return {
    all: Effect.fnUntraced(function* (executor) {
      const told = unknownHere(yield* store.wokenRuns(executor))
      for (const [index, part] of inParts(told.map(({ held }) => held)).entries()) {
        // what is under way here goes on in between
        if (index > 0) yield* turn
        yield* store.sawWakeups(yield* read(part))
      }
    }),
    runs: Effect.fnUntraced(function* (runIds) {
      const held = runIds.flatMap((runId) => find(runId)?.run.held ?? [])
      for (const [index, part] of inParts(held).entries()) {
        if (index > 0) yield* turn
        // that it knows of them is written when it suspends; until then it is told of them again
        yield* read(part)
      }
    })
  }
}

const inParts = (runs: ReadonlyArray<Held>): ReadonlyArray<ReadonlyArray<Held>> =>
  Array.from({ length: Math.ceil(runs.length / historiesAtOnce) }, (_, part) =>
    runs.slice(part * historiesAtOnce, (part + 1) * historiesAtOnce)
  )
