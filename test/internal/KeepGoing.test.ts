import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import * as KeepGoing from "../../src/internal/KeepGoing.js"

/** Does what it is told, and then waits; notes the second at which each round began. */
const loop = (rounds: ReadonlyArray<Effect.Effect<unknown, unknown>>) =>
  Effect.gen(function* () {
    const begun: Array<number> = []
    const logged: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      logged.push(`${logLevel.label}: ${String(message)}`)
    })
    const round = Effect.clockWith((clock) => {
      const next = rounds[begun.length] ?? Effect.never
      begun.push(clock.unsafeCurrentTimeMillis() / 1_000)
      return next
    })
    const fiber = yield* Effect.fork(
      Effect.provide(
        KeepGoing.forever("the loop", round, "8 seconds"),
        Logger.replace(Logger.defaultLogger, logger)
      )
    )
    for (let second = 0; second < 60; second++) yield* TestClock.adjust("1 second")
    return { begun, fiber, logged }
  })

const boom = Effect.die(new Error("boom"))

describe("a loop in the background", () => {
  it.effect("goes on after a defect, with a pause that grows while nothing else happens", () =>
    Effect.gen(function* () {
      const { begun, logged } = yield* loop([boom, boom, boom, boom, boom, Effect.void, boom])
      assert.deepStrictEqual(begun, [0, 1, 3, 7, 15, 23, 23, 24])
      assert.strictEqual(logged.length, 6)
      assert.strictEqual(logged[0], "ERROR: the loop failed; trying again")
    })
  )

  it.effect("tries again a second after a failure, however often", () =>
    Effect.gen(function* () {
      const failure = Effect.fail("busy")
      const { begun, logged } = yield* loop([failure, failure, failure, failure])
      assert.deepStrictEqual(begun, [0, 1, 2, 3, 4])
      assert.strictEqual(logged[0], "WARN: the loop failed; trying again")
    })
  )

  it.effect("goes on where something in it was interrupted, and ends when it is itself", () =>
    Effect.gen(function* () {
      const other = yield* Deferred.make<void>()
      yield* Deferred.interruptWith(other, FiberId.none)
      const { begun, fiber } = yield* loop([Deferred.await(other), Effect.interrupt])
      assert.strictEqual(begun.length, 3)
      yield* Fiber.interrupt(fiber)
    })
  )
})
