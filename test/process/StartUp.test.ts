import { existsSync } from "node:fs"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import * as Process from "../support/Executor.js"
import * as Fixture from "./Fixture.js"

/** Starts one that cannot; its errors. Nothing is to be left open, and nothing made. */
const refused = (options: Process.StartOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const executor = yield* Process.start(options)
      const exited = yield* executor.exited
      expect({ ...exited, output: executor.stdout + executor.stderr }).toMatchObject({
        code: 1,
        signal: null
      })
      // no traces, in what a person is to read
      expect(executor.stdout).not.toMatch(/^\s+at /m)
      return executor.logs
        .filter(({ logLevel }) => logLevel === "FATAL")
        .map((line) => line.message)
    })
  )

describe("a start", () => {
  it.scopedLive("refuses a value that is not allowed, before anything is opened", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const bad = {
        HOST: "http://localhost",
        PORT: "65536",
        STOP_TIMEOUT: "30s",
        LEASE_DURATION: "10 millis",
        MAX_CONCURRENT_RUNS: "0",
        MAX_CONCURRENT_STEPS: "many",
        LOG_LEVEL: "loud"
      }
      const errors = yield* refused(fixture.options(bad))
      expect(errors).toHaveLength(7)
      for (const [n, [name, value]] of Object.entries(bad).entries()) {
        expect(errors[n]).toMatch(new RegExp(`^${name} .*is "${value}"; expected .+`))
      }
      expect(existsSync(fixture.env.DATABASE_FILE)).toBe(false)
    })
  )

  it.scopedLive("tells of a bad value in the pretty format too, and of a bad LOG_FORMAT", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const pretty = yield* Process.start(fixture.options({ PORT: "x", LOG_FORMAT: "pretty" }))
      expect((yield* pretty.exited).code).toBe(1)
      expect(pretty.stdout).toMatch(/FATAL.*PORT \(option --port\) is "x"; expected a whole number/)
      expect(yield* refused(fixture.options({ LOG_FORMAT: "xml" }))).toEqual([
        'LOG_FORMAT is "xml"; expected one of pretty, json'
      ])
    })
  )

  it.scopedLive("says that it fails however little is to be logged", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      expect(yield* refused(fixture.options({ PORT: "x", LOG_LEVEL: "none" }))).toHaveLength(1)
    })
  )

  it.scopedLive("needs AUTH_SECRET where other machines can reach it", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const errors = yield* refused(fixture.options({ HOST: "0.0.0.0", AUTH_SECRET: "" }))
      expect(errors).toEqual([expect.stringMatching(/^AUTH_SECRET is not set.*HOST.*0\.0\.0\.0/)])
      expect(existsSync(fixture.env.DATABASE_FILE)).toBe(false)
    })
  )

  it.scopedLive("on loopback without AUTH_SECRET prints a token that works", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start({ AUTH_SECRET: "" })
      const token = /^ey[\w-]+\.[\w-]+\.[\w-]+$/m.exec(executor.stderr)?.[0]
      const url = yield* executor.url
      const response = yield* Effect.promise(() =>
        fetch(`${url}/workflows`, { headers: { authorization: `Bearer ${token}` } })
      )
      expect(response.status).toBe(200)
      // the log has no secrets
      expect(executor.stdout).not.toContain(token)
    })
  )

  it.scopedLive("takes options before variables, and validates them as these", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const database = join(fixture.folder, "made", "for it", "other.db")
      const options = {
        ...fixture.options({ HOST: "nowhere.invalid", PORT: "x", STOP_TIMEOUT: "x" }),
        args: ["--database", database, "--host", "localhost", "--port", "0", "--stop-timeout", "0"]
      }
      const executor = yield* Process.startReady(options)
      const { annotations } = yield* executor.ready
      expect(annotations.database).toBe(database)
      expect(annotations.workflows).toEqual(["Branches", "Held", "Stubborn", "Waiting", "Work"])
      expect(existsSync(database)).toBe(true)
      const runId = yield* executor.run("Held", { id: "a" })
      yield* fixture.began(runId, "held")
      // by default the stop would wait for this step for as long as this test may take
      expect((yield* executor.stop()).code).toBe(0)
      expect(executor.has("stop timeout: steps interrupted")).toBe(true)

      const errors = yield* refused({ ...fixture.options(), args: ["--port", "12x"] })
      expect(errors).toEqual([expect.stringMatching(/^PORT \(option --port\) is "12x"/)])
    })
  )

  it.scopedLive("has exit code 2 for a command line that is wrong", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      for (const args of [["--prot", "1"], ["two", "modules"], ["--port"]]) {
        const executor = yield* Process.start({ ...fixture.options(), args })
        expect((yield* executor.exited).code).toBe(2)
        expect(executor.stderr).not.toBe("")
      }
    })
  )

  it.scopedLive("fails where the port is in use, and releases what it had", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      const { port } = new URL(yield* executor.url)
      const errors = yield* refused(fixture.options({ PORT: port }))
      expect(errors).toEqual([
        `Cannot listen on 127.0.0.1:${port}: the port is in use (EADDRINUSE)`
      ])
      // the other one is none the worse for it
      yield* executor.completed(yield* executor.run("Work", { id: "a", steps: 1, millis: 0 }))
    })
  )

  it.scopedLive("fails where the database cannot be made or written, or is none", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const garbage = join(fixture.folder, "garbage.db")
      yield* Effect.promise(() => writeFile(garbage, "not a database ".repeat(1000)))
      const folder = join(fixture.folder, "folder.db")
      yield* Effect.promise(() => mkdir(folder))
      for (const file of [garbage, folder, join(garbage, "below-a-file.db"), "/sys/executor.db"]) {
        const errors = yield* refused(fixture.options({ DATABASE_FILE: file }))
        expect(errors).toEqual([expect.stringContaining(file)])
      }
      // what was no database is left as it was
      const text = yield* Effect.promise(() => readFile(garbage, "utf8"))
      expect(text).toBe("not a database ".repeat(1000))
    })
  )

  it.scopedLive(
    "takes its first step soon where 50,000 runs wait, in a heap that has no room for them",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        yield* Effect.provide(
          seed(50_000),
          SqliteRunStore.layerFile({ filename: fixture.env.DATABASE_FILE })
        )
        // a heap in which the runs that wait would not fit
        const executor = yield* fixture.start({ NODE_OPTIONS: "--max-old-space-size=160" })
        const executions = yield* fixture.executed((executions) =>
          executions.some(({ pid }) => pid === executor.pid)
        )
        const first = executions.find(({ pid }) => pid === executor.pid)
        // on its own account: without what it waited while other processes had the processors
        const millis = (first?.at ?? Number.NaN) - executor.startedAt - (first?.waited ?? 0)
        yield* fixture.executed(
          (executions) => executions.filter(({ pid }) => pid === executor.pid).length > 5_000
        )
        const peak = yield* executor.peakMemory
        expect((yield* executor.stop()).code).toBe(0)
        console.info(
          `50,000 pending runs: first step ${Math.round(millis)} ms after the process was spawned; at most ${Math.round(peak / 1024 / 1024)} MiB`
        )
        // how soon on a machine of its own is in the benchmark `startup`: here, that it waits for few of them
        expect(millis).toBeLessThan(10_000)
        expect(peak).toBeLessThan(350 * 1024 * 1024)
      }),
    120_000
  )
})

const seed = Effect.fnUntraced(function* (count: number) {
  const store = yield* RunStore
  yield* Effect.forEach(
    Array.from({ length: count }, (_, n) => n),
    (n) =>
      store.create({
        runId: `seeded-${n}`,
        workflow: "Work",
        payload: JSON.stringify({ id: `${n}`, steps: 3, millis: 5 })
      }),
    { concurrency: "unbounded", discard: true }
  )
})
