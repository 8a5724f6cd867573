/** The database's file is taken away from an executor that lives. */
import { mkdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Process from "../support/Executor.js"
import * as Fixture from "./Fixture.js"

const setUp = (extra: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const fixture = yield* Fixture.make
    const data = join(fixture.folder, "data")
    yield* Effect.promise(() => mkdir(data))
    const executor = yield* fixture.start({
      DATABASE_FILE: join(data, "executor.db"),
      LEASE_DURATION: "1 second",
      ...extra
    })
    return { data, executor, fixture }
  })

describe.skipIf(process.platform === "win32")("an executor whose file is gone", () => {
  it.scopedLive("says so, accepts nothing, lets the step in flight end, and exits with 1", () =>
    Effect.gen(function* () {
      const { data, executor, fixture } = yield* setUp()
      const runId = yield* executor.run("Held", { id: "held" })
      yield* fixture.began(runId, "held")
      yield* Effect.promise(() => rm(data, { recursive: true }))
      const line = yield* executor.log("the database is gone; this executor stops")
      expect(line.logLevel).toBe("ERROR")
      expect(line.cause).toContain(`${join(data, "executor.db")} is not there any more`)
      yield* executor.log("drain begun")
      expect((yield* executor.request("GET", "/ready")).status).toBe(503)
      const payload = { id: "after", steps: 1, millis: 0 }
      const refused = yield* executor.request("POST", "/runs", { workflow: "Work", payload })
      expect(refused).toMatchObject({ status: 503, body: { _tag: "StoreNotAvailable" } })
      yield* fixture.open("held")
      expect(yield* executor.exited).toMatchObject({ code: 1, signal: null })
      const executions = yield* fixture.executions
      expect(Fixture.times(executions, "ended", runId, "held")).toBe(1)
      expect(Fixture.times(executions, "began", runId, "after")).toBe(0)
      expect(executions.some(({ event }) => event === "compensated")).toBe(false)
      expect(executor.logs.filter(({ message }) => message === line.message)).toHaveLength(1)
    })
  )

  it.scopedLive("ends in bounded time whatever its steps do", () =>
    Effect.gen(function* () {
      const { data, executor, fixture } = yield* setUp({ STOP_TIMEOUT: "1 second" })
      const runId = yield* executor.run("Stubborn", { id: "stubborn" })
      yield* fixture.began(runId, "stubborn")
      yield* Effect.promise(() => rename(data, `${data}-moved`))
      yield* executor.log("the database is gone; this executor stops")
      expect(yield* executor.exited).toMatchObject({ code: 1, signal: null })
      // where it is put back the next one goes on, and what was recorded is there
      yield* Effect.promise(() => rename(`${data}-moved`, data))
      const next = yield* fixture.start({
        DATABASE_FILE: join(data, "executor.db"),
        LEASE_DURATION: "1 second"
      })
      expect((yield* next.get(runId)).workflow).toBe("Stubborn")
      yield* next.stop("SIGKILL")
    })
  )
})

describe("a file that is damaged", () => {
  it.scopedLive("is not started on: the start says what it is, and what to do", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const filename = fixture.env.DATABASE_FILE
      const executor = yield* fixture.start()
      yield* executor.completed(yield* executor.run("Work", { id: "a", steps: 3, millis: 0 }))
      yield* executor.stop()
      yield* Fixture.damage(filename)
      const again = yield* Process.start(fixture.options())
      expect(yield* again.exited).toMatchObject({ code: 1, signal: null })
      expect(again.stdout).toContain("damaged")
      expect(again.stdout).toContain("restore a backup")
      expect(again.stdout).toContain(filename)
    })
  )
})
