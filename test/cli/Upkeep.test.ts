/** Commands for what has failed, and for what is over: on a running executor's API. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { Scope } from "../../src/http/Access.js"
import * as Authorization from "../../src/http/Authorization.js"
import * as Fixture from "../process/Fixture.js"
import * as Process from "../support/Executor.js"
import { command, decode } from "./support.js"

const start = Effect.gen(function* () {
  const fixture = yield* Fixture.make
  const executor = yield* Process.startReady({
    ...fixture.options(),
    module: Process.fixture("failing.ts")
  })
  const url = yield* executor.url
  return {
    executor,
    api: (...args: ReadonlyArray<string>) => command([...args, "--url", url]),
    /** Lets the runs of this name complete. */
    letThrough: (id: string) => Effect.promise(() => writeFile(join(fixture.folder, id), "")),
    /** The id of a run that has failed. */
    failed: (workflow: string, id: string) =>
      Effect.gen(function* () {
        const runId = yield* executor.run(workflow, { id })
        yield* executor.whenRun(runId, ({ status }) => status === "failed")
        return runId
      })
  }
})

const tokenFor = (...scopes: ReadonlyArray<Scope>) =>
  Authorization.makeTokens(Redacted.make(Process.secret)).pipe(
    Effect.flatMap((tokens) => tokens.sign({ scopes })),
    Effect.map(Redacted.value)
  )

const RunId = Schema.Struct({ runId: Schema.String })

const Counts = Schema.Record({ key: Schema.String, value: Schema.Int })

const Executors = Schema.Struct({
  executors: Schema.Array(
    Schema.Struct({
      id: Schema.Int,
      pid: Schema.Int,
      state: Schema.String,
      alive: Schema.Boolean,
      self: Schema.Boolean,
      runs: Schema.Int
    })
  )
})

describe("runs retry", () => {
  it.scopedLive(
    "lets a failed run go on from the step that failed",
    () =>
      Effect.gen(function* () {
        const { api, executor, failed, letThrough } = yield* start
        const runId = yield* failed("Flaky", "a")
        expect((yield* api("runs", "watch", runId)).code).toBe(3)

        yield* letThrough("a")
        const retried = yield* api("runs", "retry", runId, "--json")
        expect(retried).toMatchObject({ code: 0, err: "" })
        expect(decode(RunId, retried.out)).toEqual({ runId })
        const run = yield* executor.completed(runId)
        // the first execution's, recorded before it failed
        expect(run.result).toBe(1)
        expect(run.steps.map(({ name, status }) => [name, status])).toEqual([
          ["first", "completed"],
          ["second", "completed"]
        ])
        expect((yield* api("runs", "watch", runId)).code).toBe(0)
      }),
    60_000
  )

  it.scopedLive(
    "is refused with the reason, and exit codes that tell what is wrong",
    () =>
      Effect.gen(function* () {
        const { api, executor, failed, letThrough } = yield* start
        yield* letThrough("b")
        const completed = yield* executor.run("Flaky", { id: "b" })
        yield* executor.completed(completed)
        const undone = yield* failed("Undone", "c")
        for (const [runId, code, why] of [
          [completed, 1, "it is completed"],
          [undone, 1, "its compensations were executed"],
          ["nothing", 4, "There is no run"]
        ] as const) {
          const refused = yield* api("runs", "retry", runId, "--json")
          expect(refused).toMatchObject({ code, out: "" })
          expect(refused.err).toContain(why)
        }
        const reader = yield* tokenFor("runs:read")
        const refused = yield* api("runs", "retry", undone, "--token", reader)
        expect(refused).toMatchObject({ code: 1, out: "" })
        expect(refused.err).toContain("lacks the scope runs:write")
      }),
    60_000
  )
})

describe("runs counts and runs delete", () => {
  it.scopedLive(
    "count what is there, and remove what is over",
    () =>
      Effect.gen(function* () {
        const { api, failed } = yield* start
        const [a, b] = [yield* failed("Flaky", "a"), yield* failed("Flaky", "b")]
        const counted = Effect.map(api("runs", "counts", "--json"), ({ code, err, out }) => {
          expect({ code, err }).toEqual({ code: 0, err: "" })
          return decode(Counts, out)
        })
        const none = {
          pending: 0,
          running: 0,
          suspended: 0,
          completed: 0,
          failed: 0,
          interrupted: 0
        }
        expect(yield* counted).toEqual({ ...none, failed: 2 })

        const reader = yield* tokenFor("runs:read")
        const refused = yield* api("runs", "delete", a, "--token", reader)
        expect(refused).toMatchObject({ code: 1, out: "" })

        const removed = yield* api("runs", "delete", a, "--json")
        expect(removed).toMatchObject({ code: 0, err: "" })
        expect(decode(RunId, removed.out)).toEqual({ runId: a })
        expect(yield* counted).toEqual({ ...none, failed: 1 })

        const gone = { code: 4, out: "", err: `There is no run "${a}"\n` }
        expect(yield* api("runs", "delete", a, "--json")).toEqual(gone)
        expect(yield* api("runs", "show", a, "--json")).toEqual(gone)
        expect((yield* api("runs", "show", b, "--json")).code).toBe(0)
      }),
    60_000
  )
})

describe("executors", () => {
  it.scopedLive(
    "lists the one that answers, to a token with the scope admin",
    () =>
      Effect.gen(function* () {
        const { api, executor } = yield* start
        const listed = yield* api("executors", "--json", "--token", yield* tokenFor("admin"))
        expect(listed).toMatchObject({ code: 0, err: "" })
        expect(decode(Executors, listed.out).executors).toEqual([
          { id: 1, pid: executor.pid, state: "running", alive: true, self: true, runs: 0 }
        ])
        const other = yield* tokenFor("runs:read", "runs:write")
        const refused = yield* api("executors", "--json", "--token", other)
        expect(refused).toMatchObject({ code: 1, out: "" })
        expect(refused.err).toContain("lacks the scope admin")
      }),
    60_000
  )

  it.scopedLive(
    "shows one that was killed as no longer alive",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const dead = yield* fixture.start()
        yield* dead.stop("SIGKILL")
        const database = ["--database", fixture.env.DATABASE_FILE, "--json"]
        const listed = yield* command(["executors", ...database])
        expect(listed).toMatchObject({ code: 0, err: "" })
        expect(decode(Executors, listed.out).executors).toMatchObject([
          { pid: dead.pid, alive: false, self: false }
        ])
      }),
    60_000
  )
})
