/** Against a real executor with its HTTP API, in memory. */
import { FetchHttpClient, HttpServer } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Activity, DurableDeferred, Workflow, type WorkflowEngine } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Client from "../../src/client/Client.js"
import * as Executor from "../../src/Executor.js"
import { Signals } from "../../src/engine/Signals.js"
import * as Authorization from "../../src/http/Authorization.js"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  since: Schema.Date,
  message: Schema.String
}) {}

/** Has neither `_tag` nor `message`. */
class Refusal extends Schema.Class<Refusal>("Refusal")({ code: Schema.BigInt }) {}

class Receipt extends Schema.Class<Receipt>("Receipt")({
  id: Schema.String,
  at: Schema.Date,
  note: Schema.optionalWith(Schema.String, { as: "Option" })
}) {}

// with a name that a path cannot have as it is
const Approval = DurableDeferred.make("Approval/1?", { success: Schema.Date })

const Order = Workflow.make({
  name: "Order",
  payload: Schema.Struct({
    id: Schema.String,
    due: Schema.optionalWith(Schema.Date, { default: () => then }),
    ends: Schema.optionalWith(Schema.String, { default: () => "well" })
  }),
  success: Schema.NullOr(Receipt),
  error: Schema.Union(OutOfStock, Refusal, Schema.Number, Schema.String),
  idempotencyKey: ({ id }) => id
}).annotate(Signals, [Approval])

const Tick = Workflow.make({ name: "Tick", payload: {}, idempotencyKey: () => "tick" })

const Unheard = Workflow.make({
  name: "Unheard",
  payload: {},
  idempotencyKey: () => "unheard"
})

const then = new Date("2026-01-02T03:04:05.678Z")

const outOfStock = new OutOfStock({ since: then, message: "none left" })

const OrderLive = Order.toLayer(({ due, ends, id }) =>
  Effect.gen(function* () {
    yield* Activity.make({ name: "work", execute: Effect.void })
    switch (ends) {
      case "null":
        return null
      case "out of stock":
        return yield* outOfStock
      case "refused":
        return yield* Effect.fail(new Refusal({ code: 42n }))
      case "in plain words":
        return yield* Effect.fail("sold out")
      case "in a number":
        return yield* Effect.fail(7)
      case "unexpectedly":
        return yield* Effect.die(new TypeError("not a function"))
      case "when approved":
        return new Receipt({ id, at: yield* DurableDeferred.await(Approval), note: Option.none() })
      default:
        return new Receipt({ id, at: due, note: Option.some("thanks") })
    }
  })
)

const workflows = Layer.merge(
  OrderLive,
  Tick.toLayer(() => Effect.void)
)

const authSecret = Redacted.make("0123456789abcdef0123456789abcdef")

const quiet = Logger.minimumLogLevel(LogLevel.None)

/** An executor, and clients of it. */
const serve = Effect.gen(function* () {
  const context = yield* Executor.layerMemory({ workflows, http: { port: 0, authSecret } }).pipe(
    Layer.provideMerge(Authorization.layerTokens(authSecret)),
    Layer.provide(quiet),
    Layer.build
  )
  const baseUrl = HttpServer.formatAddress(Context.get(context, HttpServer.HttpServer).address)
  const tokens = Context.get(context, Authorization.Tokens)
  const token = yield* tokens.sign()
  const connect = (options: Partial<Client.Options> = {}) =>
    Effect.provide(
      Client.make({ baseUrl, token, pollInterval: "50 millis", ...options }),
      FetchHttpClient.layer
    )
  const inProcess = <A, E>(effect: Effect.Effect<A, E, WorkflowEngine.WorkflowEngine>) =>
    Effect.provide(effect, context)
  return { baseUrl, token, tokens, connect, client: yield* connect(), inProcess }
})

/** Without what only a process knows: the ids of fibers. */
const comparable = <A, E>(exit: Exit.Exit<A, E>) =>
  Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause) ? "interrupted" : exit

