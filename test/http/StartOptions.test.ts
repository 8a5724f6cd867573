/** `options` of `POST /runs`, over a real server and by the typed client. */
import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Attributes from "../../src/api/Attributes.js"
import * as Client from "../../src/client/Client.js"
import { Order, serve } from "./Harness.js"

const order = (id: string, options: unknown) => ({ workflow: "Order", payload: { id }, options })

describe("starting a run with options", () => {
  it.scopedLive("stores them, and the run tells of them", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      const options = {
        startAt: "2126-11-22T18:00:00+01:00",
        priority: -3,
        timeout: "90 minutes",
        tags: ["eu", "a,b"],
        attributes: { customer: "7", total: 7, paid: true }
      }
      const { body, status } = yield* post("/runs", order("1", options))
      assert.strictEqual(status, 202)
      const run = (yield* get(`/runs/${body.runId}`)).body
      assert.deepInclude(run, {
        ...options,
        status: "pending",
        startAt: "2126-11-22T17:00:00.000Z",
        timeout: 5_400_000,
        waitsFor: { total: 1, first: [{ type: "start", until: "2126-11-22T17:00:00.000Z" }] }
      })
      assert.deepInclude((yield* get("/runs/counts")).body, { pending: 1, suspended: 0 })
      const found = (query: string) =>
        Effect.map(get(`/runs?${query}`), ({ body }) => body.runs.length)
      assert.strictEqual(yield* found("tags=eu&tags=a%2Cb"), 1)
      assert.strictEqual(yield* found("tags=a"), 0)
      assert.strictEqual(yield* found("attributes=customer=%227%22&attributes=paid"), 1)
      assert.strictEqual(yield* found("attributes=total=7"), 1)
      assert.strictEqual(yield* found("attributes=customer=7"), 0)
      assert.strictEqual(yield* found("attributes=total=8"), 0)
    })
  )

  it.scopedLive("takes a delay in words or milliseconds", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      for (const [id, delay] of [
        ["words", "1 hour"],
        ["number", 3_600_000]
      ] as const) {
        const { body } = yield* post("/runs", order(id, { delay }))
        const { createdAt, startAt } = (yield* get(`/runs/${body.runId}`)).body
        const later = Date.parse(startAt) - Date.parse(createdAt)
        assert.isAtLeast(later, 3_600_000 - 5_000)
        assert.isAtMost(later, 3_600_000)
      }
    })
  )

  it.scopedLive("answers what is not allowed with 400, and starts nothing", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      const refused: ReadonlyArray<readonly [unknown, string]> = [
        [{ startAt: "tomorrow" }, "tomorrow"],
        [{ startAt: "2026-11-22T18:00:00" }, "its zone"],
        [{ delay: "soon" }, "is not a duration"],
        [{ delay: "-1 hours" }, "is not a duration"],
        [{ delay: -1 }, "is not a duration"],
        [{ timeout: "0 seconds" }, "more than none is allowed"],
        [{ priority: "high" }, "priority"],
        [{ priority: 0.5 }, "whole number"],
        [{ tags: "eu" }, "tags"],
        [{ attributes: { a: {} } }, "attributes"],
        [{ onConflict: "ask" }, "onConflict"],
        // misspelt, it would be none
        [{ dellay: "1 hour" }, "dellay"],
        ["later", "options"]
      ]
      for (const [options, message] of refused) {
        const { body, status } = yield* post("/runs", order("1", options))
        assert.strictEqual(status, 400, JSON.stringify(options))
        assert.include(body.message, message)
      }
      assert.deepStrictEqual((yield* get("/runs")).body.runs, [])
    })
  )

  it.scopedLive("answers a run that is there as was asked: 200, or 409", () =>
    Effect.gen(function* () {
      const { post } = yield* serve()
      const due = (millis: number) => ({
        workflow: "Order",
        payload: { id: "1", due: new Date(millis).toISOString() }
      })
      const { runId } = (yield* post("/runs", due(1))).body
      const answers = [
        [{}, 1, 200, undefined],
        [{}, 2, 409, "PayloadDiffers"],
        [{ ignorePayload: true }, 2, 200, undefined],
        [{ onConflict: "fail" }, 1, 409, "RunExists"],
        [{ onConflict: "replace" }, 2, 200, undefined],
        // it has that payload now
        [{}, 2, 200, undefined]
      ] as const
      for (const [options, at, status, tag] of answers) {
        const answer = yield* post("/runs", { ...due(at), options })
        assert.deepStrictEqual([answer.status, answer.body._tag], [status, tag])
        assert.strictEqual(answer.body.runId, runId)
        if (status === 200) {
          assert.strictEqual(answer.body.replaced, "onConflict" in options ? true : undefined)
        }
      }
    })
  )

  it.scopedLive("by the typed client", () =>
    Effect.gen(function* () {
      const { get, port, token } = yield* serve()
      const client = yield* Client.make({
        baseUrl: `http://127.0.0.1:${port}`,
        token: Redacted.make(token)
      }).pipe(Effect.provide(FetchHttpClient.layer))
      const startAt = new Date("2126-11-22T17:00:00Z")
      const runId = yield* client.start(
        Order,
        { id: "1" },
        { startAt, timeout: "2 hours", tags: ["eu"], attributes: { customer: "7" } }
      )
      const run = (yield* get(`/runs/${runId}`)).body
      assert.deepInclude(run, { startAt: startAt.toISOString(), timeout: 7_200_000 })
      const found = yield* client.list({ tags: ["eu"], attributes: { customer: "7" } })
      assert.deepStrictEqual(
        found.runs.map((one) => one.runId),
        [runId]
      )
      const fails = { onConflict: "fail" } as const
      const taken = yield* Effect.flip(client.start(Order, { id: "1" }, fails))
      assert.strictEqual(taken._tag, "RunExists")
      const invalid = yield* Effect.flip(client.start(Order, { id: "2" }, { startAt: "later" }))
      assert.strictEqual(invalid._tag, "InvalidOptions")
    })
  )
})

describe("attributes in a text", () => {
  it("come back as they were", () => {
    for (const value of ["7", "x", "true", "null", '"', "", "a=b", 7, -0.5, true, false]) {
      const text = Attributes.text(["name", value])
      assert.deepStrictEqual(Attributes.parse(text), ["name", value], text)
    }
    assert.deepStrictEqual(Attributes.parse("paid"), ["paid", true])
    assert.deepStrictEqual(Attributes.parse("a=b=c"), ["a", "b=c"])
  })
})
