/** Operations on many runs: an executor goes through them part by part, and another goes on. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as BulkRuns from "../../src/runner/runs/Bulk.js"
import type { BulkOperation } from "../../src/store/RunStore.js"
import { aRun } from "../../src/testing/Acts.js"
import { expect, gate, type Store, statusOf, untilPolled, type World, worlds } from "./Harness.js"

/** Runs of a workflow that nobody executes, all of them failed. */
const failed = (store: Store, count: number) =>
  Effect.gen(function* () {
    const executor = yield* store.register({ host: "elsewhere", pid: 1, leaseMillis: 3_600_000 })
    yield* Effect.forEach(
      Array.from({ length: count }, (_, n) => `${n}`),
      (runId) =>
        Effect.gen(function* () {
          const { claimed } = yield* store.create(aRun(runId), executor)
          if (claimed === undefined) return yield* Effect.dieMessage(`${runId} was not claimed`)
          const exit = `{"_tag":"Failure","cause":{"_tag":"Fail","error":"no"}}`
          yield* store.complete({ held: claimed.held, status: "failed", exit })
        }),
      { concurrency: 20, discard: true }
    )
    return executor
  })

const operation = (world: World, id: number) =>
  Effect.map(world.outside.findBulk(id), Option.getOrThrow)

const untilState = (world: World, id: number, state: BulkOperation["state"]) =>
  Effect.zipRight(
    untilPolled(`operation ${id} is ${state}`, () =>
      Effect.map(operation(world, id), (found) => found.state === state)
    ),
    operation(world, id)
  )

