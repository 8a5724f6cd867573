/** When a run begins, how long it may take, and what it is marked with: said in the form that starts it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RunView } from "../../src/api/RunView.js"
import { StartOptionsBody } from "../../src/api/StartOptions.js"
import * as Options from "../../src/dashboard/start/Options.js"
import { does, expectAccessible, inBrowser, make, openAt } from "./Browser.js"

const written = (part: Partial<Options.Written>): Options.Written => ({ ...Options.none, ...part })

/** As it is sent. */
const sent = (part: Partial<Options.Written>) => {
  const body = Options.read(written(part))
  return body === undefined ? undefined : Schema.encodeSync(StartOptionsBody)(body)
}

const like = (part: Partial<RunView>): RunView => ({
  runId: "a",
  workflow: "Order",
  status: "completed",
  createdAt: "2026-11-27T12:00:00.000Z",
  ...part
})

describe("the options of a start", () => {
  it("that are empty are not sent", () => {
    assert.isUndefined(sent({}))
    assert.isUndefined(sent({ delay: "1 hour", priority: " ", tags: "\n\n" }))
    assert.deepStrictEqual(Options.problems(Options.none), {})
    assert.deepStrictEqual(Options.said(Options.none), [])
  })

  it("are sent as they are written", () => {
    assert.deepStrictEqual(
      sent({
        begins: "after",
        delay: "2  Hours",
        priority: " -5 ",
        timeout: "1 day",
        tags: "eu\n  urgent \n",
        attributes: 'customer=7\ntotal="7"\nvip',
        ignorePayload: true
      }),
      {
        delay: "7200000 millis",
        priority: -5,
        timeout: "86400000 millis",
        tags: ["eu", "urgent"],
        attributes: { customer: 7, total: "7", vip: true },
        ignorePayload: true
      }
    )
    assert.deepStrictEqual(
      sent({ begins: "at", startAt: "2026-11-28T18:00:00.000Z", onConflict: "replace" }),
      { startAt: "2026-11-28T18:00:00.000Z", onConflict: "replace" }
    )
    // it goes with `use` alone
    assert.deepStrictEqual(sent({ onConflict: "fail", ignorePayload: true }), {
      onConflict: "fail"
    })
  })

  it("are those of another run, whatever is in them", () => {
    const options = {
      priority: -5,
      timeout: 5_400_000,
      tags: ["eu", " two words ", 'with "quotes"', '"quoted"', "a\nb", ""],
      attributes: { customer: 7, text: "7", lines: "a\nb", space: " a ", empty: "", vip: true }
    }
    assert.deepStrictEqual(sent(Options.ofRun(like(options))), {
      ...options,
      timeout: "5400000 millis"
    })
    assert.isUndefined(sent(Options.ofRun(like({ startAt: "2026-11-27T13:00:00.000Z" }))))
  })

  it("say what is wrong with them, each at its field", () => {
    const wrong = (part: Partial<Options.Written>) => Options.problems(written(part))
    assert.deepStrictEqual(wrong({ begins: "at" }), { startAt: "Say at which time" })
    assert.match(wrong({ begins: "after", delay: "" }).delay ?? "", /"" is not a duration/)
    assert.match(wrong({ timeout: "soon" }).timeout ?? "", /"soon" is not a duration/)
    for (const priority of ["1.5", "1000001", "high", "0x10"]) {
      assert.match(wrong({ priority }).priority ?? "", /is not a whole number from/)
    }
    assert.match(wrong({ tags: "x".repeat(65) }).tags ?? "", /65 characters; at most 64/)
    assert.match(wrong({ tags: "x\n".repeat(17) }).tags ?? "", /17 tags; at most 16/)
    assert.match(wrong({ attributes: "=7" }).attributes ?? "", /no name/)
    assert.match(wrong({ attributes: "a=1\na=2" }).attributes ?? "", /a is said twice/)
    assert.match(
      wrong({ attributes: "customer=9007199254740993" }).attributes ?? "",
      /would arrive as 9007199254740992/
    )
    assert.deepStrictEqual(wrong({ attributes: 'customer="9007199254740993"' }), {})
  })

  it("are refused by the executor at their field", () => {
    const at = (tag: string, message: string) => Options.fieldOf({ tag, message })
    assert.strictEqual(at("InvalidOptions", "delay: 200y; at most 100 years"), "delay")
    assert.strictEqual(at("InvalidOptions", 'the tag "priority" has 3 characters'), "tags")
    assert.strictEqual(at("InvalidOptions", 'the attribute "a" is NaN'), "attributes")
    assert.strictEqual(at("InvalidOptions", "17 attributes; at most 16 are allowed"), "attributes")
    assert.strictEqual(at("PayloadDiffers", "There is a run"), "onConflict")
    assert.isUndefined(at("InvalidOptions", "something new"))
    assert.isUndefined(at("InvalidPayload", "delay: Expected a string"))
  })
})

