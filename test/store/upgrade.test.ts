/**
 * A file as version 0.1.0 has left it, killed in the middle of a step: it is opened, told right and
 * finished, and nothing that it has recorded is executed again.
 */
import { copyFile, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Executor from "../../src/Executor.js"
import { Runs } from "../../src/runner/Runs.js"
import * as SqlRunStore from "../../src/store/sqlite/SqlRunStore.js"

const fixture = fileURLToPath(new URL("fixtures/executor-0.1.0.sqlite", import.meta.url))

/** When it was left, with a lease that lasts some seconds more. */
const leftAt = 1795815427450

const aFile = Effect.acquireRelease(
  Effect.promise(async () => {
    const folder = await mkdtemp(join(tmpdir(), "workflow-executor-"))
    const filename = join(folder, "executor.db")
    await copyFile(fixture, filename)
    return { folder, filename }
  }),
  ({ folder }) => Effect.promise(() => rm(folder, { recursive: true }))
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

describe("a file of version 0.1.0", () => {
  it.scoped("is told right, and what was not over goes on where it was", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(leftAt)
      const { filename } = yield* aFile
      const executed: Array<string> = []
      const executor = workflows(executed).pipe(
        Layer.provideMerge(Executor.layerTestCore({ leaseDuration: "10 minutes" })),
        Layer.provide(SqlRunStore.layerFile({ filename }))
      )
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
