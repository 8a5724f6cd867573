/** Rate limits in SQLite: as in memory, and each step that uses one does so once. */
import * as RateLimiter from "@effect/experimental/RateLimiter"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import { DurableRateLimiter } from "@effect/workflow"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as SqliteRateLimiter from "../../src/queues/SqliteRateLimiter.js"
import * as Connect from "../../src/store/sqlite/Connect.js"
import { exitOf, inProcess, pass, step, temporaryFile, textWorkflow, turns } from "./support.js"

const client = Connect.layerFile(":memory:")

const consumption = FastCheck.record({
  key: FastCheck.constantFrom("a", "b"),
  algorithm: FastCheck.constantFrom("fixed-window" as const, "token-bucket" as const),
  onExceeded: FastCheck.constantFrom("delay" as const, "fail" as const),
  tokens: FastCheck.integer({ min: 1, max: 3 }),
  // as a token takes: of a bucket that is full again nothing is kept, also not when it was filled
  wait: FastCheck.integer({ min: 0, max: 4 }).map((times) => times * 300)
})

describe("a rate limiter in SQLite", () => {
  it.effect("decides as the one in memory", () =>
    Effect.gen(function* () {
      const inMemory = yield* RateLimiter.make.pipe(Effect.provide(RateLimiter.layerStoreMemory))
      const inSqlite = yield* RateLimiter.RateLimiter
      let plan = 0
      for (const consumptions of FastCheck.sample(
        FastCheck.array(consumption, { minLength: 10, maxLength: 40 }),
        { seed: 7, numRuns: 10 }
      )) {
        plan++
        for (const { key, wait, ...options } of consumptions) {
          yield* TestClock.adjust(Duration.millis(wait))
          const window = options.algorithm === "token-bucket" ? 900 : 1_000
          const asked = { ...options, key: `${plan}/${key}`, limit: 3, window }
          assert.deepStrictEqual(
            yield* Effect.exit(inSqlite.consume(asked)),
            yield* Effect.exit(inMemory.consume(asked)),
            JSON.stringify(asked)
          )
        }
      }
      // nothing is kept of what is free again
      yield* TestClock.adjust("1 minute")
      yield* inSqlite.consume({ key: "last", limit: 1, window: "1 second" })
      const sql = yield* SqlClient.SqlClient
      const rows = yield* sql<{ readonly key: string }>`SELECT key FROM workflow_rate_limits`
      assert.deepStrictEqual(rows, [{ key: "last" }])
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(SqliteRateLimiter.layer, client)))
  )

  it.effect("fails in a transaction of its client, instead of waiting for itself for ever", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      const sql = yield* SqlClient.SqlClient
      const consumed = limiter.consume({ key: "a", limit: 1, window: "1 second" })
      const error = yield* Effect.flip(sql.withTransaction(consumed))
      assert.include(String(error), "inside a transaction")
      yield* consumed
    }).pipe(Effect.provide(Layer.provideMerge(SqliteRateLimiter.layer, client)))
  )

  for (const algorithm of ["fixed-window", "token-bucket"] as const) {
    it.scoped(`is used once by a step that a drain cuts while it waits: ${algorithm}`, () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const Order = textWorkflow()
        const began = yield* Clock.currentTimeMillis
        const log: Array<readonly [string, number]> = []
        const live = Order.toLayer(({ id }) =>
          Effect.gen(function* () {
            yield* DurableRateLimiter.rateLimit({
              name: "bank",
              algorithm,
              key: "bank",
              window: "10 seconds",
              limit: 1
            }).pipe(Effect.orDie)
            return yield* step(
              "charge",
              Effect.map(Clock.currentTimeMillis, (now) => {
                log.push([id, now - began])
                return id
              })
            )
          })
        ).pipe(Layer.provide(Layer.orDie(SqliteRateLimiter.layerFile({ filename }))))
        const process = inProcess(filename, live)
        const limits = Layer.provideMerge(SqliteRateLimiter.layer, Connect.layerFile(filename))
        const taken = Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const [row] = yield* sql<{ readonly uses: number }>`
            SELECT count(*) AS uses FROM workflow_rate_limit_uses`
          return row?.uses
        }).pipe(Effect.provide(limits))

        const [first, second] = yield* process(
          Effect.gen(function* () {
            const first = yield* Order.execute({ id: "first" }, { discard: true })
            yield* exitOf(Order, first)
            const second = yield* Order.execute({ id: "second" }, { discard: true })
            for (let uses = 0; uses !== 2; uses = (yield* taken) ?? 0) yield* pass(0)
            return [first, second]
          })
        )
        // three processes see it wait, and a fourth executes the step again
        for (let restart = 0; restart < 3; restart++) {
          yield* TestClock.adjust("2 seconds")
          yield* process(pass("1 second"))
        }
        yield* process(
          Effect.gen(function* () {
            yield* pass("1 second")
            assert.deepStrictEqual(yield* exitOf(Order, second ?? ""), Exit.succeed("second"))
            const third = yield* Order.execute({ id: "third" }, { discard: true })
            yield* turns()
            yield* pass("10 seconds")
            yield* pass("10 seconds")
            assert.deepStrictEqual(yield* exitOf(Order, third), Exit.succeed("third"))
          })
        )
        assert.isString(first)
        assert.deepStrictEqual(log, [
          ["first", 0],
          ["second", 10_000],
          ["third", 20_000]
        ])
      })
    )
  }
})
