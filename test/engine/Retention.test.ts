import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { RunStore } from "../../src/RunStore.js"
import { exitOf, layerMemory, noted, pass, register, textWorkflow } from "./support.js"

const W = textWorkflow("Kept")

/** So many runs that are over, and how to see which are left. */
const runs = (count: number) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    yield* register(W.toLayer(({ id }) => noted([], id)))
    const ids = yield* Effect.forEach(Array.from({ length: count }), (_, n) =>
      W.execute({ id: `${n}` }, { discard: true })
    )
    for (const id of ids) yield* exitOf(W, id)
    return { ids, completed: Effect.map(store.counts, ({ completed }) => completed) }
  })

describe("runs that are over", () => {
  it.effect("are kept for ever, where nothing else is said", () =>
    Effect.gen(function* () {
      const { completed } = yield* runs(3)
      yield* pass("10000 days")
      assert.strictEqual(yield* completed, 3)
    }).pipe(Effect.scoped, Effect.provide(layerMemory()))
  )

  it.effect("are removed once they are old, however many there are", () =>
    Effect.gen(function* () {
      const { completed } = yield* runs(450)
      yield* pass("59 minutes")
      assert.strictEqual(yield* completed, 450)
      yield* pass("2 minutes")
      assert.strictEqual(yield* completed, 0)
    }).pipe(Effect.scoped, Effect.provide(layerMemory({ retention: "1 hour" })))
  )

  it.effect("are removed once there are many, the oldest first", () =>
    Effect.gen(function* () {
      const { completed, ids } = yield* runs(7)
      yield* pass("1 minute")
      assert.strictEqual(yield* completed, 2)
      const store = yield* RunStore
      const left = (yield* store.list({ limit: 9 })).runs.map(({ runId }) => runId)
      assert.deepStrictEqual(left, ids.slice(-2).reverse())
    }).pipe(Effect.scoped, Effect.provide(layerMemory({ retentionCount: 2 })))
  )
})
