/** Whether a layer is released alone, or with all around it. */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as ScopeAround from "../../src/engine/held/ScopeAround.js"

class Below extends Context.Tag("test/Below")<Below, Effect.Effect<boolean>>() {}

const below = Layer.unwrapEffect(
  Effect.map(Effect.serviceOption(Scope.Scope), (around) =>
    Layer.scoped(Below, ScopeAround.isClosing(around))
  )
)

/** Notes what it hears when it is released. */
const above = (heard: Array<boolean>) =>
  Layer.scopedDiscard(
    Effect.flatMap(Below, (isClosing) =>
      Effect.addFinalizer(() => Effect.map(isClosing, (closing) => heard.push(closing)))
    )
  )

describe("the scope around a layer", () => {
  it.effect("is closing for what is above the layer when all of it is released", () =>
    Effect.gen(function* () {
      const heard: Array<boolean> = []
      const both = Layer.merge(above(heard), Layer.fresh(above(heard)))
      yield* Effect.scoped(Layer.build(Layer.provideMerge(both, below)))
      // below something else that has a scope of its own
      const nested = Layer.scopedDiscard(Layer.build(Layer.provideMerge(above(heard), below)))
      yield* Effect.scoped(Layer.build(nested))
      expect(heard).toEqual([true, true, true])
    })
  )

  it.effect("is not closing for what is released alone", () =>
    Effect.gen(function* () {
      const heard: Array<boolean> = []
      const around = yield* Scope.make()
      const context = yield* Scope.extend(Layer.build(below), around)
      yield* Effect.scoped(Layer.build(Layer.provide(above(heard), Layer.succeedContext(context))))
      expect(heard).toEqual([false])
      yield* Scope.close(around, Exit.void)
    })
  )

  it.effect("is none where the layer is kept in another, which was not seen", () =>
    Effect.gen(function* () {
      const heard: Array<boolean> = []
      const kept = yield* Scope.make()
      const context = yield* Effect.scoped(Layer.buildWithScope(below, kept))
      yield* Effect.scoped(Layer.build(Layer.provide(above(heard), Layer.succeedContext(context))))
      yield* Effect.provide(Effect.void, Layer.provideMerge(above(heard), below))
      expect(heard).toEqual([false, false])
      yield* Scope.close(kept, Exit.void)
    })
  )
})
