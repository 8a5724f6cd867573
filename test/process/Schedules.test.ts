/** Executors as processes that share the ticks of a schedule, and are killed among them. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fixture from "./Fixture.js"

/** The seconds of the ticks whose runs have executed their step, in their order. */
const ticksOf = (executions: ReadonlyArray<{ readonly runId: string }>) =>
  [...new Set(executions.map(({ runId }) => runId))]
    .map((runId) => Date.parse(runId.split("/").at(-1) ?? "") / 1_000)
    .sort((a, b) => a - b)

describe("a schedule of every second", () => {
  it.scopedLive(
    "has one run a tick, while one of its executors is killed and another comes",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const lease = { LEASE_DURATION: "2 seconds" }
        const first = yield* fixture.start(lease)
        const second = yield* fixture.start(lease)
        const put = yield* first.request("PUT", "/schedules/often", {
          workflow: "Work",
          payload: { id: "1", steps: 1, millis: 0 },
          every: "1 second",
          overlap: "allow",
          catchUp: "1 minute"
        })
        expect(put.status).toBe(200)
        const began = (count: number) =>
          fixture.executed((executions) => ticksOf(executions).length >= count)
        yield* began(3)
        yield* first.killUntilExit("SIGKILL")
        yield* began(6)
        const third = yield* fixture.start(lease)
        yield* second.killUntilExit("SIGKILL")
        yield* began(9)
        yield* third.request("POST", "/schedules/often/pause")
        // a run of one that was killed follows when its lease lapses
        yield* fixture.executed((executions) => {
          const ticks = ticksOf(executions)
          return (ticks.at(-1) ?? 0) - (ticks[0] ?? 0) === ticks.length - 1
        })
        const { body } = yield* third.request("GET", "/schedules/often")
        const ticks = ticksOf(yield* fixture.executions)
        expect(body).toMatchObject({ started: ticks.length, paused: true })
        yield* third.stop()
      }),
    90_000
  )
})
