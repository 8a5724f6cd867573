import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { RunScheduler } from "../../src/engine/pass/RunScheduler.js"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { aRun, aStep, begin, register } from "../../src/testing/Acts.js"
import { client, intercepted } from "./clients.js"

const options = { pollInterval: "1 hour" } as const

const createMany = (count: number) =>
  Effect.flatMap(RunStore, (store) =>
    Effect.forEach(
      Array.from({ length: count }),
      (_, i) => Effect.either(store.create(aRun(`${i}`))),
      { concurrency: "unbounded" }
    )
  )

/** A store whose statements `before` sees, and may fail. */
const storeWith = (
  before: (statement: string, params: ReadonlyArray<unknown>) => Effect.Effect<unknown, SqlError>
) => SqliteRunStore.layerWith(options).pipe(Layer.provide(intercepted(":memory:", before)))

const sqliteError = (code: string) =>
  new SqlError({ message: "Failed to execute statement", cause: { code, message: "injected" } })

/** For longer than the scheduler of runs goes on without a turn of the event loop. */
const holdUp = () => {
  const until = performance.now() + 12
  while (performance.now() < until);
}

describe("group commit", () => {
  it.effect("bounds a transaction by bytes, where values are large", () => {
    const rows: Array<number> = []
    let inserted = 0
    return Effect.gen(function* () {
      const store = yield* RunStore
      const { held } = yield* begin(yield* register, "a")
      rows.length = 0
      inserted = 0
      const exit = JSON.stringify("x".repeat(1024 * 1024))
      yield* Effect.forEach(
        Array.from({ length: 20 }),
        (_, attempt) => store.recordStep(aStep(held, { attempt, exit })),
        { concurrency: "unbounded" }
      )
      expect(rows.reduce((sum, count) => sum + count, 0)).toBe(20)
      // of 4 MiB each
      expect(Math.max(...rows)).toBeLessThanOrEqual(4)
    }).pipe(
      Effect.provide(
        storeWith((statement, params) =>
          Effect.sync(() => {
            if (statement.includes("INSERT INTO workflow_steps")) inserted += params.length / 10
            if (statement !== "COMMIT" || inserted === 0) return
            rows.push(inserted)
            inserted = 0
          })
        )
      )
    )
  })

  /** Commits with which fibers that have a turn of the event loop each, one after the other, write. */
  const commitsOf = (fibers: number) => {
    let commits = 0
    const store = storeWith((statement) =>
      Effect.sync(() => {
        if (statement === "COMMIT") commits++
      })
    )
    return Effect.gen(function* () {
      const store = yield* RunStore
      const write = (runId: string) =>
        Effect.zipRight(Effect.sync(holdUp), store.create(aRun(runId)))
      yield* Effect.forEach(
        Array.from({ length: fibers }, (_, n) => `${n}`),
        write,
        { concurrency: "unbounded", discard: true }
      ).pipe(Effect.withScheduler(new RunScheduler()))
      return commits
    }).pipe(Effect.provide(store))
  }

  it.live("waits for those that are ready, and whose turn is the next", () =>
    Effect.gen(function* () {
      expect(yield* commitsOf(3)).toBe(1)
    })
  )

  it.live("does not wait for them for long", () =>
    Effect.gen(function* () {
      expect(yield* commitsOf(12)).toBeGreaterThan(1)
    })
  )

  it.effect("takes few commits for many writes that are ready together", () => {
    let commits = 0
    return Effect.gen(function* () {
      const store = yield* RunStore
      commits = 0
      expect((yield* createMany(200)).every(Either.isRight)).toBe(true)
      expect(commits).toBeLessThanOrEqual(2)
      yield* store.create(aRun("one more"))
      expect(commits).toBeLessThanOrEqual(3)
    }).pipe(
      Effect.provide(
        storeWith((statement) =>
          Effect.sync(() => {
            if (statement === "COMMIT") commits++
          })
        )
      )
    )
  })

  it.effect("joins the next writes of the callers that the last commit woke", () => {
    let commits = 0
    return Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* register
      const runs = yield* Effect.forEach(Array.from({ length: 50 }), (_, i) =>
        begin(executor, `${i}`)
      )
      commits = 0
      yield* Effect.forEach(
        runs,
        ({ held }) =>
          Effect.forEach(Array.from({ length: 10 }), (_, attempt) =>
            store.recordStep(aStep(held, { attempt }))
          ),
        { concurrency: "unbounded" }
      )
      expect(commits).toBeLessThanOrEqual(11)
    }).pipe(
      Effect.provide(
        storeWith((statement) =>
          Effect.sync(() => {
            if (statement === "COMMIT") commits++
          })
        )
      )
    )
  })

  it.effect("fails a write that SQLite refuses alone; those beside it are written", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const { held } = yield* begin(yield* register, "a")
      const answers = yield* Effect.forEach(
        [1, 1.5, 2],
        (attempt) => Effect.either(store.recordStep(aStep(held, { attempt }))),
        { concurrency: "unbounded" }
      )
      expect(answers.map(({ _tag }) => _tag)).toEqual(["Right", "Left", "Right"])
      expect(answers[1]).toMatchObject({ left: { reason: "refused" } })
      expect((yield* store.history(held)).steps.map(({ attempt }) => attempt)).toEqual([1, 2])
    }).pipe(Effect.provide(SqliteRunStore.layerMemory))
  )

  it.effect("survives a defect in a write, which fails alone", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const answers = yield* Effect.forEach(
        ["a", "defect", "b"],
        (runId) => Effect.either(store.create(aRun(runId))),
        { concurrency: "unbounded" }
      )
      expect(answers.map(({ _tag }) => _tag)).toEqual(["Right", "Left", "Right"])
      expect(answers[1]).toMatchObject({ left: { reason: "refused" } })
      expect(Option.isSome(yield* store.find("b"))).toBe(true)
    }).pipe(
      Effect.provide(
        storeWith((_, params) =>
          params.includes("defect") ? Effect.dieMessage("a defect") : Effect.void
        )
      )
    )
  )

  for (const [code, reason] of [
    ["SQLITE_IOERR_WRITE", "unavailable"],
    ["SQLITE_FULL", "full"]
  ] as const) {
    it.effect(`fails all writes of a COMMIT that failed with ${code}, and goes on`, () => {
      let failing = false
      return Effect.gen(function* () {
        const store = yield* RunStore
        failing = true
        const answers = yield* createMany(3)
        failing = false
        expect(answers).toMatchObject(Array.from({ length: 3 }, () => ({ left: { reason } })))
        expect((yield* store.list({ limit: 9 })).runs).toEqual([])
        expect((yield* store.create(aRun("a"))).created).toBe(true)
      }).pipe(
        Effect.provide(
          storeWith((statement) =>
            failing && statement === "COMMIT" ? Effect.fail(sqliteError(code)) : Effect.void
          )
        )
      )
    })
  }

  it.effect("does not keep a statement's failure to prepare", () => {
    let failing = false
    return Effect.gen(function* () {
      const store = yield* RunStore
      failing = true
      expect(yield* store.signal({ runId: "a", name: "paid", exit: "1" })).toBe(true)
      expect(yield* store.signal({ runId: "a", name: "paid", exit: "1" })).toBe(false)
      expect(yield* store.find("a")).toEqual(Option.none())
    }).pipe(
      Effect.provide(
        storeWith(() =>
          failing
            ? Effect.fail(new SqlError({ message: "Failed to prepare statement " }))
            : Effect.void
        )
      )
    )
  })
})

