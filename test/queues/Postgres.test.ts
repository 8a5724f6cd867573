/** Durable queues and rate limits in PostgreSQL, each store of them as a process of its own has it. */
import * as PersistedQueue from "@effect/experimental/PersistedQueue"
import * as RateLimiter from "@effect/experimental/RateLimiter"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { turn } from "../../src/internal/Turn.js"
import * as PostgresPersistedQueue from "../../src/queues/PostgresPersistedQueue.js"
import * as PostgresRateLimiter from "../../src/queues/PostgresRateLimiter.js"
import * as Postgres from "../support/Postgres.js"

const Letters = PersistedQueue.make({ name: "letters", schema: Schema.String })

const opened = (
  database: Postgres.Database,
  options: Omit<PostgresPersistedQueue.Options, "schema"> = {}
) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const layer = PostgresPersistedQueue.layerUrl({ ...database, ...options, maxConnections: 2 })
    const context = yield* Scope.extend(Layer.build(Layer.fresh(layer)), scope)
    const close = Scope.close(scope, Exit.void)
    yield* Effect.addFinalizer(() => close)
    return { queue: yield* Effect.provide(Letters, context), close }
  })

const takeAll = (queue: PersistedQueue.PersistedQueue<string>, into: Array<string>) =>
  Effect.forkScoped(
    Effect.forever(queue.take((letter) => Effect.sync(() => void into.push(letter))))
  )

const until = (holds: () => boolean) => Effect.repeat(turn, { until: () => holds() })

describe("a queue in PostgreSQL", () => {
  it.scopedLive("gives each element to one, in its order, and adds no id twice", () =>
    Effect.gen(function* () {
      const database = yield* Postgres.database
      // they make its table at the same time
      const [one, other] = yield* Effect.all([opened(database), opened(database)], {
        concurrency: "unbounded"
      })
      const got: Array<string> = []
      for (const letter of ["a", "b", "c", "b"]) yield* one.queue.offer(letter, { id: letter })
      yield* takeAll(one.queue, got)
      yield* until(() => got.length === 3)
      assert.deepStrictEqual(got, ["a", "b", "c"])
      yield* other.queue.offer("a", { id: "a" })
      yield* one.queue.offer("d", { id: "d" })
      yield* until(() => got.length === 4)
      assert.deepStrictEqual(got, ["a", "b", "c", "d"])
    })
  )

  it.scopedLive("gives many elements to many takers of two processes, each once", () =>
    Effect.gen(function* () {
      const database = yield* Postgres.database
      const [one, other] = [yield* opened(database), yield* opened(database)]
      const letters = Array.from({ length: 200 }, (_, n) => `${n}`)
      const got: Array<string> = []
      for (let n = 0; n < 5; n++) {
        yield* takeAll(one.queue, got)
        yield* takeAll(other.queue, got)
      }
      yield* Effect.forEach(letters, (letter, n) =>
        (n % 2 === 0 ? one : other).queue.offer(letter, { id: letter })
      )
      yield* until(() => got.length >= letters.length)
      yield* Effect.repeatN(turn, 50)
      assert.deepStrictEqual([...got].sort(), [...letters].sort())
    })
  )

  it.scopedLive("puts back what is interrupted, tries again what fails, and gives it up", () =>
    Effect.gen(function* () {
      const { queue } = yield* opened(yield* Postgres.database)
      yield* queue.offer("a", { id: "a" })
      const begun = yield* Deferred.make<void>()
      const cut = yield* Effect.fork(
        queue.take(() => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never))
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(cut)
      const tried: Array<number> = []
      const failing = queue.take(
        (_, { attempts }) =>
          Effect.zipRight(
            Effect.sync(() => tried.push(attempts)),
            Effect.fail("no")
          ),
        { maxAttempts: 3 }
      )
      for (let n = 0; n < 3; n++) assert.strictEqual(yield* Effect.flip(failing), "no")
      assert.deepStrictEqual(tried, [0, 1, 2])
      // it is given up: the next is another
      yield* queue.offer("b", { id: "b" })
      assert.strictEqual(yield* queue.take((letter) => Effect.succeed(letter)), "b")
    })
  )

  it.scopedLive("gives what its taker had to another, once that renews it no more", () =>
    Effect.gen(function* () {
      const database = yield* Postgres.database
      const options = { holdDuration: "300 millis", pollInterval: "50 millis" } as const
      const [one, other] = [yield* opened(database, options), yield* opened(database, options)]
      yield* one.queue.offer("a", { id: "a" })
      const begun = yield* Deferred.make<void>()
      const held = yield* Effect.fork(
        one.queue.take(() => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never))
      )
      yield* Deferred.await(begun)
      const got: Array<string> = []
      yield* takeAll(other.queue, got)
      // it goes on with it all the same, and neither renews nor settles it any more
      yield* one.close
      yield* until(() => got.length === 1)
      yield* Fiber.interruptFork(held)
    })
  )

  it.scopedLive("dies of a schema that cannot be", () =>
    Effect.gen(function* () {
      const { url } = yield* Postgres.database
      const layer = PostgresPersistedQueue.layerUrl({ url, schema: "Not-a-schema" })
      const cause = yield* Effect.flip(Effect.sandbox(Layer.build(layer)))
      assert.include(Cause.pretty(cause), "cannot be the name of a schema")
    })
  )
})

