/** Workflows that are async functions, on executors in memory and on a file. */
import * as Schema from "effect/Schema"
import { describe, expect, expectTypeOf, it } from "vitest"
import {
  defineWorkflow,
  RecordedError,
  type StandardSchema
} from "../../src/facade/AsyncWorkflow.js"
import type * as PromiseExecutor from "../../src/facade/PromiseExecutor.js"
import * as Schedules from "../../src/runner/Schedules.js"
import { file, gate, inMemory, Order, onFile, orders, rejection } from "./support.js"

const started = async (executor: PromiseExecutor.PromiseExecutor) => {
  await executor.start()
  return executor
}

const memory = (workflows: PromiseExecutor.Options["workflows"], options = {}) =>
  started(inMemory({ workflows, ...options }))

const suspended = (executor: PromiseExecutor.PromiseExecutor, runId: string) =>
  expect
    .poll(async () => (await runOf(executor, runId)).status, { timeout: 20_000 })
    .toBe("suspended")

/** The run as it is now. */
const runOf = async (executor: PromiseExecutor.PromiseExecutor, runId: string) => {
  for await (const run of executor.watch(runId)) return run
  throw new Error("no run")
}

const stepsOf = async (executor: PromiseExecutor.PromiseExecutor, runId: string) =>
  (await runOf(executor, runId)).steps.map(
    ({ attempt, name, status }) => `${name}/${attempt} ${status}`
  )

const failing = (name: string, message: string) => Object.assign(new Error(message), { name })

/** Anything that Standard Schema takes. */
const Id = Schema.standardSchemaV1(
  Schema.Struct({
    id: Schema.String,
    count: Schema.optionalWith(Schema.NumberFromString, { default: () => 1 })
  })
)

