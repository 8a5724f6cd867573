/** Async workflows whose time is the test's. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { defineWorkflow } from "../../src/facade/AsyncWorkflow.js"
import { Runs } from "../../src/runner/Runs.js"
import { inProcess, memoryTest, pass, register, temporaryFile, until } from "../engine/support.js"
import { gate } from "./support.js"

const start = (workflow: string) =>
  Effect.flatMap(Runs, (runs) => Effect.map(runs.start({ workflow }), ({ runId }) => runId))

const get = (runId: string) => Effect.flatMap(Runs, (runs) => runs.get(runId))

const untilStatus = (runId: string, status: string) =>
  until(
    `it is ${status}`,
    Effect.map(get(runId), (run) => run.status === status)
  )

describe("an async workflow", () => {
  memoryTest("sleeps for days without a process that waits", () =>
    Effect.gen(function* () {
      const sleepy = defineWorkflow("sleepy", {}, async (ctx) => {
        await ctx.sleep("1 day")
        await ctx.sleep("2 days")
        return "awake"
      })
      yield* register(sleepy.layer)
      const runId = yield* start("sleepy")
      for (const days of ["1 day", "2 days"] as const) {
        yield* untilStatus(runId, "suspended")
        yield* pass(days)
      }
      yield* untilStatus(runId, "completed")
      assert.strictEqual((yield* get(runId)).result, "awake")
    })
  )

  memoryTest("tries a step again after 1, 2 and 4 seconds, and after 1 minute at most", () =>
    Effect.gen(function* () {
      let attempts = 0
      const flaky = defineWorkflow("flaky", {}, (ctx) =>
        ctx.step(
          "a",
          () => {
            attempts++
            throw new Error("no")
          },
          { retries: 8 }
        )
      )
      yield* register(flaky.layer)
      const runId = yield* start("flaky")
      for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
        yield* untilStatus(runId, "suspended")
        const before = attempts
        yield* pass(seconds * 1_000 - 1)
        assert.strictEqual(attempts, before)
        yield* pass(1)
        assert.strictEqual(attempts, before + 1)
      }
      yield* untilStatus(runId, "failed")
      assert.strictEqual(attempts, 9)
    })
  )

  memoryTest("suspends when all its branches wait, and goes on in each as its time comes", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const branch = defineWorkflow("branches", {}, (ctx) => {
        const noted = async (name: string) => {
          await ctx.step(`${name} begins`, () => log.push(`${name} begins`))
          await ctx.sleep(name === "a" ? "1 hour" : "2 hours")
          await ctx.step(`${name} ends`, () => log.push(`${name} ends`))
        }
        return Promise.all([noted("a"), noted("b")]).then(() => "both")
      })
      yield* register(branch.layer)
      const runId = yield* start("branches")
      yield* untilStatus(runId, "suspended")
      assert.deepStrictEqual(log, ["a begins", "b begins"])
      yield* pass("1 hour")
      yield* untilStatus(runId, "suspended")
      assert.deepStrictEqual(log, ["a begins", "b begins", "a ends"])
      yield* pass("1 hour")
      yield* untilStatus(runId, "completed")
      assert.deepStrictEqual(log, ["a begins", "b begins", "a ends", "b ends"])
    })
  )

  it.scoped("waits on in the next process for what is left of a backoff", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const log: Array<number> = []
      const flaky = defineWorkflow("flaky", {}, (ctx) =>
        ctx.step(
          "a",
          ({ attempt }) => {
            log.push(attempt)
            if (attempt < 3) throw new Error("no")
            return attempt
          },
          { retries: 5, backoff: "30 seconds" }
        )
      )
      const process = inProcess(filename, flaky.layer)
      const runId = yield* Effect.gen(function* () {
        const runId = yield* start("flaky")
        yield* untilStatus(runId, "suspended")
        yield* TestClock.adjust("20 seconds")
        return runId
      }).pipe(process)
      yield* Effect.gen(function* () {
        yield* untilStatus(runId, "suspended")
        yield* pass("9999 millis")
        assert.deepStrictEqual(log, [1])
        yield* pass(1)
        yield* until(
          "attempt 2",
          Effect.sync(() => log.length === 2)
        )
        yield* untilStatus(runId, "suspended")
        yield* pass("1 minute")
        yield* untilStatus(runId, "completed")
        assert.deepStrictEqual(log, [1, 2, 3])
      }).pipe(process)
    })
  )

  it.scoped(
    "gives concurrent branches their own on replay, in whatever order they came first",
    () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const child = defineWorkflow("child", {}, async (_, { name }: { name: string }) => name)
        const late = gate()
        const parent = defineWorkflow("parent", {}, (ctx) => {
          const branch = async (name: string, work: Promise<void>, hours: number) => {
            await ctx.step(name, () => work)
            const said = await ctx.child(child, { name })
            await ctx.sleep(`${hours} hours`)
            return `${said} after ${await ctx.step(`${name} ends`, now)}`
          }
          return Promise.all([branch("a", late.pass, 1), branch("b", Promise.resolve(), 2)])
        })
        let now = () => 0
        const process = inProcess(filename, Layer.merge(parent.layer, child.layer))
        const runId = yield* Effect.gen(function* () {
          const clock = yield* Effect.clock
          now = () => clock.unsafeCurrentTimeMillis()
          const runId = yield* start("parent")
          yield* until(
            "b is asleep",
            Effect.map(get(runId), ({ steps }) => steps.some(({ name }) => name === "b"))
          )
          yield* pass(1)
          late.open()
          yield* untilStatus(runId, "suspended")
          return runId
        }).pipe(process)
        yield* Effect.gen(function* () {
          yield* untilStatus(runId, "suspended")
          yield* pass("1 hour")
          yield* untilStatus(runId, "suspended")
          yield* pass("1 hour")
          yield* untilStatus(runId, "completed")
          assert.deepStrictEqual((yield* get(runId)).result, ["a after 3600001", "b after 7200000"])
        }).pipe(process)
      })
  )
})
