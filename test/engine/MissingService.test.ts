/** A service that a workflow asks for and nobody provides, as in JavaScript, which does not say so. */
import { assert, describe, it } from "@effect/vitest"
import { Activity, Workflow, type WorkflowEngine } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Executor from "../../src/Executor.js"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import * as Runner from "../../src/runner/Runner.js"
import * as Runs from "../../src/runner/Runs.js"
import { isFinal, RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { exitOf, memoryTest, register, temporaryFile, until } from "./support.js"

class Mailer extends Context.Tag("Mailer")<Mailer, { readonly send: Effect.Effect<string> }>() {}

const W = Workflow.make({
  name: "W",
  payload: { id: Schema.String, where: Schema.Literal("step", "workflow") },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

/** As JavaScript has it: what it asks for is not in its type. */
// @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
const withoutType = <A, E, R>(effect: Effect.Effect<A, E, R>) => effect as Effect.Effect<A, E>

const make = (counts: { first: number; undone: number }) =>
  W.toLayer(({ where }) =>
    Effect.gen(function* () {
      yield* Activity.make({
        name: "first",
        execute: Effect.sync(() => {
          counts.first++
        })
      }).pipe(
        W.withCompensation(() =>
          Effect.sync(() => {
            counts.undone++
          })
        )
      )
      const send = Effect.flatMap(Mailer, ({ send }) => send)
      return yield* withoutType(
        where === "step"
          ? Activity.make({ name: "mail", success: Schema.String, execute: send })
          : send
      )
    })
  )

const provided = Layer.succeed(Mailer, { send: Effect.succeed("sent") })

/** The log, at ERROR. */
const errorsInto = (lines: Array<string>) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ logLevel, message }) => {
      if (logLevel.label === "ERROR") lines.push([message].flat().join(" "))
    })
  )

/** A process of its own over the file, and what it logs as errors. */
const inProcess = <A, E, R>(
  filename: string,
  live: Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>,
  errors: Array<string>,
  body: Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const memoMap = yield* Layer.makeMemoMap
    const layer = Layer.mergeAll(live, Runs.layer).pipe(
      Layer.provideMerge(Runner.layer),
      Layer.provideMerge(Executor.layerEngine),
      Layer.provideMerge(SqliteRunStore.layerFile({ filename, pollInterval: Duration.infinity })),
      Layer.provideMerge(RunnerConfig.layer({ stopTimeout: 0, leaseDuration: "1000 days" })),
      Layer.provideMerge(errorsInto(errors))
    )
    const context = yield* Layer.buildWithMemoMap(layer, memoMap, yield* Effect.scope)
    return yield* Effect.provide(body, context)
  }).pipe(Effect.scoped)

const runOf = (runId: string) => Effect.flatMap(Runs.Runs, (runs) => runs.get(runId))

const waitsForMend = (runId: string) =>
  until(
    `${runId} waits to be mended`,
    Effect.map(runOf(runId), ({ waitsFor }) => waitsFor?.first[0]?.type === "mend")
  )

describe("a service that nobody provides", () => {
  for (const where of ["step", "workflow"] as const) {
    it.effect(`lets runs wait that ask for it in a ${where}, until it is there`, () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const counts = { first: 0, undone: 0 }
        const errors: Array<string> = []
        const start = (id: string) => W.execute({ id, where }, { discard: true })
        const waiting = Effect.gen(function* () {
          const runIds = [yield* start("1"), yield* start("2")]
          yield* Effect.forEach(runIds, waitsForMend)
          for (const runId of runIds) {
            const { error, steps } = yield* runOf(runId)
            assert.include(error?.message, 'nothing provides the service "Mailer"')
            assert.deepStrictEqual(
              steps.map(({ name, status }) => `${name} ${status}`),
              ["first completed"]
            )
          }
          assert.strictEqual(yield* Effect.flatMap(RunStore, ({ blocked }) => blocked), 2)
          return runIds
        })
        const runIds = yield* inProcess(filename, make(counts), errors, waiting)
        // once for the workflow, and not for each of its runs
        assert.strictEqual(errors.length, 1)
        assert.match(errors[0] ?? "", /"Mailer".*"W"/)
        assert.deepStrictEqual(counts, { first: 2, undone: 0 })

        const mended = Effect.gen(function* () {
          const runs = yield* Runs.Runs
          for (const runId of runIds) {
            yield* runs.resume(runId)
            assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("sent"))
          }
        })
        yield* inProcess(filename, make(counts).pipe(Layer.provide(provided)), errors, mended)
        assert.deepStrictEqual(counts, { first: 2, undone: 0 })
      }).pipe(Effect.scoped)
    )
  }

  memoryTest("does not keep a run from ending by an interrupt", () =>
    Effect.gen(function* () {
      const counts = { first: 0, undone: 0 }
      yield* register(make(counts))
      const runId = yield* W.execute({ id: "1", where: "workflow" }, { discard: true })
      yield* waitsForMend(runId)
      const runs = yield* Runs.Runs
      yield* runs.interrupt(runId)
      yield* until(
        "over",
        Effect.map(runOf(runId), ({ status }) => isFinal(status))
      )
      assert.deepStrictEqual(counts, { first: 1, undone: 1 })
    }).pipe(Effect.provide(Runs.layer))
  )

  memoryTest("fails a run only where that was recorded, by an older version", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* store.register({ host: "old", pid: 1, leaseMillis: 60_000 })
      const created = yield* store.create(
        { runId: "old", workflow: "W", payload: `{"id":"old","where":"step"}` },
        executor
      )
      const exit = JSON.stringify({
        _tag: "Failure",
        cause: { _tag: "Die", defect: { name: "Error", message: "Service not found: Mailer" } }
      })
      const held = created.claimed?.held ?? (yield* Effect.dieMessage("not held"))
      for (const [name, status, recorded] of [
        ["first", "completed", `{"_tag":"Success"}`],
        ["mail", "failed", exit]
      ] as const) {
        yield* store.recordStep({
          ...{ held, name, attempt: 1, status, startedAt: 0 },
          ...{ completedAt: 0, exit: recorded, timers: [] }
        })
      }
      yield* store.release([{ held, timers: [] }])
      yield* register(make({ first: 0, undone: 0 }))
      yield* until(
        "failed",
        Effect.map(runOf("old"), ({ status }) => status === "failed")
      )
    }).pipe(Effect.provide(Runs.layer))
  )
})
