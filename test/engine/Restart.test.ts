/** Runs that go on in the next process, after a drain and after a crash. */
import { assert, describe, it } from "@effect/vitest"
import {
  Activity,
  DurableClock,
  DurableDeferred,
  Workflow,
  type WorkflowEngine
} from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { RunStore } from "../../src/store/RunStore.js"
import {
  copyOfFile,
  exitOf,
  inProcess,
  noted,
  pass,
  step,
  temporaryFile,
  textWorkflow,
  turns,
  until,
  untilSuspended,
  untilTrue
} from "./support.js"

const OrderId = Schema.String.pipe(Schema.brand("OrderId"))

class Money extends Schema.Class<Money>("Money")({
  amount: Schema.Number,
  currency: Schema.String
}) {}

class Refused extends Schema.TaggedError<Refused>()("Refused", {
  id: OrderId,
  until: Schema.Date
}) {}

const Gate = DurableDeferred.make("Gate", { success: Schema.String })

const signal = (workflow: Workflow.Any, runId: string, value = "go") =>
  DurableDeferred.succeed(Gate, {
    token: DurableDeferred.tokenFromExecutionId(Gate, { workflow, executionId: runId }),
    value
  })

const test = (name: string, body: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.scoped(name, () => Effect.suspend(body))

/** The id of a run of a process that ended once it was suspended. */
const suspendedRun = (
  workflow: ReturnType<typeof textWorkflow>,
  filename: string,
  live: Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>
) =>
  Effect.gen(function* () {
    const runId = yield* workflow.execute({ id: "1" }, { discard: true })
    yield* untilSuspended(workflow, runId)
    return runId
  }).pipe(inProcess(filename, live))

describe("after a restart", () => {
  test("a suspended run goes on, and what it has recorded comes back as it was", () =>
    Effect.gen(function* () {
      const W = Workflow.make({
        name: "Order",
        payload: { id: OrderId, due: Schema.Date, price: Money },
        success: Schema.Struct({ at: Schema.Date, price: Money }),
        idempotencyKey: ({ id }) => id
      })
      const log: Array<string> = []
      const Approval = DurableDeferred.make("Approval", {
        success: Schema.Struct({ by: OrderId, on: Schema.Date })
      })
      const Live = W.toLayer(({ due, price }) =>
        Effect.gen(function* () {
          assert.isTrue(due instanceof Date && price instanceof Money)
          const charged = yield* Activity.make({
            name: "charge",
            success: Schema.Struct({ at: Schema.Date, price: Money }),
            execute: Effect.sync(() => {
              log.push("charge")
              return { at: new Date(5), price: new Money({ amount: 2, currency: "EUR" }) }
            })
          })
          assert.isTrue(charged.at instanceof Date && charged.price instanceof Money)
          const error = yield* Activity.make({
            name: "refuse",
            error: Refused,
            execute: Effect.suspend(() => {
              log.push("refuse")
              return Effect.fail(new Refused({ id: OrderId.make("x"), until: new Date(7) }))
            })
          }).pipe(Effect.flip, Effect.orDie)
          assert.isTrue(error instanceof Refused && error.until instanceof Date)
          const defect = yield* Activity.make({
            name: "break",
            execute: Effect.suspend(() => {
              log.push("break")
              return Effect.die(new TypeError("broken"))
            })
          }).pipe(Effect.sandbox, Effect.flip, Effect.orDie)
          assert.strictEqual((Cause.squash(defect) as Error).message, "broken")
          const approval = yield* DurableDeferred.await(Approval)
          assert.isTrue(approval.on instanceof Date)
          return charged
        })
      )
      const filename = yield* temporaryFile
      const payload = {
        id: OrderId.make("o"),
        due: new Date(3),
        price: new Money({ amount: 1, currency: "EUR" })
      }
      const runId = yield* Effect.gen(function* () {
        const runId = yield* W.execute(payload, { discard: true })
        yield* untilSuspended(W, runId)
        return runId
      }).pipe(inProcess(filename, Live))
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* W.poll(runId))?._tag, "Suspended")
        yield* DurableDeferred.succeed(Approval, {
          token: DurableDeferred.tokenFromExecutionId(Approval, {
            workflow: W,
            executionId: runId
          }),
          value: { by: OrderId.make("b"), on: new Date(9) }
        })
        const exit = yield* exitOf(W, runId)
        assert.deepStrictEqual(
          exit,
          Exit.succeed({ at: new Date(5), price: new Money({ amount: 2, currency: "EUR" }) })
        )
        assert.isTrue(Exit.isSuccess(exit) && exit.value.price instanceof Money)
      }).pipe(inProcess(filename, Live))
      assert.deepStrictEqual(log, ["charge", "refuse", "break"])
    }))

  test("a run's typed failure and defect are polled as themselves", () =>
    Effect.gen(function* () {
      const W = Workflow.make({
        name: "Order",
        payload: { id: Schema.String },
        error: Refused,
        idempotencyKey: ({ id }) => id
      })
      const Live = W.toLayer(({ id }) =>
        id === "typed"
          ? Effect.fail(new Refused({ id: OrderId.make("x"), until: new Date(7) }))
          : Effect.die(new Error("broken"))
      )
      const filename = yield* temporaryFile
      const runIds = yield* Effect.gen(function* () {
        const runIds = [
          yield* W.execute({ id: "typed" }, { discard: true }),
          yield* W.execute({ id: "defect" }, { discard: true })
        ] as const
        for (const runId of runIds) yield* exitOf(W, runId)
        return runIds
      }).pipe(inProcess(filename, Live))
      yield* Effect.gen(function* () {
        const typed = yield* exitOf(W, runIds[0])
        const error = Exit.isFailure(typed) ? Cause.squash(typed.cause) : undefined
        assert.isTrue(error instanceof Refused && error.until.getTime() === 7)
        const defect = yield* exitOf(W, runIds[1])
        assert.isTrue(Exit.isFailure(defect) && Cause.isDie(defect.cause))
        const again = yield* Effect.exit(W.execute({ id: "typed" }))
        assert.isTrue(Exit.isFailure(again))
      }).pipe(inProcess(filename, Live))
    }))

  test("attempts that have failed are not tried again, and the next one is the next number", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const attempts: Array<number> = []
      const latch = yield* Deferred.make<void>()
      const Live = W.toLayer(() =>
        step(
          "flaky",
          Effect.gen(function* () {
            const attempt = yield* Activity.CurrentAttempt
            attempts.push(attempt)
            if (attempt < 3) return yield* Effect.fail("not yet")
            yield* Deferred.await(latch)
            return `attempt ${attempt}`
          })
        ).pipe(Activity.retry({ times: 5 }))
      )
      const filename = yield* temporaryFile
      const options = { leaseDuration: "1 hour" } as const
      yield* Effect.gen(function* () {
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilTrue("the third attempt", () => attempts.length === 3)
        const copy = yield* copyOfFile(filename)
        yield* Effect.gen(function* () {
          yield* pass("2 hours")
          yield* untilTrue("the third attempt again", () => attempts.length === 4)
          yield* Deferred.succeed(latch, undefined)
          assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("attempt 3"))
        }).pipe(inProcess(copy, Live, options))
      }).pipe(inProcess(filename, Live, options))
      assert.deepStrictEqual(attempts, [1, 2, 3, 3])
    }))

  test("a sleep ends when it would have, not later", () =>
    Effect.gen(function* () {
      for (const duration of ["10 seconds", "10 days"] as const) {
        const W = textWorkflow()
        const log: Array<string> = []
        const Live = W.toLayer(() =>
          Effect.zipRight(DurableClock.sleep({ name: "sleep", duration }), noted(log, "awake"))
        )
        const filename = yield* temporaryFile
        const runId = yield* suspendedRun(W, filename, Live)
        const half = Duration.toMillis(duration) / 2
        yield* pass(half)
        yield* Effect.gen(function* () {
          yield* turns()
          yield* pass(half - 1)
          assert.deepStrictEqual(log, [])
          yield* pass(1)
          assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("awake"))
        }).pipe(inProcess(filename, Live))
      }
    }))

  test("a timer that has fired stays fired when the clock is set back", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      const Live = W.toLayer(() =>
        Effect.gen(function* () {
          yield* DurableClock.sleep({ name: "sleep", duration: "1 hour" })
          yield* noted(log, "awake")
          return yield* DurableDeferred.await(Gate)
        })
      )
      const filename = yield* temporaryFile
      const runId = yield* Effect.gen(function* () {
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* pass("1 hour")
        yield* untilTrue("awake", () => log.length === 1)
        yield* untilSuspended(W, runId)
        return runId
      }).pipe(inProcess(filename, Live))
      yield* TestClock.setTime(0)
      yield* Effect.gen(function* () {
        yield* signal(W, runId)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("go"))
      }).pipe(inProcess(filename, Live))
      assert.deepStrictEqual(log, ["awake"])
    }))

  test("a signal that came while no process ran is there", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const Live = W.toLayer(() => DurableDeferred.await(Gate))
      const filename = yield* temporaryFile
      const runId = yield* suspendedRun(W, filename, Live)
      // a process that does not have the workflow
      yield* signal(W, runId, "meanwhile").pipe(inProcess(filename, Layer.empty))
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("meanwhile"))
      }).pipe(inProcess(filename, Live))
    }))

  test("parents and children find each other again", () =>
    Effect.gen(function* () {
      const Parent = textWorkflow()
      const Child = textWorkflow()
      const Live = Layer.mergeAll(
        Child.toLayer(() => DurableDeferred.await(Gate)),
        Parent.toLayer(({ id }) =>
          Effect.gen(function* () {
            yield* Child.execute({ id: "discarded" }, { discard: true })
            const first = yield* Child.execute({ id })
            return first + (yield* Child.execute({ id: "discarded" }))
          })
        )
      )
      const filename = yield* temporaryFile
      const parent = yield* Effect.gen(function* () {
        const parent = yield* Parent.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(Child, yield* Child.executionId({ id: "1" }))
        yield* untilSuspended(Parent, parent)
        return parent
      }).pipe(inProcess(filename, Live))
      yield* Effect.gen(function* () {
        yield* signal(Child, yield* Child.executionId({ id: "1" }), "a")
        yield* exitOf(Child, yield* Child.executionId({ id: "1" }))
        yield* turns()
        yield* untilSuspended(Parent, parent)
      }).pipe(inProcess(filename, Live))
      yield* Effect.gen(function* () {
        yield* signal(Child, yield* Child.executionId({ id: "discarded" }), "b")
        assert.deepStrictEqual(yield* exitOf(Parent, parent), Exit.succeed("ab"))
      }).pipe(inProcess(filename, Live))
    }))

  test("a run of a workflow that is not registered stays pending, and begins when it is", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const filename = yield* temporaryFile
      const runId = yield* W.execute({ id: "1" }, { discard: true }).pipe(
        inProcess(filename, Layer.empty)
      )
      yield* Effect.gen(function* () {
        const store = yield* RunStore
        yield* turns()
        const run = yield* store.find(runId)
        assert.strictEqual(run._tag === "Some" ? run.value.status : "", "pending")
        assert.isUndefined(yield* W.poll(runId))
        yield* Layer.build(W.toLayer(() => Effect.succeed("begun")))
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("begun"))
      }).pipe(Effect.scoped, inProcess(filename, Layer.empty))
    }))
})

