/** A year of schedules, in a test's time: the runs that it comes to, and for which ticks they are. */
import { assert, describe, it } from "@effect/vitest"
import { Activity, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Executor from "../../../src/Executor.js"
import { Runs } from "../../../src/runner/Runs.js"
import * as Schedules from "../../../src/runner/Schedules.js"
import { until } from "../../engine/support.js"

const Report = Workflow.make({
  name: "Report",
  payload: { zone: Schema.String },
  idempotencyKey: ({ zone }) => zone
})

const zones = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] as const

/**
 * The local days on which clocks are put forward and back, and when 1:45 and 2:15 are there. (Each wake
 * of a TestClock takes a few milliseconds of real time, so there are some thousands of them and no more.)
 */
const changes = {
  "Europe/Berlin": {
    forward: ["2026-03-29T00:45:00.000Z", "2026-03-29T01:00:00.000Z"],
    back: ["2026-10-24T23:45:00.000Z", "2026-10-25T00:15:00.000Z"]
  },
  "America/New_York": {
    forward: ["2026-03-08T06:45:00.000Z", "2026-03-08T07:00:00.000Z"],
    back: ["2026-11-01T05:45:00.000Z", "2026-11-01T07:15:00.000Z"]
  },
  "Australia/Lord_Howe": {
    forward: ["2026-10-03T15:15:00.000Z", "2026-10-03T15:30:00.000Z"],
    back: ["2026-04-04T14:45:00.000Z", "2026-04-04T15:45:00.000Z"]
  }
}

const begin = Date.UTC(2025, 11, 31, 12)

describe("a year of schedules", () => {
  it.effect(
    "starts a run for each tick, over all changes of clocks",
    () => {
      const ticks = new Map<string, Array<string>>()
      const late: Array<string> = []
      const ReportLive = Report.toLayer(({ zone }) =>
        Effect.gen(function* () {
          const { schedule, tick } = Option.getOrThrow(yield* Schedules.current)
          yield* Activity.make({
            name: "note",
            execute: Effect.map(TestClock.currentTimeMillis, (now) => {
              if (now !== tick.getTime()) late.push(`${schedule} ${tick.toISOString()} at ${now}`)
              const noted = ticks.get(schedule)
              if (noted === undefined) ticks.set(schedule, [tick.toISOString()])
              else noted.push(tick.toISOString())
            })
          })
          return zone
        }).pipe(Effect.asVoid, Effect.orDie)
      )
      const nameOf = (zone: string) => zone.replace("/", "-")
      const declared = Schedules.layer({
        ...Object.fromEntries(
          zones.map((timeZone) => [
            nameOf(timeZone),
            { workflow: Report, payload: { zone: timeZone }, cron: "45 1 * 3,4,10,11 *", timeZone }
          ])
        ),
        ...Object.fromEntries(
          zones.map((timeZone) => [
            `${nameOf(timeZone)}.quarter`,
            { workflow: Report, payload: { zone: timeZone }, cron: "15 2 * * *", timeZone }
          ])
        ),
        weekly: { workflow: Report, payload: { zone: "UTC" }, every: "7 days" }
      })
      return Effect.gen(function* () {
        const runs = yield* Runs
        yield* TestClock.adjust("366 days")
        yield* until(
          "all runs are over",
          Effect.map(
            runs.counts,
            ({ pending, running, suspended }) => pending + running + suspended === 0
          )
        )
        assert.deepStrictEqual(late, [])
        for (const zone of zones) {
          const name = nameOf(zone)
          const all = [...(ticks.get(name) ?? []), ...(ticks.get(`${name}.quarter`) ?? [])].sort()
          assert.strictEqual(new Set(all).size, all.length, zone)
          for (const day of Object.values(changes[zone])) {
            for (const tick of day) assert.include(all, tick, zone)
          }
          // a day without is as bad as one with two
          const quarters = ticks.get(`${name}.quarter`) ?? []
          assert.isAtLeast(quarters.length, 365, zone)
          assert.isAtMost(quarters.length, 366, zone)
        }
        // every Thursday, from the first day of the year on
        assert.strictEqual(ticks.get("weekly")?.length, 53)
      }).pipe(
        Effect.provide(
          Layer.merge(ReportLive, declared).pipe(Layer.provideMerge(Executor.layerTest()))
        ),
        // the executor begins with the year
        (test) => Effect.zipRight(TestClock.setTime(begin), test)
      )
    },
    120_000
  )
})
