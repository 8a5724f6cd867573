import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { RunnerState } from "../../src/api/RunnerState.js"
import { RunStoreError } from "../../src/store/RunStore.js"
import { connect, held, serve } from "./Harness.js"

const start = (id: string) => ({ workflow: "Order", payload: { id } })

describe("probes", () => {
  const expected: ReadonlyArray<readonly [RunnerState, health: number, ready: number]> = [
    ["idle", 503, 503],
    ["running", 200, 200],
    ["draining", 200, 503],
    ["stopped", 503, 503]
  ]
  for (const [state, health, ready] of expected) {
    it.scopedLive(`while ${state}, health answers ${health} and ready ${ready}`, () =>
      Effect.gen(function* () {
        const { controls, get } = yield* serve()
        yield* SubscriptionRef.set(controls.state, state)
        for (const [path, status] of [
          ["/health", health],
          ["/ready", ready]
        ] as const) {
          const answer = yield* get(path, { token: null })
          assert.strictEqual(answer.status, status)
          assert.deepStrictEqual(
            answer.body,
            status === 200
              ? { state }
              : { _tag: "NotAvailable", message: `The executor is ${state}`, state }
          )
        }
      })
    )
  }

  it.scopedLive("health answers when the store does not", () =>
    Effect.gen(function* () {
      const { close, get } = yield* serve({
        store: () => ({ list: () => Effect.never, find: () => Effect.never })
      })
      assert.strictEqual((yield* get("/health", { token: null })).status, 200)
      yield* close
    })
  )

  it.scopedLive("ready says no in bounded time where the database hangs, and health yes", () =>
    Effect.gen(function* () {
      let looks = 0
      const { get, logs } = yield* serve({
        store: () => ({
          available: Effect.suspend(() => {
            looks++
            return Effect.never
          })
        })
      })
      const began = performance.now()
      const answers = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => get("/ready", { token: null }),
        { concurrency: "unbounded" }
      )
      assert.isBelow(performance.now() - began, 3_000)
      for (const { body, status } of answers) {
        assert.strictEqual(status, 503)
        assert.deepStrictEqual(body, {
          _tag: "NotAvailable",
          state: "running",
          message: "The database has not answered for 1000 milliseconds"
        })
      }
      // who comes later waits for no second of its own
      assert.strictEqual((yield* get("/ready", { token: null })).status, 503)
      assert.strictEqual(looks, 1)
      assert.strictEqual((yield* get("/health", { token: null })).status, 200)
      assert.strictEqual(logs.filter((line) => line.includes("not ready")).length, 1)
    })
  )

  it.scopedLive("ready says what became of the database a second later at most", () =>
    Effect.gen(function* () {
      let looks = 0
      const failure = new RunStoreError({ reason: "unavailable", message: "secret of the store" })
      let failed = true
      const { get, logs } = yield* serve({
        store: () => ({
          available: Effect.suspend(() => {
            looks++
            return failed ? Effect.fail(failure) : Effect.void
          })
        })
      })
      const ready = get("/ready", { token: null })
      const refused = yield* ready
      assert.strictEqual(refused.status, 503)
      assert.strictEqual(refused.body.message, "The database is not available")
      assert.notInclude(refused.text, "secret")
      failed = false
      const began = performance.now()
      while ((yield* ready).status !== 200) yield* Effect.void
      assert.isBelow(performance.now() - began, 3_000)
      // a flood of them costs a look a second
      assert.isAtMost(looks, 4)
      assert.strictEqual(logs.filter((line) => line.includes("ready again")).length, 1)
    })
  )
})

describe("workflows", () => {
  it.scopedLive("are listed by name with the JSON Schema of what a client sends", () =>
    Effect.gen(function* () {
      const { get } = yield* serve()
      const { body, status } = yield* get("/workflows")
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(
        body.workflows.map((workflow: { name: string }) => workflow.name),
        ["Order", "Shaped"]
      )
      const [order, shaped] = body.workflows
      assert.deepStrictEqual(order.payload.required, ["id"])
      assert.strictEqual(order.payload.properties.id.type, "string")
      // a schema that has none does not break the listing
      assert.deepStrictEqual(shaped.payload, {})
    })
  )

  it.scopedLive("tell of the signals that they declare, with what each takes", () =>
    Effect.gen(function* () {
      const { get } = yield* serve()
      const [order, shaped] = (yield* get("/workflows")).body.workflows
      assert.deepStrictEqual(
        order.signals.map(({ name }: { name: string }) => name),
        ["Approval", "Deadline", "Poke"]
      )
      assert.strictEqual(order.signals[0].value.type, "boolean")
      assert.deepStrictEqual(shaped.signals, [])
    })
  )
})

