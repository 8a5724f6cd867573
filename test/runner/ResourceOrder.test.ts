/** Points 7 and 13: resources outlive the steps that use them, however the layers are composed. */
import { Activity, Workflow, type WorkflowEngine } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Executor from "../../src/Executor.js"
import { Dispatcher } from "../../src/engine/held/Dispatcher.js"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import * as Runner from "../../src/runner/Runner.js"
import { RunStore, RunStoreError } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import {
  expect,
  gate,
  it,
  journal,
  type Parts,
  runnerBelow,
  type Services,
  type Store,
  settled,
  statusOf,
  stepsOf,
  until,
  untilStatus,
  type Workflows,
  worlds
} from "./Harness.js"

const flow = (name: string) =>
  Workflow.make({
    name,
    payload: { id: Schema.String },
    success: Schema.String,
    idempotencyKey: ({ id }) => id
  })

const One = flow("One")
const Two = flow("Two")

class Client extends Context.Tag("test/Client")<Client, { readonly use: Effect.Effect<void> }>() {}

const compositions: Record<
  string,
  (
    workflows: Layer.Layer<never, never, EngineAndClient>,
    client: Layer.Layer<Client>
  ) => (parts: Parts) => Layer.Layer<Services, unknown>
> = {
  "below the workflow layer, the Runner last": (workflows, client) => (parts) =>
    parts.runner.pipe(
      Layer.provideMerge(workflows.pipe(Layer.provide(client), Layer.provideMerge(parts.engine))),
      Layer.provideMerge(parts.base)
    ),
  "below the workflow layer, both above the Runner": (workflows, client) => (parts) =>
    runnerBelow({ ...parts, workflows: Layer.provide(workflows, client) }),
  "below the Runner, the workflow layer above it": (workflows, client) => (parts) =>
    workflows.pipe(
      Layer.provideMerge(parts.runner),
      Layer.provideMerge(parts.engine),
      Layer.provideMerge(parts.base),
      Layer.provide(client)
    ),
  "above the Runner, beside it": (workflows, client) => (parts) =>
    Layer.merge(Layer.provide(workflows, client), parts.runner).pipe(
      Layer.provideMerge(parts.engine),
      Layer.provideMerge(parts.base)
    ),
  "above the Runner, which comes first beside it": (workflows, client) => (parts) =>
    Layer.merge(parts.runner, Layer.provide(workflows, client)).pipe(
      Layer.provideMerge(parts.engine),
      Layer.provideMerge(parts.base)
    )
}

type EngineAndClient = Client | WorkflowEngine.WorkflowEngine

worlds("a resource that a step uses", (test) => {
  for (const [where, compose] of Object.entries(compositions)) {
    for (const cut of [false, true]) {
      test(`is released after the step ${cut ? "was cut" : "is recorded"}, when it is ${where}`, (world) =>
        Effect.gen(function* () {
          const log = journal()
          const step = gate()
          const client = Layer.scoped(
            Client,
            Effect.gen(function* () {
              let open = true
              yield* Effect.addFinalizer(() =>
                Effect.zipRight(
                  log.note("released"),
                  Effect.sync(() => {
                    open = false
                  })
                )
              )
              return { use: Effect.suspend(() => log.note(open ? "used" : "used after release")) }
            })
          )
          const workflows = One.toLayer(() =>
            Effect.as(
              Activity.make({
                name: "step",
                execute: Effect.gen(function* () {
                  const { use } = yield* Client
                  yield* use
                  yield* Effect.ensuring(step.pass, use)
                  yield* use
                })
              }),
              "ok"
            )
          )
          const a = yield* world.start({
            compose: compose(workflows, client),
            wrap: (store: Store) => ({
              ...store,
              recordStep: (outcome) =>
                Effect.tap(store.recordStep(outcome), () => log.note("recorded"))
            })
          })
          const runId = yield* a.run(One.execute({ id: "1" }, { discard: true }))
          yield* step.entered
          const closing = yield* Effect.fork(a.close)
          yield* settled
          expect(log.lines).toEqual(["used"])
          yield* cut ? TestClock.adjust("30 seconds") : step.open
          expect(yield* Fiber.join(closing)).toEqual(Exit.void)
          expect(log.lines).toEqual(
            cut ? ["used", "used", "released"] : ["used", "used", "used", "recorded", "released"]
          )
          expect(yield* a.state).toBe("stopped")
          const status = yield* statusOf(world.outside, runId)
          if (cut) expect(status).toBe("pending")
          else expect(["pending", "completed"]).toContain(status)
        }))
    }
  }
})

