/** Numbers as they are recorded, digit by digit: seen, copied, and written into forms. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Page } from "playwright-core"
import { does, inBrowser, make, openAt } from "./Browser.js"

const others = [12345678901234567000, 1e21, 1.7976931348623157e308, 0.1]

const payload = (id: string) => ({
  id,
  balance: 9007199254740992,
  others,
  exact: "12345678901234567890"
})

/** What the button copies. */
const copied = async (page: Page, what: string) => {
  await page.getByRole("button", { name: `Copy ${what}`, exact: true }).click()
  await page.getByText("Copied").waitFor()
  return page.evaluate<string>("navigator.clipboard.readText()")
}

describe("numbers beyond 2^53", () => {
  inBrowser("are shown and copied as they are recorded, and said to be large", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const over = yield* executor.run("Account", payload("over"))
      const kept = yield* executor.run("Account", payload("kept"))
      yield* executor.whenRun(over, ({ status }) => status === "failed")
      yield* executor.completed(kept)
      const url = yield* executor.url
      const page = yield* openAt(url, `runs/${over}`)
      yield* does(async () => {
        await page.context().grantPermissions(["clipboard-read", "clipboard-write"])
        const tree = page.getByRole("region", { name: "payload" })
        for (const text of ["9007199254740992", "12345678901234567000", "1e+21", "0.1"]) {
          await tree.getByText(text, { exact: true }).waitFor()
        }
        await tree.getByText('"12345678901234567890"').waitFor()
        // a text has all of its digits, and a fraction is none that was cut
        assert.strictEqual(await tree.getByText("beyond 2^53").count(), 4)
        const text = await copied(page, "payload")
        assert.deepStrictEqual(JSON.parse(text), payload("over"))
        assert.include(text, '"balance": 9007199254740992')
        assert.include(text, "12345678901234567000,")

        await page.getByRole("region", { name: "error" }).getByText("9007199254740992").waitFor()
        await page.getByRole("button", { name: /^book/ }).click()
        await page
          .getByRole("region", { name: "result" })
          .getByText("9007199254740992", { exact: true })
          .waitFor()

        await page.goto(`${url}/ui/#/runs/${kept}`)
        const result = page.getByRole("region", { name: "result" })
        await result.getByText("1.7976931348623157e+308").waitFor()
        await result.getByText('"12345678901234567890"').waitFor()
      })
    })
  )

  inBrowser("are the same in the run that is started like another, and are not rounded", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const url = yield* executor.url
      const first = yield* executor.run("Account", payload("first"))
      const page = yield* openAt(url, `runs/${first}`)
      yield* does(async () => {
        await page.getByRole("link", { name: "Start one like this" }).click()
        const balance = page.getByLabel("balance", { exact: true })
        assert.strictEqual(await balance.inputValue(), "9007199254740992")
        const large = page.getByLabel("others 1", { exact: true })
        assert.strictEqual(await large.inputValue(), "12345678901234567000")
        await page.getByLabel("id", { exact: true }).fill("second")

        await balance.fill("9007199254740993")
        await page.getByText("9007199254740993 would arrive as 9007199254740992").waitFor()
        await balance.fill("0x20000000000001")
        await page.getByText("A number is needed").waitFor()
        await balance.fill("9007199254740992")

        await page.getByRole("button", { name: "JSON", exact: true }).click()
        const json = page.getByLabel("payload as JSON")
        const text = await json.inputValue()
        assert.deepStrictEqual(JSON.parse(text), payload("second"))
        await json.fill(text.replace("12345678901234567000", "12345678901234567891"))
        await page.getByText("The number 12345678901234567891 would arrive as").waitFor()
        await page.getByRole("button", { name: "Start", exact: true }).click()
        await page.getByRole("alert").getByText("Not sent").waitFor()
        await json.fill(text)
        await page.getByRole("button", { name: "Start", exact: true }).click()
        await page.getByRole("heading", { name: /^Account/ }).waitFor()
      })
      const second = page.url().split("/").at(-1) ?? ""
      const stored = yield* executor.request("GET", `/runs/${second}/payload`)
      assert.deepStrictEqual(stored.body, { runId: second, payload: payload("second") })
    })
  )

  inBrowser("are not rounded in a signal either", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const runId = yield* executor.run("Sleeper", { id: "1" })
      const page = yield* openAt(yield* executor.url, `runs/${runId}`)
      yield* does(async () => {
        await page.getByRole("button", { name: "Send a signal" }).click()
        const dialog = page.getByRole("dialog")
        await dialog.getByLabel("Signal").fill("Amount")
        await dialog.getByLabel("value as JSON").fill('{ "cents": [1, 9007199254740993] }')
        await dialog.getByText("a text keeps its digits").waitFor()
        await dialog.getByRole("button", { name: "Send" }).click()
        await dialog.getByRole("alert").getByText("Not sent").waitFor()
      })
      const { body } = yield* executor.request("GET", `/runs/${runId}`)
      assert.notProperty(body, "signals")
    })
  )
})
