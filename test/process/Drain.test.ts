/** Executors as processes that are stopped by a request, and by the command that sends it. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { begin, command } from "../cli/support.js"
import * as Process from "../support/Executor.js"
import * as Fixture from "./Fixture.js"

const { times } = Fixture

/** `workflow-executor drain`, begun. */
const drain = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  begin(["drain", ...args], { env })

/** The same, run to its end. */
const drained = (args: ReadonlyArray<string>) => command(["drain", ...args])

const accepted = { status: 202, body: { state: "draining" } }

/** But what is told to whoever sent a signal. */
const logged = ({ logs }: Process.Executor) =>
  logs
    .filter(({ message }) => !message.startsWith("stopping; another signal"))
    .map(({ logLevel, message }) => `${logLevel} ${message}`)

describe("POST /drain", () => {
  it.scopedLive(
    "is answered, and then stops the process as SIGTERM does, when nothing is in flight",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const signalled = yield* fixture.start()
        expect((yield* signalled.stop()).code).toBe(0)
        for (let time = 1; time <= 3; time++) {
          const executor = yield* fixture.start()
          expect(yield* executor.request("POST", "/drain")).toEqual(accepted)
          expect(yield* executor.exited).toMatchObject({ code: 0, signal: null })
          expect(logged(executor)).toEqual(logged(signalled))
        }
      }),
    60_000
  )

  it.scopedLive("sent again while the executor drains, changes nothing", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      const runId = yield* executor.run("Held", { id: "a" })
      yield* fixture.began(runId, "held")
      for (let time = 1; time <= 3; time++) {
        expect(yield* executor.request("POST", "/drain")).toEqual(accepted)
      }
      yield* executor.log("drain begun")
      expect(yield* executor.request("POST", "/drain")).toEqual(accepted)
      expect((yield* executor.get(runId)).status).toBe("running")
      yield* fixture.open("a")
      expect(yield* executor.exited).toMatchObject({ code: 0, signal: null })
      const over = yield* executor.log("drain over")
      expect(over.annotations).toMatchObject({ stepsInFlight: 1, stepsCut: 0, handedOver: 1 })
      expect(executor.logs.filter(({ message }) => message === "drain begun")).toHaveLength(1)
    })
  )

  it.scopedLive("is followed by a signal that changes nothing, and by one that ends at once", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      const runId = yield* executor.run("Held", { id: "a" })
      yield* fixture.began(runId, "held")
      yield* executor.request("POST", "/drain")
      yield* executor.log("drain begun")
      yield* executor.kill("SIGTERM")
      yield* executor.log("stopping")
      expect((yield* executor.get(runId)).status).toBe("running")
      expect(yield* executor.killUntilExit("SIGINT")).toMatchObject({
        code: null,
        signal: "SIGINT"
      })
    })
  )

  it.scopedLive("ends the process in bounded time, whatever is still going on in it", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start({ STOP_TIMEOUT: "0" })
      const runId = yield* executor.run("Stubborn", { id: "a" })
      yield* fixture.began(runId, "stubborn")
      expect(yield* executor.request("POST", "/drain")).toEqual(accepted)
      expect(yield* executor.exited).toMatchObject({ code: 0, signal: null })
      expect(executor.has("stop timeout: steps interrupted")).toBe(true)
    })
  )

  it.scopedLive("that a close fails after ends with exit code 1", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* Process.startReady({
        ...fixture.options(),
        module: Process.fixture("failing-release.ts")
      })
      expect(yield* executor.request("POST", "/drain")).toEqual(accepted)
      expect(yield* executor.exited).toMatchObject({ code: 1, signal: null })
    })
  )
})

describe("the command drain", () => {
  it.scopedLive(
    "waits until the step in flight is recorded and the process has gone",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        const url = yield* executor.url
        const runId = yield* executor.run("Held", { id: "a" })
        yield* fixture.began(runId, "held")

        const first = yield* drain(["--url", url])
        yield* first.stderrHas("draining: 1 step left")
        // another one, while it drains
        const second = yield* drain([], { PORT: new URL(url).port })
        yield* second.stderrHas("draining: 1 step left")
        expect(yield* drained(["--url", url, "--no-wait", "--json"])).toEqual({
          code: 0,
          out: '{"state":"draining"}\n',
          err: ""
        })
        // it does not wait for ever
        const impatient = yield* drained(["--url", url, "--timeout", "100 millis", "--json"])
        expect(impatient).toEqual({
          code: 3,
          out: "",
          err: `${url} has not stopped within 100ms, and goes on draining\n`
        })

        yield* fixture.open("a")
        for (const asked of [first, second]) {
          expect((yield* asked.exited).code).toBe(0)
          expect(asked.stdout).toBe("stopped\n")
        }
        expect(yield* executor.exited).toMatchObject({ code: 0, signal: null })
        const next = yield* fixture.start()
        yield* next.completed(runId)
        expect(times(yield* fixture.executions, "began", runId, "held")).toBe(1)

        expect(yield* drained(["--url", yield* next.url, "--json"])).toEqual({
          code: 0,
          out: '{"state":"stopped"}\n',
          err: ""
        })
        expect((yield* next.exited).code).toBe(0)
      }),
    60_000
  )

  it.scopedLive(
    "takes another executor on the same port for the end of the one that it asked",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const first = yield* fixture.start()
        const url = yield* first.url
        const runId = yield* first.run("Held", { id: "a" })
        yield* fixture.began(runId, "held")
        const asking = yield* drain(["--url", url])
        yield* asking.stderrHas("draining: 1 step left")
        // so that it does not see that nobody listens
        yield* asking.kill("SIGSTOP")
        yield* fixture.open("a")
        yield* first.exited
        const second = yield* fixture.start({ PORT: new URL(url).port })
        yield* asking.kill("SIGCONT")
        expect((yield* asking.exited).code).toBe(0)
        expect(second.has("drain begun")).toBe(false)
      })
  )

  it.scopedLive("says what is wrong", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      const url = yield* executor.url

      const nobody = yield* drained(["--url", "http://127.0.0.1:65529"])
      expect(nobody).toMatchObject({ code: 1, out: "" })
      expect(nobody.err).toMatch(/^http:\/\/127\.0\.0\.1:65529: .*ECONNREFUSED.*\n$/)
      expect(yield* drained(["--url", url, "--token", "forged"])).toEqual({
        code: 1,
        out: "",
        err: `${url} refuses the token: token invalid\n`
      })
      const file = yield* drained(["--database", fixture.env.DATABASE_FILE])
      expect(file).toMatchObject({ code: 1, out: "" })
      expect(file.err).toMatch(/^A database does not drain: .*--url.*\n$/)
      const soon = yield* drained(["--url", url, "--timeout", "soon"])
      expect(soon).toMatchObject({ code: 2, out: "" })
      expect(soon.err).toContain('--timeout is "soon"; expected a duration')
      expect(executor.has("drain begun")).toBe(false)
    })
  )
})
