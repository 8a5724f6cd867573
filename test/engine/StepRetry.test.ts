/** Steps that are tried again: how often, after which waits, and what of it outlasts a process. */
import { assert, describe, it } from "@effect/vitest"
import { Activity } from "@effect/workflow"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { expectTypeOf } from "vitest"
import * as Step from "../../src/engine/Step.js"
import {
  type Env,
  exitOf,
  inProcess,
  memoryTest,
  pass,
  register,
  step,
  temporaryFile,
  textWorkflow,
  turns,
  untilSuspended,
  untilTrue
} from "./support.js"

/** A step that fails until that attempt, and notes when each was made. */
const flaky = (log: Array<string>, name: string, goodAttempt = Number.POSITIVE_INFINITY) =>
  step(
    name,
    Effect.gen(function* () {
      const attempt = yield* Activity.CurrentAttempt
      log.push(`${name}/${attempt} at ${yield* Clock.currentTimeMillis}`)
      return yield* attempt < goodAttempt ? Effect.fail(`no ${attempt}`) : Effect.succeed(name)
    })
  )

const begin = (body: Effect.Effect<string, string, Env | Scope.Scope>) =>
  Effect.gen(function* () {
    const W = textWorkflow()
    yield* register(W.toLayer(() => body))
    const runId = yield* W.execute({ id: "1" }, { discard: true })
    return { runId, exit: exitOf(W, runId), suspended: untilSuspended(W, runId) }
  })

describe("a step that is tried again", () => {
  memoryTest("waits as the schedule says, and then succeeds", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const schedule = Schedule.exponential("30 seconds")
      const { exit, suspended } = yield* begin(
        Step.retry(flaky(log, "a", 4), { times: 5, schedule })
      )
      for (const wait of ["30 seconds", "1 minute", "2 minutes"] as const) {
        yield* suspended
        yield* pass(wait)
      }
      assert.deepStrictEqual(yield* exit, Exit.succeed("a"))
      assert.deepStrictEqual(log, ["a/1 at 0", "a/2 at 30000", "a/3 at 90000", "a/4 at 210000"])
    })
  )

  memoryTest("makes no waits without a schedule, and fails with the last error", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { exit } = yield* begin(flaky(log, "a").pipe(Step.retry({ times: 2 })))
      assert.deepStrictEqual(yield* exit, Exit.fail("no 3"))
      assert.deepStrictEqual(log, ["a/1 at 0", "a/2 at 0", "a/3 at 0"])
    })
  )

  memoryTest("fails with the last error when the schedule is done", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const schedule = Schedule.intersect(Schedule.spaced("0.5 millis"), Schedule.recurs(2))
      const { exit } = yield* begin(Step.retry(flaky(log, "a"), { schedule }))
      for (let n = 0; n < 2; n++) {
        yield* turns()
        yield* pass(1)
      }
      assert.deepStrictEqual(yield* exit, Exit.fail("no 3"))
      // a fraction of a millisecond is a whole one
      assert.deepStrictEqual(log, ["a/1 at 0", "a/2 at 1", "a/3 at 2"])
    })
  )

  memoryTest("is given up at an error that is not worth it", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { exit } = yield* begin(
        flaky(log, "a").pipe(Step.retry({ times: 5, while: (error) => error !== "no 2" }))
      )
      assert.deepStrictEqual(yield* exit, Exit.fail("no 2"))
      assert.strictEqual(log.length, 2)
    })
  )

  memoryTest("is not tried again after a defect", () =>
    Effect.gen(function* () {
      let count = 0
      const broken = step(
        "broken",
        Effect.sync(() => {
          count++
          throw new TypeError("broken")
        })
      )
      const { exit } = yield* begin(Step.retry(broken, { times: 5 }))
      assert.isTrue(Exit.isFailure(yield* exit))
      assert.strictEqual(count, 1)
    })
  )

  memoryTest("works beside others, each with waits of its own", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const every = (wait: Duration.DurationInput) => ({ schedule: Schedule.spaced(wait) })
      const { exit } = yield* begin(
        Effect.all(
          [
            Step.retry(flaky(log, "a", 3), every("10 minutes")),
            Step.retry(flaky(log, "b", 2), every("15 minutes"))
          ],
          { concurrency: "unbounded" }
        ).pipe(Effect.map((all) => all.join()))
      )
      for (let n = 0; n < 4; n++) {
        yield* turns()
        yield* pass("5 minutes")
      }
      assert.deepStrictEqual(yield* exit, Exit.succeed("a,b"))
      assert.deepStrictEqual(log, [
        "a/1 at 0",
        "b/1 at 0",
        "a/2 at 600000",
        "b/2 at 900000",
        "a/3 at 1200000"
      ])
    })
  )
})

