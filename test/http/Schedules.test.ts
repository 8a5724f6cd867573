/** Schedules over HTTP, and by the typed client. */
import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Client from "../../src/client/Client.js"
import { RunAccess } from "../../src/http/Access.js"
import { Order, serve } from "./Harness.js"

const nightly = {
  workflow: "Order",
  payload: { id: "1", due: "2026-11-22T00:00:00.000Z" },
  cron: "0 3 * * *",
  timeZone: "Europe/Berlin"
}

const clientOf = ({ port, token }: { readonly port: number; readonly token: string }) =>
  Client.make({ baseUrl: `http://127.0.0.1:${port}`, token: Redacted.make(token) }).pipe(
    Effect.provide(FetchHttpClient.layer)
  )

describe("schedules over HTTP", () => {
  it.scopedLive("are put, told with their next ticks, and deleted", () =>
    Effect.gen(function* () {
      const { get, request } = yield* serve()
      const put = yield* request("PUT", "/schedules/nightly", { body: nightly })
      assert.strictEqual(put.status, 200)
      assert.strictEqual(put.body.origin, "set")
      assert.deepInclude(put.body, { name: "nightly", paused: false, started: 0, lastRuns: [] })
      assert.strictEqual(put.body.nextTicks.length, 5)
      assert.strictEqual(put.body.nextStart, put.body.nextTicks[0])
      const told = yield* get("/schedules/nightly")
      assert.deepStrictEqual(told.body, put.body)
      yield* request("PUT", "/schedules/other", {
        body: { workflow: "Order", payload: { id: "2" }, every: "5 minutes", paused: true }
      })
      const first = yield* get("/schedules?limit=1")
      assert.deepStrictEqual(first.body.schedules, [put.body])
      const second = yield* get(`/schedules?limit=1&cursor=${first.body.nextCursor}`)
      assert.deepStrictEqual(
        [second.body.schedules[0].name, second.body.schedules[0].nextTicks, second.body.nextCursor],
        ["other", [], null]
      )
      assert.strictEqual((yield* request("DELETE", "/schedules/nightly")).status, 204)
      const gone = yield* get("/schedules/nightly")
      assert.deepStrictEqual(
        [gone.status, gone.body],
        [
          404,
          {
            _tag: "ScheduleNotFound",
            name: "nightly",
            message: `There is no schedule "nightly"`
          }
        ]
      )
      assert.strictEqual((yield* request("DELETE", "/schedules/nightly")).status, 404)
    })
  )

  it.scopedLive("are paused, resumed, triggered and backfilled", () =>
    Effect.gen(function* () {
      const { get, post, request } = yield* serve()
      yield* request("PUT", "/schedules/nightly", { body: nightly })
      assert.isTrue((yield* post("/schedules/nightly/pause")).body.paused)
      assert.isFalse((yield* post("/schedules/nightly/resume")).body.paused)
      const triggered = yield* post("/schedules/nightly/trigger")
      assert.strictEqual(triggered.status, 202)
      assert.match(triggered.body.runId, /^schedule\/nightly\/.*\/triggered$/)
      const run = yield* get(triggered.headers.get("location") ?? "")
      assert.deepStrictEqual(run.body.payload, nightly.payload)
      const backfilled = yield* post("/schedules/nightly/backfill", {
        from: "2026-03-28",
        to: "2026-03-31"
      })
      assert.deepStrictEqual([backfilled.status, backfilled.body], [202, { ticks: 3, created: 3 }])
      const { lastRuns } = (yield* get("/schedules/nightly")).body
      assert.deepStrictEqual(
        lastRuns.map(({ runId }: { runId: string }) => runId),
        [
          triggered.body.runId,
          // on the 29th clocks were put forward
          "schedule/nightly/2026-03-30T01:00:00.000Z",
          "schedule/nightly/2026-03-29T01:00:00.000Z",
          "schedule/nightly/2026-03-28T02:00:00.000Z"
        ]
      )
      for (const what of ["pause", "resume", "trigger"]) {
        assert.strictEqual((yield* post(`/schedules/none/${what}`)).status, 404)
      }
    })
  )

  it.scopedLive("are refused where they cannot be", () =>
    Effect.gen(function* () {
      const { get, post, request } = yield* serve()
      const refused = (body: unknown, name = "nightly") =>
        Effect.map(request("PUT", `/schedules/${name}`, { body }), ({ body, status }) => [
          status,
          body._tag,
          body.field
        ])
      assert.deepStrictEqual(yield* refused({ ...nightly, cron: "often" }), [
        400,
        "InvalidSchedule",
        "cron"
      ])
      assert.deepStrictEqual(yield* refused({ ...nightly, timeZone: "Berlin" }), [
        400,
        "InvalidSchedule",
        "timeZone"
      ])
      assert.deepStrictEqual(yield* refused(nightly, "a%2Fb"), [400, "InvalidSchedule", "name"])
      assert.strictEqual((yield* refused({ ...nightly, workflow: "None" }))[1], "UnknownWorkflow")
      assert.strictEqual((yield* refused({ ...nightly, payload: {} }))[1], "InvalidPayload")
      // a misspelt limit is not no limit
      assert.strictEqual((yield* refused({ ...nightly, overlaps: "skip" }))[0], 400)
      assert.deepStrictEqual((yield* get("/schedules")).body, { schedules: [], nextCursor: null })
      yield* request("PUT", "/schedules/nightly", { body: nightly })
      const backfill = yield* post("/schedules/nightly/backfill", { from: "yesterday" })
      assert.deepStrictEqual([backfill.status, backfill.body.field], [400, "from"])
    })
  )

  it.scopedLive("need the scopes of runs, and what RunAccess says of their workflow", () =>
    Effect.gen(function* () {
      const access = Layer.succeed(RunAccess, {
        allows: ({ principal, run }) =>
          Effect.succeed(principal.subject === "all" || run.workflow !== "Order")
      })
      const { get, post, request, tokens } = yield* serve({ access })
      const tokenOf = (subject: string, scopes: ReadonlyArray<"runs:read" | "runs:write">) =>
        Effect.map(tokens.sign({ subject, scopes }), Redacted.value)
      const all = yield* tokenOf("all", ["runs:read", "runs:write"])
      const other = yield* tokenOf("other", ["runs:read", "runs:write"])
      const reader = yield* tokenOf("all", ["runs:read"])
      const put = (token: string, body: unknown = nightly) =>
        Effect.map(request("PUT", "/schedules/a", { body, token }), ({ status }) => status)
      assert.strictEqual(yield* put(reader), 403)
      assert.strictEqual(yield* put(other), 403)
      assert.strictEqual(yield* put(all), 200)
      // not to be made another's by naming a workflow that one may start
      assert.strictEqual(
        yield* put(other, { workflow: "Shaped", payload: { name: "n" }, every: "1 hour" }),
        403
      )
      for (const what of ["pause", "resume", "trigger"]) {
        assert.strictEqual(
          (yield* post(`/schedules/a/${what}`, undefined, { token: other })).status,
          403
        )
        assert.strictEqual(
          (yield* post(`/schedules/a/${what}`, undefined, { token: reader })).status,
          403
        )
      }
      assert.strictEqual((yield* request("DELETE", "/schedules/a", { token: other })).status, 403)
      assert.strictEqual((yield* get("/schedules/a", { token: other })).status, 404)
      assert.deepStrictEqual((yield* get("/schedules", { token: other })).body.schedules, [])
      assert.strictEqual((yield* get("/schedules", { token: reader })).body.schedules.length, 1)
      assert.strictEqual((yield* get("/schedules", { token: null })).status, 401)
    })
  )
})