describe("a result", () => {
  const ends = [
    "well",
    "null",
    "out of stock",
    "refused",
    "in plain words",
    "in a number",
    "unexpectedly"
  ]
  for (const end of ends) {
    it.scopedLive(`of a run that ends ${end} is what the engine gives`, () =>
      Effect.gen(function* () {
        const { client, inProcess } = yield* serve
        const payload = { id: "1", ends: end }
        const there = yield* Effect.exit(inProcess(Order.execute(payload)))
        const here = yield* Effect.exit(client.execute(Order, payload))
        expect(comparable(here)).toEqual(comparable(there))
        const runId = yield* client.start(Order, payload)
        expect(yield* Effect.exit(client.result(Order, runId))).toEqual(here)
      })
    )
  }

  it.scopedLive("dies where the run died", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const exit = yield* Effect.exit(client.execute(Order, { id: "1", ends: "unexpectedly" }))
      const defect = Exit.isFailure(exit) ? Cause.dieOption(exit.cause) : Option.none()
      expect(Option.getOrThrow(defect)).toMatchObject({ message: "not a function" })
    })
  )

  it.scopedLive("has the classes of the workflow's schemas", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const value = yield* client.execute(Order, { id: "1", due: new Date(0) })
      expectTypeOf(value).toEqualTypeOf<Receipt | null>()
      expect(value).toEqual(new Receipt({ id: "1", at: new Date(0), note: Option.some("thanks") }))
      const error = yield* Effect.flip(client.execute(Order, { id: "2", ends: "out of stock" }))
      assert.instanceOf(error, OutOfStock)
      const caught = yield* client
        .execute(Order, { id: "2", ends: "out of stock" })
        .pipe(Effect.catchTag("OutOfStock", ({ since }) => Effect.succeed(since)))
      expect(caught).toEqual(then)
    })
  )

  it.scopedLive("needs no payload where the workflow takes none", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const runId = yield* client.start(Tick)
      yield* client.result(Tick, runId)
      expect((yield* client.get(runId)).status).toBe("completed")
    })
  )

  it.scopedLive("is waited for until the signal comes", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const runId = yield* client.start(Order, { id: "1", ends: "when approved" })
      yield* Effect.repeat(client.get(runId), {
        until: ({ status }) => status === "suspended",
        schedule: Schedule.spaced("5 millis")
      })
      yield* client.resume(runId)
      yield* client.signal(Approval, { runId }, then)
      expect(yield* client.result(Order, runId)).toMatchObject({ id: "1", at: then })
    })
  )

  it.scopedLive("is waited for until the signal comes by its token", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const executionId = yield* client.start(Order, { id: "1", ends: "when approved" })
      const token = DurableDeferred.tokenFromExecutionId(Approval, { workflow: Order, executionId })
      yield* client.signal(Approval, { token }, then)
      expect(yield* client.result(Order, executionId)).toMatchObject({ id: "1", at: then })
    })
  )

  it.scopedLive(
    "of a run that is interrupted fails as such, and does not interrupt the caller",
    () =>
      Effect.gen(function* () {
        const { client } = yield* serve
        const runId = yield* client.start(Order, { id: "1", ends: "when approved" })
        yield* client.interrupt(runId)
        const error = yield* Effect.flip(client.result(Order, runId))
        assert.instanceOf(error, Client.RunInterrupted)
      })
  )

  it.scopedLive("of a run that is terminated fails as such, and the run is over then", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const runId = yield* client.start(Order, { id: "1", ends: "when approved" })
      expect(yield* client.terminate(runId, { reason: "a test" })).toEqual({ terminated: 1 })
      assert.instanceOf(yield* Effect.flip(client.result(Order, runId)), Client.RunInterrupted)
      expect((yield* client.get(runId)).error).toMatchObject({ reason: "a test" })
      expect(yield* Effect.flip(client.terminate(runId))).toMatchObject({ _tag: "RunFinished" })
    })
  )

  it.scopedLive("of another workflow, or of no run, is not found", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const runId = yield* client.start(Order, { id: "1", ends: "when approved" })
      const other = yield* Effect.flip(client.result(Tick, runId))
      expect(other).toMatchObject({
        _tag: "RunNotFound",
        message: `Run ${runId} is one of workflow "Order", not of "Tick"`
      })
      const none = yield* Effect.flip(client.result(Order, "a/b?c#d%"))
      expect(none).toMatchObject({ _tag: "RunNotFound", runId: "a/b?c#d%" })
    })
  )

  it.scopedLive("that the workflow's schemas here do not read says so", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const OtherOrder = Workflow.make({
        name: "Order",
        payload: { id: Schema.String },
        success: Schema.Number,
        idempotencyKey: ({ id }) => id
      })
      const error = yield* Effect.flip(client.execute(OtherOrder, { id: "1" }))
      expect(error).toMatchObject({ _tag: "UnreadableResult", workflow: "Order" })
    })
  )
})

