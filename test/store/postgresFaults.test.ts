/** A network and a database that fail. In real time: what they do follows no TestClock. */
import * as PgClient from "@effect/sql-pg/PgClient"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as PostgresRunStore from "../../src/store/postgres/PostgresRunStore.js"
import { RunStore } from "../../src/store/RunStore.js"
import { aRun, aStep } from "../../src/testing/Acts.js"
import * as Postgres from "../support/Postgres.js"
import * as Proxy from "../support/Proxy.js"

/** A client of the app's own. */
const twoConnections = Layer.unwrapEffect(
  Effect.map(Postgres.url, (url) =>
    PgClient.layer({
      url: Redacted.make(url),
      maxConnections: 2,
      connectTimeout: "300 millis"
    })
  )
)

/** Fills it for all that grows, and frees it. */
const diskOf = ({ schema }: Postgres.Database) => {
  const tables = ["runs", "steps", "signals"].map((name) => `"${schema}".workflow_${name}`)
  const body = "BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END"
  const full = `"${schema}".disk_is_full`
  return {
    fill: Postgres.execute(
      [
        `CREATE FUNCTION ${full}() RETURNS trigger LANGUAGE plpgsql AS $$ ${body} $$`,
        ...tables.map(
          (table) =>
            `CREATE TRIGGER disk_is_full BEFORE INSERT ON ${table} EXECUTE FUNCTION ${full}()`
        )
      ].join(";")
    ),
    free: Postgres.execute(`DROP FUNCTION ${full} CASCADE`)
  }
}

/** A store by way of a proxy, with an executor. */
const proxied = Effect.gen(function* () {
  const { schema, url } = yield* Postgres.database
  const proxy = yield* Proxy.make(Redacted.value(url))
  const connection = { url: Redacted.make(proxy.url), schema, answerTimeout: "2 seconds" } as const
  const store = yield* Postgres.open(connection)
  const executor = yield* store.register({ host: "here", pid: 42, leaseMillis: 60_000 })
  return { proxy, store, executor, schema }
})

const theCall = "workflow_commit_v4"

describe("a commit whose answer is lost", () => {
  it.scopedLive("creates the run once, and its creator has it", () =>
    Effect.gen(function* () {
      const { executor, proxy, store } = yield* proxied
      proxy.loseAnswerTo(theCall)
      const { claimed, created } = yield* store.create(aRun("a"), executor)
      expect(proxy.lost()).toBe(1)
      expect([created, claimed?.held.claim]).toEqual([true, 1])
      expect((yield* store.create(aRun("a"), executor)).created).toBe(false)
      expect((yield* store.list({ limit: 9 })).runs).toHaveLength(1)
    })
  )

  it.scopedLive("tells each of those that shared it what it came to", () =>
    Effect.gen(function* () {
      const { executor, proxy, store } = yield* proxied
      const { claimed: old } = yield* store.create(aRun("old"), executor)
      const { claimed: over } = yield* store.create(aRun("over"), executor)
      if (old === undefined || over === undefined) return yield* Effect.dieMessage("not claimed")
      const stale = { ...over.held, claim: over.held.claim + 1 }
      proxy.loseAnswerTo(theCall)
      const [created, existing, recorded, ended, refused] = yield* Effect.all(
        [
          store.create(aRun("new"), executor),
          store.create(aRun("old")),
          Effect.either(store.recordStep(aStep(old.held))),
          Effect.either(store.complete({ held: over.held, status: "completed", exit: "1" })),
          Effect.either(store.complete({ held: stale, status: "failed", exit: "2" }))
        ],
        { concurrency: "unbounded" }
      )
      expect(proxy.lost()).toBe(1)
      expect([created.created, created.claimed !== undefined]).toEqual([true, true])
      expect(existing.created).toBe(false)
      expect([recorded, ended].map(Either.isRight)).toEqual([true, true])
      expect(Either.isLeft(refused)).toBe(true)
      const run = Option.getOrThrow(yield* store.findWithSteps("old"))
      expect(run.steps).toHaveLength(1)
      expect(Option.getOrThrow(yield* store.find("over")).exit).toBe("1")
    })
  )

  it.scopedLive("of several statements is known by what the database says of it", () =>
    Effect.gen(function* () {
      const { executor, proxy, store } = yield* proxied
      const { claimed } = yield* store.create(aRun("a"), executor)
      if (claimed === undefined) return yield* Effect.dieMessage("not claimed")
      // and not the isolation level
      proxy.loseAnswerTo("COMMIT\0")
      expect(yield* store.wake("a")).toEqual(Option.some("running"))
      expect(proxy.lost()).toBe(1)
      expect((yield* store.history(claimed.held)).wakeups).toBe(1)
      // one that did not come to its commit was not done
      proxy.loseAnswerTo("UPDATE")
      const refused = yield* Effect.flip(store.wake("a"))
      expect([proxy.lost(), refused.reason]).toEqual([2, "unavailable"])
      expect((yield* store.history(claimed.held)).wakeups).toBe(1)
      expect(yield* store.wake("a")).toEqual(Option.some("running"))
    })
  )

  it.scopedLive("stores signals once, and tells each whether it was its own", () =>
    Effect.gen(function* () {
      const { executor, proxy, store } = yield* proxied
      const { claimed } = yield* store.create(aRun("a"), executor)
      if (claimed === undefined) return yield* Effect.dieMessage("not claimed")
      const signal = (name: string) => store.signal({ runId: "a", name, exit: "1" })
      expect(yield* signal("before")).toBe(true)
      const changes = yield* store.changes
      proxy.loseAnswerTo("workflow_signal_v1")
      const all = ["paid", "before", "more", "paid"]
      expect(yield* Effect.forEach(all, signal, { concurrency: "unbounded" })).toEqual([
        true,
        false,
        true,
        false
      ])
      expect(proxy.lost()).toBe(1)
      const { signals, wakeups } = yield* store.history(claimed.held)
      expect([signals.map(({ name }) => name).sort(), wakeups]).toEqual([
        ["before", "more", "paid"],
        3
      ])
      const change = yield* changes.take
      expect(change.signals.map(({ name }) => name)).toEqual(["paid", "more"])
      expect(change.woken.at(-1)).toMatchObject({ runId: "a", wakeups: 3 })
    })
  )

  it.scopedLive("is looked after in the background: others are committed meanwhile", () =>
    Effect.gen(function* () {
      const { executor, proxy, store } = yield* proxied
      proxy.loseAnswerTo(theCall)
      const runs = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => `${i}`),
        (runId, i) => Effect.delay(store.create(aRun(runId), executor), i),
        { concurrency: "unbounded" }
      )
      expect(proxy.lost()).toBe(1)
      expect(runs.every(({ claimed, created }) => created && claimed !== undefined)).toBe(true)
    })
  )
})

