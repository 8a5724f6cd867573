/**
 * Lets runs of workflows and queues that are paused, and are to park, stop where their next step would
 * start: what is in flight is recorded, and they are given back. A workflow that is released alone is
 * drained the same way.
 */
import * as Effect from "effect/Effect"
import { Dispatcher } from "../engine/held/Dispatcher.js"
import { firstOf } from "../internal/FirstOf.js"
import * as KeepGoing from "../internal/KeepGoing.js"
import { RunStore } from "../store/RunStore.js"
import type { Nudge } from "./Nudges.js"

/** How long an executor may go on that is not told of a pause, but only that somebody has written. */
const betweenForeign = "250 millis"

export interface Parking {
  readonly nudge: Nudge
  /** Looks at which they are, until it is interrupted. */
  readonly keep: Effect.Effect<never, never, RunStore | Dispatcher>
}

export const make = (): Parking => {
  const wanted = Effect.unsafeMakeLatch(true)
  const foreign = Effect.unsafeMakeLatch(false)
  const round = Effect.gen(function* () {
    const store = yield* RunStore
    const { gate, runs } = yield* Dispatcher
    wanted.unsafeClose()
    foreign.unsafeClose()
    const paused = yield* store.pausedWorkflows
    const workflows = new Set(paused.filter(({ parks }) => parks).map(({ workflow }) => workflow))
    const queues = new Set(yield* store.parkedQueues)
    const before = gate.parked()
    const isNew =
      [...workflows].some((workflow) => !before.workflows.has(workflow)) ||
      [...queues].some((queue) => !before.queues.has(queue))
    gate.park({ workflows, queues })
    if (isNew) {
      // for as long as its steps in flight take, none of which is cut; meanwhile others are looked at
      yield* Effect.fork(
        runs.retire((run) => run.parks || gate.isParked(run), {
          deadline: Number.POSITIVE_INFINITY,
          final: false
        })
      )
    }
    // what others write is seldom that
    yield* firstOf(wanted.await, Effect.zipRight(foreign.await, Effect.sleep(betweenForeign)))
  })
  return {
    nudge: (change) => {
      if (change.pauses === true) wanted.unsafeOpen()
      if (change.foreign) foreign.unsafeOpen()
    },
    keep: KeepGoing.forever("looking at workflows that are paused", round)
  }
}
