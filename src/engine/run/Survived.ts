/**
 * Runs that were lost by an executor which lives: whoever took over has counted its death, and that is
 * taken back, once. A run is lost by itself, when a write of it is refused, or with all others, when the
 * executor sees that its lease is gone; whichever comes first. One that was terminated or given back
 * nobody has taken over.
 */
import * as Effect from "effect/Effect"
import type { RunStore } from "../../store/RunStore.js"
import type { ActiveRun } from "./ActiveRun.js"
import type { Persist } from "./Persist.js"

export interface SurvivedOptions {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
}

export const tell = (
  runs: ReadonlyArray<ActiveRun>,
  { persist, store }: SurvivedOptions
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const untold = runs.filter(({ survivalTold, terminated }) => !survivalTold && !terminated)
    if (untold.length === 0) return Effect.void
    for (const run of untold) run.survivalTold = true
    return Effect.ignoreLogged(persist(store.survived(untold.map(({ held }) => held))))
  })
