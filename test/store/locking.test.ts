import { describe, expect, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { aRun, aStep, begin, claimOne, drain, register, suspend } from "../../src/testing/Acts.js"
import { client, intercepted, whileTimePasses } from "./clients.js"
import { processes, temporaryFolder } from "./files.js"

const open = (filename: string, options: SqliteRunStore.Options = {}) =>
  Effect.map(Layer.build(SqliteRunStore.layerFile({ filename, ...options })), (context) =>
    Context.get(context, RunStore)
  )

/** TestClock stops at every poll. */
const rarely = { pollInterval: "1 hour" } as const

/** Another process's connection that holds the write lock until the scope ends. */
const lock = (filename: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const connection = new Sqlite(filename)
      connection.exec("BEGIN IMMEDIATE")
      return connection
    }),
    (connection) => Effect.sync(() => connection.close())
  )

describe("a history", () => {
  it.scoped("is read while others may write, also of a run that had news when it suspends", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      const read: Array<string> = []
      const writesMeanwhile = (statement: string) =>
        Effect.sync(() => {
          if (!/is_inner FROM workflow_steps WHERE run = \?/.test(statement)) return
          const other = new Sqlite(filename, { timeout: 0 })
          other.exec("BEGIN IMMEDIATE; ROLLBACK")
          other.close()
          read.push(statement)
        })
      const layer = Layer.provide(
        SqliteRunStore.layerWith(rarely),
        intercepted(filename, writesMeanwhile)
      )
      yield* Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const run = yield* begin(executor, "a")
        yield* store.recordStep(aStep(run.held))
        yield* store.wake("a")
        const history = Option.getOrThrow(yield* suspend(run))
        expect(history.steps).toHaveLength(1)
        expect(yield* store.wokenRuns(executor)).toEqual([])
        yield* store.history(run.held)
        yield* store.release([{ held: run.held, timers: [] }])
        yield* claimOne(executor)
        expect(read).toHaveLength(3)
        // whoever has taken it meanwhile has it alone
        expect(yield* Effect.flip(suspend(run))).toMatchObject({ _tag: "RunLost" })
        expect(read).toHaveLength(3)
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("two stores on one file", () => {
  it.scoped("notice each other's commits at the next poll, and not their own", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      // without one the looks follow the machine's clock
      const options = { pollInterval: "20 millis" } as const
      const [a, b] = [yield* open(filename, options), yield* open(filename, options)]
      const [ofA, ofB] = [yield* a.changes, yield* b.changes]
      yield* TestClock.adjust("20 millis")
      yield* Effect.zipRight(drain(ofA), drain(ofB))

      yield* b.signal({ runId: "a", name: "paid", exit: "1" })
      expect(yield* drain(ofA)).toEqual([])
      yield* TestClock.adjust("20 millis")
      expect(yield* drain(ofA)).toMatchObject([{ foreign: true, pending: true }])
      expect(yield* drain(ofB)).toMatchObject([{ foreign: false, signals: [{ runId: "a" }] }])
      yield* TestClock.adjust("1 second")
      expect(yield* drain(ofA)).toEqual([])
    })
  )

  it.scoped("see each other's runs", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      const [a, b] = [yield* open(filename), yield* open(filename)]
      yield* a.create(aRun("a"))
      expect((yield* b.create(aRun("a"))).created).toBe(false)
      const executor = yield* b.register({ host: "b", pid: 1, leaseMillis: 1_000 })
      expect(yield* b.claim({ executor, workflows: ["Order"], limit: 9 })).toHaveLength(1)
      expect(yield* a.executors).toMatchObject([{ id: executor, runs: 1 }])
    })
  )
})

