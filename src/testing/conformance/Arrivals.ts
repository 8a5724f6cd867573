import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { Arrival, ClaimedRun, NewRun, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, begin, register, suspend } from "../Acts.js"

const ids = (claimed: ReadonlyArray<ClaimedRun>) => claimed.map(({ held }) => held.runId)

type More = Partial<NewRun> & { readonly key?: string; readonly claimFor?: number }

/** Starts a run as one of a workflow that is annotated so. */
const starts =
  (arrival: Arrival) =>
  (runId: string, { claimFor, key = "", ...more }: More = {}) =>
    Effect.flatMap(RunStore, (store) => {
      const limits = arrival.singleton === undefined ? {} : { perKey: 1, keepsSlot: true }
      const queue = { name: "mail", key, limits, arrival }
      return store.create(aRun(runId, { queue, ...more }), claimFor)
    })

const take = (executor: number) =>
  Effect.flatMap(RunStore, (store) => store.claim({ executor, workflows: ["Order"], limit: 99 }))

const end = ({ held }: ClaimedRun, status: "completed" | "interrupted" = "completed") =>
  Effect.flatMap(RunStore, (store) =>
    Effect.orDie(store.complete({ held, status, exit: `{"_tag":"Success"}` }))
  )

const find = (runId: string) => Effect.flatMap(RunStore, (store) => store.find(runId))

const only = (claimed: ReadonlyArray<ClaimedRun>): ClaimedRun => {
  const [first] = claimed
  if (claimed.length !== 1 || first === undefined) {
    throw new Error(`claimed ${JSON.stringify(ids(claimed))}`)
  }
  return first
}

const debounces = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  const start = starts({ debounce: { period: 1_000 } })

  it.effect("a debounce lets the last of a key begin, once none has come for so long", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* register
      const first = yield* start("a", { claimFor: executor })
      expect(first).toMatchObject({
        created: true,
        claimed: undefined,
        run: { status: "pending", heldUntil: 1_000 }
      })
      yield* store.signal({ runId: "a", name: "paid", exit: "1" })
      yield* TestClock.adjust(600)
      yield* start("b")
      yield* start("other", { key: "x" })
      // it leaves nothing behind
      expect(yield* find("a")).toEqual(Option.none())
      expect(yield* store.counts).toMatchObject({ pending: 2, interrupted: 0 })
      expect(yield* store.nextWakeAt).toEqual(Option.some(1_600))
      yield* TestClock.adjust(999)
      expect(yield* store.wakeDue(9)).toBe(0)
      yield* TestClock.adjust(1)
      yield* store.wakeDue(9)
      expect(ids(yield* take(executor)).sort()).toEqual(["b", "other"])
      // one that has begun is nothing to the next
      expect(yield* start("c")).toMatchObject({ created: true, run: { heldUntil: 2_600 } })
    }).pipe(Effect.provide(layer))
  )

  it.effect("a start whose place was taken can be the last again, and hears no old signal", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* register
      yield* start("a")
      yield* store.signal({ runId: "a", name: "paid", exit: "1" })
      yield* start("b")
      expect(yield* start("a")).toMatchObject({ created: true })
      expect(yield* find("b")).toEqual(Option.none())
      yield* TestClock.adjust(1_000)
      yield* store.wakeDue(9)
      expect(only(yield* take(executor)).history.signals).toEqual([])
    }).pipe(Effect.provide(layer))
  )

  it.effect("one that is started again waits anew, with its new payload", () =>
    Effect.gen(function* () {
      yield* start("a")
      yield* TestClock.adjust(500)
      expect(yield* start("a", { payload: `{"n":2}` })).toMatchObject({
        created: false,
        replaced: true,
        run: { payload: `{"n":2}`, heldUntil: 1_500 }
      })
      yield* TestClock.adjust(1_000)
      const store = yield* RunStore
      yield* store.wakeDue(9)
      const run = only(yield* take(yield* register))
      expect(run.payload).toBe(`{"n":2}`)
      // one that has begun stays as it is
      const answer = yield* start("a", { payload: `{"n":3}` })
      expect(answer).toMatchObject({ created: false, run: { payload: `{"n":2}` } })
      expect(answer.replaced).toBeUndefined()
      yield* end(run)
      expect((yield* start("a")).run.status).toBe("completed")
    }).pipe(Effect.provide(layer))
  )

  it.effect("a debounce waits no longer than it may, however many come", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const often = starts({ debounce: { period: 1_000, maxWait: 2_500 } })
      for (let n = 0; n < 4; n++) {
        const { run } = yield* often(`${n}`)
        expect(run.heldUntil).toBe(Math.min(n * 700 + 1_000, 2_500))
        yield* TestClock.adjust(700)
      }
      yield* store.wakeDue(9)
      expect(ids(yield* take(yield* register))).toEqual(["3"])
      // it counts from the first that comes after it
      expect((yield* often("late")).run.heldUntil).toBe(3_800)
    }).pipe(Effect.provide(layer))
  )

  it.effect("a run that another waits for is not taken back", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const parent = yield* begin(yield* register, "parent")
      yield* start("a")
      yield* store.by(parent.held).create(aRun("a", { parent: { runId: "parent", awaits: true } }))
      yield* start("b")
      expect(Option.isSome(yield* find("a"))).toBe(true)
      expect(Option.isSome(yield* find("b"))).toBe(true)
    }).pipe(Effect.provide(layer))
  )

  it.effect("one of which the interrupt was asked for is not held up, nor taken back", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      yield* start("a")
      yield* store.requestInterrupt("a")
      yield* start("b")
      expect(ids(yield* take(yield* register))).toEqual(["a"])
    }).pipe(Effect.provide(layer))
  )
}

