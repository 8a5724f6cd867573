import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, begin, claimOne, register, statusOf, suspend } from "../Acts.js"

export const creation = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("creating a run", () => {
    it.effect("stores it as pending, and finds it as it was given", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* TestClock.setTime(1_000)
        const payload = `{"text":"żółć \\u0000 🚲 'quoted' ?"}`
        const { run, created, claimed } = yield* store.create(aRun("a", { payload }))
        expect({ created, claimed }).toEqual({ created: true, claimed: undefined })
        expect(run).toEqual({
          runId: "a",
          workflow: "Order",
          status: "pending",
          payload,
          exit: undefined,
          cause: undefined,
          executor: undefined,
          interruptRequested: false,
          createdAt: 1_000,
          startedAt: undefined,
          completedAt: undefined
        })
        expect(yield* store.find("a")).toEqual(Option.some(run))
      }).pipe(Effect.provide(layer))
    )

    it.effect("leaves a run with the same id as it is", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* begin(executor, "a", { payload: "1" })
        const again = yield* store.create(aRun("a", { payload: "2", workflow: "Other" }), executor)
        expect(again).toMatchObject({
          created: false,
          claimed: undefined,
          run: { status: "running", payload: "1", workflow: "Order" }
        })
      }).pipe(Effect.provide(layer))
    )

    it.effect("does not link a parent to a run of another workflow", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { held } = yield* begin(yield* register, "parent")
        yield* store.create(aRun("a"))
        const parent = { runId: "parent", awaits: true }
        const { created, run } = yield* store.create(aRun("a", { workflow: "Other", parent }))
        expect([created, run.workflow]).toEqual([false, "Order"])
        expect((yield* store.history(held)).children).toEqual([])
      }).pipe(Effect.provide(layer))
    )

    it.effect("creates it once when many ask at the same time", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const answers = yield* Effect.all(
          Array.from({ length: 50 }, () => store.create(aRun("a"))),
          { concurrency: "unbounded" }
        )
        expect(answers.filter(({ created }) => created)).toHaveLength(1)
      }).pipe(Effect.provide(layer))
    )

    it.effect("claims it at once for an executor with room", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* TestClock.setTime(1_000)
        const trace = {
          traceId: "0af7651916cd43dd8448eb211c80319c",
          spanId: "b7ad6b7169203331",
          sampled: true
        }
        const { run, claimed } = yield* store.create(aRun("a", { trace }), executor)
        expect(run).toMatchObject({ status: "running", executor, startedAt: 1_000 })
        expect(claimed).toMatchObject({
          held: { runId: "a", claim: 1 },
          workflow: "Order",
          payload: run.payload,
          trace,
          history: { steps: [], signals: [], timers: [], children: [], interruptRequested: false }
        })
        expect(yield* store.find("a")).toEqual(Option.some(run))
        expect(yield* store.claim({ executor, workflows: ["Order"], limit: 9 })).toEqual([])
      }).pipe(Effect.provide(layer))
    )

    it.effect("leaves it pending when the executor that wants it is not registered", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { run, claimed } = yield* store.create(aRun("a"), 99)
        expect(claimed).toBeUndefined()
        expect(run).toMatchObject({ status: "pending", executor: undefined, startedAt: undefined })
      }).pipe(Effect.provide(layer))
    )

    it.effect("gives a run claimed at once the signals that came before it", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        const { history } = yield* begin(executor, "a")
        expect(history.signals).toEqual([{ name: "paid", exit: "1" }])
      }).pipe(Effect.provide(layer))
    )

    it.effect("gives a run claimed later the signals that came before it", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        yield* store.create(aRun("a"))
        const { history } = yield* claimOne(executor)
        expect(history.signals).toEqual([{ name: "paid", exit: "1" }])
      }).pipe(Effect.provide(layer))
    )

    it.effect("keeps the trace for whoever claims the run", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const trace = {
          traceId: "0af7651916cd43dd8448eb211c80319c",
          spanId: "b7ad6b7169203331",
          sampled: false
        }
        yield* store.create(aRun("a", { trace }))
        expect((yield* claimOne(executor)).trace).toEqual(trace)
      }).pipe(Effect.provide(layer))
    )
  })

  describe("creating a child", () => {
    it.effect("shows it in the parent's history, with its exit once it is over", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const parent = yield* begin(executor, "parent")
        const child = yield* begin(executor, "child", {
          workflow: "Child",
          parent: { runId: "parent", awaits: false }
        })
        expect((yield* store.history(parent.held)).children).toEqual([
          { runId: "child", exit: undefined }
        ])
        yield* store.complete({ held: child.held, status: "failed", exit: "1" })
        expect((yield* store.history(parent.held)).children).toEqual([
          { runId: "child", exit: "1" }
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("links a run that existed, and wakes the parent at its end", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const child = yield* begin(executor, "child", { workflow: "Child" })
        const parent = yield* begin(executor, "parent")
        const { created } = yield* store.create(
          aRun("child", { workflow: "Child", parent: { runId: "parent", awaits: true } })
        )
        expect(created).toBe(false)
        yield* suspend(parent)
        yield* store.complete({ held: child.held, status: "completed", exit: "1" })
        const again = yield* claimOne(executor)
        expect(again.held.runId).toBe("parent")
        expect(again.history.children).toEqual([{ runId: "child", exit: "1" }])
      }).pipe(Effect.provide(layer))
    )

    it.effect("shows that the child is already over, and does not wake the parent", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const child = yield* begin(executor, "child")
        yield* store.complete({ held: child.held, status: "completed", exit: "1" })
        const parent = yield* begin(executor, "parent")
        const { run } = yield* store.create(
          aRun("child", { parent: { runId: "parent", awaits: true } })
        )
        expect(run).toMatchObject({ status: "completed", exit: "1" })
        yield* suspend(parent)
        expect(yield* statusOf("parent")).toBe("suspended")
      }).pipe(Effect.provide(layer))
    )
  })
}
