/** A timer that is due while its run is made to go on by something else. */
import { Activity, DurableClock, Workflow } from "@effect/workflow"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { expect, gate, journal, settled, until, untilStatus, worlds } from "./Harness.js"

const W = Workflow.make({
  name: "W",
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id
})

worlds("a timer that is due", (test) => {
  test("fires also where something else goes on before the run is woken", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      let latch: Deferred.Deferred<void> | undefined
      const workflows = W.toLayer(() =>
        Effect.gen(function* () {
          const d = yield* Deferred.make<void>()
          latch = d
          const other = yield* Effect.fork(
            Effect.zipRight(
              Deferred.await(d),
              Activity.make({ name: "other", execute: note("other") })
            )
          )
          yield* DurableClock.sleep({ name: "nap", duration: "10 seconds" })
          yield* Activity.make({ name: "after", execute: note("after") })
          yield* Fiber.join(other)
        })
      )
      const busy = gate(true)
      const stack = yield* world.start({
        workflows,
        leaseDuration: "1000 days",
        wrap: (store) => ({
          ...store,
          // the database is locked by another process for a moment
          wakeDue: (limit) => Effect.zipRight(busy.pass, store.wakeDue(limit))
        })
      })
      const runId = yield* stack.run(W.execute({ id: "1" }, { discard: true }))
      yield* untilStatus(world, runId, "suspended")
      yield* settled
      yield* busy.close
      const before = busy.count
      yield* TestClock.adjust("10 seconds")
      yield* until("waking", () => busy.count > before)
      yield* settled
      if (latch !== undefined) yield* Deferred.succeed(latch, undefined)
      yield* until("other", () => lines.includes("other"))
      yield* settled
      yield* busy.open
      yield* settled
      yield* TestClock.adjust("90 seconds")
      yield* settled
      expect(lines).toEqual(["other", "after"])
    }))
})
