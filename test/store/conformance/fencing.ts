import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import type { ClaimedRun, RunLost } from "../../../src/RunStore.js"
import { RunStore, RunStoreError } from "../../../src/RunStore.js"
import { aRun, aStep, begin, claimOne, leaseMillis, register, suspend } from "../support.js"

type Taken = (run: ClaimedRun) => Effect.Effect<unknown, RunStoreError | RunLost, RunStore>

const withStore = (
  use: (store: RunStore["Type"]) => Effect.Effect<unknown, RunStoreError | RunLost, RunStore>
) => Effect.flatMap(RunStore, use)

/** How a holder loses its run, and what it then still tries. */
const losses: Readonly<Record<string, Taken>> = {
  "was released": ({ held }) => withStore((store) => store.release([{ held, timers: [] }])),
  "was released and claimed again": ({ held }) =>
    withStore((store) =>
      Effect.zipRight(store.release([{ held, timers: [] }]), Effect.flatMap(register, claimOne))
    ),
  "was released and claimed again by the same executor": ({ held }) =>
    withStore((store) =>
      Effect.gen(function* () {
        const [executor] = yield* store.executors
        yield* store.release([{ held, timers: [] }])
        yield* claimOne(executor?.id ?? 0)
      })
    ),
  "was taken over": () =>
    withStore((store) =>
      Effect.zipRight(TestClock.adjust(leaseMillis + 1), store.takeOver({ limit: 9 }))
    ),
  "was taken over and claimed again": () =>
    withStore((store) =>
      TestClock.adjust(leaseMillis + 1).pipe(
        Effect.zipRight(store.takeOver({ limit: 9 })),
        Effect.zipRight(Effect.flatMap(register, claimOne))
      )
    ),
  "is suspended": (run) => suspend(run),
  "was terminated": ({ held: { runId } }) =>
    withStore((store) => store.terminate({ runId, exit: `"ended"`, children: false })),
  "is over": ({ held }) =>
    withStore((store) => store.complete({ held, status: "completed", exit: `"first"` }))
}

const writes: Readonly<Record<string, Taken>> = {
  recordStep: ({ held }) => withStore((store) => store.recordStep(aStep(held, { name: "late" }))),
  "recordStep of a step that is recorded": ({ held }) =>
    withStore((store) => store.recordStep(aStep(held, { exit: `"late"` }))),
  "recordStep with timers": ({ held }) =>
    withStore((store) => store.recordStep(aStep(held, { timers: [{ name: "late", wakeAt: 1 }] }))),
  noteStep: ({ held }) =>
    withStore((store) => store.noteStep({ ...aStep(held, { name: "late" }), status: "running" })),
  suspend: (run) => suspend(run, { wakeAt: 1, timers: [{ name: "late", wakeAt: 1 }] }),
  complete: ({ held }) =>
    withStore((store) => store.complete({ held, status: "failed", exit: `"late"` })),
  history: ({ held }) => withStore((store) => store.history(held))
}

export const fencing = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  for (const [loss, lose] of Object.entries(losses)) {
    describe(`the former holder of a run that ${loss}`, () => {
      for (const [name, write] of Object.entries(writes)) {
        it.effect(`is refused ${name}, and nothing is written`, () =>
          Effect.gen(function* () {
            const store = yield* RunStore
            const run = yield* begin(yield* register, "a")
            yield* store.recordStep(aStep(run.held))
            yield* lose(run)
            const before = yield* store.findWithSteps("a")
            const error = yield* Effect.flip(write(run))
            expect(error).toMatchObject({ _tag: "RunLost", runId: "a" })
            expect(yield* store.findWithSteps("a")).toEqual(before)
          }).pipe(Effect.provide(layer))
        )
      }

      it.effect("releases nothing", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const run = yield* begin(yield* register, "a")
          yield* lose(run)
          const before = yield* store.find("a")
          const timers = [{ name: "late", wakeAt: 1 }]
          expect(yield* store.release([{ held: run.held, timers }])).toBe(0)
          expect(yield* store.find("a")).toEqual(before)
        }).pipe(Effect.provide(layer))
      )
    })
  }

  it.effect("a refused write disturbs none that shares its transaction", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* register
      const lost = yield* begin(executor, "lost")
      const kept = yield* begin(executor, "kept")
      yield* store.release([{ held: lost.held, timers: [] }])
      const answers = yield* Effect.forEach(
        [lost, kept, lost, kept],
        ({ held }, i) => Effect.either(store.recordStep(aStep(held, { attempt: i, timers: [] }))),
        { concurrency: "unbounded" }
      )
      expect(answers.map(({ _tag }) => _tag)).toEqual(["Left", "Right", "Left", "Right"])
      expect((yield* store.history(kept.held)).steps).toHaveLength(2)
    }).pipe(Effect.provide(layer))
  )

  it.effect("an error of the store says why, and RunLost which run", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const run = yield* begin(yield* register, "a")
      yield* store.create(aRun("b"))
      yield* store.release([{ held: run.held, timers: [] }])
      const error = yield* Effect.flip(store.history(run.held))
      expect(error).not.toBeInstanceOf(RunStoreError)
      expect(error.message).toContain("Run a")
    }).pipe(Effect.provide(layer))
  )
}
