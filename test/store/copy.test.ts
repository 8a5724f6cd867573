/** A store with every kind of thing in it, copied to the other kind and back. */
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Copy from "../../src/store/copy/Copy.js"
import type { Side } from "../../src/store/copy/Side.js"
import { copied, left, plan } from "../../src/store/copy/Tables.js"
import * as PostgresRunStore from "../../src/store/postgres/PostgresRunStore.js"
import { type ClaimedRun, RunStore, type RunStoreError } from "../../src/store/RunStore.js"
import * as SqliteSide from "../../src/store/sqlite/CopySide.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { aRun, aStep } from "../../src/testing/Acts.js"
import { aSchedule } from "../../src/testing/conformance/Schedules.js"
import * as Postgres from "../support/Postgres.js"
import { temporaryFolder } from "./files.js"

type Store = RunStore["Type"]

const openFile = (filename: string): Effect.Effect<Store, RunStoreError, Scope.Scope> =>
  Effect.map(
    Layer.build(Layer.fresh(SqliteRunStore.layerFile({ filename }))),
    Context.get(RunStore)
  )

const claimed = (run: ClaimedRun | undefined): ClaimedRun => {
  if (run === undefined) throw new Error("not claimed")
  return run
}

/** Runs in every status, with all that there can be about them; nobody works on it any more. */
const fill = (store: Store) =>
  Effect.gen(function* () {
    const executor = yield* store.register({ host: "elsewhere", pid: 1, leaseMillis: 60_000 })
    const begin = (runId: string, run: Parameters<typeof aRun>[1] = {}) =>
      Effect.map(store.create(aRun(runId, run), executor), ({ claimed: run }) => claimed(run))
    yield* store.create(
      aRun("pending", {
        trace: { traceId: `${"0".repeat(31)}1`, spanId: `${"0".repeat(15)}1`, sampled: true },
        options: {
          priority: 7,
          timeout: 5_000,
          tags: ["a", "b"],
          attributes: { customer: "\u0000x\u0001" }
        }
      })
    )
    yield* store.create(aRun("later", { options: { startAt: Date.now() + 3_600_000 } }))
    const done = yield* begin("done")
    for (let attempt = 1; attempt <= 3; attempt++) {
      yield* store.recordStep(
        aStep(done.held, {
          attempt,
          name: "ü\u0000\u{1f600}",
          status: attempt < 3 ? "failed" : "completed",
          exit: JSON.stringify("x".repeat(attempt * 1_000)),
          inner: attempt === 2,
          timers: [{ name: `timer-${attempt}`, wakeAt: 1_000 * attempt }]
        })
      )
    }
    const sleeps = yield* begin("sleeps", { options: { timeout: 60_000 } })
    yield* store.recordStep(aStep(sleeps.held, { timers: [{ name: "nap", wakeAt: 9 }] }))
    yield* store.suspend({
      held: sleeps.held,
      wakeups: sleeps.history.wakeups,
      timers: [{ name: "night", wakeAt: Date.now() + 7_200_000 }],
      wakeAt: Date.now() + 7_200_000,
      cause: undefined,
      waitsFor: `{"timers":["night"]}`
    })
    yield* store.complete({ held: done.held, status: "completed", exit: `{"value":1}` })
    const parent = yield* begin("parent")
    const child = claimed(
      (yield* store
        .by(parent.held)
        .create(aRun("child", { parent: { runId: "parent", awaits: true } }), executor)).claimed
    )
    yield* store.create(aRun("other child", { parent: { runId: "parent", awaits: false } }))
    yield* store.complete({
      held: child.held,
      status: "failed",
      exit: `{"e":1}`,
      compensated: true
    })
    yield* store.suspend({
      held: parent.held,
      wakeups: parent.history.wakeups,
      timers: [],
      wakeAt: undefined,
      cause: `{"why":"mend me"}`
    })
    yield* store.signal({ runId: "early", name: "paid", exit: "1" })
    yield* store.signal({ runId: "sleeps", name: "paid", exit: "2" })
    const queue = {
      name: "mails",
      key: "customer-1",
      limits: { concurrency: 2, perKey: 1, rate: { limit: 3, window: 60_000 }, keepsSlot: true }
    }
    for (const n of [1, 2, 3]) yield* store.create(aRun(`queued-${n}`, { workflow: "Mail", queue }))
    yield* store.claim({ executor, workflows: ["Mail"], limit: 1 })
    yield* store.changeQueue({ name: "mails", override: { concurrency: 1 }, paused: true })
    yield* store.changeSchedule({
      schedule: aSchedule("nightly"),
      version: undefined,
      starts: [{ runId: "nightly/1" }],
      interrupts: []
    })
    yield* store.pauseWorkflow({ workflow: "Paused", parks: true })
    yield* store.createBulk({
      action: "retry",
      filter: { workflow: "Order", labels: { tags: ["a"] } },
      options: { withChildren: true },
      matched: 3
    })
    const removed = yield* begin("removed")
    yield* store.complete({ held: removed.held, status: "completed", exit: "1" })
    yield* store.remove("removed")
    yield* begin("ended")
    yield* store.terminate({ runId: "ended", exit: `{"t":1}`, children: false })
    yield* store.requestInterrupt("sleeps")
    // what it still holds is for whoever takes over
    yield* begin("held")
    yield* store.noteStep({
      held: (yield* begin("noted")).held,
      name: "long",
      attempt: 1,
      status: "running",
      startedAt: 5,
      completedAt: undefined
    })
    yield* store.renew(executor, { leaseMillis: 1, state: "draining" })
  })

