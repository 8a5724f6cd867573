/**
 * Makes the pictures in `docs/dashboard`, of the bundled example and a queue: `npm run pictures`. Needs
 * what was built, and a Chromium.
 */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Page } from "playwright-core"
import * as Process from "../support/Executor.js"
import * as Chromium from "./Chromium.js"

const docs = fileURLToPath(new URL("../../docs/dashboard/", import.meta.url))

const size = { width: 1200, height: 760 }

/** One order for each thing that can become of it. */
const orders = (executor: Process.Executor) =>
  Effect.gen(function* () {
    const start = (orderId: string, quantity = 1) =>
      executor.run("Order", { orderId, quantity, approveWithin: 3_600 })
    const approve = (runId: string, value: string) =>
      executor.request("POST", `/runs/${runId}/signals/Approval`, { value })
    const suspended = (runId: string) =>
      executor.whenRun(runId, ({ status }) => status === "suspended")
    const [approved, refused, waiting] = yield* Effect.forEach(
      ["A-1041", "A-1042", "A-1043"],
      (id) => start(id)
    )
    yield* start("A-1044", 180)
    if (approved === undefined || refused === undefined || waiting === undefined) return yield* none
    yield* Effect.forEach([approved, refused, waiting], suspended)
    yield* approve(approved, "approved")
    yield* approve(refused, "refused")
    yield* executor.completed(approved)
    yield* executor.whenRun(refused, ({ status }) => status === "failed")
    return { approved, refused, waiting, start }
  })

/** A queue that is full, two schedules, and an operation that is over. */
const around = (executor: Process.Executor) =>
  Effect.gen(function* () {
    const invoice = (customer: string, n: number) =>
      executor.request("POST", "/runs", {
        workflow: "Invoice",
        payload: { customer, month: `2026-${String(n + 1).padStart(2, "0")}` },
        options: { priority: n, timeout: "1 day", tags: ["eu"], attributes: { customer } }
      })
    const all = ["Ada", "Bob"].flatMap((customer) =>
      Array.from({ length: 7 }, (_, n) => ({ customer, n }))
    )
    yield* Effect.forEach(all, ({ customer, n }) => invoice(customer, n), { discard: true })
    yield* executor.request("PUT", "/queues/Invoice", {
      limits: { concurrency: 10, concurrencyPerKey: 3 }
    })
    yield* executor.request("PUT", "/schedules/nightly", {
      workflow: "Invoice",
      payload: { customer: "Cleo", month: "2026-11" },
      cron: "0 3 * * *",
      timeZone: "Europe/Berlin",
      catchUp: "1 day"
    })
    yield* executor.request("PUT", "/schedules/restock", {
      workflow: "Order",
      payload: { orderId: "restock" },
      every: "6 hours",
      paused: true
    })
    yield* executor.request("POST", "/schedules/nightly/trigger")
    yield* executor.request("POST", "/runs/bulk", {
      action: "retry",
      filter: { workflow: "Order", status: ["failed"] }
    })
    const { body } = yield* executor.request("GET", "/runs?tags=eu&status=pending&limit=1")
    return Schema.decodeUnknownSync(Waiting)(body).runs[0].runId
  })

const Waiting = Schema.Struct({
  runs: Schema.Tuple(Schema.Struct({ runId: Schema.String }))
})

const none = Effect.dieMessage("an order was not started")

const picture = (page: Page, name: string) =>
  Effect.promise(() => page.screenshot({ path: join(docs, `${name}.png`) })).pipe(
    Effect.zipRight(Console.log(`docs/dashboard/${name}.png`))
  )

const main = Effect.gen(function* () {
  const folder = yield* Process.makeFolder
  const executor = yield* Process.startReady({
    module: fileURLToPath(new URL("fixtures/shop.ts", import.meta.url)),
    env: { DATABASE_FILE: join(folder, "executor.db") }
  })
  const url = yield* executor.url
  const token = yield* Process.token
  const browser = yield* Effect.acquireRelease(Effect.promise(Chromium.launch), (browser) =>
    Effect.promise(() => browser.close())
  )
  const open = (colorScheme: "light" | "dark") =>
    Effect.promise(async () => {
      const page = await browser.newPage({ viewport: size, colorScheme })
      await page.goto(`${url}/ui/#token=${token}`)
      await page.getByText("live", { exact: true }).waitFor()
      return page
    })
  const at = (page: Page, path: string, look: (page: Page) => Promise<unknown>) =>
    Effect.promise(async () => {
      await page.goto(`${url}/ui/#/${path}`)
      await look(page)
    })

  const page = yield* open("light")
  const { refused, start, waiting } = yield* orders(executor)
  yield* start("A-1045")
  yield* at(page, "", (page) => page.getByText("reserve of Order").waitFor())
  yield* picture(page, "overview")
  yield* at(page, "runs", (page) => page.getByText("5 runs listed").waitFor())
  yield* picture(page, "runs")
  yield* at(page, `runs/${waiting}`, (page) => page.getByText("It waits for the signal").waitFor())
  yield* picture(page, "run")
  yield* at(page, "start?workflow=Order", async (page) => {
    await page.getByLabel("orderId").fill("A-1046")
    await page.getByText("Options: none").click()
  })
  yield* picture(page, "start")
  yield* at(page, "workflows", (page) => page.getByText("Schema of the payload").last().click())
  yield* picture(page, "workflows")
  yield* at(page, "executors", (page) => page.getByText("(this one)").waitFor())
  yield* picture(page, "executors")
  const queued = yield* around(executor)
  yield* at(page, "queues", (page) => page.getByText("3 per key").waitFor())
  yield* picture(page, "queues")
  yield* at(page, `runs/${queued}`, (page) =>
    page.getByText("It waits for a slot of the queue").waitFor()
  )
  yield* picture(page, "queued")
  yield* at(page, "schedules", (page) => page.getByText("paused").waitFor())
  yield* picture(page, "schedules")
  yield* at(page, "schedules/nightly", (page) => page.getByText(", triggered").waitFor())
  yield* picture(page, "schedule")
  const dark = yield* open("dark")
  yield* at(dark, "bulk", (page) => page.getByText("completed").waitFor())
  yield* picture(dark, "operations")
  yield* at(dark, `runs/${refused}`, async (page) => {
    await page.getByRole("button", { name: /^charge/ }).click()
    await page.getByRole("region", { name: "Step charge" }).waitFor()
  })
  yield* picture(dark, "failed")
})

Effect.runPromise(Effect.scoped(main))