describe("events", () => {
  it.scopedLive("of a run come until it is over, also to one who comes later", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const runId = yield* client.start(Order, { id: "1", ends: "when approved" })
      const first = yield* Deferred.make<void>()
      const told = yield* client.events({ runId }).pipe(
        Stream.tap(() => Deferred.succeed(first, undefined)),
        Stream.runCollect,
        Effect.fork
      )
      yield* Deferred.await(first)
      yield* client.signal(Approval, { runId }, then)
      const events = Chunk.toReadonlyArray(yield* Fiber.join(told))
      expect(events.at(-1)).toMatchObject({ type: "run", runId, status: "completed" })
      const [snapshot] = yield* Stream.runCollect(client.events({ runId }))
      expect(snapshot).toMatchObject({ type: "snapshot", run: yield* client.get(runId) })
      const known = client.events({ runId, lastEventId: events.at(-1)?.id })
      expect(Chunk.size(yield* Stream.runCollect(known))).toBe(0)
    })
  )

  it.scopedLive("of the executor come from where they are asked for, without end", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const started = yield* Deferred.make<string>()
      const told = yield* client.events({ workflow: "Tick" }).pipe(
        Stream.tap(({ id }) => Deferred.succeed(started, id)),
        Stream.takeUntil((event) => event.type === "run" && event.status === "completed"),
        Stream.runCollect,
        Effect.fork
      )
      const lastEventId = yield* Deferred.await(started)
      yield* client.execute(Order, { id: "1" })
      yield* client.execute(Tick)
      const events = Chunk.toReadonlyArray(yield* Fiber.join(told))
      expect(events).toMatchObject([
        { type: "executor", state: "running" },
        { type: "run", workflow: "Tick", status: "running" },
        { type: "run", workflow: "Tick", status: "completed" }
      ])
      const again = yield* client
        .events({ workflow: "Tick", lastEventId })
        .pipe(Stream.take(2), Stream.runCollect)
      expect(Chunk.toReadonlyArray(again)).toEqual(events.slice(1))
    })
  )

  it.scopedLive("show the run whenever it has changed", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const runId = yield* client.start(Order, { id: "1", ends: "when approved" })
      const suspended = yield* Deferred.make<void>()
      const seen = yield* client.watch(runId).pipe(
        Stream.tap(({ status }) =>
          status === "suspended" ? Deferred.succeed(suspended, undefined) : Effect.void
        ),
        Stream.runCollect,
        Effect.fork
      )
      yield* Deferred.await(suspended)
      yield* client.signal(Approval, { runId }, then)
      const runs = Chunk.toReadonlyArray(yield* Fiber.join(seen))
      expect(runs.at(-1)).toEqual(yield* client.get(runId))
      expect(runs.filter(({ status }) => status === "completed")).toHaveLength(1)
      expect(yield* Effect.flip(Stream.runDrain(client.watch("nothing")))).toMatchObject({
        _tag: "RunNotFound"
      })
    })
  )

  it.scopedLive("that are not wanted any more close their connection", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const readers = Effect.map(
        Metric.snapshot,
        (pairs) =>
          pairs.find(({ metricKey }) => metricKey.name === "workflow_executor_event_readers")
            ?.metricState
      )
      const none = yield* readers
      const isNone = (now: typeof none) => JSON.stringify(now) === JSON.stringify(none)
      const soon = Schedule.spaced("5 millis")
      const runId = yield* client.start(Order, { id: "1", ends: "when approved" })
      const waiting = yield* Effect.fork(client.result(Order, runId))
      yield* Effect.repeat(readers, { until: (now) => !isNone(now), schedule: soon })
      yield* Fiber.interrupt(waiting)
      yield* Effect.repeat(readers, { until: isNone, schedule: soon })
      yield* Stream.runDrain(Stream.take(client.events(), 1))
      yield* Effect.repeat(readers, { until: isNone, schedule: soon })
    })
  )
})