const register = (layer: Workflows, context: Context.Context<Services>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* Layer.buildWithScope(Layer.provide(layer, Layer.succeedContext(context)), scope)
    return Scope.close(scope, Exit.void)
  })

/** Registers it until the end of the test. */
const registerForGood = (layer: Workflows, context: Context.Context<Services>) =>
  Effect.flatMap(register(layer, context), (release) => Effect.addFinalizer(() => release))

worlds("a workflow released on its own", (test) => {
  test("waits for its steps, gives its runs back, and the Runner goes on with others", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const step = gate()
      const a = yield* world.start({})
      const release = yield* register(
        One.toLayer(() =>
          Effect.gen(function* () {
            yield* Activity.make({
              name: "first",
              execute: Effect.zipRight(log.note("first"), step.pass)
            })
            yield* Activity.make({ name: "second", execute: log.note("second") })
            return "ok"
          })
        ),
        a.context
      )
      const runId = yield* a.run(One.execute({ id: "1" }, { discard: true }))
      yield* step.entered
      const releasing = yield* Effect.fork(release)
      yield* settled
      expect(releasing.unsafePoll()).toBe(null)
      yield* step.open
      yield* Fiber.join(releasing)
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      expect(log.lines).toEqual(["first"])
      expect(yield* a.state).toBe("running")

      // runs of a workflow that is not there wait
      const waiting = yield* a.run(One.execute({ id: "2" }, { discard: true }))
      yield* settled
      expect(yield* statusOf(world.outside, waiting)).toBe("pending")

      yield* registerForGood(
        Two.toLayer(() =>
          Effect.as(Activity.make({ name: "step", execute: log.note("two") }), "ok")
        ),
        a.context
      )
      const two = yield* a.run(Two.execute({ id: "1" }, { discard: true }))
      yield* untilStatus(world, two, "completed")
      // and so do those of the first, once it is registered again
      yield* registerForGood(
        One.toLayer(() =>
          Effect.gen(function* () {
            yield* Activity.make({ name: "first", execute: log.note("first again") })
            yield* Activity.make({ name: "second", execute: log.note("second") })
            return "ok"
          })
        ),
        a.context
      )
      yield* untilStatus(world, runId, "completed")
      yield* untilStatus(world, waiting, "completed")
      expect(log.lines).toEqual(["first", "two", "second", "first again", "second"])
      yield* a.close
    }))

  test("does not hold up the others' steps, those in flight and those that follow", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const [one, two] = [gate(), gate()]
      const a = yield* world.start({
        workflows: Two.toLayer(({ id }) =>
          Effect.gen(function* () {
            yield* Activity.make({ name: "first", execute: two.pass })
            yield* Activity.make({ name: "second", execute: log.note(`two ${id}`) })
            return "ok"
          })
        )
      })
      const release = yield* register(
        One.toLayer(() =>
          Effect.gen(function* () {
            yield* Activity.make({
              name: "first",
              execute: Effect.onInterrupt(one.pass, () => log.note("one cut"))
            })
            yield* Activity.make({ name: "second", execute: log.note("one goes on") })
            return "ok"
          })
        ),
        a.context
      )
      const cut = yield* a.run(One.execute({ id: "1" }, { discard: true }))
      const inFlight = yield* a.run(Two.execute({ id: "1" }, { discard: true }))
      yield* Effect.zipRight(one.entered, two.entered)
      const releasing = yield* Effect.fork(release)
      yield* settled
      yield* two.open
      yield* untilStatus(world, inFlight, "completed")
      const begun = yield* a.run(Two.execute({ id: "2" }, { discard: true }))
      yield* untilStatus(world, begun, "completed")
      expect(releasing.unsafePoll()).toBe(null)
      expect(log.lines).toEqual(["two 1", "two 2"])

      yield* TestClock.adjust("30 seconds")
      yield* Fiber.join(releasing)
      expect(log.lines).toEqual(["two 1", "two 2", "one cut"])
      expect(yield* statusOf(world.outside, cut)).toBe("pending")
      expect(yield* a.state).toBe("running")
      yield* a.close
    }))

  test("is not waited for by a compensation that waits for room", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const room = gate()
      const a = yield* world.start({
        maxConcurrentSteps: 1,
        workflows: Two.toLayer(() =>
          Effect.as(Activity.make({ name: "step", execute: room.pass }), "ok")
        )
      })
      const release = yield* register(
        One.toLayer(() =>
          Effect.gen(function* () {
            yield* Activity.make({ name: "step", execute: Effect.void }).pipe(
              One.withCompensation(() =>
                Effect.zipRight(
                  log.note("undoes"),
                  Activity.make({ name: "undo", execute: log.note("undo") })
                )
              )
            )
            yield* until("the other has the room", () => room.count > 0).pipe(Effect.orDie)
            return yield* Effect.dieMessage("refused")
          })
        ),
        a.context
      )
      const runId = yield* a.run(One.execute({ id: "1" }, { discard: true }))
      yield* until("the step is recorded", () =>
        Effect.map(stepsOf(world.outside, runId), (steps) => steps.length === 1)
      )
      yield* a.run(Two.execute({ id: "1" }, { discard: true }))
      yield* until("it compensates", () => log.lines.includes("undoes"))
      yield* settled
      yield* release
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      expect(log.lines).toEqual(["undoes"])
      yield* room.open
      yield* a.close
    }))

  test("leaves nothing of a step behind that its next registration could mistake for its own", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const zombie = gate()
      const a = yield* world.start({})
      const release = yield* register(
        One.toLayer(() =>
          Activity.make({
            name: "step",
            success: Schema.String,
            execute: Effect.as(Effect.uninterruptible(zombie.pass), "old")
          })
        ),
        a.context
      )
      const runId = yield* a.run(One.execute({ id: "1" }, { discard: true }))
      yield* zombie.entered
      const releasing = yield* Effect.fork(release)
      yield* settled
      yield* TestClock.adjust("32 seconds")
      yield* Fiber.join(releasing)
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      const fresh = gate()
      yield* registerForGood(
        One.toLayer(() =>
          Activity.make({
            name: "step",
            success: Schema.String,
            execute: Effect.as(Effect.zipRight(log.note("new"), fresh.pass), "new")
          })
        ),
        a.context
      )
      yield* fresh.entered
      yield* zombie.open
      yield* settled
      expect(yield* statusOf(world.outside, runId)).toBe("running")
      yield* fresh.open
      yield* untilStatus(world, runId, "completed")
      expect((yield* stepsOf(world.outside, runId))[0]?.exit).toContain("new")
      yield* a.close
    }))

  test("does not stop the others' writes from being tried again", (world) =>
    Effect.gen(function* () {
      const zombie = gate()
      let failures = 0
      const a = yield* world.start({
        wrap: (store) => ({
          ...store,
          recordStep: (step) =>
            Effect.suspend(() =>
              failures-- > 0
                ? Effect.fail(new RunStoreError({ reason: "busy", message: "busy" }))
                : store.recordStep(step)
            )
        }),
        workflows: Two.toLayer(() =>
          Effect.as(Activity.make({ name: "step", execute: Effect.void }), "ok")
        )
      })
      const release = yield* register(
        One.toLayer(() =>
          Effect.as(
            Activity.make({ name: "step", execute: Effect.uninterruptible(zombie.pass) }),
            "ok"
          )
        ),
        a.context
      )
      yield* a.run(One.execute({ id: "1" }, { discard: true }))
      yield* zombie.entered
      const releasing = yield* Effect.fork(release)
      yield* settled
      yield* TestClock.adjust("32 seconds")
      yield* Fiber.join(releasing)
      failures = 2
      const two = yield* a.run(Two.execute({ id: "1" }, { discard: true }))
      yield* settled
      yield* TestClock.adjust("2 seconds")
      yield* untilStatus(world, two, "completed")
      yield* zombie.open
      yield* a.close
    }))
})

