/** What is told of a run that did not complete: in the log once, and in its record for good. */
import { Activity, DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { layer as layerRuns, Runs } from "../../src/runner/Runs.js"
import { expect, type LogLine, type Stack, settled, untilStatus, worlds } from "./Harness.js"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  message: Schema.String
}) {}

const Order = Workflow.make({
  name: "Order",
  payload: { id: Schema.String },
  error: OutOfStock,
  idempotencyKey: ({ id }) => id
})

const Go = DurableDeferred.make("Go")

const failing = (execute: Effect.Effect<void, OutOfStock>) =>
  Activity.make({ name: "charge", error: OutOfStock, execute })

/** Named, to be found in the stack. */
const placeOfTheFault = (message: string) =>
  new Error(message, { cause: new TypeError("the root") })

const charge = failing(Effect.failSync(() => new OutOfStock({ message: "none left" })))
const chargeFaulty = failing(Effect.dieSync(() => placeOfTheFault("a fault")))

const get = (stack: Stack, runId: string, stacks: boolean) =>
  Effect.flatMap(Runs, (runs) => runs.get(runId, { stacks })).pipe(
    Effect.provide(layerRuns),
    Effect.provide(stack.context)
  )

/** The lines that tell of an end. */
const ends = (logs: ReadonlyArray<LogLine>) =>
  logs.filter(({ level, message }) => message.startsWith("run failed") && level !== "DEBUG")

worlds("a run that fails", (test) => {
  test("by a typed error is a warning, with the step and what it failed with", (world) =>
    Effect.gen(function* () {
      const stack = yield* world.start({ workflows: Order.toLayer(() => charge) })
      const runId = yield* stack.run(Order.execute({ id: "1" }, { discard: true }))
      yield* untilStatus(world, runId, "failed")
      yield* settled
      expect(ends(world.logs)).toEqual([
        expect.objectContaining({
          level: "WARN",
          message: "run failed",
          annotations: expect.objectContaining({
            runId,
            workflow: "Order",
            step: "charge/1",
            failure: "OutOfStock: none left"
          })
        })
      ])
      expect(yield* get(stack, runId, true)).toMatchObject({
        failedStep: { name: "charge", attempt: 1 }
      })
    }))

  test("by a defect is an error, with where the step's error came from and its causes", (world) =>
    Effect.gen(function* () {
      const stack = yield* world.start({ workflows: Order.toLayer(() => chargeFaulty) })
      const runId = yield* stack.run(Order.execute({ id: "1" }, { discard: true }))
      yield* untilStatus(world, runId, "failed")
      yield* settled
      const lines = ends(world.logs)
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatchObject({
        level: "ERROR",
        annotations: { step: "charge/1", failure: "Defect: a fault" }
      })
      expect(lines[0]?.message).toMatch(
        /^run failed unexpectedly Error: a fault\n.*placeOfTheFault/s
      )

      const shown = yield* get(stack, runId, true)
      expect(shown.failedStep).toEqual({ name: "charge", attempt: 1 })
      expect(shown.stack).toMatch(
        /^Error: a fault\n.*placeOfTheFault.*\[cause\]: TypeError: the root\n.*placeOfTheFault/s
      )
      expect(shown.stack?.length).toBeLessThan(10_000)
      expect(shown.error).toEqual({ _tag: "Defect", message: "a fault" })
    }))

  test("tells of where only who asks for it", (world) =>
    Effect.gen(function* () {
      const stack = yield* world.start({ workflows: Order.toLayer(() => chargeFaulty) })
      const runId = yield* stack.run(Order.execute({ id: "1" }, { discard: true }))
      yield* untilStatus(world, runId, "failed")
      for (const stacks of [true, false]) {
        const { stack: _, ...shown } = yield* get(stack, runId, stacks)
        expect(JSON.stringify(shown)).not.toContain("placeOfTheFault")
        expect(JSON.stringify(shown)).not.toContain("the root")
        expect(shown.cause).toEqual({ _tag: "Die", defect: { name: "Error", message: "a fault" } })
      }
      expect((yield* get(stack, runId, false)).stack).toBeUndefined()
    }))

  test("by its own code names no step", (world) =>
    Effect.gen(function* () {
      const workflows = Order.toLayer(() =>
        Effect.zipRight(
          Effect.ignore(charge),
          Effect.dieSync(() => placeOfTheFault("its own"))
        )
      )
      const stack = yield* world.start({ workflows })
      const runId = yield* stack.run(Order.execute({ id: "1" }, { discard: true }))
      yield* untilStatus(world, runId, "failed")
      yield* settled
      expect(ends(world.logs)[0]?.annotations).not.toHaveProperty("step")
      expect(ends(world.logs)[0]?.message).toContain("placeOfTheFault")
    }))

  test("after another executor has gone on with it is told once, with the stack of before", (world) =>
    Effect.gen(function* () {
      const workflows = Order.toLayer(() =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(chargeFaulty)
          yield* DurableDeferred.await(Go)
          yield* exit
        })
      )
      const first = yield* world.start({ workflows })
      const runId = yield* first.run(Order.execute({ id: "1" }, { discard: true }))
      yield* untilStatus(world, runId, "suspended")
      yield* first.close
      expect(ends(world.logs)).toEqual([])
      yield* world.outside.signal({ runId, name: "Go", exit: `{"_tag":"Success"}` })
      const second = yield* world.start({ workflows })
      yield* untilStatus(world, runId, "failed")
      yield* settled
      expect(ends(world.logs)).toHaveLength(1)
      expect(ends(world.logs)[0]).toMatchObject({
        level: "ERROR",
        annotations: { step: "charge/1" }
      })
      expect(ends(world.logs)[0]?.message).toContain("placeOfTheFault")
      expect((yield* get(second, runId, true)).stack).toContain("placeOfTheFault")
    }))

  test("keeps its message where there is no room for the stack", (world) =>
    Effect.gen(function* () {
      const message = "x".repeat(700)
      const workflows = Order.toLayer(() => failing(Effect.dieSync(() => placeOfTheFault(message))))
      const stack = yield* world.start({ workflows, maxValueSize: 1024 })
      const runId = yield* stack.run(Order.execute({ id: "1" }, { discard: true }))
      yield* untilStatus(world, runId, "failed")
      const shown = yield* get(stack, runId, true)
      expect(shown.error).toEqual({ _tag: "Defect", message })
      expect(shown.stack).toBeUndefined()
    }))

  test("and one that was interrupted or completed is neither warning nor error", (world) =>
    Effect.gen(function* () {
      const workflows = Order.toLayer(({ id }) =>
        id === "1" ? Effect.void : DurableDeferred.await(Go)
      )
      const stack = yield* world.start({ workflows })
      const done = yield* stack.run(Order.execute({ id: "1" }, { discard: true }))
      const cut = yield* stack.run(Order.execute({ id: "2" }, { discard: true }))
      yield* untilStatus(world, cut, "suspended")
      yield* stack.run(Order.interrupt(cut))
      yield* untilStatus(world, cut, "interrupted")
      yield* untilStatus(world, done, "completed")
      yield* settled
      expect(world.logs.filter(({ level }) => level === "WARN" || level === "ERROR")).toEqual([])
    }))
})
