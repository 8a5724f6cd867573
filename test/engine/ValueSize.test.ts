/** Values that are too large to be stored are refused where they come up, and nothing is half done. */

import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableDeferred, Workflow } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Runs from "../../src/runner/Runs.js"
import { exitOf, layerMemory, register, step, untilSuspended } from "./support.js"

const limit = 1_024
const bounds = layerMemory({ maxValueSize: limit })

/** So long as JSON, quotes included. */
const text = (bytes: number) => "x".repeat(bytes - 2)

const Sized = Workflow.make({
  name: "Sized",
  payload: { id: Schema.String, result: Schema.optional(Schema.Int) },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

/** Of the exit that is recorded, with what is around its value. */
const around = `{"_tag":"Success","value":}`.length

const defect = (exit: Exit.Exit<unknown, unknown> | undefined): string =>
  exit !== undefined && Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "no failure"

describe("a value that is too large", () => {
  it.effect(
    "as a step's result fails the step, and says which, how large and what is allowed",
    () =>
      Effect.gen(function* () {
        yield* register(
          Sized.toLayer(({ result = 0 }) =>
            Effect.orDie(step("large", Effect.succeed(text(result))))
          )
        )
        const fits = yield* Sized.execute({ id: "fits", result: limit - around }, { discard: true })
        assert.deepStrictEqual(yield* exitOf(Sized, fits), Exit.succeed(text(limit - around)))
        const large = yield* Sized.execute({ id: "large", result: limit }, { discard: true })
        const message = defect(yield* exitOf(Sized, large))
        assert.include(message, 'the outcome of step "large" of workflow "Sized"')
        assert.include(message, `it has ${limit + around} bytes, and at most ${limit}`)
      }).pipe(Effect.scoped, Effect.provide(bounds))
  )

  it.effect("as a step's error fails the step as well", () =>
    Effect.gen(function* () {
      yield* register(
        Sized.toLayer(() =>
          Activity.make({
            name: "loud",
            success: Schema.String,
            error: Schema.String,
            execute: Effect.fail(text(2 * limit))
          }).pipe(Effect.orDie)
        )
      )
      const runId = yield* Sized.execute({ id: "1" }, { discard: true })
      assert.include(defect(yield* exitOf(Sized, runId)), 'the outcome of step "loud"')
    }).pipe(Effect.scoped, Effect.provide(bounds))
  )

  it.effect("as a run's result fails the run", () =>
    Effect.gen(function* () {
      yield* register(Sized.toLayer(() => Effect.succeed(text(2 * limit))))
      const runId = yield* Sized.execute({ id: "1" }, { discard: true })
      assert.include(defect(yield* exitOf(Sized, runId)), 'the result of workflow "Sized"')
    }).pipe(Effect.scoped, Effect.provide(bounds))
  )

  it.effect("as a payload is refused, whoever starts the run, and no run is there", () =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      yield* register(Sized.toLayer(() => Effect.succeed("")))
      const payload = { id: text(2 * limit) }
      const asked = yield* Effect.flip(runs.start({ workflow: "Sized", payload }))
      assert.strictEqual(asked._tag, "InvalidPayload")
      assert.include(asked.message, `at most ${limit} are allowed (MAX_VALUE_SIZE)`)
      const executed = yield* Effect.exit(Sized.execute(payload, { discard: true }))
      assert.include(defect(executed), `at most ${limit} are allowed`)
      assert.deepStrictEqual((yield* runs.list()).runs, [])
    }).pipe(Effect.scoped, Effect.provide(Runs.layer), Effect.provide(bounds))
  )

  it.effect("as a signal is refused, and the run waits on", () =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const Go = DurableDeferred.make("Go", { success: Schema.String })
      yield* register(Sized.toLayer(() => DurableDeferred.await(Go)))
      const runId = yield* Sized.execute({ id: "1" }, { discard: true })
      yield* untilSuspended(Sized, runId)
      const refused = yield* Effect.flip(runs.signal({ runId, name: "Go", value: text(2 * limit) }))
      assert.strictEqual(refused._tag, "InvalidSignal")
      assert.include(refused.message, `at most ${limit} are allowed`)
      yield* runs.signal({ runId, name: "Go", value: "small" })
      assert.deepStrictEqual(yield* exitOf(Sized, runId), Exit.succeed("small"))
    }).pipe(Effect.scoped, Effect.provide(Runs.layer), Effect.provide(bounds))
  )
})
