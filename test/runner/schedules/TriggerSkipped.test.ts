/** A schedule is triggered whose workflow has a queue that lets in no second run. */
import { Activity, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as RunQueue from "../../../src/engine/RunQueue.js"
import * as Schedules from "../../../src/runner/Schedules.js"
import { expect, gate, type Stack, settled, worlds } from "../Harness.js"

const asked = <A, E>(
  stack: Stack,
  ask: (schedules: Schedules.Schedules["Type"]) => Effect.Effect<A, E>
) =>
  Effect.flatMap(Schedules.Schedules, ask).pipe(
    Effect.provide(Schedules.layerService),
    Effect.provide(stack.context)
  )

worlds("a schedule of a workflow of which one is under way at a time", (test) => {
  test("answers when it is triggered while one is", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const Mail = Workflow.make({
        name: "Mail",
        payload: { id: Schema.String },
        idempotencyKey: ({ id }) => id
      }).annotate(RunQueue.RunQueue, RunQueue.make({ singleton: "skip" }))
      const workflows = Mail.toLayer(() => Activity.make({ name: "work", execute: held.pass }))
      let writes = 0
      const stack = yield* world.start({
        workflows,
        wrap: (store) => ({
          ...store,
          changeSchedule: (change) => {
            writes++
            // else it would go on for ever, and nothing else would
            return writes > 500 ? Effect.never : store.changeSchedule(change)
          }
        })
      })
      yield* asked(stack, (schedules) =>
        schedules.put("nightly", { workflow: "Mail", payload: { id: "1" }, every: "1 day" })
      )
      yield* TestClock.adjust("5 seconds")
      yield* asked(stack, (schedules) => schedules.trigger("nightly"))
      yield* held.entered
      yield* TestClock.adjust("1 second")
      const again = yield* Effect.fork(asked(stack, (schedules) => schedules.trigger("nightly")))
      for (let n = 0; n < 10; n++) yield* settled
      const answer = yield* Fiber.poll(again)
      const count = writes
      yield* Fiber.interrupt(again)
      expect({ answered: Option.isSome(answer), writes: count }).toEqual({
        answered: true,
        writes: 3
      })
    }))
})