describe("schedules by the client", () => {
  it.scopedLive("are put with a payload of the workflow's, and told", () =>
    Effect.gen(function* () {
      const served = yield* serve()
      const { schedules } = yield* clientOf(served)
      const put = yield* schedules.put("nightly", Order, {
        payload: { id: "1", due: new Date("2026-11-22T00:00:00.000Z") },
        cron: "0 3 * * *",
        timeZone: "Europe/Berlin"
      })
      assert.deepStrictEqual(put.payload, nightly.payload)
      assert.deepStrictEqual(yield* schedules.get("nightly"), put)
      assert.deepStrictEqual(yield* schedules.list(), { schedules: [put], nextCursor: null })
      assert.isTrue((yield* schedules.pause("nightly")).paused)
      assert.isFalse((yield* schedules.resume("nightly")).paused)
      const { runId } = yield* schedules.trigger("nightly")
      assert.deepStrictEqual(
        (yield* schedules.get("nightly")).lastRuns.map((run) => run.runId),
        [runId]
      )
      assert.deepStrictEqual(
        yield* schedules.backfill("nightly", { from: "2026-03-28", to: "2026-03-29" }),
        { ticks: 1, created: 1 }
      )
      yield* schedules.remove("nightly")
      const gone = yield* Effect.flip(schedules.get("nightly"))
      assert.strictEqual(gone._tag, "ScheduleNotFound")
      assert.strictEqual(
        (yield* Effect.flip(schedules.remove(".."))).message,
        `There is no schedule ".."`
      )
      const refused = yield* Effect.flip(
        schedules.put("nightly", Order, { payload: { id: "1" }, cron: "often" })
      )
      assert.strictEqual(refused._tag, "InvalidSchedule")
    })
  )
})
