/** Events of real executors, read over real sockets. */
import { HttpServer } from "@effect/platform"
import { assert, describe, expect, it } from "@effect/vitest"
import { Activity, Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Executor from "../../src/Executor.js"
import * as Events from "../../src/events/Events.js"
import * as Access from "../../src/http/Access.js"
import * as Authorization from "../../src/http/Authorization.js"
import * as Runs from "../../src/runner/Runs.js"
import { temporaryFolder } from "../store/files.js"
import { type EventReader, read } from "./EventReader.js"
import { connect, held, secret, serve } from "./Harness.js"

const Order = Workflow.make({
  name: "Order",
  payload: { id: Schema.String, steps: Schema.optionalWith(Schema.Int, { default: () => 2 }) },
  idempotencyKey: ({ id }) => id
})

const Other = Workflow.make({
  name: "Other",
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id
})

/** The first step waits for the gate of its run. */
const makeWorkflows = (gates: Map<string, Deferred.Deferred<void>>) =>
  Layer.merge(
    Order.toLayer(({ id, steps }) =>
      Effect.gen(function* () {
        for (let n = 1; n <= steps; n++) {
          const gate = n === 1 ? gates.get(id) : undefined
          yield* Activity.make({
            name: `${n}`,
            execute: gate === undefined ? Effect.void : Deferred.await(gate)
          })
        }
        if (id.startsWith("bad")) yield* Effect.die(new Error("bad"))
      })
    ),
    Other.toLayer(() => Activity.make({ name: "only", execute: Effect.void }))
  )

/** An executor with its API; `close` stops it, as SIGTERM does. */
const execute = Effect.fnUntraced(function* (
  options: {
    readonly database?: string
    readonly workflows?: Layer.Layer<never, never, Executor.Services>
    readonly access?: Layer.Layer<never>
  } = {}
) {
  const gates = new Map<string, Deferred.Deferred<void>>()
  const scope = yield* Scope.make()
  const complete = {
    workflows: options.workflows ?? makeWorkflows(gates),
    http: { port: 0, authSecret: Redacted.make(secret) }
  }
  const layer =
    options.database === undefined
      ? Executor.layerMemory(complete)
      : Executor.layer({ ...complete, database: options.database })
  const memoMap = yield* Layer.makeMemoMap
  const context = yield* layer.pipe(
    Layer.provideMerge(Authorization.layerTokens(Redacted.make(secret))),
    Layer.provide(options.access ?? Layer.empty),
    Layer.provide(Logger.minimumLogLevel(LogLevel.None)),
    Layer.buildWithMemoMap(memoMap, scope)
  )
  const close = yield* Effect.once(Scope.close(scope, Exit.void))
  yield* Effect.addFinalizer(() => close)
  const url = HttpServer.formatAddress(Context.get(context, HttpServer.HttpServer).address)
  const tokens = Context.get(context, Authorization.Tokens)
  const token = Redacted.value(yield* tokens.sign())
  const runs = Context.get(context, Runs.Runs)
  return {
    close,
    url,
    tokens,
    runs,
    events: Context.get(context, Events.Events),
    start: (id: string, payload: object = {}, workflow = "Order") =>
      Effect.map(
        Effect.orDie(runs.start({ workflow, payload: { id, ...payload } })),
        ({ runId }) => runId
      ),
    /** Keeps the first step of the run with this id from ending. */
    gate: (id: string) =>
      Effect.tap(Deferred.make<void>(), (gate) => Effect.sync(() => gates.set(id, gate))),
    read: (path: string, lastEventId?: string) =>
      read(`${url}${path}`, { token, ...(lastEventId === undefined ? {} : { lastEventId }) })
  }
})

/** An executor that has executed a run, and a reader of its events, who saw it. */
const executeOne = Effect.gen(function* () {
  const executor = yield* execute()
  const reader = yield* executor.read("/events")
  yield* reader.has("executor running")
  yield* executor.start("1")
  yield* reader.has("run completed")
  return { ...executor, reader }
})

const steps = (...names: ReadonlyArray<string>) =>
  names.flatMap((name) => [`step ${name} running`, `step ${name} completed`])

const sequences = ({ ids }: EventReader) => ids.map((id) => Number(id.split("-")[1]))

const isRising = (numbers: ReadonlyArray<number>) =>
  numbers.every((number, n) => n === 0 || number > (numbers[n - 1] ?? 0))

/** How many read events, of all servers in this process. */
const readersAt = (port: number, token: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, {
      headers: { authorization: `Bearer ${token}` }
    })
    const text = await response.text()
    return Number(/^workflow_executor_event_readers (\d+)$/m.exec(text)?.[1])
  })

