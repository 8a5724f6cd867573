import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { StepInFlight } from "../src/engine/step/StepInFlight.js"
import * as Runs from "../src/runner/Runs.js"
import * as RunViews from "../src/runner/RunViews.js"
import type { Run, Step } from "../src/store/RunStore.js"
import { layerDispatcher, layerStore, makeControls } from "./http/Harness.js"

const run: Run = {
  runId: "r1",
  workflow: "Order",
  status: "failed",
  payload: `{"id":"1"}`,
  exit: undefined,
  cause: undefined,
  executor: undefined,
  interruptRequested: false,
  createdAt: 0,
  startedAt: undefined,
  completedAt: undefined
}

const ExitOfUnknown = Schema.Exit({
  success: Schema.Unknown,
  failure: Schema.Unknown,
  defect: Schema.Defect
})

const exitJson = (exit: Exit.Exit<unknown, unknown>) =>
  JSON.stringify(Schema.encodeSync(ExitOfUnknown)(exit))

const errorOf = (cause: Cause.Cause<unknown>) =>
  RunViews.viewRun({ ...run, exit: exitJson(Exit.failCause(cause)) }).error

describe("a run as clients see it", () => {
  it("has ISO times, and leaves out what is not there yet", () => {
    assert.deepStrictEqual(RunViews.viewRun({ ...run, status: "pending", createdAt: 1_000 }), {
      runId: "r1",
      workflow: "Order",
      status: "pending",
      payload: { id: "1" },
      createdAt: "1970-01-01T00:00:01.000Z"
    })
    const over = RunViews.viewRun({ ...run, startedAt: 2_000, completedAt: 3_000 })
    assert.strictEqual(over.startedAt, "1970-01-01T00:00:02.000Z")
    assert.strictEqual(over.completedAt, "1970-01-01T00:00:03.000Z")
  })

  it("shows its result", () => {
    const view = RunViews.viewRun({ ...run, exit: exitJson(Exit.succeed({ total: 3 })) })
    assert.deepStrictEqual(view.result, { total: 3 })
    assert.isUndefined(view.error)
  })

  it("shows a typed error with its own fields", () => {
    assert.deepStrictEqual(errorOf(Cause.fail({ _tag: "Declined", message: "no", code: 51 })), {
      _tag: "Declined",
      message: "no",
      code: 51
    })
    assert.deepStrictEqual(errorOf(Cause.fail({ _tag: "Declined", code: 51 })), {
      _tag: "Declined",
      message: "Declined",
      code: 51
    })
  })

  it("shows an error without a tag as a failure", () => {
    assert.deepStrictEqual(errorOf(Cause.fail("no")), { _tag: "Failure", message: "no" })
    assert.deepStrictEqual(errorOf(Cause.fail(7)), { _tag: "Failure", message: "7" })
    assert.deepStrictEqual(errorOf(Cause.fail(null)), { _tag: "Failure", message: "null" })
    assert.deepStrictEqual(errorOf(Cause.fail({ code: 51 })), {
      _tag: "Failure",
      message: `{"code":51}`,
      code: 51
    })
  })

  it("shows a defect and an interruption as what they are", () => {
    assert.deepStrictEqual(errorOf(Cause.die(new TypeError("boom"))), {
      _tag: "Defect",
      message: "boom"
    })
    assert.deepStrictEqual(errorOf(Cause.die("boom")), { _tag: "Defect", message: "boom" })
    assert.deepStrictEqual(errorOf(Cause.interrupt(FiberId.none)), {
      _tag: "Interrupted",
      message: "interrupted"
    })
  })

  it("shows the error before the defect before the interruption, wherever they are", () => {
    const interrupt = Cause.interrupt(FiberId.none)
    const die = Cause.die("boom")
    const fail = Cause.fail("no")
    assert.strictEqual(errorOf(Cause.parallel(interrupt, die))?._tag, "Defect")
    assert.strictEqual(
      errorOf(Cause.sequential(Cause.parallel(interrupt, die), fail))?._tag,
      "Failure"
    )
    const deep = Array.from({ length: 1_000 }).reduce<Cause.Cause<string>>(
      (cause) => Cause.sequential(die, cause),
      fail
    )
    assert.strictEqual(errorOf(deep)?._tag, "Failure")
  })

  it("shows why it is suspended, where something failed", () => {
    const cause = `{"_tag":"Die","defect":{"name":"Error","message":"boom"}}`
    assert.deepStrictEqual(RunViews.viewRun({ ...run, status: "suspended", cause }).error, {
      _tag: "Defect",
      message: "boom"
    })
  })

  it("shows what is stored and does not read as an error", () => {
    for (const exit of ["", "oops", "null", "[]", `"x"`, "{}", `{"_tag":"Failure"}`]) {
      assert.strictEqual(RunViews.viewRun({ ...run, exit }).error?._tag, "Unreadable", exit)
    }
    assert.include(String(RunViews.viewRun({ ...run, payload: "{oops" }).payload), "unreadable")
  })
})

describe("the steps of a run", () => {
  const step = {
    name: "A",
    attempt: 1,
    status: "running",
    startedAt: 1,
    completedAt: undefined,
    exit: undefined,
    executor: 7
  } satisfies RunViews.ToldStep
  const overlay = (stored: ReadonlyArray<Step>, steps: ReadonlyArray<StepInFlight>, window = {}) =>
    RunViews.overlay(stored, { executor: 7, steps }, window)
  const flying = { ...step, key: "r1/A/1", runId: "r1", workflow: "Order" }

  it("in flight here are running, whatever was noted of them before", () => {
    const noted: Step = { ...step, position: 1, status: "interrupted", completedAt: 2 }
    assert.deepStrictEqual(overlay([noted], [{ ...flying, startedAt: 5 }]), [
      { ...step, startedAt: 5 }
    ])
    assert.deepStrictEqual(overlay([], [flying]), [step])
  })

  it("keep a recorded outcome", () => {
    const recorded: Step = { ...step, position: 1, status: "completed", completedAt: 2, exit: "{}" }
    assert.deepStrictEqual(overlay([recorded], [flying]), [recorded])
  })

  it("are in the order in which they started", () => {
    const steps = [
      { ...step, position: 1, name: "B", startedAt: 2 },
      { ...step, position: 2, name: "C", startedAt: 2 }
    ]
    assert.deepStrictEqual(
      overlay(steps, [flying]).map(({ name }) => name),
      ["A", "B", "C"]
    )
  })
})

describe("listing without HTTP", () => {
  it.effect("takes limits from 1 to 200 and brings others inside", () =>
    Effect.gen(function* () {
      const limits: Array<number> = []
      const store = layerStore((store) => ({
        list: (query) => {
          limits.push(query.limit)
          return store.list(query)
        }
      }))
      const controls = yield* makeControls
      const layer = Runs.layer.pipe(Layer.provide(layerDispatcher(controls)), Layer.provide(store))
      yield* Effect.gen(function* () {
        const runs = yield* Runs.Runs
        assert.deepStrictEqual(yield* runs.list(), { runs: [], nextCursor: null })
        for (const limit of [0, -1, 7.9, 1_000]) yield* runs.list({ limit })
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(limits, [50, 1, 1, 7, 200])
    })
  )
})
