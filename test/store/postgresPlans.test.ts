/** How PostgreSQL finds what the store's statements ask for, among many runs. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Pg from "pg"
import { RunStore } from "../../src/store/RunStore.js"
import { aRun, aStep, begin, register } from "../../src/testing/Acts.js"
import * as Postgres from "../support/Postgres.js"
import { everything } from "./everything.js"

type Asked = ReadonlyMap<string, ReadonlyArray<unknown>>

/** Every statement with parameters that clients of this process send meanwhile. */
const recording = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Asked, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const { query } = Pg.Client.prototype
      const asked = new Map<string, ReadonlyArray<unknown>>()
      const recorded = function (this: Pg.Client, ...args: ReadonlyArray<unknown>) {
        const [text, values] = args
        if (typeof text === "string" && Array.isArray(values)) asked.set(text, values)
        return Reflect.apply(query, this, args)
      }
      Object.assign(Pg.Client.prototype, { query: recorded })
      return { asked, query }
    }),
    ({ asked }) => Effect.as(effect, asked),
    ({ query }) => Effect.sync(() => Object.assign(Pg.Client.prototype, { query }))
  )

const Plan = Schema.Array(Schema.Struct({ "QUERY PLAN": Schema.Array(Schema.Unknown) }))

interface Node {
  readonly "Node Type"?: unknown
  readonly "Relation Name"?: unknown
  readonly "Index Name"?: unknown
}

/** Every node of a plan. */
const nodes = (plan: unknown): ReadonlyArray<Node> =>
  typeof plan !== "object" || plan === null ? [] : [plan, ...Object.values(plan).flatMap(nodes)]

/** The tables that a plan reads from end to end. */
const scanned = (plan: unknown) =>
  nodes(plan).flatMap((node) =>
    node["Node Type"] === "Seq Scan" ? [String(node["Relation Name"])] : []
  )

const indexes = (plan: unknown) =>
  nodes(plan).flatMap((node) => ("Index Name" in node ? [String(node["Index Name"])] : []))

const many = 30_000

/** So many runs that are over, and a third as many that sleep, each with a step. */
const filled = (client: Pg.Client, schema: string) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const executor = yield* register
    const over = yield* begin(executor, "over")
    yield* store.recordStep(aStep(over.held))
    yield* store.complete({ held: over.held, status: "completed", exit: "1" })
    yield* store.create(aRun("sleeps", { options: { startAt: 9e12 } }))
    const runs = `"${schema}".workflow_runs`
    const steps = `"${schema}".workflow_steps`
    const columns = (table: string, without: string) =>
      Effect.promise(async () => {
        const { rows } = await client.query<{ name: string }>(
          `SELECT attname AS name FROM pg_attribute
          WHERE attrelid = '${table}'::regclass AND attnum > 0 AND attname <> '${without}'`
        )
        return rows.map(({ name }) => name)
      })
    const ofRuns = yield* columns(runs, "id")
    const values = ofRuns.map((name) => (name === "run_id" ? "run_id || '-' || n" : name))
    const ofSteps = (yield* columns(steps, "run")).join(", ")
    const copies = (runId: string, count: number) =>
      client.query(
        `INSERT INTO ${runs} (${ofRuns.join(", ")}) SELECT ${values.join(", ")}
        FROM ${runs}, generate_series(1, ${count}) n WHERE run_id = '${runId}'`
      )
    yield* Effect.promise(async () => {
      await copies("over", many)
      await copies("sleeps", many / 3)
      await client.query(
        `INSERT INTO ${steps} (run, ${ofSteps}) SELECT r.id, ${ofSteps
          .split(", ")
          .map((name) => `s.${name}`)
          .join(", ")}
        FROM ${steps} s JOIN ${runs} o ON o.id = s.run AND o.run_id = 'over', ${runs} r
        WHERE r.run_id LIKE 'over-%'`
      )
      await client.query("ANALYZE")
    })
  })

/** What counts or lists by a filter that no index knows looks at all runs, and says so in the API. */
const looksAtAll =
  /AS status, count\(\*\) AS runs FROM [^ ]*workflow_runs r\s+(WHERE NOT EXISTS|WHERE \(r\.status = 'completed'\)|GROUP)/

describe("the statements of the store on PostgreSQL", () => {
  it.scoped(
    "find what they ask for by index, among many runs",
    () =>
      Effect.gen(function* () {
        const database = yield* Postgres.database
        const store = yield* Postgres.open(database)
        const asked = yield* recording(Effect.provideService(everything, RunStore, store))
        expect(asked.size).toBeGreaterThan(60)
        const client = yield* Effect.acquireRelease(
          Effect.promise(async () => {
            const client = new Pg.Client({ connectionString: Redacted.value(database.url) })
            await client.connect()
            return client
          }),
          (client) => Effect.promise(() => client.end())
        )
        yield* Effect.provideService(filled(client, database.schema), RunStore, store)
        const wrong: Array<string> = []
        let lists = 0
        for (const [statement, params] of asked) {
          if (!/^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)/.test(statement)) continue
          // a mark, in one script with its COMMIT
          if (looksAtAll.test(statement) || /; COMMIT$/.test(statement)) continue
          const plan = yield* Effect.promise(() =>
            client.query(`EXPLAIN (FORMAT JSON) ${statement}`, [...params])
          )
          const rows = Schema.decodeUnknownSync(Plan)(plan.rows)
          if (scanned(rows).some((table) => /workflow_(runs|steps)$/.test(table))) {
            wrong.push(statement)
          }
          const sought = /^SELECT r\.id.*AND r\.status IN \('failed', 'interrupted'\)/s.test(
            statement
          )
          if (sought) {
            expect(indexes(rows)).toEqual(["workflow_runs_unsuccessful"])
            lists++
          }
        }
        expect(wrong).toEqual([])
        expect(lists).toBe(1)
      }),
    60_000
  )
})
