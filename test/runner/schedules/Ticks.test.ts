/** Ticks against a plain model, which goes through a year minute by minute, as clocks on walls do. */
import { assert, describe, it } from "@effect/vitest"
import * as Cron from "effect/Cron"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Ticks from "../../../src/runner/schedules/Ticks.js"
import * as Zone from "../../../src/runner/schedules/Zone.js"

const minute = 60_000

const zones = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] as const

const zoneOf = (name: string) => {
  const zone = Zone.make(name)
  assert.isDefined(zone)
  return zone
}

const ticksOf = (expression: string, zone: string) =>
  Ticks.cron(Either.getOrThrow(Cron.parse(expression, "UTC")), zoneOf(zone))

const iso = (times: ReadonlyArray<number>) => times.map((time) => new Date(time).toISOString())

interface Shown {
  readonly time: number
  /** As if it were UTC. */
  readonly local: number
}

/** What clocks show at each minute of a year and a bit, in Intl's words. */
const minutesOf = (timeZone: string): ReadonlyArray<Shown> => {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit"
  })
  const shown: Array<Shown> = []
  const end = Date.UTC(2027, 0, 3)
  for (let time = Date.UTC(2025, 11, 31); time < end; time += minute) {
    // offsets change on quarters of an hour
    const last = shown.at(-1)
    if (last !== undefined && time % (15 * minute) !== 0) {
      shown.push({ time, local: last.local + minute })
      continue
    }
    const parts = Object.fromEntries(
      format.formatToParts(time).map(({ type, value }) => [type, Number(value)])
    )
    const { year = 0, month = 0, day = 0, hour = 0, minute: minutes = 0 } = parts
    shown.push({ time, local: Date.UTC(year, month - 1, day, hour, minutes) })
  }
  return shown
}

/** Whether a local time is one of the expression's, field by field; its seconds are 0. */
const matching = (expression: string) => {
  const { days, hours, minutes, months, weekdays } = Either.getOrThrow(Cron.parse(expression))
  const [, , dayField = "", , weekdayField = ""] = expression.split(" ")
  const has = (values: ReadonlySet<number>, value: number) => values.size === 0 || values.has(value)
  return (local: number) => {
    const date = new Date(local)
    if (!has(minutes, date.getUTCMinutes()) || !has(hours, date.getUTCHours())) return false
    if (!has(months, date.getUTCMonth() + 1)) return false
    const isDay = has(days, date.getUTCDate())
    const isWeekday = has(weekdays, date.getUTCDay())
    // of two that are given one is enough
    const isEither = !dayField.startsWith("*") && !weekdayField.startsWith("*")
    return isEither ? isDay || isWeekday : isDay && isWeekday
  }
}

/** By the rules. */
const modelOf = (shown: ReadonlyArray<Shown>, matches: (local: number) => boolean) => {
  const ticks: Array<number> = []
  let latest = shown[0]?.local ?? 0
  for (const { local, time } of shown) {
    // what clocks show again was there already; what they have left out is due now
    let isDue = false
    for (let passed = latest + minute; passed <= local; passed += minute) {
      isDue = matches(passed) || isDue
    }
    latest = Math.max(latest, local)
    if (isDue) ticks.push(time)
  }
  return ticks
}

/** When clocks are put forward or back. */
const changesOf = (shown: ReadonlyArray<Shown>) =>
  shown.filter(({ local, time }, index) => {
    const before = shown[index - 1]
    return before !== undefined && local - before.local !== time - before.time
  })

const day = 24 * 60 * minute

/** A year; or, of ticks that are many, a few days around each change, as the year has it. */
const spansOf = (expression: string, shown: ReadonlyArray<Shown>) => {
  const { hours, minutes } = Either.getOrThrow(Cron.parse(expression))
  const perDay = (minutes.size || 60) * (hours.size || 24)
  return perDay <= 6
    ? [{ from: Date.UTC(2026, 0, 1) - 1, to: Date.UTC(2027, 0, 1) }]
    : changesOf(shown).map(({ time }) => ({ from: time - 2 * day - 1, to: time + 2 * day }))
}

const ticksWithin = (ticks: Ticks.Ticks, { from, to }: { from: number; to: number }) => {
  const found: Array<number> = []
  for (const tick of Ticks.sequence(ticks, from)) {
    if (tick >= to) break
    found.push(tick)
  }
  return found
}

const minutes = new Map(zones.map((zone) => [zone, minutesOf(zone)]))

const list = (min: number, max: number) =>
  FastCheck.oneof(
    FastCheck.constant("*"),
    FastCheck.integer({ min, max }).map(String),
    FastCheck.uniqueArray(FastCheck.integer({ min, max }), { minLength: 1, maxLength: 3 }).map(
      (numbers) => numbers.join()
    ),
    FastCheck.integer({ min: 2, max: Math.max(2, Math.floor(max / 2)) }).map((step) => `*/${step}`)
  )

const expressions = FastCheck.tuple(
  FastCheck.oneof(list(0, 59), FastCheck.integer({ min: 0, max: 59 }).map(String)),
  // most of them where clocks change
  FastCheck.oneof(list(0, 23), FastCheck.integer({ min: 0, max: 3 }).map(String)),
  FastCheck.oneof(FastCheck.constant("*"), list(1, 31)),
  FastCheck.oneof(FastCheck.constant("*"), list(1, 12)),
  FastCheck.oneof(FastCheck.constant("*"), list(0, 6))
).map((fields) => fields.join(" "))

