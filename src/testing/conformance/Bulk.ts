import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as TestClock from "effect/TestClock"
import { turn } from "../../internal/Turn.js"
import type {
  BulkOperation,
  BulkPart,
  NewBulk,
  RunFilter,
  RunStoreError
} from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, begin, drain, register, suspend } from "../Acts.js"
import type { Pair } from "./Interleavings.js"

const leaseMillis = 30_000

const aBulk = (more: Partial<NewBulk> = {}): NewBulk => ({
  action: "retry",
  filter: { status: ["failed"] },
  options: {},
  matched: 3,
  ...more
})

const put = (more?: Partial<NewBulk>) =>
  Effect.flatMap(RunStore, (store) => store.createBulk(aBulk(more)))

const claim = (executor: number) =>
  Effect.flatMap(RunStore, (store) => store.claimBulk({ executor, leaseMillis }))

const claimOne = (executor: number) => Effect.map(claim(executor), Option.getOrThrow)

const advance = (
  operation: BulkOperation,
  executor: number,
  { cursor, done = 0, refused = {} }: Partial<Pick<BulkPart, "cursor" | "done" | "refused">>
) =>
  Effect.flatMap(RunStore, (store) =>
    store.advanceBulk({ operation, executor, done, refused, cursor, leaseMillis })
  )

const withRuns = (count: number) =>
  Effect.flatMap(RunStore, (store) =>
    Effect.forEach(Array.from({ length: count }), (_, n) => store.create(aRun(`run ${n}`)), {
      discard: true
    })
  )

/** How many there are of it, where there are any. */
const countsOf = (filter: RunFilter) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const counted = Object.entries(yield* store.countBy(filter)).filter(([, runs]) => runs > 0)
    const { runs } = yield* store.list({ ...filter, limit: 99 })
    // whatever is counted is what is listed
    const listed: Record<string, number> = {}
    for (const { status } of runs) listed[status] = (listed[status] ?? 0) + 1
    expect(Object.fromEntries(counted)).toEqual(listed)
    return listed
  })

