import * as Http from "node:http"
import { HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { vi } from "vitest"
import * as Server from "../../src/http/Server.js"
import { type Client, connect, serve } from "./Harness.js"

/** Until the server waits for its connections: nothing but the clock is left to end that. */
const untilWaiting = Effect.gen(function* () {
  while (Chunk.isEmpty(yield* TestClock.sleeps())) {
    yield* Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
  }
})

/** Two requests, one after the other, on connections of their own: what came before is read. */
const untilRead = (port: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      for (const _ of [1, 2]) {
        const client = yield* connect(port)
        yield* client.send("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        yield* client.closed
      }
    })
  )

const health = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n"

describe("the release", () => {
  it.scoped("does not wait for connections on which nothing is under way", () =>
    Effect.gen(function* () {
      const { close, logs, port } = yield* serve()
      const idle = yield* connect(port)
      yield* idle.send(health)
      yield* idle.until(/\}$/)
      const silent = yield* connect(port)
      yield* untilRead(port)
      yield* close
      yield* idle.closed
      yield* silent.closed
      assert.notMatch(logs.join(), /\bcut\b/)
    })
  )

  const stuck: ReadonlyArray<
    readonly [string, (client: Client, token: string) => Effect.Effect<unknown>]
  > = [
    ["half the head of a request", (client) => client.send("GET /health HTTP/1.1\r\nho")],
    [
      "half a body",
      (client, token) =>
        client.send(
          `POST /runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n` +
            `content-length: 100\r\n\r\n{"workflow"`
        )
    ],
    [
      "half a body that nobody reads",
      (client) => client.send("POST /runs HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    ],
    [
      "a large answer that is not read",
      (client, token) =>
        Effect.zipRight(
          client.send(
            `GET /runs/large/payload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`
          ),
          // the beginning has come; the rest waits in buffers on both sides
          Effect.async<void>((resume) => {
            client.socket.once("readable", () => resume(Effect.void))
          })
        )
    ]
  ]
  for (const [name, send] of stuck) {
    it.scoped(`waits a second for ${name}, and not longer`, () =>
      Effect.gen(function* () {
        const { close, logs, port, store, token } = yield* serve()
        const payload = JSON.stringify({ id: "x".repeat(30_000_000) })
        yield* store.create({ runId: "large", workflow: "Order", payload })
        const client = yield* connect(port)
        yield* send(client, token)
        yield* untilRead(port)
        const closing = yield* Effect.fork(close)
        yield* untilWaiting
        yield* TestClock.adjust("999 millis")
        assert.isNull(closing.unsafePoll())
        assert.isFalse(client.socket.destroyed)
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(closing)
        yield* client.closed
        assert.include(logs.join(), "were cut: 1")
      })
    )
  }

  it.scoped("lets a request that is under way be answered, and then ends its connection", () =>
    Effect.gen(function* () {
      const { close, controls, port, token } = yield* serve()
      const reached = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      controls.beforeStart = Effect.zipRight(
        Deferred.succeed(reached, undefined),
        Deferred.await(go)
      )
      const client = yield* connect(port)
      const body = JSON.stringify({ workflow: "Order", payload: { id: "1" } })
      yield* client.send(
        `POST /runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n` +
          `content-length: ${body.length}\r\n\r\n${body}`
      )
      yield* Deferred.await(reached)
      const closing = yield* Effect.fork(close)
      yield* untilWaiting
      const late = yield* Effect.exit(Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}`)))
      assert.isTrue(Exit.isFailure(late))
      yield* Deferred.succeed(go, undefined)
      const answer = yield* client.until(/\}$/)
      assert.match(answer, /^HTTP\/1.1 202 /)
      assert.match(answer, /\r\nconnection: close\r\n/i)
      yield* client.closed
      yield* Fiber.join(closing)
    })
  )

  it.scoped("answers or closes what arrives while it waits", () =>
    Effect.gen(function* () {
      const { close, port } = yield* serve()
      const half = yield* connect(port)
      yield* half.send("GET /health HTTP/1.1\r\nho")
      yield* untilRead(port)
      const closing = yield* Effect.fork(close)
      yield* untilWaiting
      yield* half.send("st: x\r\n\r\n")
      const answer = yield* half.until(/\}$/)
      assert.match(answer, /^HTTP\/1.1 200 /)
      assert.match(answer, /\r\nconnection: close\r\n/i)
      yield* half.closed
      yield* Fiber.join(closing)
    })
  )

  it.scoped("fails when the server cannot be closed, and closes everything else", () =>
    Effect.gen(function* () {
      const closes = vi.spyOn(Http.Server.prototype, "close")
      yield* Effect.addFinalizer(() => Effect.sync(() => closes.mockRestore()))
      let released = false
      const below = Layer.scopedDiscard(
        Effect.addFinalizer(() =>
          Effect.sync(() => {
            released = true
          })
        )
      )
      const program = Layer.build(
        Server.layerClose.pipe(
          Layer.provideMerge(Server.layer({ port: 0 })),
          Layer.provideMerge(below)
        )
      ).pipe(
        Effect.tap(() => {
          closes.mockImplementationOnce(function (this: Http.Server, done) {
            done?.(new Error("will not close"))
            return this
          })
        }),
        Effect.scoped
      )
      const exit = yield* Effect.exit(program)
      assert.isTrue(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("will not close"))
      assert.isTrue(released)
    })
  )
})

describe("the start", () => {
  it.scoped("on a port in use fails and names host and port", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const error = yield* Effect.flip(Layer.build(Server.layer({ port })))
      assert.strictEqual(error._tag, "HttpListenError")
      assert.strictEqual(error.host, "127.0.0.1")
      assert.strictEqual(error.port, port)
      assert.strictEqual(
        error.message,
        `Cannot listen on 127.0.0.1:${port}: the port is in use (EADDRINUSE)`
      )
    })
  )

  it.scoped("on a host that this machine is not fails and names it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Layer.build(Server.layer({ host: "192.0.2.1", port: 0 })))
      assert.include(error.message, "192.0.2.1:0: this machine has no such address")
    })
  )

  for (const port of [-1, 65_536, 1.5, Number.NaN]) {
    it.scoped(`on port ${port} fails`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Layer.build(Server.layer({ port })))
        assert.strictEqual(error._tag, "HttpListenError")
      })
    )
  }

  const portOf = Effect.map(HttpServer.HttpServer, ({ address }) =>
    address._tag === "TcpAddress" ? address.port : 0
  )

  it.scoped("that fails further on does not wait for connections", () =>
    Effect.gen(function* () {
      const held = yield* Effect.scope
      const clients: Array<Client> = []
      const fails = Layer.effectDiscard(
        Effect.gen(function* () {
          clients.push(yield* Scope.extend(connect(yield* portOf), held))
          return yield* Effect.fail("no")
        })
      )
      const exit = yield* Effect.exit(
        Effect.scoped(Layer.build(Layer.provide(fails, Server.layer({ port: 0 }))))
      )
      assert.deepStrictEqual(exit, Exit.fail("no"))
      for (const client of clients) yield* client.closed
    })
  )

  it.scoped("answers 503 until something is served", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(Server.layer({ port: 0 }))
      const client = yield* connect(yield* Effect.provide(portOf, context))
      yield* client.send(health)
      assert.match(yield* client.until(/\}$/), /^HTTP\/1.1 503 [\s\S]*"_tag":"NotAvailable"/)
      yield* client.closed
    })
  )
})