describe("an app's own transaction on the store's client", () => {
  const shared = Layer.provideMerge(SqliteRunStore.layerWith(options), client(":memory:"))

  it.effect("is waited for", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const store = yield* RunStore
      const [begun, end] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const transaction = yield* Effect.fork(
        sql.withTransaction(
          Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(end))
        )
      )
      yield* Deferred.await(begun)
      const write = yield* Effect.fork(store.create(aRun("a")))
      yield* Effect.yieldNow()
      expect(Option.isNone(yield* write.poll)).toBe(true)
      yield* Deferred.succeed(end, undefined)
      yield* Fiber.join(transaction)
      expect((yield* write).created).toBe(true)
    }).pipe(Effect.provide(shared))
  )

  it.effect("cannot write to the store, instead of waiting for itself for ever", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const store = yield* RunStore
      const error = yield* Effect.flip(sql.withTransaction(store.create(aRun("a"))))
      expect(error).toMatchObject({ _tag: "RunStoreError", reason: "unavailable" })
      expect(error.message).toContain("transaction")
      expect((yield* store.create(aRun("a"))).created).toBe(true)
    }).pipe(Effect.provide(shared))
  )

  it.effect("can read from the store", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const store = yield* RunStore
      yield* store.create(aRun("a"))
      const found = yield* sql.withTransaction(store.findWithSteps("a"))
      expect(found).toMatchObject(Option.some({ run: { runId: "a" }, steps: [] }))
    }).pipe(Effect.provide(shared))
  )

  it.effect("on another client is no obstacle", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const store = yield* RunStore
      expect((yield* sql.withTransaction(store.create(aRun("a")))).created).toBe(true)
    }).pipe(Effect.provide(Layer.merge(SqliteRunStore.layerMemory, client(":memory:"))))
  )
})