const singletons = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  it.effect("a singleton that skips is not created while another of its key is not over", () =>
    Effect.gen(function* () {
      const start = starts({ singleton: "skip" })
      const store = yield* RunStore
      const executor = yield* register
      expect(yield* start("a")).toMatchObject({ created: true })
      const skipped = yield* start("b", { claimFor: executor })
      expect(skipped).toMatchObject({ created: false, skipped: true, run: { runId: "a" } })
      expect(skipped.claimed).toBeUndefined()
      expect(yield* find("b")).toEqual(Option.none())
      expect(yield* start("c", { key: "x" })).toMatchObject({ created: true })
      // the same once more is as ever
      const again = yield* start("a")
      expect(again.created).toBe(false)
      expect(again.skipped).toBeUndefined()
      const a = yield* Effect.map(take(executor), (all) =>
        all.find(({ held }) => held.runId === "a")
      )
      if (a === undefined) throw new Error("a was not claimed")
      yield* suspend(a)
      expect(yield* start("b")).toMatchObject({ skipped: true })
      yield* store.wake("a")
      yield* end(only(yield* take(executor)))
      expect(yield* start("b")).toMatchObject({ created: true })
    }).pipe(Effect.provide(layer))
  )

  it.effect("one that cancels asks for the interrupt of the others, and begins after them", () =>
    Effect.gen(function* () {
      const start = starts({ singleton: "cancel" })
      const executor = yield* register
      yield* start("a")
      yield* start("other", { key: "x" })
      const claimed = yield* take(executor)
      expect(ids(claimed).sort()).toEqual(["a", "other"])
      yield* start("b")
      expect(Option.getOrThrow(yield* find("a")).interruptRequested).toBe(true)
      expect(Option.getOrThrow(yield* find("other")).interruptRequested).toBe(false)
      expect(yield* take(executor)).toEqual([])
      // one that has not begun only ends
      yield* start("c")
      const b = only(yield* take(executor))
      expect(b).toMatchObject({ held: { runId: "b" }, history: { interruptRequested: true } })
      yield* end(b, "interrupted")
      expect(yield* take(executor)).toEqual([])
      // the same once more interrupts nobody
      yield* start("b")
      expect(Option.getOrThrow(yield* find("c")).interruptRequested).toBe(false)
      for (const run of claimed) if (run.held.runId === "a") yield* end(run, "interrupted")
      expect(ids(yield* take(executor))).toEqual(["c"])
    }).pipe(Effect.provide(layer))
  )
}

export const arrivals = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("the start of a run beside others of its key", () => {
    debounces(layer)
    singletons(layer)
  })
}
