/** Runs with long records and large values, as the client and the façade give them. */
import { FetchHttpClient, HttpServer } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Activity, DurableDeferred, Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Client from "../../src/client/Client.js"
import * as Executor from "../../src/Executor.js"
import * as PromiseExecutor from "../../src/facade/PromiseExecutor.js"
import * as Authorization from "../../src/http/Authorization.js"

const Go = DurableDeferred.make("Go")

class Refused extends Schema.TaggedError<Refused>()("Refused", { text: Schema.String }) {}

/** So many steps, the last of them once it is told to go on; then a result or an error so large. */
const Long = Workflow.make({
  name: "Long",
  payload: {
    id: Schema.String,
    steps: Schema.Int,
    bytes: Schema.Int,
    ends: Schema.Literal("well", "badly")
  },
  success: Schema.String,
  error: Refused,
  idempotencyKey: ({ id }) => id
})

const LongLive = Long.toLayer(({ bytes, ends, steps }) =>
  Effect.gen(function* () {
    for (let n = 0; n < steps; n++) {
      if (n === steps - 1 && n > 0) yield* DurableDeferred.await(Go)
      yield* Activity.make({ name: `s${n}`, success: Schema.Number, execute: Effect.succeed(n) })
    }
    const text = "x".repeat(bytes)
    return ends === "well" ? text : yield* new Refused({ text })
  })
)

const authSecret = Redacted.make("0123456789abcdef0123456789abcdef")

const serve = Effect.gen(function* () {
  const context = yield* Executor.layerMemory({
    workflows: LongLive,
    http: { port: 0, authSecret }
  }).pipe(
    Layer.provideMerge(Authorization.layerTokens(authSecret)),
    Layer.provide(Logger.minimumLogLevel(LogLevel.None)),
    Layer.build
  )
  const baseUrl = HttpServer.formatAddress(Context.get(context, HttpServer.HttpServer).address)
  const token = yield* Context.get(context, Authorization.Tokens).sign()
  return yield* Effect.provide(Client.make({ baseUrl, token }), FetchHttpClient.layer)
})

const large = 1_100_000

const named = ({ steps }: { readonly steps: ReadonlyArray<{ readonly name: string }> }) =>
  steps.map(({ name }) => name)

const all = (count: number) => Array.from({ length: count }, (_, n) => `s${n}`)

describe("the client", () => {
  it.scopedLive("gives all steps of a run, or the first and then the others", () =>
    Effect.gen(function* () {
      const client = yield* serve
      const payload = { id: "1", steps: 1_100, bytes: 1, ends: "well" } as const
      const runId = yield* client.start(Long, payload)
      yield* Effect.repeat(client.get(runId, { steps: "first" }), {
        until: ({ status }) => status === "suspended",
        schedule: Schedule.spaced("200 millis")
      })
      const seen: Array<number> = []
      const first: Array<number> = []
      yield* Effect.all(
        [
          Stream.runForEach(client.watch(runId), ({ status, steps }) =>
            Effect.gen(function* () {
              seen.push(steps.length)
              if (status === "suspended") yield* client.signal(Go, { runId }, undefined)
            })
          ),
          Stream.runForEach(client.watch(runId, { steps: "first" }), ({ steps }) =>
            Effect.sync(() => first.push(steps.length))
          )
        ],
        { concurrency: "unbounded" }
      )
      expect(seen.at(-1)).toBe(1_100)
      expect(first.at(-1)).toBe(1_000)
      const run = yield* client.get(runId)
      expect(named(run)).toEqual(all(1_100))
      expect(run).not.toHaveProperty("stepsCursor")
      const { stepsCursor: cursor, ...start } = yield* client.get(runId, { steps: "first" })
      expect(named(start)).toEqual(all(1_000))
      const page = yield* client.steps({ runId, cursor })
      expect(named(page)).toEqual(all(1_100).slice(1_000))
      expect(yield* client.step({ runId, name: "s7", attempt: 1 })).toMatchObject({ result: 7 })
      const error = yield* Effect.flip(client.step({ runId, name: "s7", attempt: 2 }))
      expect(error).toMatchObject({ _tag: "StepNotFound" })
      const nowhere = yield* Effect.flip(client.step({ runId, name: "..", attempt: 1 }))
      expect(nowhere).toMatchObject({ _tag: "StepNotFound" })
      expect(yield* Effect.flip(client.steps({ runId, cursor: "none" }))).toMatchObject({
        _tag: "InvalidCursor"
      })
    })
  )

  it.scopedLive("gives a result and an error that are too large to come with the run", () =>
    Effect.gen(function* () {
      const client = yield* serve
      const payload = { id: "well", steps: 1, bytes: large, ends: "well" } as const
      const runId = yield* client.start(Long, payload)
      expect(yield* client.result(Long, runId)).toHaveLength(large)
      const run = yield* client.get(runId)
      expect(run).not.toHaveProperty("result")
      expect(run.leftOut?.result).toBeGreaterThan(large)
      expect((yield* client.outcome(runId)).result).toHaveLength(large)
      expect((yield* client.payload(runId)).payload).toEqual(payload)
      const failing = client.execute(Long, { ...payload, id: "badly", ends: "badly" })
      const error = yield* Effect.flip(failing)
      expect(error).toBeInstanceOf(Refused)
      expect(error).toMatchObject({ text: "x".repeat(large) })
    })
  )

  it.scopedLive("lists what is asked for, and the ids that begin so", () =>
    Effect.gen(function* () {
      const client = yield* serve
      const runId = yield* client.start(Long, { id: "1", steps: 1, bytes: 1, ends: "well" })
      yield* client.result(Long, runId)
      const [short] = (yield* client.list()).runs
      expect(short).not.toHaveProperty("payload")
      expect(short).not.toHaveProperty("result")
      const [whole] = (yield* client.list({ include: ["payload", "result"] })).runs
      expect(whole).toMatchObject({ payload: { id: "1" }, result: "x" })
      expect(yield* client.ids(runId.slice(0, 6))).toEqual({
        runs: [{ runId, workflow: "Long", status: "completed" }],
        more: false
      })
      expect(yield* Effect.flip(client.ids("abc"))).toMatchObject({ _tag: "InvalidQuery" })
    })
  )
})

describe("the façade", () => {
  it("watches all steps of a run", async () => {
    const executor = PromiseExecutor.memory({
      workflows: LongLive,
      logging: Logger.minimumLogLevel(LogLevel.None)
    })
    await executor.start()
    try {
      const payload = { id: "1", steps: 1_010, bytes: 1, ends: "well" } as const
      const runId = await executor.startRun(Long, payload)
      while ((await executor.poll(Long, runId)).status !== "suspended") {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      let steps: ReadonlyArray<string> = []
      for await (const run of executor.watch(runId)) {
        steps = named(run)
        if (run.status === "suspended") await executor.signal("Go", { runId })
      }
      expect(steps).toEqual(all(1_010))
    } finally {
      await executor.stop()
    }
  })
})
