import * as Reactivity from "@effect/experimental/Reactivity"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { aStep, begin, register } from "../../src/testing/Acts.js"
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

/** Text of about so many bytes of JSON, in an encoded success. */
const success = (bytes: number) => JSON.stringify({ _tag: "Success", value: "x".repeat(bytes) })

/** A file with a run of 50 steps, and 10 runs besides, with about 1 MiB in every value. */
const largeFile = (filename: string) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const executor = yield* register
    const megabyte = 1024 * 1024
    const { held } = yield* begin(executor, "big")
    for (let n = 0; n < 50; n++) {
      // every tenth is larger than what is told with others
      const exit = success(n % 10 === 0 ? megabyte + 100_000 : megabyte - 100_000)
      yield* store.recordStep(aStep(held, { name: `s${n}`, startedAt: n, exit }))
    }
    yield* store.complete({ held, status: "completed", exit: success(megabyte - 1_000) })
    for (let n = 0; n < 10; n++) {
      const payload = JSON.stringify({ id: "x".repeat(megabyte - 1_000) })
      const { held } = yield* begin(executor, `other-${n}`, { payload })
      yield* store.complete({ held, status: "completed", exit: success(megabyte) })
    }
    yield* store.unregister(executor)
  }).pipe(Effect.provide(SqliteRunStore.layerFile({ filename })))

const Run = Schema.Struct({
  steps: Schema.Array(Schema.Struct({ name: Schema.String })),
  stepsCursor: Schema.optional(Schema.String)
})

const Steps = Schema.Struct({
  steps: Schema.Array(Schema.Struct({ name: Schema.String })),
  nextCursor: Schema.NullOr(Schema.String)
})

/** How many steps a run has, page by page. */
const countSteps = (executor: Process.Executor, runId: string) =>
  Effect.gen(function* () {
    const first = Schema.decodeUnknownSync(Run)(
      (yield* executor.request("GET", `/runs/${runId}`)).body
    )
    let count = first.steps.length
    for (let cursor = first.stepsCursor ?? null; cursor !== null; ) {
      const { body } = yield* executor.request("GET", `/runs/${runId}/steps?cursor=${cursor}`)
      const page = Schema.decodeUnknownSync(Steps)(body)
      count += page.steps.length
      cursor = page.nextCursor
    }
    return count
  })

describe("whatever is asked for, the process holds no more of it than a page", () => {
  const heap = "--max-old-space-size=64"

  it.scopedLive(
    "a record of 50 MiB is read, listed and followed, while /health answers",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        yield* largeFile(fixture.env.DATABASE_FILE)
        const executor = yield* Process.startReady({
          command: [process.execPath, heap, Process.bin, "start", Process.fixture("work.ts")],
          cwd: fixture.folder,
          env: fixture.env
        })
        const healthy = { count: 0 }
        const health = yield* Effect.fork(
          Effect.forever(
            Effect.map(executor.request("GET", "/health"), ({ status }) => {
              expect(status).toBe(200)
              healthy.count++
            }).pipe(Effect.delay("20 millis"))
          )
        )
        const status = (path: string) =>
          Effect.map(executor.request("GET", path), ({ status }) => status)
        const answers = yield* Effect.all(
          [
            countSteps(executor, "big"),
            countSteps(executor, "big"),
            status("/runs?limit=200"),
            status("/runs?limit=200&include=payload,result"),
            status("/runs/big/steps/s10/1"),
            status("/runs/big/result")
          ],
          { concurrency: "unbounded" }
        )
        expect(answers).toEqual([50, 50, 200, 200, 200, 200])
        yield* Fiber.interrupt(health)
        expect(healthy.count).toBeGreaterThan(3)
        expect((yield* executor.stop()).code).toBe(0)
      }),
    120_000
  )

  it.scopedLive(
    "the command shows and follows it too, from the API and from the file",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const filename = fixture.env.DATABASE_FILE
        yield* largeFile(filename)
        const executor = yield* fixture.start()
        const url = yield* executor.url
        for (const args of [
          ["show", "big", "--json", "--url", url],
          ["watch", "big", "--url", url],
          ["show", "big", "--database", filename]
        ]) {
          const command = [process.execPath, heap, Process.bin, "runs", ...args]
          const ran = yield* Process.start({ command })
          expect((yield* ran.exited).code).toBe(0)
          for (const n of [0, 49]) expect(ran.stdout.includes(`s${n}`)).toBe(true)
        }
        yield* executor.stop()
      }),
    120_000
  )
})

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
