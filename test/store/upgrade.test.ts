/**
 * Files as older versions have left them, killed in the middle of steps: they are opened, told right and
 * finished, and nothing that they have recorded is executed again.
 */
import { copyFile, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import type { WorkflowEngine } from "@effect/workflow/WorkflowEngine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Executor from "../../src/Executor.js"
import { Runs } from "../../src/runner/Runs.js"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { until } from "../engine/support.js"

/** A copy of one that was left. */
const copyOf = (fixture: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const folder = await mkdtemp(join(tmpdir(), "workflow-executor-"))
      const filename = join(folder, "executor.db")
      await copyFile(fileURLToPath(new URL(`fixtures/${fixture}`, import.meta.url)), filename)
      return { folder, filename }
    }),
    ({ folder }) => Effect.promise(() => rm(folder, { recursive: true }))
  )

/** Who goes on with it. Nothing is known here of the one that left it but its lease. */
const executorOn = <E>(filename: string, workflows: Layer.Layer<never, E, WorkflowEngine>) =>
  workflows.pipe(
    Layer.provideMerge(Executor.layerTestCore({ leaseDuration: "10 minutes" })),
    Layer.provideMerge(SqliteRunStore.layerFile({ filename }))
  )

const Approval = DurableDeferred.make("Approval", { success: Schema.Boolean })

const Order = Workflow.make({
  name: "Order",
  payload: { id: Schema.String, kind: Schema.String },
  success: Schema.String,
  error: Schema.String,
  idempotencyKey: ({ id }) => id
})

const Line = Workflow.make({
  name: "Line",
  payload: { id: Schema.String },
  success: Schema.Number,
  idempotencyKey: ({ id }) => id
})

/** The workflows that have made the file, with what they execute now. */
const workflows = (executed: Array<string>) => {
  const step = (run: string, name: string) =>
    Activity.make({
      name,
      success: Schema.String,
      error: Schema.String,
      execute: Effect.sync(() => {
        executed.push(`${run}/${name}`)
        return `${name} done`
      })
    })
  const OrderLive = Order.toLayer(({ id, kind }) =>
    Effect.gen(function* () {
      const first = yield* step(id, "reserve").pipe(Order.withCompensation(() => Effect.void))
      if (kind === "hangs") yield* step(id, "hang")
      if (kind === "waits" && !(yield* DurableDeferred.await(Approval))) return "refused"
      if (kind === "sleeps") yield* DurableClock.sleep({ name: "a day", duration: "1 day" })
      if (kind === "child") return `${first}, ${yield* Line.execute({ id })} lines`
      return `${first}, ${yield* step(id, "ship")}`
    })
  )
  const LineLive = Line.toLayer(({ id }) =>
    Effect.gen(function* () {
      yield* Effect.orDie(step(id, "pick"))
      yield* DurableDeferred.await(Approval)
      return 3
    })
  )
  return Layer.merge(OrderLive, LineLive)
}

/** What is told of the runs, by the `id` that they were started with, and their workflow. */
const told = Effect.gen(function* () {
  const runs = yield* Runs
  const { runs: all } = yield* runs.list({ include: ["payload", "result"] })
  return Object.fromEntries(
    all.map(({ error, payload, result, runId, status, workflow }) => [
      `${workflow} ${Schema.decodeUnknownSync(Schema.Struct({ id: Schema.String }))(payload).id}`,
      { runId, status, end: result ?? error?.message }
    ])
  )
})

const statuses = Effect.map(told, (runs) =>
  Object.fromEntries(Object.entries(runs).map(([name, { end, status }]) => [name, [status, end]]))
)

/** Without any time that passes. */
const untilOver = (name: string) =>
  until(
    `${name} is over`,
    Effect.map(statuses, (all) => all[name]?.[1] !== undefined)
  )

/** More that a run of 0.1.0 may have come by before its interrupt took hold, or have missed. */
const moreSeen = [
  `INSERT INTO workflow_timers (run, name, wake_at, fired)
    VALUES (1, 'seen', 50, 1), (1, 'missed', 60, 0)`,
  ...["seen", "missed", "unfinished"].flatMap((child, n) => [
    `INSERT INTO workflow_runs (id, run_id, workflow, status, claim, created_at, payload, exit)
      VALUES (${n + 10}, '${child}', 'Child', '${n === 2 ? "suspended" : "completed"}', 1, 1, '{}',
        ${n === 2 ? "NULL" : "'1'"})`,
    `INSERT INTO workflow_children (parent, child, awaits) VALUES (1, ${n + 10}, ${n === 2 ? 1 : 0})`
  ]),
  `UPDATE workflow_signals SET exit = '["Early","seen","child/seen"]'
    WHERE name = 'workflow-executor/interrupt-point'`
]

