/** How many runs and steps a process has under way, and that bounds never hold it up for good. */
import { assert, describe, it } from "@effect/vitest"
import { DurableDeferred } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { Dispatcher } from "../../src/engine/held/Dispatcher.js"
import {
  exitOf,
  Gate,
  layerMemory,
  noted,
  open,
  pass,
  register,
  step,
  textWorkflow,
  turns,
  untilSuspended,
  untilTrue
} from "./support.js"

/** Two runs where there is room for one step: the first executes it, the second waits for it. */
const bothStarted = (workflow: ReturnType<typeof textWorkflow>) =>
  Effect.gen(function* () {
    const dispatcher = yield* Dispatcher
    const first = yield* workflow.execute({ id: "1" }, { discard: true })
    yield* untilTrue("the first step", () => dispatcher.steps.list().length === 1)
    const second = yield* workflow.execute({ id: "2" }, { discard: true })
    yield* untilTrue("both runs", () => dispatcher.runs.size() === 2)
    yield* turns()
    return { first, second }
  })

describe("bounds", () => {
  it.effect("of 20 parallel steps no more than 3 are in flight, and all are executed", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      let inFlight = 0
      let most = 0
      const counted = (name: string) =>
        step(
          name,
          Effect.gen(function* () {
            most = Math.max(most, ++inFlight)
            yield* turns(3)
            inFlight--
            return name
          })
        )
      yield* register(
        W.toLayer(() =>
          Effect.map(
            Effect.forEach(
              Array.from({ length: 20 }, (_, n) => counted(`${n}`)),
              (step) => step,
              { concurrency: "unbounded" }
            ),
            (all) => `${all.length}`
          )
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("20"))
      assert.strictEqual(most, 3)
    }).pipe(Effect.scoped, Effect.provide(layerMemory({ maxConcurrentSteps: 3 })))
  )

  it.effect("a step that is asked for twice while there is no room executes once", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      const latch = yield* Deferred.make<void>()
      yield* register(
        W.toLayer(() =>
          Effect.map(
            Effect.all(
              [
                step("first", Effect.as(Deferred.await(latch), "first")),
                noted(log, "same"),
                noted(log, "same")
              ],
              { concurrency: "unbounded" }
            ),
            (all) => all.join()
          )
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      const dispatcher = yield* Dispatcher
      yield* untilTrue("the first step", () => dispatcher.steps.list().length === 1)
      yield* turns()
      yield* Deferred.succeed(latch, undefined)
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("first,same,same"))
      assert.deepStrictEqual(log, ["same"])
    }).pipe(Effect.scoped, Effect.provide(layerMemory({ maxConcurrentSteps: 1 })))
  )

  it.effect("with room for 2 runs, 20 parents that wait for their children all end", () =>
    Effect.gen(function* () {
      const Parent = textWorkflow()
      const Child = textWorkflow()
      yield* register(
        Child.toLayer(({ id }) =>
          Effect.zipRight(
            step("work", Effect.zipRight(turns(2), Effect.succeed(id))),
            Effect.succeed(id)
          )
        ),
        Parent.toLayer(({ id }) =>
          Effect.gen(function* () {
            const first = yield* Child.execute({ id: `${id}a` })
            const rest = yield* Effect.all(
              [Child.execute({ id: `${id}b` }), Child.execute({ id })],
              {
                concurrency: "unbounded"
              }
            )
            return [first, ...rest].join()
          })
        )
      )
      const ids = Array.from({ length: 20 }, (_, n) => `${n}`)
      const runIds = yield* Effect.forEach(ids, (id) => Parent.execute({ id }, { discard: true }))
      for (const [n, runId] of runIds.entries()) {
        assert.deepStrictEqual(yield* exitOf(Parent, runId), Exit.succeed(`${n}a,${n}b,${n}`))
      }
      const dispatcher = yield* Dispatcher
      yield* turns()
      assert.strictEqual(dispatcher.runs.size(), 0)
    }).pipe(Effect.scoped, Effect.provide(layerMemory({ maxConcurrentRuns: 2 })))
  )

  it.effect(
    "a run whose step was not begun, for want of room, is suspended where it waits then",
    () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const latch = yield* Deferred.make<void>()
        yield* register(
          W.toLayer(({ id }) =>
            id === "1"
              ? step("first", Effect.as(Deferred.await(latch), "first"))
              : Effect.zipRight(
                  Effect.timeoutOption(step("second"), "1 second"),
                  DurableDeferred.await(Gate)
                )
          )
        )
        const { first, second } = yield* bothStarted(W)
        yield* pass("1 second")
        yield* untilSuspended(W, second)
        yield* open(W, second)
        assert.deepStrictEqual(yield* exitOf(W, second), Exit.succeed("go"))
        yield* Deferred.succeed(latch, undefined)
        assert.deepStrictEqual(yield* exitOf(W, first), Exit.succeed("first"))
      }).pipe(Effect.scoped, Effect.provide(layerMemory({ maxConcurrentSteps: 1 })))
  )

  it.effect("a step with no room yet is not begun when its run is interrupted", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      const latch = yield* Deferred.make<void>()
      yield* register(
        W.toLayer(({ id }) =>
          id === "1"
            ? step("first", Effect.as(Deferred.await(latch), "first"))
            : noted(log, "second")
        )
      )
      const { first, second } = yield* bothStarted(W)
      yield* W.interrupt(second)
      assert.isTrue(Exit.isInterrupted(yield* exitOf(W, second)))
      yield* Deferred.succeed(latch, undefined)
      assert.deepStrictEqual(yield* exitOf(W, first), Exit.succeed("first"))
      const third = yield* W.execute({ id: "3" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(W, third), Exit.succeed("second"))
      assert.deepStrictEqual(log, ["second"])
    }).pipe(Effect.scoped, Effect.provide(layerMemory({ maxConcurrentSteps: 1 })))
  )
})

describe("a workflow's services", () => {
  class Mailer extends Context.Tag("test/Mailer")<Mailer, string>() {}

  it.effect("are those of its registration, whatever is around the executor", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      yield* register(
        W.toLayer(() => step("mail", Effect.zipRight(Effect.void, Mailer))).pipe(
          Layer.provide(Layer.succeed(Mailer, "its own"))
        )
      )
      const exit = yield* exitOf(W, yield* W.execute({ id: "1" }, { discard: true }))
      assert.deepStrictEqual(exit, Exit.succeed("its own"))
    }).pipe(
      Effect.scoped,
      Effect.provide(layerMemory()),
      Effect.provide(Layer.succeed(Mailer, "another"))
    )
  )
})
