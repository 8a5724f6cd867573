/** `queues`, as a process, on an API and on a database. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import * as Fixture from "../process/Fixture.js"
import { command } from "./support.js"

/** Runs of a workflow that no executor here has registered. */
const startTwo = Effect.gen(function* () {
  const store = yield* RunStore
  const queue = { name: "mail", key: "", limits: { concurrency: 1 } }
  for (const runId of ["a", "b"]) {
    yield* store.create({ runId, workflow: "Mail", payload: "{}", queue })
  }
})

describe("queues", () => {
  it.scopedLive(
    "are listed, limited, paused, parked and let go on",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        const filename = fixture.env.DATABASE_FILE ?? ""
        yield* Effect.provide(startTwo, SqliteRunStore.layerFile({ filename }))
        const at = ["--url", yield* executor.url]
        const on = ["--database", filename]
        const queues = (...args: ReadonlyArray<string>) => command(["queues", ...args])
        const listed = Effect.map(queues("list", ...on), ({ out }) => out.split("\n")[1])
        const says = (out: string) => ({ code: 0, out: `${out}\n`, err: "" })

        expect(yield* listed).toMatch(/^mail +open +1 +1 +1 +- +- +the code$/)
        const set = ["--concurrency", "5", "--rate-limit", "2", "--rate-window", "1 minute"]
        expect(yield* queues("limit", "mail", ...set, ...at)).toEqual(says("its limits are set"))
        expect(yield* listed).toMatch(/^mail +open +2 +0 +5 +- +2 in 1m +set$/)
        expect(yield* queues("limit", "mail", "--reset", ...on)).toEqual(
          says("its limits are those in the code")
        )
        expect(yield* queues("pause", "mail", ...at)).toEqual(says("paused: nothing of it begins"))
        expect(yield* listed).toMatch(/^mail +paused +0 +2 +1 /)
        expect(yield* queues("pause", "mail", "--park", ...at)).toEqual(
          says("paused: nothing of it begins or goes on")
        )
        expect(yield* listed).toMatch(/^mail +parked +0 +2 +1 /)
        expect((yield* queues("list", "--json", ...at)).out).toContain('"park":true')
        expect(yield* queues("resume", "mail", ...on)).toEqual(says("it goes on"))
        expect(yield* listed).toMatch(/^mail +open +1 +1 +1 /)

        const unknown = yield* queues("pause", "none", ...at)
        expect(unknown).toMatchObject({ code: 1, out: "" })
        expect(unknown.err).toContain('There is no queue "none"')
        const alone = yield* queues("limit", "mail", "--rate-limit", "2", ...at)
        expect(alone.err).toContain("--rate-limit and --rate-window go together")
        const none = yield* queues("limit", "mail", ...at)
        expect(none.err).toContain("No limit was given")
      }),
    90_000
  )
})
