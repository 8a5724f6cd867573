/** How requests are repeated, given up and looked at: against answers made up here. */
import { createServer } from "node:net"
import { inspect } from "node:util"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "@effect/platform"
import { assert, describe, expect, it } from "@effect/vitest"
import { Workflow } from "@effect/workflow"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Client from "../../src/Client.js"

const Order = Workflow.make({
  name: "Order",
  payload: { id: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

interface Request {
  readonly at: number
  readonly line: string
  readonly authorization: string | undefined
}

const json = (status: number, body: unknown) =>
  Effect.sync(
    () => new Response(typeof body === "string" ? body : JSON.stringify(body), { status })
  )

const page = json(200, { runs: [], nextCursor: null })

const run = (status: string, more: object = {}) =>
  json(200, {
    runId: "1",
    workflow: "Order",
    status,
    payload: {},
    createdAt: "2026-01-01T00:00:00.000Z",
    steps: [],
    ...more
  })

/** Answers the n-th request, counted from 0. */
const fake = (
  answer: (n: number) => Effect.Effect<Response>,
  options: Partial<Client.Options> = {}
) =>
  Effect.gen(function* () {
    const requests: Array<Request> = []
    const httpClient = HttpClient.make((request, url) =>
      Effect.gen(function* () {
        requests.push({
          at: yield* Clock.currentTimeMillis,
          line: `${request.method} ${url.href}`,
          authorization: request.headers.authorization
        })
        return HttpClientResponse.fromWeb(request, yield* answer(requests.length - 1))
      })
    )
    const client = yield* Effect.provideService(
      Client.make({ baseUrl: "http://executor/base", ...options }),
      HttpClient.HttpClient,
      httpClient
    )
    return { client, requests }
  })

/** What becomes of it when as much time goes by as it likes. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    for (let i = 0; i < 1000 && fiber.unsafePoll() === null; i++)
      yield* TestClock.adjust("50 millis")
    return yield* Fiber.join(fiber)
  })

/** A port that has just been free. */
const closedPort = Effect.async<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

describe("a request", () => {
  it.effect("is made below the base URL, with the token", () =>
    Effect.gen(function* () {
      const { client, requests } = yield* fake(() => page, { token: Redacted.make("secret") })
      yield* client.list({ status: ["failed", "running"], limit: 3 })
      expect(requests).toEqual([
        {
          at: 0,
          line: "GET http://executor/base/runs?status=failed&status=running&limit=3",
          authorization: "Bearer secret"
        }
      ])
    })
  )

  for (const status of [502, 503, 504]) {
    it.effect(`that is answered with ${status} is made again`, () =>
      Effect.gen(function* () {
        const { client, requests } = yield* fake((n) => (n < 3 ? json(status, "<html>") : page))
        yield* inTime(client.list())
        expect(requests.map(({ at }) => at)).toEqual([0, 100, 300, 700])
      })
    )
  }

  it.effect("is given up after 9 repetitions, some 21 seconds later", () =>
    Effect.gen(function* () {
      const { client, requests } = yield* fake(() => json(503, { _tag: "StoreNotAvailable" }))
      const error = yield* inTime(Effect.flip(client.list()))
      assert.instanceOf(error, Client.Unavailable)
      expect(error.message).toBe("GET http://executor/base/runs was answered with 503")
      expect(requests.map(({ at }) => at)).toEqual([
        0, 100, 300, 700, 1500, 3100, 6300, 11_300, 16_300, 21_300
      ])
    })
  )

  it.effect("that is not answered in time is given up, and made again", () =>
    Effect.gen(function* () {
      const { client, requests } = yield* fake((n) => (n === 0 ? Effect.never : page), {
        requestTimeout: "2 seconds"
      })
      yield* inTime(client.list())
      expect(requests.map(({ at }) => at)).toEqual([0, 2100])
    })
  )

  it.effect("is answered by a body too, and that in time", () =>
    Effect.gen(function* () {
      const { client } = yield* fake(
        () => Effect.sync(() => new Response(new ReadableStream({ pull: () => {} }))),
        { retry: Schedule.stop, requestTimeout: "1 second" }
      )
      const error = yield* inTime(Effect.flip(client.list()))
      expect(error).toMatchObject({ _tag: "Unavailable", message: "No answer within 1s" })
    })
  )

  for (const [what, answer] of [
    ["a page of something else", json(200, "<html>")],
    ["JSON of something else", json(200, { runs: 1 })],
    ["a status of something else", json(418, "")],
    ["a 404 of something else", json(404, "not here")]
  ] as const) {
    it.effect(`that is answered with ${what} fails, and is not made again`, () =>
      Effect.gen(function* () {
        const { client, requests } = yield* fake(() => answer)
        expect(yield* Effect.flip(client.list())).toMatchObject({
          _tag: "ProtocolError",
          message: expect.stringMatching(/not an answer of this API/i)
        })
        expect(requests).toHaveLength(1)
      })
    )
  }

  it.live(
    "to a port where nobody listens is made again, and the error does not tell the token",
    () =>
      Effect.gen(function* () {
        let retries = 0
        const port = yield* closedPort
        const client = yield* Effect.provide(
          Client.make({
            baseUrl: `http://127.0.0.1:${port}`,
            token: Redacted.make("very-secret"),
            retry: Schedule.tapOutput(Schedule.recurs(2), () => Effect.sync(() => retries++))
          }),
          FetchHttpClient.layer
        )
        const error = yield* Effect.flip(client.start(Order, { id: "1" }))
        assert.instanceOf(error, Client.Unavailable)
        expect(error.message).toContain(`POST http://127.0.0.1:${port}/runs`)
        expect(error.message).toContain("ECONNREFUSED")
        expect(retries).toBe(3)
        expect(inspect(error, { depth: 20, showHidden: true })).not.toContain("very-secret")
      })
  )
})

describe("the end of a run", () => {
  it.effect("is looked for ever less often, down to once in the poll interval", () =>
    Effect.gen(function* () {
      const { client, requests } = yield* fake(
        (n) => (n < 8 ? run("running") : run("completed", { result: "done" })),
        { pollInterval: "500 millis" }
      )
      expect(yield* inTime(client.result(Order, "1"))).toBe("done")
      const times = requests.map(({ at }) => at)
      const waits = times.slice(1).map((at, n) => Math.round(at - (times[n] ?? 0)))
      expect(waits).toEqual([50, 75, 113, 169, 253, 380, 500, 500])
    })
  )

  it.effect("is waited for across a restart of the executor", () =>
    Effect.gen(function* () {
      const down = new Set([1, 2, 3, 5, 6])
      const { client, requests } = yield* fake((n) =>
        down.has(n) ? json(503, "") : n < 8 ? run("pending") : run("completed", { result: "done" })
      )
      expect(yield* inTime(client.result(Order, "1"))).toBe("done")
      expect(requests).toHaveLength(9)
    })
  )

  it.effect("that is not looked for any more leaves nothing behind", () =>
    Effect.gen(function* () {
      const { client, requests } = yield* fake(() => run("running"))
      const fiber = yield* Effect.fork(client.result(Order, "1"))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      const { length } = requests
      yield* TestClock.adjust("1 minute")
      expect(requests).toHaveLength(length)
    })
  )
})

describe("health", () => {
  it.effect("tells the state also where the executor does not run", () =>
    Effect.gen(function* () {
      const answer = { _tag: "NotAvailable", state: "stopped", message: "The executor is stopped" }
      const { client, requests } = yield* fake(() => json(503, answer), {
        token: Redacted.make("secret")
      })
      expect(yield* client.health).toBe("stopped")
      expect(requests).toEqual([
        { at: 0, line: "GET http://executor/base/health", authorization: undefined }
      ])
    })
  )

  it.effect("is unavailable where no executor answers, and is asked once", () =>
    Effect.gen(function* () {
      const starting = { _tag: "NotAvailable", message: "The server is starting or stopping" }
      for (const answer of [json(503, starting), json(502, "<html>"), json(404, "")]) {
        const { client, requests } = yield* fake(() => answer)
        expect(yield* Effect.flip(client.health)).toMatchObject({ _tag: "Unavailable" })
        expect(requests).toHaveLength(1)
      }
    })
  )
})