describe("what does not decode any more", () => {
  const old = textWorkflow("Changing")
  const untilBlocked = (workflow: typeof old, runId: string, what: string) =>
    until(
      "the run is blocked",
      Effect.map(workflow.poll(runId), (result) => {
        if (result?._tag !== "Suspended" || result.cause === undefined) return false
        const message = Cause.pretty(result.cause)
        assert.include(message, what)
        assert.include(message, runId)
        return true
      })
    )

  const scenario = (options: {
    readonly what: string
    readonly before: (
      log: Array<string>
    ) => Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>
    readonly broken: (
      log: Array<string>
    ) => Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>
    readonly after: (runId: string) => Effect.Effect<void, never, WorkflowEngine.WorkflowEngine>
  }) =>
    Effect.gen(function* () {
      const Other = textWorkflow("Other")
      const OtherLive = Other.toLayer(() => Effect.succeed("other"))
      const log: Array<string> = []
      const filename = yield* temporaryFile
      const runId = yield* suspendedRun(old, filename, options.before(log))
      yield* Effect.gen(function* () {
        yield* options.after(runId)
        yield* untilBlocked(old, runId, options.what)
        assert.deepStrictEqual(
          yield* exitOf(Other, yield* Other.execute({ id: "1" }, { discard: true })),
          Exit.succeed("other")
        )
      }).pipe(inProcess(filename, Layer.merge(options.broken(log), OtherLive)))
      assert.notInclude(log, "undone")
      yield* Effect.gen(function* () {
        yield* old.resume(runId)
        assert.deepStrictEqual(yield* exitOf(old, runId), Exit.succeed("go"))
      }).pipe(inProcess(filename, options.before(log)))
      assert.deepStrictEqual(log, ["charge"])
    })

  const body = <A, I>(
    log: Array<string>,
    success: Schema.Schema<A, I>,
    execute: Effect.Effect<A>,
    gate: DurableDeferred.DurableDeferred<Schema.Schema<string> | typeof Schema.Number> = Gate
  ) =>
    Effect.gen(function* () {
      yield* Activity.make({
        name: "charge",
        success,
        execute: Effect.tap(execute, () => Effect.sync(() => log.push("charge")))
      }).pipe(Workflow.withCompensation(() => Effect.sync(() => log.push("undone"))))
      return `${yield* DurableDeferred.await(gate)}`
    })

  test("a recorded step suspends its run alone, undoes nothing, and goes on when it is mended", () =>
    scenario({
      what: 'the recorded step "charge"',
      before: (log) => old.toLayer(() => body(log, Schema.String, Effect.succeed("x"))),
      broken: (log) => old.toLayer(() => body(log, Schema.Number, Effect.succeed(1))),
      after: (runId) => signal(old, runId)
    }))

  test("a signal does the same", () =>
    scenario({
      what: 'the signal "Gate"',
      before: (log) => old.toLayer(() => body(log, Schema.String, Effect.succeed("x"))),
      broken: (log) =>
        old.toLayer(() =>
          body(
            log,
            Schema.String,
            Effect.succeed("x"),
            DurableDeferred.make("Gate", { success: Schema.Number })
          )
        ),
      after: (runId) => signal(old, runId)
    }))

  test("a payload does the same", () => {
    const changed = Workflow.make({
      name: "Changing",
      payload: { id: Schema.String, added: Schema.String },
      success: Schema.String,
      error: Schema.String,
      idempotencyKey: ({ id }) => id
    })
    return scenario({
      what: "the payload",
      before: (log) => old.toLayer(() => body(log, Schema.String, Effect.succeed("x"))),
      broken: (log) => changed.toLayer(() => body(log, Schema.String, Effect.succeed("x"))),
      after: (runId) => signal(old, runId)
    })
  })

  test("a recorded step of a compensation suspends the run too, and is not skipped", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const live = <A, I>(success: Schema.Schema<A, I>, value: A) =>
        old.toLayer(() =>
          Effect.gen(function* () {
            yield* noted(log, "charge").pipe(
              Workflow.withCompensation(() =>
                Effect.gen(function* () {
                  yield* Activity.make({ name: "refund", success, execute: Effect.succeed(value) })
                  yield* Effect.orDie(DurableDeferred.await(Gate))
                  yield* Effect.ignore(noted(log, "refunded"))
                })
              )
            )
            return yield* Effect.fail("no")
          })
        )
      const filename = yield* temporaryFile
      const runId = yield* suspendedRun(old, filename, live(Schema.String, "x"))
      yield* Effect.gen(function* () {
        yield* signal(old, runId)
        yield* untilBlocked(old, runId, 'the recorded step "refund"')
      }).pipe(inProcess(filename, live(Schema.Number, 1)))
      yield* Effect.gen(function* () {
        yield* old.resume(runId)
        assert.deepStrictEqual(yield* exitOf(old, runId), Exit.fail("no"))
      }).pipe(inProcess(filename, live(Schema.String, "x")))
      assert.deepStrictEqual(log, ["charge", "refunded"])
    }))

  test("a step result that JSON cannot carry fails the step, and says why", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const Live = W.toLayer(() =>
        Activity.make({
          name: "big",
          success: Schema.BigIntFromSelf,
          execute: Effect.succeed(1n)
        }).pipe(Effect.as("never"))
      )
      const filename = yield* temporaryFile
      yield* Effect.gen(function* () {
        const exit = yield* exitOf(W, yield* W.execute({ id: "1" }, { discard: true }))
        const message = Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : ""
        assert.include(message, 'step "big"')
        assert.include(message, "JSON")
      }).pipe(inProcess(filename, Live))
    }))
})
