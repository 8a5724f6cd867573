/** What a run has waited for, on its timeline: as far as it is recorded. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { RunWithStepsView } from "../../src/api/RunView.js"
import { notTold, type Row, rowsOf } from "../../src/dashboard/timeline/Rows.js"
import { does, expectAccessible, inBrowser, make, openAt } from "./Browser.js"

const at = (second: number) => `2026-11-27T12:00:${String(second).padStart(2, "0")}.000Z`

const millis = (second: number) => Date.parse(at(second))

const charge = (attempt: number, from: number, until: number) => ({
  name: "charge",
  attempt,
  status: "failed" as const,
  startedAt: at(from),
  completedAt: at(until)
})

const run = (part: Partial<RunWithStepsView>): RunWithStepsView => ({
  runId: "a",
  workflow: "Order",
  status: "suspended",
  createdAt: at(0),
  steps: [],
  ...part
})

/** The rows at second 30, and of each what its bars are. */
const told = (part: Partial<RunWithStepsView>): ReadonlyArray<unknown> =>
  rowsOf(run(part), [], millis(30)).map(({ bars, kind, label }: Row) => [
    kind,
    label,
    bars.map(({ from, status, until }) => [
      status,
      (from - millis(0)) / 1_000,
      until === undefined ? undefined : (until - millis(0)) / 1_000
    ])
  ])

describe("the rows of a timeline", () => {
  it("have signals and timers at the moment at which they came", () => {
    const signals = {
      total: 3,
      last: [
        { name: "Approval", receivedAt: at(5) },
        { name: "raceAll/decision", receivedAt: at(6) },
        { name: "of an older version" }
      ]
    }
    const timers = { total: 1, last: [{ name: "nap", dueAt: at(4), fired: true }] }
    assert.deepStrictEqual(told({ status: "running", signals, timers }), [
      ["timer", "nap", [["due", 4, 4]]],
      ["signal", "Approval", [["received", 5, 5]]],
      ["race", "decision", [["decided", 6, 6]]]
    ])
  })

  it("have what is waited for once, and no timer before it is due", () => {
    const timers = {
      total: 3,
      last: [
        { name: "deadline", dueAt: at(20), fired: false },
        { name: "night", dueAt: at(59), fired: false },
        { name: "lost", dueAt: at(25), fired: false }
      ]
    }
    const deadline = { type: "timer" as const, name: "deadline", since: at(3), until: at(20) }
    const waitsFor = { total: 1, first: [deadline] }
    assert.deepStrictEqual(told({ timers, waitsFor }), [
      ["timer", "deadline", [["waiting", 3, undefined]]],
      ["timer", "lost", [["due", 25, 25]]]
    ])
    // one that was due after the end was seen by nobody
    const over = { status: "failed", completedAt: at(22), timers } as const
    assert.deepStrictEqual(told(over), [["timer", "deadline", [["due", 20, 20]]]])
  })

  it("have the pauses of a step between its attempts", () => {
    const steps = [charge(1, 1, 2), charge(2, 5, 6)]
    const timers = {
      total: 2,
      last: [
        { name: "charge/1/backoff", dueAt: at(4), fired: true },
        { name: "charge/2/backoff", dueAt: at(12), fired: false },
        // of a step that is not there
        { name: "other/1/backoff", dueAt: at(3), fired: true }
      ]
    }
    const attempts = [
      ["failed", 1, 2],
      ["waiting", 2, 4],
      ["failed", 5, 6]
    ]
    const other = ["timer", "other/1/backoff", [["due", 3, 3]]]
    const backoff = {
      type: "timer" as const,
      name: "charge/2/backoff",
      since: at(6),
      until: at(12)
    }
    assert.deepStrictEqual(told({ steps, timers, waitsFor: { total: 1, first: [backoff] } }), [
      ["step", "charge", [...attempts, ["waiting", 6, undefined]]],
      other
    ])
    assert.deepStrictEqual(told({ steps, timers, status: "failed", completedAt: at(7) }), [
      ["step", "charge", attempts],
      other
    ])
  })

  it("tell the steps of compensations from the others", () => {
    const step = (name: string, second: number) => ({ ...charge(1, second, second + 1), name })
    const steps = [step("charge", 1), { ...step("refund", 3), compensation: true as const }]
    assert.deepStrictEqual(told({ status: "failed", completedAt: at(4), steps }), [
      ["step", "charge", [["failed", 1, 2]]],
      ["compensation", "refund", [["failed", 3, 4]]]
    ])
  })

  it("say how much is not among them", () => {
    const signals = { total: 134, last: [{ name: "a", receivedAt: at(1) }] }
    const timers = { total: 1, last: [{ name: "nap", dueAt: at(4), fired: true }] }
    assert.isUndefined(notTold(run({ timers })))
    assert.strictEqual(
      notTold(run({ signals, timers })),
      "It has 134 signals, of which the last 1 are here."
    )
  })
})

describe("the timeline of a run", () => {
  inBrowser("shows what it has waited for, also when it is over", () =>
    Effect.gen(function* () {
      const executor = yield* (yield* make).start()
      const runId = yield* executor.run("Patient", { id: "1" })
      const page = yield* openAt(yield* executor.url, `runs/${runId}`)
      const row = (name: RegExp) => page.getByRole("button", { name })
      yield* does(async () => {
        await page.getByText("It waits for the signal Call since").waitFor()
        await row(/^knock ×2 2 attempts, completed/).waitFor()
        await row(/^timer nap due at/).waitFor()
        await row(/^signal Call waiting/).waitFor()
        await row(/^timer night waiting, .*, due at/).waitFor()
      })
      yield* executor.request("POST", `/runs/${runId}/signals/Call`, { value: null })
      yield* does(async () => {
        await page.getByText(/^It failed after .*the line is busy/).waitFor()
        await row(/^compensation hang up completed/).click()
        await page.getByText("what was done to undo the run").waitFor()
        // undone, it is not to be retried
        await page
          .getByRole("button", { name: "Retry" })
          .and(page.locator("[aria-disabled=true]"))
          .waitFor()
        await row(/^signal Call received at/).waitFor()
        await row(/^race first decided at/).waitFor()
        await row(/^timer nap due at/).waitFor()
        await row(/^signal Call received at/).click()
        await page.getByRole("region", { name: "signal Call" }).getByText("Received").waitFor()
        // the night has not come
        assert.strictEqual(await row(/night/).count(), 0)
        const pause = page.locator(".timeline li", { hasText: "knock" }).locator(".bar.is-waiting")
        assert.match((await pause.getAttribute("title")) ?? "", /for (9\d\d ms|1 s|1\.\d s)$/)
      })
      yield* expectAccessible(page)
    })
  )
})