describe("the events of a run", () => {
  it.scopedLive("are a snapshot, then its steps and its end, in their order, and then none", () =>
    Effect.gen(function* () {
      const { gate, read, start } = yield* execute()
      const opened = yield* gate("1")
      const runId = yield* start("1")
      const reader = yield* read(`/runs/${runId}/events`)
      yield* reader.has("snapshot running")
      const { headers, status } = reader.response
      expect(status).toBe(200)
      expect(headers.get("content-type")).toBe("text/event-stream")
      expect(headers.get("cache-control")).toBe("no-store")
      expect(headers.get("x-accel-buffering")).toBe("no")
      expect(reader.text).toMatch(/^retry: 1000\n\nid: [0-9a-f]{12}-\d+\nevent: snapshot\ndata: \{/)
      yield* Deferred.succeed(opened, undefined)
      expect(yield* reader.end).toBe("end")
      expect(reader.briefs.filter((brief) => brief !== "step 1 running")).toEqual([
        "snapshot running",
        "step 1 completed",
        ...steps("2"),
        "run completed"
      ])
      expect(isRising(sequences(reader).slice(1))).toBe(true)
      expect(reader.messages.at(-1)?.data).toEqual({
        type: "run",
        id: reader.lastId,
        at: expect.stringMatching(/^\d{4}-.*Z$/),
        runId,
        workflow: "Order",
        status: "completed"
      })
      expect(reader.messages.at(-2)?.data).toEqual({
        type: "step",
        id: reader.ids.at(-2),
        at: expect.stringMatching(/^\d{4}-.*Z$/),
        runId,
        workflow: "Order",
        name: "2",
        attempt: 1,
        status: "completed"
      })
    })
  )

  it.scopedLive("begin with what GET shows of it", () =>
    Effect.gen(function* () {
      const { read, runs, start } = yield* execute()
      const runId = yield* start("bad")
      const first = yield* read(`/runs/${runId}/events`)
      yield* first.end
      const reader = yield* read(`/runs/${runId}/events`)
      expect(yield* reader.end).toBe("end")
      expect(reader.briefs).toEqual(["snapshot failed"])
      expect(reader.messages[0]?.data.run).toEqual(yield* runs.get(runId))
    })
  )

  it.scopedLive("go on after the last one that is known: none is lost, and none comes twice", () =>
    Effect.gen(function* () {
      const { gate, read, start } = yield* execute()
      for (let n = 0; n < 10; n++) {
        const opened = yield* gate(`${n}`)
        const runId = yield* start(`${n}`, { steps: 8 })
        const path = `/runs/${runId}/events`
        const steady = yield* read(path)
        yield* steady.has("snapshot running")
        let broken = yield* read(path)
        yield* broken.has("snapshot running")
        const ids: Array<string> = []
        const told: Array<string> = []
        yield* Deferred.succeed(opened, undefined)
        while (!told.includes("run completed")) {
          const { messages } = broken
          yield* broken.until(() => messages.length > 0)
          // whatever has come by now
          yield* broken.close
          const seen = messages.slice()
          ids.push(...seen.map(({ id }) => id ?? ""))
          told.push(...broken.briefs.slice(0, seen.length))
          broken = yield* read(path, ids.at(-1))
        }
        yield* steady.end
        const known = (briefs: ReadonlyArray<string>) =>
          briefs.filter((brief) => brief !== "step 1 running")
        expect(known(told)).toEqual([
          "snapshot running",
          "step 1 completed",
          ...steps("2", "3", "4", "5", "6", "7", "8"),
          "run completed"
        ])
        expect(known(steady.briefs)).toEqual(known(told))
        // there is nothing more to come
        expect(broken.response.status).toBe(204)
      }
    })
  )

  it.scopedLive("of another process, or too long ago, are reset", () =>
    Effect.gen(function* () {
      const { events, gate, read, start } = yield* execute()
      const opened = yield* gate("1")
      const runId = yield* start("1")
      for (const lastEventId of ["000000000000-1", "nothing", events.idOf(1_000_000)]) {
        const reader = yield* read(`/runs/${runId}/events`, lastEventId)
        yield* reader.has("snapshot running")
        expect(reader.briefs).toEqual(["reset", "snapshot running"])
        yield* reader.close
      }
      const first = events.idOf(events.position())
      for (let n = 0; n < 5_000; n++) {
        events.publish({ type: "executor", at: n, state: "running" })
      }
      const reader = yield* read(`/runs/${runId}/events`, first)
      yield* reader.has("snapshot running")
      expect(reader.briefs).toEqual(["reset", "snapshot running"])
      // an EventSource that knows none sends an empty one
      const fresh = yield* read(`/runs/${runId}/events`, "")
      yield* fresh.has("snapshot running")
      expect(fresh.briefs).toEqual(["snapshot running"])
      yield* Deferred.succeed(opened, undefined)
      yield* fresh.end
    })
  )

  it.scopedLive("end when it is deleted", () =>
    Effect.gen(function* () {
      const { port, store, token, runs } = yield* serve()
      const { runId } = yield* runs.start({ workflow: "Order", payload: { id: "1" } })
      const reader = yield* read(`http://127.0.0.1:${port}/runs/${runId}/events`, { token })
      yield* reader.has("snapshot pending")
      const executor = yield* store.register({ host: "test", pid: 1, leaseMillis: 60_000 })
      const [run] = yield* store.claim({ executor, workflows: ["Order"], limit: 1 })
      if (run === undefined) return assert.fail("not claimed")
      yield* store.complete({ held: run.held, status: "failed", exit: "0" })
      yield* reader.end
      expect(reader.briefs).toEqual(["snapshot pending", "run running", "run failed"])
      const all = yield* read(`http://127.0.0.1:${port}/events`, { token })
      yield* all.has("executor running")
      yield* runs.retry(runId)
      yield* runs.interrupt(runId)
      const again = yield* store.claim({ executor, workflows: ["Order"], limit: 1 })
      for (const { held } of again) {
        yield* store.complete({ held, status: "interrupted", exit: "0" })
      }
      yield* runs.remove(runId)
      yield* all.has("run deleted")
      expect(all.briefs.slice(1)).toEqual([
        "run pending",
        "run running",
        "run interrupted",
        "run deleted"
      ])
    })
  )

  it.scopedLive("are not there where there is no such run", () =>
    Effect.gen(function* () {
      const { get } = yield* serve()
      const { body, status } = yield* get("/runs/nothing/events")
      expect(status).toBe(404)
      expect(body).toMatchObject({ _tag: "RunNotFound", runId: "nothing" })
      expect((yield* get("/runs/nothing/events", { token: null })).status).toBe(401)
      expect((yield* get("/events", { token: "x" })).status).toBe(401)
    })
  )

  it.scopedLive("are not sent to who asks for the head of the answer alone", () =>
    Effect.gen(function* () {
      const { request, runs } = yield* serve()
      const { runId } = yield* runs.start({ workflow: "Order", payload: { id: "1" } })
      for (const path of ["/events", `/runs/${runId}/events`]) {
        const { headers, status, text } = yield* request("HEAD", path)
        expect({ status, text }).toEqual({ status: 200, text: "" })
        expect(headers.get("content-type")).toBe("text/event-stream")
      }
    })
  )

  it.scopedLive("are snapshots where another process on the file executes it", () =>
    Effect.gen(function* () {
      const database = `${yield* temporaryFolder}/executor.db`
      const here = yield* execute({ database, workflows: Layer.empty })
      const there = yield* execute({ database })
      const opened = yield* there.gate("1")
      const runId = yield* there.start("1")
      const reader = yield* here.read(`/runs/${runId}/events`)
      yield* reader.has("snapshot running")
      yield* Deferred.succeed(opened, undefined)
      expect(yield* reader.end).toBe("end")
      expect(reader.briefs.at(-1)).toBe("snapshot completed")
      expect(new Set(reader.briefs)).toEqual(new Set(["snapshot running", "snapshot completed"]))
      const statuses = reader.messages.map(({ data }) => JSON.stringify(data.run))
      expect(new Set(statuses).size).toBe(statuses.length)
      // who was away meanwhile is told all the same
      const back = yield* here.read(`/runs/${runId}/events`, reader.ids[0])
      expect(yield* back.end).toBe("end")
      expect(back.briefs).toEqual(["snapshot completed"])
    })
  )
})

describe("the events of an executor", () => {
  it.scopedLive("are the Runner's state, then all that happens", () =>
    Effect.gen(function* () {
      const { reader } = yield* executeOne
      expect(reader.briefs).toEqual([
        "executor running",
        "run running",
        ...steps("1", "2"),
        "run completed"
      ])
      expect(isRising(sequences(reader))).toBe(true)
    })
  )

  it.scopedLive("are those of one workflow, where that is asked for", () =>
    Effect.gen(function* () {
      const { read, start } = yield* execute()
      const all = yield* read("/events")
      const reader = yield* read("/events?workflow=Other")
      yield* reader.has("executor running")
      yield* all.has("executor running")
      yield* start("1")
      yield* all.has("run completed")
      yield* start("1", {}, "Other")
      yield* reader.has("run completed")
      expect(reader.briefs).toEqual([
        "executor running",
        "run running",
        ...steps("only"),
        "run completed"
      ])
      const back = yield* read("/events?workflow=Other", all.ids[0])
      yield* back.has("run completed")
      expect(back.briefs).toEqual(reader.briefs.slice(1))
    })
  )

  it.scopedLive("go on after the last one that is known, or are reset", () =>
    Effect.gen(function* () {
      const { read, reader, start } = yield* executeOne
      const { briefs, ids } = reader
      for (const [n, id] of ids.entries()) {
        const back = yield* read("/events", id)
        yield* start(`again ${n}`)
        yield* back.until(() => back.messages.length === briefs.length - 1 - n + 6 * (n + 1))
        expect(back.briefs.slice(0, briefs.length - 1 - n)).toEqual(briefs.slice(n + 1))
        yield* back.close
      }
      const reset = yield* read("/events", "000000000000-1")
      yield* reset.has("executor running")
      expect(reset.briefs).toEqual(["reset", "executor running"])
    })
  )

  it.scopedLive("leave out the runs that may not be read", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const access = Layer.succeed(Access.RunAccess, {
        allows: ({ action, run }) =>
          Effect.sync(() => {
            asked.push(action)
            return run.workflow === "Other"
          })
      })
      const { read, start } = yield* execute({ access })
      const reader = yield* read("/events")
      yield* reader.has("executor running")
      const hidden = yield* start("1")
      yield* start("1", {}, "Other")
      yield* reader.has("run completed")
      expect(reader.briefs).toEqual([
        "executor running",
        "run running",
        ...steps("only"),
        "run completed"
      ])
      expect(new Set(asked)).toEqual(new Set(["read"]))
      expect((yield* read(`/runs/${hidden}/events`)).response.status).toBe(403)
    })
  )

  it.scopedLive("end where it cannot be said what may be read, for the reader to come back", () =>
    Effect.gen(function* () {
      const access = Layer.succeed(Access.RunAccess, { allows: () => Effect.fail("away") })
      const { read, start } = yield* execute({ access })
      const reader = yield* read("/events")
      yield* reader.has("executor running")
      yield* start("1")
      expect(yield* reader.end).toBe("end")
      expect(reader.briefs).toEqual(["executor running"])
    })
  )
})

