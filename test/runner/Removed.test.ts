/** Whoever waits for a run that another process removes, or is yet to create. */
import { Activity, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { layer as layerRuns, Runs } from "../../src/runner/Runs.js"
import { expect, gate, settled, untilStatus, worlds } from "./Harness.js"

const W = Workflow.make({
  name: "W",
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id
})

const oneStep = (execute: Effect.Effect<void>) =>
  W.toLayer(() => Activity.make({ name: "work", execute }))

worlds("whoever waits for a run of another process", (test, kind) => {
  test("is told where it is removed before its end was seen here", (world) =>
    Effect.gen(function* () {
      // there one process sees all that others do
      if (kind === "memory") return
      const held = gate()
      const one = yield* world.start({ workflows: oneStep(held.pass), leaseDuration: "1 day" })
      const two = yield* world.start({ leaseDuration: "1 day" })
      const runId = yield* one.run(W.execute({ id: "1" }, { discard: true }))
      yield* held.entered
      const executes = yield* Effect.fork(Effect.exit(two.run(W.execute({ id: "1" }))))
      const asks = yield* Effect.fork(Effect.exit(two.dispatcher.result(runId)))
      yield* settled
      yield* TestClock.adjust("1 second")
      yield* held.open
      yield* untilStatus(world, runId, "completed")
      yield* Effect.flatMap(Runs, (runs) => runs.remove(runId)).pipe(
        Effect.provide(layerRuns),
        Effect.provide(one.context)
      )
      yield* TestClock.adjust("1 second")
      yield* settled
      const died = yield* Fiber.join(executes)
      expect(Exit.isFailure(died) && died.cause).toMatchObject({
        _tag: "Die",
        defect: { _tag: "RunNotFound", runId }
      })
      const failed = yield* Fiber.join(asks)
      expect(Exit.isFailure(failed) && failed.cause).toMatchObject({
        _tag: "Fail",
        error: { _tag: "RunNotFound", runId }
      })
    }))

  test("waits on where it is not created yet", (world) =>
    Effect.gen(function* () {
      const one = yield* world.start({ workflows: oneStep(Effect.void) })
      const two = yield* world.start({})
      const runId = yield* W.executionId({ id: "1" })
      const asks = yield* Effect.fork(two.dispatcher.result(runId))
      yield* world.outside.signal({ runId: "nobody", name: "x", exit: `{"_tag":"Success"}` })
      yield* TestClock.adjust("5 seconds")
      yield* settled
      expect(Option.isNone(yield* Fiber.poll(asks))).toBe(true)
      yield* one.run(W.execute({ id: "1" }, { discard: true }))
      yield* untilStatus(world, runId, "completed")
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(asks)).toContain("Success")
    }))
})
