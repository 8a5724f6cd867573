/** What a retried run does again, and what it does not. */
import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableClock, Workflow } from "@effect/workflow"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { interruptPoint } from "../../src/engine/ActiveRun.js"
import { RunStore } from "../../src/RunStore.js"
import {
  exitOf,
  layerMemory,
  noted,
  pass,
  register,
  step,
  textWorkflow,
  untilTrue
} from "./support.js"

type Provided = Layer.Layer.Success<ReturnType<typeof layerMemory>>

const test = (name: string, body: () => Effect.Effect<void, unknown, Provided | Scope.Scope>) =>
  it.effect(name, () => Effect.scoped(Effect.suspend(body)).pipe(Effect.provide(layerMemory())))

const retry = (runId: string) =>
  Effect.flatMap(RunStore, (store) => store.retry({ runId, forget: [interruptPoint] }))

/** A step that notes each of its executions and fails until it is mended. */
const broken = (log: Array<string>, name: string, isMended: () => boolean) =>
  step(
    name,
    Effect.suspend(() => {
      log.push(name)
      return isMended() ? Effect.succeed(name) : Effect.fail(`${name} is broken`)
    })
  )

describe("a retried run", () => {
  test("goes on from the step that failed, all its attempts anew, and sleeps no more", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      let mended = false
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* noted(log, "a")
            yield* DurableClock.sleep({ name: "s", duration: "1 hour" })
            yield* DurableClock.sleep({
              name: "l",
              duration: "1 hour",
              inMemoryThreshold: Duration.zero
            })
            return yield* broken(log, "b", () => mended).pipe(Activity.retry({ times: 1 }))
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilTrue("a is done", () => log.length === 1)
      yield* pass("1 hour")
      yield* pass("1 hour")
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.fail("b is broken"))
      assert.deepStrictEqual(log, ["a", "b", "b"])

      assert.deepStrictEqual(yield* retry(runId), { _tag: "Done" })
      yield* untilTrue("b is tried again", () => log.length === 5)
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.fail("b is broken"))

      mended = true
      yield* retry(runId)
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("b"))
      assert.deepStrictEqual(log, ["a", "b", "b", "b", "b", "b"])
    }))

  test("does not go another way than it went, where it got over a failure", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      let mended = false
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* broken(log, "ours", () => mended).pipe(
              Effect.catchAll(() => noted(log, "theirs"))
            )
            return yield* broken(log, "send", () => mended)
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* exitOf(W, runId)
      mended = true
      yield* retry(runId)
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("send"))
      assert.deepStrictEqual(log, ["ours", "theirs", "send", "send"])
    }))

  test("that was interrupted goes on where it was", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* noted(log, "a")
            yield* DurableClock.sleep({
              name: "l",
              duration: "1 hour",
              inMemoryThreshold: Duration.zero
            })
            return yield* noted(log, "b")
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilTrue("a is done", () => log.length === 1)
      yield* W.interrupt(runId)
      assert.isTrue(Exit.isInterrupted(yield* exitOf(W, runId)))
      assert.deepStrictEqual(yield* retry(runId), { _tag: "Done" })
      yield* pass("1 hour")
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("b"))
      assert.deepStrictEqual(log, ["a", "b"])
    }))

  test("is refused where a compensation was executed, also one without steps", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* noted(log, "a").pipe(
              Workflow.withCompensation(() => Effect.sync(() => log.push("undo a")))
            )
            return yield* broken(log, "b", () => false)
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* exitOf(W, runId)
      assert.deepStrictEqual(log, ["a", "b", "undo a"])
      assert.deepStrictEqual(yield* retry(runId), {
        _tag: "Refused",
        status: "failed",
        because: "compensated"
      })
    }))
})
