/** What a command is given and cannot use, with an executor at hand. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Time from "../../src/internal/Time.js"
import * as Fixture from "../process/Fixture.js"
import { command } from "./support.js"

const start = Effect.gen(function* () {
  const fixture = yield* Fixture.make
  const url = yield* (yield* fixture.start()).url
  return {
    url,
    runs: (...args: ReadonlyArray<string>) => command(["runs", ...args, "--url", url])
  }
})

describe("a run's id", () => {
  it.scopedLive(
    "is looked for as it stands, whatever it would mean in a path",
    () =>
      Effect.gen(function* () {
        const { runs } = yield* start
        for (const id of ["", "..", "../health", "%zz\n?#"]) {
          const none = { code: 4, out: "", err: `There is no run ${JSON.stringify(id)}\n` }
          expect(yield* runs("show", id)).toEqual(none)
        }
        for (const action of ["delete", "watch"]) {
          expect((yield* runs(action, "..")).code, action).toBe(4)
        }
        expect((yield* runs("signal", "..", "Go")).code).toBe(4)
        expect(yield* runs("signal", "a", "..")).toEqual({
          code: 2,
          out: "",
          err: '".." is not a signal\'s name\n'
        })
      }),
    60_000
  )
})

describe("a secret", () => {
  it.scopedLive(
    "that cannot be sent is not told",
    () =>
      Effect.gen(function* () {
        const { runs, url } = yield* start
        for (const token of ["hush\nhush", "hush\u2713"]) {
          const refused = yield* runs("list", "--token", token)
          expect(refused).toEqual({
            code: 2,
            out: "",
            err: "--token is no bearer token: visible ASCII characters without blanks\n"
          })
          const ofEnvironment = yield* command(["runs", "list", "--url", url], {
            env: { WORKFLOW_EXECUTOR_TOKEN: token }
          })
          expect(ofEnvironment).toMatchObject({ code: 1, out: "" })
          expect(ofEnvironment.err).toMatch(/^WORKFLOW_EXECUTOR_TOKEN is <hidden>; expected /)
        }
        const inUrl = yield* command(["runs", "list", "--url", "http://me:hush@127.0.0.1:1"])
        expect(inUrl).toMatchObject({ code: 2, out: "" })
        expect(inUrl.err).not.toContain("hush")
      }),
    60_000
  )
})

describe("a time", () => {
  it.scopedLive(
    "that was never, or has no zone, is refused as by the API",
    () =>
      Effect.gen(function* () {
        for (const option of ["--created-after", "--created-before"]) {
          for (const time of ["2026-02-30", "2026-11-22T18:00:00", "1"]) {
            const refused = yield* command(["runs", "list", option, time])
            expect(refused).toMatchObject({ code: 2, out: "" })
            const told = refused.err.replace(/\s+/g, " ")
            expect(told).toContain(`${option}: ${Time.describe(time)}`)
          }
        }
      }),
    60_000
  )
})

describe("a command line that is none", () => {
  const runsNames =
    "bulk, counts, delete, interrupt, list, resume, retry, show, signal, start, terminate, watch"
  for (const [args, told] of [
    [["runs", "list", "--limit", "many"], '--limit is "many"; expected a whole number, 1 to 200'],
    [["runs", "list", "--limit", "201"], '--limit is "201"; expected a whole number, 1 to 200'],
    [
      ["runs", "list", "--status", "running", "--status", "over"],
      '--status is "over"; expected one of pending, running, suspended, completed, failed, interrupted'
    ],
    [["token", "--scope", "all"], '--scope is "all"; expected one of runs:read, runs:write, admin'],
    // empty they would mean everything
    [["token", "--scope", ""], '--scope is ""; expected a value that is not empty'],
    [["token", "--scope"], "--scope lacks its value"],
    [
      ["runs", "bulk", "delete", "--workflow", "Order", "--tag", " ", "--yes"],
      '--tag is " "; expected a value that is not empty'
    ],
    [["runs", "bulk", "delete", "--status", "--yes"], "--status lacks its value"],
    [["runs", "counts", "--attribute="], '--attribute is ""; expected a value that is not empty'],
    [
      ["prune", "--database", "", "--keep", "0"],
      '--database is ""; expected a value that is not empty'
    ],
    [["prune", "--keep", "some"], '--keep is "some"; expected a whole number, 0 or more'],
    [
      ["--log-level", "loud", "runs", "list"],
      '--log-level is "loud"; expected one of all, trace, debug, info, warning, error, fatal, none'
    ],
    [["runs", "lst"], `There is no command "runs lst"; those of runs are ${runsNames}`],
    [
      ["run"],
      'There is no command "run"; there are bulk, copy, doctor, drain, executors, migrate, prune, queues, runs, schedules, start, token, workflows'
    ],
    [["--nope"], "--nope is no option of workflow-executor, or its value is missing"],
    [["runs", "--nope"], "--nope is no option of runs, or its value is missing"],
    [
      ["runs", "list", "--workflow"],
      "--workflow is no option of this command, or its value is missing"
    ],
    [["start", "--port"], "--port is no option of this command, or its value is missing"],
    [
      ["runs", "start", "Order", "--on-conflict", "bogus"],
      '--on-conflict is "bogus"; expected one of use, fail, replace'
    ],
    [
      ["runs", "bulk", "bogus"],
      '"bogus" is no action of runs bulk; expected one of retry, interrupt, terminate, resume, delete'
    ],
    [["runs", "show", "--all"], "--all is no option of this command, or its value is missing"]
  ] as const) {
    it.scopedLive(`is told what it could be: ${args.join(" ")}`, () =>
      Effect.gen(function* () {
        const refused = yield* command(args)
        expect(refused).toMatchObject({ code: 2, out: "" })
        expect(refused.err.trim()).toBe(told)
      })
    )
  }
})

describe("help", () => {
  it.scopedLive("is plain where nobody reads it on a terminal", () =>
    Effect.gen(function* () {
      const { code, out } = yield* command(["runs", "--help"])
      expect(code).toBe(0)
      expect(out).toContain("\nCOMMANDS\n")
      expect(out).not.toContain("\u001b")
    })
  )
})
