/** Workflows that are paused from the page, and go on. */
import { describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { does, inBrowser, make, open, openAt, tokenWith } from "./Browser.js"

describe("a workflow", () => {
  inBrowser("is paused with what has begun, told of beside its runs, and goes on", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      const url = yield* executor.url
      const page = yield* openAt(url, "workflows")
      const card = page.getByRole("article", { name: "Invoice", exact: true })
      yield* does(async () => {
        await card.getByRole("button", { name: "Pause Invoice" }).click()
        await page.keyboard.press("Escape")
        await card.getByRole("button", { name: "Pause Invoice" }).click()
        const dialog = page.getByRole("dialog", { name: "Pause Invoice?" })
        await dialog.getByLabel("Stop what has begun, too").check()
        await dialog.getByRole("button", { name: "Pause it" }).click()
        await card.getByText("None of it begins, and none goes on.").waitFor()
      })
      const runId = yield* executor.run("Invoice", { customer: "A", month: "1" })
      yield* does(() => page.goto(`${url}/ui/#/runs/${runId}`))
      yield* does(() => page.getByText("its workflow Invoice is paused").first().waitFor())
      yield* does(async () => {
        await page.goto(`${url}/ui/#/workflows`)
        await card.getByRole("button", { name: "Resume Invoice" }).click()
        await card.getByRole("button", { name: "Pause Invoice" }).waitFor()
      })
      yield* executor.whenRun(runId, ({ status }) => status === "running")
      yield* fixture.openGate("pay-A-1")
    })
  )

  inBrowser("is not paused by a token that may not", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      const url = yield* executor.url
      const page = yield* open(url, { token: yield* tokenWith(["runs:read", "runs:write"]) })
      const card = page.getByRole("article", { name: "Invoice", exact: true })
      yield* does(async () => {
        await page.getByRole("heading", { name: "Overview" }).waitFor()
        await page.goto(`${url}/ui/#/workflows`)
        await card.waitFor()
        if ((await card.getByRole("button", { name: /Pause/ }).count()) !== 0) {
          throw new Error("it is offered")
        }
      })
    })
  )
})
