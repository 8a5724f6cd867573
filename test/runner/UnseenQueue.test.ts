/** A queue that another process has made, which is gone. */
import { Activity, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as RunQueue from "../../src/engine/RunQueue.js"
import { layer as layerRuns, Runs } from "../../src/runner/Runs.js"
import { expect, journal, type Stack, settled, until, worlds } from "./Harness.js"

const asked = <A, E>(stack: Stack, ask: (runs: Runs["Type"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(Runs, ask).pipe(Effect.provide(layerRuns), Effect.provide(stack.context))

worlds("an executor that has not seen a queue yet", (test) => {
  test("goes on with it when its rate allows the next", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const id = { id: Schema.String }
      const Mail = Workflow.make({
        name: "Mail",
        payload: id,
        idempotencyKey: ({ id }) => id
      }).annotate(RunQueue.RunQueue, RunQueue.make({ rateLimit: { limit: 1, window: "1 minute" } }))
      const Other = Workflow.make({ name: "Other", payload: id, idempotencyKey: ({ id }) => id })
      const workflows = Layer.merge(
        Mail.toLayer(({ id }) => Activity.make({ name: "work", execute: note(id) })),
        Other.toLayer(() => Activity.make({ name: "work", execute: note("other") }))
      )
      let wakes = 0
      const one = yield* world.start({ workflows, leaseDuration: "1 day" })
      yield* world.start({
        workflows,
        leaseDuration: "1 day",
        wrap: (store) => ({
          ...store,
          wakeDue: (limit) =>
            // else it would go on for ever, and nothing else would
            Effect.suspend(() => (++wakes > 300 ? Effect.never : store.wakeDue(limit)))
        })
      })
      yield* TestClock.adjust("10 seconds")
      yield* settled
      // two sees that somebody has written, and that there is no queue
      yield* asked(one, (runs) => runs.start({ workflow: "Other", payload: { id: "1" } }))
      yield* until("other", () => lines.length === 1)
      yield* TestClock.adjust("500 millis")
      yield* settled
      yield* asked(one, (runs) => runs.start({ workflow: "Mail", payload: { id: "first" } }))
      yield* asked(one, (runs) => runs.start({ workflow: "Mail", payload: { id: "second" } }))
      yield* until("first", () => lines.includes("first"))
      yield* settled
      yield* one.close
      yield* TestClock.adjust("500 millis")
      yield* settled
      yield* TestClock.adjust("2 minutes")
      yield* settled
      expect({ lines, spins: wakes > 300 }).toEqual({
        lines: ["other", "first", "second"],
        spins: false
      })
    }))
})
