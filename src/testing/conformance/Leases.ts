import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import type { RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { begin, claimOne, leaseMillis, register, statusOf } from "../Acts.js"

const beginMany = (executor: number, count: number) =>
  Effect.forEach(Array.from({ length: count }), (_, i) => begin(executor, `${executor}/${i}`), {
    concurrency: "unbounded"
  })

export const leases = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("releasing", () => {
    it.effect("gives back the runs that are still held, with their new timers", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const [a, b, c] = [
          yield* begin(executor, "a"),
          yield* begin(executor, "b"),
          yield* begin(executor, "c")
        ]
        yield* store.complete({ held: b.held, status: "completed", exit: "1" })
        const timers = [{ name: "t", wakeAt: 100 }]
        const released = yield* store.release([a, b, c].map(({ held }) => ({ held, timers })))
        expect(released).toBe(2)
        expect(yield* statusOf("a")).toBe("pending")
        expect(yield* statusOf("b")).toBe("completed")
        const again = yield* claimOne(executor)
        expect(again.held.claim).toBeGreaterThan(a.held.claim)
        expect(again.history.timers).toEqual([{ name: "t", wakeAt: 100, fired: false }])
        expect(yield* store.release([])).toBe(0)
      }).pipe(Effect.provide(layer))
    )

    it.effect("takes thousands of runs at once", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const runs = yield* beginMany(yield* register, 2_000)
        const timers = Array.from({ length: 3 }, (_, i) => ({ name: `${i}`, wakeAt: i }))
        expect(yield* store.release(runs.map(({ held }) => ({ held, timers })))).toBe(2_000)
      }).pipe(Effect.provide(layer))
    )

    it.effect("of all that an executor holds goes in bounded batches", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const other = yield* register
        yield* beginMany(executor, 5)
        yield* beginMany(other, 1)
        expect(yield* store.releaseAll(executor, 3)).toBe(3)
        expect(yield* store.releaseAll(executor, 3)).toBe(2)
        expect(yield* store.releaseAll(executor, 3)).toBe(0)
        expect(yield* statusOf(`${other}/0`)).toBe("running")
      }).pipe(Effect.provide(layer))
    )
  })

  describe("an executor", () => {
    it.effect("is listed with its lease and how many runs it holds", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* TestClock.setTime(1_000)
        const id = yield* register
        yield* beginMany(id, 2)
        const expected = { id, host: "here", pid: 42, version: "1.2.3", startedAt: 1_000, runs: 2 }
        expect(yield* store.executors).toEqual([
          { ...expected, state: "running", leaseUntil: 1_000 + leaseMillis }
        ])
        yield* TestClock.setTime(2_000)
        expect(yield* store.renew(id, { leaseMillis: 500, state: "draining" })).toBe(true)
        expect(yield* store.executors).toEqual([
          { ...expected, state: "draining", leaseUntil: 2_500 }
        ])
        const silent = yield* store.register({ host: "there", pid: 43, leaseMillis })
        const [, other] = yield* store.executors
        expect(other).toMatchObject({ id: silent, host: "there" })
        expect(other).not.toHaveProperty("version")
      }).pipe(Effect.provide(layer))
    )

    it.effect("is removed, and its id never used again", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const first = yield* register
        yield* store.unregister(first)
        expect(yield* store.executors).toEqual([])
        expect(yield* register).toBeGreaterThan(first)
        expect(yield* store.renew(first, { leaseMillis, state: "running" })).toBe(false)
      }).pipe(Effect.provide(layer))
    )

    it.effect("that still holds runs stays until they are taken over", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* beginMany(executor, 1)
        yield* store.unregister(executor)
        yield* TestClock.adjust(leaseMillis + 1)
        expect(yield* store.takeOver({ limit: 9 })).toBe(1)
        expect(yield* store.executors).toEqual([])
      }).pipe(Effect.provide(layer))
    )
  })

  describe("taking over", () => {
    it.effect("takes from executors whose lease has lapsed, and from no other", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const lapses = yield* register
        const lives = yield* register
        yield* beginMany(lapses, 2)
        yield* beginMany(lives, 1)
        yield* TestClock.adjust(leaseMillis)
        yield* store.renew(lives, { leaseMillis, state: "running" })
        expect(yield* store.takeOver({ limit: 9 })).toBe(0)
        yield* TestClock.adjust(1)
        expect(yield* store.takeOver({ limit: 9 })).toBe(2)
        expect(yield* statusOf(`${lapses}/0`)).toBe("pending")
        expect(yield* statusOf(`${lives}/0`)).toBe("running")
        expect((yield* store.executors).map(({ id }) => id)).toEqual([lives])
        expect(yield* store.renew(lapses, { leaseMillis, state: "running" })).toBe(false)
      }).pipe(Effect.provide(layer))
    )

    it.effect("takes no more than the limit, and the rest the next time", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* beginMany(executor, 5)
        yield* TestClock.adjust(leaseMillis + 1)
        expect(yield* store.takeOver({ limit: 3 })).toBe(3)
        expect((yield* store.executors)[0]).toMatchObject({ id: executor, runs: 2 })
        expect(yield* store.takeOver({ limit: 3 })).toBe(2)
        expect(yield* store.executors).toEqual([])
      }).pipe(Effect.provide(layer))
    )

    it.effect("takes from those known to be dead at once, whatever their lease", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const died = yield* register
        const lives = yield* register
        yield* beginMany(died, 3)
        yield* beginMany(lives, 1)
        expect(yield* store.takeOver({ limit: 2, dead: [died] })).toBe(2)
        expect(yield* store.renew(died, { leaseMillis, state: "running" })).toBe(false)
        expect(yield* store.takeOver({ limit: 2, dead: [died, 4711] })).toBe(1)
        expect((yield* store.executors).map(({ id, runs }) => [id, runs])).toEqual([[lives, 1]])
        expect(yield* statusOf(`${died}/0`)).toBe("pending")
        expect(yield* statusOf(`${lives}/0`)).toBe("running")
      }).pipe(Effect.provide(layer))
    )

    it.effect("leaves alone an executor that renewed late, but before anybody took over", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* beginMany(executor, 1)
        yield* TestClock.adjust(leaseMillis * 2)
        expect(yield* store.renew(executor, { leaseMillis, state: "running" })).toBe(true)
        expect(yield* store.takeOver({ limit: 9 })).toBe(0)
      }).pipe(Effect.provide(layer))
    )

    it.effect("leaves nothing to the executor: it claims no run any more", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* beginMany(executor, 1)
        yield* TestClock.adjust(leaseMillis + 1)
        yield* store.takeOver({ limit: 9 })
        expect(yield* store.claim({ executor, workflows: ["Order"], limit: 9 })).toEqual([])
        expect(yield* statusOf(`${executor}/0`)).toBe("pending")
      }).pipe(Effect.provide(layer))
    )
  })
}
