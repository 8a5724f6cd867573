import * as SqlClient from "@effect/sql/SqlClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { begin, register } from "../../src/testing/Acts.js"
import { intercepted } from "./clients.js"
import { everything } from "./everything.js"

/** Tables of a row an executor, a migration, a status or an operation on many runs, and what is no table of ours. */
const small =
  /^(workflow_executors|workflow_paused|p|workflow_executor_migrations|workflow_counts|workflow_queues|workflow_bulk|q|lanes|workflow_lane_marks|asked|sqlite_master|e|v|next|names|json_each|j|\(|CONSTANT|\d+-ROW VALUES)\b/
/** Partial indexes that a statement may walk along, from its beginning to its first match. */
const walked =
  /USING (COVERING )?INDEX (workflow_runs_(pending|timers|held|ended|blocked|deadlines|held_back|slots|queued|queued_again|queued_interrupted|unfinished|unsuccessful)|workflow_lanes_(ready|next)|workflow_signals_early|workflow_removed_at|workflow_schedules_waiting)$/

const scans = (detail: string) => {
  const scanned = /^SCAN (.+)/.exec(detail)?.[1]
  return scanned !== undefined && !small.test(scanned) && !walked.test(scanned)
}

const explain = (statement: string, params: ReadonlyArray<unknown>) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.map(
      sql.unsafe<{ readonly detail: string }>(`EXPLAIN QUERY PLAN ${statement}`, [...params]),
      (rows) => rows.map(({ detail }) => detail)
    )
  )

describe("the store's statements", () => {
  const statements = new Map<string, ReadonlyArray<unknown>>()
  const layer = Layer.provideMerge(
    SqliteRunStore.layerWith({ pollInterval: "1 hour" }),
    intercepted(":memory:", (statement, params) =>
      Effect.sync(() => {
        if (/^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)/.test(statement))
          statements.set(statement, params)
      })
    )
  )

  it.effect("search by index, and scan no table that grows", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* everything
      expect(statements.size).toBeGreaterThan(30)
      for (const analyzed of [false, true]) {
        if (analyzed) yield* sql`ANALYZE`
        for (const [statement, params] of statements) {
          // Of a table that it thinks tiny it reads the page from the end on.
          if (analyzed && /ORDER BY id DESC LIMIT \?$/.test(statement)) continue
          const plan = yield* explain(statement, params)
          expect(plan.filter(scans), statement).toEqual([])
        }
      }
    }).pipe(Effect.provide(layer))
  )

  it.effect("leave no entry of a finished run in the indexes of unfinished work", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const store = yield* RunStore
      const executor = yield* register
      const parent = yield* begin(executor, "parent")
      const child = yield* begin(executor, "child", { parent: { runId: "parent", awaits: true } })
      for (const { held } of [child, parent]) {
        yield* store.complete({ held, status: "completed", exit: "1" })
      }
      for (const [index, table] of [
        ["workflow_runs_pending", "workflow_runs"],
        ["workflow_runs_timers", "workflow_runs"],
        ["workflow_runs_held", "workflow_runs"],
        ["workflow_runs_blocked", "workflow_runs"],
        ["workflow_runs_unfinished", "workflow_runs"],
        ["workflow_runs_unsuccessful", "workflow_runs"],
        ["workflow_children_awaited", "workflow_children"]
      ] as const) {
        const rows = yield* sql.unsafe(`SELECT sum(ncell) AS cells FROM dbstat WHERE name = ?`, [
          index
        ])
        expect(rows, `${index} of ${table}`).toEqual([{ cells: 0 }])
      }
    }).pipe(Effect.provide(layer))
  )
})
