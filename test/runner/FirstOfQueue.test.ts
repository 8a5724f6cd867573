/** A store that has looked for queues, and found none, sees the first that there is. */
import { Activity, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as RunQueue from "../../src/engine/RunQueue.js"
import * as Schedules from "../../src/runner/Schedules.js"
import { expect, journal, settled, untilPolled, worlds } from "./Harness.js"

worlds("the first run of a queue, which a schedule starts,", (test) => {
  test("begins", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const id = { id: Schema.String }
      const Mail = Workflow.make({
        name: "Mail",
        payload: id,
        idempotencyKey: ({ id }) => id
      }).annotate(RunQueue.RunQueue, RunQueue.make({ concurrency: 1 }))
      const Other = Workflow.make({ name: "Other", payload: id, idempotencyKey: ({ id }) => id })
      const workflows = Layer.merge(
        Mail.toLayer(() => Activity.make({ name: "work", execute: note("mail") })),
        Other.toLayer(() => Activity.make({ name: "work", execute: note("other") }))
      )
      const stack = yield* world.start({ workflows })
      yield* Effect.flatMap(Schedules.Schedules, (schedules) =>
        schedules.put("often", { workflow: "Mail", payload: { id: "1" }, every: "5 minutes" })
      ).pipe(Effect.provide(Schedules.layerService), Effect.provide(stack.context))
      yield* settled
      yield* TestClock.adjust("299500 millis")
      yield* settled
      // a claim, half a second before the tick
      yield* stack.store.create({
        runId: "other",
        workflow: "Other",
        payload: JSON.stringify({ id: "1" })
      })
      yield* untilPolled("other is over", () => lines.includes("other"))
      yield* settled
      yield* TestClock.adjust("500 millis")
      yield* settled
      yield* TestClock.adjust("2 minutes")
      yield* settled
      expect(lines).toEqual(["other", "mail"])
    }))
})
