/** Queues: how full they are, as it changes, and what is done about it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Page } from "playwright-core"
import { problems, read, told, write } from "../../src/dashboard/queues/Limits.js"
import type { Executor } from "../support/Executor.js"
import { does, inBrowser, make, open, openAt, tokenWith } from "./Browser.js"

const invoice = (executor: Executor, month: string) =>
  executor.run("Invoice", { customer: "A", month })

const rowOf = (page: Page, name = "invoices") =>
  page.getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: true }) })

/** Waits until the queue has so many under way, and so many that wait. */
const counts = (page: Page, running: string, waiting: string) => {
  const cells = rowOf(page).locator("td.number")
  return does(async () => {
    await cells.nth(0).getByText(running, { exact: true }).waitFor()
    await cells.nth(1).getByText(waiting, { exact: true }).waitFor()
  })
}

describe("the queues", () => {
  inBrowser("are shown as they fill and empty, and lead to their runs", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      const page = yield* openAt(yield* executor.url, "queues")
      yield* does(() => page.getByText("There is none yet").waitFor())
      yield* invoice(executor, "1")
      const second = yield* invoice(executor, "2")
      yield* counts(page, "1", "1")
      yield* does(() => rowOf(page).getByText("1 per key", { exact: true }).waitFor())
      yield* fixture.openGate("pay-A-1")
      yield* counts(page, "1", "0")
      yield* does(async () => {
        await rowOf(page).getByRole("link", { name: "Invoice" }).click()
        await page.getByText("1 run listed").waitFor()
        await page.getByRole("link", { name: second.slice(0, 8) }).waitFor()
      })
    })
  )

  inBrowser("are paused, once that is said twice, and go on", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      yield* invoice(executor, "1")
      yield* invoice(executor, "2")
      const page = yield* openAt(yield* executor.url, "queues")
      const row = rowOf(page)
      yield* does(async () => {
        await row.getByText("active").waitFor()
        await page.getByRole("button", { name: "Pause invoices" }).click()
        await page.getByRole("dialog").getByText("what waits now (1 run)").waitFor()
        await page.keyboard.press("Escape")
        await row.getByText("active").waitFor()
        await page.getByRole("button", { name: "Pause invoices" }).click()
        await page.getByRole("dialog").getByRole("button", { name: "Pause it" }).click()
        await row.getByText("paused").waitFor()
      })
      yield* fixture.openGate("pay-A-1")
      yield* counts(page, "0", "1")
      yield* does(async () => {
        await page.getByRole("button", { name: "Resume invoices" }).click()
        await row.getByText("active").waitFor()
      })
      yield* counts(page, "1", "0")
    })
  )

  inBrowser("have other limits set, and those in the code again", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      for (const month of ["1", "2", "3"]) yield* invoice(executor, month)
      const page = yield* openAt(yield* executor.url, "queues")
      yield* counts(page, "1", "2")
      const dialog = page.getByRole("dialog", { name: "Limits of invoices" })
      yield* does(async () => {
        await page.getByRole("button", { name: "Change the limits of invoices" }).click()
        const perKey = dialog.getByLabel("Runs per key at once")
        assert.strictEqual(await perKey.inputValue(), "1")
        await perKey.fill("0")
        await dialog.getByRole("button", { name: "Set these limits" }).click()
        await dialog.getByText("0 is not a whole number of 1 or more").waitFor()
        await perKey.fill("2")
        await dialog.getByRole("button", { name: "Set these limits" }).click()
        await rowOf(page).getByText("2 per key").waitFor()
        await rowOf(page).getByText("in place of the code's: 1 per key").waitFor()
      })
      yield* counts(page, "2", "1")
      yield* does(async () => {
        await page.getByRole("button", { name: "Change the limits of invoices" }).click()
        await dialog.getByRole("button", { name: "Back to the code's" }).click()
        await rowOf(page).getByText("1 per key", { exact: true }).waitFor()
      })
    })
  )

  inBrowser("are only looked at with a token that is not for admins", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      yield* invoice(executor, "1")
      const url = yield* executor.url
      const page = yield* open(url, { token: yield* tokenWith(["runs:read", "runs:write"]) })
      yield* does(async () => {
        await page.getByRole("link", { name: "Queues" }).click()
        await rowOf(page).getByText("active").waitFor()
        assert.strictEqual(await page.getByRole("table").getByRole("button").count(), 0)
      })
    })
  )
})

describe("limits", () => {
  it("are told in words", () => {
    assert.strictEqual(told({}), "none")
    assert.strictEqual(
      told({
        concurrency: 50,
        concurrencyPerKey: 5,
        rateLimit: { limit: 1_000, window: 90_000 },
        keepSlot: true
      }),
      "50 at once, 5 per key, 1,000 per key in 1 min 30 s, those that wait count"
    )
  })

  it("are read as they were written", () => {
    for (const window of [1, 1_500, 90_000, 60_000, 86_400_000]) {
      const limits = { concurrency: 3, rateLimit: { limit: 2, window }, keepSlot: true }
      assert.deepStrictEqual(read(write(limits)), limits)
    }
    assert.deepStrictEqual(read(write({})), {})
  })

  it("say what is wrong with them", () => {
    const empty = write({})
    assert.deepStrictEqual(problems(empty), {})
    assert.hasAllKeys(problems({ ...empty, concurrency: "1.5", concurrencyPerKey: "many" }), [
      "concurrency",
      "concurrencyPerKey"
    ])
    assert.include(problems({ ...empty, rate: "5", window: "a while" }).window ?? "", "a while")
    assert.isDefined(problems({ ...empty, rate: "5", window: "infinity" }).window)
    assert.isDefined(problems({ ...empty, window: "1 minute" }).window)
    assert.isDefined(problems({ ...empty, concurrency: "99999999999999999999" }).concurrency)
  })
})
