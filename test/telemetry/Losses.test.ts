/** What is counted when executors die, freeze or lose a run. */
import { assert } from "@effect/vitest"
import { Activity, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { RunLost } from "../../src/store/RunStore.js"
import { prefix } from "../../src/telemetry/Metrics.js"
import { render } from "../../src/telemetry/Prometheus.js"
import { until, worlds } from "../runner/Harness.js"
import { parse, valueIn } from "./parse.js"

const value = (name: string, labels: Record<string, string> = {}) =>
  Effect.map(Metric.snapshot, (pairs) =>
    valueIn(
      parse(render(pairs.filter(({ metricKey }) => metricKey.name.startsWith(prefix)))),
      prefix + name,
      labels
    )
  )

const untilValue = (name: string, expected: number, labels: Record<string, string> = {}) =>
  until(
    `${name} becomes ${expected}`,
    Effect.fnUntraced(function* () {
      return (yield* value(name, labels)) === expected
    })
  )

worlds("losses", (test, kind) => {
  test("a lapsed executor's runs are counted by who takes them over", (world) =>
    Effect.gen(function* () {
      const before = yield* value("runs_taken_over_total")
      const dead = yield* world.outside.register({ host: "other", pid: 1, leaseMillis: 1000 })
      yield* world.outside.create({ runId: "1", workflow: "W", payload: "{}" }, dead)
      yield* world.start({ leaseDuration: "3 seconds" })
      yield* TestClock.adjust("2 seconds")
      yield* untilValue("runs_taken_over_total", before + 1)
    }))

  test("a lost lease is counted by who lost it", (world) =>
    Effect.gen(function* () {
      const before = yield* value("lease_losses_total")
      let renewals = 0
      yield* world.start({
        leaseDuration: "3 seconds",
        wrap: (store) => ({
          ...store,
          renew: (executor, lease) =>
            ++renewals === 2 ? Effect.succeed(false) : store.renew(executor, lease)
        })
      })
      yield* until("the first renewal", () => renewals === 1)
      yield* TestClock.adjust("1 second")
      yield* untilValue("lease_losses_total", before + 1)
    }))

  test("a step whose run is lost before it is recorded is counted as unrecorded", (world) =>
    Effect.gen(function* () {
      const W = Workflow.make({
        name: `Lost/${kind}`,
        payload: { id: Schema.String },
        idempotencyKey: ({ id }) => id
      })
      const stack = yield* world.start({
        workflows: W.toLayer(() => Activity.make({ name: "step", execute: Effect.void })),
        wrap: (store) => ({
          ...store,
          recordStep: ({ held }) => new RunLost({ runId: held.runId })
        })
      })
      yield* stack.run(W.execute({ id: "1" }, { discard: true }))
      yield* untilValue("steps_total", 1, { workflow: W.name, outcome: "unrecorded" })
      assert.strictEqual(yield* value("step_duration_seconds_count", { workflow: W.name }), 0)
      yield* untilValue("runs_held", 0)
      assert.strictEqual(yield* value("steps_in_flight"), 0)
    }))
})
