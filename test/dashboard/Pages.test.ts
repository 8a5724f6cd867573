/** What holds of every page: whatever is in the data, whoever reads it, and on whatever screen. */
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Page } from "playwright-core"
import type { Executor } from "../support/Executor.js"
import { behind, does, expectAccessible, inBrowser, make, open, openAt, order } from "./Browser.js"
import { hostile } from "./fixtures/workflows.js"

describe("the first page", () => {
  it("loads less than 150 kB of compressed JavaScript", () => {
    const assets = fileURLToPath(new URL("../../dist/ui/assets/", import.meta.url))
    const scripts = readdirSync(assets).filter((name) => name.endsWith(".js"))
    assert.isNotEmpty(scripts)
    const bytes = scripts.reduce(
      (sum, name) => sum + gzipSync(readFileSync(`${assets}${name}`)).length,
      0
    )
    console.info(`JavaScript of the dashboard: ${(bytes / 1_000).toFixed(1)} kB, compressed`)
    assert.isBelow(bytes, 150_000)
  })
})

/** Runs of every kind; those that the pages are shown with. */
const runsOf = (executor: Executor, openGate: (name: string) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    yield* openGate("reserve-1")
    const waiting = yield* executor.run("Order", order("1"))
    const running = yield* executor.run("Order", order("2"))
    const failed = yield* executor.run("Flaky", { id: "gone" })
    const parent = yield* executor.run("Parent", { id: "p" })
    yield* executor.run("Invoice", { customer: "A", month: "1" })
    yield* executor.run("Invoice", { customer: "A", month: "2" })
    yield* executor.request("POST", "/schedules/yearly/trigger")
    yield* executor.whenRun(waiting, ({ status }) => status === "suspended")
    yield* executor.whenRun(failed, ({ status }) => status === "failed")
    return { waiting, running, failed, parent }
  })