describe("ticks of a cron", () => {
  for (const zone of zones) {
    it(`in ${zone} are those of a plain model, for a year`, () => {
      const shown = minutes.get(zone) ?? []
      FastCheck.assert(
        FastCheck.property(expressions, (expression) => {
          const ticks = ticksOf(expression, zone)
          const model = modelOf(shown, matching(expression))
          for (const span of spansOf(expression, shown)) {
            const expected = model.filter((tick) => tick > span.from && tick < span.to)
            assert.deepStrictEqual(iso(ticksWithin(ticks, span)), iso(expected), expression)
          }
        }),
        { numRuns: 40 }
      )
    }, 60_000)

    it(`in ${zone}: the last one up to a time is the one after which the next is later`, () => {
      // every minute of the days on which clocks change, and a few others
      const shown = minutes.get(zone) ?? []
      const changes = changesOf(shown)
      assert.strictEqual(changes.length, 2)
      const times = changes.flatMap(({ time }) =>
        Array.from({ length: 6 * 60 }, (_, n) => time + (n - 180) * minute + (n % 3))
      )
      for (const expression of ["*/7 * * * *", "30 * * * *", "15 2 * * *", "45 1 * * *"]) {
        const ticks = ticksOf(expression, zone)
        for (const time of times) {
          const last = ticks.upTo(time)
          const label = `${expression} at ${new Date(time).toISOString()}`
          assert.isDefined(last, label)
          assert.isAtMost(last, time, label)
          const next = ticks.after(last)
          assert.isDefined(next)
          assert.isAbove(next, time, label)
          assert.strictEqual(ticks.after(time), next, label)
          assert.strictEqual(ticks.upTo(next - 1), last, label)
        }
      }
    })
  }

  it("that do not exist are at the next time that does", () => {
    assert.deepStrictEqual(
      iso(Ticks.first(ticksOf("30 2 * * *", "Europe/Berlin"), Date.UTC(2026, 2, 28), 3)),
      ["2026-03-28T01:30:00.000Z", "2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]
    )
    assert.deepStrictEqual(
      iso(Ticks.first(ticksOf("15 2 * * *", "Australia/Lord_Howe"), Date.UTC(2026, 9, 2), 3)),
      ["2026-10-02T15:45:00.000Z", "2026-10-03T15:30:00.000Z", "2026-10-04T15:15:00.000Z"]
    )
  })

  it("that exist twice are there once", () => {
    assert.deepStrictEqual(
      iso(Ticks.first(ticksOf("30 2 * * *", "Europe/Berlin"), Date.UTC(2026, 9, 24), 3)),
      ["2026-10-24T00:30:00.000Z", "2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]
    )
    const between = Date.UTC(2026, 9, 25, 1, 15)
    assert.deepStrictEqual(iso(Ticks.first(ticksOf("*/30 * * * *", "Europe/Berlin"), between, 2)), [
      "2026-10-25T02:00:00.000Z",
      "2026-10-25T02:30:00.000Z"
    ])
  })

  it("can be at any second", () => {
    assert.deepStrictEqual(
      iso(Ticks.first(ticksOf("*/20 * * * * *", "UTC"), Date.UTC(2026, 0, 1) + 1, 3)),
      ["2026-01-01T00:00:20.000Z", "2026-01-01T00:00:40.000Z", "2026-01-01T00:01:00.000Z"]
    )
    assert.strictEqual(
      ticksOf("*/20 * * * * *", "UTC").upTo(Date.UTC(2026, 0, 1) + 20_000),
      Date.UTC(2026, 0, 1) + 20_000
    )
  })

  it("end where no day is such a one", () => {
    assert.strictEqual(ticksOf("0 0 30 2 *", "UTC").after(0), undefined)
    assert.strictEqual(ticksOf("0 0 30 2 *", "UTC").upTo(0), undefined)
  })
})

describe("ticks of an interval", () => {
  it("are its multiples since 1970", () => {
    const ticks = Ticks.every(7 * minute)
    assert.deepStrictEqual(Ticks.first(ticks, 7 * minute, 2), [14 * minute, 21 * minute])
    assert.strictEqual(ticks.upTo(15 * minute), 14 * minute)
    assert.strictEqual(ticks.upTo(14 * minute), 14 * minute)
  })

  it("are no later than their end", () => {
    const ticks = Ticks.until(20 * minute)(Ticks.every(7 * minute))
    assert.deepStrictEqual(Ticks.first(ticks, 0, 9), [7 * minute, 14 * minute])
    assert.strictEqual(ticks.upTo(99 * minute), 14 * minute)
  })
})

describe("a jitter", () => {
  it("is the same for whoever reckons it, below what is asked for, and before the next tick", () => {
    const ticks = Ticks.every(60 * minute)
    const due = Ticks.dueAt(ticks, { name: "a", jitter: 10 * minute })
    const jitters = Ticks.first(ticks, 0, 1_000).map((tick) => due(tick) - tick)
    assert.isAtLeast(Math.min(...jitters), 0)
    assert.isBelow(Math.max(...jitters), 10 * minute)
    // it uses all of it
    assert.isAbove(Math.max(...jitters), 9 * minute)
    assert.isBelow(Math.min(...jitters), minute)
    assert.deepStrictEqual(
      Ticks.first(ticks, 0, 3).map((tick) => due(tick)),
      [4016565, 7444442, 11393535]
    )
    const wide = Ticks.dueAt(ticks, { name: "a", jitter: 1_000 * minute })
    for (const tick of Ticks.first(ticks, 0, 100)) assert.isBelow(wide(tick), tick + 60 * minute)
  })
})