describe("a stop", () => {
  it.scopedLive("tells its readers of the drain, and ends them when it is over", () =>
    Effect.gen(function* () {
      const { close, gate, read, runs, start } = yield* execute()
      const opened = yield* gate("1")
      const runId = yield* start("1")
      const all = yield* read("/events")
      const ofRun = yield* read(`/runs/${runId}/events`)
      yield* all.has("executor running")
      yield* ofRun.has("snapshot running")
      const closing = yield* Effect.fork(close)
      yield* all.has("executor draining")
      // one that comes during the drain is let in
      const late = yield* read("/events")
      yield* late.has("executor draining")
      expect((yield* runs.get(runId)).status).toBe("running")
      yield* Deferred.succeed(opened, undefined)
      yield* Fiber.join(closing)
      for (const reader of [all, ofRun, late]) expect(yield* reader.end).toBe("end")
      expect(all.briefs).toEqual([
        "executor running",
        "executor draining",
        "step 1 completed",
        "run pending",
        "executor stopped"
      ])
      expect(late.briefs).toEqual(all.briefs.slice(1))
      expect(ofRun.briefs.slice(-2)).toEqual(["step 1 completed", "run pending"])
    })
  )

  it.scopedLive("that has nothing to wait for tells of it all the same", () =>
    Effect.gen(function* () {
      const { close, read } = yield* execute()
      const reader = yield* read("/events")
      yield* reader.has("executor running")
      yield* close
      expect(yield* reader.end).toBe("end")
      expect(reader.briefs).toEqual(["executor running", "executor draining", "executor stopped"])
    })
  )

  it.scoped("of the server alone ends its readers, and does not wait for them", () =>
    Effect.gen(function* () {
      const { close, logs, port, runs, token } = yield* serve()
      const { runId } = yield* Effect.orDie(runs.start({ workflow: "Order", payload: { id: "1" } }))
      const url = `http://127.0.0.1:${port}`
      const all = yield* read(`${url}/events`, { token })
      const ofRun = yield* read(`${url}/runs/${runId}/events`, { token })
      yield* all.has("executor running")
      yield* ofRun.has("snapshot pending")
      // the clock stands still: nothing is waited for
      yield* close
      expect(yield* all.end).toBe("end")
      expect(yield* ofRun.end).toBe("end")
      assert.notMatch(logs.join(), /\bcut\b/)
    })
  )
})

