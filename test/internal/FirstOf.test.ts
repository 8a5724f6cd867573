import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { firstOf } from "../../src/internal/FirstOf.js"
import { turns } from "../engine/support.js"

describe("the first of two waits", () => {
  for (const [side, first] of [
    ["one", firstOf(Effect.succeed(1), Effect.never)],
    ["other", firstOf(Effect.never, Effect.succeed(1))]
  ] as const) {
    it.effect(`is there when the ${side} is, also in a region that cannot be interrupted`, () =>
      Effect.gen(function* () {
        const fiber = yield* Effect.fork(Effect.uninterruptible(first))
        yield* turns(5)
        assert.strictEqual((yield* fiber.poll)._tag, "Some")
        yield* Fiber.interruptFork(fiber)
      })
    )
  }
})
