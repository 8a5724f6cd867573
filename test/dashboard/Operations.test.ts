/** What is done with all runs that match: as one operation, and where that may not be, one by one. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Page } from "playwright-core"
import { words } from "../../src/dashboard/operations/Words.js"
import * as Access from "../../src/http/Access.js"
import { serve } from "../http/Harness.js"
import { does, inBrowser, make, open, openAt } from "./Browser.js"

/** Three orders that nobody executes, on a server on which nobody goes on with an operation. */
const served = Effect.fnUntraced(function* (options: Parameters<typeof serve>[0] = {}) {
  const server = yield* serve(options)
  for (const id of ["1", "2", "3"]) {
    yield* server.post("/runs", { workflow: "Order", payload: { id } })
  }
  return { ...server, url: `http://127.0.0.1:${server.port}` }
}, Effect.orDie)

/** Selects all that match, and asks for this. */
const askFor = (page: Page, action: string) =>
  does(async () => {
    await page.getByRole("link", { name: "Runs", exact: true }).click()
    await page.getByText("3 runs listed").waitFor()
    await page.getByRole("checkbox", { name: "Select all that are listed" }).check()
    await page.getByRole("button", { name: "Select all that match" }).click()
    await page.getByRole("button", { name: action, exact: true }).click()
  })

describe("an operation on many runs", () => {
  inBrowser("is cancelled from its dialog, or from the list of operations", () =>
    Effect.gen(function* () {
      const { token, url } = yield* served()
      const page = yield* open(url, { token })
      const dialog = page.getByRole("dialog")
      yield* does(() => page.getByRole("link", { name: "Operations" }).click())
      yield* does(() => page.getByText("None in the last 7 days").waitFor())
      for (const id of ["1", "2"]) {
        yield* askFor(page, "Terminate")
        yield* does(async () => {
          await dialog.getByText("3 runs selected; 3 runs can be terminated").waitFor()
          await dialog.getByRole("button", { name: "Terminate 3 runs" }).click()
          await dialog.getByText("0 runs of 3").waitFor()
          if (id === "1") {
            await dialog.getByRole("button", { name: "Cancel the operation" }).click()
            await dialog.getByText("Cancelled: 0 runs of 3").waitFor()
          }
          await dialog.getByRole("button", { name: "Close" }).click()
        })
      }
      yield* does(async () => {
        await page.getByRole("link", { name: "Operations" }).click()
        const rows = page.getByRole("row").filter({ hasText: "pending or running or suspended" })
        await rows.nth(0).getByText("running", { exact: true }).waitFor()
        await rows.nth(1).getByText("cancelled", { exact: true }).waitFor()
        await page.getByRole("button", { name: "Cancel the operation 2" }).click()
        await rows.nth(0).getByText("cancelled", { exact: true }).waitFor()
        await rows.nth(0).getByRole("link").click()
        await page.getByText("3 runs listed").waitFor()
        assert.isTrue(await page.getByRole("checkbox", { name: /suspended/ }).isChecked())
        assert.isFalse(await page.getByRole("checkbox", { name: /completed/ }).isChecked())
      })
    })
  )

  inBrowser("is not asked for where it is decided for each run who may do what", () =>
    Effect.gen(function* () {
      const access = Layer.succeed(Access.RunAccess, { allows: () => Effect.succeed(true) })
      const { get, token, url } = yield* served({ access })
      const page = yield* open(url, { token })
      const dialog = page.getByRole("dialog")
      yield* askFor(page, "Terminate")
      yield* does(async () => {
        await dialog.getByText("3 runs selected; 3 runs can be terminated").waitFor()
        await dialog.getByRole("button", { name: "Terminate 3 runs" }).click()
        await dialog.getByText("Done: 3 runs of 3").waitFor()
      })
      const { body } = yield* get("/runs/counts")
      assert.strictEqual(body.interrupted, 3)
      yield* does(async () => {
        await dialog.getByRole("button", { name: "Close" }).click()
        await page.getByRole("link", { name: "Operations" }).click()
        await page.getByText("here it is decided for each run").waitFor()
      })
    })
  )

  inBrowser("is not offered to a token that is not for admins, which acts one by one", () =>
    Effect.gen(function* () {
      const { runs, tokens, url } = yield* served()
      const token = yield* Effect.orDie(tokens.sign({ scopes: ["runs:read", "runs:write"] }))
      const page = yield* open(url, { token: Redacted.value(token) })
      yield* askFor(page, "Terminate")
      yield* does(async () => {
        await page.getByRole("dialog").getByRole("button", { name: "Terminate 3 runs" }).click()
        await page.getByRole("dialog").getByText("Done: 3 runs of 3").waitFor()
        await page.getByRole("dialog").getByRole("button", { name: "Close" }).click()
        assert.strictEqual(await page.getByRole("link", { name: "Operations" }).count(), 0)
      })
      assert.deepStrictEqual(yield* Effect.orDie(runs.bulkOperations), [])
    })
  )

  inBrowser("tells what was refused, and why", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      const runId = yield* executor.run("Sleeper", { id: "1" })
      yield* executor.whenRun(runId, ({ status }) => status === "suspended")
      yield* executor.request("POST", `/runs/${runId}/terminate`, {})
      yield* executor.request("POST", "/runs/bulk", {
        action: "retry",
        filter: { workflow: "Sleeper", status: ["interrupted"] }
      })
      const page = yield* openAt(yield* executor.url, "bulk")
      yield* does(async () => {
        const row = page.getByRole("row").filter({ hasText: "Sleeper, interrupted" })
        await row.getByText("completed").waitFor()
        await row.getByText("0 of 1").waitFor()
        await row.getByText("1", { exact: true }).locator("visible=true").last().click()
        await row.getByText(/^1×: .*terminated/).waitFor()
      })
    })
  )
})

describe("which runs an operation is for", () => {
  it("is told in words", () => {
    assert.strictEqual(words({}), "all runs")
    assert.strictEqual(
      words({
        workflow: "Order",
        status: ["failed", "interrupted"],
        roots: true,
        tags: ["eu"],
        attributes: { customer: 7, paid: true, name: "7" }
      }),
      'Order, failed or interrupted, without children, eu, customer=7, paid=true, name="7"'
    )
  })
})