describe("a file of version 0.1.0", () => {
  it.scoped("is told right, and what was not over goes on where it was", () =>
    Effect.gen(function* () {
      // when it was left, with a lease that lasts some seconds more
      yield* TestClock.setTime(1795815427450)
      const { filename } = yield* copyOf("executor-0.1.0.sqlite")
      const executed: Array<string> = []
      const executor = executorOn(filename, workflows(executed))
      yield* Effect.gen(function* () {
        const before = yield* told
        assert.deepStrictEqual(yield* statuses, {
          "Order plain": ["completed", "reserve done, ship done"],
          "Order fails": ["failed", "declined"],
          "Order waits": ["suspended", undefined],
          "Order sleeps": ["suspended", undefined],
          "Order child": ["suspended", undefined],
          "Line child": ["suspended", undefined],
          "Order hangs": ["running", undefined]
        })
        const runs = yield* Runs
        for (const name of ["Order waits", "Line child"]) {
          yield* runs.signal({ runId: before[name]?.runId ?? "", name: "Approval", value: true })
        }
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual((yield* statuses)["Order sleeps"], ["suspended", undefined])
        yield* TestClock.adjust("1 day")
        assert.deepStrictEqual(yield* statuses, {
          "Order plain": ["completed", "reserve done, ship done"],
          "Order fails": ["failed", "declined"],
          "Order waits": ["completed", "reserve done, ship done"],
          "Order sleeps": ["completed", "reserve done, ship done"],
          "Order child": ["completed", "reserve done, 3 lines"],
          "Line child": ["completed", 3],
          "Order hangs": ["completed", "reserve done, ship done"]
        })
        assert.deepStrictEqual(executed.sort(), [
          "hangs/hang",
          "hangs/ship",
          "sleeps/ship",
          "waits/ship"
        ])
      }).pipe(Effect.provide(executor))
    })
  )
})

const Early = DurableDeferred.make("Early", { success: Schema.Boolean })

const named = (name: string) =>
  Workflow.make({
    name,
    payload: { id: Schema.String },
    success: Schema.String,
    idempotencyKey: ({ id }) => id
  })

const [Half, Nested, Told] = [named("Half"), named("Nested"), named("Told")]

/** The workflows of the files that were left in the middle of an interrupt. */
const interruptedWorkflows = (executed: Array<string>) => {
  const step = (
    name: string,
    execute: Activity.Activity<typeof Schema.String> | undefined = undefined
  ) =>
    Activity.make({
      name,
      success: Schema.String,
      execute: Effect.suspend(() => {
        executed.push(name)
        return Effect.as(execute ?? Effect.void, `${name} done`)
      })
    })
  const HalfLive = Half.toLayer(() =>
    Effect.gen(function* () {
      const first = yield* step("reserve").pipe(
        Half.withCompensation(() => Effect.asVoid(step("release")))
      )
      yield* DurableDeferred.await(Early)
      // what comes by the approval, which came after the interrupt, has more to undo
      yield* DurableDeferred.await(Approval).pipe(
        Half.withCompensation(() => Effect.asVoid(step("disapprove")))
      )
      return `${first}, ${yield* step("ship")}`
    })
  )
  const NestedLive = Nested.toLayer(() =>
    Effect.gen(function* () {
      const first = yield* step("outer", step("inner"))
      yield* DurableDeferred.await(Approval)
      return `${first}, ${yield* step("ship")}`
    })
  )
  const ToldLive = Told.toLayer(() =>
    Effect.gen(function* () {
      yield* DurableDeferred.await(Early)
      const first = yield* step("reserve")
      yield* DurableDeferred.await(Approval)
      return `${first}, ${yield* step("ship")}`
    })
  )
  return Layer.mergeAll(HalfLive, NestedLive, ToldLive)
}

/** When they were left, and when the signals were received as far as that was noted then. */
const left = {
  "executor-0.1.0-interrupted.sqlite": { at: 1795821825354, early: undefined, late: undefined },
  "executor-schema-8.sqlite": {
    at: 1795821807151,
    early: "2026-11-27T23:23:25.549Z",
    late: "2026-11-27T23:23:26.639Z"
  }
}

