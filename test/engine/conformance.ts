/**
 * What every engine of `@effect/workflow` has to do, as far as workflow code and its callers can
 * tell. A new engine proves itself by passing it.
 */
import { PersistedQueue, RateLimiter } from "@effect/experimental"
import { assert, describe, it } from "@effect/vitest"
import {
  Activity,
  DurableClock,
  DurableDeferred,
  DurableQueue,
  DurableRateLimiter,
  Workflow,
  type WorkflowEngine
} from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import {
  exitOf,
  Instance,
  longSleep,
  moment,
  noted,
  pass,
  register,
  step,
  textWorkflow,
  turns,
  undone,
  untilSuspended,
  untilTrue
} from "./support.js"

export interface EngineUnderTest {
  /** Built anew for each test. */
  readonly layer: Layer.Layer<WorkflowEngine.WorkflowEngine, unknown>
  /** Callers that wait for a result notice it only as time passes. */
  readonly callersPoll?: boolean
  /** A run that waits is kept in memory, and goes on where it is instead of being replayed. */
  readonly keepsRuns?: boolean
  /** Behaviours that it does not have, each with the reason. */
  readonly skip?: Readonly<Record<string, string>>
}

class Refused extends Schema.TaggedError<Refused>()("Refused", {
  reason: Schema.String,
  at: Schema.Date
}) {}

class Money extends Schema.Class<Money>("Money")({
  amount: Schema.Number,
  currency: Schema.String
}) {
  get text() {
    return `${this.amount} ${this.currency}`
  }
}

const OrderId = Schema.String.pipe(Schema.brand("OrderId"))

const Gate = DurableDeferred.make("Gate", { success: Schema.String, error: Schema.String })
const OtherGate = DurableDeferred.make("OtherGate", { success: Schema.String })

