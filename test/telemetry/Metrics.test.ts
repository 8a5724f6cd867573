/** What is counted, after real runs. */
import { HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableDeferred, Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Executor from "../../src/Executor.js"
import * as Authorization from "../../src/http/Authorization.js"
import * as Runner from "../../src/runner/Runner.js"
import { RunStoreError } from "../../src/store/RunStore.js"
import * as Exposed from "../../src/telemetry/Exposed.js"
import { maxWorkflows, prefix, registered } from "../../src/telemetry/Metrics.js"
import { render } from "../../src/telemetry/Prometheus.js"
import {
  inProcess,
  layerMemory,
  noted,
  register,
  step,
  temporaryFile,
  textWorkflow,
  turns,
  until,
  untilSuspended,
  untilTrue
} from "../engine/support.js"
import { serve } from "../http/Harness.js"
import { parse, valueIn } from "./parse.js"

/** What our metrics say now. */
const measured = Effect.map(Metric.snapshot, (pairs) =>
  parse(render(pairs.filter(({ metricKey }) => metricKey.name.startsWith(prefix))))
)

const value = (name: string, labels: Record<string, string> = {}) =>
  Effect.map(measured, (families) => valueIn(families, prefix + name, labels))

const untilValue = (name: string, expected: number, labels: Record<string, string> = {}) =>
  until(
    `${name} becomes ${expected}`,
    Effect.map(value(name, labels), (value) => value === expected)
  )

const Gate = DurableDeferred.make("Gate", { success: Schema.String })

describe("runs and steps", () => {
  it.scoped("are counted by what they came to", () =>
    Effect.gen(function* () {
      const W = textWorkflow("Counted")
      yield* register(
        W.toLayer(({ id }) =>
          Effect.gen(function* () {
            yield* step("first")
            yield* Effect.exit(step("second", Effect.fail("no")))
            if (id === "bad") return yield* Effect.fail("bad")
            return id
          })
        )
      )
      const workflow = W.name
      assert.strictEqual(yield* value("runs_finished_total", { workflow, status: "failed" }), 0)
      for (const id of ["1", "2", "bad"]) yield* Effect.exit(W.execute({ id }))
      assert.strictEqual(yield* value("runs_finished_total", { workflow, status: "completed" }), 2)
      assert.strictEqual(yield* value("runs_finished_total", { workflow, status: "failed" }), 1)
      assert.strictEqual(yield* value("steps_total", { workflow, outcome: "completed" }), 3)
      assert.strictEqual(yield* value("steps_total", { workflow, outcome: "failed" }), 3)
      assert.strictEqual(yield* value("steps_total", { workflow, outcome: "cut" }), 0)
      assert.strictEqual(yield* value("step_duration_seconds_count", { workflow }), 6)
      assert.strictEqual(yield* value("steps_in_flight"), 0)
      yield* untilValue("runs_held", 0)
    }).pipe(Effect.provide(layerMemory()))
  )

  it.scoped("are gauged while they are held, in flight and waiting for room", () =>
    Effect.gen(function* () {
      const W = textWorkflow("Gauged")
      const go = yield* Deferred.make<void>()
      yield* register(W.toLayer(({ id }) => step("wait", Effect.as(Deferred.await(go), id))))
      for (const id of ["1", "2", "3"]) yield* W.execute({ id }, { discard: true })
      yield* untilValue("steps_waiting", 2)
      assert.strictEqual(yield* value("steps_in_flight"), 1)
      assert.strictEqual(yield* value("runs_held"), 3)
      yield* Deferred.succeed(go, undefined)
      yield* untilValue("runs_held", 0)
      assert.strictEqual(yield* value("steps_waiting"), 0)
      assert.strictEqual(yield* value("steps_in_flight"), 0)
    }).pipe(Effect.provide(layerMemory({ maxConcurrentSteps: 1 })))
  )

  it.scoped("of a drain that cuts and hands over leave nothing behind in the gauges", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const W = textWorkflow("Cut")
      const log: Array<string> = []
      const Live = W.toLayer(() =>
        Effect.all([step("stuck", Effect.zipRight(noted(log, "begun"), Effect.never)), step("b")], {
          concurrency: "unbounded"
        }).pipe(Effect.as("done"))
      )
      const cut = { workflow: W.name, outcome: "cut" }
      const drains = yield* value("drain_duration_seconds_count")
      yield* Effect.gen(function* () {
        yield* W.execute({ id: "1" }, { discard: true })
        yield* untilTrue("the step begins", () => log.length > 0)
        yield* turns()
        assert.strictEqual(yield* value("steps_in_flight"), 1)
      }).pipe(inProcess(filename, Live))
      assert.isAtLeast(yield* value("steps_total", cut), 1)
      assert.strictEqual(yield* value("steps_in_flight"), 0)
      assert.strictEqual(yield* value("runs_held"), 0)
      assert.strictEqual(yield* value("drain_duration_seconds_count"), drains + 1)
    })
  )

  it.scoped("that suspend are no longer held, and their steps that do so are counted", () =>
    Effect.gen(function* () {
      const W = textWorkflow("Suspends").annotate(Workflow.SuspendOnFailure, true)
      yield* register(W.toLayer(() => step("fails", Effect.fail("no"))))
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilSuspended(W, runId)
      yield* untilValue("runs_held", 0)
      assert.strictEqual(yield* value("steps_total", { workflow: W.name, outcome: "suspended" }), 1)
    }).pipe(Effect.provide(layerMemory()))
  )

  it.scoped("that are interrupted are counted as such", () =>
    Effect.gen(function* () {
      const W = textWorkflow("Interrupted")
      yield* register(W.toLayer(() => DurableDeferred.await(Gate)))
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilSuspended(W, runId)
      yield* W.interrupt(runId)
      yield* untilValue("runs_finished_total", 1, { workflow: W.name, status: "interrupted" })
    }).pipe(Effect.provide(layerMemory()))
  )
})

