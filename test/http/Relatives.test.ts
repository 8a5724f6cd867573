/** The runs around a run, over HTTP. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Access from "../../src/http/Access.js"
import { aStep } from "../../src/testing/Acts.js"
import { held, serve } from "./Harness.js"

const family = Effect.fnUntraced(function* (options: Parameters<typeof serve>[0] = {}) {
  const server = yield* serve(options)
  const { store } = server
  const parent = yield* held(store, { runId: "p", workflow: "Order", payload: "{}" })
  const of = { runId: "p", awaits: true }
  yield* held(store, { runId: "c", workflow: "Order", payload: "{}", parent: of })
  yield* held(store, { runId: "s", workflow: "Secret", payload: "{}", parent: of })
  yield* store.suspend({
    held: parent,
    wakeups: 0,
    timers: [],
    wakeAt: undefined,
    cause: undefined,
    waitsFor: JSON.stringify({ total: 1, first: [{ type: "signal", name: "Go", since: 0 }] })
  })
  return server
})

const child = { runId: "c", workflow: "Order", status: "running" }

describe("a run over HTTP", () => {
  it.scoped("tells what it waits for, its children and its parents", () =>
    Effect.gen(function* () {
      const { get } = yield* family()
      const { body } = yield* get("/runs/p")
      assert.deepStrictEqual(body.waitsFor, {
        total: 1,
        first: [{ type: "signal", name: "Go", since: "1970-01-01T00:00:00.000Z" }]
      })
      assert.deepStrictEqual(body.children, {
        total: 2,
        first: [child, { runId: "s", workflow: "Secret", status: "running" }]
      })
      for (const of of ["parents", "signals", "timers"]) assert.notProperty(body, of)
      assert.deepStrictEqual((yield* get("/runs/c")).body.parents, {
        total: 1,
        first: [{ runId: "p", workflow: "Order", status: "suspended" }]
      })
    })
  )

  it.scoped(
    "tells when it received signals, what timers it has set, who holds it, and who executed its steps",
    () =>
      Effect.gen(function* () {
        const { get, store } = yield* family()
        yield* store.signal({ runId: "c", name: "Go", exit: "1" })
        const executor = yield* store.register({ host: "test", pid: 2, leaseMillis: 60_000 })
        const run = yield* store.create({ runId: "d", workflow: "Order", payload: "{}" }, executor)
        yield* store.recordStep(
          aStep(Option.getOrThrow(Option.fromNullable(run.claimed)).held, {
            exit: `{"_tag":"Success","value":1}`,
            timers: [{ name: "DurableClock/nap", wakeAt: 60_000 }]
          })
        )
        const { signals } = (yield* get("/runs/c")).body
        assert.deepStrictEqual(signals, {
          total: 1,
          last: [{ name: "Go", receivedAt: "1970-01-01T00:00:00.000Z" }]
        })
        const { body } = yield* get("/runs/d")
        assert.deepStrictEqual(body.timers, {
          total: 1,
          last: [{ name: "nap", dueAt: "1970-01-01T00:01:00.000Z", fired: false }]
        })
        assert.deepStrictEqual(body.heldBy, { executor, self: false })
        assert.strictEqual(body.steps[0].executor, executor)
        assert.strictEqual((yield* get("/runs/d/steps/charge/1")).body.executor, executor)
      })
  )

  it.scoped("names none that the request may not read, and none in its events", () =>
    Effect.gen(function* () {
      const access = Layer.succeed(Access.RunAccess, {
        allows: ({ run }: Access.AccessRequest) => Effect.succeed(run.workflow !== "Secret")
      })
      const { get, port, token } = yield* family({ access })
      const { body } = yield* get("/runs/p")
      assert.deepStrictEqual(body.children, { total: 2, first: [child] })
      const events = yield* Effect.promise(async () => {
        const abort = new AbortController()
        const { body } = await fetch(`http://127.0.0.1:${port}/runs/p/events`, {
          headers: { authorization: `Bearer ${token}` },
          signal: abort.signal
        })
        let text = ""
        for await (const chunk of body ?? []) {
          text += new TextDecoder().decode(chunk)
          if (text.includes("snapshot")) break
        }
        abort.abort()
        return text
      })
      assert.include(events, "waitsFor")
      assert.notInclude(events, "Secret")
    })
  )

  it.scoped("is listed with those of its kind", () =>
    Effect.gen(function* () {
      const { get } = yield* family()
      const ids = (query: string) =>
        Effect.map(get(`/runs?${query}`), ({ body }) =>
          body.runs.map(({ runId }: { runId: string }) => runId)
        )
      assert.deepStrictEqual(yield* ids("roots=true"), ["p"])
      assert.deepStrictEqual(yield* ids("roots=false"), ["s", "c", "p"])
      assert.deepStrictEqual(yield* ids("parent=p"), ["s", "c"])
      assert.deepStrictEqual(yield* ids("mend=true"), [])
      assert.strictEqual((yield* get("/runs?roots=maybe")).status, 400)
    })
  )
})
