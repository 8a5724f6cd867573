import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { RunStore } from "../../src/store/RunStore.js"
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
    }).pipe(Effect.scoped, Effect.provide(layerMemory({ signalRetention: Duration.infinity })))
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

describe("a signal without a run", () => {
  const early = Effect.gen(function* () {
    const store = yield* RunStore
    yield* store.signal({ runId: "a", name: "Approval", exit: "1" })
    /** Whether it is there for the run, which is created now. */
    return Effect.gen(function* () {
      const { held } = Option.getOrThrow(
        Option.fromNullable(
          (yield* store.create(
            { runId: "a", workflow: "W", payload: "{}" },
            (yield* store.executors)[0]?.id
          )).claimed
        )
      )
      return (yield* store.history(held)).signals.length === 1
    })
  })

  it.effect("is kept for 7 days, where nothing else is said", () =>
    Effect.gen(function* () {
      const isThere = yield* early
      yield* pass("6 days")
      assert.isTrue(yield* isThere)
    }).pipe(Effect.scoped, Effect.provide(layerMemory()))
  )

  it.effect("is gone a day after that at the latest", () =>
    Effect.gen(function* () {
      const isThere = yield* early
      for (let day = 0; day < 9; day++) yield* pass("1 day")
      assert.isFalse(yield* isThere)
    }).pipe(Effect.scoped, Effect.provide(layerMemory()))
  )

  it.effect("is kept for as long as was said", () =>
    Effect.gen(function* () {
      const isThere = yield* early
      yield* pass("1 hour")
      yield* pass("2 hours")
      assert.isFalse(yield* isThere)
    }).pipe(Effect.scoped, Effect.provide(layerMemory({ signalRetention: "1 hour" })))
  )
})
