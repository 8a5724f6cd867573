/** Runs that act on themselves, that are interrupted while they clean up, or that fail twice. */
import { assert, describe } from "@effect/vitest"
import { DurableDeferred, Workflow, WorkflowEngine } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import {
  type Env,
  everywhere,
  exitOf,
  Gate,
  layerMemory,
  noted,
  open,
  register,
  step,
  textWorkflow,
  turns,
  undone,
  untilSuspended
} from "./support.js"

type Text = ReturnType<typeof textWorkflow>

const await_ = DurableDeferred.await(Gate)

/** No more than so many passes of a run that ends by itself. */
const fewPasses = 3

describe("a run", () => {
  const interrupts: Readonly<
    Record<string, (W: Text, runId: string) => Effect.Effect<string, string, Env>>
  > = {
    "in its code": (W, runId) => Effect.zipRight(W.interrupt(runId), await_),
    "in a step": (W, runId) =>
      Effect.zipRight(step("cancel", Effect.as(W.interrupt(runId), "cancel")), await_),
    "where it handles a failure": (W, runId) =>
      Effect.catchAll(step("fails", Effect.fail("no")), () =>
        Effect.zipRight(W.interrupt(runId), Effect.never)
      )
  }
  for (const [where, body] of Object.entries(interrupts)) {
    everywhere(`that interrupts itself ${where} is interrupted, and undone once`, () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        let passes = 0
        yield* register(
          W.toLayer((_, runId) =>
            Effect.suspend(() => {
              passes++
              return Effect.zipRight(undone(log, "a"), body(W, runId))
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        assert.isTrue(Exit.isInterrupted(yield* exitOf(W, runId)))
        assert.deepStrictEqual(log, ["a", "undo a"])
        assert.isAtMost(passes, fewPasses)
      })
    )
  }

  everywhere("that resumes itself goes on as if it had not", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      let passes = 0
      yield* register(
        W.toLayer((_, runId) =>
          Effect.suspend(() => {
            passes++
            return Effect.zipRight(W.resume(runId), await_)
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilSuspended(W, runId)
      yield* turns()
      assert.isAtMost(passes, fewPasses)
      yield* open(W, runId)
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("go"))
    })
  )

  everywhere("that awaits itself dies, and says so", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      yield* register(W.toLayer(({ id }) => W.execute({ id })))
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      const exit = yield* exitOf(W, runId)
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.match(defect instanceof Error ? defect.message : "", /awaits itself|waits for itself/)
    })
  )

  everywhere("may execute a run of another executor of the same process", () =>
    Effect.gen(function* () {
      const Here = textWorkflow("Here")
      const There = textWorkflow("There")
      const other = yield* Layer.build(
        Layer.fresh(
          There.toLayer(() => Effect.zipRight(step("there"), await_)).pipe(
            Layer.provideMerge(layerMemory())
          )
        )
      )
      const engine = Context.get(other, WorkflowEngine.WorkflowEngine)
      const there = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.provideService(effect, WorkflowEngine.WorkflowEngine, engine)
      yield* register(
        Here.toLayer(({ id }) =>
          step("call", there(There.execute({ id })) as Effect.Effect<string>)
        )
      )
      const runId = yield* Here.execute({ id: "1" }, { discard: true })
      const called = yield* There.executionId({ id: "1" })
      yield* there(untilSuspended(There, called))
      yield* there(open(There, called))
      assert.deepStrictEqual(yield* exitOf(Here, runId), Exit.succeed("go"))
    })
  )
})

describe("an interrupt", () => {
  const finalizers: Readonly<
    Record<string, (log: Array<string>) => Effect.Effect<string, string, Env>>
  > = {
    "a finalizer": (log) => Effect.ensuring(await_, Effect.orDie(noted(log, "finalizer"))),
    "a release": (log) =>
      Effect.acquireUseRelease(
        noted(log, "acquire"),
        () => await_,
        () => Effect.orDie(noted(log, "finalizer"))
      )
  }
  for (const [what, body] of Object.entries(finalizers)) {
    everywhere(`of a run whose ${what} executes a step takes no time`, () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(W.toLayer(() => Effect.zipRight(undone(log, "a"), body(log))))
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* W.interrupt(runId)
        // none of the test's time passes
        assert.isTrue(Exit.isInterrupted(yield* exitOf(W, runId)))
        assert.deepStrictEqual(log.slice(-2), ["finalizer", "undo a"])
      })
    )
  }

  everywhere("is not overtaken by a signal that is sent after it", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(() =>
          undone(log, "a").pipe(Effect.zipRight(await_), Effect.zipRight(noted(log, "b")))
        )
      )
      for (let i = 0; i < 10; i++) {
        const runId = yield* W.execute({ id: `${i}` }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* W.interrupt(runId)
        yield* open(W, runId)
        assert.isTrue(Exit.isInterrupted(yield* exitOf(W, runId)))
      }
      assert.notInclude(log, "b")
    })
  )
})

describe("a compensation", () => {
  const failing = (compensation: Effect.Effect<unknown>) => (W: Text, log: Array<string>) =>
    W.toLayer(() =>
      undone(log, "first").pipe(
        Effect.zipRight(step("a").pipe(Workflow.withCompensation(() => compensation))),
        Effect.zipRight(Effect.fail("out of stock"))
      )
    )

  everywhere("that dies hides nothing: both causes, in order, and the others are executed", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(failing(Effect.die(new Error("refund failed")))(W, log))
      const exit = yield* exitOf(W, yield* W.execute({ id: "1" }, { discard: true }))
      const causes = Exit.isFailure(exit)
        ? [...Cause.linearize(exit.cause)].flatMap((one) => [
            ...Cause.failures(one),
            ...[...Cause.defects(one)].map((defect) => (defect as Error).message)
          ])
        : []
      assert.deepStrictEqual(causes, ["out of stock", "refund failed"])
      assert.isTrue(Exit.isFailure(exit) && Cause.isSequentialType(exit.cause))
      assert.deepStrictEqual(log, ["first", "undo first"])
    })
  )

  everywhere("that interrupts itself does not make the run interrupted", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(failing(Effect.interrupt)(W, log))
      const exit = yield* exitOf(W, yield* W.execute({ id: "1" }, { discard: true }))
      assert.deepStrictEqual(Exit.isFailure(exit) ? [...Cause.failures(exit.cause)] : [], [
        "out of stock"
      ])
      assert.deepStrictEqual(log, ["first", "undo first"])
    })
  )
})