const consumption = FastCheck.record({
  key: FastCheck.constantFrom("a", "b"),
  algorithm: FastCheck.constantFrom("fixed-window" as const, "token-bucket" as const),
  onExceeded: FastCheck.constantFrom("delay" as const, "fail" as const),
  tokens: FastCheck.integer({ min: 1, max: 3 }),
  wait: FastCheck.integer({ min: 0, max: 4 }).map((times) => times * 300)
})

const limiterOn = (database: Postgres.Database) =>
  Effect.map(
    Layer.build(Layer.fresh(PostgresRateLimiter.layerUrl(database))),
    Context.get(RateLimiter.RateLimiter)
  )

describe("a rate limiter in PostgreSQL", () => {
  it.scoped("decides as the one in memory, and keeps nothing of what is free again", () =>
    Effect.gen(function* () {
      const database = yield* Postgres.database
      const inMemory = yield* RateLimiter.make.pipe(Effect.provide(RateLimiter.layerStoreMemory))
      const inPostgres = yield* limiterOn(database)
      let plan = 0
      for (const consumptions of FastCheck.sample(
        FastCheck.array(consumption, { minLength: 10, maxLength: 40 }),
        { seed: 7, numRuns: 6 }
      )) {
        plan++
        for (const { key, wait, ...options } of consumptions) {
          yield* TestClock.adjust(Duration.millis(wait))
          const window = options.algorithm === "token-bucket" ? 900 : 1_000
          const asked = { ...options, key: `${plan}/${key}`, limit: 3, window }
          assert.deepStrictEqual(
            yield* Effect.exit(inPostgres.consume(asked)),
            yield* Effect.exit(inMemory.consume(asked)),
            JSON.stringify(asked)
          )
        }
      }
      yield* TestClock.adjust("1 minute")
      yield* inPostgres.consume({ key: "last", limit: 1, window: "1 second" })
      const { rows } = yield* Postgres.execute(
        `SELECT key FROM "${database.schema}".workflow_rate_limits`
      )
      assert.deepStrictEqual(rows, [{ key: "last" }])
    })
  )

  it.scoped("lets no more through than it may, however many ask at once", () =>
    Effect.gen(function* () {
      const database = yield* Postgres.database
      const limiters = [yield* limiterOn(database), yield* limiterOn(database)]
      const answers = yield* Effect.forEach(
        Array.from({ length: 60 }, (_, n) => n),
        (n) =>
          Effect.isSuccess(
            (limiters[n % 2] ?? limiters[0]!).consume({
              key: "bank",
              limit: 10,
              window: "1 minute",
              onExceeded: "fail"
            })
          ),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(answers.filter((passed) => passed).length, 10)
    })
  )
})