describe("processes that share a file", () => {
  // they have the machine's clock, and whoever waits for them has it too
  it.live(
    "may start on a new one at the same moment, and all get on with their writes",
    () =>
      Effect.gen(function* () {
        const filename = `${yield* temporaryFolder}/executor.db`
        const names = ["a", "b", "c", "d"]
        const started = yield* processes(names.map((name) => [filename, name, "60"]))
        expect(yield* started.run).toEqual(names.map(() => 0))
        const store = yield* open(filename)
        const { runs } = yield* store.list({ limit: 10_000 })
        expect(runs).toHaveLength(names.length * 60)
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("a database that another process has locked", () => {
  it.scoped("is waited for: the write succeeds once the lock is gone", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      const store = yield* open(filename, rarely)
      const holding = yield* Scope.make()
      yield* Scope.extend(lock(filename), holding)
      const write = yield* Effect.fork(store.create(aRun("a")))
      yield* TestClock.adjust("1 second")
      expect(Option.isNone(yield* write.poll)).toBe(true)
      yield* Scope.close(holding, Exit.void)
      expect((yield* whileTimePasses(write)).created).toBe(true)
    })
  )

  it.scoped("fails the write as busy after ten seconds, with nothing written", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      const store = yield* open(filename, rarely)
      const holding = yield* Scope.make()
      yield* Scope.extend(lock(filename), holding)
      const writes = yield* Effect.fork(
        Effect.all(
          ["a", "b"].map((runId) => Effect.flip(store.create(aRun(runId)))),
          { concurrency: "unbounded" }
        )
      )
      const errors = yield* whileTimePasses(writes)
      expect(errors.map(({ reason }) => reason)).toEqual(["busy", "busy"])
      yield* Scope.close(holding, Exit.void)
      expect(yield* store.find("a")).toEqual(Option.none())
      expect((yield* store.create(aRun("a"))).created).toBe(true)
    })
  )

  it.scoped("can be read meanwhile", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      const store = yield* open(filename, rarely)
      yield* store.create(aRun("a"))
      yield* lock(filename)
      const write = yield* Effect.fork(store.create(aRun("b")))
      expect(Option.isSome(yield* store.find("a"))).toBe(true)
      yield* Fiber.interruptFork(write)
    })
  )

  it.live("stops the event loop for moments only", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      const store = yield* open(filename, rarely)
      yield* lock(filename)
      const write = yield* Effect.fork(store.create(aRun("a")))
      let longest = 0
      for (let i = 0; i < 100; i++) {
        const before = performance.now()
        // Real turns of the event loop are what is measured.
        yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
        longest = Math.max(longest, performance.now() - before)
      }
      // SQLite waits 20 ms; its default here would be 5 seconds.
      expect(longest).toBeLessThan(250)
      yield* Fiber.interruptFork(write)
    }).pipe(Effect.scoped)
  )

  it.scoped("keeps a store from opening for ten seconds, then it fails as busy", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      yield* lock(filename)
      const opening = yield* Effect.fork(Effect.flip(open(filename, rarely)))
      const error = yield* whileTimePasses(opening)
      expect(error).toMatchObject({ _tag: "RunStoreError", reason: "busy" })
      expect(error.message).toContain("stands still in the middle of a write")
      expect(error.message).toContain(filename)
    })
  )

  it.scoped(
    "without WAL, is waited for also where a reader keeps the COMMIT from going through",
    () =>
      Effect.gen(function* () {
        const filename = `${yield* temporaryFolder}/app.db`
        const app = yield* Layer.build(client(filename, { disableWAL: true }))
        const store = yield* Layer.build(SqliteRunStore.layerWith(rarely)).pipe(
          Effect.map((context) => Context.get(context, RunStore)),
          Effect.provide(app)
        )
        const reader = new Sqlite(filename)
        yield* Effect.addFinalizer(() => Effect.sync(() => reader.close()))
        reader.exec("BEGIN")
        reader.prepare("SELECT count(*) FROM workflow_runs").get()
        const write = yield* Effect.fork(store.create(aRun("a")))
        yield* TestClock.adjust("1 second")
        expect(Option.isNone(yield* write.poll)).toBe(true)
        reader.exec("COMMIT")
        expect((yield* whileTimePasses(write)).created).toBe(true)
      })
  )
})
