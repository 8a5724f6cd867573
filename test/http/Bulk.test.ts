/** Operations on many runs, over a real server and by the typed client; nobody goes on with them here. */
import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Client from "../../src/client/Client.js"
import * as Access from "../../src/http/Access.js"
import { serve } from "./Harness.js"

const order = (id: string, tags: ReadonlyArray<string> = []) => ({
  workflow: "Order",
  payload: { id },
  options: { tags }
})

describe("operations on many runs", () => {
  it.scopedLive("are previewed, asked for, told of and cancelled", () =>
    Effect.gen(function* () {
      const { get, post, request } = yield* serve()
      yield* post("/runs", order("1", ["eu"]))
      yield* post("/runs", order("2"))
      const asked = {
        action: "terminate",
        filter: { tags: ["eu"], status: ["pending"], createdAfter: "2026-01-01" },
        reason: "no more"
      }
      const preview = yield* post("/runs/bulk", { ...asked, preview: true })
      assert.deepStrictEqual([preview.status, preview.body], [200, { matched: 1 }])
      assert.deepStrictEqual((yield* get("/bulk")).body, { operations: [] })

      const begun = yield* post("/runs/bulk", asked)
      assert.strictEqual(begun.status, 202)
      assert.deepStrictEqual(begun.body, { id: 1, matched: 1 })
      assert.strictEqual(begun.headers.get("location"), "/bulk/1")
      const { body: operation } = yield* get("/bulk/1")
      assert.deepInclude(operation, {
        id: 1,
        action: "terminate",
        filter: { tags: ["eu"], status: ["pending"], createdAfter: "2026-01-01T00:00:00.000Z" },
        state: "running",
        matched: 1,
        done: 0,
        refused: {}
      })
      assert.deepStrictEqual((yield* get("/bulk")).body, { operations: [operation] })

      const cancelled = yield* request("DELETE", "/bulk/1")
      assert.deepStrictEqual([cancelled.status, cancelled.body.state], [200, "cancelled"])
      for (const answer of [yield* get("/bulk/2"), yield* request("DELETE", "/bulk/2")]) {
        assert.deepStrictEqual([answer.status, answer.body._tag], [404, "BulkNotFound"])
      }
    })
  )

  it.scopedLive("are refused where it is not said which runs are meant", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      for (const filter of [undefined, {}, { attributes: {}, roots: false }]) {
        for (const preview of [true, false]) {
          const { body, status } = yield* post("/runs/bulk", { action: "delete", filter, preview })
          assert.deepStrictEqual([status, body._tag], [400, "EmptyFilter"])
          assert.include(body.filters, "createdAfter")
        }
      }
      const all = yield* post("/runs/bulk", { action: "delete", all: true, preview: true })
      assert.deepStrictEqual([all.status, all.body], [200, { matched: 0 }])
      const wrong: ReadonlyArray<readonly [unknown, string]> = [
        // else it would be all runs that have failed, of whatever workflow
        [{ action: "delete", filter: { status: ["failed"], wrokflow: "Order" } }, "wrokflow"],
        [{ action: "delete", filter: { status: ["lost"] } }, "lost"],
        [{ action: "delete", filter: { createdAfter: "14:00" } }, "14:00"],
        [{ action: "forget", all: true }, "forget"],
        [{ action: "delete", filter: { key: "1" } }, "give the workflow too"],
        [{ action: "terminate", all: true, reason: "x".repeat(1_001) }, "1001 characters"]
      ]
      for (const [body, message] of wrong) {
        const answer = yield* post("/runs/bulk", body)
        assert.strictEqual(answer.status, 400, message)
        assert.include(answer.body.message, message)
      }
      assert.deepStrictEqual((yield* get("/bulk")).body, { operations: [] })
    })
  )

  it.scopedLive("are for tokens with the scope admin", () =>
    Effect.gen(function* () {
      const { get, post, request, tokens } = yield* serve()
      const scopes = ["runs:read", "runs:write"] as const
      const token = Redacted.value(yield* tokens.sign({ scopes }))
      const answers = [
        yield* post("/runs/bulk", { action: "retry", all: true, preview: true }, { token }),
        yield* get("/bulk", { token }),
        yield* get("/bulk/1", { token }),
        yield* request("DELETE", "/bulk/1", { token })
      ]
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [403, 403, 403, 403]
      )
    })
  )

  it.scopedLive("with a list that came out empty are refused, and not done with all runs", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      yield* post("/runs", order("1"))
      for (const empty of [{ status: [] }, { tags: [] }]) {
        const filter = { workflow: "Order", ...empty }
        const { body, status } = yield* post("/runs/bulk", { action: "terminate", filter })
        assert.deepStrictEqual([status, body._tag], [400, "InvalidQuery"])
      }
      assert.deepStrictEqual((yield* get("/bulk")).body, { operations: [] })
    })
  )

  it.scopedLive("are refused where RunAccess decides about each run, counts by a filter too", () =>
    Effect.gen(function* () {
      const { get, post, request } = yield* Effect.provideService(serve(), Access.RunAccess, {
        allows: ({ action }) => Effect.succeed(action === "start")
      })
      yield* post("/runs", order("1"))
      const asked = { action: "terminate", filter: { workflow: "Order" } }
      for (const answer of [
        yield* post("/runs/bulk", asked),
        yield* post("/runs/bulk", { ...asked, preview: true }),
        yield* get("/bulk"),
        yield* get("/bulk/1"),
        yield* request("DELETE", "/bulk/1"),
        yield* get("/runs/counts?workflow=Order&key=1")
      ]) {
        assert.deepStrictEqual([answer.status, answer.body._tag], [403, "Forbidden"])
      }
      assert.deepInclude((yield* get("/runs/counts")).body, { pending: 1 })
    })
  )

  it.scopedLive("count runs by a filter", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      yield* post("/runs", order("1", ["eu"]))
      yield* post("/runs", order("2"))
      const pending = (query: string) =>
        Effect.map(get(`/runs/counts${query}`), ({ body }) => body.pending)
      assert.strictEqual(yield* pending(""), 2)
      assert.strictEqual(yield* pending("?workflow=Order"), 2)
      assert.strictEqual(yield* pending("?workflow=Mail"), 0)
      assert.strictEqual(yield* pending("?tags=eu&status=pending,failed"), 1)
      assert.strictEqual((yield* get("/runs/counts?key=1")).status, 400)
    })
  )

  it.scopedLive("by the typed client", () =>
    Effect.gen(function* () {
      const { port, post, token } = yield* serve()
      yield* post("/runs", order("1", ["eu"]))
      const client = yield* Client.make({
        baseUrl: `http://127.0.0.1:${port}`,
        token: Redacted.make(token)
      }).pipe(Effect.provide(FetchHttpClient.layer))
      const request = {
        action: "retry",
        filter: { workflow: "Order", createdAfter: new Date("2026-01-01"), tags: undefined },
        withChildren: false
      } as const
      assert.deepStrictEqual(yield* client.previewBulk(request), { matched: 1 })
      const { id } = yield* client.bulk(request)
      const operation = yield* client.bulkOperation(id)
      assert.deepInclude(operation, { id, state: "running", matched: 1 })
      assert.deepStrictEqual(yield* client.bulkOperations, [operation])
      assert.deepInclude(yield* client.cancelBulk(id), { state: "cancelled" })
      assert.deepInclude(yield* Effect.flip(client.cancelBulk(9)), { _tag: "BulkNotFound", id: 9 })
      assert.deepInclude(yield* Effect.flip(client.bulk({ action: "delete" })), {
        _tag: "EmptyFilter"
      })
      assert.deepInclude(yield* client.countBy({ tags: ["eu"] }), { pending: 1 })
      assert.deepInclude(yield* client.countBy({ tags: ["us"] }), { pending: 0 })
      assert.deepInclude(yield* client.counts, { pending: 1 })
    })
  )
})