describe("the form that starts a run", () => {
  inBrowser("says when it begins and what it is marked with, and starts another like that", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const url = yield* executor.url
      const page = yield* openAt(url, "start?workflow=Long")
      const start = page.getByRole("button", { name: "Start", exact: true })
      yield* does(async () => {
        await page.getByLabel("id", { exact: true }).fill("a")
        await page.getByLabel("steps", { exact: true }).fill("1")
        assert.isFalse(await page.getByLabel("Priority").isVisible())
        await page.getByText("Options: none").click()
        await page.getByLabel("After a while").check()
        await page.getByLabel("How long from now").fill("soon")
        await page.getByLabel("Priority").fill("-3")
        await page.getByLabel("Timeout").fill("2 days")
        await page.getByLabel("Tags").fill("eu\nurgent")
        await page.getByLabel("Attributes").fill("customer=7")
        await page.getByText("Options: when it begins, priority").click()
        assert.isFalse(await page.getByLabel("Priority").isVisible())
        await start.click()
        // it is unfolded, and what is wrong has the focus
        await page.getByText('"soon" is not a duration').waitFor()
        assert.strictEqual(await page.evaluate("document.activeElement.value"), "soon")
      })
      yield* expectAccessible(page)
      yield* does(async () => {
        await page.getByLabel("How long from now").fill("40000 days")
        await start.click()
        // nobody but the executor knows this
        await page.getByText(/^delay: .*at most 100 years are allowed/).waitFor()
        const field = page.getByLabel("How long from now")
        assert.strictEqual(await field.getAttribute("aria-invalid"), "true")
        await field.fill("3 hours")
        await page.getByText(/^delay: /).waitFor({ state: "detached" })
        await start.click()
        await page.getByText(/^It is to begin in 2 hours/).waitFor()
      })
      const runId = page.url().split("/").at(-1) ?? ""
      const { body } = yield* executor.request("GET", `/runs/${runId}`)
      assert.deepInclude(body, {
        priority: -3,
        timeout: 172_800_000,
        tags: ["eu", "urgent"],
        attributes: { customer: 7 }
      })

      yield* does(async () => {
        await page.getByRole("link", { name: "Start one like this" }).click()
        await page.getByText("Options: priority, timeout, tags, attributes").click()
        assert.strictEqual(await page.getByLabel("Tags").inputValue(), "eu\nurgent")
        assert.strictEqual(await page.getByLabel("Timeout").inputValue(), "2 days")
        assert.isTrue(await page.getByLabel("At once").isChecked())
        await page.getByLabel("id", { exact: true }).fill("b")
        await start.click()
        await page.getByText("It completed after").waitFor()
        await page.getByRole("definition").getByText("-3", { exact: true }).waitFor()
      })
    })
  )

  inBrowser("says what there is already, and leads to it", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const runId = yield* executor.run("Long", { id: "a", steps: 1 })
      yield* executor.completed(runId)
      const url = yield* executor.url
      const page = yield* openAt(url, `start?workflow=Long&like=${runId}`)
      const start = page.getByRole("button", { name: "Start", exact: true })
      yield* does(async () => {
        await page.getByLabel("steps", { exact: true }).fill("2")
        await start.click()
        // of the same key, with another payload
        const conflict = page.getByLabel("If there is a run of the same idempotency key")
        await page.getByText("with another payload; say ignorePayload").waitFor()
        assert.isTrue(
          await conflict.evaluate("document.activeElement instanceof HTMLSelectElement")
        )
        await conflict.selectOption("fail")
        await start.click()
        await page.getByText(/There is a run .* which is completed/).waitFor()
        await page.getByRole("link", { name: "Open that run" }).click()
        await page.getByText("It completed after").waitFor()
        assert.strictEqual(page.url(), `${url}/ui/#/runs/${runId}`)

        await page.getByRole("link", { name: "Start one like this" }).click()
        await page.getByLabel("steps", { exact: true }).fill("2")
        await page.getByText("Options: none").click()
        await page.getByLabel("also where it has another payload").check()
        await start.click()
        await page.getByText("There was such a run already: it is completed").waitFor()
      })
    })
  )

  inBrowser("puts another in the place of one that has not begun", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const { body } = yield* executor.request("POST", "/runs", {
        workflow: "Long",
        payload: { id: "later", steps: 1 },
        options: { delay: "3 hours", tags: ["old"] }
      })
      const { runId } = Schema.decodeUnknownSync(Schema.Struct({ runId: Schema.String }))(body)
      const page = yield* openAt(yield* executor.url, `start?workflow=Long&like=${runId}`)
      yield* does(async () => {
        await page.getByLabel("steps", { exact: true }).fill("2")
        await page.getByText("Options: tags").click()
        await page.getByLabel("At a time").check()
        await page.getByRole("button", { name: "Start", exact: true }).click()
        await page.getByText("Say at which time").waitFor()
        await page.getByLabel("Time", { exact: true }).fill("2199-01-01T00:00:00")
        await page.getByLabel("Tags").fill("new")
        await page
          .getByLabel("If there is a run of the same idempotency key")
          .selectOption("replace")
        await page.getByRole("button", { name: "Start", exact: true }).click()
        await page.getByText("it has what was said now").waitFor()
        await page.getByText(/^It is to begin in .* days/).waitFor()
        await page.getByRole("link", { name: "new", exact: true }).waitFor()
      })
    })
  )
})
