/** Clients by the hundred, that say nothing, half of what they have to say, or nothing any more. */
import type { Socket } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Process from "../support/Executor.js"
import * as Fixture from "./Fixture.js"

const health = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"

const answered = (socket: Socket) =>
  Effect.async<string>((resume) => {
    socket.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk.toString())))
  })

/** One request on a connection of its own; the whole answer. */
const askAnew = (url: string, path: string, token: string) =>
  Effect.scoped(
    Effect.flatMap(Process.connect(url), (socket) =>
      Effect.async<string>((resume) => {
        let received = ""
        socket.on("data", (chunk: Buffer) => {
          received += chunk.toString()
        })
        socket.once("close", () => resume(Effect.succeed(received)))
        socket.write(
          `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`
        )
      })
    )
  )

const times = (count: number) => Array.from({ length: count }, (_, n) => n)

const idleConnections = (url: string) =>
  Effect.forEach(
    times(200),
    () =>
      Effect.gen(function* () {
        const socket = yield* Process.connect(url)
        socket.write(health)
        expect(yield* answered(socket)).toMatch(/^HTTP\/1\.1 200/)
      }),
    { concurrency: 20, discard: true }
  )

/** Connected, and said nothing; said half a head; said half a body. */
const halfOpenConnections = (url: string, token: string) =>
  Effect.forEach(
    [
      "",
      "GET /health HTTP/1.1\r\nHos",
      `POST /runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 100\r\n\r\n{"workflow":`
    ].flatMap((text) => times(20).map(() => text)),
    (text) =>
      Effect.map(Process.connect(url), (socket) => {
        if (text !== "") socket.write(text)
      }),
    { concurrency: 20, discard: true }
  )

/** Milliseconds between the end of the drain and the end of the process. */
const afterDrain = (executor: Process.Executor) =>
  Effect.gen(function* () {
    const exited = yield* executor.exited
    expect(exited).toMatchObject({ code: 0, signal: null })
    return exited.at - (yield* executor.log("drain over")).at
  })

const sinceDrain = "from the end of the drain to the end of the process"

describe("hundreds of connections", () => {
  it.scopedLive(
    "that are idle do not hold up the stop",
    () =>
      Fixture.atBest(
        sinceDrain,
        Effect.scoped(
          Effect.gen(function* () {
            const fixture = yield* Fixture.make
            const executor = yield* fixture.start()
            yield* idleConnections(yield* executor.url)
            yield* executor.kill("SIGTERM")
            return yield* afterDrain(executor)
          })
        ),
        // none of them is waited for at all
        1_000
      ),
    60_000
  )

  it.scopedLive(
    "idle and half open hold the stop up for the close timeout, and nobody else in the drain",
    () =>
      Fixture.atBest(
        sinceDrain,
        Effect.scoped(
          Effect.gen(function* () {
            const fixture = yield* Fixture.make
            const executor = yield* fixture.start()
            const runId = yield* executor.run("Held", { id: "a" })
            yield* fixture.began(runId, "held")
            const url = yield* executor.url
            const token = yield* Process.token
            yield* idleConnections(url)
            yield* halfOpenConnections(url, token)

            yield* executor.kill("SIGTERM")
            yield* executor.log("drain begun")
            for (let n = 0; n < 20; n++) {
              expect(yield* askAnew(url, "/health", token)).toMatch(
                /^HTTP\/1\.1 200 [\s\S]*"state":"draining"/
              )
              expect(yield* askAnew(url, `/runs/${runId}`, token)).toMatch(
                /^HTTP\/1\.1 200 [\s\S]*"status":"running"/
              )
            }
            expect(executor.has("drain over")).toBe(false)

            yield* fixture.open("a")
            return yield* afterDrain(executor)
          })
        ),
        2_000
      ),
    60_000
  )
})
