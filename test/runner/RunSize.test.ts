/** Point 14: runs that have recorded much. */
import { Activity, DurableClock, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { expect, found, settled, statusOf, until, untilStatus, worlds } from "./Harness.js"

const Pages = Workflow.make({
  name: "Pages",
  payload: { id: Schema.String, pages: Schema.Number },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

const kilobyte = "x".repeat(1_000)

const start = (id: string, pages: number) => Pages.execute({ id, pages }, { discard: true })

/** So many steps of a kilobyte, a sleep, and a step at the end. */
const workflow = (onEnd: Effect.Effect<void> = Effect.void) =>
  Pages.toLayer(({ pages }) =>
    Effect.gen(function* () {
      for (let page = 0; page < pages; page++) {
        yield* Activity.make({
          name: `page ${page}`,
          success: Schema.String,
          execute: Effect.succeed(kilobyte)
        })
      }
      yield* DurableClock.sleep({ name: "sleep", duration: "2 seconds" })
      yield* Activity.make({ name: "end", execute: onEnd })
      return "ok"
    })
  )

worlds("a run that has recorded", (test) => {
  test("more than it may is set aside by name, and the others go on", (world) =>
    Effect.gen(function* () {
      const a = yield* world.start({ workflows: workflow(), maxRunSize: 10_000 })
      const large = yield* a.run(start("large", 30))
      const small = yield* a.run(start("small", 3))
      yield* until("it is set aside", () =>
        Effect.map(found(world.outside, large), ({ cause }) => cause !== undefined)
      )
      const { cause, status } = yield* found(world.outside, large)
      expect(status).toBe("suspended")
      expect(cause).toContain(large)
      expect(cause).toContain("at most 10000 are allowed (MAX_RUN_SIZE)")
      yield* untilStatus(world, small, "suspended")
      yield* TestClock.adjust("2 seconds")
      yield* untilStatus(world, small, "completed")
      yield* a.close
    }))

  test("more than an executor allows is not read by it, and goes on where it is", (world) =>
    Effect.gen(function* () {
      const a = yield* world.start({ workflows: workflow(), maxWarmRuns: 0 })
      const runId = yield* a.run(start("large", 30))
      yield* untilStatus(world, runId, "suspended")
      yield* a.close
      const b = yield* world.start({ workflows: workflow(), maxRunSize: 10_000 })
      yield* TestClock.adjust("2 seconds")
      yield* until("it is set aside", () =>
        Effect.map(found(world.outside, runId), ({ cause }) => cause !== undefined)
      )
      expect((yield* found(world.outside, runId)).cause).toMatch(/has recorded 3\d{4} bytes/)
      yield* b.close
      const c = yield* world.start({ workflows: workflow() })
      yield* world.outside.wake(runId)
      yield* TestClock.adjust("1 second")
      yield* untilStatus(world, runId, "completed")
      yield* c.close
    }))

  test("much leaves room for no other, but one is always begun", (world) =>
    Effect.gen(function* () {
      let under = 0
      let most = 0
      const end = Effect.gen(function* () {
        most = Math.max(most, ++under)
        yield* settled
        under--
      })
      const a = yield* world.start({ workflows: workflow(), maxWarmRuns: 0 })
      const runIds = yield* Effect.forEach(["1", "2", "3", "4", "5", "6"], (id) =>
        a.run(start(id, 10))
      )
      for (const runId of runIds) yield* untilStatus(world, runId, "suspended")
      yield* a.close
      // each has 10 kB
      const b = yield* world.start({ workflows: workflow(end), maxConcurrentBytes: 15_000 })
      yield* TestClock.adjust("2 seconds")
      for (const runId of runIds) yield* untilStatus(world, runId, "completed")
      expect(most).toBe(2)
      yield* b.close
      const c = yield* world.start({ workflows: workflow(), maxConcurrentBytes: 1 })
      const last = yield* c.run(start("last", 0))
      yield* untilStatus(world, last, "suspended")
      yield* TestClock.adjust("2 seconds")
      yield* untilStatus(world, last, "completed")
      expect(yield* statusOf(world.outside, last)).toBe("completed")
      yield* c.close
    }))
})