describe("an async workflow", () => {
  it("is started by a schedule", async () => {
    const ticked = gate()
    const report = defineWorkflow("report", {}, async (ctx, { kind }: { kind: string }) => {
      await ctx.step("write", () => kind)
      ticked.enter()
      return ctx.runId
    })
    const often = Schedules.layer({
      often: { workflow: report, payload: { kind: "daily" }, every: "1 second", count: 1 }
    })
    const executor = await memory([report, often])
    await ticked.entered
    const { runs } = await executor.list({ include: ["payload"] })
    expect(runs[0]).toMatchObject({ workflow: "report", payload: { kind: "daily" } })
    expect(runs[0]?.runId).toMatch(/^schedule\/often\/.*Z$/)
  })

  it("gives what it returns, by way of its steps", async () => {
    const order = defineWorkflow("order", {}, async (ctx, { id }: { id: string }) => {
      const receipt = await ctx.step("charge", async ({ attempt }) => ({ id, attempt }))
      const parcel = await ctx.step("ship", () => `parcel of ${receipt.id}`)
      return { receipt, parcel }
    })
    const executor = await memory([order])
    const result = await executor.execute(order, { id: "1" })
    expectTypeOf(result).toEqualTypeOf<{
      receipt: { id: string; attempt: number }
      parcel: string
    }>()
    expect(result).toEqual({ receipt: { id: "1", attempt: 1 }, parcel: "parcel of 1" })
  })

  it("has what JSON makes of a value, replayed or not", async () => {
    const dates = defineWorkflow("dates", {}, async (ctx) => {
      const at = await ctx.step("now", () => new Date(5))
      const none = await ctx.step("none", () => undefined)
      return [typeof at, none]
    })
    const executor = await memory([dates])
    expect(await executor.execute(dates)).toEqual(["string", null])
  })

  it("fails where it comes to a value that JSON does not have, and says where that is", async () => {
    const mean = defineWorkflow("mean", {}, async (ctx, { of }: { of: "step" | "run" }) =>
      of === "run" ? { mean: NaN } : await ctx.step("mean", () => [{ mean: NaN }])
    )
    const executor = await memory([mean])
    const ofStep = await rejection(executor.execute(mean, { of: "step" }))
    expect(ofStep).toMatchObject({
      message: expect.stringMatching(/step "mean" .* JSON has no NaN \(at \[0\]\.mean\)/)
    })
    const ofRun = await rejection(executor.execute(mean, { of: "run" }))
    expect(ofRun).toMatchObject({
      message: expect.stringMatching(/result of workflow "mean" .* JSON has no NaN \(at mean\)/)
    })
  })

  it("works beside workflows that are written with Effect", async () => {
    const both = defineWorkflow("both", {}, async (ctx) => {
      const { at, id } = await ctx.child(Order, { id: "1" })
      return [id, at instanceof Date]
    })
    const executor = await memory([both, orders()])
    expect(await executor.execute(both)).toEqual(["1", true])
  })

  it("is one run for one payload, or for one key", async () => {
    const plain = defineWorkflow("plain", {}, async (_, payload: object) => payload)
    const keyed = defineWorkflow(
      "keyed",
      { payload: Id, idempotencyKey: ({ id }) => id },
      async () => "done"
    )
    const executor = await memory([plain, keyed])
    const first = await executor.startRun(plain, { a: 1, b: [2] })
    expect(await executor.startRun(plain, { b: [2], a: 1 })).toBe(first)
    expect(await executor.startRun(plain, { a: 1, b: [3] })).not.toBe(first)
    const one = await executor.startRun(keyed, { id: "1" })
    const other = { id: "1", count: "2" }
    expect(await rejection(executor.startRun(keyed, other))).toMatchObject({
      _tag: "PayloadDiffers",
      runId: one
    })
    expect(await executor.startRun(keyed, other, { ignorePayload: true })).toBe(one)
    expect(await rejection(executor.execute(keyed, other, { onConflict: "fail" }))).toMatchObject({
      _tag: "RunExists",
      runId: one
    })
  })

  it("takes what its validator makes of the payload, and none that it refuses", async () => {
    const counted = defineWorkflow("counted", { payload: Id }, async (_, { count }) => count)
    const executor = await memory([counted])
    expect(await executor.execute(counted, { id: "1" })).toBe(1)
    expect(await executor.execute(counted, { id: "1", count: "5" })).toBe(5)
    // @ts-expect-error the payload is typed
    const error = await rejection(executor.startRun(counted, { id: 1 }))
    expect(error).toMatchObject({
      _tag: "InvalidPayload",
      workflow: "counted",
      message: expect.stringMatching(/id: Expected string, actual 1/)
    })
    expect((await executor.list()).runs).toHaveLength(2)
  })

  it("takes nothing that its validator throws at", async () => {
    const payload: StandardSchema<object> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: () => {
          throw new Error("no idea")
        }
      }
    }
    const odd = defineWorkflow("odd", { payload }, async () => 1)
    const executor = await memory([odd])
    expect(await rejection(executor.startRun(odd, {}))).toMatchObject({
      _tag: "InvalidPayload",
      message: expect.stringContaining("no idea")
    })
  })

  it("fails where its result is not what it is to be", async () => {
    const result = Schema.standardSchemaV1(Schema.NonEmptyString)
    const empty = defineWorkflow("empty", { result }, async () => "")
    const executor = await memory([empty])
    expect(await rejection(executor.execute(empty))).toMatchObject({ _tag: "InvalidResult" })
  })
})

