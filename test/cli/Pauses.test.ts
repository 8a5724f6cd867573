/** `workflows`, as a process, on an API and on a database. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fixture from "../process/Fixture.js"
import { command } from "./support.js"

describe("workflows", () => {
  it.scopedLive(
    "are paused, listed and let go on",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        const at = ["--url", yield* executor.url]
        const on = ["--database", fixture.env.DATABASE_FILE]
        const workflows = (...args: ReadonlyArray<string>) => command(["workflows", ...args])

        expect(yield* workflows("pause", "Waiting", ...at)).toEqual({
          code: 0,
          out: "paused: none of it begins\n",
          err: ""
        })
        const runId = yield* executor.run("Waiting", { id: "1" })
        const shown = yield* command(["runs", "show", runId, ...at])
        expect(shown.out).toContain("workflow Waiting to go on, which is paused")
        const listed = yield* workflows("paused", ...on)
        expect(listed.out).toMatch(/^Waiting +\d{4}-.* goes on$/m)
        const unknown = yield* workflows("pause", "Wating", ...at)
        expect(unknown).toMatchObject({ code: 1, out: "" })
        expect(unknown.err).toContain('Workflow "Wating" is not registered here')

        // another process says so, and the executor hears of it
        expect(yield* workflows("pause", "--park", "Waiting", ...on)).toMatchObject({ code: 0 })
        expect((yield* workflows("paused", "--json", ...at)).out).toContain('"park":true')
        const examined = yield* command(["doctor", ...on])
        expect(examined.out).toMatch(
          /^paused workflows +warning +Waiting, since .*: none of it begins, and what has begun/m
        )
        expect((yield* workflows("resume", "Waiting", ...on)).out).toBe("it goes on\n")
        yield* executor.whenRun(runId, ({ status }) => status === "suspended")
        expect((yield* workflows("paused", "--json", ...at)).out).toBe('{"pauses":[]}\n')
      }),
    90_000
  )
})
