/** Where things are on a timeline, and in a list that changes. */
import { assert, describe, it } from "@effect/vitest"
import type { RunView } from "../../src/api/RunView.js"
import { total } from "../../src/dashboard/overview/Gauges.js"
import { matches } from "../../src/dashboard/parts/JsonSearch.js"
import * as Filters from "../../src/dashboard/runs/Filters.js"
import { refreshed, told } from "../../src/dashboard/runs/Merge.js"
import { make, merged } from "../../src/dashboard/timeline/Scale.js"

describe("the ruler", () => {
  const active = [
    { from: 0, until: 1_000 },
    { from: 900, until: 2_000 },
    { from: 3_602_000, until: 3_604_000 }
  ]

  it("takes what overlaps for one", () => {
    assert.deepStrictEqual(merged(active), [
      { from: 0, until: 2_000 },
      { from: 3_602_000, until: 3_604_000 }
    ])
  })

  it("folds an idle hour between two seconds, and keeps all else in proportion", () => {
    const scale = make({ from: 0, until: 3_604_000 }, active, { isFolding: true })
    assert.strictEqual(scale.folds.length, 1)
    assert.strictEqual(scale.at(0), 0)
    assert.closeTo(scale.at(3_604_000), 1, 1e-9)
    assert.closeTo(scale.at(2_000), 0.485, 1e-9)
    assert.closeTo(scale.at(3_602_000), 0.515, 1e-9)
    assert.closeTo(scale.at(1_000), scale.at(2_000) / 2, 1e-9)
  })

  it("is in proportion throughout where nothing is folded", () => {
    const scale = make({ from: 0, until: 4_000 }, active.slice(0, 2), { isFolding: false })
    assert.deepStrictEqual(scale.folds, [])
    for (const time of [0, 500, 1_000, 3_000, 4_000]) {
      assert.closeTo(scale.at(time), time / 4_000, 1e-9)
    }
    assert.deepStrictEqual(scale.ticks(5), [0, 1_000, 2_000, 3_000, 4_000])
  })

  it("has a mark at each of its ends, however the widths between them add up", () => {
    const steps = Array.from({ length: 333 }, (_, n) => ({ from: n * 7.3, until: n * 7.3 + 3.1 }))
    const end = 332 * 7.3 + 3.1
    const marks = make({ from: 0, until: end }, steps, { isFolding: true }).ticks(6)
    assert.strictEqual(marks.length, 6)
    assert.strictEqual(marks[0], 0)
    assert.closeTo(marks[5] ?? 0, end, 1e-6)
  })

  it("never goes back, and stays between its ends", () => {
    const scale = make({ from: 100, until: 3_604_000 }, active, { isFolding: true })
    const places = Array.from({ length: 1_000 }, (_, n) => scale.at(n * 4_000 - 1_000))
    assert.deepStrictEqual(
      places,
      [...places].sort((a, b) => a - b)
    )
    assert.isTrue(places.every((place) => place >= 0 && place <= 1))
  })
})

const runs = (...ids: ReadonlyArray<string>): ReadonlyArray<RunView> =>
  ids.map((runId) => ({
    runId,
    workflow: "Order",
    status: "running",
    createdAt: "2026-11-27T12:00:00.000Z"
  }))

const ids = ({ runs }: { readonly runs: ReadonlyArray<RunView> }) => runs.map(({ runId }) => runId)

describe("a list of runs", () => {
  it("read anew has the new ones first, and keeps what was read of the old", () => {
    const listed = { runs: runs("d", "c", "b", "a"), cursor: "after a" }
    const page = { runs: runs("f", "e", "d", "b"), nextCursor: "after b" }
    const now = refreshed(listed, page)
    // c does not match any more, a is where it was
    assert.deepStrictEqual(ids(now), ["f", "e", "d", "b", "a"])
    assert.strictEqual(now.cursor, "after a")
  })

  it("of which nothing is as it was begins again", () => {
    const now = refreshed(
      { runs: runs("b", "a"), cursor: null },
      { runs: runs("z", "y"), nextCursor: "after y" }
    )
    assert.deepStrictEqual([ids(now), now.cursor], [["z", "y"], "after y"])
  })

  it("is changed by what is told of its runs, and of no others", () => {
    const listed = { runs: runs("b", "a"), cursor: null }
    const at = "2026-11-27T12:00:09.000Z"
    const failed = told(listed, { runId: "a", status: "failed", at })
    assert.include(failed.runs[1], { status: "failed", completedAt: at })
    assert.deepStrictEqual(ids(told(failed, { runId: "b", status: "deleted", at })), ["a"])
    assert.strictEqual(told(listed, { runId: "z", status: "failed", at }), listed)
  })

  it("is what its address says, and nothing that is no filter", () => {
    const query = new URLSearchParams(
      "status=failed,nonsense,running&workflow=Order&after=2026-11-27T12:00:00.000Z&before=never&mend=true&tags=eu,a%252Cb&attributes=total=7"
    )
    const filters = Filters.read(query)
    assert.deepStrictEqual(Filters.requestOf(filters), {
      workflow: "Order",
      key: undefined,
      status: ["failed", "running"],
      createdAfter: new Date("2026-11-27T12:00:00.000Z"),
      createdBefore: undefined,
      parent: undefined,
      roots: undefined,
      mend: true,
      tags: ["eu", "a,b"],
      attributes: { total: 7 }
    })
    const { attributes, tags } = Filters.write(filters)
    assert.deepStrictEqual([tags, attributes], [["eu", "a%2Cb"], ["total=7"]])
  })
})

describe("a search in JSON", () => {
  it("finds names, texts and numbers, and what they are in", () => {
    const found = matches({ order: { id: "A-1", total: 42 }, other: [null, "a-12"] }, "A-1")
    assert.strictEqual(found.count, 2)
    assert.deepStrictEqual([...found.hits], ["/order/id", "/other/1"])
    assert.deepStrictEqual([...found.within].sort(), ["", "/order", "/other"])
    assert.isFalse(matches({ a: 1 }, " ").active)
  })
})

describe("a gauge", () => {
  it("is the sum over its labels, of its own name alone", () => {
    const text = [
      "# TYPE workflow_executor_steps_in_flight gauge",
      "workflow_executor_steps_in_flight 3",
      'workflow_executor_steps_total{workflow="a b",outcome="completed"} 5',
      'workflow_executor_steps_total{workflow="}",outcome="failed"} 2'
    ].join("\n")
    assert.strictEqual(total(text, "steps_in_flight"), 3)
    assert.strictEqual(total(text, "steps_total"), 7)
    assert.isUndefined(total(text, "steps"))
  })
})