const storeThat = (change: (store: Store) => Partial<Store>) =>
  Layer.effect(
    RunStore,
    Effect.map(RunStore, (store) => ({ ...store, ...change(store) }))
  ).pipe(Layer.provide(SqliteRunStore.layerMemory))

it.scoped("a start that fails leaves the state idle and releases everything", () =>
  Effect.gen(function* () {
    const log = journal()
    let registrations = 0
    const base = Layer.mergeAll(
      Layer.orDie(
        storeThat(() => ({
          register: () =>
            Effect.suspend(() => {
              registrations++
              return Effect.fail(new RunStoreError({ reason: "busy", message: "it is locked" }))
            })
        }))
      ),
      RunnerConfig.layer()
    )
    const engine = yield* Layer.build(Layer.provideMerge(Executor.layerEngine, base))
    const dispatcher = Context.get(engine, Dispatcher)
    const scope = yield* Scope.make()
    const resource = Layer.scopedDiscard(
      Effect.acquireRelease(log.note("acquired"), () => log.note("released"))
    )
    const exit = yield* Effect.exit(
      Layer.buildWithScope(
        Runner.layer.pipe(Layer.provide(resource), Layer.provide(Layer.succeedContext(engine))),
        scope
      )
    )
    expect(Exit.isFailure(exit) && exit.cause).toMatchObject({ error: { reason: "busy" } })
    expect(registrations).toBe(1)
    yield* Scope.close(scope, exit)
    expect(log.lines).toEqual(["acquired", "released"])
    expect(yield* dispatcher.state.get).toBe("idle")
  })
)