describe("what is thrown", () => {
  it("in a step is recorded, and thrown into the function by its name and message", async () => {
    let count = 0
    const caught = defineWorkflow("caught", {}, async (ctx) => {
      try {
        await ctx.step("charge", () => {
          count++
          throw failing("CardDeclined", "no money")
        })
      } catch (error) {
        await ctx.sleep(1)
        return error instanceof RecordedError ? [error.name, error._tag, error.message] : []
      }
      return []
    })
    const executor = await memory([caught])
    expect(await executor.execute(caught)).toEqual(["CardDeclined", "CardDeclined", "no money"])
    expect(count).toBe(1)
  })

  it("by the function is what the run fails with", async () => {
    const failed = defineWorkflow("failed", {}, async (ctx) => {
      await ctx.step("a", () => 1)
      throw failing("OutOfStock", "none left".repeat(1_000))
    })
    const executor = await memory([failed])
    const error = await rejection(executor.execute(failed))
    expect(error).toBeInstanceOf(RecordedError)
    expect(error).toMatchObject({ name: "OutOfStock", _tag: "OutOfStock" })
    expect(String(error).length).toBeLessThan(5_000)
    const { runs } = await executor.list({ workflow: "failed", status: ["failed"] })
    expect(runs).toMatchObject([{ error: { _tag: "OutOfStock" } }])
  })

  it("where it is no error is one all the same", async () => {
    const odd = defineWorkflow("odd", {}, async () => {
      throw { code: 5 }
    })
    const executor = await memory([odd])
    expect(await rejection(executor.execute(odd))).toMatchObject({
      name: "Error",
      message: expect.stringContaining("5")
    })
  })

  it("by a step that nobody awaits does no harm", async () => {
    const careless = defineWorkflow("careless", {}, async (ctx) => {
      void ctx.step("lost", () => {
        throw new Error("lost")
      })
      return await ctx.step("kept", () => "kept")
    })
    const executor = await memory([careless])
    expect(await executor.execute(careless)).toBe("kept")
  })
})

