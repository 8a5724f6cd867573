import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fixture from "./Fixture.js"

const { times } = Fixture

/** For what is measured a few times over on a machine that may be busy. */
const patience = 120_000

describe("a stop by signal", () => {
  for (const signal of Fixture.stopSignals) {
    it.scopedLive(
      `takes under 300 ms when nothing is in flight (${signal})`,
      () =>
        Effect.gen(function* () {
          const fixture = yield* Fixture.make
          const stop = Effect.gen(function* () {
            const executor = yield* fixture.start()
            const exited = yield* executor.stop(signal)
            expect(exited).toMatchObject({ code: 0, signal: null })
            return exited.millis
          })
          yield* Fixture.atBest(`an idle stop by ${signal}, from signal to exit`, stop, 300)
        }),
      patience
    )
  }

  it.scopedLive(
    "waits for the step in flight, records it, and the next process goes on after it",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const first = yield* fixture.start()
        const runId = yield* first.run("Held", { id: "a" })
        yield* fixture.began(runId, "held")
        yield* first.kill("SIGTERM")
        const begun = yield* first.log("drain begun")
        expect(begun.annotations).toMatchObject({
          stepsInFlight: 1,
          steps: [`${runId}/held/1`]
        })

        // all the while it answers
        expect((yield* first.get(runId)).status).toBe("running")
        expect(yield* first.request("GET", "/health")).toEqual({
          status: 200,
          body: { state: "draining" }
        })
        expect((yield* first.request("GET", "/ready")).status).toBe(503)

        yield* fixture.open("a")
        expect(yield* first.exited).toMatchObject({ code: 0, signal: null })
        const over = yield* first.log("drain over")
        expect(over.annotations).toMatchObject({ stepsInFlight: 1, stepsCut: 0, handedOver: 1 })
        expect(over.annotations.durationMillis).toBeTypeOf("number")

        const second = yield* fixture.start()
        const run = yield* second.completed(runId)
        expect(run.steps.map(({ name, status }) => [name, status])).toEqual([
          ["held", "completed"],
          ["after", "completed"]
        ])
        const executions = yield* fixture.executions
        expect(times(executions, "began", runId, "held")).toBe(1)
        expect(times(executions, "began", runId, "after")).toBe(1)
        expect(executions.find(({ step }) => step === "after")?.pid).toBe(second.pid)
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
      })
  )

  it.scopedLive(
    "adds under 100 ms to the longest step in flight",
    () => {
      const added = Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        const runIds = yield* Effect.forEach(
          [200, 400, 600, 800, 1000],
          (millis) => executor.run("Work", { id: `${millis}`, steps: 2, millis }),
          { concurrency: "unbounded" }
        )
        for (const runId of runIds) yield* fixture.began(runId, "step-1")
        yield* executor.kill("SIGTERM")
        const begun = yield* executor.log("drain begun")
        expect((yield* executor.exited).code).toBe(0)
        // what was in flight has ended and been recorded, and nothing began after that
        const executions = yield* fixture.executions
        const ends = executions.filter(({ event }) => event === "ended")
        const later = executions.filter(({ at, event }) => event === "began" && at > begun.at)
        expect(later).toEqual([])
        const over = yield* executor.log("drain over")
        expect(over.annotations.stepsCut).toBe(0)
        return over.at - Math.max(...ends.map(({ at }) => at))
      })
      return Fixture.atBest("from the end of the longest step to that of the drain", added, 100)
    },
    patience
  )

  it.scopedLive("cuts a step that ignores time at the stop timeout, and exits with 0", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start({ STOP_TIMEOUT: "1 second" })
      const stubborn = yield* executor.run("Stubborn", { id: "a" })
      const held = yield* executor.run("Held", { id: "b" })
      yield* fixture.began(stubborn, "stubborn")
      yield* fixture.began(held, "held")
      const exited = yield* executor.stop()
      expect(exited).toMatchObject({ code: 0, signal: null })
      // the timeout, the grace of 2 seconds, and what the rest takes
      expect(exited.millis).toBeGreaterThan(1000)
      expect(exited.millis).toBeLessThan(10_000)
      const cut = yield* executor.log("stop timeout: steps interrupted")
      expect(cut.annotations.count).toBe(2)
      const left = yield* executor.log("stop timeout: code that cannot be interrupted")
      expect(left.annotations.runIds).toEqual([stubborn])
      const over = yield* executor.log("drain over")
      expect(over.annotations).toMatchObject({ stepsCut: 2, handedOver: 2 })

      // both are there for the next one, which does not wait for a lease
      const next = yield* fixture.start({ STOP_TIMEOUT: "0" })
      yield* fixture.executed(
        (executions) =>
          times(executions, "began", stubborn, "stubborn") === 2 &&
          times(executions, "began", held, "held") === 2
      )
      yield* fixture.open("b")
      yield* next.completed(held)
      const executions = yield* fixture.executions
      expect(executions.some(({ event }) => event === "compensated")).toBe(false)
    })
  )

  it.scopedLive(
    "ends at once at a second signal a second later, even where code cannot be interrupted",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        for (const [first, second] of [
          ["SIGTERM", "SIGTERM"],
          ["SIGINT", "SIGTERM"],
          ["SIGTERM", "SIGINT"],
          ["SIGTERM", "SIGHUP"]
        ] as const) {
          const executor = yield* fixture.start()
          const runId = yield* executor.run("Stubborn", { id: `${first} ${second}` })
          yield* fixture.began(runId, "stubborn")
          const since = performance.now()
          yield* executor.kill(first)
          const told = yield* executor.log("stopping; another signal, a second from now")
          expect(told.annotations).toEqual({ signal: first })
          const exited = yield* executor.killUntilExit(second)
          expect(performance.now() - since).toBeGreaterThan(1_000)
          // by the signal itself: a stop of its own accord, however soon, has an exit code
          expect(exited.signal ?? exited.code).toBe(second)
          expect(executor.has("drain over")).toBe(false)
        }
      }),
    patience
  )

  it.scopedLive("takes further signals within a second for the first one", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      const runId = yield* executor.run("Held", { id: "1" })
      yield* fixture.began(runId, "held")
      for (const signal of Fixture.stopSignals) yield* executor.kill(signal)
      yield* executor.log("drain begun")
      for (const signal of Fixture.stopSignals) yield* executor.kill(signal)
      yield* fixture.open("1")
      expect(yield* executor.exited).toMatchObject({ code: 0, signal: null })
      expect(executor.has("drain over")).toBe(true)
      expect(executor.logs.filter(({ message }) => message.startsWith("stopping"))).toHaveLength(1)
    })
  )

  it.scopedLive(
    "hands over so that the next process starts a step within 500 ms of being ready",
    () => {
      const wait = Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const first = yield* fixture.start()
        const runId = yield* first.run("Work", { id: "a", steps: 2, millis: 300 })
        yield* fixture.began(runId, "step-1")
        expect((yield* first.stop()).code).toBe(0)
        const second = yield* fixture.start()
        const ready = yield* second.ready
        const executions = yield* fixture.began(runId, "step-2")
        const began = executions.find(({ event, step }) => event === "began" && step === "step-2")
        yield* second.completed(runId)
        expect(times(yield* fixture.executions, "began", runId, "step-1")).toBe(1)
        return (began?.at ?? Number.NaN) - ready.at
      })
      return Fixture.atBest("first step after the hand-over, from being ready", wait, 500)
    },
    patience
  )

  it.scopedLive("accepts runs while it drains, and the next process executes them", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const first = yield* fixture.start()
      const held = yield* first.run("Held", { id: "a" })
      yield* fixture.began(held, "held")
      yield* first.kill("SIGTERM")
      yield* first.log("drain begun")
      const late = yield* first.run("Work", { id: "late", steps: 1, millis: 0 })
      expect((yield* first.get(late)).status).toBe("pending")
      yield* fixture.open("a")
      expect((yield* first.exited).code).toBe(0)
      expect(times(yield* fixture.executions, "began", late, "step-1")).toBe(0)

      const second = yield* fixture.start()
      yield* second.completed(late)
      yield* second.completed(held)
      expect(times(yield* fixture.executions, "began", late, "step-1")).toBe(1)
    })
  )
})
