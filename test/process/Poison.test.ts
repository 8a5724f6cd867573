/** One run that ends the process again and again, and a supervisor that starts it again. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Process from "../support/Executor.js"

const Shown = Schema.Struct({
  status: Schema.String,
  crashes: Schema.optional(Schema.Int),
  error: Schema.optional(Schema.Struct({ message: Schema.String }))
})

const setUp = Effect.gen(function* () {
  const folder = yield* Process.makeFolder
  const file = join(folder, "said.txt")
  const env = { DATABASE_FILE: join(folder, "executor.db"), FIXTURE_FILE: file }
  const start = (extra: Readonly<Record<string, string>> = {}) =>
    Process.start({
      module: Process.fixture("poison.ts"),
      cwd: folder,
      env: { ...env, ...extra }
    })
  return { start, said: Effect.promise(() => readFile(file, "utf8").catch(() => "")) }
})

const times = (text: string, line: string) => text.split("\n").filter((one) => one === line).length

describe("a run that ends its process", () => {
  for (const kind of ["exit", "signal", "blocks", "code"]) {
    it.scopedLive(
      `by ${kind} is set aside by name, and the runs beside it complete`,
      () =>
        Effect.gen(function* () {
          const { said, start } = yield* setUp
          let executor = yield* start()
          yield* executor.ready
          const healthy = yield* Effect.forEach(["a", "b", "c", "d"], (id) =>
            executor.run("Healthy", { id })
          )
          const poison = yield* Effect.orElse(
            // the answer may not come any more
            executor.run("Poison", { kind }).pipe(Effect.catchAllDefect(() => Effect.fail("no"))),
            () => Effect.succeed("")
          )
          let deaths = 0
          while (true) {
            const over = yield* Effect.raceFirst(
              Effect.as(executor.exited, true),
              Effect.as(executor.log("run suspended after a failure"), false)
            )
            if (!over) break
            deaths++
            executor = yield* start()
          }
          assert.strictEqual(deaths, 3)
          for (const runId of healthy) yield* executor.completed(runId)
          const text = yield* said
          assert.strictEqual(times(text, "bad"), 3)
          assert.isTrue(executor.has("run suspended after a failure"))

          const listed = yield* executor.request("GET", "/runs?workflow=Poison")
          const { runs } = Schema.decodeUnknownSync(
            Schema.Struct({ runs: Schema.Array(Schema.Struct({ runId: Schema.String })) })
          )(listed.body)
          const runId = runs[0]?.runId ?? ""
          if (poison !== "") assert.strictEqual(runId, poison)
          const shown = yield* executor.request("GET", `/runs/${runId}`)
          const run = Schema.decodeUnknownSync(Shown)(shown.body)
          assert.strictEqual(run.status, "suspended")
          assert.strictEqual(run.crashes, 3)
          assert.include(run.error?.message, "set aside: 3 executors in a row have died")
          const where =
            kind === "code" ? "no step of it was under way" : "step bad/1 had been started"
          assert.include(run.error?.message, where)
          yield* executor.stop()

          const mended = yield* start({ FIXTURE_MENDED: "yes" })
          yield* mended.request("POST", `/runs/${runId}/resume`)
          yield* mended.completed(runId)
          yield* mended.stop()
        }),
      120_000
    )
  }

  it.scopedLive(
    "can be interrupted while it is set aside, and does not execute again for that",
    () =>
      Effect.gen(function* () {
        const { said, start } = yield* setUp
        let executor = yield* start()
        yield* executor.ready
        yield* executor
          .run("Poison", { kind: "exit" })
          .pipe(Effect.catchAllDefect(() => Effect.void))
        while (
          yield* Effect.raceFirst(
            Effect.as(executor.exited, true),
            Effect.as(executor.log("run suspended after a failure"), false)
          )
        ) {
          executor = yield* start()
        }
        const { annotations } = yield* executor.log("run suspended after a failure")
        const runId = String(annotations.runId)
        yield* executor.request("POST", `/runs/${runId}/interrupt`)
        yield* executor.whenRun(runId, ({ status }) => status === "interrupted")
        assert.strictEqual(times(yield* said, "bad"), 3)
        yield* executor.stop()
      }),
    120_000
  )
})
