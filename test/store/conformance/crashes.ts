import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { RunStoreError } from "../../../src/store/RunStore.js"
import { RunStore } from "../../../src/store/RunStore.js"
import { aStep, begin, claimOne, orMissing, register, statusOf, suspend } from "../support.js"

const crashesOf = (runId: string) =>
  Effect.flatMap(RunStore, (store) =>
    Effect.map(Effect.flatMap(store.find(runId), orMissing(runId)), ({ crashes }) => crashes ?? 0)
  )

const claim = (executor: number, limit = 9) =>
  Effect.flatMap(RunStore, (store) => store.claim({ executor, workflows: ["Order"], limit }))

const ids = (runs: ReadonlyArray<{ readonly held: { readonly runId: string } }>) =>
  runs.map(({ held }) => held.runId)

/** This executor dies, and the next one is there. */
const dies = (executor: number) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    yield* store.takeOver({ limit: 99, dead: [executor] })
    return yield* register
  })

/** Lets a pause be over. */
const paused = (millis: number) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    yield* TestClock.adjust(millis)
    return yield* store.wakeDue(99)
  })

export const crashes = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("deaths of executors", () => {
    it.effect("count for the runs that were under way, and for no others", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const first = yield* register
        yield* begin(first, "under way")
        yield* suspend(yield* begin(first, "waits"))
        const warm = yield* begin(first, "kept")
        yield* store.suspend({
          held: warm.held,
          wakeups: 0,
          timers: [],
          wakeAt: undefined,
          cause: undefined,
          keep: true
        })
        const given = yield* begin(first, "handed over")
        yield* store.release([{ held: given.held, timers: [] }])
        const second = yield* dies(first)
        expect(
          yield* Effect.forEach(["under way", "waits", "kept", "handed over"], crashesOf)
        ).toEqual([1, 0, 0, 0])
        // once says nothing: it comes back at once
        const claimed = yield* claim(second)
        expect(ids(claimed)).toEqual(["under way", "handed over"])
        expect(claimed.map(({ crashes }) => crashes)).toEqual([{ count: 1, steps: [] }, undefined])
      }).pipe(Effect.provide(layer))
    )

    it.effect("twice in a row make suspects, which come back after a pause, one at a time", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const first = yield* register
        for (const id of ["a", "b", "c"]) yield* begin(first, id)
        const second = yield* dies(first)
        expect(ids(yield* claim(second))).toEqual(["a", "b", "c"])
        const third = yield* dies(second)
        yield* begin(third, "healthy")
        yield* store.release([{ held: (yield* begin(third, "pending")).held, timers: [] }])
        expect(yield* statusOf("a")).toBe("suspended")
        expect(Option.getOrUndefined(yield* store.nextWakeAt)).toBe(1_000)

        expect(yield* paused(999)).toBe(0)
        expect(yield* paused(1)).toBe(3)
        const [a, ...rest] = yield* claim(third)
        expect(a?.held.runId).toBe("a")
        // those behind them are not held up
        expect(ids(rest)).toEqual(["pending"])
        expect(yield* Effect.forEach(["b", "c"], statusOf)).toEqual(["suspended", "suspended"])
        expect(yield* paused(2_000)).toBe(2)
        const other = yield* register
        expect(yield* claim(other)).toEqual([])

        if (a === undefined) return
        yield* store.recordStep(aStep(a.held))
        yield* store.progressed(a.held)
        expect(yield* crashesOf("a")).toBe(0)
        // the next one is tried at once
        expect(yield* paused(0)).toBe(1)
        expect(ids(yield* claim(other))).toEqual(["b"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("make the pause longer each time, and name the step that was begun", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        let executor = yield* register
        const { held } = yield* begin(executor, "poison")
        yield* store.recordStep(aStep(held, { name: "done" }))
        executor = yield* dies(executor)
        for (const pause of [1_000, 4_000, 16_000, 64_000, 256_000, 300_000, 300_000]) {
          const { held } = yield* claimOne(executor)
          yield* store.noteStep({
            held,
            name: "bad",
            attempt: 1,
            status: "running",
            startedAt: 1,
            completedAt: undefined
          })
          executor = yield* dies(executor)
          expect(yield* paused(pause - 1)).toBe(0)
          expect(yield* paused(1)).toBe(1)
        }
        const { crashes } = yield* claimOne(executor)
        expect(crashes).toEqual({ count: 8, steps: [{ name: "bad", attempt: 1 }] })
      }).pipe(Effect.provide(layer))
    )

    it.effect("in a row are those between which nothing was recorded, waited for or ended", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        let executor = yield* register
        for (const id of ["recorded", "waited", "ended", "retried"]) yield* begin(executor, id)
        executor = yield* dies(executor)
        const [recorded, waited, ended, retried] = yield* claim(executor)
        if (recorded && waited && ended && retried) {
          yield* store.progressed(recorded.held)
          yield* suspend(waited)
          yield* store.complete({ held: ended.held, status: "completed", exit: "1" })
          yield* store.complete({ held: retried.held, status: "failed", exit: "1" })
        }
        expect(yield* Effect.forEach(["recorded", "waited", "ended"], crashesOf)).toEqual([0, 0, 0])
        yield* store.retry({ runId: "retried", forget: [] })
        expect(yield* crashesOf("retried")).toBe(0)
      }).pipe(Effect.provide(layer))
    )

    it.effect("are told of while a run is set aside, and forgotten when it is resumed", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const first = yield* register
        yield* begin(first, "poison")
        const second = yield* dies(first)
        yield* suspend(yield* claimOne(second), { cause: `{"_tag":"Empty"}` })
        expect(yield* crashesOf("poison")).toBe(1)
        // whatever else wakes it does not make it try again
        yield* store.signal({ runId: "poison", name: "s", exit: "1" })
        expect(yield* crashesOf("poison")).toBe(1)
        yield* store.wake("poison")
        expect(yield* crashesOf("poison")).toBe(0)
      }).pipe(Effect.provide(layer))
    )

    it.effect("that were none do not count: the executor was frozen, and lives", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const frozen = yield* register
        const { held } = yield* begin(frozen, "r")
        const next = yield* dies(frozen)
        expect(yield* crashesOf("r")).toBe(1)
        yield* store.survived([held])
        expect(yield* crashesOf("r")).toBe(0)
        // what is held under a later claim is not its own
        yield* store.survived([(yield* claimOne(next)).held])
        expect(yield* crashesOf("r")).toBe(0)
      }).pipe(Effect.provide(layer))
    )
  })
}