describe("every page", () => {
  for (const colorScheme of ["light", "dark"] as const) {
    inBrowser(
      `is accessible, in ${colorScheme} colours`,
      () =>
        Effect.gen(function* () {
          const fixture = yield* make
          const executor = yield* fixture.start()
          const { failed, parent, waiting } = yield* runsOf(executor, fixture.openGate)
          const url = yield* executor.url
          const out = yield* open(url, { colorScheme })
          yield* does(() => out.getByLabel("Token").waitFor())
          yield* expectAccessible(out)
          const page = yield* openAt(url, "", { colorScheme })
          const visit = (path: string, look: (page: Page) => Promise<unknown>) =>
            Effect.zipRight(
              does(async () => {
                await page.goto(`${url}/ui/#/${path}`)
                await look(page)
              }),
              expectAccessible(page)
            )
          yield* visit("", (page) => page.getByText("Newest that failed").waitFor())
          yield* visit("runs", (page) => page.getByText(/runs listed/).waitFor())
          yield* visit(`runs/${failed}`, (page) => page.getByText(/It failed/).waitFor())
          yield* visit(`runs/${parent}`, (page) => page.locator(".tree li").nth(1).waitFor())
          yield* visit(`runs/${waiting}`, async (page) => {
            await page.getByRole("button", { name: /^reserve/ }).click()
            await page.getByRole("region", { name: "Step reserve" }).waitFor()
          })
          yield* visit(`runs/${waiting}`, async (page) => {
            await page.getByRole("button", { name: "Send a signal" }).click()
            await page.getByRole("dialog").getByLabel("approved").waitFor()
          })
          yield* does(() => page.keyboard.press("Escape"))
          yield* visit("workflows", (page) => page.getByRole("article").first().waitFor())
          yield* visit("start?workflow=Order", (page) => page.getByLabel("orderId").waitFor())
          yield* visit("start?workflow=Long", (page) => page.getByText("Options: none").click())
          yield* visit("executors", (page) => page.getByText("(this one)").waitFor())
          yield* visit("queues", (page) => page.getByText("1 per key").waitFor())
          yield* visit("queues", (page) =>
            page.getByRole("button", { name: "Change the limits of invoices" }).click()
          )
          yield* does(() => page.keyboard.press("Escape"))
          yield* executor.request("POST", "/runs/bulk", {
            action: "resume",
            filter: { workflow: "Parent" }
          })
          yield* visit("bulk", (page) => page.getByText("completed").waitFor())
          yield* visit("runs?tags=eu&attributes=customer=7", (page) =>
            page.getByText("0 runs listed").waitFor()
          )
          yield* visit("schedules", (page) => page.getByRole("link", { name: "yearly" }).waitFor())
          yield* visit("schedules/yearly", (page) =>
            page.getByRole("link", { name: /triggered$/ }).waitFor()
          )
          yield* visit("schedules/yearly", (page) =>
            page.getByRole("button", { name: "Backfill" }).click()
          )
          yield* does(() => page.keyboard.press("Escape"))
          yield* visit("edit-schedule?name=yearly", (page) => page.getByLabel("customer").waitFor())
        }),
      120_000
    )
  }

  inBrowser("is read at 400 % of its size without scrolling sideways", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      const { waiting } = yield* runsOf(executor, fixture.openGate)
      const url = yield* executor.url
      // of a screen of 1,280 pixels a quarter is left
      const page = yield* openAt(url, "", { viewport: { width: 320, height: 256 } })
      const added = ["queues", "bulk", "schedules", "schedules/yearly", "edit-schedule?name=yearly"]
      for (const path of [
        "",
        "runs",
        `runs/${waiting}`,
        "workflows",
        "start?workflow=Order",
        ...added
      ]) {
        yield* does(async () => {
          await page.goto(`${url}/ui/#/${path}`)
          await page.getByRole("heading", { level: 1 }).waitFor()
          const width = await page.evaluate("document.documentElement.scrollWidth")
          assert.strictEqual(width, 320, path)
        })
      }
    })
  )

  inBrowser("shows what is hostile as text, and follows none of it", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const runId = yield* executor.run(`Hostile ${hostile}`, { id: hostile, text: hostile })
      yield* executor.whenRun(runId, ({ status }) => status === "suspended")
      const url = yield* executor.url
      const page = yield* openAt(url, `runs/${runId}`)
      const untouched = does(async () => {
        assert.strictEqual(await page.evaluate("window.hostile"), undefined)
        const links = await page.evaluate<ReadonlyArray<string>>(
          "Array.from(document.links, (link) => link.protocol + ' ' + link.host)"
        )
        assert.deepStrictEqual(Array.from(new Set(links)), [`http: ${new URL(url).host}`])
        assert.strictEqual(await page.evaluate("document.images.length"), 0)
        assert.strictEqual(await page.evaluate("document.scripts.length"), 1)
      })
      yield* does(async () => {
        await page.getByRole("heading", { level: 1 }).getByText(hostile).waitFor()
        await page.getByText("It waits for the signal signal <img").waitFor()
        await page.getByRole("button", { name: /^step <img/ }).click()
        await page
          .getByRole("region", { name: /^Step step/ })
          .getByText(`${hostile}: `)
          .waitFor()
      })
      yield* untouched
      yield* does(async () => {
        await page.getByRole("button", { name: "Send a signal" }).click()
        await page.getByRole("dialog").getByRole("button", { name: "Send" }).click()
        await page.getByText(/It failed after/).waitFor()
      })
      yield* untouched
      yield* executor.request("PUT", "/schedules/hostile", {
        workflow: `Hostile ${hostile}`,
        payload: { id: hostile, text: hostile },
        cron: "0 3 1 1 *"
      })
      yield* executor.request("POST", "/runs/bulk", {
        action: "resume",
        filter: { workflow: `Hostile ${hostile}`, tags: [hostile] }
      })
      const added = ["queues", "schedules", "schedules/hostile", "bulk", "runs?tags=<img src=x>"]
      for (const path of ["", "runs?columns=workflow,error,payload", "workflows", ...added]) {
        yield* does(async () => {
          await page.goto(`${url}/ui/#/${path}`)
          const text = path.startsWith("runs?tags") ? "<img src=x>" : hostile
          await page.getByText(text).locator("visible=true").first().waitFor()
        })
        yield* untouched
      }
    })
  )

  inBrowser("works behind a path that a proxy puts in front of it", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const url = yield* behind(yield* executor.url, "/team/workflows")
      const page = yield* openAt(url, "workflows")
      yield* does(() => page.getByRole("heading", { name: "Flaky" }).waitFor())
      yield* does(() => page.getByText("live", { exact: true }).waitFor())
    })
  )
})