it.scoped("what a run of 0.1.0 had come by when it was interrupted stays so", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(left["executor-0.1.0-interrupted.sqlite"].at + 60_000)
    const { filename } = yield* copyOf("executor-0.1.0-interrupted.sqlite")
    yield* Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      for (const statement of moreSeen) yield* sql.unsafe(statement)
    }).pipe(Effect.provide(SqliteClient.layer({ filename })))
    yield* Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* store.register({ host: "here", pid: 1, leaseMillis: 60_000 })
      yield* store.takeOver({ limit: 9 })
      const [half] = yield* store.claim({ executor, workflows: [Half.name], limit: 1 })
      assert.deepStrictEqual(half?.history.beforeInterrupt, {
        signals: ["Early"],
        timers: ["seen"],
        children: ["seen"]
      })
      assert.deepStrictEqual(half?.history.signals.map(({ name }) => name).sort(), [
        "Approval",
        "Early"
      ])
    }).pipe(Effect.provide(SqliteRunStore.layerFile({ filename })))
  })
)

for (const [fixture, { at, early, late }] of Object.entries(left)) {
  describe(`a file that was left in the middle of an interrupt, ${fixture}`, () => {
    it.scoped("ends it where it took hold: what came after is not there for it", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(at)
        const { filename } = yield* copyOf(fixture)
        const executed: Array<string> = []
        yield* Effect.gen(function* () {
          const runs = yield* Runs
          const before = yield* told
          const idOf = (workflow: string) => before[`${workflow} 1`]?.runId ?? ""
          assert.deepStrictEqual(yield* statuses, {
            "Half 1": ["running", undefined],
            "Nested 1": ["suspended", undefined],
            "Told 1": ["suspended", undefined]
          })
          const received = (name: string, receivedAt: string | undefined) =>
            receivedAt === undefined ? { name } : { name, receivedAt }
          const signalsOf = (workflow: string) =>
            Effect.map(runs.get(idOf(workflow)), ({ signals }) =>
              [...(signals?.last ?? [])].sort((a, b) => (a.name < b.name ? 1 : -1))
            )
          assert.deepStrictEqual(yield* signalsOf("Half"), [
            received("Early", early),
            received("Approval", late)
          ])
          // its holder's lease has lapsed, which is looked for now and then
          yield* TestClock.adjust("10 minutes")
          yield* untilOver("Half 1")
          assert.deepStrictEqual((yield* statuses)["Half 1"], ["interrupted", "interrupted"])
          assert.deepStrictEqual(executed, ["release"])

          // one goes on, and of the other all that is recorded is come by: no time is waited
          yield* runs.signal({ runId: idOf("Told"), name: "Approval", value: true })
          yield* runs.interrupt(idOf("Nested"))
          yield* untilOver("Nested 1")
          yield* untilOver("Told 1")
          assert.deepStrictEqual(yield* statuses, {
            "Half 1": ["interrupted", "interrupted"],
            "Nested 1": ["interrupted", "interrupted"],
            "Told 1": ["completed", "reserve done, ship done"]
          })
          assert.deepStrictEqual(executed, ["release", "ship"])
          const { steps } = yield* runs.get(idOf("Told"))
          const [executor] = yield* runs.executors
          assert.deepStrictEqual(
            steps.map(({ executor, name }) => [name, executor]),
            [
              ["reserve", undefined],
              ["ship", executor?.id]
            ]
          )
          // what it was interrupted by is not in its way any more
          yield* runs.retry(idOf("Nested"))
          yield* runs.signal({ runId: idOf("Nested"), name: "Approval", value: true })
          yield* untilOver("Nested 1")
          assert.deepStrictEqual((yield* statuses)["Nested 1"], [
            "completed",
            "outer done, ship done"
          ])
        }).pipe(Effect.provide(executorOn(filename, interruptedWorkflows(executed))))
      })
    )

    it.scoped("tells the steps that a replay does not come by, as they were marked then", () =>
      Effect.gen(function* () {
        // its holder's lease has lapsed
        yield* TestClock.setTime(at + 60_000)
        const { filename } = yield* copyOf(fixture)
        yield* Effect.gen(function* () {
          const store = yield* RunStore
          const { runs } = yield* store.list({ workflow: Nested.name, limit: 1 })
          yield* store.wake(runs[0]?.runId ?? "")
          const executor = yield* store.register({ host: "here", pid: 1, leaseMillis: 60_000 })
          const [nested] = yield* store.claim({ executor, workflows: [Nested.name], limit: 1 })
          assert.deepStrictEqual(
            nested?.history.steps.map(({ inner, name }) => [name, inner === true]),
            [
              ["inner", true],
              ["outer", false]
            ]
          )
        }).pipe(Effect.provide(SqliteRunStore.layerFile({ filename })))
      })
    )
  })
}
