import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { ClaimedRun, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, aStep, begin, claimOne, orMissing, register, suspend } from "../Acts.js"

const ids = (claimed: ReadonlyArray<ClaimedRun>) => claimed.map(({ held }) => held.runId)

export const claiming = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("claiming", () => {
    it.effect("takes the oldest runs first, across workflows, and no more than the limit", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const [runId, workflow] of [
          ["1", "A"],
          ["2", "B"],
          ["3", "B"],
          ["4", "A"],
          ["5", "C"],
          ["6", "A"]
        ] as const) {
          yield* store.create(aRun(runId, { workflow }))
        }
        const workflows = ["A", "B"]
        expect(ids(yield* store.claim({ executor, workflows, limit: 3 }))).toEqual(["1", "2", "3"])
        expect(ids(yield* store.claim({ executor, workflows, limit: 9 }))).toEqual(["4", "6"])
        expect(ids(yield* store.claim({ executor, workflows, limit: 9 }))).toEqual([])
        expect(ids(yield* store.claim({ executor, workflows: ["C"], limit: 1 }))).toEqual(["5"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("takes a woken run by the time of its creation", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* suspend(yield* begin(executor, "old"))
        yield* store.create(aRun("new"))
        yield* store.wake("old")
        const claimed = yield* store.claim({ executor, workflows: ["Order"], limit: 9 })
        expect(ids(claimed)).toEqual(["old", "new"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("claims nothing for no workflows, and for a workflow named twice only once", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* store.create(aRun("a"))
        yield* store.create(aRun("b"))
        expect(yield* store.claim({ executor, workflows: [], limit: 9 })).toEqual([])
        const claimed = yield* store.claim({ executor, workflows: ["Order", "Order"], limit: 9 })
        expect(ids(claimed)).toEqual(["a", "b"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("works for thousands of workflows", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const workflows = Array.from({ length: 3_000 }, (_, i) => `Workflow ${i}`)
        for (const i of [2_999, 7, 1_500]) {
          yield* store.create(aRun(`${i}`, { workflow: `Workflow ${i}` }))
        }
        const claimed = yield* store.claim({ executor, workflows, limit: 10 })
        expect(ids(claimed)).toEqual(["2999", "7", "1500"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("gives a run to one of two executors that ask at the same time", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executors = [yield* register, yield* register]
        yield* Effect.forEach(Array.from({ length: 20 }), (_, i) => store.create(aRun(`${i}`)))
        const claimed = yield* Effect.forEach(
          executors,
          (executor) => store.claim({ executor, workflows: ["Order"], limit: 15 }),
          { concurrency: "unbounded" }
        )
        expect(claimed.map((runs) => runs.length)).toEqual([15, 5])
        expect(new Set(claimed.flatMap(ids)).size).toBe(20)
      }).pipe(Effect.provide(layer))
    )

    it.effect("gives nothing to an executor that is not registered", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* store.create(aRun("a"))
        expect(yield* store.claim({ executor: 99, workflows: ["Order"], limit: 1 })).toEqual([])
      }).pipe(Effect.provide(layer))
    )

    it.effect("gives each run its own history", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const runId of ["a", "b"]) {
          const { held } = yield* begin(executor, runId)
          yield* store.recordStep(aStep(held, { name: `step of ${runId}`, exit: "1" }))
          yield* store.recordStep(
            aStep(held, {
              name: `failed step of ${runId}`,
              attempt: 2,
              status: "failed",
              exit: "2"
            })
          )
          yield* store.noteStep({ ...aStep(held, { name: "cut" }), status: "interrupted" })
          yield* begin(executor, `child of ${runId}`, { parent: { runId, awaits: true } })
          yield* store.signal({ runId, name: `signal of ${runId}`, exit: "3" })
          yield* store.release([{ held, timers: [{ name: `timer of ${runId}`, wakeAt: 500 }] }])
        }
        yield* store.requestInterrupt("b")
        yield* store.create(aRun("c"))
        const claimed = yield* store.claim({ executor, workflows: ["Order"], limit: 9 })
        expect(ids(claimed)).toEqual(["a", "b", "c"])
        for (const [i, runId] of ["a", "b"].entries()) {
          expect(claimed[i]?.history).toEqual({
            // in whatever order
            steps: expect.arrayContaining([
              { name: `failed step of ${runId}`, attempt: 2, exit: "2" },
              { name: `step of ${runId}`, attempt: 1, exit: "1" }
            ]),
            signals: [{ name: `signal of ${runId}`, exit: "3" }],
            timers: [{ name: `timer of ${runId}`, wakeAt: 500, fired: false }],
            children: [{ runId: `child of ${runId}`, exit: undefined }],
            interruptRequested: runId === "b",
            // its timer was not due by then
            beforeInterrupt:
              runId === "b"
                ? { signals: [`signal of ${runId}`], timers: [], children: [] }
                : undefined,
            wakeups: claimed[i]?.history.wakeups
          })
          expect(claimed[i]?.history.steps).toHaveLength(2)
        }
        expect(claimed[2]?.history).toMatchObject({
          steps: [],
          signals: [],
          timers: [],
          children: []
        })
      }).pipe(Effect.provide(layer))
    )

    it.effect("keeps the time of the first claim as the run's start", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* store.create(aRun("a"))
        yield* TestClock.setTime(1_000)
        const { held } = yield* claimOne(executor)
        yield* store.release([{ held, timers: [] }])
        yield* TestClock.setTime(2_000)
        yield* claimOne(executor)
        const run = yield* Effect.flatMap(store.find("a"), orMissing("a"))
        expect(run).toMatchObject({ startedAt: 1_000, status: "running", executor })
        expect(Option.isSome(yield* store.find("a"))).toBe(true)
      }).pipe(Effect.provide(layer))
    )
  })
}
