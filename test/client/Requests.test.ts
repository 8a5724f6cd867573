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
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Client from "../../src/client/Client.js"

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

/** What an executor answers that has no events yet. */
const noEvents = json(404, { _tag: "RouteNotFound", message: "There is nothing at this path" })

const eventStream = (text: string) =>
  Effect.sync(() => new Response(text, { headers: { "content-type": "text/event-stream" } }))

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

/** Answers the n-th request, counted from 0, but for those for events. */
const fake = (
  answer: (n: number) => Effect.Effect<Response>,
  {
    events = () => noEvents,
    ...options
  }: Partial<Client.Options> & {
    readonly events?: (n: number, lastEventId: string | undefined) => Effect.Effect<Response>
  } = {}
) =>
  Effect.gen(function* () {
    const requests: Array<Request> = []
    const eventRequests: Array<number> = []
    const httpClient = HttpClient.make((request, url) =>
      Effect.gen(function* () {
        if (url.pathname.endsWith("/events")) {
          eventRequests.push(yield* Clock.currentTimeMillis)
          const lastEventId = request.headers["last-event-id"]
          return HttpClientResponse.fromWeb(
            request,
            yield* events(eventRequests.length - 1, lastEventId)
          )
        }
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
    return { client, requests, eventRequests }
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

  it.effect(
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

const event = (id: string, data: object) =>
  `id: ${id}\nevent: ${(data as { readonly type: string }).type}\ndata: ${JSON.stringify({ id, at: "2026-01-01T00:00:00.000Z", ...data })}\n\n`

const ofRun = { runId: "1", workflow: "Order" }

const snapshotOf = (status: string, more: object = {}) => ({
  type: "snapshot",
  run: {
    ...ofRun,
    status,
    payload: {},
    createdAt: "2026-01-01T00:00:00.000Z",
    steps: [],
    ...more
  }
})

describe("events", () => {
  it.effect("end the wait for a result: it is asked for once", () =>
    Effect.gen(function* () {
      const { client, eventRequests, requests } = yield* fake(
        () => run("completed", { result: "done" }),
        {
          events: () =>
            eventStream(
              `retry: 1000\n\n${event("a-1", snapshotOf("running"))}: keep-alive\nid: a-2\n\n${event("a-3", { type: "step", ...ofRun, name: "x", attempt: 1, status: "running" })}${event("a-4", { type: "run", ...ofRun, status: "completed" })}`
            )
        }
      )
      expect(yield* client.result(Order, "1")).toBe("done")
      expect(requests.map(({ line }) => line)).toEqual(["GET http://executor/base/runs/1"])
      expect(eventRequests).toEqual([0])
    })
  )

  it.effect("that begin with the end of the run need no other request", () =>
    Effect.gen(function* () {
      const { client, requests } = yield* fake(() => page, {
        events: () => eventStream(event("a-1", snapshotOf("completed", { result: "done" })))
      })
      expect(yield* client.result(Order, "1")).toBe("done")
      expect(requests).toEqual([])
    })
  )

  it.effect("go on where an answer was cut, ever later where that is all they do", () =>
    Effect.gen(function* () {
      const ids: Array<string | undefined> = []
      const { client, eventRequests } = yield* fake(() => page, {
        pollInterval: "200 millis",
        events: (n, lastEventId) => {
          ids.push(lastEventId)
          if (n === 0) return eventStream(event("a-1", snapshotOf("running")))
          // an event that is cut short is none
          if (n === 1) return eventStream(`id: a-9\n\nid: a-10\nevent: run\ndata: {"ty`)
          if (n < 6) return eventStream("retry: 1000\n\n")
          return eventStream(event("a-11", { type: "run", ...ofRun, status: "failed" }))
        }
      })
      const told = yield* inTime(Stream.runCollect(client.events({ runId: "1" })))
      expect([...told].map(({ id }) => id)).toEqual(["a-1", "a-11"])
      expect(ids).toEqual([undefined, "a-1", "a-9", "a-9", "a-9", "a-9", "a-9"])
      const waits = eventRequests.slice(1).map((at, n) => Math.round(at - (eventRequests[n] ?? 0)))
      expect(waits).toEqual([50, 75, 113, 169, 200, 200])
    })
  )

  it.effect("outlast a restart of the executor, and say what is not known any more", () =>
    Effect.gen(function* () {
      const { client, eventRequests } = yield* fake(() => page, {
        events: (n) => {
          if (n === 0) return eventStream(event("a-1", { type: "executor", state: "running" }))
          if (n < 4) return json(503, "")
          return eventStream(
            event("b-0", { type: "reset" }) + event("b-0", { type: "executor", state: "running" })
          )
        }
      })
      const told = yield* inTime(Stream.runCollect(Stream.take(client.events(), 3)))
      expect([...told].map(({ type }) => type)).toEqual(["executor", "reset", "executor"])
      expect(eventRequests.map(Math.round)).toEqual([0, 50, 150, 350, 750])
    })
  )

  it.effect("are asked for again where nothing comes any more", () =>
    Effect.gen(function* () {
      const silent = Effect.sync(
        () =>
          new Response(
            new ReadableStream({
              start: (body) => body.enqueue(new TextEncoder().encode("retry: 1000\n\n"))
            }),
            { headers: { "content-type": "text/event-stream" } }
          )
      )
      const { client, eventRequests } = yield* fake(() => page, {
        events: (n) =>
          n === 0 ? silent : eventStream(event("a-1", snapshotOf("completed", { result: "done" })))
      })
      expect(yield* inTime(client.result(Order, "1"))).toBe("done")
      expect(eventRequests[1]).toBeGreaterThanOrEqual(45_000)
    })
  )

  it.effect("that are kept back leave a result to be looked for", () =>
    Effect.gen(function* () {
      const never = Effect.sync(
        () =>
          new Response(new ReadableStream({ pull: () => {} }), {
            headers: { "content-type": "text/event-stream" }
          })
      )
      const { client, eventRequests } = yield* fake(() => run("completed", { result: "done" }), {
        events: () => never
      })
      expect(yield* inTime(client.result(Order, "1"))).toBe("done")
      expect(eventRequests).toHaveLength(1)
    })
  )

  it.effect("fail as other requests do, and where there are none", () =>
    Effect.gen(function* () {
      const answers: ReadonlyArray<readonly [Effect.Effect<Response>, string]> = [
        [json(401, { _tag: "Unauthorized", message: "token expired" }), "Unauthorized"],
        [json(403, { _tag: "Forbidden", message: "no" }), "Forbidden"],
        [json(404, { _tag: "RunNotFound", runId: "1", message: "no" }), "RunNotFound"],
        [noEvents, "ProtocolError"],
        [json(406, ""), "ProtocolError"],
        [json(200, "<html>"), "ProtocolError"],
        [json(503, ""), "Unavailable"],
        [eventStream(event("a-1", { type: "run" })), "ProtocolError"]
      ]
      for (const [answer, _tag] of answers) {
        const { client } = yield* fake(() => page, { events: () => answer, retry: Schedule.stop })
        const error = yield* Effect.flip(Stream.runDrain(client.events({ runId: "1" })))
        expect(error).toMatchObject({ _tag })
      }
    })
  )

  it.effect("of a kind that this client does not know are left aside", () =>
    Effect.gen(function* () {
      const { client } = yield* fake(() => page, {
        events: () =>
          eventStream(
            `event: new\ndata: {"type":"new"}\n\n${event("a-1", snapshotOf("completed"))}`
          )
      })
      const told = yield* Stream.runCollect(client.events({ runId: "1" }))
      expect([...told].map(({ type }) => type)).toEqual(["snapshot"])
    })
  )
})

describe("the end of a run, without events", () => {
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
