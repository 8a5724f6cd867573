import * as SqlClient from "@effect/sql/SqlClient"
import { describe, expect, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { aRun } from "../../src/testing/Acts.js"
import { client, whileTimePasses } from "./clients.js"
import { temporaryFolder } from "./files.js"

const openIn = (scope: Scope.Scope, filename: string) =>
  Effect.map(Layer.buildWithScope(SqliteRunStore.layerFile({ filename }), scope), (context) =>
    Context.get(context, RunStore)
  )

/** A store on a client of the app's, which is in a transaction that never ends. */
const besideTransaction = Effect.gen(function* () {
  const context = yield* Layer.build(client(":memory:"))
  const sql = Context.get(context, SqlClient.SqlClient)
  const scope = yield* Scope.make()
  const store = yield* Layer.buildWithScope(SqliteRunStore.layer, scope).pipe(
    Effect.map((context) => Context.get(context, RunStore)),
    Effect.provide(context)
  )
  const begun = yield* Deferred.make<void>()
  yield* Effect.fork(
    sql.withTransaction(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never))
  )
  yield* Deferred.await(begun)
  return { scope, store }
})

describe("closing the store", () => {
  it.scoped("commits the writes that wait, and tells the truth of every one", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      const scope = yield* Scope.make()
      const store = yield* openIn(scope, filename)
      const writes = yield* Effect.forEach(Array.from({ length: 2_500 }), (_, i) =>
        Effect.fork(Effect.either(store.create(aRun(`${i}`))))
      )
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      const answers = yield* Effect.forEach(writes, Fiber.join)
      const written = answers.filter(Either.isRight)
      expect(written.length).toBeGreaterThan(0)

      const again = yield* openIn(yield* Effect.scope, filename)
      const { runs } = yield* again.list({ limit: 10_000 })
      expect(runs).toHaveLength(written.length)
    })
  )

  it.scoped("fails whatever is asked of it later as closed", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      const scope = yield* Scope.make()
      const store = yield* openIn(scope, filename)
      yield* Scope.close(scope, Exit.void)
      for (const use of [store.create(aRun("a")), store.find("a"), store.list({ limit: 1 })]) {
        expect(yield* Effect.flip<unknown, unknown, never>(use)).toMatchObject({ reason: "closed" })
      }
    })
  )

  it.scoped("ends while another process holds the lock, though no time passes", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      const scope = yield* Scope.make()
      const store = yield* openIn(scope, filename)
      const other = new Sqlite(filename)
      yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))
      other.exec("BEGIN IMMEDIATE")
      const write = yield* Effect.fork(Effect.flip(store.create(aRun("a"))))
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      expect(yield* write).toMatchObject({ reason: "busy" })
    })
  )

  it.scoped("ends though a transaction of the app never does", () =>
    Effect.gen(function* () {
      const { scope, store } = yield* besideTransaction
      const write = yield* Effect.fork(Effect.flip(store.create(aRun("a"))))
      yield* Effect.yieldNow()
      yield* whileTimePasses(yield* Effect.fork(Scope.close(scope, Exit.void)))
      expect(yield* write).toMatchObject({ reason: "closed" })
    })
  )

  it.scoped(
    "answers all that was taken to be written, also what no transaction has begun for",
    () =>
      Effect.gen(function* () {
        const { scope, store } = yield* besideTransaction
        // more than one transaction has room for
        const writes = yield* Effect.forEach(Array.from({ length: 1_200 }), (_, i) =>
          Effect.fork(Effect.flip(store.create(aRun(`${i}`))))
        )
        yield* Effect.yieldNow()
        yield* whileTimePasses(yield* Effect.fork(Scope.close(scope, Exit.void)))
        yield* Effect.repeatN(Effect.yieldNow(), 10)
        const unanswered = writes.filter((write) => write.unsafePoll() === null)
        expect(unanswered).toHaveLength(0)
        const errors = yield* Effect.forEach(writes, Fiber.join)
        expect(new Set(errors.map((error) => error.reason))).toEqual(new Set(["closed"]))
      })
  )

  it.scoped("is not needed to notice that the app has closed its client", () =>
    Effect.gen(function* () {
      const clientScope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(client(":memory:"), clientScope)
      const store = yield* Layer.build(SqliteRunStore.layerWith({ pollInterval: "1 hour" })).pipe(
        Effect.map((context) => Context.get(context, RunStore)),
        Effect.provide(context)
      )
      yield* store.create(aRun("a"))
      yield* Scope.close(clientScope, Exit.void)
      expect(yield* Effect.flip(store.create(aRun("b")))).toMatchObject({ reason: "closed" })
      expect(yield* Effect.flip(store.find("a"))).toMatchObject({ reason: "closed" })
      expect(yield* Effect.flip(store.findWithSteps("a"))).toMatchObject({ reason: "closed" })
    })
  )
})

describe("a full disk", () => {
  const shared = Layer.provideMerge(SqliteRunStore.layer, client(":memory:"))

  it.effect("fails what does not fit as full, and the store goes on once there is room", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const store = yield* RunStore
      const limitTo = (pages: number) => sql.unsafe(`PRAGMA max_page_count = ${pages}`).unprepared
      const [size] = yield* sql<{ readonly page_count: number }>`PRAGMA page_count`
      yield* limitTo((size?.page_count ?? 0) + 50)

      const payload = JSON.stringify("x".repeat(20_000))
      const answers = yield* Effect.forEach(
        Array.from({ length: 20 }),
        (_, i) => Effect.either(store.create(aRun(`${i}`, { payload }))),
        { concurrency: "unbounded" }
      )
      const refused = answers.filter(Either.isLeft)
      expect(new Set(refused.map(({ left }) => left.reason))).toEqual(new Set(["full"]))
      expect(refused.length).toBeLessThan(20)
      for (const [i, answer] of answers.entries()) {
        expect(Option.isSome(yield* store.find(`${i}`))).toBe(Either.isRight(answer))
      }
      yield* limitTo(1_000_000)
      expect((yield* store.create(aRun("19", { payload }))).created).toBe(true)
    }).pipe(Effect.provide(shared))
  )
})
