/**
 * Executors whose disk is full for a while: a file system of a few megabytes, and a process that may
 * not make its files any longer.
 */
import { execFile, spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, open, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Process from "../support/Executor.js"
import * as Fixture from "./Fixture.js"

type Fixtures = Effect.Effect.Success<typeof Fixture.make>

const { times } = Fixture

/** Mounts a file system of 4 MB at its first argument, for itself alone, and becomes the rest. */
const onSmallDisk = (folder: string) => [
  "unshare",
  "--map-root-user",
  "--mount",
  "sh",
  "-c",
  'mount -t tmpfs -o size=4m none "$1" && shift && exec "$@"',
  "sh",
  folder
]

const canMount = (() => {
  const [command = "", ...args] = onSmallDisk("/mnt")
  return spawnSync(command, [...args, "true"]).status === 0
})()

const canLimit = existsSync("/usr/bin/prlimit")

/** No write of this process goes beyond so many bytes of a file. */
const limitFiles = (pid: number, bytes: number | "unlimited") =>
  Effect.promise(
    () =>
      new Promise<void>((resolve, reject) => {
        execFile("/usr/bin/prlimit", [`--pid=${pid}`, `--fsize=${bytes}:unlimited`], (error) =>
          error === null ? resolve() : reject(error)
        )
      })
  )

/** Writes until nothing more goes in. */
const fill = (file: string) =>
  Effect.promise(async () => {
    const handle = await open(file, "w")
    const block = Buffer.alloc(4096)
    try {
      while (true) await handle.write(block)
    } catch (error) {
      expect(error).toMatchObject({ code: "ENOSPC" })
    } finally {
      await handle.close()
    }
  })

/** A run whose step is held open, on an executor that has had some work before. */
const busy = (fixture: Fixtures, executor: Process.Executor) =>
  Effect.gen(function* () {
    for (let id = 0; id < 20; id++) {
      yield* executor.completed(yield* executor.run("Work", { id: `${id}`, steps: 2, millis: 0 }))
    }
    const runId = yield* executor.run("Held", { id: "held" })
    yield* fixture.began(runId, "held")
    return runId
  })

/** What is seen from outside while the step's outcome cannot be recorded. */
const waits = (executor: Process.Executor, runId: string) =>
  Effect.gen(function* () {
    yield* executor.log("store write failed; trying again")
    expect((yield* executor.get(runId)).status).toBe("running")
    expect((yield* executor.request("GET", "/health")).status).toBe(200)
    const refused = yield* executor.request("POST", "/runs", {
      workflow: "Held",
      payload: { id: "refused" }
    })
    expect(refused).toMatchObject({ status: 503, body: { _tag: "StoreNotAvailable" } })
  })

/** Neither failed nor undone, and no step executed twice. */
const goesOn = (fixture: Fixtures, executor: Process.Executor, runId: string) =>
  Effect.gen(function* () {
    const run = yield* executor.whenRun(runId, ({ status }) => status !== "running")
    expect(run.status).toBe("completed")
    const executions = yield* fixture.executions
    for (const step of ["held", "after"]) {
      expect(times(executions, "began", runId, step), step).toBe(1)
    }
    expect(executions.some(({ event }) => event === "compensated")).toBe(false)
    expect((yield* executor.stop()).code).toBe(0)
  })

describe("a disk that is full", () => {
  it.scopedLive.skipIf(!canMount)("is waited for by the runs in progress", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const disk = join(fixture.folder, "disk")
      yield* Effect.promise(() => mkdir(disk))
      const { module = "" } = fixture.options()
      const executor = yield* Process.startReady({
        ...fixture.options({ DATABASE_FILE: join(disk, "executor.db") }),
        command: [...onSmallDisk(disk), process.execPath, Process.bin, "start", module]
      })
      const runId = yield* busy(fixture, executor)
      // the disk as the executor sees it
      const filler = join(`/proc/${executor.pid}/root`, disk, "filler")
      yield* fill(filler)
      yield* fixture.open("held")
      yield* waits(executor, runId)
      const failed = yield* executor.log("store write failed; trying again")
      expect(failed.cause).toContain("full")
      yield* Effect.promise(() => rm(filler))
      yield* goesOn(fixture, executor, runId)
    })
  )

  /** Less than the -wal file has by then, and enough for what the steps write. */
  const limit = 32 * 1024

  const begun = (fixture: Fixtures, executor: Process.Executor) =>
    Effect.gen(function* () {
      const runId = yield* busy(fixture, executor)
      const wal = yield* Effect.promise(() => stat(`${fixture.env.DATABASE_FILE}-wal`))
      expect(wal.size).toBeGreaterThan(limit)
      yield* limitFiles(executor.pid, limit)
      yield* fixture.open("held")
      yield* waits(executor, runId)
      return runId
    })

  it.scopedLive.skipIf(!canLimit)("or files that may not grow are waited for in the same way", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      const runId = yield* begun(fixture, executor)
      yield* limitFiles(executor.pid, "unlimited")
      yield* goesOn(fixture, executor, runId)
    })
  )

  it.scopedLive.skipIf(!canLimit)(
    "does not hold up a stop, and the next executor goes on at once",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start({ STOP_TIMEOUT: "1 second" })
        const runId = yield* begun(fixture, executor)
        const exited = yield* executor.stop()
        expect(exited).toMatchObject({ code: 1, signal: null })
        expect(exited.millis).toBeLessThan(15_000)

        const next = yield* fixture.start()
        const run = yield* next.whenRun(runId, ({ status }) => status !== "running")
        expect(["pending", "completed"]).toContain(run.status)
        yield* next.completed(runId)
        const executions = yield* fixture.executions
        // its outcome was not recorded: it may execute again
        expect(times(executions, "began", runId, "held")).toBe(2)
        expect(times(executions, "began", runId, "after")).toBe(1)
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
      })
  )
})