describe("a step", () => {
  it("is tried again, with waits that are timers, and one key for all attempts", async () => {
    const keys = new Set<string>()
    const flaky = defineWorkflow("flaky", {}, (ctx) =>
      ctx.step(
        "charge",
        ({ attempt, idempotencyKey }) => {
          keys.add(idempotencyKey)
          if (attempt < 4) throw new Error(`no ${attempt}`)
          return attempt
        },
        { retries: 3, backoff: { initial: 1, factor: 1.5, max: "2 millis" } }
      )
    )
    const executor = await memory([flaky])
    const runId = await executor.startRun(flaky)
    expect(await executor.result(flaky, runId)).toBe(4)
    expect(keys.size).toBe(1)
    expect(await stepsOf(executor, runId)).toEqual([
      "charge/1 failed",
      "charge/2 failed",
      "charge/3 failed",
      "charge/4 completed"
    ])
  })

  it("fails with the last error when there are no retries left, or none is worth it", async () => {
    const broken = defineWorkflow("broken", {}, (ctx, only: string) =>
      ctx.step(
        "a",
        ({ attempt }) => {
          throw failing("Broken", `no ${attempt}`)
        },
        { retries: 2, backoff: 0, retryWhile: ({ message }) => only === "" || message === only }
      )
    )
    const executor = await memory([broken])
    expect(await rejection(executor.execute(broken, ""))).toMatchObject({ message: "no 3" })
    expect(await rejection(executor.execute(broken, "no 1"))).toMatchObject({ message: "no 2" })
  })

  it("that takes too long is aborted, and fails", async () => {
    let aborted = false
    const slow = defineWorkflow("slow", {}, (ctx) =>
      ctx.step(
        "wait",
        ({ signal }) =>
          new Promise(() => {
            signal.addEventListener("abort", () => {
              aborted = true
            })
          }),
        { timeout: 5 }
      )
    )
    const executor = await memory([slow])
    expect(await rejection(executor.execute(slow))).toMatchObject({
      name: "TimeoutError",
      message: 'Step "wait" took longer than 5ms'
    })
    expect(aborted).toBe(true)
  })

  it("of a name that was there has a number", async () => {
    const repeated = defineWorkflow("repeated", {}, async (ctx) => {
      const all: Array<number> = []
      for (let n = 0; n < 3; n++) all.push(await ctx.step("a", () => n))
      return all
    })
    const executor = await memory([repeated])
    const runId = await executor.startRun(repeated)
    expect(await executor.result(repeated, runId)).toEqual([0, 1, 2])
    expect(await stepsOf(executor, runId)).toEqual([
      "a/1 completed",
      "a#2/1 completed",
      "a#3/1 completed"
    ])
  })

  it("may not have a name that the engine has for itself", async () => {
    const named = defineWorkflow("named", {}, (ctx, name: string) => ctx.step(name, () => 1))
    const executor = await memory([named])
    for (const name of ["", "DurableClock/a"]) {
      expect(await rejection(executor.execute(named, name))).toMatchObject({ name: "TypeError" })
    }
  })

  it("is executed beside others", async () => {
    const work = { a: gate(), b: gate() }
    const parallel = defineWorkflow("parallel", {}, (ctx) =>
      Promise.all(
        (["a", "b"] as const).map((name) =>
          ctx.step(name, async () => {
            work[name].enter()
            await work[name].pass
            return name
          })
        )
      )
    )
    const executor = await memory([parallel])
    const result = executor.execute(parallel)
    await Promise.all([work.a.entered, work.b.entered])
    work.b.open()
    work.a.open()
    expect(await result).toEqual(["a", "b"])
  })

  it("of one branch goes on to the next, while another waits for a signal", async () => {
    const branches = defineWorkflow("branches", {}, (ctx) =>
      Promise.all([
        ctx.signal<string>("go"),
        (async () => {
          let n = 0
          for (const name of ["a", "b", "c"]) n += await ctx.step(name, () => 1)
          return n
        })()
      ])
    )
    const executor = await memory([branches])
    const runId = await executor.startRun(branches)
    await suspended(executor, runId)
    expect(await stepsOf(executor, runId)).toHaveLength(3)
    await executor.signal("go", { runId }, "yes")
    expect(await executor.result(branches, runId)).toEqual(["yes", 3])
  })

  it("is one of a thousand at once", async () => {
    const many = defineWorkflow("many", {}, async (ctx) => {
      const names = Array.from({ length: 1_000 }, (_, n) => `step ${n}`)
      const all = await Promise.all(names.map((name) => ctx.step(name, async () => name.length)))
      return all.length
    })
    const executor = await memory([many])
    expect(await executor.execute(many)).toBe(1_000)
  })

  it("that the function does not wait for is given up", async () => {
    const work = gate()
    let aborted = false
    const raced = defineWorkflow("raced", {}, (ctx) =>
      Promise.race([
        ctx.step("slow", async ({ signal }) => {
          signal.addEventListener("abort", () => {
            aborted = true
          })
          work.enter()
          await work.pass
          return "slow"
        }),
        ctx.step("fast", async () => {
          await work.entered
          return "fast"
        })
      ])
    )
    const executor = await memory([raced])
    expect(await executor.execute(raced)).toBe("fast")
    expect(aborted).toBe(true)
  })

  it("is aborted when it is cut at the stop timeout, and executes again", async () => {
    const database = file()
    const entered = gate()
    const log: Array<string> = []
    const long = defineWorkflow("long", {}, async (ctx) => {
      try {
        return await ctx.step("work", async ({ signal }) => {
          log.push("work")
          entered.enter()
          if (log.length > 1) return "done"
          await new Promise((resolve) => signal.addEventListener("abort", resolve))
          log.push("aborted")
          return "too late"
        })
      } finally {
        log.push("finally")
      }
    })
    const first = await started(onFile({ database, workflows: [long], stopTimeout: 0 }))
    const runId = await first.startRun(long)
    await entered.entered
    expect(await first.stop()).toMatchObject({ stepsCut: 1 })
    expect(log).toEqual(["work", "aborted"])

    const second = await started(onFile({ database, workflows: [long] }))
    expect(await second.result(long, runId)).toBe("done")
    expect(log).toEqual(["work", "aborted", "work", "finally"])
  })

  it("is aborted when its run is interrupted, and no catch is executed", async () => {
    const entered = gate()
    const log: Array<string> = []
    const long = defineWorkflow("long", {}, async (ctx) => {
      try {
        await ctx.step("work", ({ signal }) => {
          signal.addEventListener("abort", () => log.push("aborted"))
          entered.enter()
          return new Promise(() => {})
        })
      } catch {
        log.push("caught")
      } finally {
        log.push("finally")
      }
    })
    const executor = await memory([long])
    const runId = await executor.startRun(long)
    await entered.entered
    const result = rejection(executor.result(long, runId))
    await executor.interrupt(runId)
    expect(await result).toMatchObject({ _tag: "RunInterrupted" })
    expect(log).toEqual(["aborted"])
  })
})