export const bulk = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("counting by a filter", () => {
    it.effect("counts what a list of it has, by status", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* TestClock.setTime(100)
        const failed = yield* begin(executor, "failed")
        yield* store.complete({ held: failed.held, status: "failed", exit: "0" })
        const blocked = yield* begin(executor, "blocked")
        yield* suspend(blocked, { cause: "{}" })
        yield* begin(executor, "parent")
        yield* store.create(aRun("child", { parent: { runId: "parent", awaits: true } }))
        yield* TestClock.setTime(200)
        yield* store.create(aRun("other", { workflow: "Mail" }))
        yield* store.create(aRun("later", { options: { startAt: 900, tags: ["a", "b"] } }))

        expect(yield* countsOf({})).toEqual({ failed: 1, suspended: 1, running: 1, pending: 3 })
        expect(yield* countsOf({ workflow: "Mail" })).toEqual({ pending: 1 })
        expect(yield* countsOf({ status: ["failed", "running"] })).toEqual({
          failed: 1,
          running: 1
        })
        expect(yield* countsOf({ createdAfter: 200 })).toEqual({ pending: 2 })
        expect(yield* countsOf({ createdBefore: 200, status: ["pending"] })).toEqual({ pending: 1 })
        expect(yield* countsOf({ parent: "parent" })).toEqual({ pending: 1 })
        expect(yield* countsOf({ roots: true, workflow: "Order" })).toEqual({
          failed: 1,
          suspended: 1,
          running: 1,
          pending: 1
        })
        expect(yield* countsOf({ parent: "parent", roots: true })).toEqual({})
        expect(yield* countsOf({ blocked: true })).toEqual({ suspended: 1 })
        expect(yield* countsOf({ labels: { tags: ["b", "a"] } })).toEqual({ pending: 1 })
        expect(yield* countsOf({ labels: { tags: ["b", "c"] } })).toEqual({})
        expect(yield* countsOf({ runId: "failed" })).toEqual({ failed: 1 })
        expect(yield* countsOf({ runId: "failed", status: ["completed"] })).toEqual({})
        expect(yield* countsOf({ runId: "nobody" })).toEqual({})
      }).pipe(Effect.provide(layer))
    )
  })

  describe("operations on many runs", () => {
    it.effect("are kept as they were asked for, and told of", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const changes = yield* store.changes
        yield* TestClock.setTime(7)
        yield* withRuns(2)
        yield* drain(changes)
        const filter = { workflow: "Order", createdAfter: 5, labels: { tags: ["a?"] } }
        const options = { reason: "why?", children: true }
        const asked = yield* put({ action: "terminate", filter, options, matched: 2 })
        expect(asked).toMatchObject({
          action: "terminate",
          filter,
          options,
          matched: 2,
          done: 0,
          refused: {},
          state: "running",
          requestedAt: 7,
          completedAt: undefined,
          executor: undefined
        })
        expect((yield* drain(changes)).map(({ bulk }) => bulk)).toEqual([true])
        expect(yield* store.findBulk(asked.id)).toEqual(Option.some(asked))
        expect(yield* store.findBulk(asked.id + 1)).toEqual(Option.none())
        const second = yield* put()
        expect(yield* store.bulks).toEqual([second, asked])
        expect(yield* store.hasBulk).toBe(true)
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.effect("begin with the newest run that is there", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* withRuns(3)
        const { cursor } = yield* put()
        yield* store.create(aRun("later"))
        const { runs } = yield* store.list({ limit: 9, cursor })
        expect(runs.map(({ runId }) => runId)).toEqual(["run 2", "run 1", "run 0"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("are gone on with by one executor, which may claim again what it has", () =>
      Effect.gen(function* () {
        const one = yield* register
        const two = yield* register
        expect(yield* claim(one)).toEqual(Option.none())
        const first = yield* put()
        const second = yield* put()
        expect(yield* claimOne(one)).toEqual({ ...first, executor: one })
        expect(yield* claimOne(two)).toEqual({ ...second, executor: two })
        expect(yield* claimOne(one)).toEqual({ ...first, executor: one })
        expect(yield* claim(yield* register)).toEqual(Option.none())
      }).pipe(Effect.provide(layer))
    )

    it.effect("are taken over where the lease is over, or the executor is gone", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const one = yield* register
        const two = yield* register
        const { id } = yield* put()
        const claimed = yield* claimOne(one)
        yield* TestClock.adjust(leaseMillis - 1)
        expect(yield* claim(two)).toEqual(Option.none())
        // each part renews it
        const found = yield* advance({ ...claimed, cursor: claimed.cursor }, one, { cursor: 0 })
        expect(Option.isSome(found)).toBe(true)
        yield* TestClock.adjust(leaseMillis - 1)
        expect(yield* claim(two)).toEqual(Option.none())
        yield* TestClock.adjust(1)
        const taken = yield* claimOne(two)
        expect(taken).toMatchObject({ id, executor: two })
        // who has lost it writes nothing
        expect(yield* advance(Option.getOrThrow(found), one, { done: 9 })).toEqual(Option.none())
        yield* store.unregister(two)
        expect(yield* claimOne(one)).toMatchObject({ id, executor: one, done: 0 })
      }).pipe(Effect.provide(layer))
    )

    it.effect("sum up what their parts came to, and end with the last", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* withRuns(3)
        const { id } = yield* put()
        const claimed = yield* claimOne(executor)
        const part = { cursor: claimed.cursor - 1, done: 2, refused: { "it is running": 1 } }
        const after = Option.getOrThrow(yield* advance(claimed, executor, part))
        expect(after).toMatchObject({ ...part, state: "running" })
        // a part is written once
        expect(yield* advance(claimed, executor, part)).toEqual(Option.none())
        yield* TestClock.setTime(50)
        yield* advance(after, executor, {
          done: 1,
          refused: { "it is running": 2, "it was deleted": 1 }
        })
        expect(Option.getOrThrow(yield* store.findBulk(id))).toMatchObject({
          state: "completed",
          completedAt: 50,
          done: 3,
          refused: { "it is running": 3, "it was deleted": 1 }
        })
        expect(yield* store.hasBulk).toBe(false)
        expect(yield* claim(executor)).toEqual(Option.none())
      }).pipe(Effect.provide(layer))
    )

    it.effect("end where they are when they are cancelled", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { id } = yield* put()
        const claimed = yield* claimOne(executor)
        expect(yield* store.cancelBulk(id + 1)).toEqual(Option.none())
        yield* TestClock.setTime(9)
        const cancelled = yield* store.cancelBulk(id)
        expect(Option.getOrThrow(cancelled)).toMatchObject({ state: "cancelled", completedAt: 9 })
        expect(yield* advance(claimed, executor, { done: 1 })).toEqual(Option.none())
        expect(yield* claim(executor)).toEqual(Option.none())
        yield* TestClock.setTime(10)
        expect(yield* store.cancelBulk(id)).toEqual(cancelled)
      }).pipe(Effect.provide(layer))
    )

    it.effect("are told of for 7 days, the newest 50 of them", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const old = yield* put()
        yield* store.cancelBulk(old.id)
        const open = yield* put()
        yield* TestClock.adjust("7 days")
        yield* Effect.forEach(Array.from({ length: 50 }), () => put(), { discard: true })
        expect(yield* store.findBulk(old.id)).toEqual(Option.none())
        // one that is not over is kept
        expect(Option.isSome(yield* store.findBulk(open.id))).toBe(true)
        const newest = yield* store.bulks
        expect(newest.length).toBe(50)
        expect(newest.every(({ id }) => id > open.id)).toBe(true)
      }).pipe(Effect.provide(layer))
    )
  })
}

