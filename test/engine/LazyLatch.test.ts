import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { LazyLatch } from "../../src/engine/LazyLatch.js"
import { turns } from "./support.js"

/** Which of three who wait, before it opens, meanwhile and after, have come through. */
const through = (latch: Effect.Latch, act: (latch: Effect.Latch) => Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const wait = (self: Effect.Effect<unknown>) => Effect.fork(Effect.as(self, "through"))
    const before = yield* wait(latch.await)
    const whenOpen = yield* wait(latch.whenOpen(Effect.void))
    yield* turns(2)
    yield* act(latch)
    const after = yield* wait(latch.await)
    const asEffect = yield* wait(latch)
    yield* turns(2)
    const fibers = [before, whenOpen, after, asEffect]
    const polled = fibers.map((fiber) => fiber.unsafePoll() !== null)
    yield* Fiber.interruptAll(fibers)
    return polled
  })

describe("a latch that is made late", () => {
  const acts: Record<string, (latch: Effect.Latch) => Effect.Effect<unknown>> = {
    "nothing is done with": () => Effect.void,
    "is opened": (latch) => latch.open,
    "is released": (latch) => latch.release,
    "is opened and closed": (latch) => Effect.zipRight(latch.open, latch.close),
    "is opened and closed from plain code": (latch) =>
      Effect.sync(() => {
        latch.unsafeOpen()
        latch.unsafeClose()
      })
  }
  for (const [what, act] of Object.entries(acts)) {
    it.effect(`lets through whom Effect's own does, when it ${what}`, () =>
      Effect.gen(function* () {
        const own = yield* through(Effect.unsafeMakeLatch(), act)
        assert.deepStrictEqual(yield* through(new LazyLatch(), act), own)
      })
    )
  }

  it.effect("is open to whoever comes after it was opened, with nobody waiting before", () =>
    Effect.gen(function* () {
      const latch = new LazyLatch()
      latch.unsafeOpen()
      yield* latch.await
      latch.unsafeClose()
      const waiting = yield* Effect.fork(latch.await)
      yield* turns(2)
      assert.isNull(waiting.unsafePoll())
      yield* latch.open
      yield* Fiber.join(waiting)
    })
  )
})
