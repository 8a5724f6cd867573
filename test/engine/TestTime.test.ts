/** What `Executor.layerTest` and `layerTestCore` promise to tests: time, restarts, forked runs. */
import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableClock } from "@effect/workflow"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as Executor from "../../src/Executor.js"
import * as Runs from "../../src/runner/Runs.js"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { noted, step, temporaryFile, textWorkflow } from "./support.js"

const Sleeper = textWorkflow("Sleeper")

/** A month in the middle, and what was executed. */
const sleeper = (log: Array<string>) =>
  Sleeper.toLayer(({ id }) =>
    Effect.gen(function* () {
      yield* noted(log, `before ${id}`)
      yield* DurableClock.sleep({ name: "a month", duration: "30 days" })
      return yield* noted(log, `after ${id}`)
    })
  )

const statusOf = (runId: string) =>
  Effect.flatMap(Runs.Runs, (runs) => Effect.map(runs.get(runId), ({ status }) => status))

const file = Layer.unwrapScoped(
  Effect.map(temporaryFile, (filename) => SqliteRunStore.layerFile({ filename }))
)

const stores: ReadonlyArray<readonly [string, Layer.Layer<RunStore, unknown>]> = [
  ["in memory", SqliteRunStore.layerMemory],
  ["on a file", file]
]

const days = 24 * 60 * 60 * 1000

for (const [kind, store] of stores) {
  describe(`time under a TestClock, ${kind}`, () => {
    it.effect("nothing of the executor's own sleeps for less than a day", () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        const now = yield* Clock.currentTimeMillis
        const soonest = Math.min(...(yield* TestClock.sleeps()))
        // it began a second ago: signals without a run are looked for once a day
        assert.isAtLeast(soonest - now, days - 1_000)
      }).pipe(Effect.provide(Executor.layerTestCore()), Effect.provide(store))
    )

    it.effect("a run sleeps through a month, of which each day is looked at", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        yield* Effect.gen(function* () {
          const runId = yield* Sleeper.execute({ id: "1" }, { discard: true })
          for (let day = 0; day < 30; day++) {
            yield* TestClock.adjust("23 hours")
            assert.strictEqual(yield* statusOf(runId), "suspended")
          }
          assert.deepStrictEqual(log, ["before 1"])
          yield* TestClock.adjust("30 hours")
          assert.strictEqual(yield* statusOf(runId), "completed")
        }).pipe(Effect.provide(sleeper(log).pipe(Layer.provideMerge(Executor.layerTestCore()))))
        assert.deepStrictEqual(log, ["before 1", "after 1"])
      }).pipe(Effect.provide(store))
    )

    it.effect("an executor stops, and the next goes on with the same runs", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const executor = sleeper(log).pipe(Layer.provideMerge(Executor.layerTestCore()))
        const runId = yield* Effect.gen(function* () {
          const runId = yield* Sleeper.execute({ id: "1" }, { discard: true })
          yield* TestClock.adjust("10 days")
          return runId
        }).pipe(Effect.provide(executor))
        // while nobody is there
        yield* TestClock.adjust("10 days")
        yield* Effect.gen(function* () {
          assert.strictEqual(yield* statusOf(runId), "suspended")
          yield* TestClock.adjust("10 days")
          assert.strictEqual(yield* statusOf(runId), "completed")
        }).pipe(Effect.provide(executor))
        assert.deepStrictEqual(log, ["before 1", "after 1"])
      }).pipe(Effect.provide(store))
    )

    it.effect("a step that a stop cuts executes again, and nothing else does", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const W = textWorkflow("Cut")
        const workflow = W.toLayer(() =>
          Effect.gen(function* () {
            yield* noted(log, "first")
            return yield* step(
              "slow",
              Effect.sync(() => log.push("slow")).pipe(
                Effect.zipRight(Effect.sleep("1 hour")),
                Effect.as("done")
              )
            )
          })
        )
        const executor = workflow.pipe(Layer.provideMerge(Executor.layerTestCore()))
        const runId = yield* Effect.gen(function* () {
          const runId = yield* W.execute({ id: "1" }, { discard: true })
          yield* TestClock.adjust("30 minutes")
          return runId
        }).pipe(Effect.provide(executor))
        yield* Effect.gen(function* () {
          yield* TestClock.adjust("59 minutes")
          assert.strictEqual(yield* statusOf(runId), "running")
          yield* TestClock.adjust("1 minute")
          assert.strictEqual(yield* statusOf(runId), "completed")
        }).pipe(Effect.provide(executor))
        assert.deepStrictEqual(log, ["first", "slow", "slow"])
      }).pipe(Effect.provide(store))
    )

    it.effect("what was forked has begun when the clock moves, children and keys included", () =>
      Effect.gen(function* () {
        const Child = textWorkflow("HashedChild")
        const Parent = textWorkflow("HashedParent")
        const layer = Layer.merge(
          Child.toLayer(() => Effect.as(longNap, "slept")),
          Parent.toLayer(({ id }) =>
            Effect.gen(function* () {
              yield* step(
                "keyed",
                Activity.idempotencyKey("a key").pipe(Effect.zipLeft(Effect.sleep("1 minute")))
              )
              return yield* Child.execute({ id })
            })
          )
        ).pipe(Layer.provideMerge(Executor.layerTestCore()))
        yield* Effect.gen(function* () {
          for (let i = 0; i < 50; i++) {
            const fiber = yield* Effect.fork(Parent.execute({ id: String(i) }))
            yield* TestClock.adjust("1 hour")
            assert.isNotNull(fiber.unsafePoll(), `run ${i} is over`)
            assert.strictEqual(yield* Fiber.join(fiber), "slept")
          }
        }).pipe(Effect.provide(layer))
      }).pipe(Effect.provide(store))
    )
  })
}