const parts = 40

/** Two executors go on with the same operation, taking it from each other all the time. */
export const bulkInterleavings = (pair: Pair) => {
  it.scopedLive("count each part of an operation once, whoever goes on with it", () =>
    Effect.gen(function* () {
      const stores = yield* pair
      const [store] = stores
      yield* Effect.forEach(Array.from({ length: parts }), (_, n) => store.create(aRun(`${n}`)), {
        concurrency: 20,
        discard: true
      })
      const { id } = yield* store.createBulk(aBulk({ matched: parts }))
      const written: Array<number> = []

      const goesOn = (one: (typeof stores)[number]) =>
        Effect.gen(function* () {
          const executor = yield* one.register({ host: "here", pid: 42, leaseMillis: 3_600_000 })
          while (yield* one.hasBulk) {
            // a lease that is over at once is anybody's
            const claimed = yield* one.claimBulk({ executor, leaseMillis: 0 })
            if (Option.isNone(claimed)) continue
            const operation = claimed.value
            const { cursor, runs } = yield* one.list({ limit: 1, cursor: operation.cursor })
            const turns = yield* Random.nextIntBetween(0, 4)
            for (let taken = 0; taken < turns; taken++) yield* turn
            const advanced = yield* one.advanceBulk({
              operation,
              executor,
              done: runs.length,
              refused: { why: 1 },
              cursor,
              leaseMillis: 0
            })
            if (Option.isSome(advanced)) written.push(operation.cursor)
          }
        })

      yield* Effect.all(stores.map(goesOn), { concurrency: "unbounded" })
      expect(new Set(written).size).toBe(written.length)
      expect(Option.getOrThrow(yield* store.findBulk(id))).toMatchObject({
        state: "completed",
        done: parts,
        refused: { why: parts }
      })
    })
  )

  it.scopedLive("give each of several operations to one of those who ask at once", () =>
    Effect.gen(function* () {
      const [one, two] = yield* pair
      for (let round = 0; round < 20; round++) {
        const { id } = yield* one.createBulk(aBulk())
        const executors = yield* Effect.forEach([one, two], (store) =>
          store.register({ host: "here", pid: 42, leaseMillis: 3_600_000 })
        )
        const claimed = yield* Effect.forEach(
          [one, two],
          (store, index) => store.claimBulk({ executor: executors[index] ?? 0, leaseMillis }),
          { concurrency: "unbounded" }
        )
        expect(claimed.filter(Option.isSome).map(({ value }) => value.id)).toEqual([id])
        yield* one.cancelBulk(id)
      }
    })
  )
}
