import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

export const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "run-store-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

const writer = fileURLToPath(new URL("./fixtures/writer.ts", import.meta.url))

const spawnWriter = (args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, ["--import", "jiti/register", writer, ...args], {
        stdio: ["pipe", "pipe", "inherit"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

const ready = (child: ChildProcess) =>
  Effect.async<void>((resume) => {
    child.stdout?.once("data", () => resume(Effect.void))
    child.once("exit", () => resume(Effect.dieMessage("The process ended before it was ready")))
  })

/** Processes that have loaded everything and wait; `run` lets them go at once, to their exit codes. */
export const processes = (args: ReadonlyArray<ReadonlyArray<string>>) =>
  Effect.gen(function* () {
    const children = yield* Effect.forEach(args, spawnWriter)
    const ends = yield* Effect.forEach(children, (child) =>
      Effect.map(Deferred.make<number | null>(), (end) => {
        child.once("exit", (code) => Deferred.unsafeDone(end, Effect.succeed(code)))
        return Deferred.await(end)
      })
    )
    yield* Effect.forEach(children, ready, { concurrency: "unbounded" })
    const run = Effect.suspend(() => {
      for (const child of children) child.stdin?.write("go\n")
      return Effect.all(ends, { concurrency: "unbounded" })
    })
    return { run }
  })
