/** Commands on a database file: good ones, and those that something is wrong with. */
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Fixture from "../process/Fixture.js"
import * as Process from "../support/Executor.js"
import { type CommandOptions, command, decode } from "./support.js"

const on =
  (file: string, options: CommandOptions = {}) =>
  (...args: ReadonlyArray<string>) =>
    command([...args, "--database", file], options)

/** A file with our schema, that nobody has used yet. */
const migrated = Effect.gen(function* () {
  const file = join(yield* Process.makeFolder, "executor.db")
  expect((yield* on(file)("migrate")).code).toBe(0)
  return file
})

const Doctor = Schema.Struct({
  database: Schema.String,
  ok: Schema.Boolean,
  findings: Schema.Array(
    Schema.Struct({ check: Schema.String, verdict: Schema.String, message: Schema.String })
  )
})

/** Its exit code, and the problems that it finds. */
const doctor = (file: string, options: CommandOptions = {}) =>
  Effect.map(on(file, options)("doctor", "--json"), ({ code, err, out }) => {
    const { findings, ok } = decode(Doctor, out)
    const problems = findings.filter(({ verdict }) => verdict === "problem")
    expect({ err, ok }).toEqual({ err: "", ok: code === 0 })
    return { code, checks: problems.map(({ check }) => check), problems }
  })

describe("prune", () => {
  const Pruned = Schema.Struct({ database: Schema.String, removed: Schema.Int })
  const Counts = Schema.Record({ key: Schema.String, value: Schema.Int })

  it.scopedLive(
    "removes runs that are over beside an executor, and says how many",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        const file = fixture.env.DATABASE_FILE
        const waiting = yield* executor.run("Waiting", { id: "1" })
        yield* executor.whenRun(waiting, ({ status }) => status === "suspended")
        const over: Array<string> = []
        for (let id = 0; id < 7; id++) {
          over.push(yield* executor.run("Work", { id: `${id}`, steps: 1, millis: 0 }))
        }
        for (const runId of over) yield* executor.completed(runId)

        const counted = Effect.map(on(file)("runs", "counts", "--json"), ({ out }) => {
          const { completed, suspended } = decode(Counts, out)
          return { completed, suspended }
        })
        const pruned = (...args: ReadonlyArray<string>) =>
          Effect.map(on(file)("prune", "--json", ...args), ({ code, err, out }) => {
            expect({ code, err }).toEqual({ code: 0, err: "" })
            return decode(Pruned, out)
          })
        expect(yield* counted).toEqual({ completed: 7, suspended: 1 })
        expect(yield* pruned("--older-than", "1 day")).toEqual({ database: file, removed: 0 })
        expect(yield* pruned("--keep", "3")).toEqual({ database: file, removed: 4 })
        expect(yield* counted).toEqual({ completed: 3, suspended: 1 })
        // the newest are those that stay
        expect((yield* executor.request("GET", `/runs/${over[0]}`)).status).toBe(404)
        expect((yield* executor.get(over[6] ?? "")).status).toBe("completed")
        expect(yield* pruned("--keep", "0", "--older-than", "1 milli")).toMatchObject({
          removed: 3
        })
        expect(yield* counted).toEqual({ completed: 0, suspended: 1 })
        expect((yield* doctor(file)).code).toBe(0)
      }),
    60_000
  )

  it.scopedLive("asks for what can be, and makes no file", () =>
    Effect.gen(function* () {
      const file = join(yield* Process.makeFolder, "executor.db")
      for (const wrong of [["--keep", "-1"], ["--keep", "1.5"], ["--older-than", "soon"], []]) {
        expect(yield* on(file)("prune", ...wrong)).toMatchObject({ code: 2 })
      }
      const missing = yield* on(file)("prune", "--keep", "1")
      expect(missing).toEqual({ code: 1, out: "", err: `${file}: there is no such file\n` })
      expect(existsSync(file)).toBe(false)
    })
  )
})