worlds("an operation on many runs", (test, kind) => {
  test("is done with all runs of the filter, in parts, and with no others", (world) =>
    Effect.gen(function* () {
      yield* failed(world.outside, 250)
      yield* world.outside.create(aRun("waits"))
      yield* world.outside.create(aRun("other", { workflow: "Mail" }))
      const { store } = yield* world.start({})
      const asked = BulkRuns.make(store)
      const request = { action: "retry", filter: { workflow: "Order" } } as const
      expect(yield* asked.previewBulk(request)).toEqual({ matched: 251 })
      expect(yield* asked.bulkOperations).toEqual([])
      const { id, matched } = yield* asked.bulk(request)
      expect(matched).toBe(251)
      const done = yield* untilState(world, id, "completed")
      expect(done).toMatchObject({
        done: 250,
        refused: {
          "it is pending; only a failed or an interrupted run can be retried": 1
        }
      })
      expect(yield* world.outside.counts).toMatchObject({ pending: 252, failed: 0 })
    }))

  test("leaves alone what is created later", (world) =>
    Effect.gen(function* () {
      yield* failed(world.outside, 3)
      const asked = BulkRuns.make(world.outside)
      const { id } = yield* asked.bulk({ action: "terminate", all: true, reason: "no more" })
      yield* world.outside.create(aRun("later"))
      yield* world.start({})
      const { done, refused } = yield* untilState(world, id, "completed")
      expect(done).toBe(0)
      expect(refused).toEqual({
        "it is failed; only a run that is not over can be terminated": 3
      })
      expect(yield* statusOf(world.outside, "later")).toBe("pending")
    }))

  test("terminates, resumes, interrupts and deletes as one of them would be", (world) =>
    Effect.gen(function* () {
      const store = world.outside
      yield* failed(store, 2)
      for (const id of ["a", "b"]) yield* store.create(aRun(id, { options: { tags: [id] } }))
      yield* world.start({})
      const asked = BulkRuns.make(store)
      const ended = (request: Parameters<typeof asked.bulk>[0]) =>
        Effect.flatMap(asked.bulk(request), ({ id }) => untilState(world, id, "completed"))

      const tags = ["a"]
      expect(yield* ended({ action: "resume", filter: { tags } })).toMatchObject({ done: 1 })
      expect(yield* ended({ action: "interrupt", filter: { tags } })).toMatchObject({ done: 1 })
      expect(yield* ended({ action: "terminate", filter: { tags } })).toMatchObject({ done: 1 })
      expect(yield* statusOf(store, "a")).toBe("interrupted")
      expect((yield* ended({ action: "interrupt", filter: { tags } })).refused).toEqual({
        "it is interrupted; only a run that is not over can be interrupted": 1
      })
      expect((yield* ended({ action: "resume", filter: { tags } })).refused).toEqual({
        "it is interrupted; nothing resumes it": 1
      })
      expect(yield* ended({ action: "delete", all: true })).toMatchObject({
        done: 3,
        refused: { "it is pending; only a run that is over can be deleted": 1 }
      })
      expect((yield* store.list({ limit: 9 })).runs.map(({ runId }) => runId)).toEqual(["b"])
    }))

  test("ends between two parts when the executor drains, and the next one goes on", (world) =>
    Effect.gen(function* () {
      yield* failed(world.outside, 250)
      const asked = BulkRuns.make(world.outside)
      const { id } = yield* asked.bulk({ action: "retry", filter: { status: ["failed"] } })
      const written = gate()
      const first = yield* world.start({
        wrap: (store) => ({
          ...store,
          advanceBulk: (part) => Effect.zipRight(written.pass, store.advanceBulk(part))
        })
      })
      yield* written.entered
      const closing = yield* Effect.fork(first.close)
      yield* untilPolled("the drain has begun", () =>
        Effect.map(first.state, (state) => state === "draining")
      )
      yield* written.open
      yield* closing
      const between = yield* operation(world, id)
      expect(between).toMatchObject({ state: "running", done: 100, refused: {} })

      yield* world.start({})
      expect(yield* untilState(world, id, "completed")).toMatchObject({ done: 250, refused: {} })
      expect(yield* world.outside.counts).toMatchObject({ pending: 250, failed: 0 })
    }))

  if (kind !== "memory") {
    test("goes on where an executor has died in a part, which is done again", (world) =>
      Effect.gen(function* () {
        yield* failed(world.outside, 250)
        const asked = BulkRuns.make(world.outside)
        const { id } = yield* asked.bulk({ action: "retry", filter: { workflow: "Order" } })
        const executor = yield* world.outside.register({
          host: "elsewhere",
          pid: 2,
          leaseMillis: 3_600_000
        })
        // as one that has done a part, and died before it was written down
        const claimed = yield* world.outside.claimBulk({ executor, leaseMillis: 30_000 })
        const { cursor } = Option.getOrThrow(claimed)
        const { runs } = yield* world.outside.list({ limit: 100, cursor })
        yield* Effect.forEach(runs, ({ runId }) => world.outside.retry({ runId }))

        yield* world.start({})
        expect(yield* operation(world, id)).toMatchObject({ executor, done: 0 })
        yield* TestClock.adjust("30 seconds")
        const done = yield* untilState(world, id, "completed")
        expect(done).toMatchObject({
          done: 150,
          refused: { "it is pending; only a failed or an interrupted run can be retried": 100 }
        })
        expect(yield* world.outside.counts).toMatchObject({ pending: 250, failed: 0 })
      }))
  }

  test("does nothing more once it is cancelled", (world) =>
    Effect.gen(function* () {
      yield* failed(world.outside, 150)
      const asked = BulkRuns.make(world.outside)
      const { id } = yield* asked.bulk({ action: "delete", filter: { workflow: "Order" } })
      const written = gate()
      yield* world.start({
        wrap: (store) => ({
          ...store,
          advanceBulk: (part) => Effect.zipRight(written.pass, store.advanceBulk(part))
        })
      })
      yield* written.entered
      expect(yield* asked.cancelBulk(id)).toMatchObject({ state: "cancelled" })
      yield* written.open
      yield* untilPolled("it is told", () => world.logged("is cancelled").length > 0)
      // the part that was under way
      expect((yield* world.outside.list({ limit: 200 })).runs.length).toBe(50)
    }))
})