describe("a request", () => {
  it.scopedLive("for a list gives pages, newest first", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const ids: Array<string> = []
      for (const id of ["1", "2", "3"]) {
        const runId = yield* client.start(Order, { id })
        yield* client.result(Order, runId)
        ids.unshift(runId)
      }
      const first = yield* client.list({ workflow: "Order", status: ["completed"], limit: 2 })
      expect(first.runs.map(({ runId }) => runId)).toEqual(ids.slice(0, 2))
      const second = yield* client.list({ limit: 2, cursor: first.nextCursor ?? "" })
      expect(second.runs.map(({ runId }) => runId)).toEqual(ids.slice(2))
      expect(second.nextCursor).toBeNull()
      expect((yield* client.list()).runs).toHaveLength(3)
      expect(yield* Effect.flip(client.list({ cursor: "none" }))).toMatchObject({
        _tag: "InvalidCursor"
      })
    })
  )

  it.scopedLive("to start a run says whether it was there, and when it ended", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const { runId, ...first } = yield* client.startOrFind(Order, { id: "1" })
      expect(first).toEqual({ created: true })
      yield* client.result(Order, runId)
      const { completedAt } = yield* client.get(runId)
      expect(yield* client.startOrFind(Order, { id: "1" })).toEqual({
        runId,
        created: false,
        status: "completed",
        completedAt
      })
      expect(yield* client.start(Order, { id: "1" })).toBe(runId)
      const found = yield* client.list({ workflow: "Order", key: "1" })
      expect(found.runs.map(({ runId }) => runId)).toEqual([runId])
    })
  )

  it.scopedLive("for a list is bounded by times", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const runId = yield* client.start(Order, { id: "1" })
      const created = new Date((yield* client.get(runId)).createdAt)
      const later = new Date(created.getTime() + 1)
      const found = (request: Parameters<typeof client.list>[0]) =>
        Effect.map(client.list(request), ({ runs }) => runs.length)
      expect(yield* found({ createdAfter: created, createdBefore: later })).toBe(1)
      expect(yield* found({ createdAfter: later })).toBe(0)
      expect(yield* found({ createdBefore: created })).toBe(0)
      expect(yield* found({ roots: true, mend: undefined })).toBe(1)
      expect(yield* found({ mend: true })).toBe(0)
      expect(yield* found({ parent: runId })).toBe(0)
    })
  )

  it.scopedLive("retries a failed run, counts it, and deletes it", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const runId = yield* client.start(Order, { id: "1", ends: "out of stock" })
      yield* Effect.flip(client.result(Order, runId))
      expect(yield* client.counts).toMatchObject({ failed: 1, completed: 0 })
      yield* client.retry(runId)
      yield* Effect.flip(client.result(Order, runId))
      yield* client.remove(runId)
      expect(yield* client.counts).toMatchObject({ failed: 0 })
      const missing = { _tag: "RunNotFound", runId }
      expect(yield* Effect.flip(client.remove(runId))).toMatchObject(missing)
      expect(yield* Effect.flip(client.retry(runId))).toMatchObject(missing)
    })
  )

  it.scopedLive("is refused a retry and a deletion where the run is not in a state for it", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      const runId = yield* client.start(Order, { id: "1" })
      yield* client.result(Order, runId)
      expect(yield* Effect.flip(client.retry(runId))).toMatchObject({
        _tag: "NotRetryable",
        status: "completed"
      })
      const waits = yield* client.start(Order, { id: "2", ends: "when approved" })
      expect(yield* Effect.flip(client.remove(waits))).toMatchObject({ _tag: "RunNotFinished" })
    })
  )

  it.scopedLive("for the executors shows the one that answers", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      expect(yield* client.executors).toMatchObject([
        { pid: process.pid, state: "running", alive: true, self: true }
      ])
    })
  )

  it.scopedLive("without a token that lets it in is unauthorized, and is not repeated", () =>
    Effect.gen(function* () {
      const { baseUrl, connect } = yield* serve
      const refused = { _tag: "Unauthorized" }
      const none = yield* Effect.provide(Client.make({ baseUrl }), FetchHttpClient.layer)
      expect(yield* Effect.flip(none.list())).toMatchObject({
        ...refused,
        message: "token missing"
      })
      let requests = 0
      const token = Effect.sync(() => {
        requests++
        return Redacted.make("wrong")
      })
      const wrong = yield* connect({ token })
      expect(yield* Effect.flip(wrong.start(Order, { id: "1" }))).toMatchObject(refused)
      expect(requests).toBe(1)
      expect(yield* Effect.flip(wrong.result(Order, "1"))).toMatchObject(refused)
      expect(requests).toBe(2)
    })
  )

  it.scopedLive("takes a new token each time where it is given as an effect", () =>
    Effect.gen(function* () {
      const { connect, tokens } = yield* serve
      let asked = 0
      const token = Effect.suspend(() => {
        asked++
        return tokens.sign()
      })
      const client = yield* connect({ token })
      yield* client.list()
      yield* client.list()
      expect(asked).toBe(2)
    })
  )

  it.scopedLive("never tells a token that cannot be sent", () =>
    Effect.gen(function* () {
      const { connect } = yield* serve
      for (const secret of ["sec\nret", "sécret", "sec ret", ""]) {
        const client = yield* connect({ token: Redacted.make(secret) })
        const errors = [
          yield* Effect.flip(client.list()),
          yield* Effect.flip(Stream.runHead(client.events()))
        ]
        for (const error of errors) {
          expect(error).toMatchObject({ _tag: "ProtocolError" })
          if (secret !== "") expect(`${error} ${JSON.stringify(error)}`).not.toContain(secret)
        }
      }
    })
  )

  it.scopedLive("for a run whose id a path cannot have is for no other", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      yield* client.start(Order, { id: "1" })
      for (const runId of ["", ".", ".."]) {
        const requests = [
          client.get(runId),
          client.interrupt(runId),
          client.remove(runId),
          Stream.runHead(client.events({ runId }))
        ]
        for (const request of requests) {
          expect(yield* Effect.flip(request as Effect.Effect<unknown, unknown>)).toMatchObject({
            _tag: "RunNotFound",
            runId
          })
        }
      }
    })
  )

  it.scopedLive("says what is wrong with it", () =>
    Effect.gen(function* () {
      const { client } = yield* serve
      // @ts-expect-error the payload is typed
      expect(yield* Effect.flip(client.start(Order, { id: 1 }))).toMatchObject({
        _tag: "InvalidPayload",
        workflow: "Order"
      })
      expect(yield* Effect.flip(client.start(Unheard))).toMatchObject({
        _tag: "UnknownWorkflow",
        registered: ["Order", "Tick"]
      })
      const OtherOrder = Workflow.make({
        name: "Order",
        payload: { id: Schema.Number },
        idempotencyKey: ({ id }) => `${id}`
      })
      expect(yield* Effect.flip(client.start(OtherOrder, { id: 1 }))).toMatchObject({
        _tag: "InvalidPayload",
        message: expect.stringMatching(/Expected string, actual 1/)
      })
      const requests = [
        client.get("x"),
        client.interrupt("x"),
        client.resume("x"),
        client.terminate("x", { children: true })
      ]
      for (const request of requests as ReadonlyArray<Effect.Effect<unknown, unknown>>) {
        expect(yield* Effect.flip(request)).toMatchObject({ _tag: "RunNotFound", runId: "x" })
      }
      const target = { runId: yield* client.start(Order, { id: "1" }) }
      // @ts-expect-error the value is typed
      expect(yield* Effect.flip(client.signal(Approval, target, "yes"))).toMatchObject({
        _tag: "InvalidSignal"
      })
      const OtherApproval = DurableDeferred.make("Approval/1?", { success: Schema.Number })
      expect(yield* Effect.flip(client.signal(OtherApproval, target, 1))).toMatchObject({
        _tag: "InvalidSignal"
      })
      expect(yield* Effect.flip(client.signal(Approval, { token: "none" }, then))).toMatchObject({
        _tag: "InvalidSignal"
      })
    })
  )

  it.scopedLive("goes over any HttpClient", () =>
    Effect.gen(function* () {
      const { baseUrl, token } = yield* serve
      const client = (layer: Layer.Layer<Client.Client>) =>
        Effect.map(Layer.build(layer), Context.get(Client.Client))
      const undici = yield* client(
        Client.layer({ baseUrl, token }).pipe(Layer.provide(NodeHttpClient.layerUndici))
      )
      expect(yield* undici.execute(Order, { id: "1" })).toMatchObject({ id: "1" })
      const fetched = yield* client(Client.layerFetch({ baseUrl: `${baseUrl}/`, token }))
      expect((yield* fetched.list()).runs).toHaveLength(1)
    })
  )
})

describe("health", () => {
  it.scopedLive("is the Runner's state, without a token", () =>
    Effect.gen(function* () {
      const { connect } = yield* serve
      const client = yield* connect({ token: Redacted.make("wrong") })
      expect(yield* client.health).toBe("running")
    })
  )
})