/** What a store answers, all of it. */
const answers = (store: Store) =>
  Effect.gen(function* () {
    const { runs } = yield* store.list({ limit: 1_000 })
    return {
      runs,
      details: yield* Effect.forEach(runs, ({ runId }) => store.findWithSteps(runId)),
      counts: yield* store.counts,
      blocked: yield* store.blocked,
      oldest: yield* store.oldestPending,
      pending: [...(yield* store.pendingWorkflows)].sort(),
      queues: yield* store.queues,
      paused: yield* store.pausedWorkflows,
      labelled: yield* store.list({ limit: 9, labels: { tags: ["a"] } }),
      children: yield* store.list({ limit: 9, parent: "parent" }),
      wake: yield* store.nextWakeAt,
      schedules: yield* store.listSchedules({ limit: 9, after: undefined }),
      bulks: yield* store.bulks,
      executors: yield* store.executors
    }
  })

/** Every row that is copied, in the order of its key. */
const dump = (side: Side) =>
  side.read((sql) =>
    Effect.map(
      Effect.forEach(copied, ({ key, name, repeats }) =>
        Effect.map(
          sql.rows<Record<string, unknown>>(
            `SELECT ${repeats ? `DISTINCT ${key.join(", ")}` : "*"} FROM ${name}`
          ),
          (rows) => {
            const sorted = rows.map(
              ({ batch: _batch, session: _session, awaited: _awaited, ...row }) =>
                JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)))
            )
            return [name, sorted.sort()] as const
          }
        )
      ),
      (tables) => Object.fromEntries(tables)
    )
  )

const sides = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const database = yield* Postgres.database
  const filename = join(folder, "executor.db")
  return {
    filename,
    database,
    file: Effect.suspend(() => SqliteSide.make(filename)),
    back: Effect.suspend(() => SqliteSide.make(join(folder, "back.db"))),
    backFile: join(folder, "back.db"),
    postgres: PostgresRunStore.copySide(database, "postgres://db/orders")
  }
})

/** The pooled schemas of the other tests have no such table. */
const forgetMarks = ({ schema }: Postgres.Database) =>
  Effect.addFinalizer(() =>
    Effect.forEach(
      [
        ...copied.map(
          ({ name }) => `DROP TRIGGER IF EXISTS copied_elsewhere ON "${schema}".${name}`
        ),
        `DROP TABLE IF EXISTS "${schema}".workflow_copies`
      ],
      (statement) => Postgres.execute(statement)
    )
  )

