/** What the page says of the executor while that drains, is gone, and comes back. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { does, inBrowser, make, openAt, order } from "./Browser.js"

/** So that the next process is found at the same address. */
const portOf = (url: string) => ({ PORT: new URL(url).port })

describe("the overview", () => {
  inBrowser("counts the steps of the last hour, also those before it was opened", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const long = yield* executor.run("Long", { id: "1", steps: 4 })
      yield* executor.completed(long)
      const page = yield* openAt(yield* executor.url, "")
      const told = (text: string) => page.getByText(text).waitFor()
      yield* does(() => told("4 steps, 0 failed, since this executor began at"))
      const flaky = yield* executor.run("Flaky", { id: "gone" })
      yield* executor.whenRun(flaky, ({ status }) => status === "failed")
      yield* does(async () => {
        await told("5 steps, 1 failed")
        await page.reload()
        await told("5 steps, 1 failed")
      })
    })
  )
})

describe("where more happens than anybody reads", () => {
  inBrowser("a page is told some of it, and ends with what is so", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const url = yield* executor.url
      const page = yield* openAt(url, "")
      yield* does(() => page.getByText("live", { exact: true }).waitFor())
      const asked: Array<string> = []
      page.on("request", (request) => asked.push(new URL(request.url()).pathname))
      const runs = yield* Effect.forEach(["1", "2", "3"], (id) =>
        executor.run("Long", { id, steps: 700 })
      )
      yield* Effect.forEach(runs, (runId) => executor.completed(runId), { discard: true })
      yield* does(async () => {
        await page.getByText("2,100 steps, 0 failed").waitFor({ timeout: 40_000 })
        await page.getByRole("link", { name: /^3\s*completed/ }).waitFor({ timeout: 40_000 })
      })
      // some thousand events
      assert.isBelow(asked.length, 60)
    })
  )
})

describe("a workflow", () => {
  inBrowser("is told with how many runs it has, and how long they took", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const long = yield* executor.run("Long", { id: "1", steps: 1 })
      yield* executor.completed(long)
      yield* executor.run("Sleeper", { id: "1" })
      const url = yield* executor.url
      const page = yield* openAt(url, "workflows")
      yield* does(async () => {
        const card = page.getByRole("article").filter({ hasText: "Long" })
        await card.getByText(/The one that completed took \d/).waitFor()
        await page
          .getByRole("article")
          .filter({ hasText: "Flaky" })
          .getByText("It has no runs")
          .waitFor()
        await card.getByRole("link", { name: "1 completed" }).click()
        await page.getByText("1 run listed").waitFor()
        assert.strictEqual(page.url(), `${url}/ui/#/runs?workflow=Long&status=completed`)
        await page.getByRole("link", { name: "Executors" }).click()
        await page.getByRole("row", { name: /this one.*\d+\.\d+\.\d+/ }).waitFor()
      })
    })
  )
})

describe("the executor", () => {
  inBrowser("is seen to drain, with what it waits for, after it was asked to from here", () =>
    Effect.gen(function* () {
      const fixture = yield* make
      const executor = yield* fixture.start()
      const url = yield* executor.url
      const page = yield* openAt(url, "")
      yield* does(() => page.getByText("live", { exact: true }).waitFor())
      const runId = yield* executor.run("Order", order("1"))
      yield* does(async () => {
        await page.getByText(`reserve of Order ${runId.slice(0, 8)}`).waitFor()
        await page.getByRole("link", { name: "Executors" }).click()
        await page.getByRole("row", { name: /this one.*running/ }).waitFor()
        await page.getByRole("button", { name: "Drain this executor" }).click()
        await page.getByRole("button", { name: "Drain and stop" }).click()
        await page.getByText("live: executor draining").waitFor()
        await page.getByRole("button", { name: "This executor is draining" }).waitFor()
        await page.getByRole("link", { name: "Overview" }).click()
        const drain = page.getByRole("region", { name: "Drain" })
        await drain.getByText("The executor is draining").waitFor()
        await drain.getByText(/1 step left.*In \d.* it waits no longer/).waitFor()
        await drain.getByText(`reserve of Order ${runId.slice(0, 8)}`).waitFor()
      })
      yield* fixture.openGate("reserve-1")
      assert.strictEqual((yield* executor.exited).code, 0)
      yield* does(() => page.getByText("No connection to the executor since").waitFor())
    })
  )

  inBrowser(
    "that is gone is said to be, and when it is back what it did is there",
    () =>
      Effect.gen(function* () {
        const fixture = yield* make
        const first = yield* fixture.start()
        const url = yield* first.url
        const runId = yield* first.run("Order", order("1"))
        const page = yield* openAt(url, `runs/${runId}`)
        yield* does(() => page.getByText("It executes attempt 1 of reserve").waitFor())
        yield* first.kill("SIGKILL")
        yield* first.exited
        yield* does(() => page.getByText("What is shown may be out of date").waitFor())
        yield* fixture.openGate("reserve-1")
        const second = yield* fixture.start(portOf(url))
        yield* does(async () => {
          await page.getByText("What is shown may be out of date").waitFor({ state: "detached" })
          await page.getByText("It waits for the signal Approval since").waitFor()
          await page.getByRole("link", { name: "Runs", exact: true }).click()
          await page.getByRole("link", { name: runId.slice(0, 8) }).waitFor()
        })
        // live again: what happens now is seen without being asked for
        const another = yield* second.run("Sleeper", { id: "1" })
        yield* does(() => page.getByRole("link", { name: another.slice(0, 8) }).waitFor())
      }),
    90_000
  )

  inBrowser("is left alone while nobody sees the page", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const page = yield* openAt(yield* executor.url, "runs")
      yield* does(() => page.getByText("live", { exact: true }).waitFor())
      const asked: Array<string> = []
      const ended = does(() =>
        page.waitForEvent("requestfailed", (request) =>
          new URL(request.url()).pathname.endsWith("/events")
        )
      )
      yield* Effect.zip(
        ended,
        does(() => page.evaluate(`${seen("hidden")}`)),
        { concurrent: true }
      )
      page.on("request", (request) => asked.push(request.url()))
      const runId = yield* executor.run("Sleeper", { id: "1" })
      yield* executor.whenRun(runId, ({ status }) => status === "suspended")
      assert.deepStrictEqual(asked, [])
      yield* does(async () => {
        await page.evaluate(seen("visible"))
        await page.getByRole("link", { name: runId.slice(0, 8) }).waitFor()
      })
      assert.isNotEmpty(asked)
    })
  )
})

/** What a browser says to a page whose tab is left, or returned to. */
const seen = (state: "hidden" | "visible") =>
  `Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true });
   document.dispatchEvent(new Event("visibilitychange"))`
