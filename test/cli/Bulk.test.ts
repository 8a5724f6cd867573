/** `runs bulk`, and the commands of what it has begun, as processes. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Fixture from "../process/Fixture.js"
import { command, decode } from "./support.js"

const Preview = Schema.Struct({ matched: Schema.Int })

const Operation = Schema.Struct({
  id: Schema.Int,
  state: Schema.String,
  done: Schema.Int,
  refused: Schema.Record({ key: Schema.String, value: Schema.Int })
})

describe("runs bulk", () => {
  it.scopedLive(
    "tells what it would do, does it when it is told to, and waits for the end",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        for (const id of ["1", "2", "3"]) {
          const runId = yield* executor.run("Waiting", { id })
          yield* executor.whenRun(runId, ({ status }) => status === "suspended")
        }
        const at = ["--url", yield* executor.url]
        const bulk = (...args: ReadonlyArray<string>) => command(["runs", "bulk", ...args, ...at])

        const none = yield* bulk("delete", "--yes")
        expect(none).toMatchObject({ code: 2, out: "" })
        expect(none.err).toContain("Which runs to delete is not said")
        expect(none.err).toContain("or --all, where all runs are meant")
        const unsaid = yield* bulk("terminate", "--workflow", "Waiting")
        expect(unsaid).toMatchObject({ code: 2, out: "" })
        expect(unsaid.err).toContain("This would terminate 3 runs; nothing was done: say --yes")
        const preview = yield* bulk("terminate", "--workflow", "Waiting", "--preview", "--json")
        expect(decode(Preview, preview.out)).toEqual({ matched: 3 })
        expect(yield* command(["bulk", "list", ...at])).toMatchObject({ code: 0 })

        const done = yield* bulk("terminate", "--workflow", "Waiting", "--yes", "--wait")
        expect(done).toMatchObject({
          code: 0,
          out: "terminate completed: done with 3 of 3 runs\n"
        })
        const again = yield* bulk("terminate", "--all", "--yes", "--wait", "--json")
        expect(decode(Operation, again.out)).toMatchObject({
          state: "completed",
          done: 0,
          refused: { "it is interrupted; only a run that is not over can be terminated": 3 }
        })

        const shown = yield* command(["bulk", "show", "2", ...at])
        expect(shown.out).toContain("3 runs refused: it is interrupted; only a run that is not")
        const listed = yield* command(["bulk", "list", ...at])
        expect(listed.out).toMatch(/^1 +terminate +completed +3 +3 +0 /m)
        expect((yield* command(["bulk", "cancel", "1", "--json", ...at])).out).toContain(
          `"state":"completed"`
        )
        expect(yield* command(["bulk", "show", "99", ...at])).toMatchObject({ code: 1, out: "" })
      }),
    90_000
  )

  it.scopedLive(
    "on the file itself is for the executors on it",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        const runId = yield* executor.run("Waiting", { id: "1" })
        yield* executor.whenRun(runId, ({ status }) => status === "suspended")
        const on = ["--database", fixture.env.DATABASE_FILE]
        const begun = yield* command(["runs", "bulk", "interrupt", "--all", "--yes", ...on])
        expect(begun).toEqual({ code: 0, out: "operation 1: interrupt 1 run\n", err: "" })
        yield* executor.whenRun(runId, ({ status }) => status === "interrupted")
      }),
    60_000
  )
})
