/** The commands as processes: what they print, where, and with which exit code they end. */
import { existsSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Authorization from "../../src/http/Authorization.js"
import * as Fixture from "../process/Fixture.js"
import * as Process from "../support/Executor.js"
import { begin, command, decode } from "./support.js"

const RunsJson = Schema.Struct({
  runs: Schema.Array(Schema.Struct({ runId: Schema.String, status: Schema.String })),
  nextCursor: Schema.NullOr(Schema.String)
})

const DoctorJson = Schema.Struct({
  ok: Schema.Boolean,
  findings: Schema.Array(
    Schema.Struct({ check: Schema.String, verdict: Schema.String, message: Schema.String })
  )
})

const EventJson = Schema.Struct({ event: Schema.String, status: Schema.String })

const ToldJson = Schema.Struct({
  event: Schema.String,
  at: Schema.String,
  name: Schema.optionalWith(Schema.String, { exact: true }),
  status: Schema.String
})

const problems = (json: string) =>
  decode(DoctorJson, json)
    .findings.filter(({ verdict }) => verdict === "problem")
    .map(({ check }) => check)

describe("token", () => {
  it.scopedLive("prints the token and nothing else, for what was asked", () =>
    Effect.gen(function* () {
      const { code, err, out } = yield* command([
        "token",
        "--scope",
        "runs:read",
        "--subject",
        "ci",
        "--expires-in",
        "2 hours"
      ])
      expect({ code, err }).toEqual({ code: 0, err: "" })
      expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)
      const tokens = yield* Authorization.makeTokens(Redacted.make(Process.secret))
      const { claims, scopes, subject } = yield* tokens.verify(Redacted.make(out.trim()))
      expect({ scopes: [...scopes], subject }).toEqual({ scopes: ["runs:read"], subject: "ci" })
      expect(Number(claims.exp) - Number(claims.iat)).toBe(7_200)
    })
  )

  it.scopedLive("needs AUTH_SECRET, and a duration that is one", () =>
    Effect.gen(function* () {
      expect(yield* command(["token"], { env: { AUTH_SECRET: "" } })).toEqual({
        code: 1,
        out: "",
        err: "AUTH_SECRET is not set: a token is signed with the secret that the executor has\n"
      })
      const wrong = yield* command(["token", "--expires-in", "soon"])
      expect(wrong).toMatchObject({ code: 2, out: "" })
      expect(wrong.err).toContain('--expires-in is "soon"; expected a duration')
    })
  )
})

describe("migrate and doctor", () => {
  it.scopedLive("make a file, and find nothing wrong with it", () =>
    Effect.gen(function* () {
      const folder = yield* Process.makeFolder
      const file = join(folder, "new", "executor.db")
      const missing = yield* command(["doctor", "--json", "--database", file])
      expect({ ...missing, out: problems(missing.out) }).toEqual({
        code: 1,
        out: ["file"],
        err: ""
      })
      expect(existsSync(file)).toBe(false)

      const made = yield* command(["migrate", "--database", file])
      expect(made).toMatchObject({ code: 0, err: "" })
      expect(made.out).toMatch(/: made, with schema \d+\n$/)
      const again = yield* command(["migrate", "--json"], { env: { DATABASE_FILE: file } })
      expect(again.code).toBe(0)
      const { after, before } = decode(
        Schema.Struct({ before: Schema.Int, after: Schema.Int }),
        again.out
      )
      expect(before).toBe(after)

      expect(yield* command(["prune"], { env: { DATABASE_FILE: file } })).toMatchObject({ code: 2 })
      expect(
        yield* command(["prune", "--older-than", "1 day", "--json"], {
          env: { DATABASE_FILE: file }
        })
      ).toEqual({ code: 0, out: `${JSON.stringify({ database: file, removed: 0 })}\n`, err: "" })

      const well = yield* command(["doctor", "--full", "--database", file])
      expect(well).toMatchObject({ code: 0, err: "" })
      expect(well.out).toMatch(/^CHECK +VERDICT +WHAT\n/)
      expect(well.out).toMatch(/^integrity +ok /m)
    })
  )

  it.scopedLive("see that a file is no database", () =>
    Effect.gen(function* () {
      const folder = yield* Process.makeFolder
      const file = join(folder, "notes.txt")
      yield* Effect.promise(() => writeFile(file, "not a database, but long enough\n".repeat(99)))
      const ill = yield* command(["doctor", "--json", "--database", file])
      expect({ ...ill, out: problems(ill.out) }).toEqual({ code: 1, out: ["database"], err: "" })
      const refused = yield* command(["runs", "list", "--database", file])
      expect(refused).toMatchObject({ code: 1, out: "" })
      expect(refused.err).toMatch(/^.*notes\.txt: .*file is not a database.*\n$/)
    })
  )
})