describe("two stores on one file, under a TestClock that stands still", () => {
  it.scoped("see each other's commits", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const open = Effect.map(
        Layer.build(Layer.fresh(SqliteRunStore.layerFile({ filename }))),
        Context.get(RunStore)
      )
      const [here, there] = [yield* open, yield* open]
      const changes = yield* here.changes
      yield* there.create({ runId: "r", workflow: "W", payload: "{}" })
      assert.isTrue((yield* changes.take).foreign)
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
    })
  )
})

const longNap = DurableClock.sleep({ name: "nap", duration: "59 minutes" })

describe("hashes in tests", () => {
  const digest = (algorithm: string, text: string) =>
    Effect.promise(() => crypto.subtle.digest(algorithm, new TextEncoder().encode(text))).pipe(
      Effect.map((hash) => Buffer.from(hash).toString("hex"))
    )

  it.effect("are those of Web Crypto, which is as it was afterwards", () =>
    Effect.gen(function* () {
      const original = crypto.subtle.digest
      const inside = Effect.gen(function* () {
        assert.notStrictEqual(crypto.subtle.digest, original)
        return yield* Effect.forEach(["SHA-1", "sha-256", "SHA-384", "SHA-512"], (algorithm) =>
          digest(algorithm, "text")
        )
      })
      const theirs = yield* Effect.scoped(
        // two executors at a time, of which one ends first
        Effect.gen(function* () {
          yield* Effect.void.pipe(Effect.provide(Executor.layerTest()))
          yield* Layer.build(Executor.layerTest())
          yield* Effect.void.pipe(Effect.provide(Executor.layerTest()))
          return yield* inside
        })
      )
      assert.strictEqual(crypto.subtle.digest, original)
      assert.deepStrictEqual(
        theirs,
        yield* Effect.forEach(["SHA-1", "sha-256", "SHA-384", "SHA-512"], (algorithm) =>
          digest(algorithm, "text")
        )
      )
    })
  )
})