describe("a wait", () => {
  it("for a signal is a row, until the signal comes", async () => {
    const approved = defineWorkflow("approved", {}, async (ctx) => {
      const before = await ctx.step("before", () => "before")
      const { by } = await ctx.signal<{ by: string }>("approval")
      const again = await ctx.signal<{ by: string }>("approval")
      return [before, by, again.by]
    })
    const executor = await memory([approved])
    const runId = await executor.startRun(approved)
    await suspended(executor, runId)
    await executor.signal("approval", { runId }, { by: "Ada" })
    await executor.signal("approval", { runId }, { by: "Bob" })
    expect(await executor.result(approved, runId)).toEqual(["before", "Ada", "Ada"])
  })

  it("for a signal may have an end, and says what its value has to be", async () => {
    const schema = Schema.standardSchemaV1(Schema.Number)
    const impatient = defineWorkflow("impatient", {}, async (ctx) => {
      const late = await ctx.signal("never", { timeout: 1 }).catch((error: Error) => error.name)
      return [late, await ctx.signal("number", { schema, timeout: "1 day" })]
    })
    const executor = await memory([impatient])
    const runId = await executor.startRun(impatient)
    await suspended(executor, runId)
    // what comes after the end was recorded changes nothing
    await executor.signal("never", { runId }, "late")
    await executor.signal("number", { runId }, "five")
    expect(await rejection(executor.result(impatient, runId))).toMatchObject({
      name: "InvalidSignal"
    })
  })

  it("for time is a timer, also of a fraction of a millisecond", async () => {
    const sleepy = defineWorkflow("sleepy", {}, async (ctx) => {
      await ctx.sleep(0.5)
      await ctx.sleep("20 millis")
      return "awake"
    })
    const executor = await memory([sleepy])
    expect(await executor.execute(sleepy)).toBe("awake")
  })

  it("of a duration that is none rejects, and says what was given and what is allowed", async () => {
    const waits = defineWorkflow("waits", {}, (ctx, { how }: { how: string }) => {
      // what JavaScript callers send
      const soon = "soon" as never
      if (how === "sleep") return ctx.sleep(soon)
      if (how === "signal") return ctx.signal("never", { timeout: soon })
      if (how === "timeout") return ctx.step("step", () => {}, { timeout: soon })
      if (how === "retries") return ctx.step("step", () => {}, { retries: -1 })
      return ctx.step("step", () => {}, { retries: 1, backoff: soon })
    })
    const executor = await memory([waits])
    for (const [how, said] of [
      ["sleep", 'the duration of a sleep is "soon"; expected a duration'],
      ["signal", 'timeout is "soon"; expected a duration'],
      ["timeout", 'timeout is "soon"; expected a duration'],
      ["backoff", 'backoff is "soon"; expected a duration'],
      ["retries", "retries is -1; expected a whole number of 0 or more"]
    ] as const) {
      const error = await rejection(executor.execute(waits, { how }))
      expect(String((error as Error).message), how).toContain(said)
    }
  })

  it("until a time that is past is none", async () => {
    const late = defineWorkflow("late", {}, async (ctx) => {
      await ctx.sleep(-5_000)
      return "on time"
    })
    const executor = await memory([late])
    expect(await executor.execute(late)).toBe("on time")
  })

  it("for something else than the context is a wait all the same", async () => {
    const turns = defineWorkflow("turns", {}, async (ctx) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      const a = await ctx.step("a", () => 1)
      for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve))
      return a + (await ctx.step("b", () => 1))
    })
    const executor = await memory([turns])
    expect(await executor.execute(turns)).toBe(2)
  })
})

