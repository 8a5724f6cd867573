import * as Reactivity from "@effect/experimental/Reactivity"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Process from "../support/Executor.js"
import * as Fixture from "./Fixture.js"

/** Keeps everybody else from writing, for as long as the scope is open. */
const lock = (filename: string) =>
  Effect.gen(function* () {
    const client = yield* SqliteClient.make({ filename })
    const connection = yield* client.reserve
    yield* Effect.acquireRelease(
      connection.executeUnprepared("BEGIN IMMEDIATE", [], undefined),
      () => Effect.orDie(connection.executeUnprepared("ROLLBACK", [], undefined))
    )
  }).pipe(Effect.provide(Reactivity.layer))

describe("whatever happens, the process ends in bounded time", () => {
  it.scopedLive("a resource that is never released is left after its timeout; exit code 1", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* Process.startReady({
        ...fixture.options(),
        module: Process.fixture("endless-release.ts")
      })
      const exited = yield* executor.stop()
      expect(exited).toMatchObject({ code: 1, signal: null })
      expect(exited.millis).toBeLessThan(13_000)
      yield* executor.log("releasing the workflows' resources failed")
    })
  )

  it.scopedLive("a resource whose release fails is named; the rest is released; exit code 1", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* Process.startReady({
        ...fixture.options(),
        module: Process.fixture("failing-release.ts")
      })
      const exited = yield* executor.stop()
      expect(exited).toMatchObject({ code: 1, signal: null })
      expect(exited.millis).toBeLessThan(8_000)
      const failed = yield* executor.log("releasing the workflows' resources failed")
      expect(failed.cause).toContain("the printer is on fire")
    })
  )

  it.scopedLive("a store that is locked does not hold the stop up; exit code 1", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      yield* lock(fixture.env.DATABASE_FILE)
      const exited = yield* executor.stop()
      expect(exited).toMatchObject({ code: 1, signal: null })
      expect(exited.millis).toBeLessThan(20_000)
    })
  )

  it.scopedLive("a signal ends a start that waits for a locked store", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      yield* Effect.flatMap(fixture.start(), (executor) => executor.stop())
      yield* lock(fixture.env.DATABASE_FILE)
      const executor = yield* Process.start(fixture.options())
      yield* executor.log("executor starting")
      const exited = yield* executor.stop()
      expect(exited).toMatchObject({ signal: null })
      expect(exited.millis).toBeLessThan(12_000)
    })
  )

  it.scopedLive(
    "what is thrown outside of Effect stops the executor, with a drain; exit code 1",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* Process.startReady({
          ...fixture.options({ STOP_TIMEOUT: "500 millis" }),
          module: Process.fixture("uncaught.ts")
        })
        yield* executor.run("Throws", { id: "a" })
        const thrown = yield* executor.log("thrown outside of Effect")
        expect(thrown.cause).toContain("nobody catches this")
        expect(yield* executor.exited).toMatchObject({ code: 1, signal: null })
        const over = yield* executor.log("drain over")
        expect(over.annotations.handedOver).toBe(1)
      })
  )

  it.scopedLive("goes on, and stops in order, when nobody reads its log any more", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      yield* executor.closeOutput
      const held = yield* executor.run("Held", { id: "a" })
      yield* fixture.began(held, "held")
      yield* executor.kill("SIGTERM")
      yield* fixture.open("a")
      expect(yield* executor.exited).toMatchObject({ code: 0, signal: null })
      const next = yield* fixture.start()
      yield* next.completed(held)
      expect(Fixture.times(yield* fixture.executions, "began", held, "held")).toBe(1)
    })
  )
})
