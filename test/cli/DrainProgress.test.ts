import { describe, expect, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as TestClock from "effect/TestClock"
import type { RunnerState } from "../../src/api/RunnerState.js"
import * as DrainProgress from "../../src/cli/DrainProgress.js"
import type { StepInFlight } from "../../src/engine/step/StepInFlight.js"

const step = (name: string, startedAt: number): StepInFlight => ({
  key: `1/${name}/1`,
  runId: "1",
  workflow: "Order",
  name,
  attempt: 1,
  startedAt
})

describe("the progress of a drain", () => {
  it("is how many steps are left, the oldest, and the time until they are cut", () => {
    const steps = [step("charge", 0), step("ship", 900)]
    expect(DrainProgress.describe([], { now: 0, deadline: 0 })).toBe(undefined)
    expect(DrainProgress.describe(steps, { now: 1_000, deadline: 30_000 })).toBe(
      "draining: 2 steps left, the longest charge of Order 1, for 1.0s; 29.0s until the stop timeout"
    )
    expect(DrainProgress.describe(steps.slice(1), { now: 31_000, deadline: 30_000 })).toBe(
      "draining: 1 step left, the longest ship of Order 1, for 30.1s; stop timeout"
    )
  })

  it.effect("is told when a step ends and every other second, from the drain to its end", () =>
    Effect.gen(function* () {
      const state = yield* SubscriptionRef.make<RunnerState>("running")
      let steps = [step("charge", 0), step("ship", 0)]
      const said: Array<string> = []
      const console = yield* Console.consoleWith(Effect.succeed)
      const fiber = yield* DrainProgress.report(
        { changes: state.changes, inFlight: Effect.sync(() => steps) },
        { stopTimeout: Duration.seconds(30) }
      ).pipe(
        Effect.withConsole({
          ...console,
          error: (line: unknown) => Effect.sync(() => void said.push(String(line)))
        }),
        Effect.fork
      )
      yield* TestClock.adjust("1 minute")
      expect(said).toEqual([])
      yield* SubscriptionRef.set(state, "draining")
      yield* TestClock.adjust("3 seconds")
      expect(said).toHaveLength(2)
      steps = steps.slice(1)
      yield* TestClock.adjust("100 millis")
      expect(said).toHaveLength(3)
      expect(said.at(-1)).toMatch(/^draining: 1 step left, the longest ship .*; 26\.9s until/)
      yield* SubscriptionRef.set(state, "stopped")
      yield* Fiber.join(fiber)
      expect(said).toHaveLength(3)
    })
  )
})