describe("a child", () => {
  const child = defineWorkflow("child", {}, async (ctx, { n }: { n: number }) => {
    if (n < 0) throw failing("Negative", `${n}`)
    return await ctx.step("twice", () => n * 2)
  })

  it("is a run of its own for each call, and gives its result or its error", async () => {
    const parent = defineWorkflow("parent", {}, async (ctx) => {
      const all = await Promise.all([1, 2, 2].map((n) => ctx.child(child, { n })))
      const error = await ctx.child(child, { n: -1 }).catch((error: Error) => error)
      return [...all, error instanceof RecordedError ? error.name : ""]
    })
    const executor = await memory([parent, child])
    expect(await executor.execute(parent)).toEqual([2, 4, 4, "Negative"])
    expect((await executor.list({ workflow: "child" })).runs).toHaveLength(4)
  })

  it("of a payload that is none is not started", async () => {
    const strict = defineWorkflow("strict", { payload: Id }, async () => 1)
    const parent = defineWorkflow("parent", {}, (ctx) =>
      ctx.child(strict, JSON.parse("{}")).catch((error: Error) => error.name)
    )
    const executor = await memory([parent, strict])
    expect(await executor.execute(parent)).toBe("InvalidPayload")
  })

  it("that is interrupted rejects", async () => {
    const waits = defineWorkflow("waits", {}, (ctx) => ctx.signal("never"))
    const parent = defineWorkflow("parent", {}, (ctx) =>
      ctx.child(waits).catch((error: Error) => error.name)
    )
    const executor = await memory([parent, waits])
    const runId = await executor.startRun(parent)
    await suspended(executor, runId)
    const [run] = (await executor.list({ workflow: "waits" })).runs
    await executor.interrupt(run?.runId ?? "")
    expect(await executor.result(parent, runId)).toBe("RunInterrupted")
  })
})

describe("the context", () => {
  it("is refused inside a step, and after the function is over", async () => {
    const refused: Array<unknown> = []
    const wrong = defineWorkflow("wrong", {}, async (ctx) => {
      await ctx.step("outer", async () => {
        refused.push(await rejection(ctx.step("inner", () => 1)))
      })
      return ctx.runId
    })
    const late = gate()
    const after = defineWorkflow("after", {}, async (ctx) => {
      void late.pass.then(async () => {
        refused.push(await rejection(ctx.sleep("1 day")))
        late.enter()
      })
    })
    const executor = await memory([wrong, after])
    const runId = await executor.startRun(wrong)
    expect(await executor.result(wrong, runId)).toBe(runId)
    await executor.execute(after)
    late.open()
    await late.entered
    expect(refused).toMatchObject([
      { message: expect.stringContaining("inside a step") },
      { message: expect.stringContaining("has returned") }
    ])
  })
})

describe("another run", () => {
  it("may be started inside a step, as by anybody", async () => {
    const other = defineWorkflow("other", {}, (ctx) => ctx.step("a", () => "other"))
    const outer = defineWorkflow("outer", {}, (ctx) =>
      ctx.step("outer", () => executor.execute(other))
    )
    const executor: PromiseExecutor.PromiseExecutor = await memory([outer, other])
    expect(await executor.execute(outer)).toBe("other")
  })
})

describe("after a restart", () => {
  it("a run goes on where it was, and no recorded step executes again", async () => {
    const database = file()
    const log: Array<string> = []
    const noted = (name: string) => () => {
      log.push(name)
      return name
    }
    const order = defineWorkflow("order", {}, async (ctx) => {
      const all = await Promise.all(["a", "b"].map((name) => ctx.step(name, noted(name))))
      const error = await ctx
        .step("c", () => {
          log.push("c")
          throw failing("Declined", "no")
        })
        .catch((error: Error) => error.name)
      const signal = await ctx.signal<string>("go")
      await ctx.sleep("5 millis")
      return [...all, error, signal, await ctx.step("d", noted("d"))]
    })
    const first = await started(onFile({ database, workflows: [order] }))
    const runId = await first.startRun(order)
    await suspended(first, runId)
    await first.stop()
    expect(log).toEqual(["a", "b", "c"])

    const second = await started(onFile({ database, workflows: [order] }))
    await second.signal("go", { runId }, "gone")
    expect(await second.result(order, runId)).toEqual(["a", "b", "Declined", "gone", "d"])
    expect(log).toEqual(["a", "b", "c", "d"])
  })

  it("a step in flight is recorded by the drain, and the run goes on behind it", async () => {
    const database = file()
    const work = gate()
    const log: Array<string> = []
    const order = defineWorkflow("order", {}, async (ctx) => {
      await ctx.step("a", async () => {
        log.push("a")
        work.enter()
        await work.pass
      })
      return await ctx.step("b", () => {
        log.push("b")
        return "done"
      })
    })
    const first = await started(onFile({ database, workflows: [order] }))
    const runId = await first.startRun(order)
    await work.entered
    const stopped = first.stop()
    work.open()
    expect(await stopped).toMatchObject({ stepsCut: 0, handedOver: 1 })
    expect(log).toEqual(["a"])

    const second = await started(onFile({ database, workflows: [order] }))
    expect(await second.result(order, runId)).toBe("done")
    expect(log).toEqual(["a", "b"])
  })
})

