/** Which steps a run executed to undo what it had done, and which not: as it is told of it. */
import { assert, describe } from "@effect/vitest"
import { Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Runs } from "../../src/runner/Runs.js"
import { RunStore } from "../../src/store/RunStore.js"
import { gate } from "../runner/Harness.js"
import { exitOf, memoryTest, register, step, textWorkflow, until } from "./support.js"

/** Of each step, whether it is told as one of a compensation. */
const told = (runId: string) =>
  Effect.map(
    Effect.flatMap(Runs, (runs) => runs.get(runId)),
    ({ steps }) =>
      Object.fromEntries(steps.map(({ compensation = false, name }) => [name, compensation]))
  )

const undoneBy = (name: string) => Workflow.withCompensation(() => Effect.orDie(step(name)))

describe("the steps of compensations", () => {
  memoryTest("are told from those of the workflow, while they execute and afterwards", () =>
    Effect.gen(function* () {
      const held = gate()
      const W = textWorkflow()
      const body = Effect.gen(function* () {
        yield* step("reserve").pipe(undoneBy("release"))
        yield* step("charge").pipe(
          Workflow.withCompensation(() =>
            Effect.orDie(
              step("refund", Effect.zipRight(step("look up"), Effect.as(held.pass, "refund")))
            )
          )
        )
        yield* step("notice", Effect.fail("no address")).pipe(
          Effect.catchAll(() => step("instead"))
        )
        return yield* step("ship", Effect.fail("no lorry"))
      })
      yield* register(W.toLayer(() => body))
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* held.entered
      const before = { reserve: false, charge: false, notice: false, instead: false, ship: false }
      assert.deepStrictEqual(yield* told(runId), { ...before, refund: true, "look up": true })
      yield* held.open
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.fail("no lorry"))
      assert.deepStrictEqual(yield* told(runId), {
        ...before,
        refund: true,
        "look up": true,
        release: true
      })
      const { compensated, status } = yield* Effect.flatMap(Runs, (runs) => runs.get(runId))
      assert.deepStrictEqual([status, compensated], ["failed", true])
    })
  )

  memoryTest("are those of an interrupted run, too", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      yield* register(
        W.toLayer(() =>
          step("reserve").pipe(undoneBy("release"), Effect.zipRight(step("wait", Effect.never)))
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* until(
        "it waits",
        Effect.map(told(runId), (steps) => "wait" in steps)
      )
      yield* W.interrupt(runId)
      yield* exitOf(W, runId)
      assert.deepStrictEqual(yield* told(runId), { reserve: false, wait: false, release: true })
    })
  )

  memoryTest("are not those of a finalizer of a run that completes", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      yield* register(
        W.toLayer(() =>
          Effect.zipRight(
            Workflow.addFinalizer(() => Effect.asVoid(Effect.orDie(step("put away")))),
            step("use")
          )
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("use"))
      assert.deepStrictEqual(yield* told(runId), { use: false, "put away": false })
    })
  )

  memoryTest("are recorded as such", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const store = yield* RunStore
      yield* register(
        W.toLayer(() =>
          step("reserve").pipe(
            undoneBy("release"),
            Effect.zipRight(step("ship", Effect.fail("no")))
          )
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* exitOf(W, runId)
      const found = yield* Effect.flatten(store.step({ runId, name: "release", attempt: 1 }))
      assert.isTrue(found.compensation)
    })
  )
})
