import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Activity } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Program from "../../src/engine/Program.js"
import * as Runner from "../../src/runner/Runner.js"
import { RunStore } from "../../src/store/RunStore.js"
import { exitOf, memoryTest, register, textWorkflow, untilTrue } from "./support.js"

const failure = (effect: Effect.Effect<Program.Output, Program.ProgramFailed>) =>
  Effect.map(Effect.either(effect), (result) => {
    if (Either.isLeft(result)) return result.left
    throw new Error(`it did not fail: ${JSON.stringify(result.right)}`)
  })

/** One that has ended stays in the list of processes until whoever inherited it looks at it. */
const hasEnded = (pid: number) =>
  process.platform === "linux" && /\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))

const exists = (pid: number) => {
  try {
    process.kill(pid, 0)
    return !hasEnded(pid)
  } catch {
    return false
  }
}

describe("Program.run", () => {
  it.live("answers with what the program wrote", () =>
    Effect.gen(function* () {
      const script = 'read line; echo "$line $NAME"; pwd; echo aside >&2'
      const options = { input: "hi\n", env: { NAME: "Ann" }, cwd: "/" }
      const output = yield* Program.run("sh", ["-c", script], options)
      assert.deepStrictEqual(output, { stdout: "hi Ann\n/\n", stderr: "aside\n" })
    })
  )

  it.live("fails with how it ended, and with what it said", () =>
    Effect.gen(function* () {
      const code = yield* failure(Program.run("sh", ["-c", "echo no >&2; exit 3"]))
      assert.deepInclude(code, { command: "sh", exitCode: 3, signal: null, stderr: "no\n" })
      assert.strictEqual(code.message, "sh: exit code 3: no")
      const signal = yield* failure(Program.run("sh", ["-c", "kill -KILL $$"]))
      assert.deepInclude(signal, { exitCode: null, signal: "SIGKILL" })
      const missing = yield* failure(Program.run("no-such-program"))
      assert.deepInclude(missing, { exitCode: null, signal: null })
      assert.include(missing.message, "ENOENT")
      const impossible = yield* failure(Program.run("sh", ["\0"]))
      assert.include(impossible.message, "null bytes")
    })
  )

  it.live("fails where the program writes too much, and ends it", () =>
    Effect.gen(function* () {
      const endless = yield* failure(Program.run("yes", [], { maxOutput: 1_000 }))
      assert.strictEqual(endless.message, "yes: wrote more than 1000 bytes")
      const { stderr } = yield* Program.run("sh", ["-c", "yes | head -c 5000 >&2; echo end >&2"], {
        maxOutput: 100
      })
      assert.lengthOf(stderr, 100)
      assert.isTrue(stderr.endsWith("y\nend\n"))
    })
  )

  it.live("interrupted, ends all that the program has started, also what does not want to", () =>
    Effect.gen(function* () {
      const script =
        'trap "" TERM; sleep 1000 & echo $! > "$FILE.part"; mv "$FILE.part" "$FILE"; wait'
      const fs = yield* Effect.promise(() => import("node:fs"))
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync("/tmp/program-")),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
      )
      const file = `${folder}/pid`
      const fiber = yield* Effect.fork(
        Program.run("sh", ["-c", script], { env: { FILE: file }, killAfter: "50 millis" })
      )
      yield* untilTrue("it has begun", () => fs.existsSync(file))
      const pid = Number(fs.readFileSync(file, "utf8"))
      assert.isTrue(exists(pid))
      yield* Fiber.interrupt(fiber)
      yield* untilTrue("what it has started has ended", () => !exists(pid))
    }).pipe(Effect.scoped)
  )

  it.live("as a promise, rejects with the same error", () =>
    Effect.promise(async () => {
      const { stdout } = await Program.runPromise("echo", ["hi"])
      assert.strictEqual(stdout, "hi\n")
      const error = await Program.runPromise("false").catch((error: unknown) => error)
      assert.instanceOf(error, Program.ProgramFailed)
      const abort = new AbortController()
      const slow = Program.runPromise("sleep", ["1000"], { signal: abort.signal })
      abort.abort()
      await slow.then(
        () => assert.fail("it was not ended"),
        () => {}
      )
    })
  )
})

/** A step that waits for a program, and fails with how that ended. */
const waiting = (onProgram: (program: ChildProcess) => void) =>
  Activity.make({
    name: "waits",
    success: Schema.String,
    error: Schema.String,
    execute: Effect.async<string, string>((resume) => {
      const program = spawn("sleep", ["1000"], { stdio: "ignore" })
      program.on("exit", (code, signal) => resume(Effect.fail(`ended by ${signal ?? code}`)))
      onProgram(program)
    })
  })

describe("a step whose program is ended by a signal", () => {
  const run = Effect.gen(function* () {
    let program: ChildProcess | undefined
    const W = textWorkflow()
    yield* register(
      W.toLayer(() =>
        waiting((started) => {
          program = started
        })
      )
    )
    const runId = yield* W.execute({ id: "1" }, { discard: true })
    yield* untilTrue("the program is there", () => program?.pid !== undefined)
    const { findWithSteps } = yield* RunStore
    const record = Effect.map(findWithSteps(runId), (found) =>
      found._tag === "Some"
        ? { status: found.value.run.status, steps: found.value.steps.map(({ status }) => status) }
        : undefined
    )
    return { W, runId, record, program: program as ChildProcess | undefined }
  })

  const drained = Effect.flatMap(Runner.Runner, ({ drain }) => Effect.fork(drain))

  memoryTest("fails, where nothing stops", () =>
    Effect.gen(function* () {
      const { program, record, runId, W } = yield* run
      process.kill(program?.pid ?? 0, "SIGTERM")
      assert.strictEqual(String(yield* exitOf(W, runId)).includes("ended by SIGTERM"), true)
      assert.deepStrictEqual(yield* record, { status: "failed", steps: ["failed"] })
    })
  )

  memoryTest(
    "is put back, where a drain has begun, or begins because of the same signal",
    () =>
      Effect.gen(function* () {
        const { program, record } = yield* run
        process.kill(program?.pid ?? 0, "SIGINT")
        yield* untilTrue("the program has ended", () => program?.signalCode === "SIGINT")
        yield* Fiber.join(yield* drained)
        assert.deepStrictEqual(yield* record, { status: "pending", steps: [] })
      }),
    { stopTimeout: "1 minute" }
  )

  memoryTest(
    "fails in a drain, where the step itself has ended it",
    () =>
      Effect.gen(function* () {
        const { program, record } = yield* run
        const drain = yield* drained
        program?.kill("SIGTERM")
        yield* Fiber.join(drain)
        assert.deepStrictEqual((yield* record)?.steps, ["failed"])
      }),
    { stopTimeout: "1 minute" }
  )
})
