/** Runs that are retried, as an app sees them. */
import { Activity, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { layer as layerRuns, Runs } from "../../src/runner/Runs.js"
import * as Schedules from "../../src/runner/Schedules.js"
import { expect, gate, journal, type Stack, settled, untilStatus, worlds } from "./Harness.js"

const asked = <A, E>(stack: Stack, ask: (runs: Runs["Type"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(Runs, ask).pipe(Effect.provide(layerRuns), Effect.provide(stack.context))

const W = Workflow.make({
  name: "W",
  payload: { id: Schema.String },
  success: Schema.String,
  error: Schema.String,
  idempotencyKey: ({ id }) => id
})

const start = (stack: Stack) =>
  Effect.map(
    asked(stack, (runs) => runs.start({ workflow: "W", payload: { id: "1" } })),
    ({ runId }) => runId
  )

/** Steps that note each of their executions, and what fails until it is mended. */
const breakage = () => {
  const { lines, note } = journal()
  let broken = true
  return {
    lines,
    step: (name: string, execute: Effect.Effect<string, string>) =>
      Activity.make({
        name,
        success: Schema.String,
        error: Schema.String,
        execute: Effect.zipRight(note(name), execute)
      }),
    unlessBroken: (name: string) =>
      Effect.suspend(() => (broken ? Effect.fail("down") : Effect.succeed(name))),
    mend: Effect.sync(() => {
      broken = false
    })
  }
}

worlds("a run that is retried", (test) => {
  test("goes no other way where it got over a failure beside another branch", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const { lines, mend, step, unlessBroken } = breakage()
      const workflows = W.toLayer(() =>
        Effect.gen(function* () {
          const [a] = yield* Effect.all(
            [
              step("a", Effect.zipRight(Effect.sleep("1 second"), unlessBroken("a"))).pipe(
                Effect.orElseSucceed(() => "without a")
              ),
              // completes after the failure
              step("b", Effect.as(held.pass, "b"))
            ],
            { concurrency: "unbounded" }
          )
          return yield* step(`send ${a}`, unlessBroken("sent"))
        })
      )
      const stack = yield* world.start({ workflows, leaseDuration: "1 day" })
      const runId = yield* start(stack)
      yield* held.entered
      yield* settled
      yield* TestClock.adjust("1 second")
      yield* settled
      yield* TestClock.adjust("1 second")
      yield* held.open
      yield* untilStatus(world, runId, "failed")
      expect(lines).toEqual(["a", "b", "send without a"])
      yield* mend
      yield* asked(stack, (runs) => runs.retry(runId))
      yield* settled
      yield* TestClock.adjust("5 seconds")
      yield* untilStatus(world, runId, "completed")
      expect(lines).toEqual(["a", "b", "send without a", "send without a"])
    }))

  test("goes on where it failed in a race", (world) =>
    Effect.gen(function* () {
      const { lines, mend, step, unlessBroken } = breakage()
      const call = (name: string) => step(name, unlessBroken(name))
      const workflows = W.toLayer(() => Activity.raceAll("both", [call("one"), call("two")]))
      const stack = yield* world.start({ workflows })
      const runId = yield* start(stack)
      yield* untilStatus(world, runId, "failed")
      expect(lines).toEqual(["one", "two"])
      yield* mend
      yield* asked(stack, (runs) => runs.retry(runId))
      yield* untilStatus(world, runId, "completed")
      expect(lines.slice(2)).toContain("one")
    }))

  test("is under way for its schedule, which starts none beside it", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const { lines, mend, step, unlessBroken } = breakage()
      const workflows = W.toLayer(() =>
        step("work", Effect.zipLeft(unlessBroken("work"), held.pass)).pipe(
          Effect.tapError(() => Effect.sync(() => lines.push("failed")))
        )
      )
      const stack = yield* world.start({ workflows, leaseDuration: "1000 days" })
      yield* Effect.flatMap(Schedules.Schedules, (schedules) =>
        schedules.put("often", { workflow: "W", payload: { id: "1" }, every: "10 seconds" })
      ).pipe(Effect.provide(Schedules.layerService), Effect.provide(stack.context))
      const runOf = (seconds: number) => `schedule/often/${new Date(seconds * 1_000).toISOString()}`
      yield* TestClock.adjust("10 seconds")
      yield* untilStatus(world, runOf(10), "failed")
      yield* TestClock.adjust("10 seconds")
      yield* untilStatus(world, runOf(20), "failed")
      yield* mend
      yield* asked(stack, (runs) => runs.retry(runOf(10)))
      yield* held.entered
      yield* TestClock.adjust("10 seconds")
      yield* settled
      expect(lines).toEqual(["work", "failed", "work", "failed", "work"])
    }))
})
