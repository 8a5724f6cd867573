/**
 * Runs that were under way when their executor died, as whoever holds them now knows them: they have
 * `crashes`, and get rid of them by getting somewhere.
 */
import * as Effect from "effect/Effect"
import { suspicious } from "../../store/Judgement.js"
import type { RunStore } from "../../store/RunStore.js"
import type { ActiveRun } from "./ActiveRun.js"

/** Whether it is one of those of which one is tried at a time. */
export const isSuspect = (run: ActiveRun): boolean => run.crashes >= suspicious

/** It has got somewhere. */
export const progressed = (run: ActiveRun, store: RunStore["Type"]): Effect.Effect<void> => {
  run.crashes = 0
  // not written, it counts once more; no more than that is lost
  return Effect.ignore(store.progressed(run.held))
}
