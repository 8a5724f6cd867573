import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { DurableDeferred, Workflow } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import OrderLive, { Approval, NotApproved, Order, OutOfStock } from "../../examples/order.js"
import { Executor, Runs, SqliteRunStore } from "../../src/index.js"

// a test that fails in the middle of a step is not to wait for it: the TestClock stands still then
const Test = OrderLive.pipe(Layer.provideMerge(Executor.layerTest({ stopTimeout: 0 })))

const start = (payload: Parameters<typeof Order.execute>[0]) =>
  Order.execute(payload, { discard: true })

const say = (runId: string, value: "approved" | "refused") =>
  DurableDeferred.succeed(Approval, {
    token: DurableDeferred.tokenFromExecutionId(Approval, { workflow: Order, executionId: runId }),
    value
  })

const run = (runId: string) => Effect.flatMap(Runs.Runs, (runs) => runs.get(runId))

/** `name/attempt: status`, in the order in which they started. */
const steps = (runId: string) =>
  Effect.map(run(runId), ({ steps }) =>
    steps.map((step) => `${step.name}/${step.attempt}: ${step.status}`)
  )

const reservedAndCharged = ["reserve/1: completed", "charge/1: failed", "charge/2: completed"]

/** The order waits for its approval from here on. */
const untilCharged = TestClock.adjust("6 seconds")

const complete = <A, E>(exit: Exit.Exit<A, E>) => new Workflow.Complete({ exit })

const notApproved = (orderId: string, reason: "refused" | "too late") =>
  complete(Exit.fail(new NotApproved({ reason, message: `${orderId}: ${reason}` })))

describe("the bundled example", () => {
  it.effect("reserves, charges at the second attempt, waits for its approval and ships", () =>
    Effect.gen(function* () {
      const runId = yield* start({ orderId: "1" })
      yield* untilCharged
      assert.strictEqual((yield* run(runId)).status, "suspended")
      assert.deepStrictEqual(yield* steps(runId), reservedAndCharged)

      yield* say(runId, "approved")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* steps(runId), [...reservedAndCharged, "ship/1: completed"])
      const { result, status } = yield* run(runId)
      assert.strictEqual(status, "completed")
      assert.match(JSON.stringify(result), /^{"receipt":"receipt \w+","parcel":"parcel of 1"}$/)
    }).pipe(Effect.provide(Test))
  )

  it.effect("takes an approval that comes before it waits for one", () =>
    Effect.gen(function* () {
      const runId = yield* start({ orderId: "2" })
      yield* say(runId, "approved")
      yield* TestClock.adjust("8 seconds")
      assert.strictEqual((yield* run(runId)).status, "completed")
    }).pipe(Effect.provide(Test))
  )

  it.effect("refunds, then releases the reservation, when it is refused", () =>
    Effect.gen(function* () {
      const runId = yield* start({ orderId: "3" })
      yield* untilCharged
      yield* say(runId, "refused")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* Order.poll(runId), notApproved("3", "refused"))
      assert.deepStrictEqual(yield* steps(runId), [
        ...reservedAndCharged,
        "refund/1: completed",
        "release/1: completed"
      ])
    }).pipe(Effect.provide(Test))
  )

  it.effect("refunds and releases when nobody has said anything at the deadline", () =>
    Effect.gen(function* () {
      const runId = yield* start({ orderId: "4", approveWithin: 3600 })
      yield* untilCharged
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual((yield* run(runId)).status, "suspended")
      yield* TestClock.adjust("1 minute")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* Order.poll(runId), notApproved("4", "too late"))
      assert.deepStrictEqual((yield* steps(runId)).slice(3), [
        "refund/1: completed",
        "release/1: completed"
      ])
    }).pipe(Effect.provide(Test))
  )

  it.effect("gives ten minutes for the approval unless told otherwise", () =>
    Effect.gen(function* () {
      const runId = yield* start({ orderId: "5" })
      yield* untilCharged
      yield* TestClock.adjust("9 minutes")
      assert.strictEqual((yield* run(runId)).status, "suspended")
      yield* TestClock.adjust("1 minute")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* Order.poll(runId), notApproved("5", "too late"))
    }).pipe(Effect.provide(Test))
  )

  it.effect("refunds what nobody approves, also after a restart", () =>
    Effect.gen(function* () {
      const executor = OrderLive.pipe(Layer.provideMerge(Executor.layerTestCore()))
      const runId = yield* Effect.zipLeft(start({ orderId: "9" }), untilCharged).pipe(
        Effect.provide(executor)
      )
      // a month in which no executor is there
      yield* TestClock.adjust("30 days")
      yield* Effect.gen(function* () {
        yield* TestClock.adjust("4 seconds")
        assert.deepStrictEqual(yield* Order.poll(runId), notApproved("9", "too late"))
        assert.deepStrictEqual((yield* steps(runId)).slice(3), [
          "refund/1: completed",
          "release/1: completed"
        ])
      }).pipe(Effect.provide(executor))
    }).pipe(Effect.provide(SqliteRunStore.layerMemory))
  )

  it.effect("lets an approval after the deadline change nothing", () =>
    Effect.gen(function* () {
      const runId = yield* start({ orderId: "6", approveWithin: 1 })
      yield* untilCharged
      // in the middle of the refund
      yield* TestClock.adjust("2 seconds")
      yield* say(runId, "approved")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Order.poll(runId), notApproved("6", "too late"))
    }).pipe(Effect.provide(Test))
  )

  it.effect("fails with a typed error, and compensates nothing, where nothing was done", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Order.execute({ orderId: "7", quantity: 101 }))
      assert.isTrue(Exit.isFailure(exit))
      const failure = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(failure, OutOfStock)
      const runId = yield* Order.executionId({ orderId: "7" })
      assert.deepStrictEqual(yield* steps(runId), ["reserve/1: failed"])
    }).pipe(Effect.provide(Test))
  )
})