describe("starting a run", () => {
  it.scopedLive("is accepted with its id and where to find it", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      const started = yield* post("/runs", start("1"))
      assert.strictEqual(started.status, 202)
      assert.deepStrictEqual(Object.keys(started.body), ["runId"])
      const location = started.headers.get("location") ?? ""
      assert.strictEqual(location, `/runs/${started.body.runId}`)
      const found = yield* get(location)
      assert.strictEqual(found.status, 200)
      assert.strictEqual(found.body.runId, started.body.runId)
    })
  )

  it.scopedLive("twice with the same idempotency key gives one run", () =>
    Effect.gen(function* () {
      const { get, post, store } = yield* serve()
      const first = yield* post("/runs", start("1"))
      const second = yield* post("/runs", start("1"))
      assert.strictEqual(second.status, 200)
      assert.strictEqual(second.headers.get("location"), first.headers.get("location"))
      const { runId } = first.body
      assert.deepStrictEqual(second.body, { runId, created: false, status: "pending" })
      assert.strictEqual((yield* get("/runs")).body.runs.length, 1)
      const executor = yield* store.register({ host: "test", pid: 1, leaseMillis: 60_000 })
      const [claimed] = yield* store.claim({ executor, workflows: ["Order"], limit: 1 })
      if (claimed === undefined) throw new Error("not claimed")
      const { held } = claimed
      yield* store.complete({ held, status: "completed", exit: `{"_tag":"Success"}` })
      const { completedAt } = (yield* get(`/runs/${runId}`)).body
      assert.isString(completedAt)
      assert.deepStrictEqual((yield* post("/runs", start("1"))).body, {
        runId,
        created: false,
        status: "completed",
        completedAt
      })
    })
  )

  it.scopedLive("makes one that is found by its workflow and its key", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      const { body } = yield* post("/runs", start("a key / of äny kind"))
      yield* post("/runs", start("other"))
      const found = (query: string) =>
        Effect.map(get(`/runs?${query}`), ({ body }) =>
          body.runs.map(({ runId }: { runId: string }) => runId)
        )
      const key = encodeURIComponent("a key / of äny kind")
      assert.deepStrictEqual(yield* found(`workflow=Order&key=${key}`), [body.runId])
      assert.deepStrictEqual(yield* found(`workflow=Order&key=${key}&status=failed`), [])
      assert.deepStrictEqual(yield* found(`workflow=Order&key=${key}&roots=true`), [body.runId])
      assert.deepStrictEqual(yield* found(`workflow=Shaped&key=${key}`), [])
      assert.deepStrictEqual(yield* found("workflow=Order&key=none"), [])
      const refused = yield* get(`/runs?key=${key}`)
      assert.deepStrictEqual([refused.status, refused.body._tag], [400, "InvalidQuery"])
    })
  )

  for (const state of ["idle", "draining", "stopped"] as const) {
    it.scopedLive(`is accepted while ${state}`, () =>
      Effect.gen(function* () {
        const { controls, get, post } = yield* serve()
        yield* SubscriptionRef.set(controls.state, state)
        const { body, status } = yield* post("/runs", start("1"))
        assert.strictEqual(status, 202)
        assert.strictEqual((yield* get(`/runs/${body.runId}`)).body.status, "pending")
      })
    )
  }

  it.scopedLive("refuses a field that the published schema does not have, and names it", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      const payload = { id: "1", deu: "2030-01-01" }
      const { body, status } = yield* post("/runs", { workflow: "Order", payload })
      assert.deepStrictEqual([status, body._tag], [400, "InvalidPayload"])
      assert.include(body.message, `"deu"`)
      assert.deepStrictEqual((yield* get("/runs")).body.runs, [])
      const [order] = (yield* get("/workflows")).body.workflows
      assert.isFalse(order.payload.additionalProperties)
    })
  )

  it.scopedLive("stores the payload as the schema writes it", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      const { body } = yield* post("/runs", {
        workflow: "Order",
        payload: { id: "1", due: "2030-01-01" }
      })
      const run = yield* get(`/runs/${body.runId}`)
      assert.deepStrictEqual(run.body.payload, { id: "1", due: "2030-01-01T00:00:00.000Z" })
    })
  )

  it.scopedLive("keeps the caller's trace", () =>
    Effect.gen(function* () {
      const { post, store } = yield* serve()
      yield* post("/runs", start("1"), {
        headers: { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` }
      })
      const executor = yield* store.register({ host: "test", pid: 1, leaseMillis: 60_000 })
      const [claimed] = yield* store.claim({ executor, workflows: ["Order"], limit: 1 })
      assert.deepStrictEqual(claimed?.trace, {
        traceId: "a".repeat(32),
        spanId: "b".repeat(16),
        sampled: true
      })
    })
  )

  it.scopedLive("of an unknown workflow names those that are registered", () =>
    Effect.gen(function* () {
      const { post } = yield* serve()
      const { body, status } = yield* post("/runs", { workflow: "Nope", payload: {} })
      assert.strictEqual(status, 404)
      assert.strictEqual(body._tag, "UnknownWorkflow")
      assert.include(body.message, "Nope")
      assert.include(body.message, "Order, Shaped")
    })
  )

  it.scopedLive("with a payload that does not fit says what is wrong with it", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      for (const payload of [{ id: 1 }, {}, null, "id", undefined]) {
        const { body, status } = yield* post("/runs", { workflow: "Order", payload })
        assert.strictEqual(status, 400)
        assert.strictEqual(body._tag, "InvalidPayload")
        assert.include(body.message, "id")
      }
      assert.deepStrictEqual((yield* get("/runs")).body.runs, [])
    })
  )

  it.scopedLive("with the id of another workflow's run is refused, by that workflow's name", () =>
    Effect.gen(function* () {
      const { post, store } = yield* serve()
      const { runId } = (yield* post("/runs", start("1"))).body
      const executor = yield* store.register({ host: "test", pid: 1, leaseMillis: 60_000 })
      const [claimed] = yield* store.claim({ executor, workflows: ["Order"], limit: 1 })
      assert.isDefined(claimed)
      if (claimed === undefined) return
      yield* store.complete({ held: claimed.held, status: "completed", exit: "1" })
      yield* store.remove(runId)
      yield* store.create({ runId, workflow: "Other", payload: "{}" })
      const { body, status } = yield* post("/runs", start("1"))
      assert.strictEqual(status, 409)
      assert.strictEqual(body._tag, "RunIdTaken")
      assert.include(body.message, 'a run of workflow "Other"')
    })
  )

  it.scopedLive("without a workflow is a bad request", () =>
    Effect.gen(function* () {
      const { post } = yield* serve()
      for (const body of [{}, "", [], "null"]) {
        const answer = yield* post("/runs", body)
        assert.strictEqual(answer.status, 400)
        assert.isString(answer.body._tag)
        assert.isString(answer.body.message)
      }
    })
  )
})

describe("a run", () => {
  it.scopedLive("shows its steps in the order in which they started", () =>
    Effect.gen(function* () {
      const { controls, get, store } = yield* serve()
      const run = yield* held(store, { runId: "r1", workflow: "Order", payload: `{"id":"1"}` })
      const step = { held: run, timers: [], startedAt: 1_000, completedAt: 2_000 }
      yield* store.recordStep({
        ...step,
        name: "Reserve",
        attempt: 1,
        status: "failed",
        exit: `{"_tag":"Failure","cause":{"_tag":"Fail","error":{"_tag":"SoldOut","item":"x"}}}`
      })
      yield* store.recordStep({
        ...step,
        startedAt: 3_000,
        completedAt: 4_000,
        name: "Reserve",
        attempt: 2,
        status: "completed",
        exit: `{"_tag":"Success","value":{"ok":true}}`
      })
      controls.inFlight = [
        {
          key: "r1/Charge/1",
          runId: "r1",
          workflow: "Order",
          name: "Charge",
          attempt: 1,
          startedAt: 5_000
        },
        // recorded since
        {
          key: "r1/Reserve/2",
          runId: "r1",
          workflow: "Order",
          name: "Reserve",
          attempt: 2,
          startedAt: 3_000
        },
        { key: "r2/A/1", runId: "r2", workflow: "Order", name: "A", attempt: 1, startedAt: 1 }
      ]
      const { body, status } = yield* get("/runs/r1")
      assert.strictEqual(status, 200)
      assert.strictEqual(body.status, "running")
      assert.deepStrictEqual(body.payload, { id: "1" })
      assert.match(body.createdAt, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
      assert.deepStrictEqual(body.steps, [
        {
          name: "Reserve",
          attempt: 1,
          status: "failed",
          startedAt: "1970-01-01T00:00:01.000Z",
          completedAt: "1970-01-01T00:00:02.000Z",
          error: { _tag: "SoldOut", item: "x", message: "SoldOut" },
          executor: 1
        },
        {
          name: "Reserve",
          attempt: 2,
          status: "completed",
          startedAt: "1970-01-01T00:00:03.000Z",
          completedAt: "1970-01-01T00:00:04.000Z",
          result: { ok: true },
          executor: 1
        },
        {
          name: "Charge",
          attempt: 1,
          status: "running",
          startedAt: "1970-01-01T00:00:05.000Z"
        }
      ])
    })
  )

  it.scopedLive("that does not exist is not found, whatever is asked of it", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      for (const answer of [
        yield* get("/runs/nope"),
        yield* get("/runs/%zz"),
        yield* post("/runs/nope/interrupt"),
        yield* post("/runs/nope/terminate"),
        yield* post("/runs/nope/resume"),
        yield* post("/runs/nope/signals/Approval", { value: true })
      ]) {
        assert.strictEqual(answer.status, 404)
        assert.isString(answer.body._tag)
        assert.isString(answer.body.message)
      }
    })
  )

  it.scopedLive("can be interrupted and resumed; when it is over it is refused to be resumed", () =>
    Effect.gen(function* () {
      const { post, store } = yield* serve()
      const run = yield* held(store, { runId: "r1", workflow: "Order", payload: `{"id":"1"}` })
      assert.strictEqual((yield* post("/runs/r1/interrupt")).status, 202)
      assert.isTrue((yield* store.history(run)).interruptRequested)
      assert.strictEqual((yield* post("/runs/r1/resume")).status, 202)
      yield* store.complete({
        held: run,
        status: "completed",
        exit: `{"_tag":"Success","value":1}`
      })
      assert.strictEqual((yield* post("/runs/r1/interrupt")).status, 202)
      const refused = yield* post("/runs/r1/resume")
      assert.strictEqual(refused.status, 409)
      assert.deepStrictEqual(refused.body, {
        _tag: "NotResumable",
        runId: "r1",
        status: "completed",
        message: `Run "r1" cannot be resumed: it is completed`
      })
    })
  )
})

describe("a run that is terminated", () => {
  it.scopedLive("says why, and how many ended with it; then it is over", () =>
    Effect.gen(function* () {
      const { get, post, store } = yield* serve()
      yield* store.create({ runId: "r1", workflow: "Gone", payload: "{}" })
      const parent = { runId: "r1", awaits: true }
      yield* store.create({ runId: "r2", workflow: "Gone", payload: "{}", parent })
      const ended = yield* post("/runs/r1/terminate", { reason: "a duplicate", children: true })
      assert.strictEqual(ended.status, 202)
      assert.deepStrictEqual(ended.body, { runId: "r1", terminated: 2 })
      for (const runId of ["r1", "r2"]) {
        const { body } = yield* get(`/runs/${runId}`)
        assert.strictEqual(body.status, "interrupted")
        assert.deepStrictEqual(body.error, {
          _tag: "Interrupted",
          message: "terminated: a duplicate",
          reason: "a duplicate"
        })
      }
      const again = yield* post("/runs/r1/terminate")
      assert.strictEqual(again.status, 409)
      assert.strictEqual(again.body._tag, "RunFinished")
      assert.strictEqual((yield* post("/runs/r1/retry")).status, 409)
    })
  )

  it.scopedLive("needs no body, and refuses one that it does not know", () =>
    Effect.gen(function* () {
      const { get, post, store } = yield* serve()
      yield* store.create({ runId: "r1", workflow: "Gone", payload: "{}" })
      const long = yield* post("/runs/r1/terminate", { reason: "x".repeat(1_001) })
      assert.deepInclude(long.body, { _tag: "InvalidReason" })
      for (const body of [{ reason: 1 }, { children: "yes" }]) {
        assert.strictEqual((yield* post("/runs/r1/terminate", body)).status, 400)
      }
      assert.strictEqual(long.status, 400)
      assert.strictEqual((yield* post("/runs/r1/terminate")).status, 202)
      assert.deepStrictEqual((yield* get("/runs/r1")).body.error, {
        _tag: "Interrupted",
        message: "terminated"
      })
    })
  )
})

describe("a signal", () => {
  const runOf = (workflow: string) =>
    Effect.gen(function* () {
      const server = yield* serve()
      const claim = yield* held(server.store, { runId: "r1", workflow, payload: "{}" })
      const signals = Effect.map(server.store.history(claim), (history) => history.signals)
      return { ...server, signals }
    })
  const run = runOf("Order")

  it.scopedLive("is stored as the deferred's schema writes it", () =>
    Effect.gen(function* () {
      const { post, signals } = yield* run
      const answer = yield* post("/runs/r1/signals/Deadline", { value: "2030-01-01" })
      assert.strictEqual(answer.status, 202)
      assert.deepStrictEqual(yield* signals, [
        { name: "Deadline", exit: `{"_tag":"Success","value":"2030-01-01T00:00:00.000Z"}` }
      ])
    })
  )

  it.scopedLive("that does not fit the deferred is refused", () =>
    Effect.gen(function* () {
      const { post, signals } = yield* run
      for (const body of [{ value: "yes" }, { value: null }, {}, undefined]) {
        const answer = yield* post("/runs/r1/signals/Approval", body)
        assert.strictEqual(answer.status, 400)
        assert.strictEqual(answer.body._tag, "InvalidSignal")
      }
      assert.deepStrictEqual(yield* signals, [])
    })
  )

  it.scopedLive("without a value completes a deferred of nothing", () =>
    Effect.gen(function* () {
      for (const body of [{}, { value: null }, undefined]) {
        const { post, signals } = yield* run
        assert.strictEqual((yield* post("/runs/r1/signals/Poke", body)).status, 202)
        assert.deepStrictEqual(yield* signals, [
          { name: "Poke", exit: `{"_tag":"Success","value":null}` }
        ])
      }
    })
  )

  it.scopedLive(
    "of a name that the workflow does not declare, though it declares others, is none",
    () =>
      Effect.gen(function* () {
        const { post, signals } = yield* run
        const { body, status } = yield* post("/runs/r1/signals/Aproval", { value: true })
        assert.strictEqual(status, 404)
        assert.deepStrictEqual(body, {
          _tag: "UnknownSignal",
          name: "Aproval",
          declared: ["Approval", "Deadline", "Poke"],
          message: `Workflow "Order" has no signal "Aproval"; it declares Approval, Deadline, Poke`
        })
        // that of an attempt of a step
        assert.strictEqual((yield* post("/runs/r1/signals/Poke%2F2", {})).status, 202)
        assert.strictEqual((yield* signals).length, 1)
      })
  )

  it.scopedLive("of any name is stored as it is where the workflow declares none", () =>
    Effect.gen(function* () {
      const { post, signals } = yield* runOf("Shaped")
      const name = `a/ü ${"x".repeat(300)}`
      const path = `/runs/r1/signals/${encodeURIComponent(name)}`
      assert.strictEqual((yield* post(path, { value: [1] })).status, 202)
      assert.deepStrictEqual(yield* signals, [{ name, exit: `{"_tag":"Success","value":[1]}` }])
    })
  )
})

describe("a run's id", () => {
  it.scopedLive("may be as long as a URL, and is told as that of no run", () =>
    Effect.gen(function* () {
      const { get } = yield* serve()
      const runId = "x".repeat(8_000)
      const { body, status } = yield* get(`/runs/${runId}`)
      assert.deepStrictEqual([status, body._tag, body.runId], [404, "RunNotFound", runId])
    })
  )
})

describe("the list", () => {
  it.scopedLive("goes through all runs, newest first, page by page", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      const ids: Array<string> = []
      for (const id of ["1", "2", "3", "4", "5"]) {
        ids.unshift((yield* post("/runs", start(id))).body.runId)
      }
      const seen: Array<string> = []
      const sizes: Array<number> = []
      let cursor: string | null = ""
      while (cursor !== null) {
        const path: string = `/runs?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`
        const { body, status } = yield* get(path)
        assert.strictEqual(status, 200)
        seen.push(...body.runs.map((run: { runId: string }) => run.runId))
        sizes.push(body.runs.length)
        cursor = body.nextCursor
      }
      assert.deepStrictEqual(seen, ids)
      assert.deepStrictEqual(sizes, [2, 2, 1])
    })
  )

  it.scopedLive("is narrowed by workflow and by one or several statuses", () =>
    Effect.gen(function* () {
      const { get, store } = yield* serve()
      yield* store.create({ runId: "p", workflow: "Order", payload: "{}" })
      yield* held(store, { runId: "r", workflow: "Order", payload: "{}" })
      const claim = yield* held(store, { runId: "c", workflow: "Shaped", payload: "{}" })
      yield* store.complete({ held: claim, status: "completed", exit: `{"_tag":"Success"}` })
      const ids = (query: string) =>
        Effect.map(get(`/runs${query}`), ({ body }) =>
          body.runs.map((run: { runId: string }) => run.runId).join("")
        )
      assert.strictEqual(yield* ids(""), "crp")
      assert.strictEqual(yield* ids("?workflow=Order"), "rp")
      assert.strictEqual(yield* ids("?workflow=Nope"), "")
      assert.strictEqual(yield* ids("?status=pending"), "p")
      assert.strictEqual(yield* ids("?status=pending&status=running"), "rp")
      assert.strictEqual(yield* ids("?status=pending,completed"), "cp")
      assert.strictEqual(yield* ids("?workflow=Shaped&status=pending"), "")
      assert.strictEqual(yield* ids("?status="), "crp")
    })
  )

  it.scopedLive("refuses what it cannot read", () =>
    Effect.gen(function* () {
      const { get } = yield* serve()
      for (const query of [
        "limit=0",
        "limit=201",
        "limit=1.5",
        "limit=ten",
        "limit=",
        "status=done",
        "status=pending,done",
        "cursor=garbage",
        "cursor=%F0%9F",
        `cursor=${Buffer.from("runs:-1").toString("base64url")}`,
        "cursor="
      ]) {
        const { body, status } = yield* get(`/runs?${query}`)
        assert.strictEqual(status, 400, query)
        assert.isString(body._tag)
        assert.isString(body.message)
      }
    })
  )

  it.scopedLive("shows rows that no longer read, and the others with them", () =>
    Effect.gen(function* () {
      const { get, store } = yield* serve()
      yield* store.create({ runId: "bad", workflow: "Order", payload: "{oops" })
      const claim = yield* held(store, { runId: "worse", workflow: "Order", payload: "{}" })
      yield* store.complete({ held: claim, status: "failed", exit: "oops" })
      yield* store.create({ runId: "good", workflow: "Order", payload: "{}" })
      const { body, status } = yield* get("/runs?include=payload")
      assert.strictEqual(status, 200)
      const [good, worse, bad] = body.runs
      assert.deepStrictEqual(good.payload, {})
      assert.strictEqual(worse.error._tag, "Unreadable")
      assert.include(bad.payload, "unreadable")
    })
  )
})

describe("bodies", () => {
  const limit = 1_000
  const large = JSON.stringify({ workflow: "Order", payload: { id: "x".repeat(limit) } })

  const chunked = (text: string) =>
    `POST /runs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n` +
    `transfer-encoding: chunked\r\n` +
    `authorization: Bearer TOKEN\r\n\r\n${text}`

  it.scopedLive("of exactly the limit are taken", () =>
    Effect.gen(function* () {
      const { post } = yield* serve({ maxBodySize: limit })
      const text = JSON.stringify(start("1")).padEnd(limit, " ")
      assert.strictEqual((yield* post("/runs", text)).status, 202)
    })
  )

  it.scopedLive("up to 1 MiB are taken by default", () =>
    Effect.gen(function* () {
      const { post } = yield* serve()
      const text = JSON.stringify(start("1")).padEnd(1024 * 1024, " ")
      assert.strictEqual((yield* post("/runs", text)).status, 202)
      const { body, status } = yield* post("/runs", `${text} `)
      assert.strictEqual(status, 413)
      assert.deepStrictEqual(body, {
        _tag: "PayloadTooLarge",
        limit: 1048576,
        message: "The body is larger than 1048576 bytes"
      })
    })
  )

  it.scopedLive("that say they are too large are refused before they are sent", () =>
    Effect.gen(function* () {
      const { port, token } = yield* serve({ maxBodySize: limit })
      const client = yield* connect(port)
      yield* client.send(
        `POST /runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n` +
          `content-length: ${limit + 1}\r\n\r\n`
      )
      assert.match(yield* client.until(/"\}$/), /^HTTP\/1.1 413 /)
    })
  )

  it.scopedLive("that turn out too large are refused, and the connection goes on", () =>
    Effect.gen(function* () {
      const { port, token } = yield* serve({ maxBodySize: limit })
      const client = yield* connect(port)
      const size = large.length.toString(16)
      yield* client.send(chunked(`${size}\r\n${large}\r\n`).replace("TOKEN", token))
      assert.match(yield* client.until(/"\}$/), /^HTTP\/1.1 413 /)
      client.received = ""
      yield* client.send(`${size}\r\n${large}\r\n0\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\n\r\n`)
      assert.match(yield* client.until(/\}$/), /^HTTP\/1.1 200 [\s\S]*\{"state":"running"\}$/)
    })
  )

  it.scopedLive("that never end are cut", () =>
    Effect.gen(function* () {
      const { port, token } = yield* serve({ maxBodySize: limit })
      const client = yield* connect(port)
      yield* client.send(chunked("").replace("TOKEN", token))
      const more = `10000\r\n${"x".repeat(0x10000)}\r\n`
      const flood = Effect.forever(client.send(more))
      yield* Effect.raceFirst(client.closed, flood)
      assert.isTrue(client.socket.destroyed)
    })
  )

  it.scopedLive("that are not JSON are refused in JSON", () =>
    Effect.gen(function* () {
      const { post } = yield* serve()
      for (const body of ["{", "undefined", `{"workflow":}`]) {
        const answer = yield* post("/runs", body)
        assert.strictEqual(answer.status, 400)
        assert.strictEqual(answer.body._tag, "InvalidJson")
        assert.isString(answer.body.message)
      }
    })
  )

  it.scopedLive("of another content type are refused in JSON", () =>
    Effect.gen(function* () {
      const { post } = yield* serve()
      for (const type of [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/json-seq"
      ]) {
        const answer = yield* post("/runs", start("1"), { headers: { "content-type": type } })
        assert.strictEqual(answer.status, 415, type)
        assert.strictEqual(answer.body._tag, "UnsupportedMediaType")
      }
      const utf8 = { headers: { "content-type": "application/json; charset=utf-8" } }
      assert.strictEqual((yield* post("/runs", start("1"), utf8)).status, 202)
    })
  )

  it.scopedLive("that are too deep to be written down are refused", () =>
    Effect.gen(function* () {
      const { post, store } = yield* serve()
      yield* store.create({ runId: "r1", workflow: "Shaped", payload: "{}" })
      const deep = `{"value":${"[".repeat(100_000)}${"]".repeat(100_000)}}`
      const { body, status } = yield* post("/runs/r1/signals/Other", deep)
      assert.strictEqual(status, 400)
      assert.strictEqual(body._tag, "InvalidJson")
    })
  )
})

describe("every answer", () => {
  it.scopedLive("to an unknown route is JSON, with or without a token", () =>
    Effect.gen(function* () {
      const { get, post, token } = yield* serve()
      for (const answer of [
        yield* get("/nope"),
        yield* get("/ui/nope"),
        yield* get("/nope", { token: null }),
        yield* post("/runs/a/b/c", {}, { token })
      ]) {
        assert.strictEqual(answer.status, 404)
        assert.strictEqual(answer.body._tag, "RouteNotFound")
        assert.isString(answer.body.message)
        assert.include(answer.headers.get("content-type"), "application/json")
      }
    })
  )

  it.scopedLive("to a wrong method names the right ones", () =>
    Effect.gen(function* () {
      const { request } = yield* serve()
      for (const [method, path, allow] of [
        ["DELETE", "/runs", "POST, GET"],
        ["POST", "/health", "GET"],
        ["PUT", "/runs/x", "GET, DELETE"],
        ["GET", "/runs/x/interrupt", "POST"],
        ["GET", "/runs/x/signals/y?z=1", "POST"]
      ] as const) {
        const { body, headers, status } = yield* request(method, path)
        assert.strictEqual(status, 405)
        assert.strictEqual(headers.get("allow"), allow)
        assert.strictEqual(body._tag, "MethodNotAllowed")
      }
    })
  )

  it.scopedLive("says that it is JSON, not to be stored, of no other type", () =>
    Effect.gen(function* () {
      const { get, post } = yield* serve()
      for (const { headers } of [
        yield* get("/health"),
        yield* get("/runs", { token: null }),
        yield* get("/nope"),
        yield* post("/runs", start("1"))
      ]) {
        assert.include(headers.get("content-type"), "application/json")
        assert.strictEqual(headers.get("cache-control"), "no-store")
        assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
      }
    })
  )

  it.scopedLive("to a HEAD is that of GET without a body", () =>
    Effect.gen(function* () {
      const { request } = yield* serve()
      const { status, text } = yield* request("HEAD", "/health")
      assert.strictEqual(status, 200)
      assert.strictEqual(text, "")
    })
  )

  it.scopedLive("of a store that fails is 503 and keeps the reason to the log", () =>
    Effect.gen(function* () {
      const failing = Effect.fail(
        new RunStoreError({
          reason: "busy",
          message: "SELECT secret FROM runs: database is locked"
        })
      )
      const { get, logs, post } = yield* serve({
        store: () => ({
          list: () => failing,
          find: () => failing,
          findWithSteps: () => failing,
          create: () => failing,
          terminate: () => failing,
          wake: () => failing,
          requestInterrupt: () => failing
        })
      })
      for (const { body, status, text } of [
        yield* get("/runs"),
        yield* get("/runs/x"),
        yield* post("/runs", start("1")),
        yield* post("/runs/x/interrupt"),
        yield* post("/runs/x/terminate"),
        yield* post("/runs/x/resume"),
        yield* post("/runs/x/signals/y", { value: 1 })
      ]) {
        assert.strictEqual(status, 503)
        assert.strictEqual(body._tag, "StoreNotAvailable")
        assert.notInclude(text, "SELECT")
      }
      assert.strictEqual(logs.filter((line) => line.includes("database is locked")).length, 7)
    })
  )

  it.scopedLive("of a defect is 500 in JSON and keeps the reason to the log", () =>
    Effect.gen(function* () {
      const { get, logs } = yield* serve({ store: () => ({ list: () => Effect.die("boom") }) })
      const { body, status, text } = yield* get("/runs")
      assert.strictEqual(status, 500)
      assert.strictEqual(body._tag, "InternalError")
      assert.notInclude(text, "boom")
      assert.isTrue(logs.some((line) => line.includes("boom")))
    })
  )

  it.scopedLive("leaves no line in the log when nothing is wrong", () =>
    Effect.gen(function* () {
      const { get, logs, post } = yield* serve()
      yield* get("/health")
      yield* post("/runs", start("1"))
      yield* get("/runs")
      assert.deepStrictEqual(
        logs.filter((line) => !/level=DEBUG|no RunAccess was given/.test(line)),
        []
      )
    })
  )
})
