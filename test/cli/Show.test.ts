/** What `runs show` tells of a run, from the file that it is in. */
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { RunStore } from "../../src/RunStore.js"
import * as SqlRunStore from "../../src/SqlRunStore.js"
import { begin } from "../store/support.js"
import * as Process from "../support/Executor.js"
import { command } from "./support.js"

/** A file with what somebody has written to it. */
const fileWith = <A>(write: (executor: number) => Effect.Effect<A, unknown, RunStore>) =>
  Effect.gen(function* () {
    const filename = join(yield* Process.makeFolder, "executor.db")
    const layer = SqlRunStore.layerFile({ filename, pollInterval: Duration.infinity })
    yield* Effect.flatMap(RunStore, (store) =>
      store.register({ host: "here", pid: 1, leaseMillis: 60_000 })
    ).pipe(Effect.flatMap(write), Effect.provide(layer))
    return filename
  })

const show = (filename: string, runId: string, ...args: ReadonlyArray<string>) =>
  command(["runs", "show", runId, "--database", filename, ...args], { traces: true })

describe("runs show", () => {
  it.scopedLive("tells where an unexpected error came from, in which step, and its causes", () =>
    Effect.gen(function* () {
      const defect = {
        name: "Error",
        message: "a fault",
        stack: "Error: a fault\n    at charge (/app/order.js:1:1)\u001b[2J",
        cause: { name: "TypeError", message: "the root" }
      }
      const exit = JSON.stringify({ _tag: "Failure", cause: { _tag: "Die", defect } })
      const filename = yield* fileWith((executor) =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const { held } = yield* begin(executor, "r")
          const step = { held, name: "charge", attempt: 2, startedAt: 1, completedAt: 2 }
          yield* store.recordStep({ ...step, status: "failed", exit, timers: [] })
          yield* store.complete({ held, status: "failed", exit })
        })
      )
      const { code, out } = yield* show(filename, "r")
      expect(code).toBe(0)
      expect(out).toMatch(/^error +Defect: a fault$/m)
      expect(out).toMatch(/^in step +charge \(attempt 2\)$/m)
      expect(out).toMatch(
        /^Error: a fault\n {4}at charge \(\/app\/order\.js:1:1\)\\u\{1b\}\[2J\n {2}\[cause\]: TypeError: the root$/m
      )
      expect(JSON.parse((yield* show(filename, "r", "--json")).out)).toMatchObject({
        failedStep: { name: "charge", attempt: 2 },
        stack: expect.stringContaining("at charge (/app/order.js:1:1)")
      })
    })
  )
})
