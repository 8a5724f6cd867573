/** Runs that are ended from outside at once, and what becomes of what they had under way. */
import { assert, describe, it } from "@effect/vitest"
import { DurableDeferred, Workflow } from "@effect/workflow"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Dispatcher } from "../../src/engine/held/Dispatcher.js"
import * as Runs from "../../src/runner/Runs.js"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import {
  exitOf,
  inProcess,
  layerMemory,
  noted,
  pass,
  register,
  step,
  temporaryFile,
  textWorkflow,
  turns,
  undone,
  until,
  untilSuspended,
  untilTrue
} from "./support.js"

const test = (
  name: string,
  body: Effect.Effect<void, unknown, Effect.Effect.Context<typeof all>>
) =>
  it.effect(name, () =>
    Effect.scoped(body).pipe(
      Effect.provide(
        Runs.layer.pipe(Layer.provideMerge(layerMemory({ leaseDuration: "1000 days" })))
      )
    )
  )

// what the body of a test may ask for
const all = Effect.gen(function* () {
  yield* Effect.scope
  return yield* Effect.context<Layer.Layer.Success<ReturnType<typeof layerMemory>> | Runs.Runs>()
})

const terminate = (runId: string, options: { reason?: string; children?: boolean } = {}) =>
  Effect.flatMap(Runs.Runs, (runs) => runs.terminate({ runId, ...options }))

const errorOf = (runId: string) =>
  Effect.flatMap(Runs.Runs, (runs) => Effect.map(runs.get(runId), ({ error }) => error))

/** A run with a step behind it that can be undone, and one in flight that nobody lets go on. */
const inFlight = (log: Array<string>) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<string>()
    const W = textWorkflow()
    const live = W.toLayer(() =>
      Effect.gen(function* () {
        yield* undone(log, "charge")
        yield* step(
          "ship",
          Effect.sync(() => log.push("ship")).pipe(
            Effect.zipRight(Deferred.await(gate)),
            Effect.onInterrupt(() => Effect.sync(() => log.push("cut")))
          )
        )
        return yield* noted(log, "never")
      })
    )
    return { W, live, gate }
  })

const Gate = DurableDeferred.make("Gate", { success: Schema.String })