describe("runs of it", () => {
  it("are listed, retried and removed", async () => {
    let mended = false
    const broken = defineWorkflow("broken", {}, async (ctx, n: number) => {
      const a = await ctx.step("a", () => n)
      return await ctx.step("b", () => {
        if (!mended) throw new Error("broken")
        return a + 1
      })
    })
    const executor = await memory([broken])
    const runIds: Array<string> = []
    for (const n of [1, 2, 3]) {
      const runId = await executor.startRun(broken, n)
      await rejection(executor.result(broken, runId))
      runIds.unshift(runId)
    }
    const page = await executor.list({ workflow: "broken", status: ["failed"], limit: 2 })
    const rest = await executor.list({ limit: 2, cursor: page.nextCursor ?? "" })
    expect([...page.runs, ...rest.runs].map(({ runId }) => runId)).toEqual(runIds)

    mended = true
    const [runId = "", other = ""] = runIds
    await executor.retry(runId)
    expect(await executor.result(broken, runId)).toBe(4)
    expect(await rejection(executor.retry(runId))).toMatchObject({ _tag: "NotRetryable" })

    await executor.remove(other)
    expect(await rejection(executor.remove(other))).toMatchObject({ _tag: "RunNotFound" })
    expect((await executor.list()).runs).toHaveLength(2)
  })

  it("are watched until they are over", async () => {
    const work = gate()
    const watched = defineWorkflow("watched", {}, (ctx) =>
      ctx.step("work", async () => {
        work.enter()
        await work.pass
        return "done"
      })
    )
    const executor = await memory([watched])
    const runId = await executor.startRun(watched)
    await work.entered
    const seen: Array<string> = []
    for await (const { status, steps } of executor.watch(runId)) {
      seen.push(`${status}: ${steps.map((step) => step.status).join()}`)
      work.open()
    }
    expect(seen[0]).toBe("running: running")
    expect(seen.at(-1)).toBe("completed: completed")
    await expect(executor.watch("none").next()).rejects.toMatchObject({ _tag: "RunNotFound" })
  })

  it("are not watched any longer than the executor is there, or wanted", async () => {
    const waits = defineWorkflow("waits", {}, (ctx) => ctx.signal("never"))
    const executor = await memory([waits])
    const runId = await executor.startRun(waits)
    await suspended(executor, runId)
    const controller = new AbortController()
    const aborted = executor.watch(runId, { signal: controller.signal })
    const watching = executor.watch(runId)
    await aborted.next()
    await watching.next()
    const reason = new Error("enough")
    const abortedNext = rejection(aborted.next())
    controller.abort(reason)
    expect(await abortedNext).toBe(reason)
    const next = rejection(watching.next())
    await executor.stop()
    expect(await next).toMatchObject({ _tag: "RunNotOver", runId })
  })

  it("are watched where another process executes them", async () => {
    const database = file()
    const waits = defineWorkflow("waits", {}, (ctx) => ctx.signal<string>("go"))
    const here = await started(onFile({ database, workflows: [waits] }))
    const there = await started(onFile({ database, workflows: [] }))
    const runId = await here.startRun(waits)
    await suspended(here, runId)
    const watching = there.watch(runId)
    expect((await watching.next()).value).toMatchObject({ status: "suspended" })
    await here.signal("go", { runId }, "yes")
    let last: unknown
    for await (const { status } of watching) last = status
    expect(last).toBe("completed")
  })
})
