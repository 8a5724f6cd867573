/** Branches of one run that wait for each other: none waits in vain. */
import { assert, describe, it } from "@effect/vitest"
import { DurableDeferred } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { exitOf, layerMemory, register, step, textWorkflow, turns } from "./support.js"

describe("branches of one run", () => {
  it.effect("one that waits for a signal which another gives goes on", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const Done = DurableDeferred.make("done", { success: Schema.String })
      const waits = Effect.flatMap(DurableDeferred.await(Done), (value) =>
        step("after", Effect.succeed(`after ${value}`))
      )
      const first = Effect.orDie(step("first", Effect.as(turns(3), "first")))
      const gives = DurableDeferred.into(first, Done)
      yield* register(
        W.toLayer(() =>
          Effect.map(Effect.all([waits, gives], { concurrency: "unbounded" }), ([text]) => text)
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("after first"))
    }).pipe(Effect.scoped, Effect.provide(layerMemory()))
  )

  it.effect("one that asks for a step which another has given up executes it itself", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      let executions = 0
      const shared = step(
        "shared",
        Effect.suspend(() => (++executions === 1 ? Effect.never : Effect.succeed("shared")))
      )
      // the race asks for it first, and loses interest in it
      const race = Effect.raceFirst(shared, Effect.as(turns(20), "elsewhere"))
      const joins = Effect.zipRight(turns(5), shared)
      yield* register(
        W.toLayer(() =>
          Effect.map(Effect.all([race, joins], { concurrency: "unbounded" }), (all) =>
            all.join(" and ")
          )
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("elsewhere and shared"))
      assert.strictEqual(executions, 2)
    }).pipe(Effect.scoped, Effect.provide(layerMemory()))
  )
})
