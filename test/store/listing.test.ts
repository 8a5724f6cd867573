/** Lists of few runs among many, on SQLite, which looks for them a window at a time. */
import * as SqlClient from "@effect/sql/SqlClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type RunQuery, RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { aRun, begin, register } from "../../src/testing/Acts.js"
import { intercepted } from "./clients.js"

/** So many more rows that say what one says, but for what is set. */
const copies = (runId: string, count: number, set: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const columns = yield* sql<{ readonly name: string }>`
      SELECT name FROM pragma_table_info('workflow_runs') WHERE name <> 'id'`
    const names = columns.map(({ name }) => name)
    const values = names.map(
      (name) => set[name] ?? (name === "run_id" ? "run_id || '-' || n" : name)
    )
    yield* sql.unsafe(
      `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
      INSERT INTO workflow_runs (${names}) SELECT ${values} FROM numbers, workflow_runs
      WHERE run_id = ?`,
      [count, runId]
    )
  })

const completed = (runId: string) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const { held } = yield* begin(yield* register, runId)
    yield* store.complete({ held, status: "completed", exit: "1" })
  })

/** All that a query lists, by its pages of 1,000. */
const listed = (query: Omit<RunQuery, "limit" | "cursor">) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const ids: Array<string> = []
    let cursor: number | undefined
    do {
      const page = yield* store.list({ ...query, limit: 1_000, cursor })
      ids.push(...page.runs.map(({ runId }) => runId))
      cursor = page.cursor
    } while (cursor !== undefined)
    return ids
  })

describe("a list of few among many", () => {
  let statements = 0
  const layer = Layer.provideMerge(
    SqliteRunStore.layerWith({ pollInterval: "1 hour" }),
    intercepted(":memory:", () => Effect.sync(() => void statements++))
  )

  const asked = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      const before = statements
      return Effect.map(effect, (answer) => ({ answer, asked: statements - before }))
    })

  it.effect("asks no more than where all are few", () =>
    Effect.gen(function* () {
      yield* completed("a")
      for (const part of [1, 2, 3]) {
        yield* copies("a", 11_000, { run_id: `'a' || ${part} || '-' || n` })
        const status = part === 2 ? "'interrupted'" : "'failed'"
        yield* copies("a", 1, { run_id: `'sought ${part}'`, status })
      }
      const store = yield* RunStore
      yield* store.create(aRun("waits"))
      yield* begin(yield* register, "works", { workflow: "Other" })
      expect(yield* listed({})).toHaveLength(33_006)

      const unsuccessful = yield* asked(listed({ status: ["failed", "interrupted"] }))
      expect(unsuccessful.answer).toEqual(["sought 3", "sought 2", "sought 1"])
      const failed = yield* asked(listed({ status: ["failed"] }))
      expect(failed.answer).toEqual(["sought 3", "sought 1"])
      const unfinished = yield* asked(listed({ status: ["pending", "running", "suspended"] }))
      expect(unfinished.answer).toEqual(["works", "waits"])
      const running = yield* asked(listed({ status: ["running"] }))
      expect(running.answer).toEqual(["works"])
      const counted = yield* asked(store.countBy({ status: ["failed"] }))
      expect(counted.answer).toMatchObject({ failed: 2, interrupted: 0 })
      for (const { asked } of [unsuccessful, failed, unfinished, running, counted]) {
        expect(asked).toBeLessThan(20)
      }
    }).pipe(Effect.provide(layer))
  )

  it.effect("has all of them, however many windows they fill", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      yield* store.create(aRun("first"))
      yield* copies("first", 12_000, { run_id: "'waits ' || n" })
      yield* completed("a")
      yield* copies("a", 12_000, { status: "iif(n % 2 = 0, 'failed', 'interrupted')" })
      const pending = yield* listed({ status: ["pending"] })
      expect(pending).toHaveLength(12_001)
      expect(new Set(pending).size).toBe(12_001)
      expect([pending[0], pending.at(-1)]).toEqual(["waits 12000", "first"])
      const failed = yield* listed({ status: ["failed"] })
      expect([failed.length, failed[0], failed.at(-1)]).toEqual([6_000, "a-12000", "a-2"])
      expect(yield* store.countBy({ status: ["failed", "pending"] })).toMatchObject({
        failed: 6_000,
        pending: 12_001,
        interrupted: 0
      })
      expect(yield* store.countBy({ status: ["pending", "suspended"] })).toMatchObject({
        pending: 12_001
      })
    }).pipe(Effect.provide(layer))
  )
})
