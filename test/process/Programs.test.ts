/**
 * A stop by a signal that reaches the programs of steps too: a Ctrl-C at a terminal goes to the whole
 * group, and so does what some supervisors send.
 */
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Process from "../support/Executor.js"

const setUp = Effect.gen(function* () {
  const folder = yield* Process.makeFolder
  const file = join(folder, "said.txt")
  const said = Effect.promise(() => readFile(file, "utf8").catch(() => ""))
  const until = (count: number): Effect.Effect<void> =>
    Effect.flatMap(said, (text) =>
      text.split("began").length - 1 >= count
        ? Effect.void
        : Effect.delay(
            Effect.suspend(() => until(count)),
            "20 millis"
          )
    )
  return {
    said,
    /** Programs have begun, so many in all. */
    began: until,
    open: (way: string) => Effect.promise(() => writeFile(join(folder, way), "")),
    start: Process.startReady({
      module: Process.fixture("programs.ts"),
      cwd: folder,
      env: {
        DATABASE_FILE: join(folder, "executor.db"),
        FIXTURE_FILE: file,
        FIXTURE_GATE: folder
      },
      ownGroup: true
    })
  }
})

const stepsOf = ({ steps }: Process.RunView) =>
  steps.filter(({ name }) => name === "convert").map(({ status }) => status)

const inTheGroup = [
  ["spawn", "Convert", "SIGINT"],
  ["spawn", "Convert", "SIGTERM"],
  ["spawn", "Convert", "SIGHUP"],
  ["later", "Convert", "SIGINT"],
  ["code", "Convert", "SIGINT"],
  ["async", "convertAsync", "SIGINT"]
] as const

describe("a signal to the whole group, while a step waits for a program", () => {
  for (const [way, workflow, signal] of inTheGroup) {
    it.scopedLive(`${signal} ends one by ${way}: the step has not failed, and executes again`, () =>
      Effect.gen(function* () {
        const { began, open, said, start } = yield* setUp
        const first = yield* start
        const runId = yield* first.run(workflow, { way })
        yield* began(1)
        yield* first.killGroup(signal)
        assert.strictEqual((yield* first.exited).code, 0)
        assert.isTrue(first.has("a program of a step was ended by a signal"))

        const second = yield* start
        yield* began(2)
        const again = yield* second.get(runId)
        assert.strictEqual(again.status, "running")
        yield* open(way)
        const { result } = yield* second.completed(runId)
        assert.strictEqual(result, "done")
        assert.notInclude(yield* said, "compensated")
        yield* second.stop()
      })
    )
  }

  it.scopedLive("does not reach one of Program.run: the drain waits for it", () =>
    Effect.gen(function* () {
      const { began, open, said, start } = yield* setUp
      const first = yield* start
      const runId = yield* first.run("Convert", { way: "program" })
      yield* began(1)
      yield* first.killGroup("SIGINT")
      yield* first.log("drain begun")
      yield* open("program")
      assert.strictEqual((yield* first.exited).code, 0)

      const second = yield* start
      const run = yield* second.completed(runId)
      assert.deepStrictEqual(stepsOf(run), ["completed"])
      assert.strictEqual((yield* said).trim(), "began")
      yield* second.stop()
    })
  )
})
