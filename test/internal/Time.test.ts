import { expect, it } from "vitest"
import * as Time from "../../src/internal/Time.js"

it("reads a day as its beginning in UTC, and a time with its zone", () => {
  for (const [text, time] of [
    ["2026-11-22", "2026-11-22T00:00:00.000Z"],
    ["2024-02-29", "2024-02-29T00:00:00.000Z"],
    ["0001-01-01", "0001-01-01T00:00:00.000Z"],
    ["2026-11-22T18:00Z", "2026-11-22T18:00:00.000Z"],
    ["2026-11-22T18:00:07.25Z", "2026-11-22T18:00:07.250Z"],
    ["2026-12-31T23:00:00-02:30", "2027-01-01T01:30:00.000Z"]
  ] as const) {
    expect(Time.parse(text)?.toISOString(), text).toBe(time)
  }
})

it("reads nothing that was never, and nothing that would depend on the machine", () => {
  for (const text of [
    "",
    "2026",
    "2026-02-29",
    "2026-02-30",
    "2026-04-31",
    "2026-00-10",
    "2026-13-01",
    "2026-11-00",
    "2026-3-1",
    "2026-11-22T18:00",
    "2026-11-22T24:00:00Z",
    "2026-11-22T18:60:00Z",
    "2026-12-31T23:59:60Z",
    "2026-11-22T18:00:00+24:00",
    "2026-02-30T18:00:00Z",
    "+275760-09-13T00:00:00.000Z",
    "tomorrow"
  ]) {
    expect(Time.parse(text), text).toBeUndefined()
  }
})
