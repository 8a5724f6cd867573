/** A run in its caller's trace, through suspension, restart and compensation. */
import { HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { DurableDeferred, type Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Executor from "../../src/Executor.js"
import * as Authorization from "../../src/http/Authorization.js"
import { Runs } from "../../src/runner/Runs.js"
import {
  copyInto,
  exitOf,
  inProcess,
  layerMemory,
  pass,
  register,
  step,
  temporaryFile,
  textWorkflow,
  untilSuspended,
  untilTrue
} from "../engine/support.js"
import { recorder } from "./recorder.js"

const Gate = DurableDeferred.make("Gate", { success: Schema.String })

const open = (workflow: Workflow.Any, runId: string) =>
  DurableDeferred.succeed(Gate, {
    token: DurableDeferred.tokenFromExecutionId(Gate, { workflow, executionId: runId }),
    value: "go"
  })

const attributesOf = ({ attributes }: { readonly attributes: ReadonlyMap<string, unknown> }) =>
  Object.fromEntries(attributes)

/** A span of the user's own in a step, to see where a step's code is. */
const spanned = (name: string) => step(name, Effect.withSpan(Effect.succeed(name), `in ${name}`))

describe("a run's spans", () => {
  it.scoped("are in its caller's trace before and after a restart, steps under their pass", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const W = textWorkflow("Traced")
      const Live = W.toLayer(() =>
        Effect.gen(function* () {
          yield* spanned("before")
          yield* DurableDeferred.await(Gate)
          return yield* spanned("after")
        })
      )

      const first = recorder()
      const runId = yield* Effect.gen(function* () {
        const runId = yield* Effect.withSpan(W.execute({ id: "1" }, { discard: true }), "caller")
        yield* untilSuspended(W, runId)
        return runId
      }).pipe(inProcess(filename, Live), Effect.withTracer(first.tracer))
      const traceId = first.named("caller")[0]?.traceId
      assert.isDefined(traceId)

      const second = recorder()
      yield* Effect.gen(function* () {
        yield* open(W, runId)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("after"))
      }).pipe(inProcess(filename, Live), Effect.withTracer(second.tracer))

      for (const { above, named } of [first, second]) {
        assert.strictEqual(named("workflow.run").length, 1)
        for (const name of ["workflow.run", "before"]) {
          assert.deepStrictEqual(
            named(name).map((span) => span.traceId),
            [traceId]
          )
        }
        const [pass] = named("workflow.run")
        const [before] = named("before")
        if (pass === undefined || before === undefined) throw new Error("no span")
        assert.deepStrictEqual(above(before), ["workflow.run", ...above(pass)])
        assert.strictEqual(pass.kind, "consumer")
        assert.isDefined(pass.exit)
      }

      const common = { runId, workflow: W.name, pass: 1 }
      assert.deepStrictEqual(first.named("workflow.run").map(attributesOf), [
        { ...common, resumed: false, outcome: "suspended" }
      ])
      assert.deepStrictEqual(second.named("workflow.run").map(attributesOf), [
        { ...common, resumed: true, outcome: "ended" }
      ])
      // what was recorded is passed by; what was not is executed, with what the step does in it
      assert.isUndefined(first.named("before")[0]?.attributes.get("replayed"))
      assert.isTrue(second.named("before")[0]?.attributes.get("replayed"))
      assert.strictEqual(second.named("in before").length, 0)
      const [inAfter] = second.named("in after")
      if (inAfter === undefined) throw new Error("no span")
      assert.strictEqual(inAfter.traceId, traceId)
      assert.deepStrictEqual(second.above(inAfter).slice(0, 2), ["after", "workflow.run"])
    })
  )

  it.scoped("are in that trace after a crash too, and after passes in one process", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const copy = yield* temporaryFile
      const options = { leaseDuration: "1 hour" } as const
      const W = textWorkflow("Crashed")
      const stuck = yield* Deferred.make<void>()
      let entered = false
      const Live = W.toLayer(() =>
        Effect.gen(function* () {
          yield* DurableDeferred.await(Gate)
          return yield* step(
            "stuck",
            Effect.sync(() => {
              entered = true
            }).pipe(Effect.zipRight(Deferred.await(stuck)), Effect.as("done"))
          )
        })
      )
      const first = recorder()
      const runId = yield* Effect.gen(function* () {
        const runId = yield* Effect.withSpan(W.execute({ id: "1" }, { discard: true }), "caller")
        yield* untilSuspended(W, runId)
        yield* open(W, runId)
        yield* untilTrue("the step begins", () => entered)
        yield* copyInto(filename, copy)
        return runId
      }).pipe(
        inProcess(filename, Live, { ...options, maxWarmRuns: 0 }),
        Effect.withTracer(first.tracer)
      )

      yield* Deferred.succeed(stuck, undefined)
      const second = recorder()
      yield* Effect.gen(function* () {
        // the file as the crash left it: its runs are held until the lease lapses
        yield* pass("2 hours")
        yield* exitOf(W, runId)
      }).pipe(inProcess(copy, Live, options), Effect.withTracer(second.tracer))

      const passes = [...first.named("workflow.run"), ...second.named("workflow.run")]
      assert.isAtLeast(passes.length, 3)
      const traceId = first.named("caller")[0]?.traceId
      for (const span of passes) assert.strictEqual(span.traceId, traceId)
      const outcomes = passes.map(({ attributes }) => attributes.get("outcome"))
      assert.strictEqual(outcomes[0], "suspended")
      assert.strictEqual(outcomes.at(-1), "ended")
    })
  )

  it.scoped("have steps in branches, in steps, of compensations and of children below", () =>
    Effect.gen(function* () {
      const { above, named, tracer } = recorder()
      const Child = textWorkflow("SpannedChild")
      const W = textWorkflow("Spanned")
      const inner = step("inner")
      const Live = Layer.merge(
        Child.toLayer(() => spanned("of the child")),
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* Effect.all([spanned("left"), spanned("right")], { concurrency: "unbounded" })
            yield* step("outer", inner)
            yield* spanned("undone").pipe(
              W.withCompensation(() => Effect.asVoid(Effect.orDie(spanned("undo"))))
            )
            yield* Child.execute({ id: "1" })
            return yield* Effect.fail("failed")
          })
        )
      )
      yield* Effect.gen(function* () {
        yield* register(Live)
        yield* W.execute({ id: "1" }).pipe(Effect.exit, Effect.withSpan("caller"))
      }).pipe(Effect.provide(layerMemory()), Effect.withTracer(tracer))

      const traceId = named("caller")[0]?.traceId
      for (const name of ["left", "right", "inner", "undone", "undo", "of the child"]) {
        const executed = named(name).filter(({ attributes }) => !attributes.has("replayed"))
        assert.strictEqual(executed.length, 1, name)
        for (const span of executed) {
          assert.strictEqual(span.traceId, traceId, name)
          assert.include(above(span), "workflow.run", name)
        }
      }
      const ofChild = named("workflow.run").find(
        ({ attributes }) => attributes.get("workflow") === Child.name
      )
      if (ofChild === undefined) throw new Error("no span")
      assert.include(above(ofChild), "workflow.run")
      // a run that fails is a failed span
      const ended = named("workflow.run").filter(
        ({ attributes }) =>
          attributes.get("outcome") === "ended" && attributes.get("workflow") === W.name
      )
      assert.deepStrictEqual(
        ended.map(({ exit }) => exit),
        [Exit.fail("failed")]
      )
    })
  )

  it.scoped("begin a trace of their own where the caller has none", () =>
    Effect.gen(function* () {
      const { named, tracer } = recorder()
      const W = textWorkflow("Untraced")
      yield* Effect.gen(function* () {
        yield* register(W.toLayer(() => spanned("only")))
        const runs = yield* Runs
        yield* runs.start({ workflow: W.name, payload: { id: "1" } })
        yield* untilTrue("the run ends", () => named("workflow.run")[0]?.exit !== undefined)
      }).pipe(Effect.provide(layerMemory()), Effect.withTracer(tracer), Effect.withSpan("main"))
      assert.strictEqual(named("workflow.run")[0]?.parent._tag, "None")
      assert.strictEqual(named("only")[0]?.traceId, named("workflow.run")[0]?.traceId)
    })
  )

  it.scopedLive("continue the trace of a request's traceparent", () =>
    Effect.gen(function* () {
      const { above, named, tracer } = recorder()
      const W = textWorkflow("Requested")
      const secret = Redacted.make("0123456789abcdef0123456789abcdef")
      const context = yield* Executor.layerMemory({
        workflows: W.toLayer(() => spanned("only")),
        http: { port: 0, authSecret: secret }
      }).pipe(
        Layer.provide(Logger.remove(Logger.defaultLogger)),
        Layer.build,
        Effect.withTracer(tracer)
      )
      const { address } = Context.get(context, HttpServer.HttpServer)
      const token = yield* Effect.flatMap(Authorization.makeTokens(secret), ({ sign }) => sign())
      const { status } = yield* Effect.promise(() =>
        fetch(`http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}/runs`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${Redacted.value(token)}`,
            "content-type": "application/json",
            traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`
          },
          body: JSON.stringify({ workflow: W.name, payload: { id: "1" } })
        })
      )
      assert.strictEqual(status, 202)
      yield* untilTrue("the run ends", () => named("workflow.run")[0]?.exit !== undefined)
      const [only] = named("only")
      if (only === undefined) throw new Error("no span")
      assert.strictEqual(only.traceId, "a".repeat(32))
      assert.deepStrictEqual(above(only), [
        "workflow.run",
        "http.server POST",
        `external ${"b".repeat(16)}`
      ])
    })
  )
})
