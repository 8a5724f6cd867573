import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { ClaimedRun, NewRun, Run, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, begin, claimOne, register, suspend } from "../Acts.js"

const ids = (claimed: ReadonlyArray<ClaimedRun>) => claimed.map(({ held }) => held.runId)

const start = (runId: string, options: NewRun["options"], more: Partial<NewRun> = {}) =>
  Effect.flatMap(RunStore, (store) => store.create(aRun(runId, { options, ...more })))

const claimAll = Effect.gen(function* () {
  const store = yield* RunStore
  return ids(yield* store.claim({ executor: yield* register, workflows: ["Order"], limit: 99 }))
})

const find = (runId: string) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const run: Run | undefined = Option.getOrUndefined(yield* store.find(runId))
    return run ?? (yield* Effect.dieMessage(`There is no run ${runId}`))
  })

const end = (
  { held }: ClaimedRun,
  status: "completed" | "interrupted" = "completed"
): Effect.Effect<void, RunStoreError, RunStore> =>
  Effect.flatMap(RunStore, (store) =>
    Effect.orDie(store.complete({ held, status, exit: `"${status}"` }))
  )

export const startOptions = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("start options", () => {
    describe("a time", () => {
      it.effect("before which a run is pending, and begun by nobody", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const executor = yield* register
          const created = yield* store.create(
            aRun("later", { options: { startAt: 5_000 } }),
            executor
          )
          expect(created).toMatchObject({ created: true, claimed: undefined })
          const about = { status: "pending", options: { startAt: 5_000 }, heldUntil: 5_000 }
          expect(created.run).toMatchObject(about)
          expect(yield* find("later")).toMatchObject(about)
          expect(yield* store.nextWakeAt).toEqual(Option.some(5_000))
          yield* TestClock.adjust(4_999)
          expect(yield* store.wakeDue(9)).toBe(0)
          expect(yield* claimAll).toEqual([])
          yield* TestClock.adjust(1)
          expect(yield* store.wakeDue(9)).toBe(1)
          const begun = yield* find("later")
          expect(begun).toMatchObject({ status: "pending", options: { startAt: 5_000 } })
          expect(begun.heldUntil).toBeUndefined()
          expect(yield* claimAll).toEqual(["later"])
          expect(yield* store.nextWakeAt).toEqual(Option.none())
        }).pipe(Effect.provide(layer))
      )

      it.effect("that is over is none", () =>
        Effect.gen(function* () {
          yield* TestClock.adjust(5_000)
          const store = yield* RunStore
          const executor = yield* register
          const options = { startAt: 5_000 }
          const { claimed } = yield* store.create(aRun("now", { options }), executor)
          expect(claimed?.held.runId).toBe("now")
          expect((yield* find("now")).options).toEqual(options)
        }).pipe(Effect.provide(layer))
      )

      it.effect("is counted and listed as pending, and as nothing else", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          yield* start("later", { startAt: 5_000 })
          yield* suspend(yield* begin(yield* register, "waits"))
          expect(yield* store.counts).toMatchObject({ pending: 1, suspended: 1, running: 0 })
          const list = (status: Run["status"]) =>
            Effect.map(store.list({ status: [status], limit: 9 }), ({ runs }) =>
              runs.map(({ runId, status }) => [runId, status])
            )
          expect(yield* list("pending")).toEqual([["later", "pending"]])
          expect(yield* list("suspended")).toEqual([["waits", "suspended"]])
          const [outline] = yield* store.beginningWith({ prefix: "late", limit: 9 })
          expect(outline?.status).toBe("pending")
          const steps = Option.getOrUndefined(yield* store.steps("later", {}))
          expect(steps?.status).toBe("pending")
          expect(yield* store.remove("later")).toMatchObject({
            _tag: "Refused",
            status: "pending"
          })
        }).pipe(Effect.provide(layer))
      )

      it.effect("holds though the run is sent a signal, which it has then", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const executor = yield* register
          yield* start("later", { startAt: 5_000 })
          expect(yield* store.signal({ runId: "later", name: "paid", exit: "1" })).toBe(true)
          expect(yield* claimAll).toEqual([])
          expect(yield* find("later")).toMatchObject({ status: "pending", heldUntil: 5_000 })
          yield* TestClock.adjust(5_000)
          yield* store.wakeDue(9)
          const [claimed] = yield* store.claim({ executor, workflows: ["Order"], limit: 9 })
          expect(claimed?.history.signals).toEqual([{ name: "paid", exit: "1" }])
        }).pipe(Effect.provide(layer))
      )

      it.effect("is over when it is woken, interrupted or terminated", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          for (const runId of ["woken", "interrupted", "ended"]) {
            yield* start(runId, { startAt: 5_000 })
          }
          expect(yield* store.wake("woken")).toEqual(Option.some("pending"))
          expect(yield* store.requestInterrupt("interrupted")).toEqual(Option.some("pending"))
          yield* store.terminate({ runId: "ended", exit: `"over"`, children: false })
          expect((yield* find("ended")).status).toBe("interrupted")
          expect(yield* claimAll).toEqual(["woken", "interrupted"])
          expect(yield* store.counts).toMatchObject({ pending: 0, suspended: 0, running: 2 })
        }).pipe(Effect.provide(layer))
      )

      it.effect("is no more when the run waits for something else", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          yield* register
          yield* start("later", { startAt: 5_000 })
          yield* TestClock.adjust(5_000)
          yield* store.wakeDue(9)
          yield* suspend(yield* claimOne(yield* register))
          const run = yield* find("later")
          expect(run.status).toBe("suspended")
          expect(run.heldUntil).toBeUndefined()
          expect(yield* store.counts).toMatchObject({ pending: 0, suspended: 1 })
        }).pipe(Effect.provide(layer))
      )
    })

    it.effect("a priority: the smaller begin first, then the older, across workflows", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const wanted: ReadonlyArray<readonly [string, string, number]> = [
          ["plain", "A", 0],
          ["late", "A", 7],
          ["first", "A", -1],
          ["plain too", "B", 0],
          ["first too", "B", -1],
          ["late too", "B", 7]
        ]
        for (const [runId, workflow, priority] of wanted) {
          yield* start(runId, { priority }, { workflow })
        }
        const workflows = ["A", "B"]
        const two = yield* store.claim({ executor, workflows, limit: 2 })
        expect(ids(two)).toEqual(["first", "first too"])
        const others = yield* store.claim({ executor, workflows, limit: 9 })
        expect(ids(others)).toEqual(["plain", "plain too", "late", "late too"])
        // given back, it keeps its place
        yield* store.release(two.map(({ held }) => ({ held, timers: [] })))
        yield* start("plain again", {}, { workflow: "A" })
        const again = yield* store.claim({ executor, workflows, limit: 9 })
        expect(ids(again)).toEqual(["first", "first too", "plain again"])
        expect((yield* find("late")).options).toEqual({ priority: 7 })
        expect((yield* find("plain")).options).toBeUndefined()
      }).pipe(Effect.provide(layer))
    )

    describe("a timeout", () => {
      it.effect("is counted from the run's begin, and asks for its interrupt", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const executor = yield* register
          yield* start("slow", { timeout: 1_000 })
          yield* TestClock.adjust(5_000)
          expect(yield* store.wakeDue(9)).toBe(0)
          const claimed = yield* claimOne(executor)
          expect(claimed.timeout).toBe(1_000)
          expect((yield* find("slow")).deadline).toBe(6_000)
          expect(yield* store.nextWakeAt).toEqual(Option.some(6_000))
          // its begin is the first one
          yield* TestClock.adjust(500)
          yield* store.release([{ held: claimed.held, timers: [] }])
          const again = yield* claimOne(executor)
          expect((yield* find("slow")).deadline).toBe(6_000)
          yield* TestClock.adjust(499)
          expect(yield* store.wakeDue(9)).toBe(0)
          yield* TestClock.adjust(1)
          expect(yield* store.wakeDue(9)).toBe(1)
          expect(yield* find("slow")).toMatchObject({ timedOut: true, interruptRequested: true })
          expect(yield* store.wakeDue(9)).toBe(0)
          expect(yield* store.nextWakeAt).toEqual(Option.none())
          yield* end(again, "interrupted")
          expect(yield* find("slow")).toMatchObject({ status: "interrupted", timedOut: true })
        }).pipe(Effect.provide(layer))
      )

      it.effect("is counted from its creation where it begins at once; wakes one that waits", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const executor = yield* register
          const run = aRun("slow", { options: { timeout: 1_000 } })
          const { claimed, run: created } = yield* store.create(run, executor)
          expect(created).toMatchObject({ deadline: 1_000, options: { timeout: 1_000 } })
          expect(claimed?.timeout).toBe(1_000)
          if (claimed !== undefined) yield* suspend(claimed)
          yield* TestClock.adjust(1_000)
          expect(yield* store.wakeDue(9)).toBe(1)
          expect((yield* find("slow")).status).toBe("pending")
          expect((yield* claimOne(executor)).history.interruptRequested).toBe(true)
        }).pipe(Effect.provide(layer))
      )

      it.effect("that is over after the run is, or after its interrupt, does nothing", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const executor = yield* register
          const options = { timeout: 1_000 }
          yield* end(yield* begin(executor, "quick", { options }))
          yield* begin(executor, "interrupted", { options })
          yield* store.requestInterrupt("interrupted")
          yield* TestClock.adjust(1_000)
          yield* store.wakeDue(9)
          expect(yield* find("quick")).toMatchObject({
            status: "completed",
            interruptRequested: false
          })
          expect((yield* find("interrupted")).timedOut).toBeUndefined()
          expect(yield* store.nextWakeAt).toEqual(Option.none())
        }).pipe(Effect.provide(layer))
      )

      it.effect("begins anew when the run is retried", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const executor = yield* register
          const claimed = yield* begin(executor, "slow", { options: { timeout: 1_000 } })
          yield* TestClock.adjust(1_000)
          yield* store.wakeDue(9)
          yield* end(claimed, "interrupted")
          expect(yield* store.retry({ runId: "slow" })).toEqual({ _tag: "Done" })
          const again = yield* find("slow")
          expect(again.timedOut).toBeUndefined()
          expect(again.deadline).toBeUndefined()
          yield* TestClock.adjust(1_000)
          yield* claimOne(executor)
          expect((yield* find("slow")).deadline).toBe(3_000)
        }).pipe(Effect.provide(layer))
      )
    })

    it.effect("labels, by which runs are found: by all that are asked for", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const list = (labels: NewRun["options"], more: object = {}) =>
          Effect.map(store.list({ labels, limit: 99, ...more }), ({ runs }) =>
            runs.map(({ runId }) => runId)
          )
        const attributes = { customer: "7", paid: true, total: 7 }
        yield* start("one", { tags: ["urgent", "eu"], attributes })
        yield* start("two", { tags: ["eu"], attributes: { customer: "8" } })
        yield* start("three", { tags: ["customer"] }, { workflow: "Other" })
        yield* start("none", {})
        expect((yield* find("one")).options).toEqual({ tags: ["urgent", "eu"], attributes })
        expect(yield* list({ tags: ["eu"] })).toEqual(["two", "one"])
        expect(yield* list({ tags: ["eu", "urgent"] })).toEqual(["one"])
        expect(yield* list({ tags: ["eu"], attributes: { customer: "8" } })).toEqual(["two"])
        expect(yield* list({ attributes: { customer: "7", total: 7 } })).toEqual(["one"])
        // a number is no text, and a tag no attribute
        expect(yield* list({ attributes: { total: "7" } })).toEqual([])
        expect(yield* list({ attributes: { paid: true } })).toEqual(["one"])
        expect(yield* list({ tags: ["customer"] })).toEqual(["three"])
        expect(yield* list({ tags: ["customer"] }, { workflow: "Order" })).toEqual([])
        expect(yield* list({ tags: ["eu"] }, { status: ["pending"], roots: true })).toEqual([
          "two",
          "one"
        ])
        expect(yield* list({ tags: ["eu"] }, { blocked: true })).toEqual([])
        const page = yield* store.list({ labels: { tags: ["eu"] }, limit: 1 })
        expect(page.runs.map(({ runId }) => runId)).toEqual(["two"])
        expect(yield* list({ tags: ["eu"] }, { cursor: page.cursor })).toEqual(["one"])
        expect(yield* list({ tags: ["eu"] }, { runId: "one" })).toEqual(["one"])
        expect(yield* list({ tags: ["eu"] }, { runId: "none" })).toEqual([])
        // a run that was removed is found by nothing
        yield* store.terminate({ runId: "two", exit: `"over"`, children: false })
        yield* store.remove("two")
        expect(yield* list({ tags: ["eu"] })).toEqual(["one"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("children of a run have their own, and are listed by them", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const parent = yield* begin(yield* register, "parent")
        const link = { runId: "parent", awaits: true }
        const create = store.by(parent.held).create
        yield* create(aRun("child", { parent: link, options: { tags: ["x"], startAt: 9_000 } }))
        yield* create(aRun("other", { parent: link, options: { tags: ["y"] } }))
        const { runs } = yield* store.list({ parent: "parent", labels: { tags: ["x"] }, limit: 9 })
        expect(runs.map(({ runId, status }) => [runId, status])).toEqual([["child", "pending"]])
        const about = Option.getOrUndefined(yield* store.findWithSteps("parent"))
        expect(about?.children.first.map(({ status }) => status)).toEqual(["pending", "pending"])
      }).pipe(Effect.provide(layer))
    )

    describe("replacing", () => {
      const replacing = (runId: string, more: Partial<NewRun> = {}) =>
        Effect.flatMap(RunStore, (store) =>
          store.create(aRun(runId, { payload: `"new"`, replace: true, ...more }))
        )

      it.effect("gives a run that has not begun another payload and other options", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          yield* start("a", { startAt: 5_000, tags: ["old"], priority: 3 })
          const { created, replaced, run } = yield* replacing("a", {
            options: { startAt: 7_000, tags: ["new"] }
          })
          expect({ created, replaced }).toEqual({ created: false, replaced: true })
          const about = {
            payload: `"new"`,
            heldUntil: 7_000,
            options: { startAt: 7_000, tags: ["new"] }
          }
          expect(run).toMatchObject(about)
          expect(yield* find("a")).toMatchObject(about)
          expect((yield* store.list({ labels: { tags: ["old"] }, limit: 9 })).runs).toEqual([])
          yield* TestClock.adjust(5_000)
          expect(yield* store.wakeDue(9)).toBe(0)
          expect(yield* replacing("a")).toMatchObject({ replaced: true })
          expect(yield* claimAll).toEqual(["a"])
          expect(yield* store.counts).toMatchObject({ pending: 0, suspended: 0, running: 1 })
        }).pipe(Effect.provide(layer))
      )

      it.effect("creates one that is not there, and leaves one that has begun as it is", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const executor = yield* register
          const created = yield* replacing("a")
          expect(created).toMatchObject({ created: true, run: { payload: `"new"` } })
          const claimed = yield* claimOne(executor)
          const left = yield* replacing("a", { payload: `"newer"` })
          expect(left.replaced).toBeUndefined()
          expect(left).toMatchObject({ created: false, run: { payload: `"new"` } })
          // given back it is pending, and has begun
          yield* store.release([{ held: claimed.held, timers: [] }])
          expect((yield* replacing("a", { payload: `"newer"` })).replaced).toBeUndefined()
          expect((yield* find("a")).payload).toBe(`"new"`)
        }).pipe(Effect.provide(layer))
      )

      it.effect("leaves one of another workflow, and one that is to be interrupted", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          yield* store.create(aRun("a", { workflow: "Other" }))
          expect((yield* replacing("a")).replaced).toBeUndefined()
          yield* store.create(aRun("b"))
          yield* store.requestInterrupt("b")
          expect((yield* replacing("b")).replaced).toBeUndefined()
        }).pipe(Effect.provide(layer))
      )
    })
  })
}
