import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { read } from "../http/EventReader.js"
import * as Process from "../support/Executor.js"
import * as Fixture from "./Fixture.js"

/** Waits for the first bytes from the other side. */
const answered = (socket: import("node:net").Socket) =>
  Effect.async<string>((resume) => {
    socket.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk.toString())))
  })

describe("clients that hold a connection", () => {
  it.scopedLive("an idle keep-alive connection does not hold up the stop", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      const socket = yield* Process.connect(yield* executor.url)
      socket.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
      expect(yield* answered(socket)).toMatch(/^HTTP\/1.1 200/)
      const exited = yield* executor.stop()
      expect(exited.code).toBe(0)
      expect(exited.millis).toBeLessThan(5_000)
    })
  )

  it.scopedLive("a connection that says nothing does not hold up the stop", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      yield* Process.connect(yield* executor.url)
      const exited = yield* executor.stop()
      expect(exited.code).toBe(0)
      expect(exited.millis).toBeLessThan(5_000)
    })
  )

  it.scopedLive("half a request holds the stop up for the close timeout at most", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      const url = yield* executor.url
      const head = yield* Process.connect(url)
      head.write("POST /runs HTTP/1.1\r\nHost: x\r\nContent-")
      const body = yield* Process.connect(url)
      const auth = `Authorization: Bearer ${yield* Process.token}`
      body.write(
        `POST /runs HTTP/1.1\r\nHost: x\r\n${auth}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"workflow":`
      )
      // both have arrived once this, which came later, is answered
      yield* executor.request("GET", "/health")
      const exited = yield* executor.stop()
      expect(exited.code).toBe(0)
      expect(exited.millis).toBeLessThan(6_000)
    })
  )

  it.scopedLive(
    "a client that does not read its answers holds the stop up for the close timeout at most",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        // answers of some size
        yield* Effect.forEach(
          Array.from({ length: 100 }, (_, n) => `${n}`),
          (n) => executor.run("Waiting", { id: `${n}-${"x".repeat(2_000)}` }),
          { concurrency: 20 }
        )
        const socket = yield* Process.connect(yield* executor.url)
        socket.pause()
        const auth = `Authorization: Bearer ${yield* Process.token}`
        for (let n = 0; n < 200; n++) {
          socket.write(`GET /runs?limit=100 HTTP/1.1\r\nHost: x\r\n${auth}\r\n\r\n`)
        }
        yield* executor.request("GET", "/health")
        const exited = yield* executor.stop()
        expect(exited.code).toBe(0)
        // without a bound it would be held for as long as the client likes
        expect(exited.millis).toBeLessThan(10_000)
      })
  )
})

describe("clients that read events", () => {
  it.scopedLive(
    "are told of the drain, and hold the stop up for the close timeout at most, read or not",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        const url = yield* executor.url
        const token = yield* Process.token
        const runId = yield* executor.run("Held", { id: "1" })
        const step = yield* fixture.executed((executions) =>
          executions.some((execution) => execution.runId === runId)
        )
        expect(step[0]?.event).toBe("began")

        const all = yield* read(`${url}/events`, { token })
        const ofRun = yield* read(`${url}/runs/${runId}/events`, { token })
        yield* all.has("executor running")
        yield* ofRun.has("snapshot running")
        // never read, whatever is written to them
        const silent = yield* Effect.forEach(["/events", `/runs/${runId}/events`], (path) =>
          Effect.tap(Process.connect(url), (socket) =>
            Effect.sync(() => {
              socket.write(
                `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`
              )
            })
          )
        )
        for (let n = 0; n < 5; n++) {
          yield* Effect.forEach(
            Array.from({ length: 50 }, (_, m) => `${n}-${m}-${"x".repeat(1_000)}`),
            (id) => executor.run("Waiting", { id }),
            { concurrency: 50 }
          )
        }

        yield* executor.kill("SIGTERM")
        yield* all.has("executor draining")
        // the API answers all through the drain
        expect((yield* executor.get(runId)).status).toBe("running")
        yield* fixture.open("1")
        const drained = yield* executor.log("drain over")
        const exited = yield* executor.exited
        expect(exited.code).toBe(0)
        expect(exited.at - drained.at).toBeLessThan(2_000)
        expect(yield* all.end).toBe("end")
        expect(yield* ofRun.end).toBe("end")
        expect(all.briefs.at(-1)).toBe("executor stopped")
        expect(ofRun.briefs.some((brief) => /^step \w+ completed$/.test(brief))).toBe(true)
        for (const socket of silent) socket.resume()
      }),
    60_000
  )
})