describe("a network that swallows everything", () => {
  it.scopedLive("holds nobody up for longer than an answer may take, and loses nothing", () =>
    Effect.gen(function* () {
      const { executor, proxy, store } = yield* proxied
      const { claimed } = yield* store.create(aRun("a"), executor)
      if (claimed === undefined) return yield* Effect.dieMessage("not claimed")
      proxy.swallow()
      // as whoever executes the step tries it
      const recorded = yield* Effect.fork(
        Effect.retry(store.recordStep(aStep(claimed.held)), {
          while: (error) => error._tag === "RunStoreError",
          schedule: Schedule.spaced("100 millis")
        })
      )
      expect(yield* Effect.flip(store.counts)).toMatchObject({ reason: "unavailable" })
      // one that never reached the database was surely not done
      const refused = yield* Effect.flip(store.signal({ runId: "a", name: "paid", exit: "1" }))
      expect(refused).toMatchObject({ reason: "unavailable" })
      proxy.restore()
      yield* Fiber.join(recorded)
      const { steps } = Option.getOrThrow(yield* store.findWithSteps("a"))
      expect(steps.map(({ exit }) => exit)).toEqual([`"charged"`])
    })
  )
})

describe("connections that the server ends", () => {
  it.scopedLive("are made anew, and what is told elsewhere is heard again", () =>
    Effect.gen(function* () {
      const { end, url } = yield* Postgres.ownDatabase
      const database = { url, schema: "workflows" }
      const one = yield* Postgres.open(database)
      const two = yield* Postgres.open(database)
      const executor = yield* one.register({ host: "here", pid: 42, leaseMillis: 60_000 })
      yield* one.create(aRun("a"), executor)
      const changes = yield* one.changes
      yield* end
      // the one that listens comes back, and looks at what it may have missed
      while (!(yield* changes.take).foreign) yield* Effect.void
      expect(
        yield* Effect.retry(two.signal({ runId: "a", name: "paid", exit: "1" }), { times: 5 })
      ).toBe(true)
      while ((yield* changes.take).told?.[0] !== "a") yield* Effect.void
      expect((yield* one.wokenRuns(executor)).map(({ held }) => held.runId)).toEqual(["a"])
    })
  )
})