describe("the store", () => {
  it.scoped("has its commits measured, and the writes in them", () =>
    Effect.gen(function* () {
      const commits = yield* value("commit_writes_count")
      const writes = yield* value("commit_writes_sum")
      const W = textWorkflow("Committed")
      yield* register(W.toLayer(() => step("one")))
      yield* W.execute({ id: "1" })
      const more = (yield* value("commit_writes_count")) - commits
      assert.isAbove(more, 0)
      assert.isAtLeast((yield* value("commit_writes_sum")) - writes, more)
      assert.strictEqual(
        yield* value("commit_duration_seconds_count"),
        yield* value("commit_writes_count")
      )
    }).pipe(Effect.provide(layerMemory()))
  )
})

describe("GET /metrics", () => {
  const secret = Redacted.make("0123456789abcdef0123456789abcdef")

  const fetched = (url: string, token: Redacted.Redacted | undefined) =>
    Effect.promise(async () => {
      const headers: Record<string, string> =
        token === undefined ? {} : { authorization: `Bearer ${Redacted.value(token)}` }
      const response = await fetch(`${url}/metrics`, { headers })
      return { response, text: await response.text() }
    })

  const executor = (name: string) => {
    const W = textWorkflow(name)
    const workflows = W.toLayer(() =>
      Activity.make({ name: "only", success: Schema.String, execute: Effect.succeed("done") })
    )
    const layer = Executor.layerMemory({ workflows, http: { port: 0, authSecret: secret } })
    return { W, layer: Layer.provide(layer, Logger.remove(Logger.defaultLogger)) }
  }

  const addressOf = (context: Context.Context<HttpServer.HttpServer>) => {
    const { address } = Context.get(context, HttpServer.HttpServer)
    return `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
  }

  it.scopedLive("answers those who may read runs, in the format of Prometheus", () =>
    Effect.gen(function* () {
      const { W, layer } = executor("Scraped")
      const context = yield* Layer.build(layer)
      const url = addressOf(context)
      const { sign } = yield* Authorization.makeTokens(secret)
      assert.strictEqual((yield* fetched(url, undefined)).response.status, 401)
      const writer = yield* sign({ scopes: ["runs:write"] })
      assert.strictEqual((yield* fetched(url, writer)).response.status, 403)

      yield* Effect.provide(W.execute({ id: "1" }), context)
      const { response, text } = yield* fetched(url, yield* sign({ scopes: ["runs:read"] }))
      assert.strictEqual(response.status, 200)
      assert.strictEqual(
        response.headers.get("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
      )
      const families = parse(text)
      for (const [name, { help }] of families) {
        assert.isTrue(name.startsWith(prefix), name)
        assert.isDefined(help)
      }
      const labels = { workflow: "Scraped", status: "completed" }
      assert.strictEqual(valueIn(families, `${prefix}runs_finished_total`, labels), 1)
      assert.strictEqual(valueIn(families, `${prefix}runs`, { status: "completed" }), 1)
      assert.strictEqual(valueIn(families, `${prefix}runs`, { status: "pending" }), 0)
    })
  )

  it.scopedLive("answers without the runs in the store while that fails", () =>
    Effect.gen(function* () {
      const unavailable = new RunStoreError({ reason: "unavailable", message: "gone" })
      const { port, tokens } = yield* serve({
        store: () => ({ counts: Effect.fail(unavailable) })
      })
      const { response, text } = yield* fetched(`http://127.0.0.1:${port}`, yield* tokens.sign())
      assert.strictEqual(response.status, 200)
      const families = parse(text)
      assert.isFalse(families.has(`${prefix}runs`))
      assert.isTrue(families.has(`${prefix}writes_failed_total`))
    })
  )

  it.scopedLive("tells how long the oldest run waits that nobody has begun", () =>
    Effect.gen(function* () {
      const { port, store, tokens } = yield* serve()
      const token = yield* tokens.sign()
      const age = Effect.map(fetched(`http://127.0.0.1:${port}`, token), ({ text }) =>
        valueIn(parse(text), `${prefix}oldest_pending_age_seconds`)
      )
      assert.strictEqual(yield* age, 0)
      const executor = yield* store.register({ host: "test", pid: 1, leaseMillis: 60_000 })
      const run = { workflow: "A", payload: "{}" }
      // was begun once, and waits to be resumed
      const { claimed } = yield* store.create({ ...run, runId: "1" }, executor)
      if (claimed === undefined) throw new Error("not claimed")
      yield* store.release([{ held: claimed.held, timers: [] }])
      assert.deepStrictEqual(yield* store.oldestPending, Option.none())
      const { run: second } = yield* store.create({ ...run, runId: "2", workflow: "B" })
      yield* store.create({ ...run, runId: "3" })
      assert.deepStrictEqual(yield* store.oldestPending, Option.some(second.createdAt))
      // as time goes by the machine's own clock
      yield* until(
        "it is older than 0",
        Effect.map(age, (age) => age > 0)
      )
    })
  )

  it.scopedLive("tells how many runs wait to be mended", () =>
    Effect.gen(function* () {
      const { port, store, tokens } = yield* serve()
      const token = yield* tokens.sign()
      const toMend = Effect.map(fetched(`http://127.0.0.1:${port}`, token), ({ text }) =>
        valueIn(parse(text), `${prefix}runs_to_mend`)
      )
      assert.strictEqual(yield* toMend, 0)
      const executor = yield* store.register({ host: "test", pid: 1, leaseMillis: 60_000 })
      for (const cause of ["{}", undefined]) {
        const run = { workflow: "A", payload: "{}", runId: String(cause) }
        const { claimed } = yield* store.create(run, executor)
        if (claimed === undefined) throw new Error("not claimed")
        const { held, history } = claimed
        const suspension = { held, wakeups: history.wakeups, timers: [], wakeAt: undefined }
        yield* store.suspend({ ...suspension, cause })
      }
      assert.strictEqual(yield* toMend, 1)
      yield* store.wake("{}")
      assert.strictEqual(yield* toMend, 0)
    })
  )

  it.scopedLive("shows the app's own metrics where it says so, and answers through a drain", () =>
    Effect.gen(function* () {
      yield* Metric.increment(Metric.counter("orders_total"))
      const scope = yield* Scope.make()
      const { layer } = executor("Exposed")
      const context = yield* layer.pipe(
        Layer.provide(Exposed.layerAlso((name) => name === "orders_total")),
        Layer.buildWithScope(scope)
      )
      const { sign } = yield* Authorization.makeTokens(secret)
      const token = yield* sign()
      const drains = yield* value("drain_duration_seconds_count")
      yield* Context.get(context, Runner.Runner).drain
      const families = parse((yield* fetched(addressOf(context), token)).text)
      assert.strictEqual(valueIn(families, "orders_total"), 1)
      assert.strictEqual(valueIn(families, `${prefix}drain_duration_seconds_count`), drains + 1)
      yield* Scope.close(scope, Exit.void)
    })
  )
})

// the last one, for it takes all there is
describe("workflows beyond the most that have labels of their own", () => {
  it.scoped("are counted together", () =>
    Effect.gen(function* () {
      for (let i = 0; i < maxWorkflows; i++) registered(`Many${i}`)
      const W = textWorkflow("OneTooMany")
      yield* register(W.toLayer(() => step("one")))
      yield* W.execute({ id: "1" })
      const families = yield* measured
      const workflows = new Set(
        families.get(`${prefix}runs_finished_total`)?.samples.map(({ labels }) => labels.workflow)
      )
      assert.strictEqual(workflows.size, maxWorkflows + 1)
      assert.isFalse(workflows.has("OneTooMany"))
      const labels = { workflow: "other", status: "completed" }
      assert.strictEqual(valueIn(families, `${prefix}runs_finished_total`, labels), 1)
    }).pipe(Effect.provide(layerMemory()))
  )
})