export const conformance = (name: string, engine: EngineUnderTest) => {
  const test = (
    behaviour: string,
    body: () => Effect.Effect<void, unknown, WorkflowEngine.WorkflowEngine | Scope.Scope>
  ) => {
    const reason = engine.skip?.[behaviour]
    // what upstream's own engine is known not to do; the report says why
    if (reason !== undefined) return it.skip(`${behaviour} (${reason})`, () => {})
    return it.effect(behaviour, () =>
      Effect.scoped(Effect.suspend(body)).pipe(Effect.provide(engine.layer))
    )
  }

  /** How often a workflow that waits once is executed. */
  const passesOfOneWait = engine.keepsRuns === true ? 1 : 2

  /** What a caller gets; no time passes, but for callers that poll. */
  const awaited = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
    Effect.gen(function* () {
      for (let i = 0; i < 20_000; i++) {
        const exit = fiber.unsafePoll()
        if (exit !== null) return exit
        yield* moment(i)
        if (engine.callersPoll === true && i % 100 === 99) yield* TestClock.adjust("30 seconds")
      }
      return yield* Effect.dieMessage("the caller was not woken")
    })

  const signal = (
    workflow: Workflow.Any,
    runId: string,
    exit: Exit.Exit<string, string> = Exit.succeed("signal"),
    gate: DurableDeferred.DurableDeferred<typeof Schema.String, typeof Schema.String> = Gate
  ) =>
    DurableDeferred.done(gate, {
      token: DurableDeferred.tokenFromExecutionId(gate, { workflow, executionId: runId }),
      exit
    })

  const signalOther = (workflow: Workflow.Any, runId: string, value: string) =>
    DurableDeferred.succeed(OtherGate, {
      token: DurableDeferred.tokenFromExecutionId(OtherGate, { workflow, executionId: runId }),
      value
    })

  describe(`${name}: runs`, () => {
    test("execute answers with the workflow's result", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(W.toLayer(({ id }) => Effect.succeed(`done ${id}`)))
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("done 1"))
      }))

    test("execute with discard answers with the run's id, which its payload determines", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(W.toLayer(() => Effect.succeed("done")))
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        assert.strictEqual(runId, yield* W.executionId({ id: "1" }))
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("done"))
      }))

    test("a run that does not exist polls as undefined", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(W.toLayer(() => Effect.succeed("done")))
        assert.isUndefined(yield* W.poll("nobody"))
      }))

    test("the same idempotency key, many times at once, is one run that wakes every caller", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* noted(log, "step")
              return yield* DurableDeferred.await(Gate)
            })
          )
        )
        const callers = yield* Effect.forEach(Array.from({ length: 20 }), () =>
          Effect.fork(W.execute({ id: "1" }))
        )
        const runId = yield* W.executionId({ id: "1" })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId)
        for (const caller of callers) {
          assert.deepStrictEqual(yield* awaited(caller), Exit.succeed("signal"))
        }
        assert.deepStrictEqual(log, ["step"])
      }))

    test("execute of a run that is over answers with its result and executes nothing", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        let executions = 0
        yield* register(W.toLayer(() => Effect.sync(() => `execution ${++executions}`)))
        const first = yield* Effect.fork(W.execute({ id: "1" }))
        assert.deepStrictEqual(yield* awaited(first), Exit.succeed("execution 1"))
        const second = yield* Effect.fork(W.execute({ id: "1" }))
        assert.deepStrictEqual(yield* awaited(second), Exit.succeed("execution 1"))
      }))

    test("a caller is woken by the result, and no time passes until then", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(W.toLayer(() => DurableDeferred.await(Gate)))
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        const runId = yield* W.executionId({ id: "1" })
        yield* untilSuspended(W, runId)
        const before = yield* TestClock.currentTimeMillis
        yield* signal(W, runId)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("signal"))
        assert.strictEqual(yield* TestClock.currentTimeMillis, before)
      }))

    test("a typed error reaches the caller as itself", () =>
      Effect.gen(function* () {
        const W = Workflow.make({
          name: "Typed",
          payload: { id: Schema.String },
          error: Refused,
          idempotencyKey: ({ id }) => id
        })
        const error = new Refused({ reason: "no", at: new Date(1000) })
        yield* register(W.toLayer(() => Effect.fail(error)))
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        const exit = yield* awaited(fiber)
        const failure = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.isTrue(failure instanceof Refused && failure.at instanceof Date)
        assert.deepInclude(failure, { reason: "no", at: new Date(1000) })
      }))

    test("a defect of a workflow is its result", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(W.toLayer(() => Effect.die(new Error("broken"))))
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.isTrue(Exit.isFailure(exit) && String(Cause.squash(exit.cause)).includes("broken"))
      }))

    test("a workflow function that throws before it returns an effect dies", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(
          W.toLayer((): Effect.Effect<string> => {
            throw new Error("thrown")
          })
        )
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      }))

    test("an error defect that JSON cannot carry whole keeps its message", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(
          W.toLayer(() => step("step", Effect.die(Object.assign(new Error("too big"), { n: 1n }))))
        )
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.isTrue(Exit.isFailure(exit))
        const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.isTrue(defect instanceof Error && defect.message === "too big")
      }))

    test("with CaptureDefects off a defect still reaches the caller", () =>
      Effect.gen(function* () {
        const W = textWorkflow().annotate(Workflow.CaptureDefects, false)
        yield* register(W.toLayer(() => Effect.die("broken")))
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      }))

    test("annotations of the workflow can be read inside it", () =>
      Effect.gen(function* () {
        class Team extends Context.Tag("test/Team")<Team, string>() {}
        const W = textWorkflow().annotate(Team, "payments")
        yield* register(
          W.toLayer(() =>
            Effect.map(Instance, ({ workflow }) =>
              Context.get(workflow.annotations as Context.Context<Team>, Team)
            )
          )
        )
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.deepStrictEqual(exit, Exit.succeed("payments"))
      }))

    test("a workflow's services are those it was registered with", () =>
      Effect.gen(function* () {
        class Greeting extends Context.Tag("test/Greeting")<Greeting, string>() {}
        const W = textWorkflow()
        yield* register(
          W.toLayer(({ id }) =>
            step(
              "greet",
              Effect.map(Greeting, (greeting) => greeting + id)
            )
          ).pipe(Layer.provide(Layer.succeed(Greeting, "hello ")))
        )
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "you" })))
        assert.deepStrictEqual(exit, Exit.succeed("hello you"))
      }))
  })

  describe(`${name}: steps`, () => {
    test("values come out of a step as its schemas make them, also after a replay", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const seen: Array<unknown> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              const value = yield* Activity.make({
                name: "step",
                success: Schema.Struct({ at: Schema.DateTimeUtc, id: OrderId, price: Money }),
                execute: Effect.succeed({
                  at: DateTime.unsafeMake(1000),
                  id: OrderId.make("a"),
                  price: new Money({ amount: 1, currency: "EUR" })
                })
              })
              seen.push(DateTime.isDateTime(value.at), value.price instanceof Money)
              yield* DurableDeferred.await(Gate)
              return `${value.id} ${value.price.text}`
            })
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        const runId = yield* W.executionId({ id: "1" })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("a 1 EUR"))
        assert.deepStrictEqual(
          seen,
          Array.from({ length: 2 * passesOfOneWait }, () => true)
        )
      }))

    test("a recorded step does not execute again when the run goes on", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* noted(log, "a")
              yield* DurableDeferred.await(Gate)
              yield* noted(log, "b")
              yield* DurableDeferred.await(OtherGate)
              return yield* noted(log, "c")
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId)
        yield* untilTrue("b", () => log.includes("b"))
        yield* untilSuspended(W, runId)
        yield* signalOther(W, runId, "go")
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("c"))
        assert.deepStrictEqual(log, ["a", "b", "c"])
      }))

    test("each attempt of a retried step is recorded, and none executes again", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const attempts: Array<number> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              const result = yield* step(
                "flaky",
                Effect.gen(function* () {
                  const attempt = yield* Activity.CurrentAttempt
                  attempts.push(attempt)
                  if (attempt < 5) return yield* Effect.fail("not yet")
                  return `attempt ${attempt}`
                })
              ).pipe(Activity.retry({ times: 5 }))
              yield* DurableDeferred.await(Gate)
              return result
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("attempt 5"))
        assert.deepStrictEqual(attempts, [1, 2, 3, 4, 5])
      }))

    test("retries that run out fail with the step's last typed error", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(
          W.toLayer(() =>
            step(
              "flaky",
              Effect.flatMap(Activity.CurrentAttempt, (n) => Effect.fail(`attempt ${n}`))
            ).pipe(Activity.retry({ times: 2 }))
          )
        )
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.deepStrictEqual(exit, Exit.fail("attempt 3"))
      }))

    test("a typed error of a step can be caught by the workflow", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(
          W.toLayer(() =>
            Activity.make({
              name: "refuse",
              error: Refused,
              execute: Effect.fail(new Refused({ reason: "no", at: new Date(1000) }))
            }).pipe(
              Effect.as("never"),
              Effect.catchTag("Refused", (error) =>
                Effect.succeed(`${error.reason} ${error.at.getTime()} ${error instanceof Refused}`)
              )
            )
          )
        )
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.deepStrictEqual(exit, Exit.succeed("no 1000 true"))
      }))

    test("a defect of a step can be caught, and another step executed for it", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            step("broken", Effect.die("boom")).pipe(
              Effect.catchAllCause(() => noted(log, "mended"))
            )
          )
        )
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.deepStrictEqual(exit, Exit.succeed("mended"))
        assert.deepStrictEqual(log, ["mended"])
      }))

    test("a name used twice is one step", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        let executions = 0
        const once = step(
          "same",
          Effect.sync(() => `${++executions}`)
        )
        yield* register(W.toLayer(() => Effect.map(Effect.all([once, once]), (all) => all.join())))
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.deepStrictEqual(exit, Exit.succeed("1,1"))
      }))

    test("a step started twice in parallel executes once", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        let executions = 0
        const latch = yield* Deferred.make<void>()
        const once = step(
          "same",
          Effect.zipRight(
            Deferred.await(latch),
            Effect.sync(() => `${++executions}`)
          )
        )
        yield* register(
          W.toLayer(() =>
            Effect.map(Effect.all([once, once], { concurrency: 2 }), (all) => all.join())
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        yield* turns()
        yield* Deferred.succeed(latch, undefined)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("1,1"))
      }))

    test("a step inside a step is executed, and both only once", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              const outer = yield* step(
                "outer",
                Effect.map(Effect.orDie(noted(log, "inner")), (inner) => {
                  log.push("outer")
                  return `outer of ${inner}`
                })
              )
              yield* DurableDeferred.await(Gate)
              return outer
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("outer of inner"))
        assert.deepStrictEqual(log, ["inner", "outer"])
      }))

    test("the idempotency key of a step is the same in every pass", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const keys: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              keys.push(yield* Activity.idempotencyKey("charge"))
              return yield* DurableDeferred.await(Gate)
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId)
        yield* exitOf(W, runId)
        assert.strictEqual(keys.length, passesOfOneWait)
        assert.strictEqual(new Set(keys).size, 1)
      }))

    test("a step that interrupts itself is tried again as its policy says", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        let executions = 0
        yield* register(
          W.toLayer(() =>
            Activity.make({
              name: "step",
              success: Schema.String,
              interruptRetryPolicy: Schedule.recurs(10),
              execute: Effect.suspend(() =>
                ++executions < 3 ? Effect.interrupt : Effect.succeed(`${executions}`)
              )
            })
          )
        )
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.deepStrictEqual(exit, Exit.succeed("3"))
      }))

    test("a step that suspends again and again does not use up its interrupt retries", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const gates = Array.from({ length: 15 }, (_, n) => DurableDeferred.make(`Gate${n}`))
        let asked = -1
        yield* register(
          W.toLayer(() =>
            Activity.make({
              name: "step",
              success: Schema.String,
              interruptRetryPolicy: Schedule.recurs(2),
              execute: Effect.as(
                Effect.forEach(gates, (gate, n) => {
                  asked = n
                  return DurableDeferred.await(gate)
                }),
                "all"
              )
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        for (const [n, gate] of gates.entries()) {
          yield* untilTrue(`it asks for gate ${n}`, () => asked === n)
          yield* untilSuspended(W, runId)
          yield* DurableDeferred.succeed(gate, {
            token: DurableDeferred.tokenFromExecutionId(gate, { workflow: W, executionId: runId }),
            value: undefined
          })
        }
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("all"))
      }))
  })

  describe(`${name}: time`, () => {
    test("a long sleep suspends the run until it is due, to the millisecond", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(
          W.toLayer(() =>
            Effect.as(DurableClock.sleep({ name: "day", duration: "1 day" }), "awake")
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* pass(Duration.toMillis("1 day") - 1)
        assert.strictEqual((yield* W.poll(runId))?._tag, "Suspended")
        yield* pass(1)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("awake"))
      }))

    test("a short sleep ends when it is due", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.zipRight(
              noted(log, "step"),
              Effect.as(DurableClock.sleep({ name: "short", duration: "10 seconds" }), "awake")
            )
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        yield* untilTrue("the step", () => log.length > 0)
        yield* turns()
        yield* pass(9_999)
        assert.isNull(fiber.unsafePoll())
        yield* pass(1)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("awake"))
      }))

    test("a sleep of nothing does not wait", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(
          W.toLayer(() => Effect.as(DurableClock.sleep({ name: "none", duration: 0 }), "awake"))
        )
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.deepStrictEqual(exit, Exit.succeed("awake"))
      }))

    test("sleeps follow each other", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              for (const n of [1, 2, 3]) {
                yield* DurableClock.sleep({ name: `${n}`, duration: "1 hour" })
                yield* noted(log, `${n}`)
              }
              return "done"
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        for (const n of [1, 2, 3]) {
          yield* untilSuspended(W, runId)
          assert.strictEqual(log.length, n - 1)
          yield* pass("1 hour")
          yield* untilTrue(`step ${n}`, () => log.length === n)
        }
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("done"))
      }))

    test("a long sleep inside a step suspends the run, and the step goes on after it", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        let executions = 0
        yield* register(
          W.toLayer(() =>
            step(
              "step",
              Effect.gen(function* () {
                executions++
                yield* longSleep("inside", "10 seconds")
                return "slept"
              })
            )
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* pass("10 seconds")
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("slept"))
        assert.strictEqual(executions, passesOfOneWait)
      }))

    test("a fraction of a millisecond is slept to its end", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(W.toLayer(() => Effect.as(longSleep("fraction", 10_000.5), "awake")))
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* pass(10_000)
        assert.strictEqual((yield* W.poll(runId))?._tag, "Suspended")
        yield* pass(1)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("awake"))
      }))
  })

  describe(`${name}: signals`, () => {
    test("a token made inside the run completes its deferred", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const tokens: Array<DurableDeferred.Token> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              tokens.push(yield* DurableDeferred.token(Gate))
              return yield* DurableDeferred.await(Gate)
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        const [token] = tokens
        assert.isDefined(token)
        if (token !== undefined) yield* DurableDeferred.succeed(Gate, { token, value: "by token" })
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("by token"))
      }))

    test("a signal that comes before the run exists is there when it asks", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(W.toLayer(() => DurableDeferred.await(Gate)))
        const token = yield* DurableDeferred.tokenFromPayload(Gate, {
          workflow: W,
          payload: { id: "1" }
        })
        yield* DurableDeferred.succeed(Gate, { token, value: "early" })
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.deepStrictEqual(exit, Exit.succeed("early"))
      }))

    test("a signal that comes while a step is in flight is there when the run asks", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const latch = yield* Deferred.make<void>()
        const started = yield* Deferred.make<void>()
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* step(
                "step",
                Deferred.succeed(started, undefined).pipe(
                  Effect.zipRight(Deferred.await(latch)),
                  Effect.as("step")
                )
              )
              return yield* DurableDeferred.await(Gate)
            })
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        yield* Deferred.await(started)
        yield* signal(W, yield* W.executionId({ id: "1" }), Exit.succeed("meanwhile"))
        yield* Deferred.succeed(latch, undefined)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("meanwhile"))
      }))

    test("the first value of a deferred stays", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* DurableDeferred.await(OtherGate)
              return yield* DurableDeferred.await(Gate)
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId, Exit.succeed("first"))
        yield* signal(W, runId, Exit.succeed("second"))
        yield* untilSuspended(W, runId)
        yield* signalOther(W, runId, "go")
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("first"))
      }))

    test("a deferred that is failed fails the await with its typed error", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(
          W.toLayer(() =>
            DurableDeferred.await(Gate).pipe(
              Effect.catchAll((error) => Effect.succeed(`caught ${error}`))
            )
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId, Exit.fail("refused"))
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("caught refused"))
      }))

    test("a deferred that is completed with a defect dies with it", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(W.toLayer(() => DurableDeferred.await(Gate)))
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId, Exit.die("boom"))
        const exit = yield* exitOf(W, runId)
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      }))

    test("into keeps the outcome of an effect, which does not run again", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const Kept = DurableDeferred.make("Kept", { success: Schema.String, error: Schema.String })
        let executions = 0
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              const value = yield* DurableDeferred.into(
                Effect.sync(() => `value ${++executions}`),
                Kept
              )
              yield* DurableDeferred.await(Gate)
              return `${value}, ${yield* DurableDeferred.await(Kept)}`
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId)
        // the effect itself is not a step: it runs in each pass, and its first outcome stays
        assert.deepStrictEqual(
          yield* exitOf(W, runId),
          Exit.succeed(`value ${passesOfOneWait}, value 1`)
        )
      }))

    test("into records a typed error", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const Kept = DurableDeferred.make("Kept", { success: Schema.String, error: Schema.String })
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* Effect.ignore(DurableDeferred.into(Effect.fail("no"), Kept))
              return yield* Effect.flip(DurableDeferred.await(Kept))
            }).pipe(Effect.orDie)
          )
        )
        const exit = yield* awaited(yield* Effect.fork(W.execute({ id: "1" })))
        assert.deepStrictEqual(exit, Exit.succeed("no"))
      }))

    test("into records nothing when what is inside suspends", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const Kept = DurableDeferred.make("Kept", { success: Schema.String, error: Schema.String })
        yield* register(
          W.toLayer(() =>
            Effect.zipRight(
              DurableDeferred.into(DurableDeferred.await(Gate), Kept),
              DurableDeferred.await(Kept)
            )
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId, Exit.succeed("late"))
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("late"))
      }))

    test("finalizers of a part of the workflow run when it suspends, those of the whole do not", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* Effect.addFinalizer(() => Effect.sync(() => log.push("part")))
              yield* Workflow.addFinalizer(() => Effect.sync(() => log.push("whole")))
              return yield* DurableDeferred.await(Gate).pipe(
                Effect.ensuring(Effect.sync(() => log.push("ensuring")))
              )
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* turns()
        const cut = engine.keepsRuns === true ? [] : ["ensuring", "part"]
        assert.deepStrictEqual(log, cut)
        yield* signal(W, runId)
        yield* exitOf(W, runId)
        yield* turns()
        assert.deepStrictEqual(log, [...cut, "ensuring", "part", "whole"])
      }))

    test("a suspension is not a failure that the workflow could catch", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        let caught = 0
        yield* register(
          W.toLayer(() =>
            DurableDeferred.await(Gate).pipe(
              Effect.catchAllCause(() => Effect.sync(() => `caught ${++caught}`))
            )
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* signal(W, runId)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("signal"))
        assert.strictEqual(caught, 0)
      }))
  })

  describe(`${name}: races`, () => {
    /** Which steps have begun, and which were interrupted. */
    const makeProbe = () => {
      const begun: Array<string> = []
      const cut: Array<string> = []
      const untilBegun = (count = 1) =>
        Effect.zipRight(
          untilTrue("the steps begin", () => begun.length >= count),
          turns()
        )
      return { begun, cut, untilBegun }
    }

    const delayed = (probe: ReturnType<typeof makeProbe>, name: string, millis: number) =>
      Activity.make({
        name,
        success: Schema.String,
        execute: Effect.suspend(() => {
          probe.begun.push(name)
          return Effect.delay(Effect.succeed(name), millis)
        }).pipe(Effect.onInterrupt(() => Effect.sync(() => probe.cut.push(name))))
      })

    const race = <R>(
      name: string,
      effects: readonly [Effect.Effect<string, never, R>, Effect.Effect<string, never, R>]
    ) => DurableDeferred.raceAll({ name, success: Schema.String, error: Schema.Never, effects })

    const awaitGate = Effect.orDie(DurableDeferred.await(Gate))

    test("the fastest activity wins, and the others are interrupted", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const probe = makeProbe()
        yield* register(
          W.toLayer(() =>
            Activity.raceAll("race", [
              delayed(probe, "a", 1000),
              delayed(probe, "b", 500),
              delayed(probe, "c", 100)
            ])
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        yield* probe.untilBegun(3)
        yield* pass(100)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("c"))
        assert.deepStrictEqual(probe.cut.sort(), ["a", "b"])
      }))

    test("an activity that fails loses to one that succeeds later", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const probe = makeProbe()
        yield* register(
          W.toLayer(() =>
            Activity.raceAll("race", [
              step("fails", Effect.fail("boom")),
              delayed(probe, "slow", 1000)
            ])
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        yield* probe.untilBegun()
        yield* pass(1000)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("slow"))
      }))

    test("activities that sleep durably race, and the winner stays in every later pass", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const sleeping = (name: string, millis: number) =>
          Activity.make({
            name,
            success: Schema.String,
            execute: Effect.as(longSleep(name, millis), name)
          })
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              const winner = yield* Activity.raceAll("race", [
                sleeping("a", 50_000),
                sleeping("b", 10_000),
                sleeping("c", 1000)
              ])
              yield* DurableDeferred.await(Gate)
              return winner
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* pass(1000)
        yield* untilSuspended(W, runId)
        yield* pass("1 day")
        yield* untilSuspended(W, runId)
        yield* signal(W, runId)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("c"))
      }))

    for (const mode of ["plain", "mapped", "into"] as const) {
      test(`a signal wins at once against a step in flight (${mode})`, () =>
        Effect.gen(function* () {
          const W = textWorkflow()
          const probe = makeProbe()
          const Aux = DurableDeferred.make("Aux", { success: Schema.String })
          const branch =
            mode === "plain"
              ? awaitGate
              : mode === "mapped"
                ? Effect.map(awaitGate, (text) => `${text}!`)
                : DurableDeferred.into(awaitGate, Aux)
          yield* register(W.toLayer(() => race("race", [branch, delayed(probe, "slow", 30_000)])))
          const fiber = yield* Effect.fork(W.execute({ id: "1" }))
          yield* probe.untilBegun()
          yield* signal(W, yield* W.executionId({ id: "1" }))
          const exit = yield* awaited(fiber)
          assert.deepStrictEqual(exit, Exit.succeed(mode === "mapped" ? "signal!" : "signal"))
          assert.deepStrictEqual(probe.cut, ["slow"])
        }))
    }

    test("a branch of two awaits goes through both while a step is in flight", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const probe = makeProbe()
        yield* register(
          W.toLayer(() =>
            race("race", [
              Effect.gen(function* () {
                const first = yield* awaitGate
                const second = yield* DurableDeferred.await(OtherGate)
                return `${first}, ${second}`
              }),
              delayed(probe, "slow", 30_000)
            ])
          )
        )
        const runId = yield* W.executionId({ id: "1" })
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        yield* probe.untilBegun()
        yield* signal(W, runId, Exit.succeed("a"))
        yield* turns()
        assert.isNull(fiber.unsafePoll())
        yield* signalOther(W, runId, "b")
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("a, b"))
        assert.deepStrictEqual(probe.cut, ["slow"])
      }))

    test("a branch that has executed a step before its await is woken", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const probe = makeProbe()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            race("race", [
              Effect.gen(function* () {
                const first = yield* Effect.orDie(noted(log, "first"))
                return `${first}, ${yield* awaitGate}`
              }),
              delayed(probe, "slow", 30_000)
            ])
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        yield* probe.untilBegun()
        yield* untilTrue("first", () => log.length === 1)
        yield* turns()
        yield* signal(W, yield* W.executionId({ id: "1" }))
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("first, signal"))
        assert.deepStrictEqual(log, ["first"])
      }))

    test("a step wins while the deferred stays pending", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const probe = makeProbe()
        yield* register(W.toLayer(() => race("race", [awaitGate, delayed(probe, "step", 1000)])))
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        yield* probe.untilBegun()
        yield* pass(1000)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("step"))
      }))

    test("a signal that comes after its race was lost changes nothing", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const probe = makeProbe()
        const latch = yield* Deferred.make<void>()
        const tails: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              const winner = yield* race("race", [awaitGate, delayed(probe, "step", 1000)])
              yield* step(
                "tail",
                Effect.zipRight(
                  Effect.sync(() => tails.push("tail")),
                  Effect.as(Deferred.await(latch), "tail")
                )
              )
              return winner
            })
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        yield* probe.untilBegun()
        yield* pass(1000)
        yield* untilTrue("the tail starts", () => tails.length > 0)
        yield* signal(W, yield* W.executionId({ id: "1" }))
        yield* turns()
        yield* Deferred.succeed(latch, undefined)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("step"))
        assert.deepStrictEqual(tails, ["tail"])
      }))

    test("a durable clock wins against a step in flight when it is due", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const probe = makeProbe()
        yield* register(
          W.toLayer(() =>
            race("race", [
              Effect.as(longSleep("clock", 5000), "clock"),
              delayed(probe, "slow", 30_000)
            ])
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        yield* probe.untilBegun()
        yield* pass(5000)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("clock"))
      }))

    test("a race of pending deferreds suspends, and whichever comes wins", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(
          W.toLayer(() => race("race", [awaitGate, DurableDeferred.await(OtherGate)]))
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* signalOther(W, runId, "other")
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("other"))
      }))

    test("a signal that comes while the run is suspending is not lost", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const latch = yield* Deferred.make<void>()
        const unwinding = yield* Deferred.make<void>()
        let passes = 0
        yield* register(
          W.toLayer(() =>
            Effect.suspend(() => {
              passes++
              return race("race", [awaitGate, DurableDeferred.await(OtherGate)])
            }).pipe(
              Effect.ensuring(
                Effect.zipRight(Deferred.succeed(unwinding, undefined), Deferred.await(latch))
              )
            )
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* Deferred.await(unwinding)
        yield* signalOther(W, runId, "other")
        yield* turns()
        yield* Deferred.succeed(latch, undefined)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("other"))
        assert.strictEqual(passes, 2)
      }))
  })

  describe(`${name}: compensation`, () => {
    const compensated = (log: Array<string>, name: string) =>
      noted(log, name).pipe(
        Workflow.withCompensation((value, cause) =>
          Effect.sync(() => {
            const why = Option.match(Cause.failureOption(cause), {
              onNone: () => (Cause.isInterruptedOnly(cause) ? "interrupted" : "defect"),
              onSome: String
            })
            log.push(`undo ${value}: ${why}`)
          })
        )
      )

    test("a failure undoes the finished steps in reverse order, with their values and its cause", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* compensated(log, "a")
              yield* compensated(log, "b")
              yield* DurableDeferred.await(Gate)
              return yield* Effect.fail("no stock")
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        assert.deepStrictEqual(log, ["a", "b"])
        yield* signal(W, runId)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.fail("no stock"))
        assert.deepStrictEqual(log, ["a", "b", "undo b: no stock", "undo a: no stock"])
      }))

    test("a success undoes nothing", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(W.toLayer(() => compensated(log, "a")))
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("a"))
        yield* turns()
        assert.deepStrictEqual(log, ["a"])
      }))

    test("a step that failed has nothing to undo", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.zipRight(
              compensated(log, "a"),
              step("b", Effect.fail("b failed")).pipe(
                Workflow.withCompensation(() => Effect.sync(() => log.push("undo b")))
              )
            )
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.fail("b failed"))
        assert.deepStrictEqual(log, ["a", "undo a: b failed"])
      }))

    test("an interrupt of a suspended run undoes its finished steps once, and its caller knows", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* compensated(log, "a")
              yield* compensated(log, "b")
              return yield* DurableDeferred.await(Gate)
            })
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        const runId = yield* W.executionId({ id: "1" })
        yield* untilSuspended(W, runId)
        yield* W.interrupt(runId)
        const exit = yield* awaited(fiber)
        assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
        assert.deepStrictEqual(log, ["a", "b", "undo b: interrupted", "undo a: interrupted"])
      }))

    test("an interrupt of a run that is over does nothing", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(W.toLayer(() => compensated(log, "a")))
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* exitOf(W, runId)
        yield* W.interrupt(runId)
        yield* turns()
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("a"))
        assert.deepStrictEqual(log, ["a"])
      }))

    test("compensations may execute steps", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* noted(log, "a").pipe(
                Workflow.withCompensation(() => Effect.ignore(noted(log, "refund")))
              )
              return yield* Effect.fail("no")
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.fail("no"))
        assert.deepStrictEqual(log, ["a", "refund"])
      }))
  })

  describe(`${name}: failures that suspend`, () => {
    test("with SuspendOnFailure the run suspends with the cause, and resume tries the failed part again", () =>
      Effect.gen(function* () {
        const W = textWorkflow().annotate(Workflow.SuspendOnFailure, true)
        const log: Array<string> = []
        let broken = true
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* noted(log, "a")
              return yield* step(
                "b",
                Effect.suspend(() => {
                  log.push("b")
                  return broken ? Effect.fail("boom") : Effect.succeed("mended")
                })
              )
            })
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "1" }))
        const runId = yield* W.executionId({ id: "1" })
        yield* untilSuspended(W, runId)
        const result = yield* W.poll(runId)
        assert.isTrue(
          result?._tag === "Suspended" &&
            result.cause !== undefined &&
            Cause.pretty(result.cause).includes("boom")
        )
        broken = false
        yield* W.resume(runId)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("mended"))
        assert.deepStrictEqual(log, ["a", "b", "b"])
      }))

    test("with SuspendOnFailure a workflow sees the cause where it suspends", () =>
      Effect.gen(function* () {
        const W = textWorkflow().annotate(Workflow.SuspendOnFailure, true)
        const seen: Array<unknown> = []
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              const instance = yield* Instance
              yield* Effect.addFinalizer(() =>
                Effect.sync(() =>
                  seen.push(
                    instance.suspended,
                    String(instance.cause && Cause.squash(instance.cause))
                  )
                )
              )
              return yield* step("b", Effect.die("boom"))
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* turns()
        assert.isTrue(seen[0] === true && String(seen[1]).includes("boom"))
      }))

    test("resume of a run that waits for a signal leaves it waiting", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        yield* register(W.toLayer(() => DurableDeferred.await(Gate)))
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* W.resume(runId)
        yield* turns()
        yield* untilSuspended(W, runId)
        yield* signal(W, runId)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("signal"))
      }))
  })

  describe(`${name}: children`, () => {
    test("a parent waits, suspended, for its child", () =>
      Effect.gen(function* () {
        const Parent = textWorkflow()
        const Child = textWorkflow()
        yield* register(
          Child.toLayer(() => DurableDeferred.await(Gate)),
          Parent.toLayer(({ id }) => Effect.map(Child.execute({ id }), (text) => `child: ${text}`))
        )
        const fiber = yield* Effect.fork(Parent.execute({ id: "1" }))
        const child = yield* Child.executionId({ id: "1" })
        yield* untilSuspended(Child, child)
        yield* untilSuspended(Parent, yield* Parent.executionId({ id: "1" }))
        yield* signal(Child, child)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("child: signal"))
      }))

    test("a child's typed error is the parent's to catch", () =>
      Effect.gen(function* () {
        const Parent = textWorkflow()
        const Child = textWorkflow()
        yield* register(
          Child.toLayer(() =>
            Effect.zipRight(DurableDeferred.await(Gate), Effect.fail("child failed"))
          ),
          Parent.toLayer(({ id }) =>
            Effect.map(Effect.flip(Child.execute({ id })), (e) => `caught ${e}`).pipe(Effect.orDie)
          )
        )
        const fiber = yield* Effect.fork(Parent.execute({ id: "1" }))
        const child = yield* Child.executionId({ id: "1" })
        yield* untilSuspended(Child, child)
        yield* signal(Child, child)
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("caught child failed"))
      }))

    test("grandchildren wake their line", () =>
      Effect.gen(function* () {
        const A = textWorkflow()
        const B = textWorkflow()
        const C = textWorkflow()
        yield* register(
          C.toLayer(() => Effect.as(DurableClock.sleep({ name: "hour", duration: "1 hour" }), "c")),
          B.toLayer(({ id }) => Effect.map(C.execute({ id }), (text) => `b${text}`)),
          A.toLayer(({ id }) => Effect.map(B.execute({ id }), (text) => `a${text}`))
        )
        const fiber = yield* Effect.fork(A.execute({ id: "1" }))
        yield* untilSuspended(C, yield* C.executionId({ id: "1" }))
        yield* untilSuspended(A, yield* A.executionId({ id: "1" }))
        yield* pass("1 hour")
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("abc"))
      }))

    test("a child that is discarded outlives its parent", () =>
      Effect.gen(function* () {
        const Parent = textWorkflow()
        const Child = textWorkflow()
        yield* register(
          Child.toLayer(() => DurableDeferred.await(Gate)),
          Parent.toLayer(({ id }) => Child.execute({ id }, { discard: true }))
        )
        const fiber = yield* Effect.fork(Parent.execute({ id: "1" }))
        const child = yield* Child.executionId({ id: "1" })
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed(child))
        yield* untilSuspended(Child, child)
        yield* signal(Child, child)
        assert.deepStrictEqual(yield* exitOf(Child, child), Exit.succeed("signal"))
      }))

    test("a child that was discarded can be awaited later", () =>
      Effect.gen(function* () {
        const Parent = textWorkflow()
        const Child = textWorkflow()
        yield* register(
          Child.toLayer(() => DurableDeferred.await(Gate)),
          Parent.toLayer(({ id }) =>
            Effect.gen(function* () {
              yield* Child.execute({ id }, { discard: true })
              yield* DurableDeferred.await(OtherGate)
              return yield* Child.execute({ id })
            })
          )
        )
        const parent = yield* Parent.execute({ id: "1" }, { discard: true })
        const child = yield* Child.executionId({ id: "1" })
        yield* untilSuspended(Child, child)
        yield* untilSuspended(Parent, parent)
        yield* signalOther(Parent, parent, "go")
        yield* turns()
        yield* untilSuspended(Parent, parent)
        yield* signal(Child, child)
        assert.deepStrictEqual(yield* exitOf(Parent, parent), Exit.succeed("signal"))
      }))

    test("two parents of one child are both woken by its end", () =>
      Effect.gen(function* () {
        const Parent = textWorkflow()
        const Child = textWorkflow()
        yield* register(
          Child.toLayer(() => DurableDeferred.await(Gate)),
          Parent.toLayer(({ id }) =>
            Effect.map(Child.execute({ id: "shared" }), (text) => id + text)
          )
        )
        const first = yield* Effect.fork(Parent.execute({ id: "1" }))
        const second = yield* Effect.fork(Parent.execute({ id: "2" }))
        const child = yield* Child.executionId({ id: "shared" })
        yield* untilSuspended(Child, child)
        yield* untilSuspended(Parent, yield* Parent.executionId({ id: "1" }))
        yield* untilSuspended(Parent, yield* Parent.executionId({ id: "2" }))
        yield* signal(Child, child)
        assert.deepStrictEqual(yield* awaited(first), Exit.succeed("1signal"))
        assert.deepStrictEqual(yield* awaited(second), Exit.succeed("2signal"))
      }))

    test("an interrupt of a parent reaches the child it waits for, and both undo their steps", () =>
      Effect.gen(function* () {
        const Parent = textWorkflow()
        const Child = textWorkflow()
        const log: Array<string> = []
        yield* register(
          Child.toLayer(() => Effect.zipRight(undone(log, "child"), DurableDeferred.await(Gate))),
          Parent.toLayer(({ id }) => Effect.zipRight(undone(log, "parent"), Child.execute({ id })))
        )
        const parent = yield* Parent.execute({ id: "1" }, { discard: true })
        const child = yield* Child.executionId({ id: "1" })
        yield* untilSuspended(Child, child)
        yield* untilSuspended(Parent, parent)
        yield* Parent.interrupt(parent)
        const exits = [yield* exitOf(Parent, parent), yield* exitOf(Child, child)]
        for (const exit of exits) assert.isTrue(Exit.isInterrupted(exit))
        yield* turns()
        assert.deepStrictEqual([...log].sort(), ["child", "parent", "undo child", "undo parent"])
      }))

    for (const concurrency of ["unbounded", 2] as const) {
      test(`activities over children that suspend fan out (concurrency ${concurrency})`, () =>
        Effect.gen(function* () {
          const Parent = textWorkflow()
          const Child = textWorkflow()
          const ids = ["1", "2", "3", "4", "5"]
          yield* register(
            Child.toLayer(() => DurableDeferred.await(Gate)),
            Parent.toLayer(() =>
              Effect.map(
                Effect.forEach(
                  ids,
                  (id) => step(`over ${id}`, Effect.orDie(Child.execute({ id }))),
                  { concurrency }
                ),
                (all) => all.join()
              )
            )
          )
          const parent = yield* Parent.execute({ id: "1" }, { discard: true })
          for (const id of ids) {
            const child = yield* Child.executionId({ id })
            yield* untilSuspended(Child, child)
            yield* untilSuspended(Parent, parent)
            yield* signal(Child, child, Exit.succeed(id))
            yield* exitOf(Child, child)
            yield* turns()
          }
          assert.deepStrictEqual(yield* exitOf(Parent, parent), Exit.succeed("1,2,3,4,5"))
        }))
    }

    test("a child that ends while the activity that waits for it cleans up wakes the parent", () =>
      Effect.gen(function* () {
        const Parent = textWorkflow()
        const Child = textWorkflow()
        const cleaning = yield* Deferred.make<void>()
        const latch = yield* Deferred.make<void>()
        yield* register(
          Child.toLayer(() => DurableDeferred.await(Gate)),
          Parent.toLayer(({ id }) =>
            step(
              "over",
              Effect.orDie(Child.execute({ id })).pipe(
                Effect.ensuring(
                  Effect.zipRight(Deferred.succeed(cleaning, undefined), Deferred.await(latch))
                )
              )
            )
          )
        )
        const parent = yield* Parent.execute({ id: "1" }, { discard: true })
        const child = yield* Child.executionId({ id: "1" })
        yield* Deferred.await(cleaning)
        yield* untilSuspended(Child, child)
        yield* signal(Child, child)
        yield* exitOf(Child, child)
        yield* turns()
        yield* Deferred.succeed(latch, undefined)
        assert.deepStrictEqual(yield* exitOf(Parent, parent), Exit.succeed("signal"))
      }))
  })

  describe(`${name}: queues and limits`, () => {
    test("a durable queue's worker answers the run that waits", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const Queue = DurableQueue.make({
          name: "Queue",
          payload: { text: Schema.String },
          success: Schema.String,
          error: Schema.String,
          idempotencyKey: ({ text }) => text
        })
        const queue = yield* Layer.build(
          PersistedQueue.layer.pipe(Layer.provide(PersistedQueue.layerStoreMemory))
        )
        yield* register(
          W.toLayer(({ id }) => DurableQueue.process(Queue, { text: id })).pipe(
            Layer.provide(Layer.succeedContext(queue))
          )
        )
        const fiber = yield* Effect.fork(W.execute({ id: "a" }))
        yield* untilSuspended(W, yield* W.executionId({ id: "a" }))
        yield* register(
          DurableQueue.worker(Queue, ({ text }) => Effect.succeed(text.toUpperCase())).pipe(
            Layer.provide(Layer.succeedContext(queue))
          )
        )
        assert.deepStrictEqual(yield* awaited(fiber), Exit.succeed("A"))
      }))

    test("a durable rate limiter lets runs through as its window allows", () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const limiter = yield* Layer.build(
          RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))
        )
        const log: Array<string> = []
        yield* register(
          W.toLayer(({ id }) =>
            Effect.zipRight(
              noted(log, `begin ${id}`),
              DurableRateLimiter.rateLimit({
                name: "limit",
                algorithm: "fixed-window",
                window: "30 seconds",
                limit: 1,
                key: "all"
              }).pipe(Effect.orDie, Effect.as(id), Effect.provide(limiter))
            )
          )
        )
        const first = yield* W.execute({ id: "1" }, { discard: true })
        assert.deepStrictEqual(yield* exitOf(W, first), Exit.succeed("1"))
        const second = yield* W.execute({ id: "2" }, { discard: true })
        yield* untilTrue("the second begins", () => log.includes("begin 2"))
        yield* turns()
        assert.notStrictEqual((yield* W.poll(second))?._tag, "Complete")
        yield* pass("30 seconds")
        assert.deepStrictEqual(yield* exitOf(W, second), Exit.succeed("2"))
      }))
  })
}
