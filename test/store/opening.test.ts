import { mkdir, readFile, writeFile } from "node:fs/promises"
import * as SqlClient from "@effect/sql/SqlClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { RunStore } from "../../src/store/RunStore.js"
import * as Connect from "../../src/store/sqlite/Connect.js"
import { migrate } from "../../src/store/sqlite/Migrate.js"
import { migrations } from "../../src/store/sqlite/Migrations.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { aRun, aStep, begin, claimOne, register, suspend } from "../../src/testing/Acts.js"
import { client } from "./clients.js"
import { temporaryFolder } from "./files.js"

const openingFails = (filename: string) =>
  Effect.flip(Effect.scoped(Layer.build(SqliteRunStore.layerFile({ filename }))))

const tables = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.map(
    sql<{ readonly name: string }>`SELECT name FROM sqlite_master WHERE name LIKE 'workflow%'`,
    (rows) => rows.map(({ name }) => name)
  )
)

describe("opening a file", () => {
  it.scoped("keeps everything that was written before", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      const layer = SqliteRunStore.layerFile({ filename })
      const timers = [{ name: "t", wakeAt: 100 }]
      yield* Effect.gen(function* () {
        const store = yield* RunStore
        const run = yield* begin(yield* register, "a")
        yield* store.recordStep(aStep(run.held, { name: "first", startedAt: 5 }))
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        yield* store.release([{ held: run.held, timers }])
      }).pipe(Effect.provide(layer))
      yield* Effect.gen(function* () {
        const run = yield* claimOne(yield* register)
        expect(run.history).toMatchObject({
          steps: [{ name: "first" }],
          signals: [{ name: "paid" }],
          timers: [{ name: "t", wakeAt: 100 }]
        })
        expect(Option.isSome(yield* suspend(run))).toBe(false)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("fails as unavailable, with its name and why, where its folder cannot be made", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      yield* Effect.promise(() => writeFile(`${folder}/file`, ""))
      const filename = `${folder}/file/deep/executor.db`
      const error = yield* openingFails(filename)
      expect(error).toMatchObject({ _tag: "RunStoreError", reason: "unavailable" })
      expect(error.message).toContain(filename)
      expect(error.message).toContain("ENOTDIR")
    })
  )

  it.scoped.skipIf(process.platform !== "linux")(
    "fails as unavailable, rather than never, where no folder can be made at all",
    () =>
      Effect.gen(function* () {
        const error = yield* openingFails("/proc/none/deep/executor.db")
        expect(error.reason).toBe("unavailable")
        expect(error.message).toContain("/proc/none/deep/executor.db")
      })
  )

  it.scoped("fails as unavailable where it is a folder", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      yield* Effect.promise(() => mkdir(filename))
      const error = yield* openingFails(filename)
      expect(error).toMatchObject({ _tag: "RunStoreError", reason: "unavailable" })
      expect(error.message).toContain(filename)
    })
  )

  it.scoped("fails as damaged where it is no database, and says what to do", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      yield* Effect.promise(() => writeFile(filename, "no database ".repeat(100)))
      const error = yield* openingFails(filename)
      expect(error).toMatchObject({ _tag: "RunStoreError", reason: "damaged" })
      expect(error.message).toContain(filename)
      expect(error.message).toContain("file is not a database")
      expect(error.message).toContain("restore a backup")
    })
  )

  it.scoped("fails as damaged where it is not whole, as a copy of a file in use may be", () =>
    Effect.gen(function* () {
      const filename = `${yield* temporaryFolder}/executor.db`
      yield* Effect.flatMap(RunStore, (store) =>
        Effect.forEach(
          Array.from({ length: 500 }, (_, n) =>
            aRun(`run-${n}`, { payload: `"${"x".repeat(900)}"` })
          ),
          (run) => store.create(run),
          { concurrency: "unbounded", discard: true }
        )
      ).pipe(Effect.provide(SqliteRunStore.layerFile({ filename })))
      const bytes = yield* Effect.promise(() => readFile(filename))
      const broken = {
        // as of a moment at which the file was shorter
        "cut off": bytes.subarray(0, bytes.length / 2),
        // pages of another moment in the middle of it
        torn: Buffer.concat([
          bytes.subarray(0, 40 * 4096),
          bytes.subarray(80 * 4096, 120 * 4096),
          bytes.subarray(80 * 4096)
        ])
      }
      for (const [how, content] of Object.entries(broken)) {
        yield* Effect.promise(() => writeFile(filename, content))
        const error = yield* openingFails(filename)
        expect(error, how).toMatchObject({ _tag: "RunStoreError", reason: "damaged" })
        expect(error.message).toContain(filename)
        expect(error.message).toContain("restore a backup")
      }
    })
  )

  it.scoped("bounds the size that the file of the WAL keeps", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        expect(yield* sql`PRAGMA journal_size_limit`).toEqual([{ journal_size_limit: 2 ** 26 }])
      }).pipe(Effect.provide(Connect.layerFile(`${folder}/own.db`)))
    })
  )

  it.scoped("syncs every commit, on a client of its own and on the app's", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      for (const connection of [
        Connect.layerFile(`${folder}/own.db`),
        client(`${folder}/app.db`)
      ]) {
        yield* Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          yield* RunStore
          expect(yield* sql`PRAGMA synchronous`).toEqual([{ synchronous: 2 }])
          expect(yield* sql`PRAGMA journal_mode`).toEqual([{ journal_mode: "wal" }])
          expect(yield* sql`PRAGMA busy_timeout`).toEqual([{ timeout: 20 }])
        }).pipe(Effect.provide(Layer.provideMerge(SqliteRunStore.layer, connection)))
      }
    })
  )
})