it.scoped("a Runner starts once: a second, and one after the stop, are told so", () =>
  Effect.gen(function* () {
    const base = Layer.mergeAll(Layer.orDie(SqliteRunStore.layerMemory), RunnerConfig.layer())
    const engine = yield* Layer.build(Layer.provideMerge(Executor.layerEngine, base))
    const runner = Runner.layer.pipe(Layer.provide(Layer.succeedContext(engine)), Layer.fresh)
    const scope = yield* Scope.make()
    // both at once
    const exits = yield* Effect.all(
      [
        Effect.exit(Layer.buildWithScope(runner, scope)),
        Effect.exit(Layer.buildWithScope(runner, scope))
      ],
      { concurrency: "unbounded" }
    )
    expect(exits.filter(Exit.isSuccess)).toHaveLength(1)
    const store = Context.get(engine, RunStore)
    expect(yield* store.executors).toHaveLength(1)
    const second = yield* Effect.flip(Layer.build(runner))
    expect(second).toMatchObject({ _tag: "RunnerAlreadyStarted", state: "running" })
    yield* Scope.close(scope, Exit.void)
    const third = yield* Effect.flip(Layer.build(runner))
    expect(third).toMatchObject({ _tag: "RunnerAlreadyStarted", state: "stopped" })
    expect(third.message).toContain("Build a new executor")
  })
)
