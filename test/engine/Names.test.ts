/** A name that would not come back from the store as it was is refused, and so is the id of another's run. */

import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableClock, DurableDeferred, Workflow, WorkflowEngine } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Runs from "../../src/runner/Runs.js"
import {
  type Env,
  exitOf,
  layerFile,
  layerMemory,
  register,
  temporaryFile,
  untilSuspended
} from "./support.js"

const layers = {
  memory: layerMemory(),
  file: Layer.unwrapScoped(Effect.map(temporaryFile, (filename) => layerFile(filename)))
}

const defect = (exit: Exit.Exit<unknown, unknown> | undefined): string =>
  exit !== undefined && Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "no failure"

const named = (name: string) =>
  Workflow.make({
    name,
    payload: { id: Schema.String },
    success: Schema.String,
    idempotencyKey: ({ id }) => id
  })

const W = named("W")

/** Cut in the middle of an emoji. */
const half = "well done 👍".slice(0, 11)

const Half = DurableDeferred.make(half)

const uses: Record<string, Effect.Effect<unknown, never, Env>> = {
  step: Activity.make({ name: half, execute: Effect.void }),
  "short sleep": DurableClock.sleep({ name: half, duration: 50 }),
  "long sleep": DurableClock.sleep({ name: half, duration: "1 day" }),
  "signal that is waited for": DurableDeferred.await(Half),
  "signal that is given": Effect.flatMap(DurableDeferred.token(Half), (token) =>
    DurableDeferred.succeed(Half, { token, value: undefined })
  )
}

for (const [name, layer] of Object.entries(layers)) {
  describe(`a name with half of a character, ${name}`, () => {
    for (const [what, use] of Object.entries(uses)) {
      it.effect(`fails the run that uses it: ${what}`, () =>
        Effect.gen(function* () {
          yield* register(W.toLayer(() => Effect.as(use, "used")))
          const runId = yield* W.execute({ id: "1" }, { discard: true })
          const message = defect(yield* exitOf(W, runId))
          assert.include(message, "has half of a character in it")
          assert.include(message, "\\ud83d")
        }).pipe(Effect.scoped, Effect.provide(layer))
      )
    }

    it.effect("is refused for a workflow and for the id of a run", () =>
      Effect.gen(function* () {
        const workflow = yield* Effect.exit(register(named(half).toLayer(() => Effect.succeed(""))))
        assert.include(defect(workflow), 'the workflow name "well done \\ud83d"')
        yield* register(W.toLayer(() => Effect.succeed("")))
        const engine = yield* WorkflowEngine.WorkflowEngine
        const run = yield* Effect.exit(
          engine.execute(W, { executionId: half, payload: { id: "1" }, discard: true })
        )
        assert.include(defect(run), 'the run id "well done \\ud83d"')
      }).pipe(Effect.scoped, Effect.provide(layer))
    )
  })

  describe(`the id of a run of another workflow, ${name}`, () => {
    const Order = named("order")
    const Item = named("order-item")

    it.effect("is refused to whoever starts one with it, by name", () =>
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        yield* register(
          Order.toLayer(() => Effect.succeed("an order")),
          Item.toLayer(() => Effect.succeed("an item"))
        )
        assert.strictEqual(yield* Order.execute({ id: "item-5" }), "an order")
        const says = 'a run of workflow "order"'
        assert.include(defect(yield* Effect.exit(Item.execute({ id: "5" }))), says)
        assert.include(
          defect(yield* Effect.exit(Item.execute({ id: "5" }, { discard: true }))),
          says
        )
        const asked = yield* Effect.flip(
          runs.start({ workflow: "order-item", payload: { id: "5" } })
        )
        assert.strictEqual(asked._tag, "RunIdTaken")
        assert.include(asked.message, says)
        const runId = yield* Item.executionId({ id: "5" })
        assert.isUndefined(yield* Item.poll(runId))
        for (const told of [Item.interrupt(runId), Item.resume(runId)]) {
          assert.include(defect(yield* Effect.exit(told)), 'one of workflow "order"')
        }
        assert.strictEqual(yield* Order.execute({ id: "item-5" }), "an order")
      }).pipe(Effect.scoped, Effect.provide(Runs.layer), Effect.provide(layer))
    )

    it.effect("fails the parent that starts a child with it", () =>
      Effect.gen(function* () {
        const Parent = named("Parent")
        yield* register(
          Order.toLayer(() => Effect.succeed("an order")),
          Item.toLayer(() => Effect.succeed("an item")),
          Parent.toLayer(() => Item.execute({ id: "5" }))
        )
        yield* Order.execute({ id: "item-5" })
        const runId = yield* Parent.execute({ id: "1" }, { discard: true })
        assert.include(defect(yield* exitOf(Parent, runId)), 'a run of workflow "order"')
      }).pipe(Effect.scoped, Effect.provide(layer))
    )
  })
}

for (const [name, layer] of Object.entries(layers)) {
  describe(`a name that is the engine's own, ${name}`, () => {
    const log: Array<string> = []
    const note = Effect.sync(() => void log.push("executed"))
    const own: Record<string, Effect.Effect<unknown, never, Env>> = {
      "DurableClock/pause": Activity.make({
        name: "DurableClock/pause",
        success: Schema.String,
        execute: Effect.as(note, "done")
      }),
      "DurableClock/work": Activity.make({ name: "DurableClock/work", execute: Effect.void }),
      "DurableClock/naps": Activity.make({
        name: "DurableClock/naps",
        execute: Effect.zipRight(Effect.sleep(1), Effect.sleep(1))
      }),
      "DurableClock/signal": DurableDeferred.await(DurableDeferred.make("DurableClock/signal")),
      "workflow-executor/interrupt-point": DurableDeferred.await(
        DurableDeferred.make("workflow-executor/interrupt-point")
      )
    }
    it.effect("is refused as a signal: a sleep and a race go on", () =>
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        const First = DurableDeferred.make("First", {
          success: Schema.String,
          error: Schema.String
        })
        const race = DurableDeferred.raceAll({
          name: "race",
          success: Schema.String,
          error: Schema.String,
          effects: [
            DurableDeferred.await(First),
            Effect.as(DurableClock.sleep({ name: "long", duration: "1 day" }), "slept")
          ]
        })
        yield* register(W.toLayer(() => Effect.orDie(race)))
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        for (const name of ["DurableClock/long", "raceAll/race", "workflow-executor/x"]) {
          const refused = yield* Effect.flip(runs.signal({ runId, name, value: "forged" }))
          assert.strictEqual(refused._tag, "InvalidSignal")
          assert.include(refused.message, "the engine's own")
        }
        yield* runs.signal({ runId, name: "First", value: "told" })
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("told"))
      }).pipe(Effect.scoped, Effect.provide(Runs.layer), Effect.provide(layer))
    )

    for (const [taken, use] of Object.entries(own)) {
      it.effect(`fails the run that gives it to something else: ${taken}`, () =>
        Effect.gen(function* () {
          yield* register(W.toLayer(() => Effect.as(use, "used")))
          const runId = yield* W.execute({ id: "1" }, { discard: true })
          assert.include(defect(yield* exitOf(W, runId)), `cannot be named "${taken}"`)
          assert.deepStrictEqual(log, [])
        }).pipe(Effect.scoped, Effect.provide(layer))
      )
    }
  })
}
