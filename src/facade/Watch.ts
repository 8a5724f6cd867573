/**
 * A run, watched until it is over.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as StepPages from "../api/StepPages.js"
import { Events } from "../events/Events.js"
import { Runs, type RunWithStepsView } from "../runner/Runs.js"
import { isFinal, RunStore } from "../store/RunStore.js"
import { call, type WaitOptions } from "./Calls.js"
import { RunNotOver } from "./Errors.js"
import type { Lifecycle } from "./Lifecycle.js"

/** The run, now and whenever it has changed, until it is over. */
export async function* watched(
  lifecycle: Lifecycle,
  runId: string,
  durable: boolean,
  options?: WaitOptions
): AsyncGenerator<RunWithStepsView, void, undefined> {
  let known: string | undefined
  while (true) {
    const { json, run } = await call(
      lifecycle,
      ({ leaving }) =>
        Effect.raceFirst(
          changed(runId, known),
          Effect.zipRight(
            Deferred.await(leaving),
            Effect.fail(new RunNotOver({ runId, goesOn: durable }))
          )
        ),
      options
    )
    yield run
    if (isFinal(run.status)) return
    known = json
  }
}

/** The run, once it is another than what is known of it. */
const changed = (runId: string, known: string | undefined) =>
  Effect.gen(function* () {
    const runs = yield* Runs
    const store = yield* RunStore
    const events = yield* Events
    const latch = yield* Effect.makeLatch(false)
    // from before the first look on, so that no change comes in between
    yield* events.listen({
      runId,
      offer: () => {
        latch.unsafeOpen()
        return true
      }
    })
    const changes = yield* store.changes
    // what another process has written may be of this run
    yield* Effect.forkScoped(
      Effect.forever(
        Effect.tap(changes.take, ({ foreign }) => (foreign ? latch.open : Effect.void))
      )
    )
    while (true) {
      latch.unsafeClose()
      const run = yield* StepPages.all(yield* runs.get(runId), (cursor) =>
        runs.steps({ runId, cursor })
      )
      const json = JSON.stringify(run)
      if (json !== known) return { run, json }
      yield* latch.await
    }
  }).pipe(Effect.scoped)
