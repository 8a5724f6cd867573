import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { begin, claimOne, orMissing, register, statusOf, suspend } from "../Acts.js"

export const suspension = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("suspending", () => {
    it.effect("leaves the run to nobody, with its timer and its cause", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const run = yield* begin(yield* register, "a")
        const timers = [{ name: "t", wakeAt: 100 }]
        expect(yield* suspend(run, { wakeAt: 100, cause: "1", timers })).toEqual(Option.none())
        const found = yield* Effect.flatMap(store.find("a"), orMissing("a"))
        expect(found).toMatchObject({ status: "suspended", executor: undefined, cause: "1" })
        expect(yield* store.nextWakeAt).toEqual(Option.some(100))
      }).pipe(Effect.provide(layer))
    )

    it.effect("tells what the run waits for, to whoever claims it next too, until it is over", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const run = yield* begin(executor, "a")
        const find = Effect.flatMap(store.find("a"), orMissing("a"))
        expect(run.waitsFor).toBeUndefined()
        yield* suspend(run, { waitsFor: '"paid"' })
        expect((yield* find).waitsFor).toBe('"paid"')
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        expect((yield* find).waitsFor).toBeUndefined()
        const again = yield* claimOne(executor)
        expect(again.waitsFor).toBe('"paid"')
        yield* suspend(again)
        expect((yield* find).waitsFor).toBeUndefined()
        yield* store.wake("a")
        const last = yield* claimOne(executor)
        expect(last.waitsFor).toBeUndefined()
        yield* suspend(last, { waitsFor: '"more"' })
        yield* store.wake("a")
        const { held } = yield* claimOne(executor)
        yield* store.complete({ held, status: "failed", exit: "0" })
        yield* store.retry({ runId: "a" })
        expect((yield* claimOne(executor)).waitsFor).toBeUndefined()
      }).pipe(Effect.provide(layer))
    )

    it.effect("goes on with a new history when a signal came since the last one", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const run = yield* begin(executor, "a")
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        const answer = yield* suspend(run, { wakeAt: 100, timers: [{ name: "t", wakeAt: 100 }] })
        const history = yield* orMissing("a")(answer)
        expect(history.signals).toEqual([{ name: "paid", exit: "1" }])
        expect(history.timers).toEqual([{ name: "t", wakeAt: 100, fired: false }])
        expect(yield* statusOf("a")).toBe("running")
        expect(yield* store.nextWakeAt).toEqual(Option.none())
        expect(yield* suspend({ ...run, history })).toEqual(Option.none())
        expect(yield* statusOf("a")).toBe("suspended")
      }).pipe(Effect.provide(layer))
    )

    it.effect("is woken by a signal that comes after it", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* suspend(yield* begin(executor, "a"), { wakeAt: 100, cause: "1" })
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        const found = yield* Effect.flatMap(store.find("a"), orMissing("a"))
        expect(found).toMatchObject({ status: "pending", cause: undefined })
        expect(yield* store.nextWakeAt).toEqual(Option.none())
        expect((yield* claimOne(executor)).history.signals).toHaveLength(1)
      }).pipe(Effect.provide(layer))
    )

    it.effect("loses no signal that comes at the same time", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const runs = yield* Effect.forEach(Array.from({ length: 100 }), (_, i) =>
          begin(executor, `${i}`)
        )
        const missed = yield* Effect.forEach(
          runs,
          (run, i) => {
            const signal = store.signal({ runId: run.held.runId, name: "paid", exit: "1" })
            const both = i % 2 === 0 ? [suspend(run), signal] : [signal, suspend(run)]
            return Effect.zipRight(
              Effect.all(both, { concurrency: "unbounded" }),
              statusOf(run.held.runId)
            )
          },
          { concurrency: "unbounded" }
        )
        expect(missed.filter((status) => status === "suspended")).toEqual([])
      }).pipe(Effect.provide(layer))
    )

    it.effect("sees every kind of wake-up that came while the run was held", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const child = yield* begin(executor, "child")
        const wakeUps = [
          store.signal({ runId: "parent", name: "paid", exit: "1" }),
          store.wake("parent"),
          store.complete({ held: child.held, status: "completed", exit: "1" }),
          store.requestInterrupt("parent")
        ]
        let run = yield* begin(executor, "parent")
        yield* store.create({
          ...{ runId: "child", workflow: "Order", payload: "{}" },
          parent: { runId: "parent", awaits: true }
        })
        for (const wakeUp of wakeUps) {
          yield* wakeUp
          run = { ...run, history: yield* Effect.flatMap(suspend(run), orMissing("parent")) }
        }
        expect(run.history).toMatchObject({
          signals: [{ name: "paid" }],
          children: [{ runId: "child", exit: "1" }],
          interruptRequested: true
        })
        expect(yield* suspend(run)).toEqual(Option.none())
      }).pipe(Effect.provide(layer))
    )

    it.effect("is not kept from suspending by wake-ups that its history has counted", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const run = yield* begin(yield* register, "a")
        yield* store.wake("a")
        const history = yield* store.history(run.held)
        expect(yield* suspend({ ...run, history })).toEqual(Option.none())
      }).pipe(Effect.provide(layer))
    )
  })

  describe("completing", () => {
    it.effect("ends the run for good", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const status of ["completed", "failed", "interrupted"] as const) {
          const { held } = yield* begin(executor, status)
          yield* store.complete({ held, status, exit: `"${status}"` })
          const run = yield* Effect.flatMap(store.find(status), orMissing(status))
          expect(run).toMatchObject({
            status,
            exit: `"${status}"`,
            executor: undefined,
            completedAt: 0
          })
        }
        expect(yield* store.claim({ executor, workflows: ["Order"], limit: 9 })).toEqual([])
      }).pipe(Effect.provide(layer))
    )

    it.effect("wakes every run that waits for it, and no other parent", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const child = yield* begin(executor, "child", { workflow: "Child" })
        for (const [runId, awaits] of [
          ["waits", true],
          ["also waits", true],
          ["does not", false]
        ] as const) {
          const parent = yield* begin(executor, runId)
          yield* store.create({
            ...{ runId: "child", workflow: "Child", payload: "{}" },
            parent: { runId, awaits }
          })
          yield* suspend(parent)
        }
        yield* store.complete({ held: child.held, status: "completed", exit: "1" })
        expect(yield* statusOf("waits")).toBe("pending")
        expect(yield* statusOf("also waits")).toBe("pending")
        expect(yield* statusOf("does not")).toBe("suspended")
      }).pipe(Effect.provide(layer))
    )

    it.effect("wakes a parent that first did not wait for the child, and then did", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const parent = yield* begin(executor, "parent")
        const child = yield* begin(executor, "child", {
          parent: { runId: "parent", awaits: false }
        })
        for (const awaits of [true, false]) {
          yield* store.create({
            ...{ runId: "child", workflow: "Order", payload: "{}" },
            parent: { runId: "parent", awaits }
          })
        }
        yield* suspend(parent)
        yield* store.complete({ held: child.held, status: "completed", exit: "1" })
        expect(yield* statusOf("parent")).toBe("pending")
      }).pipe(Effect.provide(layer))
    )
  })
}