describe("a run that is terminated", () => {
  test(
    "with a step in flight ends at once, cuts the step, and undoes nothing",
    Effect.gen(function* () {
      const store = yield* RunStore
      const dispatcher = yield* Dispatcher
      const log: Array<string> = []
      const { W, gate, live } = yield* inFlight(log)
      yield* register(live)
      const waiting = yield* Effect.fork(Effect.exit(W.execute({ id: "1" })))
      yield* untilTrue("the step is in flight", () => log.includes("ship"))
      const runId = (yield* dispatcher.inFlight)[0]?.runId ?? ""

      assert.deepStrictEqual(yield* terminate(runId, { reason: "no longer needed" }), {
        terminated: 1
      })
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(waiting)))
      assert.deepStrictEqual(yield* errorOf(runId), {
        _tag: "Interrupted",
        message: "terminated: no longer needed",
        reason: "no longer needed"
      })
      yield* untilTrue("the step is cut", () => log.includes("cut"))
      yield* Deferred.succeed(gate, "shipped")
      yield* until(
        "nothing is held",
        Effect.map(dispatcher.inFlight, (steps) => steps.length === 0)
      )
      yield* turns()
      assert.strictEqual(dispatcher.runs.size(), 0)
      assert.deepStrictEqual(log, ["charge", "ship", "cut"])
      const { run, steps } = Option.getOrThrow(yield* store.findWithSteps(runId))
      assert.strictEqual(run.status, "interrupted")
      assert.deepStrictEqual(
        steps.filter(({ exit }) => exit !== undefined).map(({ name }) => name),
        ["charge"]
      )
    })
  )

  test(
    "with a step that cannot be interrupted does not get its result",
    Effect.gen(function* () {
      const store = yield* RunStore
      const dispatcher = yield* Dispatcher
      const gate = yield* Deferred.make<string>()
      const log: Array<string> = []
      const W = textWorkflow()
      const long = Effect.sync(() => log.push("begun")).pipe(
        Effect.zipRight(Deferred.await(gate)),
        Effect.uninterruptible
      )
      yield* register(W.toLayer(() => Effect.zipRight(step("long", long), noted(log, "never"))))
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilTrue("the step is in flight", () => log.length === 1)
      yield* terminate(runId)
      yield* Deferred.succeed(gate, "done")
      yield* untilTrue("it is let go", () => dispatcher.runs.size() === 0)
      assert.deepStrictEqual(log, ["begun"])
      const { run, steps } = Option.getOrThrow(yield* store.findWithSteps(runId))
      assert.strictEqual(run.status, "interrupted")
      assert.deepStrictEqual(
        steps.filter(({ exit }) => exit !== undefined),
        []
      )
    })
  )

  test(
    "while it waits in memory goes, and a signal does not bring it back",
    Effect.gen(function* () {
      const dispatcher = yield* Dispatcher
      const runs = yield* Runs.Runs
      const log: Array<string> = []
      const W = textWorkflow()
      yield* register(
        W.toLayer(() =>
          DurableDeferred.await(Gate).pipe(
            Effect.onExit(() => Effect.sync(() => log.push("finalizer"))),
            Effect.zipLeft(noted(log, "never"))
          )
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilSuspended(W, runId)
      yield* untilTrue("it waits in memory", () => dispatcher.runs.warm() === 1)
      yield* terminate(runId)
      yield* untilTrue("it is gone", () => dispatcher.runs.warm() === 0)
      yield* runs.signal({ runId, name: "Gate", value: "late" })
      yield* turns()
      assert.notInclude(log, "never")
      assert.strictEqual((yield* runs.get(runId)).status, "interrupted")
    })
  )

  test(
    "wakes its parent, which takes it for interrupted, and takes its own children with it if asked",
    Effect.gen(function* () {
      const log: Array<string> = []
      const Grandchild = textWorkflow()
      const Child = textWorkflow()
      const Parent = textWorkflow()
      yield* register(
        Grandchild.toLayer(() => DurableDeferred.await(Gate)),
        Child.toLayer(() => Grandchild.execute({ id: "g" })),
        Parent.toLayer(() =>
          Child.execute({ id: "c" }).pipe(
            Effect.exit,
            Effect.map((exit) => (Exit.isInterrupted(exit) ? "the child was interrupted" : "?")),
            Effect.tap(() => noted(log, "after"))
          )
        )
      )
      const parent = yield* Parent.execute({ id: "p" }, { discard: true })
      yield* untilSuspended(Parent, parent)
      const child = yield* Child.executionId({ id: "c" })
      const grandchild = yield* Grandchild.executionId({ id: "g" })
      yield* untilSuspended(Grandchild, grandchild)
      assert.deepStrictEqual(yield* terminate(child, { children: true }), { terminated: 2 })
      assert.deepStrictEqual(
        yield* exitOf(Parent, parent),
        Exit.succeed("the child was interrupted")
      )
      assert.deepStrictEqual(log, ["after"])
      assert.isTrue(Exit.isInterrupted(yield* exitOf(Grandchild, grandchild)))
    })
  )

  test(
    "may be one that nobody can execute: its workflow is not registered, or its payload does not decode",
    Effect.gen(function* () {
      const store = yield* RunStore
      const runs = yield* Runs.Runs
      const W = textWorkflow()
      yield* register(W.toLayer(({ id }) => noted([], id)))
      yield* store.create({ runId: "unknown", workflow: "Gone", payload: "{}" })
      yield* store.create({ runId: "unreadable", workflow: W.name, payload: `{"id":1}` })
      yield* until(
        "it is set aside",
        Effect.map(runs.get("unreadable"), ({ status }) => status === "suspended")
      )
      for (const runId of ["unknown", "unreadable"]) {
        yield* terminate(runId)
        const { error, status } = yield* runs.get(runId)
        assert.deepStrictEqual([status, error?.message], ["interrupted", "terminated"])
      }
    })
  )

  test(
    "is refused by name where it is over, or the reason is too long, and cannot be retried",
    Effect.gen(function* () {
      const store = yield* RunStore
      const runs = yield* Runs.Runs
      yield* store.create({ runId: "r", workflow: "Gone", payload: "{}" })
      const long = yield* Effect.flip(terminate("r", { reason: "x".repeat(1_001) }))
      assert.strictEqual(long._tag, "InvalidReason")
      assert.include(long.message, "1001")
      yield* terminate("r")
      const over = yield* Effect.flip(terminate("r"))
      assert.deepInclude(over, { _tag: "RunFinished", runId: "r", status: "interrupted" })
      assert.strictEqual((yield* Effect.flip(terminate("none")))._tag, "RunNotFound")
      const retried = yield* Effect.flip(runs.retry("r"))
      assert.include(retried.message, "it was terminated")
    })
  )
})

describe("a run that another process terminates", () => {
  it.scoped("is ended by the one that holds it, in flight and waiting", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const log: Array<string> = []
      const { W, live } = yield* inFlight(log)
      const Waiting = Workflow.make({
        name: "Waiting",
        payload: { id: Schema.String },
        success: Schema.String,
        idempotencyKey: ({ id }) => id
      })
      const workflows = Layer.merge(
        live,
        Waiting.toLayer(() => DurableDeferred.await(Gate))
      )
      yield* Effect.gen(function* () {
        const dispatcher = yield* Dispatcher
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        const waiting = yield* Waiting.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(Waiting, waiting)
        yield* untilTrue("the step is in flight", () => log.includes("ship"))
        yield* untilTrue("the other waits in memory", () => dispatcher.runs.warm() === 1)
        yield* Effect.gen(function* () {
          const store = yield* RunStore
          for (const id of [runId, waiting]) {
            yield* store.terminate({ runId: id, exit: `{"_tag":"Failure"}`, children: false })
          }
        }).pipe(Effect.provide(SqliteRunStore.layerFile({ filename })))
        yield* pass("1 second")
        yield* untilTrue("the step is cut", () => log.includes("cut"))
        yield* untilTrue("nothing is held", () => dispatcher.runs.size() === 0)
        yield* untilTrue("nothing waits", () => dispatcher.runs.warm() === 0)
        yield* turns()
        assert.deepStrictEqual(log, ["charge", "ship", "cut"])
      }).pipe(inProcess(filename, workflows, { pollInterval: "100 millis" }))
    })
  )
})
