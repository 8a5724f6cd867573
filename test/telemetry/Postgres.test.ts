/** What is measured of a store on PostgreSQL. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricState from "effect/MetricState"
import { turn } from "../../src/internal/Turn.js"
import { RunStore } from "../../src/store/RunStore.js"
import { aRun } from "../../src/testing/Acts.js"
import * as Postgres from "../support/Postgres.js"

/** Of a gauge its value, of a histogram how many there are. */
const measured = (name: string) =>
  Effect.map(Metric.snapshot, (pairs) => {
    const state = pairs.find(
      ({ metricKey }) => metricKey.name === `workflow_executor_${name}`
    )?.metricState
    if (state === undefined) return undefined
    if (MetricState.isHistogramState(state)) return state.count
    return MetricState.isGaugeState(state) ? Number(state.value) : undefined
  })

describe("a store on PostgreSQL", () => {
  it.scopedLive("measures its connections, and how late others hear of a commit", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const before = yield* measured("database_connection_wait_seconds")
      yield* store.create(aRun("1"))
      yield* store.signal({ runId: "1", name: "paid", exit: "1" })
      expect(yield* measured("database_connection_wait_seconds")).toBeGreaterThan(before ?? 0)
      yield* Effect.repeat(turn, {
        until: () => Effect.map(measured("database_notify_seconds"), (count = 0) => count > 0)
      })
      // given back, each of them
      yield* Effect.repeat(turn, {
        until: () => Effect.map(measured("database_connections_in_use"), (used) => used === 0)
      })
    }).pipe(Effect.provide(Postgres.layer))
  )
})