describe("migrate", () => {
  it.scopedLive("by several at once makes one file, and finds nothing to do the next time", () =>
    Effect.gen(function* () {
      const file = join(yield* Process.makeFolder, "executor.db")
      const all = yield* Effect.forEach([1, 2, 3], () => on(file)("migrate"), {
        concurrency: "unbounded"
      })
      for (const migrate of all) expect(migrate).toMatchObject({ code: 0, err: "" })
      const before = readFileSync(file)
      expect((yield* on(file)("migrate")).out).toContain("nothing to do")
      expect(readFileSync(file).equals(before)).toBe(true)
      expect((yield* doctor(file)).checks).toEqual([])
    })
  )
})

describe("a file of a newer version", () => {
  it.scopedLive("is told of by doctor, and touched by no command", () =>
    Effect.gen(function* () {
      const file = yield* migrated
      yield* Fixture.statement(
        file,
        "INSERT INTO workflow_executor_migrations (migration_id, name) VALUES (999, 'of_tomorrow')"
      )
      const before = readFileSync(file)
      const { checks, code, problems } = yield* doctor(file)
      expect({ checks, code }).toEqual({ checks: ["schema"], code: 1 })
      expect(problems[0]?.message).toContain("schema 999, written by a newer version")
      for (const args of [
        ["migrate"],
        ["prune", "--keep", "1"],
        ["runs", "list"],
        ["runs", "delete", "a"],
        ["executors"]
      ]) {
        const refused = yield* on(file)(...args)
        expect(refused, args.join(" ")).toMatchObject({ code: 1, out: "" })
        expect(refused.err).toContain("schema 999, written by a newer version")
      }
      const start = yield* Process.start({ env: { DATABASE_FILE: file } })
      expect((yield* start.exited).code).toBe(1)
      expect(start.stdout).toContain("schema 999, written by a newer version")
      expect(readFileSync(file).equals(before)).toBe(true)
    })
  )
})

describe("doctor", () => {
  it.scopedLive("sees that a file has pages that are broken", () =>
    Effect.gen(function* () {
      const file = yield* migrated
      const bytes = readFileSync(file)
      // all but the first page, which has the schema
      bytes.fill(0xff, 4096)
      writeFileSync(file, bytes)
      const { code, problems } = yield* doctor(file)
      expect(code).toBe(1)
      expect(problems.map(({ check }) => check)).not.toEqual([])
      expect(problems.map(({ message }) => message).join()).toMatch(/malformed|Tree|page/)
    })
  )

  it.scopedLive("sees that a file is empty, or cut short", () =>
    Effect.gen(function* () {
      const file = yield* migrated
      const bytes = readFileSync(file)
      for (const length of [0, 50, 4096, bytes.length - 4096]) {
        writeFileSync(file, bytes.subarray(0, length))
        const { checks, code } = yield* doctor(file)
        expect(code, `${length} bytes`).toBe(1)
        expect(checks).not.toEqual([])
        expect(statSync(file).size).toBe(length)
      }
    })
  )

  it.scopedLive("sees that a path is a folder", () =>
    Effect.gen(function* () {
      const { checks, problems } = yield* doctor(yield* Process.makeFolder)
      expect(checks).toEqual(["file"])
      expect(problems[0]?.message).toContain("it is not a file")
    })
  )

  const isRoot = process.getuid?.() === 0
  // root may write whatever a file's mode is
  const before = isRoot
    ? ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    : []

  it.scopedLive.skipIf(isRoot && !existsSync("/usr/bin/setpriv"))(
    "sees that a file and its folder may not be written",
    () =>
      Effect.gen(function* () {
        const file = yield* migrated
        const bytes = readFileSync(file)
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            chmodSync(file, 0o444)
            chmodSync(dirname(file), 0o555)
          }),
          () => Effect.sync(() => chmodSync(dirname(file), 0o755))
        )
        const { checks, code } = yield* doctor(file, { before })
        expect(code).toBe(1)
        expect(checks).toContain("writable")
        expect(checks).toContain("folder writable")
        const start = yield* on(file, { before })("start", "--port", "0")
        expect(start.code).toBe(1)
        expect(start.out).toContain(`${file}: The run store could not write`)
        expect(start.out).toContain("readonly database")
        expect(readFileSync(file).equals(bytes)).toBe(true)
      })
  )
})
