import { it } from "@effect/vitest"
import { Activity, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Executor from "../../src/Executor.js"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { expect, gate, journal, settled, statusOf, until } from "./Harness.js"

const One = Workflow.make({
  name: "One",
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id
})

/** A store that is stopped, with its process, between a renewal and the look for lapsed leases. */
const freezing = () => {
  let freeze = false
  const layer = Layer.effect(
    RunStore,
    Effect.map(RunStore, (store) => ({
      ...store,
      executors: Effect.suspend(() => {
        if (!freeze) return store.executors
        freeze = false
        return Effect.zipRight(TestClock.adjust("20 seconds"), store.executors)
      })
    }))
  ).pipe(Layer.provide(SqliteRunStore.layerMemory))
  return {
    layer,
    /** At the next renewal. */
    next: Effect.sync(() => {
      freeze = true
    }),
    isOver: () => !freeze
  }
}

// its lease lapses between its renewal and its look for lapsed ones
it.scoped(
  "an executor that was frozen for longer than its lease takes over from no one but others",
  () => {
    const log = journal()
    const held = gate()
    const freeze = freezing()
    const executor = Executor.layerCore({
      workflows: One.toLayer(() =>
        Activity.make({ name: "held", execute: Effect.zipRight(log.note("held"), held.pass) })
      )
    }).pipe(
      Layer.provideMerge(freeze.layer),
      Layer.provide(RunnerConfig.layer({ leaseDuration: "15 seconds", stopTimeout: 0 }))
    )
    return Effect.gen(function* () {
      const runId = yield* One.execute({ id: "1" }, { discard: true })
      yield* held.entered
      yield* freeze.next
      yield* TestClock.adjust("5 seconds")
      yield* until("it was frozen", freeze.isOver)
      yield* settled
      yield* TestClock.adjust("30 seconds")
      yield* settled
      yield* held.open
      yield* TestClock.adjust("30 seconds")
      const store = yield* RunStore
      yield* until("it is over", () =>
        Effect.map(statusOf(store, runId), (status) => status === "completed")
      )
      expect(log.lines).toEqual(["held"])
    }).pipe(Effect.provide(executor))
  }
)