const temporaryFile = Effect.map(
  Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "order-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true }))
  ),
  (folder) => join(folder, "executor.db")
)

/** What the executor and the shop log. */
const collected = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ message }) => void lines.push(String(message)))
  return { lines, layer: Logger.replace(Logger.defaultLogger, logger) }
}

const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** A file answers some turns of the event loop later, however still the TestClock stands. */
const eventually = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  holds: (value: A) => boolean
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.zipRight(turn, effect), (value) =>
    holds(value) ? Effect.succeed(value) : eventually(effect, holds)
  )

describe("the bundled example on a SQLite file", () => {
  it.scoped("goes on where it was when its executor is replaced in the middle of a step", () =>
    Effect.gen(function* () {
      const database = yield* temporaryFile
      const { layer: logger, lines } = collected()
      const executor = (scope: Scope.Scope) =>
        Executor.layer({ workflows: OrderLive, database, http: false }).pipe(
          Layer.provide(logger),
          Layer.buildWithScope(scope)
        )
      const last = (runId: string, step: string) =>
        eventually(steps(runId), (names) => names.at(-1) === step)

      const first = yield* Scope.make()
      const runId = yield* Effect.gen(function* () {
        const runId = yield* start({ orderId: "8" })
        yield* last(runId, "reserve/1: running")
        yield* TestClock.adjust("2 seconds")
        yield* last(runId, "charge/1: running")
        return runId
      }).pipe(Effect.provide(yield* executor(first)))

      const closing = yield* Effect.fork(Scope.close(first, Exit.void))
      yield* eventually(
        Effect.sync(() => lines),
        (lines) => lines.includes("drain begun")
      )
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(lines, [
        "shop: connected",
        "runner running",
        "executor ready",
        "shop: 1 reserved",
        "drain begun",
        "shop: the bank does not answer",
        "drain over",
        "shop: connection closed"
      ])

      lines.length = 0
      const second = yield* Scope.make()
      yield* Effect.gen(function* () {
        yield* last(runId, "charge/2: running")
        yield* TestClock.adjust("2 seconds")
        yield* eventually(run(runId), ({ status }) => status === "suspended")
        yield* say(runId, "approved")
        yield* last(runId, "ship/1: running")
        yield* TestClock.adjust("2 seconds")
        yield* eventually(run(runId), ({ status }) => status === "completed")
        assert.deepStrictEqual(yield* steps(runId), [...reservedAndCharged, "ship/1: completed"])
      }).pipe(Effect.provide(yield* executor(second)))
      yield* Scope.close(second, Exit.void)
      assert.deepStrictEqual(lines, [
        "shop: connected",
        "runner running",
        "executor ready",
        "shop: card charged",
        "shop: shipped",
        "drain begun",
        "drain over",
        "shop: connection closed"
      ])
    })
  )
})
