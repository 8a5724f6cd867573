/** What a run waits for can be seen, and the runs around it. */
import { Activity, DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { layer as layerRuns, Runs } from "../../src/runner/Runs.js"
import { expect, gate, type Stack, untilPolled, untilStatus, worlds } from "./Harness.js"

const named = <Name extends string>(name: Name) =>
  Workflow.make({ name, payload: { id: Schema.String }, idempotencyKey: ({ id }) => id })

const Order = named("Order")
const Child = named("Child")

const Approval = DurableDeferred.make("Approval")
const Parcel = DurableDeferred.make("Parcel")

const get = (stack: Stack, runId: string) =>
  Effect.flatMap(Runs, (runs) => runs.get(runId)).pipe(
    Effect.provide(layerRuns),
    Effect.provide(stack.context)
  )

const at = (seconds: number) => new Date(seconds * 1_000).toISOString()

const begin = (stack: Stack) => stack.run(Order.execute({ id: "1" }, { discard: true }))

worlds("what a suspended run waits for", (test) => {
  test("is a signal since when, a timer until when, and a child", (world) =>
    Effect.gen(function* () {
      const workflows = Layer.mergeAll(
        Child.toLayer(() => DurableDeferred.await(Approval)),
        Order.toLayer(() =>
          Effect.all(
            [
              DurableDeferred.await(Parcel),
              DurableClock.sleep({ name: "nap", duration: "1 hour" }),
              DurableClock.sleep({ name: "wink", duration: "30 seconds" }),
              Child.execute({ id: "1" })
            ],
            { concurrency: "unbounded", discard: true }
          )
        )
      )
      yield* TestClock.setTime(10_000)
      const stack = yield* world.start({ workflows })
      const runId = yield* begin(stack)
      const child = yield* stack.run(Child.executionId({ id: "1" }))
      yield* untilStatus(world, runId, "suspended")
      yield* untilStatus(world, child, "suspended")
      const shown = yield* get(stack, runId)
      expect(shown.waitsFor?.total).toBe(4)
      expect(shown.waitsFor?.first).toEqual(
        expect.arrayContaining([
          { type: "signal", name: "Parcel", since: at(10) },
          { type: "timer", name: "nap", since: at(10), until: at(3610) },
          { type: "timer", name: "wink", since: at(10), until: at(40) },
          { type: "child", runId: child, since: at(10) }
        ])
      )
      expect(shown.children).toEqual({
        total: 1,
        first: [{ runId: child, workflow: "Child", status: "suspended" }]
      })
      expect((yield* get(stack, child)).parents).toEqual({
        total: 1,
        first: [{ runId, workflow: "Order", status: "suspended" }]
      })
      expect(shown).not.toHaveProperty("parents")
    }))

  test("is as old as the wait, also where another executor has gone on with it", (world) =>
    Effect.gen(function* () {
      const workflows = Order.toLayer(() =>
        Effect.all([DurableDeferred.await(Parcel), DurableDeferred.await(Approval)], {
          concurrency: "unbounded",
          discard: true
        })
      )
      yield* TestClock.setTime(10_000)
      const first = yield* world.start({ workflows, maxWarmRuns: 0 })
      const runId = yield* begin(first)
      yield* untilStatus(world, runId, "suspended")
      yield* first.close
      yield* TestClock.setTime(20_000)
      yield* world.outside.signal({ runId, name: "Parcel", exit: `{"_tag":"Success"}` })
      const second = yield* world.start({ workflows })
      yield* untilPolled("it has gone on, and waits again", () =>
        Effect.map(get(second, runId), ({ status }) => status === "suspended")
      )
      expect((yield* get(second, runId)).waitsFor).toEqual({
        total: 1,
        first: [{ type: "signal", name: "Approval", since: at(10) }]
      })
    }))

  test("is told of the first twenty", (world) =>
    Effect.gen(function* () {
      const workflows = Order.toLayer(() =>
        Effect.forEach(
          Array.from({ length: 30 }, (_, i) => DurableDeferred.make(`${i}/${"x".repeat(1_000)}`)),
          (deferred) => DurableDeferred.await(deferred),
          { concurrency: "unbounded", discard: true }
        )
      )
      const stack = yield* world.start({ workflows })
      const runId = yield* begin(stack)
      yield* untilStatus(world, runId, "suspended")
      const { waitsFor } = yield* get(stack, runId)
      expect(waitsFor?.total).toBe(30)
      expect(waitsFor?.first).toHaveLength(20)
      expect(JSON.stringify(waitsFor).length).toBeLessThan(10_000)
    }))

  test("is a mend, where it failed and nothing will wake it", (world) =>
    Effect.gen(function* () {
      const workflows = Order.annotate(Workflow.SuspendOnFailure, true).toLayer(() =>
        Activity.make({ name: "a", execute: Effect.die("broken") })
      )
      const stack = yield* world.start({ workflows })
      const runId = yield* begin(stack)
      yield* untilStatus(world, runId, "suspended")
      expect((yield* get(stack, runId)).waitsFor).toEqual({ total: 1, first: [{ type: "mend" }] })
      const page = yield* Effect.flatMap(Runs, (runs) => runs.list({ mend: true })).pipe(
        Effect.provide(layerRuns),
        Effect.provide(stack.context)
      )
      expect(page.runs.map(({ runId }) => runId)).toEqual([runId])
    }))
})

worlds("what a pending run waits for", (test) => {
  test("is room, or an executor that has its workflow", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const workflows = Order.toLayer(() => Activity.make({ name: "a", execute: held.pass }))
      const stack = yield* world.start({ workflows, maxConcurrentRuns: 1 })
      yield* begin(stack)
      yield* held.entered
      const second = yield* stack.run(Order.execute({ id: "2" }, { discard: true }))
      expect((yield* get(stack, second)).waitsFor?.first).toEqual([{ type: "room" }])
      yield* world.outside.create({ runId: "other", workflow: "Unknown", payload: "{}" })
      expect((yield* get(stack, "other")).waitsFor?.first).toEqual([
        { type: "executor", workflow: "Unknown" }
      ])
      yield* held.open
    }))

  test("is nothing once it is over", (world) =>
    Effect.gen(function* () {
      const stack = yield* world.start({ workflows: Order.toLayer(() => Effect.void) })
      const runId = yield* begin(stack)
      yield* untilStatus(world, runId, "completed")
      expect(yield* get(stack, runId)).not.toHaveProperty("waitsFor")
    }))
})