describe("a caller that goes away while it waits for a connection", () => {
  it.scopedLive("takes none with it, and the store closes at once", () =>
    Effect.gen(function* () {
      const { schema, url } = yield* Postgres.database
      const scope = yield* Scope.make()
      const store = yield* Postgres.open({ url, schema, maxConnections: 2 }).pipe(
        Scope.extend(scope)
      )
      for (let n = 0; n < 20; n++) {
        const reads = yield* Effect.forEach(Array.from({ length: 5 }), () =>
          Effect.fork(store.counts)
        )
        yield* Effect.yieldNow()
        yield* Effect.forEach(reads, Fiber.interruptFork)
      }
      yield* store.available
      const began = performance.now()
      yield* Scope.close(scope, Exit.void)
      expect(performance.now() - began).toBeLessThan(4_000)
    })
  )
})

describe("connections that are all in use, by the app whose client it is", () => {
  it.scopedLive("refuse what is new, and what is in flight is recorded when one is free", () =>
    Effect.gen(function* () {
      const { schema } = yield* Postgres.database
      const client = yield* PgClient.PgClient
      const store = Context.get(
        yield* Layer.build(PostgresRunStore.layerWith({ schema })),
        RunStore
      )
      const executor = yield* store.register({ host: "here", pid: 42, leaseMillis: 60_000 })
      const { claimed } = yield* store.create(aRun("a"), executor)
      if (claimed === undefined) return yield* Effect.dieMessage("not claimed")
      const app = yield* Scope.make()
      yield* Effect.replicateEffect(Scope.extend(client.reserve, app), 2)
      const recorded = yield* Effect.fork(
        Effect.retry(store.recordStep(aStep(claimed.held)), {
          while: (error) => error._tag === "RunStoreError"
        })
      )
      for (const asked of [
        Effect.asVoid(store.signal({ runId: "a", name: "paid", exit: "1" })),
        Effect.asVoid(store.create(aRun("b"))),
        Effect.asVoid(store.counts),
        store.available
      ]) {
        expect(yield* Effect.flip(asked)).toMatchObject({ reason: "unavailable" })
      }
      yield* Scope.close(app, Exit.void)
      yield* Fiber.join(recorded)
      yield* store.available
      expect(yield* store.signal({ runId: "a", name: "paid", exit: "1" })).toBe(true)
      const { signals, steps } = yield* store.history(claimed.held)
      expect([steps.length, signals.length]).toEqual([1, 1])
      expect(Option.isNone(yield* store.find("b"))).toBe(true)
    }).pipe(Effect.provide(twoConnections))
  )
})

describe("a disk that is full, as the server says it", () => {
  // what the server answers then is had of a trigger: a full disk of its own would be everybody's
  it.scopedLive(
    "refuses what is new, keeps what came of a step, and goes on when there is room",
    () =>
      Effect.gen(function* () {
        const database = yield* Postgres.database
        const store = yield* Postgres.open(database)
        const executor = yield* store.register({ host: "here", pid: 42, leaseMillis: 60_000 })
        const { claimed } = yield* store.create(aRun("a"), executor)
        if (claimed === undefined) return yield* Effect.dieMessage("not claimed")
        const { fill, free } = diskOf(database)
        yield* fill
        const recorded = yield* Effect.fork(
          Effect.retry(store.recordStep(aStep(claimed.held)), {
            while: (error) => error._tag === "RunStoreError" && error.reason === "full",
            schedule: Schedule.spaced("20 millis")
          })
        )
        expect(yield* Effect.flip(store.create(aRun("b")))).toMatchObject({ reason: "full" })
        expect(
          yield* Effect.flip(store.signal({ runId: "a", name: "paid", exit: "1" }))
        ).toMatchObject({ reason: "full" })
        // it reads all the same
        expect((yield* store.counts).running).toBe(1)
        yield* free
        yield* Fiber.join(recorded)
        expect((yield* store.create(aRun("b"))).created).toBe(true)
        const { steps } = Option.getOrThrow(yield* store.findWithSteps("a"))
        expect(steps.map(({ exit }) => exit)).toEqual([`"charged"`])
      })
  )
})

describe("a database that is there, and takes no writes", () => {
  it.scopedLive("is not available: it is a replica, or set so", () =>
    Effect.gen(function* () {
      const database = yield* Postgres.ownDatabase
      const store = yield* Postgres.open({ url: database.url, schema: "workflows" })
      yield* store.available
      yield* database.readOnly(true)
      // not what a connection says that has just been ended
      const refused = Effect.filterOrFail(Effect.flip(store.available), ({ message }) =>
        message.includes("read only")
      )
      expect(yield* Effect.eventually(refused)).toMatchObject({ reason: "unavailable" })
      yield* database.readOnly(false)
      yield* Effect.eventually(store.available)
      yield* database.close
      expect(yield* Effect.flip(store.available)).toMatchObject({ reason: "unavailable" })
    })
  )
})
