import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { ClaimedRun, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, begin, register, suspend } from "../Acts.js"

const ids = (claimed: ReadonlyArray<ClaimedRun>) => claimed.map(({ held }) => held.runId)

const take = (executor: number, limit = 99) =>
  Effect.flatMap(RunStore, (store) =>
    store.claim({ executor, workflows: ["Order", "Other"], limit })
  )

export const pauses = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("a workflow that is paused", () => {
    it.effect("begins no run, and others do; what has begun goes on", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const begun = yield* begin(executor, "begun")
        yield* suspend(begun)
        const given = yield* begin(executor, "given")
        yield* store.create(aRun("before"))
        yield* TestClock.adjust(5)
        yield* store.pauseWorkflow({ workflow: "Order", parks: false })
        expect(yield* store.pausedWorkflows).toEqual([
          { workflow: "Order", since: 5, parks: false }
        ])
        const { claimed, run } = yield* store.create(aRun("after"), executor)
        expect(claimed).toBeUndefined()
        expect(run).toMatchObject({ status: "pending", executor: undefined })
        yield* store.create(aRun("other", { workflow: "Other" }))
        yield* store.wake("begun")
        yield* store.release([{ held: given.held, timers: [] }])
        expect(ids(yield* take(executor)).sort()).toEqual(["begun", "given", "other"])
        expect(yield* take(executor)).toEqual([])
        expect(yield* store.resumeWorkflow("Order")).toBe(true)
        expect(yield* store.resumeWorkflow("Order")).toBe(false)
        expect(yield* store.pausedWorkflows).toEqual([])
        expect(ids(yield* take(executor))).toEqual(["before", "after"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("that parks goes on with none, until it does not park any more", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const begun = yield* begin(executor, "begun")
        yield* store.create(aRun("before"))
        yield* store.pauseWorkflow({ workflow: "Order", parks: true })
        yield* store.release([{ held: begun.held, timers: [] }])
        expect(yield* take(executor)).toEqual([])
        yield* TestClock.adjust(7)
        yield* store.pauseWorkflow({ workflow: "Order", parks: false })
        expect(yield* store.pausedWorkflows).toEqual([
          { workflow: "Order", since: 0, parks: false }
        ])
        expect(ids(yield* take(executor))).toEqual(["begun"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("ends a run that is interrupted before it has begun", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* store.create(aRun("a"))
        yield* store.pauseWorkflow({ workflow: "Order", parks: false })
        yield* store.requestInterrupt("a")
        expect(ids(yield* take(executor))).toEqual(["a"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("leaves its children that are of another, and begins none that is of it", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const parent = yield* begin(executor, "parent", { workflow: "Other" })
        yield* store.pauseWorkflow({ workflow: "Order", parks: false })
        const ofParent = { parent: { runId: "parent", awaits: true } }
        const by = store.by(parent.held)
        expect((yield* by.create(aRun("child", ofParent), executor)).claimed).toBeUndefined()
        const other = aRun("other", { ...ofParent, workflow: "Other" })
        expect((yield* by.create(other, executor)).claimed).toBeDefined()
        expect(Option.getOrThrow(yield* store.find("child")).status).toBe("pending")
      }).pipe(Effect.provide(layer))
    )

    it.effect("that has begun many, and begins none of many more, goes on with those in turn", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* Effect.forEach(
          Array.from({ length: 30 }, (_, n) => n),
          (n) => store.create(aRun(`new ${n}`))
        )
        for (let n = 0; n < 5; n++) {
          const run = yield* begin(executor, `begun ${n}`, { options: { priority: 5 - n } })
          yield* store.release([{ held: run.held, timers: [] }])
        }
        yield* store.pauseWorkflow({ workflow: "Order", parks: false })
        // beside those of others, in their order
        for (let n = 0; n < 10; n++) {
          const options = { priority: n < 2 ? 0 : 9 }
          yield* store.create(aRun(`other ${n}`, { workflow: "Other", options }))
        }
        expect(ids(yield* take(executor, 3))).toEqual(["other 0", "other 1", "begun 4"])
        expect(ids(yield* take(executor, 3))).toEqual(["begun 3", "begun 2", "begun 1"])
        expect(ids(yield* take(executor, 3))).toEqual(["begun 0", "other 2", "other 3"])
      }).pipe(Effect.provide(layer))
    )
  })
}