/** Lets readers be written to. */
const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

const request = (path: string, token: string, more = "") =>
  `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n${more}\r\n`

describe("a reader", () => {
  it.scoped("to whom nothing happens is sent a comment every 15 seconds, and the newest id", () =>
    Effect.gen(function* () {
      const { events, port, token } = yield* serve()
      const reader = yield* read(`http://127.0.0.1:${port}/events?workflow=Order`, { token })
      yield* reader.has("executor running")
      events.publish({ type: "run", at: 0, runId: "1", workflow: "Other", status: "pending" })
      yield* TestClock.adjust("15 seconds")
      const last = events.idOf(events.position())
      yield* reader.until(() => reader.text.endsWith(`\n\n: keep-alive\nid: ${last}\n\n`))
      yield* TestClock.adjust("14 seconds")
      expect(reader.text.match(/: keep-alive/g)).toHaveLength(1)
      yield* TestClock.adjust("1 seconds")
      yield* reader.until(() => reader.text.match(/: keep-alive/g)?.length === 2)
    })
  )

  it.scoped("is let in until its token expires", () =>
    Effect.gen(function* () {
      const { port, tokens } = yield* serve()
      const token = Redacted.value(yield* tokens.sign({ expiresIn: "20 seconds" }))
      const reader = yield* read(`http://127.0.0.1:${port}/events`, { token })
      yield* reader.has("executor running")
      yield* TestClock.adjust("19 seconds")
      yield* reader.until(() => reader.text.includes(": keep-alive"))
      expect(reader.ended).toBeUndefined()
      yield* TestClock.adjust("1 seconds")
      expect(yield* reader.end).toBe("end")
    })
  )

  it.scopedLive("who does not keep up is told so, ended, and can go on where it was", () =>
    Effect.gen(function* () {
      const { events, port, token } = yield* serve()
      const client = yield* connect(port)
      yield* client.send(request("/events", token, "connection: close\r\n"))
      const idle = yield* read(`http://127.0.0.1:${port}/events`, { token })
      yield* idle.has("executor running")
      const runId = "x".repeat(1_000)
      // more than what the buffers of both sides hold
      for (let n = 0; n < 60_000; n++) {
        events.publish({ type: "run", at: n, runId, workflow: "Order", status: "pending" })
        if (n % 500 === 499) yield* idle.until(() => idle.messages.length === n + 2)
      }
      expect(events.position()).toBe(60_000)
      const text = yield* client.until(/event: overflow\ndata: \{\}\n\n\r\n0\r\n\r\n$/)
      yield* client.closed
      const told = text.match(/^event: run$/gm)?.length ?? 0
      expect(told).toBeGreaterThan(1_000)
      expect(told).toBeLessThan(60_000)
      const ids = Array.from(text.matchAll(/^id: \w+-(\d+)$/gm), ([, id]) => Number(id))
      expect(ids).toEqual(Array.from({ length: told + 1 }, (_, n) => n))
      expect(idle.ended).toBeUndefined()
    })
  )

  for (const path of ["/events", "/runs/1/events"]) {
    it.scoped(`of ${path} who never reads is cut a second after the server closes`, () =>
      Effect.gen(function* () {
        const { close, events, logs, port, store, token } = yield* serve()
        yield* held(store, { runId: "1", workflow: "Order", payload: "{}" })
        const readers = readersAt(port, token)
        const before = yield* readers
        const client = yield* connect(port)
        yield* client.send(request(path, token))
        const other = yield* read(`http://127.0.0.1:${port}/runs/1/events`, { token })
        yield* other.has("snapshot running")
        // what is published before it was let in is not for it
        yield* Effect.repeat(readers, { until: (now) => now === before + 2 })
        const name = "x".repeat(10_000)
        for (let n = 0; n < 3_000; n++) {
          events.publish({
            type: "step",
            at: n,
            runId: "1",
            workflow: "Order",
            name,
            attempt: n,
            status: "running"
          })
          if (n % 100 === 0) yield* turn
        }
        const closing = yield* Effect.fork(close)
        yield* TestClock.adjust("1 seconds")
        while (closing.unsafePoll() === null) {
          yield* turn
          yield* TestClock.adjust("1 seconds")
        }
        yield* Fiber.join(closing)
        yield* client.closed
        assert.include(logs.join(), "were cut: 1")
      })
    )
  }

  it.scopedLive("that goes away is forgotten, and is no error", () =>
    Effect.gen(function* () {
      const { logs, port, token } = yield* serve()
      const readers = readersAt(port, token)
      const before = yield* readers
      const client = yield* connect(port)
      yield* client.send(request("/events", token))
      yield* client.until(/executor/)
      expect(yield* readers).toBe(before + 1)
      client.socket.destroy()
      yield* Effect.repeat(readers, { until: (now) => now === before })
      assert.notInclude(logs.join(), "level=ERROR")
    })
  )

  it.scopedLive("of a file's executor is told what is committed", () =>
    Effect.gen(function* () {
      const database = `${yield* temporaryFolder}/executor.db`
      const { read, start } = yield* execute({ database })
      const reader = yield* read("/events")
      yield* reader.has("executor running")
      for (let n = 0; n < 50; n++) yield* start(`${n}`)
      yield* reader.until(() => reader.briefs.filter((b) => b === "run completed").length === 50)
      for (const { data } of reader.messages) {
        if (data.type !== "run" || data.status !== "running") continue
        const ofRun = reader.messages.filter((message) => message.data.runId === data.runId)
        expect(ofRun.map(({ data }) => `${data.name ?? "run"} ${data.status}`)).toEqual([
          "run running",
          "1 running",
          "1 completed",
          "2 running",
          "2 completed",
          "run completed"
        ])
      }
    })
  )
})
