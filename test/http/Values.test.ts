/** Where values are for admins alone, no answer to anybody else has one. */
import { HttpApi } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { Api } from "../../src/api/Api.js"
import type { Scope } from "../../src/http/Access.js"
import { aStep } from "../../src/testing/Acts.js"
import { held, serve } from "./Harness.js"

/** In everything that is a value. */
const secret = "walnut-and-4711"

const success = JSON.stringify({ _tag: "Success", value: { told: secret } })

const failure = JSON.stringify({
  _tag: "Failure",
  cause: { _tag: "Fail", error: { _tag: "Declined", message: `no: ${secret}`, of: secret } }
})

/** One run that completed and one that failed, each with both kinds of steps, and a schedule. */
const served = Effect.fnUntraced(function* (options: Parameters<typeof serve>[0] = {}) {
  const server = yield* serve(options)
  const { store } = server
  for (const [runId, exit] of [
    ["good", success],
    ["bad", failure]
  ] as const) {
    const run = yield* held(store, {
      runId,
      workflow: "Order",
      payload: JSON.stringify({ id: secret })
    })
    yield* store.recordStep(aStep(run, { name: "step", exit: success }))
    yield* store.recordStep(aStep(run, { name: "failing", status: "failed", exit: failure }))
    yield* store.complete({
      held: run,
      status: runId === "good" ? "completed" : "failed",
      exit
    })
  }
  yield* server.request("PUT", "/schedules/nightly", {
    body: { workflow: "Order", payload: { id: secret }, cron: "0 3 * * *" }
  })
  const tokenOf = (scopes: ReadonlyArray<Scope>) =>
    Effect.map(server.tokens.sign({ scopes }), Redacted.value)
  return { ...server, tokenOf }
})

/** Every path of the API that is read, of each of the runs. */
const paths = (() => {
  const found: Array<string> = []
  HttpApi.reflect(Api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      if (endpoint.method !== "GET" || endpoint.path.endsWith("/events")) return
      for (const runId of ["good", "bad"]) {
        for (const name of endpoint.path.includes("/steps/") ? ["step", "failing"] : ["nightly"]) {
          found.push(
            endpoint.path
              .replace(":runId", runId)
              .replace(":name", name)
              .replace(":attempt", "1")
              .replace(":id", "1")
          )
        }
      }
    }
  })
  return Array.from(new Set([...found, "/runs?include=payload,result", "/runs/ids?prefix=good"]))
})()

describe("values", () => {
  it.scopedLive("are told to every reader, where nothing else is said", () =>
    Effect.gen(function* () {
      const { get, tokenOf } = yield* served()
      const token = yield* tokenOf(["runs:read"])
      for (const path of ["/runs/good", "/runs/bad", "/runs/good/payload", "/runs/bad/result"]) {
        assert.include((yield* get(path, { token })).text, secret)
      }
    })
  )

  it.scopedLive("that are for admins alone are in no answer to anybody else", () =>
    Effect.gen(function* () {
      const { port, token, tokenOf } = yield* served({ valuesForReaders: false })
      // not all of them are JSON
      const textOf = (path: string, token: string) =>
        Effect.promise(async () => {
          const headers = { authorization: `Bearer ${token}` }
          return (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).text()
        })
      const reader = yield* tokenOf(["runs:read"])
      const told: Array<string> = []
      for (const path of paths) {
        assert.notInclude(yield* textOf(path, reader), secret, path)
        if ((yield* textOf(path, token)).includes(secret)) told.push(path)
      }
      // and to admins they are told
      assert.includeMembers(told, [
        "/runs/good",
        "/runs/bad",
        "/runs/good/steps",
        "/runs/good/steps/failing/1",
        "/runs/good/payload",
        "/runs/bad/result",
        "/runs?include=payload,result",
        "/schedules",
        "/schedules/nightly"
      ])
    })
  )

  it.scopedLive("are said to be hidden, beside what is told all the same", () =>
    Effect.gen(function* () {
      const { get, tokenOf } = yield* served({ valuesForReaders: false })
      const token = yield* tokenOf(["runs:read", "runs:write"])
      const { body: run } = yield* get("/runs/bad", { token })
      assert.include(run, { status: "failed", workflow: "Order", hidden: true })
      assert.deepStrictEqual(run.error, { _tag: "Declined", message: "hidden from this token" })
      assert.deepStrictEqual(
        run.steps.map(({ name, status, hidden }: Record<string, unknown>) => [
          name,
          status,
          hidden
        ]),
        [
          ["step", "completed", true],
          ["failing", "failed", true]
        ]
      )
      for (const path of ["/runs/good/payload", "/runs/good/result"]) {
        const { body, status } = yield* get(path, { token })
        assert.strictEqual(status, 403)
        assert.deepStrictEqual(body, {
          _tag: "Forbidden",
          message: "Here only a token with the scope admin is told values"
        })
      }
      const { body: schedule } = yield* get("/schedules/nightly", { token })
      assert.include(schedule, { payload: null, hidden: true, cron: "0 3 * * *" })
    })
  )

  it.scopedLive("are neither in events, nor in what a change is answered with", () =>
    Effect.gen(function* () {
      const { port, request, tokenOf } = yield* served({ valuesForReaders: false })
      const token = yield* tokenOf(["runs:read", "runs:write"])
      for (const runId of ["good", "bad"]) {
        const answer = yield* Effect.promise(() =>
          fetch(`http://127.0.0.1:${port}/runs/${runId}/events`, {
            headers: { authorization: `Bearer ${token}` }
          })
        )
        // it is over: so are its events
        const text = yield* Effect.promise(() => answer.text())
        assert.include(text, `"runId":"${runId}"`)
        assert.notInclude(text, secret)
      }
      const change = (method: string, path: string, body?: unknown) =>
        Effect.map(request(method, path, { token, body }), ({ status, text }) => {
          assert.isBelow(status, 300)
          assert.notInclude(text, secret)
        })
      yield* change("POST", "/schedules/nightly/pause")
      yield* change("POST", "/schedules/nightly/resume")
      yield* change("PUT", "/schedules/nightly", {
        workflow: "Order",
        payload: { id: secret },
        every: "1 day"
      })
    })
  )
})
