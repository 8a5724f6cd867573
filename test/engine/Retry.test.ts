/** What a retried run does again, and what it does not. */
import { assert, describe } from "@effect/vitest"
import { Activity, DurableClock } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { RunStore } from "../../src/store/RunStore.js"
import {
  type Env,
  exitOf,
  longSleep,
  memoryTest,
  noted,
  pass,
  register,
  step,
  textWorkflow,
  undone,
  untilSuspended,
  untilTrue
} from "./support.js"

const retry = (runId: string, withChildren = false) =>
  Effect.flatMap(RunStore, (store) => store.retry({ runId, withChildren }))

/** Steps that note each of their executions and fail until they are mended. */
const breakage = (log: Array<string>) => {
  let mended = false
  return {
    broken: (name: string) =>
      step(
        name,
        Effect.suspend(() => {
          log.push(name)
          return mended ? Effect.succeed(name) : Effect.fail(`${name} is broken`)
        })
      ),
    mend: Effect.sync(() => {
      mended = true
    })
  }
}

/** A run of a workflow that does only that. */
const begin = (body: Effect.Effect<string, string, Env | Scope.Scope>) =>
  Effect.gen(function* () {
    const W = textWorkflow()
    yield* register(W.toLayer(() => body))
    const runId = yield* W.execute({ id: "1" }, { discard: true })
    return {
      runId,
      exit: exitOf(W, runId),
      suspended: untilSuspended(W, runId),
      interrupt: W.interrupt(runId)
    }
  })

describe("a retried run", () => {
  memoryTest("goes on from the step that failed, all its attempts anew, and sleeps no more", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { broken, mend } = breakage(log)
      const { exit, runId, suspended } = yield* begin(
        Effect.gen(function* () {
          yield* noted(log, "a")
          yield* DurableClock.sleep({ name: "s", duration: "1 hour" })
          yield* longSleep("l", "1 hour")
          return yield* broken("b").pipe(Activity.retry({ times: 1 }))
        })
      )
      yield* suspended
      yield* pass("1 hour")
      yield* pass("1 hour")
      assert.deepStrictEqual(yield* exit, Exit.fail("b is broken"))
      assert.deepStrictEqual(log, ["a", "b", "b"])

      assert.deepStrictEqual(yield* retry(runId), { _tag: "Done" })
      yield* untilTrue("b is tried again", () => log.length === 5)
      assert.deepStrictEqual(yield* exit, Exit.fail("b is broken"))

      yield* mend
      yield* retry(runId)
      assert.deepStrictEqual(yield* exit, Exit.succeed("b"))
      assert.deepStrictEqual(log, ["a", "b", "b", "b", "b", "b"])
    })
  )

  memoryTest("does not go another way than it went, where it got over a failure", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { broken, mend } = breakage(log)
      const { exit, runId } = yield* begin(
        Effect.gen(function* () {
          yield* broken("ours").pipe(Effect.catchAll(() => noted(log, "theirs")))
          return yield* broken("send")
        })
      )
      assert.deepStrictEqual(yield* exit, Exit.fail("send is broken"))
      yield* mend
      yield* retry(runId)
      assert.deepStrictEqual(yield* exit, Exit.succeed("send"))
      assert.deepStrictEqual(log, ["ours", "theirs", "send", "send"])
    })
  )

  memoryTest("that was interrupted goes on where it was", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { exit, interrupt, runId, suspended } = yield* begin(
        Effect.gen(function* () {
          yield* noted(log, "a")
          yield* longSleep("l", "1 hour")
          return yield* noted(log, "b")
        })
      )
      yield* suspended
      yield* interrupt
      assert.isTrue(Exit.isInterrupted(yield* exit))
      assert.deepStrictEqual(yield* retry(runId), { _tag: "Done" })
      yield* suspended
      yield* pass("1 hour")
      assert.deepStrictEqual(yield* exit, Exit.succeed("b"))
      assert.deepStrictEqual(log, ["a", "b"])
    })
  )

  memoryTest("goes on with the child that failed, and with no other", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { broken, mend } = breakage(log)
      const Handled = textWorkflow()
      const Child = textWorkflow()
      yield* register(
        Handled.toLayer(() => broken("handled")),
        Child.toLayer(() => Effect.zipRight(noted(log, "c"), broken("child")))
      )
      const { exit, runId } = yield* begin(
        Effect.gen(function* () {
          yield* noted(log, "a")
          yield* Effect.catchAll(Handled.execute({ id: "1" }), () => noted(log, "instead"))
          yield* Child.execute({ id: "1" })
          return yield* noted(log, "b")
        })
      )
      assert.deepStrictEqual(yield* exit, Exit.fail("child is broken"))
      yield* mend
      const child = yield* Child.executionId({ id: "1" })
      assert.deepStrictEqual(yield* retry(runId), {
        _tag: "Refused",
        status: "failed",
        because: "failed child",
        runId: child
      })
      assert.deepStrictEqual(yield* retry(runId, true), { _tag: "Done" })
      assert.deepStrictEqual(yield* exit, Exit.succeed("b"))
      assert.deepStrictEqual(log, ["a", "handled", "instead", "c", "child", "child", "b"])
    })
  )

  memoryTest("that was interrupted with its child goes on with it", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const Child = textWorkflow()
      yield* register(
        Child.toLayer(() => Effect.zipRight(longSleep("l", "1 hour"), noted(log, "c")))
      )
      const { exit, interrupt, runId, suspended } = yield* begin(Child.execute({ id: "1" }))
      const child = yield* Child.executionId({ id: "1" })
      yield* suspended
      yield* untilSuspended(Child, child)
      yield* interrupt
      assert.isTrue(Exit.isInterrupted(yield* exit))
      assert.isTrue(Exit.isInterrupted(yield* exitOf(Child, child)))
      assert.deepStrictEqual(yield* retry(runId, true), { _tag: "Done" })
      yield* suspended
      yield* untilSuspended(Child, child)
      yield* pass("1 hour")
      assert.deepStrictEqual(yield* exit, Exit.succeed("c"))
      assert.deepStrictEqual(log, ["c"])
    })
  )

  memoryTest("is refused where a compensation was executed, also one without steps", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { broken } = breakage(log)
      const { exit, runId } = yield* begin(Effect.zipRight(undone(log, "a"), broken("b")))
      assert.deepStrictEqual(yield* exit, Exit.fail("b is broken"))
      assert.deepStrictEqual(log, ["a", "b", "undo a"])
      assert.deepStrictEqual(yield* retry(runId), {
        _tag: "Refused",
        status: "failed",
        because: "compensated"
      })
    })
  )
})