describe("a copy", () => {
  it.scopedLive("there and back has all that there was, as it was", () =>
    Effect.gen(function* () {
      const { back, backFile, database, file, filename, postgres } = yield* sides
      yield* forgetMarks(database)
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          const store = yield* openFile(filename)
          yield* fill(store)
          return yield* answers(store)
        })
      )
      const source = yield* file
      // a lane that somebody is to look at
      yield* source.write((sql) =>
        sql.changes("INSERT INTO workflow_lane_marks (lane, queue) VALUES (1, 1)")
      )
      const there = yield* postgres
      const rows = yield* dump(source)
      for (const { name } of copied) expect([name, rows[name]?.length]).not.toEqual([name, 0])

      const { rows: counted } = yield* Copy.copy({ source, target: there })
      for (const { name } of copied)
        expect([name, counted[name]]).toEqual([name, rows[name]?.length])
      expect(yield* dump(there)).toEqual(rows)
      const store = yield* Effect.scoped(
        Effect.flatMap(Postgres.open(database), (store) =>
          Effect.zipRight(store.available, answers(store))
        )
      )
      expect(store).toEqual(before)

      yield* Copy.copy({ source: there, target: yield* back })
      expect(yield* dump(yield* back)).toEqual(rows)
      const last = yield* Effect.scoped(Effect.flatMap(openFile(backFile), answers))
      expect(last).toEqual(before)

      // ids go on where they were
      const [one, other] = yield* Effect.scoped(
        Effect.flatMap(openFile(backFile), (store) =>
          Effect.all([
            store.register({ host: "here", pid: 1, leaseMillis: 1 }),
            Effect.zipRight(store.create(aRun("new")), store.list({ limit: 1 }))
          ])
        )
      )
      expect(one).toBe(2)
      expect(other.runs[0]?.runId).toBe("new")
    })
  )

  it.scopedLive(
    "leaves a source that nobody starts on, nor writes to, and says where it went",
    () =>
      Effect.gen(function* () {
        const { database, file, filename, back, postgres } = yield* sides
        yield* forgetMarks(database)
        // one that is frozen, say
        const store = yield* openFile(filename)
        yield* store.create(aRun("a"))
        yield* Copy.copy({ source: yield* file, target: yield* postgres })
        expect(yield* Effect.flip(store.create(aRun("b")))).toMatchObject({
          message: expect.stringContaining("copied elsewhere")
        })
        const refused = yield* Effect.flip(Effect.scoped(openFile(filename)))
        expect(refused.message).toMatch(
          /out of use: it was copied to postgres:\/\/db\/orders, at \d{4}-/
        )
        expect(yield* Effect.flip(Copy.copy({ source: yield* file, target: yield* back }))).toEqual(
          expect.objectContaining({ message: expect.stringContaining("was copied to") })
        )
        yield* Copy.copy({ source: yield* postgres, target: yield* back })
        const gone = yield* Effect.flip(Effect.scoped(Postgres.open(database)))
        expect(gone.message).toMatch(/out of use: it was copied to .*back\.db/)
      })
  )

  it.scopedLive("goes on where it was ended, and neither is used meanwhile", () =>
    Effect.gen(function* () {
      const { database, file, filename, postgres } = yield* sides
      yield* forgetMarks(database)
      yield* Effect.scoped(Effect.flatMap(openFile(filename), fill))
      const source = yield* file
      const target = yield* postgres
      const rows = yield* dump(source)
      for (const end of ["workflow_runs", "workflow_steps", "workflow_lanes", "workflow_removed"]) {
        const tell = (table: string) => (table === end ? Effect.die("ended") : Effect.void)
        expect((yield* Effect.exit(Copy.copy({ source, target, tell })))._tag).toBe("Failure")
        for (const open of [openFile(filename), Postgres.open(database)]) {
          const { message } = yield* Effect.flip(Effect.scoped(open))
          expect(message).toMatch(/out of use: .*(is being copied to|is not complete)/)
        }
      }
      const told: Array<string> = []
      yield* Copy.copy({
        source,
        target,
        tell: (table) => Effect.sync(() => void told.push(table))
      })
      expect(told).toEqual([])
      expect(yield* dump(target)).toEqual(rows)
      yield* Effect.scoped(Postgres.open(database))
      // once more is known to be done
      const again = yield* Effect.flip(Copy.copy({ source, target }))
      expect(again.message).toContain("was copied to")
    })
  )

  it.scopedLive("can be given up, and begun anew", () =>
    Effect.gen(function* () {
      const { database, file, filename, postgres } = yield* sides
      yield* forgetMarks(database)
      yield* Effect.scoped(Effect.flatMap(openFile(filename), fill))
      const source = yield* file
      const target = yield* postgres
      const rows = yield* dump(source)
      const tell = (table: string) =>
        table === "workflow_timers" ? Effect.die("ended") : Effect.void
      yield* Effect.exit(Copy.copy({ source, target, tell }))
      yield* Copy.cancel({ source, target })
      expect((yield* dump(target)).workflow_runs).toEqual([])
      yield* Effect.scoped(Effect.flatMap(openFile(filename), (store) => store.available))
      expect(yield* Effect.flip(Copy.cancel({ source, target }))).toMatchObject({
        message: expect.stringContaining("not being copied")
      })
      yield* Copy.copy({ source, target })
      expect(yield* dump(target)).toEqual(rows)
      expect(yield* Effect.flip(Copy.cancel({ source, target }))).toMatchObject({
        message: expect.stringContaining("copied to postgres://db/orders whole")
      })
    })
  )

  it.scopedLive("refuses a source that is in use, and a target that is not empty", () =>
    Effect.gen(function* () {
      const { database, file, filename, postgres } = yield* sides
      yield* forgetMarks(database)
      const store = yield* openFile(filename)
      const executor = yield* store.register({ host: "far", pid: 7, leaseMillis: 60_000 })
      const target = yield* postgres
      const inUse = yield* Effect.flip(Copy.copy({ source: yield* file, target }))
      expect(inUse.message).toContain("in use, by executor 1 (process 7 on far)")
      yield* store.unregister(executor)
      yield* Effect.scoped(
        Effect.flatMap(Postgres.open(database), (store) => store.create(aRun("there")))
      )
      const notEmpty = yield* Effect.flip(Copy.copy({ source: yield* file, target }))
      expect(notEmpty.message).toContain("is not empty: there is something in workflow_runs")
      // nothing was done to either
      expect(Either.isRight(yield* Effect.either(store.create(aRun("here"))))).toBe(true)
    })
  )

  it.scopedLive("knows every table and every column of both schemas", () =>
    Effect.gen(function* () {
      const { file, postgres } = yield* sides
      const one = yield* file
      const other = yield* postgres
      yield* one.migrate
      yield* other.migrate
      const sqlite = yield* one.read(one.columns)
      const columns = yield* other.read(other.columns)
      expect(plan(sqlite, columns).unknown).toEqual([])
      for (const name of Object.keys(left))
        expect(copied.map((table) => table.name)).not.toContain(name)
      // it would tell
      const more = new Map(sqlite).set("workflow_new", [{ name: "id", type: "INTEGER" }])
      more.set("workflow_timers", [
        ...(sqlite.get("workflow_timers") ?? []),
        { name: "new", type: "TEXT" }
      ])
      const unknown = ["workflow_new", "workflow_timers.new"]
      expect([...plan(more, columns).unknown].sort()).toEqual(unknown)
      expect([...plan(columns, more).unknown].sort()).toEqual(unknown)
      // and their keys are what the tables have
      for (const { key, name, repeats } of copied) {
        if (repeats) continue
        const [row] = yield* one.read((sql) =>
          sql.rows<{ readonly key: string }>(
            `SELECT group_concat(name) AS key FROM
             (SELECT name FROM pragma_table_info('${name}') WHERE pk > 0 ORDER BY pk)`
          )
        )
        expect([name, row?.key]).toEqual([name, key.join(",")])
      }
      expect(Option.isSome(Option.fromNullable(columns.get("workflow_runs")))).toBe(true)
    })
  )
})