class Bank extends Context.Tag("Bank")<Bank, { readonly charge: Effect.Effect<string> }>() {}

describe("what is tried again", () => {
  it("has the types of its Activity", () => {
    const charge = step(
      "charge",
      Effect.flatMap(Bank, (bank) => bank.charge)
    )
    const schedule = Schedule.spaced("1 second")
    type Charged = Effect.Effect<string, string, Bank | Env>
    const first = Step.retry(charge, { times: 1, while: (error) => error.length > 1 })
    const last = charge.pipe(Step.retry({ schedule, while: (error) => error.length > 1 }))
    expectTypeOf(first).toEqualTypeOf<Charged>()
    expectTypeOf(last).toEqualTypeOf<Charged>()
    // @ts-expect-error an effect that is no Activity is no step
    assert.isTrue(Effect.isEffect(Step.retry(Effect.void, { times: 1 })))
  })
})

describe("a wait between attempts", () => {
  it.scoped("goes on in the next process, and no attempt is made twice", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const W = textWorkflow()
      const log: Array<string> = []
      const Live = W.toLayer(() =>
        Step.retry(flaky(log, "a", 3), { times: 5, schedule: Schedule.spaced("30 seconds") })
      )
      const runId = yield* Effect.gen(function* () {
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* TestClock.adjust("10 seconds")
        return runId
      }).pipe(inProcess(filename, Live))
      yield* Effect.gen(function* () {
        yield* untilSuspended(W, runId)
        yield* pass("19999 millis")
        assert.deepStrictEqual(log, ["a/1 at 0"])
        yield* pass(1)
        yield* untilTrue("the second attempt", () => log.length === 2)
        yield* untilSuspended(W, runId)
        yield* pass("30 seconds")
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("a"))
      }).pipe(inProcess(filename, Live))
      assert.deepStrictEqual(log, ["a/1 at 0", "a/2 at 30000", "a/3 at 60000"])
    })
  )

  /** Lets each wait pass between two processes, until the run is over. */
  const restarted = (
    schedule: Schedule.Schedule<unknown, string>,
    attempts: number,
    goodAttempt?: number
  ) =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const W = textWorkflow()
      const log: Array<string> = []
      const Live = W.toLayer(() => Step.retry(flaky(log, "a", goodAttempt), { schedule }))
      const process = inProcess(filename, Live)
      const runId = yield* process(W.execute({ id: "1" }, { discard: true }))
      for (let n = 1; n < attempts; n++) {
        yield* Effect.gen(function* () {
          yield* untilTrue("an attempt", () => log.length === n)
          yield* untilSuspended(W, runId)
        }).pipe(process)
        yield* TestClock.adjust("1 hour")
      }
      const exit = yield* process(exitOf(W, runId))
      assert.strictEqual(log.length, attempts)
      return exit
    })

  it.scoped("is as long on every replay where it is random", () =>
    Effect.gen(function* () {
      const waits: Array<number> = []
      const schedule = Schedule.spaced("30 seconds").pipe(
        Schedule.addDelayEffect(() =>
          Effect.map(Random.nextIntBetween(1, 1_000_000), (millis) => {
            waits.push(millis)
            return Duration.millis(millis)
          })
        )
      )
      assert.deepStrictEqual(yield* restarted(schedule, 4, 4), Exit.succeed("a"))
      assert.isAbove(waits.length, 3)
      assert.strictEqual(new Set(waits).size, 3)
    })
  )

  it.scoped("is what elapsed time is made of, however late a process goes on", () =>
    Effect.gen(function* () {
      const schedule = Schedule.upTo(Schedule.spaced("1 minute"), "150 seconds")
      assert.deepStrictEqual(yield* restarted(schedule, 4), Exit.fail("no 4"))
    })
  )

  memoryTest("is jittered where the schedule is", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const schedule = Schedule.jittered(Schedule.exponential("0.3 millis"))
      const { exit } = yield* begin(Step.retry(flaky(log, "a", 3), { times: 5, schedule }))
      for (let n = 0; n < 2; n++) {
        yield* turns()
        yield* pass(1)
      }
      assert.deepStrictEqual(yield* exit, Exit.succeed("a"))
      assert.deepStrictEqual(log, ["a/1 at 0", "a/2 at 1", "a/3 at 2"])
    })
  )
})
