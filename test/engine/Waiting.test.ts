/**
 * What a workflow can see of how its executor waits and stops: nothing. Each handler is held
 * against each disturbance, over each store, on the test's clock and on the machine's.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { assert, describe, it } from "@effect/vitest"
import { DurableDeferred, type WorkflowEngine } from "@effect/workflow"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Executor from "../../src/Executor.js"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import * as Runner from "../../src/runner/Runner.js"
import type { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import {
  copyOfFile,
  type Env,
  exitOf,
  Gate,
  noted,
  open,
  silent,
  step,
  temporaryFile,
  textWorkflow,
  turns,
  undone,
  until
} from "./support.js"

type Body = Effect.Effect<string, string, Env | Scope.Scope>

/** What a workflow may put around what it waits for; none of them has anything to handle here. */
const handlers: Readonly<Record<string, (body: Body, log: Array<string>) => Body>> = {
  "nothing at all": (body) => body,
  catchAllCause: (body, log) => Effect.catchAllCause(body, () => caught(log)),
  exit: (body, log) =>
    Effect.flatMap(Effect.exit(body), (exit) => (Exit.isSuccess(exit) ? exit : caught(log))),
  "sandbox and catchAll": (body, log) => Effect.catchAll(Effect.sandbox(body), () => caught(log)),
  matchCause: (body, log) =>
    Effect.flatten(
      Effect.matchCause(body, { onFailure: () => caught(log), onSuccess: Effect.succeed })
    ),
  "timeout and catchAllCause": (body, log) =>
    body.pipe(
      Effect.timeout("10 days"),
      Effect.catchAllCause(() => caught(log))
    ),
  "timeoutOption and orElse": (body, log) =>
    body.pipe(
      Effect.timeoutOption("10 days"),
      Effect.flatMap(Option.match({ onNone: () => caught(log), onSome: Effect.succeed })),
      Effect.orElse(() => caught(log))
    ),
  "all, and catchAllCause": (body, log) =>
    Effect.all([body, Effect.succeed("beside")], { concurrency: "unbounded" }).pipe(
      Effect.map(([value]) => value),
      Effect.catchAllCause(() => caught(log))
    ),
  "forEach with concurrency, and exit": (body, log) =>
    Effect.forEach([body, Effect.succeed("beside")], (branch) => branch, { concurrency: 2 }).pipe(
      Effect.exit,
      Effect.flatMap((exit) =>
        Exit.isSuccess(exit) ? Effect.succeed(`${exit.value[0]}`) : caught(log)
      )
    ),
  "race, and catchAllCause": (body, log) =>
    Effect.race(body, Effect.never).pipe(Effect.catchAllCause(() => caught(log))),
  "ensuring a step": (body, log) => Effect.ensuring(body, Effect.orDie(noted(log, "ensured"))),
  onInterrupt: (body, log) =>
    Effect.onInterrupt(body, () => Effect.ignore(noted(log, "interrupted"))),
  "a scope's finalizer with a step": (body, log) =>
    Effect.scoped(
      Effect.zipRight(
        Effect.addFinalizer(() => Effect.ignore(noted(log, "released"))),
        body
      )
    ),
  retry: (body) => Effect.retry(body, { times: 3 }),
  "fork and join": (body) => Effect.flatMap(Effect.fork(body), Fiber.join),
  "forkScoped and join": (body) => Effect.flatMap(Effect.forkScoped(body), Fiber.join)
}

const caught = (log: Array<string>) =>
  Effect.suspend(() => {
    log.push("caught")
    return Effect.succeed("caught")
  })

/** What is noted of a handler that ends as it should. */
const afterwards: Readonly<Record<string, ReadonlyArray<string>>> = {
  "ensuring a step": ["ensured"],
  "a scope's finalizer with a step": ["released"]
}

type Disturbance = "nothing" | "a drain" | "a crash" | "an eviction"

/** Where the run is when it happens. */
type Point = "in a step" | "at a wait"

const defaults = { stopTimeout: "10 seconds", leaseDuration: "1000 days" } as const

/** Where the runs are, and how another executor finds them. */
interface Store {
  readonly layer: Layer.Layer<RunStore>
  /** As a process that dies now would leave it. */
  readonly crashed?: Effect.Effect<Layer.Layer<RunStore>, never, Scope.Scope>
}

/** Whose process died is not waited for until its lease has lapsed. */
const leaseEnded = (filename: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`UPDATE workflow_executors SET lease_until = -1`
  }).pipe(Effect.provide(SqliteClient.layer({ filename })), Effect.scoped, Effect.orDie)

