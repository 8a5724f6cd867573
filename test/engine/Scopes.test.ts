/** What forks into the scope of a step or of a workflow ends with it, and with its process. */
import { assert, describe, it } from "@effect/vitest"
import { DurableDeferred } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import type * as Scope from "effect/Scope"
import {
  everywhere,
  exitOf,
  Gate,
  inProcess,
  open,
  register,
  step,
  temporaryFile,
  textWorkflow,
  untilSuspended,
  untilTrue
} from "./support.js"

/** What is under way in the background, and what has ended. */
class Background {
  begun = 0
  ended = 0

  readonly never: Effect.Effect<never> = Effect.suspend(() => {
    this.begun++
    return Effect.never
  }).pipe(Effect.onExit(() => Effect.sync(() => this.ended++)))
}

/** Ways to have something in the background of a scope. */
const ways: Readonly<
  Record<string, (background: Background) => Effect.Effect<unknown, never, Scope.Scope>>
> = {
  forkScoped: ({ never }) => Effect.forkScoped(never),
  forkIn: ({ never }) => Effect.flatMap(Effect.scope, (scope) => Effect.forkIn(never, scope)),
  "a layer that is built": ({ never }) =>
    Layer.build(Layer.scopedDiscard(Effect.forkScoped(never))),
  "an RcMap's resource": ({ never }) =>
    Effect.gen(function* () {
      const map = yield* RcMap.make({ lookup: () => Effect.forkScoped(never) })
      yield* RcMap.get(map, "key")
    })
}

describe("what is in the background of", () => {
  for (const [what, way] of Object.entries(ways)) {
    everywhere(`a step ends with it: ${what}`, () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const background = new Background()
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* step("a", Effect.as(Effect.zipLeft(way(background), begun(background)), "a"))
              assert.deepStrictEqual([background.begun, background.ended], [1, 1])
              return yield* DurableDeferred.await(Gate)
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* open(W, runId)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("go"))
        assert.deepStrictEqual([background.begun, background.ended], [1, 1])
      })
    )

    everywhere(`a workflow ends with it: ${what}`, () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const background = new Background()
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* way(background)
              yield* begun(background)
              assert.isBelow(background.ended, background.begun)
              return yield* DurableDeferred.await(Gate)
            }).pipe(Effect.scoped)
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* open(W, runId)
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("go"))
        assert.strictEqual(background.ended, background.begun)
      })
    )

    it.scoped(`a workflow ends with a drain, before what it uses: ${what}`, () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const background = new Background()
        const Live = W.toLayer(() =>
          Effect.gen(function* () {
            yield* way(background)
            yield* begun(background)
            return yield* DurableDeferred.await(Gate)
          }).pipe(Effect.scoped)
        )
        const resource = Layer.scopedDiscard(
          Effect.addFinalizer(() =>
            Effect.sync(() => assert.deepStrictEqual([background.begun, background.ended], [1, 1]))
          )
        )
        yield* Effect.gen(function* () {
          yield* untilSuspended(W, yield* W.execute({ id: "1" }, { discard: true }))
          assert.deepStrictEqual([background.begun, background.ended], [1, 0])
        }).pipe(inProcess(yield* temporaryFile, Live.pipe(Layer.provide(resource))))
        assert.deepStrictEqual([background.begun, background.ended], [1, 1])
      })
    )
  }
})

const begun = (background: Background) =>
  untilTrue("it is under way", () => background.begun > background.ended)