worlds("who executes a step", (test) => {
  test("is told while it is in flight, once it is recorded, and when another goes on", (world) =>
    Effect.gen(function* () {
      const step = gate()
      const workflows = Order.toLayer(() =>
        Effect.zipRight(
          Activity.make({ name: "first", execute: Effect.void }),
          Activity.make({ name: "second", execute: step.pass })
        )
      )
      const executors = Effect.map(world.outside.executors, (all) => all.map(({ id }) => id))
      const told = (stack: Stack, runId: string) =>
        Effect.map(get(stack, runId), ({ steps }) =>
          steps.map(({ executor, name, status }) => [name, status, executor])
        )
      const a = yield* world.start({ workflows, stopTimeout: 0 })
      const runId = yield* begin(a)
      yield* step.entered
      const [first] = yield* executors
      expect(yield* told(a, runId)).toEqual([
        ["first", "completed", first],
        ["second", "running", first]
      ])
      yield* a.close
      const b = yield* world.start({ workflows })
      const [second] = yield* executors
      expect(second).not.toBe(first)
      yield* step.open
      yield* untilStatus(world, runId, "completed")
      expect(yield* told(b, runId)).toEqual([
        ["first", "completed", first],
        ["second", "completed", second]
      ])
      yield* b.close
    }))
})
