/** What the fibers of a run and of a step have of those that registered their workflow. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Layer from "effect/Layer"
import { exitOf, memoryTest, register, step, textWorkflow } from "./support.js"

const refsHere = Effect.withFiberRuntime<FiberRefs.FiberRefs>((fiber) =>
  Effect.succeed(fiber.getFiberRefs())
)

const valuesOf = ({ locals }: FiberRefs.FiberRefs) =>
  [...locals].map(([ref, [[, value]]]) => ({
    ref,
    value,
    initial: FiberRefs.getOrDefault(FiberRefs.empty(), ref)
  }))

/** A fiber's services and flags are its own. */
const isOfEachFiber = (ref: FiberRef.FiberRef<unknown>) =>
  ref === FiberRef.currentContext || ref === FiberRef.currentRuntimeFlags

const inherited = FiberRef.unsafeMake("nothing")
const notForChildren = FiberRef.unsafeMake("nothing", { fork: () => "nothing" })
const changed = FiberRef.unsafeMake("nothing")

const said = Effect.map(
  Effect.all([FiberRef.get(inherited), FiberRef.get(notForChildren)]),
  (values) => values.join(" and ")
)

describe("the fibers of a run and of its steps", () => {
  memoryTest("start with what was set where their workflow was registered", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const layer = W.toLayer(() =>
        Effect.map(Effect.all([said, step("step", said)]), (all) => all.join("; "))
      )
      yield* register(
        layer.pipe(Layer.locally(inherited, "set"), Layer.locally(notForChildren, "set"))
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      assert.deepStrictEqual(
        yield* exitOf(W, runId),
        Exit.succeed("set and nothing; set and nothing")
      )
    })
  )

  memoryTest("start with no ref that says what they would have without it", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const seen: Array<FiberRefs.FiberRefs> = []
      const look = Effect.as(
        Effect.map(refsHere, (refs) => seen.push(refs)),
        "seen"
      )
      yield* register(W.toLayer(() => Effect.zipRight(look, step("step", look))))
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("seen"))
      assert.strictEqual(seen.length, 2)
      for (const refs of seen) {
        const idle = valuesOf(refs).filter(
          ({ initial, ref, value }) => !isOfEachFiber(ref) && Equal.equals(value, initial)
        )
        assert.deepStrictEqual(idle, [])
      }
    })
  )

  memoryTest("pass on what a fiber of theirs has set, to who joins it", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const set = (value: string) =>
        Effect.gen(function* () {
          yield* Fiber.join(yield* Effect.fork(FiberRef.set(changed, value)))
          return yield* FiberRef.get(changed)
        })
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            const inWorkflow = yield* set("workflow")
            const inStep = yield* step("step", set("step"))
            const after = yield* FiberRef.get(changed)
            return [inWorkflow, inStep, after].join()
          })
        ).pipe(Layer.locally(changed, "app"))
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      // what a step does to its fiber's refs would be gone on replay
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("workflow,step,workflow"))
    })
  )
})
