import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
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
