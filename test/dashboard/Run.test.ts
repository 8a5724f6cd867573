/** A run, from its form to its end, as it is seen while it goes on. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { does, inBrowser, make, openAt, order } from "./Browser.js"

describe("a run", () => {
  inBrowser(
    "is started from its form, seen as its steps arrive, and goes on by a signal",
    () =>
      Effect.gen(function* () {
        const fixture = yield* make
        const executor = yield* fixture.start()
        const url = yield* executor.url
        const page = yield* openAt(url, "workflows")

        yield* does(async () => {
          const card = page.getByRole("article").filter({ hasText: "Order" }).first()
          await card.getByRole("link", { name: "Start a run" }).click()
          await page.getByLabel("orderId").fill("7")
          await page.getByLabel("quantity", { exact: true }).fill("1.5")
          await page.getByText("A whole number is needed").waitFor()
          await page.getByLabel("quantity", { exact: true }).fill("2")
          await page.getByLabel("speed").selectOption("fast")
          await page.getByLabel("gift", { exact: true }).check()
          await page.getByLabel("give notes").check()
          await page.getByRole("button", { name: "Add one" }).click()
          await page.getByLabel("notes 1", { exact: true }).fill("with care")
          await page.getByRole("button", { name: "Start", exact: true }).click()
          await page.getByText("It executes attempt 1 of reserve").waitFor()
        })
        const runId = page.url().split("/").at(-1) ?? ""
        const stored = yield* executor.request("GET", `/runs/${runId}/payload`)
        assert.deepStrictEqual(stored.body, {
          runId,
          payload: { orderId: "7", quantity: 2, speed: "fast", gift: true, notes: ["with care"] }
        })

        yield* does(() => page.getByRole("button", { name: /^reserve.*running/ }).waitFor())
        yield* fixture.openGate("reserve-7")
        yield* does(async () => {
          await page.getByText("It waits for the signal Approval since").waitFor()
          await page.getByRole("button", { name: /^reserve.*completed/ }).click()
          await page
            .getByRole("region", { name: "Step reserve" })
            .getByText('"reserve done"')
            .waitFor()

          await page.getByRole("button", { name: "Send a signal" }).click()
          await page.getByRole("dialog").getByLabel("approved").check()
          await page.getByRole("dialog").getByLabel("by").fill("Ada")
          await page.getByRole("button", { name: "Send", exact: true }).click()
          await page.getByText("It completed after").waitFor()
          await page.getByRole("button", { name: /^ship.*completed/ }).waitFor()
          await page.getByRole("region", { name: "result" }).getByText('"Ada"').waitFor()
        })

        // over, it says why nothing more can be done with it
        yield* does(async () => {
          const resume = page.getByRole("button", { name: "Resume" })
          assert.strictEqual(await resume.getAttribute("aria-disabled"), "true")
          await resume.focus()
          await page.getByText("It is completed, not suspended").waitFor()
          await page.getByRole("link", { name: "Start one like this" }).click()
          assert.strictEqual(await page.getByLabel("orderId").inputValue(), "7")
          assert.strictEqual(
            await page.getByLabel("notes 1", { exact: true }).inputValue(),
            "with care"
          )
        })
      }),
    90_000
  )

  inBrowser("that failed says in which step, and is retried", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      const runId = yield* executor.run("Flaky", { id: "bank" })
      yield* executor.whenRun(runId, ({ status }) => status === "failed")
      const page = yield* openAt(yield* executor.url, `runs/${runId}`)
      yield* does(() => page.getByText("in attempt 1 of call: bank is not there").waitFor())
      yield* fixture.openGate("bank")
      yield* does(async () => {
        await page.getByRole("button", { name: "Retry" }).click()
        await page.getByRole("dialog").getByRole("button", { name: "Retry" }).click()
        await page.getByText("It completed after").waitFor()
        await page.getByRole("region", { name: "result" }).getByText('"answer bank"').waitFor()
      })
    })
  )

  inBrowser("is terminated with a reason, and deleted, each after it was confirmed", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const runId = yield* executor.run("Sleeper", { id: "1" })
      const url = yield* executor.url
      const page = yield* openAt(url, `runs/${runId}`)
      yield* does(async () => {
        await page.getByText(/The timer night is due in 23 hours/).waitFor()
        await page.getByRole("button", { name: "Terminate" }).click()
        await page.getByRole("dialog").getByLabel("Reason").waitFor()
        await page.keyboard.press("Escape")
        await page.getByRole("dialog").waitFor({ state: "detached" })
        // the focus is where it was
        assert.strictEqual(await page.evaluate("document.activeElement.textContent"), "Terminate")
        await page.keyboard.press("Enter")
        await page.getByRole("dialog").getByLabel("Reason").fill("no longer wanted")
        await page.getByRole("dialog").getByRole("button", { name: "Terminate" }).click()
        await page.getByText(/It was ended after .*no longer wanted/).waitFor()
        await page.getByRole("button", { name: "Delete" }).click()
        await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click()
        await page.getByRole("heading", { name: "Runs" }).waitFor()
      })
      const { status } = yield* executor.request("GET", `/runs/${runId}`)
      assert.strictEqual(status, 404)
    })
  )

  inBrowser("is above its children in a tree, and beside them on the timeline", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      const runId = yield* executor.run("Parent", { id: "p" })
      const page = yield* openAt(yield* executor.url, `runs/${runId}`)
      yield* does(async () => {
        await page
          .getByRole("button", { name: /^child Order \w+ running/ })
          .first()
          .waitFor()
        const tree = page.locator(".tree")
        await tree.getByRole("link").nth(1).waitFor()
        await tree.getByRole("link").first().click()
        await page.getByRole("heading", { name: /^Order/, level: 1 }).waitFor()
        await page
          .locator(".tree")
          .getByRole("link", { name: /^Parent/ })
          .click()
        await page.getByRole("heading", { name: /^Parent/, level: 1 }).waitFor()
      })
    })
  )

  inBrowser("that is not there is said to be so", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const page = yield* openAt(yield* executor.url, "runs/nothing%2F..%2Fat all")
      yield* does(() => page.getByText("RunNotFound").waitFor())
    })
  )

  inBrowser("of 1,000 steps stays fluid, and its last step is reached by keyboard", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const runId = yield* executor.run("Long", { id: "l", steps: 1_100 })
      yield* executor.completed(runId)
      const page = yield* openAt(yield* executor.url, `runs/${runId}`)
      yield* does(async () => {
        await page.getByText("1,100 rows").waitFor()
        // of which only those are made that are seen
        assert.isBelow(await page.locator(".timeline li").count(), 80)
        const timeline = page.getByRole("region", { name: "Timeline rows" })
        await timeline.focus()
        await page.keyboard.press("End")
        const last = page.getByRole("button", { name: /^step-1100/ })
        await last.waitFor()
        await last.focus()
        await page.keyboard.press("ArrowUp")
        assert.match(await page.evaluate("document.activeElement.textContent"), /^step-1099/)
        await page.keyboard.press("Enter")
        await page
          .getByRole("region", { name: "Step step-1099" })
          .getByText("1099")
          .last()
          .waitFor()
        const zoomed = page.getByRole("button", { name: "Zoom in" })
        const before = Date.now()
        for (let time = 0; time < 6; time++) await zoomed.click()
        await page.getByText("64×").waitFor()
        console.info(`six zooms of 1,100 steps: ${Date.now() - before} ms`)
      })
    })
  )

  inBrowser("says in which queue it waits, that this is paused, and how it was started", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      const url = yield* executor.url
      yield* executor.run("Invoice", { customer: "A", month: "1" })
      const { body } = yield* executor.request("POST", "/runs", {
        workflow: "Invoice",
        payload: { customer: "A", month: "2" },
        options: {
          priority: -5,
          timeout: "2 hours",
          tags: ["eu"],
          attributes: { customer: "A", total: 7 }
        }
      })
      const { runId } = Schema.decodeUnknownSync(Schema.Struct({ runId: Schema.String }))(body)
      const page = yield* openAt(url, `runs/${runId}`)
      yield* does(async () => {
        await page
          .getByText("It waits for a slot of the queue invoices: 1 run is under way, and 1 waits")
          .waitFor()
        const facts = page.getByRole("definition")
        await facts.getByText("-5", { exact: true }).waitFor()
        await facts.getByText("2 h", { exact: true }).waitFor()
      })
      yield* executor.request("PUT", "/queues/invoices", { paused: true })
      yield* does(() => page.getByText("Its queue invoices is paused").waitFor())
      yield* executor.request("PUT", "/queues/invoices", { paused: false })
      yield* fixture.openGate("pay-A-1")
      yield* does(async () => {
        await page.getByText(/^It executes attempt 1 of pay .*its time is over in 1 hour/).waitFor()
        await page.getByRole("link", { name: "total=7" }).click()
        await page.getByText("1 run listed").waitFor()
        assert.strictEqual(page.url(), `${url}/ui/#/runs?attributes=total%3D7`)
      })
    })
  )

  inBrowser("says which executor holds it, and goes on in another one when that is gone", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const lease = { LEASE_DURATION: "3 seconds" }
      const first = yield* fixture.start(lease)
      const runId = yield* first.run("Order", order("held"))
      yield* first.whenRun(runId, ({ status }) => status === "running")
      const url = yield* (yield* fixture.start(lease)).url
      const page = yield* openAt(url, "")
      yield* does(async () => {
        const listed = page.getByRole("listitem")
        await listed.filter({ hasText: /^1 on .* running, 1 run held, began/ }).waitFor()
        await listed.filter({ hasText: /^2 on .* this one, running, 0 runs held/ }).waitFor()
        await page.goto(`${url}/ui/#/runs/${runId}`)
        await page.getByText("It is held by executor 1").waitFor()
      })
      yield* first.kill("SIGKILL")
      yield* does(() => page.getByText("It executes attempt 1 of reserve since").waitFor())
    })
  )

  inBrowser("that is to begin later says when, and begins at once when it is asked to", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const { body } = yield* executor.request("POST", "/runs", {
        workflow: "Long",
        payload: { id: "later", steps: 1 },
        options: { delay: "3 hours" }
      })
      const { runId } = Schema.decodeUnknownSync(Schema.Struct({ runId: Schema.String }))(body)
      const page = yield* openAt(yield* executor.url, `runs/${runId}`)
      yield* does(async () => {
        await page.getByText(/^It is to begin in 2 hours, at /).waitFor()
        await page.getByRole("button", { name: "Resume" }).click()
        await page.getByText("It completed after").waitFor()
      })
    })
  )
})
