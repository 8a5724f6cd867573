/** The list of runs: as it is, as it changes, and what is done with many of them. */
import { join } from "node:path"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { does, inBrowser, make, openAt, order } from "./Browser.js"

describe("the list of runs", () => {
  inBrowser("shows what is started and what becomes of it, as it happens", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      const page = yield* openAt(yield* executor.url, "runs")
      yield* does(() => page.getByText("0 runs listed").waitFor())
      const runId = yield* executor.run("Order", order("1"))
      const row = page.getByRole("row").filter({ hasText: runId.slice(0, 8) })
      yield* does(() => row.getByText("running").waitFor())
      yield* fixture.openGate("reserve-1")
      yield* does(() => row.getByText("suspended").waitFor())
      yield* executor.request("POST", `/runs/${runId}/signals/Approval`, {
        value: { approved: false, by: "Bob" }
      })
      yield* does(() => row.getByText("failed").waitFor())
      yield* does(() => row.getByText("Bob said no").waitFor())
      const chip = page.getByRole("group", { name: "Status" }).getByText("failed")
      yield* does(() =>
        chip.locator("xpath=ancestor::label").getByText("1", { exact: true }).waitFor()
      )
    })
  )

  inBrowser("is filtered by its address, which is what the back button goes by", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const sleeper = yield* executor.run("Sleeper", { id: "1" })
      const flaky = yield* executor.run("Flaky", { id: "2" })
      yield* executor.whenRun(flaky, ({ status }) => status === "failed")
      yield* executor.whenRun(sleeper, ({ status }) => status === "suspended")
      const url = yield* executor.url
      const page = yield* openAt(url, "runs")
      const rowOf = (runId: string) => page.getByRole("link", { name: runId.slice(0, 8) })
      yield* does(async () => {
        await rowOf(sleeper).waitFor()
        await page.getByRole("checkbox", { name: /failed/ }).check()
        await rowOf(sleeper).waitFor({ state: "detached" })
        await rowOf(flaky).waitFor()
        assert.strictEqual(page.url(), `${url}/ui/#/runs?status=failed`)
        await page.getByRole("checkbox", { name: /failed/ }).uncheck()
        await page.getByRole("combobox", { name: "Workflow" }).selectOption("Sleeper")
        await rowOf(flaky).waitFor({ state: "detached" })
        await page.goBack()
        await rowOf(flaky).waitFor()
        await page.goBack()
        await rowOf(sleeper).waitFor({ state: "detached" })
        assert.isTrue(await page.getByRole("checkbox", { name: /failed/ }).isChecked())
        // as somebody else would open it
        await page.goto(`${url}/ui/#/runs?workflow=Flaky&key=2&columns=payload`)
        await page.getByRole("cell", { name: '{"id":"2"}' }).waitFor()
        await page.getByLabel("Go to the run").fill(sleeper.slice(0, 6))
        await page.keyboard.press("Enter")
        await page.getByRole("heading", { name: /^Sleeper/ }).waitFor()
      })
    })
  )

  inBrowser("is filtered by tags and attributes, which its address has", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const start = (id: string, options: object) =>
        executor.request("POST", "/runs", { workflow: "Sleeper", payload: { id }, options })
      yield* start("1", { tags: ["eu", "a,b%2C"], attributes: { customer: 7 } })
      yield* start("2", { tags: ["eu"], attributes: { customer: "7" } })
      yield* start("3", {})
      const url = yield* executor.url
      const page = yield* openAt(url, "runs")
      const only = (total: string) => page.getByText(`${total} listed`).waitFor()
      const ask = async (label: string, text: string) => {
        await page.getByLabel(label, { exact: true }).fill(text)
        await page.keyboard.press("Enter")
      }
      yield* does(async () => {
        await only("3 runs")
        await ask("Tag", "eu")
        await only("2 runs")
        assert.strictEqual(page.url(), `${url}/ui/#/runs?tags=eu`)
        await ask("Attribute", 'customer="7"')
        await only("1 run")
        await page.getByRole("button", { name: 'Do not ask for customer="7"' }).click()
        await only("2 runs")
        await ask("Attribute", "customer=7")
        await only("1 run")
        await ask("Tag", "a,b%2C")
        await page.getByRole("button", { name: "Do not ask for a,b%2C" }).waitFor()
        await page.reload()
        await page.getByRole("button", { name: "Do not ask for a,b%2C" }).waitFor()
        await only("1 run")
      })
    })
  )

  inBrowser("is gone through, and opened, by keyboard", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      for (const id of ["1", "2", "3"]) yield* executor.run("Sleeper", { id })
      const page = yield* openAt(yield* executor.url, "runs")
      const focused = () => page.evaluate<string>("document.activeElement.dataset.row ?? ''")
      yield* does(async () => {
        await page.getByText("3 runs listed").waitFor()
        await page.getByRole("region", { name: "Runs" }).focus()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("j")
        assert.strictEqual(await focused(), "1")
        await page.keyboard.press("x")
        await page.getByText("1 selected").waitFor()
        await page.keyboard.press("Escape")
        await page.getByText("3 runs listed").waitFor()
        await page.keyboard.press("ArrowUp")
        assert.strictEqual(await focused(), "0")
        await page.keyboard.press("Enter")
        await page.getByRole("heading", { name: /^Sleeper/ }).waitFor()
      })
    })
  )

  inBrowser(
    "lets many be retried at once, and says beforehand how many that are",
    () =>
      Effect.gen(function* () {
        const fixture = yield* make
        const executor = yield* fixture.start()
        const ids = Array.from({ length: 130 }, (_, n) => `gone-${n}`)
        const runs = yield* Effect.forEach(ids, (id) => executor.run("Flaky", { id }), {
          concurrency: 8
        })
        const sleeper = yield* executor.run("Sleeper", { id: "1" })
        yield* Effect.forEach(
          runs,
          (runId) => executor.whenRun(runId, ({ status }) => status === "failed"),
          { concurrency: 8, discard: true }
        )
        yield* executor.whenRun(sleeper, ({ status }) => status === "suspended")
        yield* Effect.forEach(ids, fixture.openGate)
        const page = yield* openAt(yield* executor.url, "runs")
        yield* does(async () => {
          await page.getByText("100 runs listed, and more").waitFor()
          await page.getByRole("checkbox", { name: "Select all that are listed" }).check()
          await page.getByText("100 selected").waitFor()
          await page.getByRole("button", { name: "Select all that match" }).click()
          await page.getByRole("button", { name: "Retry", exact: true }).click()
          const dialog = page.getByRole("dialog")
          await dialog.getByText("131 runs selected; 130 runs can be retried").waitFor()
          await dialog.getByText("1 is in no status for it").waitFor()
          await dialog.getByRole("button", { name: "Retry 130 runs" }).click()
          await dialog.getByText("Done: 130 runs of 130").waitFor()
          await dialog.getByRole("button", { name: "Close" }).click()
        })
        yield* Effect.forEach(runs, (runId) => executor.completed(runId), {
          concurrency: 8,
          discard: true
        })
        yield* does(() => page.getByText("completed").nth(20).waitFor())
      }),
    120_000
  )

  inBrowser(
    "has 10,000 of them at hand, and makes only those that are seen",
    () =>
      Effect.gen(function* () {
        const fixture = yield* make
        yield* fill(join(fixture.folder, "executor.db"), 10_000)
        const executor = yield* fixture.start()
        const page = yield* openAt(yield* executor.url, "runs?workflow=Archived")
        yield* does(async () => {
          await page.getByText("100 runs listed, and more").waitFor()
          const scroller = page.getByRole("region", { name: "Runs" })
          const before = Date.now()
          for (let listed = 100; listed < 10_000; ) {
            await scroller.evaluate((element) => {
              element.scrollTop = element.scrollHeight
            })
            listed = Math.min(10_000, listed + 200)
            await page.getByText(`${listed.toLocaleString("en")} runs listed`).waitFor()
          }
          console.info(`10,000 runs scrolled through: ${Date.now() - before} ms`)
          assert.isBelow(await page.getByRole("row").count(), 100)
          await scroller.evaluate((element) => {
            element.scrollTop = element.scrollHeight
          })
          await page.getByRole("link", { name: "archived-00000", exact: true }).waitFor()
          await page.getByRole("checkbox", { name: "Select all that are listed" }).check()
          await page.getByText("10,000 selected").waitFor()
          await page.getByRole("button", { name: "Select all that match" }).click()
          await page.getByRole("button", { name: "Terminate", exact: true }).click()
          await page.getByText("10,000 runs can be terminated").waitFor()
          await page.keyboard.press("Escape")
        })
      }),
    180_000
  )
})

/** Runs of a workflow that nobody registers, in a file that nobody has open. */
const fill = (filename: string, total: number) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    yield* Effect.forEach(
      Array.from({ length: total }, (_, n) => `archived-${String(n).padStart(5, "0")}`),
      (runId) => store.create({ runId, workflow: "Archived", payload: `{"id":"${runId}"}` }),
      { concurrency: 500, discard: true }
    )
  }).pipe(Effect.provide(SqliteRunStore.layerFile({ filename })), Effect.orDie)
