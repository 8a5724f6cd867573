/** Who gets in, and where the token is. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { does, inBrowser, make, open, tokenWith } from "./Browser.js"

describe("signing in", () => {
  inBrowser("is done by a link, whose token is in no address and no history afterwards", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const url = yield* executor.url
      const page = yield* open(url, { token: yield* tokenWith() })
      yield* does(() => page.getByRole("heading", { name: "Overview" }).waitFor())
      assert.strictEqual(page.url(), `${url}/ui/#/`)
      yield* does(() => page.getByRole("link", { name: "Runs", exact: true }).click())
      yield* does(() => page.getByRole("heading", { name: "Runs" }).waitFor())
      yield* does(() => page.goBack())
      yield* does(() => page.getByRole("heading", { name: "Overview" }).waitFor())
      assert.notInclude(page.url(), "token")
      // the page before is the one that the tab began with
      yield* does(() => page.goBack())
      assert.notInclude(page.url(), "token")
    })
  )

  inBrowser("is done by a token that is typed in, and lasts for the tab", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const page = yield* open(yield* executor.url)
      const token = yield* tokenWith()
      yield* does(() => page.getByLabel("Token").fill(token))
      yield* does(() => page.getByRole("button", { name: "Sign in" }).click())
      yield* does(() => page.getByRole("heading", { name: "Overview" }).waitFor())
      yield* does(() => page.reload())
      yield* does(() => page.getByRole("heading", { name: "Overview" }).waitFor())
      assert.deepStrictEqual(yield* does(() => page.context().cookies()), [])
      assert.strictEqual(yield* does(() => page.evaluate("Object.values(localStorage).join()")), "")
      yield* does(() => page.getByRole("button", { name: "Sign out" }).click())
      yield* does(() => page.getByLabel("Token").waitFor())
      yield* does(() => page.reload())
      yield* does(() => page.getByLabel("Token").waitFor())
      assert.strictEqual(yield* does(() => page.evaluate("sessionStorage.length")), 0)
    })
  )

  inBrowser("with a token that is wrong is refused, and the token is forgotten", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const page = yield* open(yield* executor.url, { token: "no-token" })
      yield* does(() => page.getByText("Signed out: token invalid").waitFor())
      assert.strictEqual(yield* does(() => page.evaluate("sessionStorage.length")), 0)
      yield* does(() => page.getByLabel("Token").fill("neither this"))
      yield* does(() => page.getByRole("button", { name: "Sign in" }).click())
      yield* does(() => page.getByText("Signed out: a token has no blanks").waitFor())
    })
  )

  inBrowser("with a token for reading offers nothing that changes anything", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const runId = yield* executor.run("Flaky", { id: "gone" })
      yield* executor.whenRun(runId, ({ status }) => status === "failed")
      const url = yield* executor.url
      const page = yield* open(url, { token: yield* tokenWith(["runs:read"]) })
      yield* does(() => page.getByRole("heading", { name: "Overview" }).waitFor())
      yield* does(() => page.goto(`${url}/ui/#/runs/${runId}`))
      yield* does(() => page.getByText("This token can only read").waitFor())
      for (const name of ["Retry", "Delete", "Send a signal", "Start one like this"]) {
        assert.strictEqual(yield* does(() => page.getByRole("button", { name }).count()), 0)
      }
      yield* does(() => page.goto(`${url}/ui/#/runs`))
      yield* does(() => page.getByRole("link", { name: runId.slice(0, 8) }).waitFor())
      assert.strictEqual(
        yield* does(() => page.getByRole("table").getByRole("checkbox").count()),
        0
      )
      yield* does(() => page.goto(`${url}/ui/#/workflows`))
      yield* does(() => page.getByRole("heading", { name: "Flaky" }).waitFor())
      assert.strictEqual(
        yield* does(() => page.getByRole("link", { name: "Start a run" }).count()),
        0
      )
      assert.strictEqual(
        yield* does(() => page.getByRole("link", { name: "Executors" }).count()),
        0
      )
      yield* does(() => page.goto(`${url}/ui/#/executors`))
      yield* does(() => page.getByText("Only a token with the scope admin").waitFor())
    })
  )

  inBrowser("with a token that is not told values says so in their places", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start({ VALUES_FOR_READERS: "false" })
      const runId = yield* executor.run("Flaky", { id: "very private" })
      yield* executor.whenRun(runId, ({ status }) => status === "failed")
      const url = yield* executor.url
      const page = yield* open(url, { token: yield* tokenWith(["runs:read", "runs:write"]) })
      yield* does(async () => {
        await page.getByRole("heading", { name: "Overview" }).waitFor()
        await page.goto(`${url}/ui/#/runs/${runId}`)
        await page.getByText(/It failed after .*: hidden from this token/).waitFor()
        await page.getByText("are hidden from this token").waitFor()
        await page.getByRole("button", { name: /^call/ }).click()
        await page.getByText("What it came to is hidden from this token").waitFor()
        await page.goto(`${url}/ui/#/runs?columns=payload,error`)
        await page.getByRole("cell", { name: "hidden", exact: true }).waitFor()
        await page.goto(`${url}/ui/#/start?workflow=Flaky&like=${runId}`)
        await page.getByText("only a token with the scope admin is told values").waitFor()
        await page.goto(`${url}/ui/#/schedules/yearly`)
        await page.getByText("It is hidden from this token").waitFor()
        await page.getByRole("link", { name: "Change" }).click()
        await page.getByText("hidden from this token: write all of it").waitFor()
        assert.notInclude(await page.content(), "January")
      })
    })
  )
})