const stores: Readonly<Record<string, Effect.Effect<Store, never, Scope.Scope>>> = {
  // outlives its executors; a crash takes it along
  "in memory": Effect.map(
    Layer.build(Layer.orDie(SqliteRunStore.layerMemory)),
    (context): Store => ({ layer: Layer.succeedContext(context) })
  ),
  "on a file": Effect.map(temporaryFile, (filename) => {
    const over = (filename: string) =>
      Layer.orDie(SqliteRunStore.layerFile({ filename, pollInterval: "1 day" }))
    return {
      layer: over(filename),
      crashed: Effect.map(Effect.tap(copyOfFile(filename), leaseEnded), over)
    }
  })
}

/** An executor of its own, until the answered effect: a drain and a release. */
const start = (
  store: Layer.Layer<RunStore>,
  live: Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>,
  options: Partial<RunnerConfig.RunnerOptions> = {}
) =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const memoMap = yield* Layer.makeMemoMap
    const layer = live.pipe(
      Layer.provideMerge(Runner.layer),
      Layer.provideMerge(Executor.layerEngine),
      Layer.provideMerge(store),
      Layer.provideMerge(RunnerConfig.layer({ ...defaults, ...options })),
      Layer.provideMerge(silent)
    )
    const context = yield* Layer.buildWithMemoMap(layer, memoMap, scope)
    return { context, stop: Scope.close(scope, Exit.void) }
  })

interface Scenario {
  readonly handler: string
  readonly store: string
  readonly disturbance: Disturbance
  readonly point: Point
}

const scenarios = (handler: string): ReadonlyArray<Scenario> =>
  ["in memory", "on a file"].flatMap((store) =>
    (["in a step", "at a wait"] as const).flatMap((point) =>
      (["nothing", "a drain", "a crash", "an eviction"] as const).flatMap((disturbance) => {
        const possible =
          !(disturbance === "a crash" && store === "in memory") &&
          !(disturbance === "an eviction" && point === "in a step")
        return possible ? [{ handler, store, disturbance, point }] : []
      })
    )
  )

/**
 * A step that can be undone, then within the handler: a step that is in flight until it is told to
 * end, a signal, and a step after it.
 */
const scenario = ({ disturbance, handler, point, store }: Scenario) =>
  Effect.gen(function* () {
    const W = textWorkflow(`Handled by ${handler}`)
    const log: Array<string> = []
    const inFlight = yield* Deferred.make<void>()
    const latch = yield* Deferred.make<void>()
    let waits = false
    const body = Effect.gen(function* () {
      yield* step(
        "held",
        Effect.zipRight(
          Deferred.succeed(inFlight, undefined),
          Effect.as(Deferred.await(latch), "held")
        )
      )
      waits = true
      const value = yield* DurableDeferred.await(Gate)
      return `${value}, ${yield* noted(log, "after")}`
    })
    const Live = W.toLayer(() =>
      Effect.zipRight(undone(log, "before"), Effect.scoped(handlers[handler]!(body, log)))
    )
    const { crashed, layer } = yield* stores[store]!
    const options = disturbance === "an eviction" ? { maxWarmRuns: 0 } : {}
    const first = yield* start(layer, Live, options)
    const runId = yield* Effect.provide(W.execute({ id: "1" }, { discard: true }), first.context)
    yield* Deferred.await(inFlight)

    // one with a plain timeout is not suspended: that goes on by itself
    const isThere = handler.startsWith("timeout")
      ? Effect.sync(() => waits)
      : Effect.map(W.poll(runId), (result) => result?._tag === "Suspended")
    const toTheWait = (context: Context.Context<WorkflowEngine.WorkflowEngine>) =>
      Deferred.succeed(latch, undefined).pipe(
        Effect.zipRight(until("it waits", isThere)),
        Effect.zipRight(turns()),
        Effect.provide(context)
      )
    const next = Effect.fn(function* () {
      if (disturbance === "a crash") return yield* start(yield* crashed!, Live, options)
      if (disturbance !== "a drain") return first
      // the step in flight ends while the executor drains, and what comes after it does not begin
      const stopping = yield* Effect.fork(first.stop)
      yield* Deferred.succeed(latch, undefined)
      yield* Fiber.join(stopping)
      return yield* start(layer, Live, options)
    })

    if (point === "at a wait") yield* toTheWait(first.context)
    waits = disturbance === "nothing" || disturbance === "an eviction" ? waits : false
    const { context } = yield* next()
    yield* toTheWait(context)
    yield* Effect.provide(open(W, runId), context)
    const exit = yield* Effect.provide(exitOf(W, runId), context)
    assert.deepStrictEqual(exit, Exit.succeed("go, after"))
    assert.deepStrictEqual(log, ["before", "after", ...(afterwards[handler] ?? [])])
  })

for (const handler of Object.keys(handlers)) {
  describe(`a workflow that waits within ${handler}`, () => {
    for (const one of scenarios(handler)) {
      const what = `sees nothing of ${one.disturbance} while it is ${one.point} (${one.store}`
      it.scoped(`${what}, TestClock)`, () => scenario(one))
      it.scopedLive(`${what}, live)`, () => scenario(one))
    }
  })
}