describe("migrating", () => {
  it.effect("is done once", () =>
    Effect.gen(function* () {
      yield* migrate(migrations)
      const before = yield* tables
      expect(before).toContain("workflow_runs")
      yield* migrate(migrations)
      expect(yield* tables).toEqual(before)
    }).pipe(Effect.provide(client(":memory:")))
  )

  it.effect("leaves nothing behind when it fails, and can be tried again", () =>
    Effect.gen(function* () {
      const broken = {
        ...migrations,
        "0099_broken": ["CREATE TABLE workflow_more (id INTEGER)", "CREATE NONSENSE"]
      }
      const error = yield* Effect.flip(migrate(broken))
      expect(error).toMatchObject({ _tag: "RunStoreError", reason: "migration" })
      expect(error.message).toContain("99_broken")
      expect(error.message).toContain("NONSENSE")
      expect(yield* tables).toEqual([])
      yield* migrate({ ...broken, "0099_broken": ["CREATE TABLE workflow_more (id INTEGER)"] })
      expect(yield* tables).toContain("workflow_more")
    }).pipe(Effect.provide(client(":memory:")))
  )

  it.effect("adds what is new to a database of an older version", () =>
    Effect.gen(function* () {
      yield* migrate(migrations)
      yield* migrate({ ...migrations, "9999_more": ["CREATE TABLE workflow_more (id INTEGER)"] })
      expect(yield* tables).toContain("workflow_more")
    }).pipe(Effect.provide(client(":memory:")))
  )

  it.effect(
    "counts the runs that were there, and retries none of which it does not know enough",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* migrate({ "0001_initial": migrations["0001_initial"] ?? [] })
        for (const [n, status] of ["failed", "failed", "suspended", "pending"].entries()) {
          yield* sql`INSERT INTO workflow_runs (run_id, workflow, status, claim, created_at, payload)
          VALUES (${`run-${n}`}, 'Order', ${status}, 1, 0, '{}')`
        }
        yield* Effect.gen(function* () {
          const store = yield* RunStore
          expect(yield* store.counts).toEqual({
            pending: 1,
            running: 0,
            suspended: 1,
            completed: 0,
            failed: 2,
            interrupted: 0
          })
          expect(yield* store.retry({ runId: "run-0" })).toEqual({
            _tag: "Refused",
            status: "failed",
            because: "compensated"
          })
          expect(yield* store.remove("run-0")).toEqual({ _tag: "Done" })
        }).pipe(Effect.provide(SqliteRunStore.layer))
      }).pipe(Effect.provide(client(":memory:")))
  )

  it.effect(
    "knows the runs of an older version that wait to be mended, but not for what others do",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const older = Object.entries(migrations).filter(([name]) => name < "0004")
        yield* migrate(Object.fromEntries(older))
        for (const [runId, cause] of [
          ["blocked", "{}"],
          ["waits", null]
        ] as const) {
          yield* sql`INSERT INTO workflow_runs (run_id, workflow, status, claim, created_at, payload, cause)
          VALUES (${runId}, 'Order', 'suspended', 1, 0, '{}', ${cause})`
        }
        yield* Effect.gen(function* () {
          const store = yield* RunStore
          expect(yield* store.blocked).toBe(1)
          const { runs } = yield* store.list({ blocked: true, limit: 9 })
          expect(runs.map(({ runId }) => runId)).toEqual(["blocked"])
          expect(Option.getOrThrow(yield* store.find("waits")).waitsFor).toBeUndefined()
        }).pipe(Effect.provide(SqliteRunStore.layer))
      }).pipe(Effect.provide(client(":memory:")))
  )

  it.effect("gives signals of 0.1.0 a time of receipt, by which those without a run expire", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const older = Object.entries(migrations).filter(([name]) => name < "0003")
      yield* migrate(Object.fromEntries(older))
      yield* sql`INSERT INTO workflow_runs (run_id, workflow, status, claim, created_at, payload)
        VALUES ('there', 'Order', 'pending', 0, 0, '{}')`
      for (const [runId, name] of [
        ["there", "paid"],
        ["nobody", "paid"],
        ["later", "paid"]
      ]) {
        yield* sql`INSERT INTO workflow_signals (run_id, name, exit) VALUES (${runId}, ${name}, '1')`
      }
      const signals = Effect.map(
        sql<{ readonly run_id: string }>`SELECT run_id FROM workflow_signals ORDER BY run_id`,
        (rows) => rows.map(({ run_id }) => run_id)
      )
      yield* Effect.gen(function* () {
        const store = yield* RunStore
        const expire = store.expire({ olderThanMillis: 1_000, limit: 9 })
        yield* TestClock.adjust(5_000)
        // as far as anybody knows they came now
        expect((yield* expire).removed).toBe(0)
        yield* TestClock.adjust(1_000)
        expect((yield* expire).removed).toBe(0)
        yield* store.create(aRun("later"))
        yield* TestClock.adjust(1)
        expect((yield* expire).removed).toBe(1)
        expect(yield* signals).toEqual(["later", "there"])
        yield* TestClock.adjust("30 days")
        expect((yield* expire).removed).toBe(0)
        const executor = yield* register
        for (const runId of ["there", "later"]) {
          const { held, history } = yield* claimOne(executor)
          expect([held.runId, history.signals]).toEqual([runId, [{ name: "paid", exit: "1" }]])
        }
      }).pipe(Effect.provide(SqliteRunStore.layer))
    }).pipe(Effect.provide(client(":memory:")))
  )

  it.effect("refuses a database that a newer version wrote, and leaves it as it is", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* migrate({
        ...migrations,
        "0999_future": ["CREATE TABLE workflow_future (id INTEGER)"]
      })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(SqliteRunStore.layer)))
      expect(error).toMatchObject({ _tag: "RunStoreError", reason: "migration" })
      expect(error.message).toContain("schema 999")
      expect(yield* sql`SELECT count(*) AS n FROM workflow_future`).toEqual([{ n: 0 }])
    }).pipe(Effect.provide(client(":memory:")))
  )

  it.effect("does not mind the app's own migrations", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE effect_sql_migrations (migration_id integer PRIMARY KEY)`
      yield* sql`INSERT INTO effect_sql_migrations VALUES (99)`
      const created = yield* Effect.flatMap(RunStore, (store) => store.create(aRun("a"))).pipe(
        Effect.provide(SqliteRunStore.layer)
      )
      expect(created.created).toBe(true)
    }).pipe(Effect.provide(client(":memory:")))
  )
})
