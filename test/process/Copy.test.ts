/** The command `copy`, between executors that are processes. Takes real time: they are processes. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Pg from "pg"
import { command } from "../cli/support.js"
import * as Process from "../support/Executor.js"
import * as Postgres from "../support/Postgres.js"
import { times } from "./Fixture.js"

/** Nobody writes to the table, until it is released. */
const locked = (connectionString: string, table: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Pg.Client({ connectionString })
        client.on("error", () => {})
        await client.connect()
        await client.query(`BEGIN; LOCK TABLE ${table} IN EXCLUSIVE MODE`)
        return client
      }),
      (client) => Effect.promise(() => client.end())
    ),
    (client) => ({ release: Effect.promise(() => client.query("ROLLBACK")) })
  )

describe("workflow-executor copy", () => {
  it.scopedLive(
    "takes runs along that go on there, also where it was killed in the middle",
    () =>
      Effect.gen(function* () {
        const folder = yield* Process.makeFolder
        const { url } = yield* Postgres.ownDatabase
        const file = join(folder, "executor.db")
        const executions = join(folder, "executions.jsonl")
        const fixture = { FIXTURE_FILE: executions, FIXTURE_GATE: folder }
        const onFile = { module: Process.fixture("work.ts"), cwd: folder }
        const start = (env: Readonly<Record<string, string>>) =>
          Process.startReady({ ...onFile, env: { ...fixture, ...env } })
        const first = yield* start({ DATABASE_FILE: file })
        const runId = yield* first.run("Work", { id: "a", steps: 3, millis: 1 })
        yield* first.completed(runId)
        // one that is in the middle of its work for as long as it is to be, and handed over
        const going = yield* first.run("Held", { id: "b" })
        yield* Process.executed(executions, (said) => times(said, "began", going, "held") === 1)
        const args = ["copy", "--from", file, "--to", Redacted.value(url)]
        const inUse = yield* command(args)
        expect([inUse.code, inUse.err]).toEqual([1, expect.stringContaining("is in use, by")])
        yield* first.kill("SIGTERM")
        yield* first.log("drain begun")
        yield* Effect.promise(() => writeFile(join(folder, "b"), ""))
        expect((yield* first.exited).code).toBe(0)
        const told = yield* first.log("drain over")
        expect(told.annotations.handedOver).toBe(1)

        // it stands still in the middle
        const migrated = yield* command(["migrate", "--database-url", Redacted.value(url)])
        expect(migrated.code).toBe(0)
        const lock = yield* locked(Redacted.value(url), "workflow_executor.workflow_steps")
        const copying = yield* Process.start({
          command: [process.execPath, Process.bin, ...args],
          cwd: folder
        })
        yield* copying.stderrHas("workflow_runs:")
        yield* copying.stop("SIGKILL")
        yield* lock.release
        const refused = yield* Process.start({
          ...onFile,
          env: { ...fixture, DATABASE_FILE: file }
        })
        expect((yield* refused.exited).code).toBe(1)
        expect(refused.stdout).toContain("is being copied to postgres://")

        const { code, err, out } = yield* command([...args, "--json"])
        expect([code, err]).toEqual([0, ""])
        expect(JSON.parse(out)).toMatchObject({
          from: file,
          to: expect.not.stringContaining("@"),
          rows: { workflow_runs: 2 }
        })
        const gone = yield* Process.start({ ...onFile, env: { ...fixture, DATABASE_FILE: file } })
        expect((yield* gone.exited).code).toBe(1)
        expect(gone.stdout).toContain("it was copied to postgres://")

        const next = yield* start({ DATABASE_URL: Redacted.value(url) })
        yield* next.completed(going)
        expect((yield* next.get(runId)).status).toBe("completed")
        const said = yield* Process.executions(executions)
        for (const step of ["held", "after"]) expect(times(said, "began", going, step)).toBe(1)
        expect(said.some(({ event }) => event === "compensated")).toBe(false)
        // the same key is the same run
        expect(yield* next.run("Work", { id: "a", steps: 3, millis: 1 })).toBe(runId)
        expect((yield* next.stop()).code).toBe(0)

        // and back, into a file of its own
        const back = join(folder, "back.db")
        const backArgs = ["copy", "--from", Redacted.value(url), "--to", back, "--json"]
        const returned = yield* command(backArgs)
        expect([returned.code, returned.err]).toEqual([0, ""])
        const last = yield* start({ DATABASE_FILE: back })
        expect((yield* last.get(going)).steps).toHaveLength(2)
        expect((yield* last.stop()).code).toBe(0)
      }),
    120_000
  )

  it.scopedLive(
    "says what it needs, and tells no password",
    () =>
      Effect.gen(function* () {
        const folder = yield* Process.makeFolder
        const file = join(folder, "a.db")
        const none = yield* command(["copy", "--from", file, "--to", "postgres://a:secret@b/c"])
        expect([none.code, none.err]).toEqual([1, expect.stringContaining("there is no such file")])
        const both = yield* command(["copy", "--from", file, "--to", join(folder, "b.db")])
        expect([both.code, both.err]).toEqual([2, expect.stringContaining("a file to PostgreSQL")])
        const left = yield* command(["copy", "--from", file])
        expect([left.code, left.err]).toEqual([2, expect.stringContaining("DATABASE_URL")])
        const wrong = yield* command(["copy", "--from", file, "--to", "mysql://a:secret@b/c"])
        expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("<hidden>")])
        const schema = yield* command([
          ...["copy", "--from", file, "--to", "postgres://a:secret@b/c", "--schema", "No"]
        ])
        expect([schema.code, schema.err]).toEqual([2, expect.stringContaining("lower-case")])
        yield* Effect.promise(() => writeFile(file, "no database"))
        const damaged = yield* command(["copy", "--from", file, "--to", "postgres://a:secret@b/c"])
        expect(damaged.code).toBe(1)
        for (const { err, out } of [none, both, left, wrong, schema, damaged]) {
          expect(err + out).not.toContain("secret")
        }
      }),
    60_000
  )
})
