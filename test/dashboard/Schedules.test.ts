/** Schedules: what they do next, what they have done, and what is done with them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ScheduleView } from "../../src/api/Schedules.js"
import { state, when, zoned } from "../../src/dashboard/schedules/Told.js"
import { empty, ofSchedule, requestOf } from "../../src/dashboard/schedules/Written.js"
import { does, inBrowser, make, open, openAt, tokenWith } from "./Browser.js"

const inBerlin = { timezoneId: "Europe/Berlin" }

describe("the schedules", () => {
  inBrowser("are made by a form, and their runs are seen as they come", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const url = yield* executor.url
      const page = yield* openAt(url, "schedules", inBerlin)
      yield* does(async () => {
        await page.getByRole("link", { name: "Make a schedule" }).click()
        await page.getByRole("button", { name: "Make it" }).click()
        await page.getByText("It needs a name").waitFor()
        await page.getByLabel("Name").fill("often")
        await page.getByRole("combobox", { name: "Workflow" }).selectOption("Flaky")
        await page.getByLabel("id", { exact: true }).fill("gone")
        assert.strictEqual(await page.getByLabel("Time zone").inputValue(), "Europe/Berlin")
        await page.getByLabel("Cron", { exact: true }).fill("0 3 * *")
        await page.getByRole("button", { name: "Make it" }).click()
        // what the executor says of it
        await page.getByText("InvalidSchedule").waitFor()
        await page.getByRole("radio", { name: "At an interval" }).check()
        await page.getByLabel("Every").fill("1 second")
        await page.getByLabel("How many ticks").fill("2")
        await page.getByRole("button", { name: "Make it" }).click()
        await page.getByRole("heading", { name: "often" }).waitFor()
        assert.strictEqual(page.url(), `${url}/ui/#/schedules/often`)
        await page.getByText("It is over: all 2 of its ticks were started").waitFor()
        const runs = page.getByRole("region", { name: "Last runs" })
        await runs.getByText("failed").nth(1).waitFor()
        await runs.getByRole("link").first().click()
        await page.getByRole("heading", { name: /^Flaky/ }).waitFor()
      })
    })
  )

  inBrowser("are paused, triggered and backfilled, and say when they tick, and where", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const page = yield* openAt(yield* executor.url, "schedules", {
        timezoneId: "America/New_York"
      })
      const dialog = page.getByRole("dialog")
      yield* does(async () => {
        const row = page.getByRole("row").filter({ hasText: "yearly" })
        await row.getByText("0 3 1 1 * in Europe/Berlin").waitFor()
        await row.getByText("the code", { exact: true }).waitFor()
        await row.getByRole("link", { name: "yearly" }).click()
        await page.getByText(/^Its next tick is in \d+ days, at /).waitFor()
        const ticks = page.getByRole("region", { name: "Next ticks" })
        assert.strictEqual(await ticks.getByRole("row").count(), 6)
        await ticks
          .getByText(/01\/01\/\d{4}, 03:00:00/)
          .first()
          .waitFor()
        // three in the morning there is nine in the evening here
        await ticks
          .getByTitle(/12\/31\/\d{4}, 21:00:00.*EST/)
          .first()
          .waitFor()

        await page.getByRole("button", { name: "Pause" }).click()
        await dialog.getByRole("button", { name: "Pause it" }).click()
        await page.getByText("It is paused: nothing starts").waitFor()
        await page.getByRole("button", { name: "Trigger now" }).click()
        await dialog.getByRole("button", { name: "Start it" }).click()
        await page.getByRole("link", { name: /, triggered$/ }).waitFor()
        await page.getByRole("button", { name: "Resume" }).click()
        await page.getByText(/^Its next tick is/).waitFor()

        await page.getByRole("button", { name: "Backfill" }).click()
        await dialog.getByLabel("From").fill("2023-06-01T00:00:00")
        await dialog.getByLabel("Earlier than").fill("2025-06-01T00:00:00")
        await dialog.getByRole("button", { name: "Start them" }).click()
        await page.getByText("2 runs started, of 2 ticks in that range").waitFor()
        await page.getByTitle("schedule/yearly/2025-01-01T02:00:00.000Z").waitFor()
      })
    })
  )

  inBrowser("that the code declares are changed, and deleted", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const url = yield* executor.url
      const page = yield* openAt(url, "schedules/yearly")
      yield* does(async () => {
        await page.getByRole("link", { name: "Change" }).click()
        await page.getByText("It is declared in the code").waitFor()
        assert.strictEqual(await page.getByLabel("Cron", { exact: true }).inputValue(), "0 3 1 1 *")
        assert.strictEqual(await page.getByLabel("customer").inputValue(), "B")
        await page.getByLabel("Cron", { exact: true }).fill("30 4 * * *")
        await page.getByLabel("While a run of it is under way").selectOption("queue")
        await page.getByRole("button", { name: "Change it" }).click()
        await page.getByText("30 4 * * * in Europe/Berlin").waitFor()
        await page.getByText("one tick waits until it is over").waitFor()
        await page.getByText("the API, ").waitFor()
        await page.getByRole("button", { name: "Delete" }).click()
        await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click()
        await page.getByText("There is none.").waitFor()
        assert.strictEqual(page.url(), `${url}/ui/#/schedules`)
        await page.goto(`${url}/ui/#/schedules/yearly`)
        await page.getByText('There is no schedule "yearly"').waitFor()
      })
    })
  )

  inBrowser("are only looked at with a token for reading", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const url = yield* executor.url
      const page = yield* open(url, { token: yield* tokenWith(["runs:read"]) })
      yield* does(async () => {
        await page.getByRole("link", { name: "Schedules" }).click()
        await page.getByRole("link", { name: "yearly" }).waitFor()
        assert.strictEqual(await page.getByRole("link", { name: "Make a schedule" }).count(), 0)
        await page.getByRole("link", { name: "yearly" }).click()
        await page.getByText("This token can only read").waitFor()
        for (const name of ["Trigger now", "Pause", "Backfill", "Delete"]) {
          assert.strictEqual(await page.getByRole("button", { name }).count(), 0)
        }
        await page.goto(`${url}/ui/#/edit-schedule?name=yearly`)
        await page.getByText("This token may not change schedules").waitFor()
        assert.strictEqual(await page.getByRole("button", { name: "Change it" }).count(), 0)
      })
    })
  )
})

const now = Date.parse("2026-11-27T12:00:00.000Z")

const nightly: ScheduleView = {
  name: "nightly",
  workflow: "Report",
  payload: { kind: "daily" },
  cron: "0 3 * * *",
  timeZone: "Europe/Berlin",
  paused: false,
  origin: "set",
  createdAt: "2026-11-01T00:00:00.000Z",
  changedAt: "2026-11-01T00:00:00.000Z",
  started: 3,
  nextTicks: ["2026-11-28T02:00:00.000Z"],
  lastRuns: []
}

describe("a schedule in words", () => {
  it("says when it ticks", () => {
    assert.strictEqual(when(nightly), "0 3 * * * in Europe/Berlin")
    const { cron: _, timeZone: __, ...rest } = nightly
    assert.strictEqual(when({ ...rest, every: "5 minutes" }), "every 5 minutes")
    assert.strictEqual(when({ ...rest, cron: "0 3 * * *" }), "0 3 * * * in UTC")
    assert.match(zoned("2026-11-28T02:00:00.000Z", "Europe/Berlin") ?? "", /03:00:00/)
    assert.isUndefined(zoned("2026-11-28T02:00:00.000Z", "Nowhere/<b>"))
  })

  it("says what it does next, or why nothing", () => {
    assert.match(state(nightly, now), /^Its next tick is in 14 hours, at /)
    const later = { ...nightly, jitter: "1 hour", nextStart: "2026-11-28T02:10:00.000Z" }
    assert.match(state(later, now), /; its run starts at .*10:00$/)
    assert.match(state({ ...nightly, paused: true, nextTicks: [] }, now), /^It is paused/)
    const waiting = { ...nightly, waitingTick: "2026-11-27T02:00:00.000Z" }
    assert.match(state(waiting, now), /^The tick of .* waits until .* Its next tick is/)
    assert.strictEqual(
      state({ ...nightly, nextTicks: [], count: 3 }, now),
      "It is over: all 3 of its ticks were started"
    )
    assert.match(
      state({ ...nightly, nextTicks: [], end: "2026-11-27T11:00:00.000Z" }, now),
      /^It is over since/
    )
    assert.strictEqual(
      state({ ...nightly, problem: "written by a newer version" }, now),
      "It does not tick: written by a newer version"
    )
  })

  it("is sent as it was written", () => {
    assert.deepStrictEqual(requestOf(ofSchedule({ ...nightly, count: 5 }), { kind: "daily" }), {
      workflow: "Report",
      payload: { kind: "daily" },
      cron: "0 3 * * *",
      timeZone: "Europe/Berlin",
      overlap: "skip",
      count: 5,
      paused: false
    })
    const often = { ...empty("Report", "UTC"), by: "every" as const, every: " 5 minutes " }
    assert.deepStrictEqual(requestOf({ ...often, catchUp: "1 day" }, {}), {
      workflow: "Report",
      payload: {},
      every: "5 minutes",
      overlap: "skip",
      catchUp: "1 day",
      paused: false
    })
  })
})
