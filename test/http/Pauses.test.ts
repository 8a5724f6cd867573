/** Workflows that are paused, over a real server and by the typed client; and starts that are skipped. */
import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Client from "../../src/client/Client.js"
import * as RunQueue from "../../src/engine/RunQueue.js"
import * as Access from "../../src/http/Access.js"
import { Order, serve } from "./Harness.js"

const order = (id: string) => ({ workflow: "Order", payload: { id } })

describe("a workflow over HTTP", () => {
  it.scopedLive("is paused, told of with its runs, and goes on", () =>
    Effect.gen(function* () {
      const { get, post, request } = yield* serve()
      const { runId } = (yield* post("/runs", order("1"))).body
      assert.deepStrictEqual((yield* get("/pauses")).body, { pauses: [] })
      assert.strictEqual((yield* request("PUT", "/pauses/Order", { body: {} })).status, 204)
      const [pause] = (yield* get("/pauses")).body.pauses
      assert.deepInclude(pause, { workflow: "Order", park: false })
      assert.match(pause.since, /^\d{4}-\d\d-\d\dT/)
      assert.deepStrictEqual((yield* get(`/runs/${runId}`)).body.waitsFor, {
        total: 1,
        first: [{ type: "pause", workflow: "Order" }]
      })
      yield* request("PUT", "/pauses/Order", { body: { park: true } })
      assert.deepStrictEqual((yield* get("/pauses")).body, { pauses: [{ ...pause, park: true }] })
      assert.strictEqual((yield* request("DELETE", "/pauses/Order")).status, 204)
      assert.strictEqual((yield* request("DELETE", "/pauses/Order")).status, 204)
      assert.deepStrictEqual((yield* get(`/runs/${runId}`)).body.waitsFor.first, [{ type: "room" }])
    })
  )

  it.scopedLive("that nobody knows is refused, and what is no pause", () =>
    Effect.gen(function* () {
      const { get, request } = yield* serve()
      const unknown = yield* request("PUT", "/pauses/Odrer", { body: {} })
      assert.deepStrictEqual([unknown.status, unknown.body._tag], [404, "UnknownWorkflow"])
      assert.include(unknown.body.message, "Odrer")
      const misspelt = yield* request("PUT", "/pauses/Order", { body: { parks: true } })
      assert.strictEqual(misspelt.status, 400)
      const wrong = yield* request("PUT", "/pauses/Order", { body: { park: "yes" } })
      assert.strictEqual(wrong.status, 400)
      assert.deepStrictEqual((yield* get("/pauses")).body, { pauses: [] })
    })
  )

  it.scopedLive("is paused by the typed client", () =>
    Effect.gen(function* () {
      const { port, post, token } = yield* serve()
      yield* post("/runs", order("1"))
      const client = yield* Client.make({
        baseUrl: `http://127.0.0.1:${port}`,
        token: Redacted.make(token)
      }).pipe(Effect.provide(FetchHttpClient.layer))
      yield* client.pauseWorkflow({ workflow: Order, park: true })
      assert.deepInclude((yield* client.pauses)[0], { workflow: "Order", park: true })
      yield* client.resumeWorkflow(Order)
      assert.deepStrictEqual(yield* client.pauses, [])
      for (const name of ["..", "Other"]) {
        const error = yield* Effect.flip(client.pauseWorkflow({ workflow: { name } }))
        assert.strictEqual(error._tag, "UnknownWorkflow")
      }
      yield* client.resumeWorkflow({ name: ".." })
    })
  )
})

const Single = Workflow.make({
  name: "Single",
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id
}).annotate(RunQueue.RunQueue, RunQueue.make({ singleton: "skip" }))

describe("a queue", () => {
  const limits = { concurrency: 2 }

  it.scopedLive("is changed as was asked, and not by what is misspelt", () =>
    Effect.gen(function* () {
      const { get, post, request } = yield* serve({ workflows: [Single] })
      yield* post("/runs", { workflow: "Single", payload: { id: "1" } })
      const change = (body: unknown, name = "Single") =>
        Effect.map(request("PUT", `/queues/${name}`, { body }), ({ status }) => status)
      const [declared] = (yield* get("/queues")).body.queues
      for (const wrong of [
        { limits: { concurency: 1 } },
        { limits: { rateLimit: { limit: 1, window: 1, per: "key" } } },
        { limits: { concurrency: 0 } },
        { pausd: true },
        { park: true }
      ]) {
        assert.strictEqual(yield* change(wrong), 400, JSON.stringify(wrong))
      }
      assert.deepStrictEqual((yield* get("/queues")).body.queues, [declared])
      assert.strictEqual(yield* change({}), 204)
      assert.strictEqual(yield* change({}, "none"), 404)
      assert.strictEqual(yield* change({ limits, paused: true, park: true }), 204)
      assert.deepStrictEqual((yield* get("/queues")).body.queues, [
        // no executor had begun it: it waits for its turn again
        { ...declared, override: limits, paused: true, park: true, running: 0, waiting: 1 }
      ])
      assert.strictEqual(yield* change({ limits: null, paused: false }), 204)
      assert.deepStrictEqual((yield* get("/queues")).body.queues, [declared])
    })
  )
})

describe("a start that is skipped", () => {
  const start = (id: string) => ({ workflow: "Single", payload: { id } })

  it.scopedLive("is answered with the run that is there", () =>
    Effect.gen(function* () {
      const { post } = yield* serve({ workflows: [Single] })
      const first = yield* post("/runs", start("1"))
      assert.strictEqual(first.status, 202)
      const { runId } = first.body
      const second = yield* post("/runs", start("2"))
      assert.strictEqual(second.status, 200)
      assert.deepStrictEqual(second.body, {
        runId,
        created: false,
        status: "pending",
        skipped: true
      })
      assert.strictEqual(second.headers.get("location"), `/runs/${encodeURIComponent(runId)}`)
    })
  )

  it.scopedLive("tells nobody of a run who may not read it", () =>
    Effect.gen(function* () {
      const { post } = yield* Effect.provideService(
        serve({ workflows: [Single] }),
        Access.RunAccess,
        { allows: ({ action }) => Effect.succeed(action === "start") }
      )
      const { runId } = (yield* post("/runs", start("1"))).body
      const second = yield* post("/runs", start("2"))
      assert.deepStrictEqual([second.status, second.body._tag], [403, "Forbidden"])
      assert.notInclude(second.text, runId)
    })
  )
})