describe("runs", () => {
  it.scopedLive(
    "watched beyond the end of an executor, tell each thing once, with the time at which it was",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const first = yield* fixture.start()
        const url = yield* first.url
        const runId = yield* first.run("Waiting", { id: "1" })
        yield* first.whenRun(runId, ({ status }) => status === "suspended")
        const wasSuspended = new Date().toISOString()
        const watching = yield* begin(["runs", "watch", runId, "--json", "--url", url])
        yield* watching.stdoutHas('"status":"suspended"')

        yield* first.stop("SIGKILL")
        const second = yield* fixture.start({ PORT: new URL(url).port })
        expect(yield* command(["runs", "signal", runId, "Go", "--url", url])).toMatchObject({
          code: 0
        })
        expect(yield* watching.exited).toMatchObject({ code: 0 })

        const { steps } = yield* second.get(runId)
        const told = watching.stdout
          .trim()
          .split("\n")
          .map((line) => decode(ToldJson, line))
        // it may have been seen while it went on
        const over = told.filter(({ status }) => status !== "running")
        expect(over.filter(({ event }) => event === "step")).toEqual(
          steps.map(({ completedAt, name, status }) => ({
            ...{ event: "step", at: completedAt, name, status }
          }))
        )
        const run = over.filter(({ event }) => event === "run")
        expect(run.map(({ status }) => status)).toEqual(["suspended", "completed"])
        // not when the watch began
        expect(run[0] !== undefined && run[0].at <= wasSuspended).toBe(true)
      }),
    60_000
  )

  it.scopedLive(
    "are started, watched and shown through the API",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        const url = yield* executor.url
        const runs = (...args: ReadonlyArray<string>) => command(["runs", ...args, "--url", url])

        const started = yield* runs("start", "Waiting", '{"id":"1"}')
        expect(started).toMatchObject({ code: 0, err: "" })
        const runId = started.out.trim()
        yield* executor.whenRun(runId, ({ status }) => status === "suspended")

        const watching = yield* begin(["runs", "watch", runId, "--json"], {
          env: { PORT: new URL(url).port }
        })
        yield* watching.stdoutHas('"status":"suspended"')
        expect(yield* runs("signal", runId, "Go")).toMatchObject({ code: 0, err: "" })
        expect((yield* watching.exited).code).toBe(0)
        const events = watching.stdout.trim().split("\n")
        expect(events.map((line) => decode(EventJson, line)).at(-1)).toEqual({
          event: "run",
          status: "completed"
        })

        const shown = yield* runs("show", runId)
        expect(shown.code).toBe(0)
        expect(shown.out).toMatch(/^status +completed$/m)
        expect(shown.out).toMatch(/^before +1 +completed /m)

        const listed = yield* runs("list", "--json", "--status", "completed")
        expect(decode(RunsJson, listed.out)).toEqual({
          runs: [{ runId, status: "completed" }],
          nextCursor: null
        })

        expect(yield* runs("show", "nothing")).toEqual({
          code: 4,
          out: "",
          err: 'There is no run "nothing"\n'
        })
        expect((yield* runs("start", "Nothing")).err).toMatch(
          /^Workflow "Nothing" is not registered/
        )
        expect(yield* runs("start", "Waiting", "{")).toMatchObject({ code: 2, out: "" })
        const refused = yield* runs("list", "--token", "forged")
        expect(refused).toEqual({
          code: 1,
          out: "",
          err: `${url} refuses the token: token invalid\n`
        })
      }),
    60_000
  )

  it.scopedLive(
    "are looked at and told things on the file itself",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        const runId = yield* executor.run("Waiting", { id: "1" })
        yield* executor.whenRun(runId, ({ status }) => status === "suspended")
        const database = ["--database", fixture.env.DATABASE_FILE]
        const runs = (...args: ReadonlyArray<string>) => command(["runs", ...args, ...database])

        const executors = yield* command(["executors", ...database])
        expect(executors).toMatchObject({ code: 0, err: "" })
        expect(executors.out).toMatch(
          new RegExp(`^1 +\\S+ +${executor.pid} +[0-9.]+ +running +\\d`, "m")
        )

        const listed = yield* runs("list", "--workflow", "Waiting")
        expect(listed).toMatchObject({ code: 0, err: "" })
        expect(listed.out).toMatch(new RegExp(`^${runId} +Waiting +suspended`, "m"))

        const refused = yield* runs("start", "Waiting", '{"id":"2"}')
        expect(refused).toMatchObject({ code: 1, out: "" })
        expect(refused.err).toContain("cannot be started on the database")
        expect(yield* runs("list", "--url", "http://127.0.0.1:1")).toMatchObject({ code: 2 })

        expect(yield* runs("interrupt", runId)).toMatchObject({ code: 0, err: "" })
        expect(yield* runs("watch", runId)).toMatchObject({ code: 3, err: "" })
        expect((yield* runs("counts")).out).toMatch(/^interrupted +1$/m)
        expect((yield* runs("counts", "--workflow", "Nothing")).out).toMatch(/^interrupted +0$/m)
        expect(yield* runs("retry", runId)).toMatchObject({ code: 0, err: "" })
        yield* executor.whenRun(runId, ({ status }) => status === "suspended")
        const kept = yield* runs("delete", runId)
        expect(kept).toMatchObject({ code: 1, out: "" })
        expect(kept.err).toContain("is suspended; only a run that is over can be deleted")
        const ended = yield* runs("terminate", runId, "--children", "--reason", "not needed")
        expect(ended).toMatchObject({ code: 0, out: "terminated\n", err: "" })
        expect((yield* runs("show", runId)).out).toContain("terminated: not needed")
        const over = yield* runs("terminate", runId)
        expect(over).toMatchObject({ code: 1, out: "" })
        expect(over.err).toContain("is interrupted; only a run that is not over can be terminated")
      }),
    60_000
  )

  it.scopedLive("say so when no executor answers", () =>
    Effect.gen(function* () {
      const { code, err, out } = yield* command(["runs", "list", "--url", "http://127.0.0.1:65529"])
      expect({ code, out }).toEqual({ code: 1, out: "" })
      expect(err).toMatch(/^http:\/\/127\.0\.0\.1:65529: .*ECONNREFUSED.*\n$/)
    })
  )
})
