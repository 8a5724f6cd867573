import * as Duration from "effect/Duration"
import { expect, it } from "vitest"
import * as Given from "../../src/internal/Given.js"

const refusal = (give: () => unknown): unknown => {
  try {
    return { taken: give() }
  } catch (error) {
    return error
  }
}

it("takes durations in all that Effect takes", () => {
  for (const [given, millis] of [
    ["30 seconds", 30_000],
    ["0 millis", 0],
    [0, 0],
    [1.5, 1.5],
    [2n, 2 / 1e6],
    [[1, 500_000_000], 1_500],
    [Duration.minutes(1), 60_000]
  ] as const) {
    expect(Duration.toMillis(Given.duration("wait", given)), String(given)).toBe(millis)
  }
  const forever = Given.duration("wait", Duration.infinity, { orInfinity: true })
  expect(Duration.isFinite(forever)).toBe(false)
  expect(Duration.toMillis(Given.duration("wait", "-5 seconds", { orNegative: true }))).toBe(0)
})

it("refuses what is no duration, naming the option, the value and what is allowed", () => {
  for (const [given, shown] of [
    ["soon", '"soon"'],
    ["-5 seconds", '"-5 seconds"'],
    [-1, "-1"],
    [-1n, "-1"],
    [Number.NaN, "NaN"],
    [Duration.infinity, "Infinity"],
    [null, "null"],
    [{}, "[object Object]"]
  ] as const) {
    // what JavaScript callers send
    const error = refusal(() => Given.duration("wait", given as never))
    expect(error, shown).toBeInstanceOf(Given.InvalidOption)
    expect(error).toMatchObject({ _tag: "InvalidOption", option: "wait" })
    expect(String((error as Error).message)).toBe(
      `wait is ${shown}; expected a duration such as "30 seconds", or a number of milliseconds`
    )
  }
  const short = refusal(() => Given.duration("lease", 999, { min: Duration.seconds(1) }))
  expect(short).toMatchObject({
    message:
      'lease is 999; expected a duration of at least 1s such as "30 seconds", or a number of milliseconds'
  })
})

it("takes whole numbers in their range, and refuses others", () => {
  expect(Given.wholeNumber("count", 0, { min: 0 })).toBe(0)
  expect(Given.wholeNumber("count", 7, { min: 1, max: 7 })).toBe(7)
  const forever = Number.POSITIVE_INFINITY
  expect(Given.wholeNumber("count", forever, { min: 1, orInfinity: true })).toBe(forever)
  for (const [given, range, message] of [
    [0, { min: 1 }, "count is 0; expected a whole number of 1 or more"],
    [8, { min: 1, max: 7 }, "count is 8; expected a whole number from 1 to 7"],
    [1.5, { min: 1 }, "count is 1.5; expected a whole number of 1 or more"],
    [Number.NaN, { min: 1 }, "count is NaN; expected a whole number of 1 or more"],
    [forever, { min: 1 }, "count is Infinity; expected a whole number of 1 or more"],
    [
      "7",
      { min: 1, orInfinity: true },
      'count is "7"; expected a whole number of 1 or more, or Infinity'
    ]
  ] as const) {
    // what JavaScript callers send
    expect(refusal(() => Given.wholeNumber("count", given as never, range))).toMatchObject({
      message
    })
  }
})

it("shows no more of a value than helps", () => {
  const error = refusal(() => Given.duration("wait", "x".repeat(1_000) as never))
  expect((error as Error).message.length).toBeLessThan(250)
})
