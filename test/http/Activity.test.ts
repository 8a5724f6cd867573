/** How many steps ended, minute by minute. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Minutes from "../../src/events/Minutes.js"
import { serve } from "./Harness.js"

const minute = 60_000

describe("the minutes of an hour", () => {
  it("are counted by what steps came to, and forgotten after it", () => {
    const minutes = Minutes.make()
    minutes.add(0, "completed")
    minutes.add(59_999, "failed")
    minutes.add(5 * minute, "completed")
    assert.deepStrictEqual(minutes.read(5 * minute), [
      { at: 0, completed: 1, failed: 1 },
      { at: 5 * minute, completed: 1, failed: 0 }
    ])
    assert.lengthOf(minutes.read(60 * minute + 59_999), 2)
    assert.deepStrictEqual(minutes.read(61 * minute), [{ at: 5 * minute, completed: 1, failed: 0 }])
    // its place is taken
    minutes.add(66 * minute, "failed")
    assert.deepStrictEqual(minutes.read(66 * minute), [
      { at: 66 * minute, completed: 0, failed: 1 }
    ])
    assert.deepStrictEqual(minutes.read(200 * minute), [])
  })

  it("of a clock that was put back are those until then", () => {
    const minutes = Minutes.make()
    minutes.add(90 * minute, "completed")
    assert.deepStrictEqual(minutes.read(80 * minute), [])
    minutes.add(80 * minute, "completed")
    assert.deepStrictEqual(minutes.read(80 * minute), [
      { at: 80 * minute, completed: 1, failed: 0 }
    ])
  })
})

describe("GET /activity", () => {
  it.scopedLive("tells of the steps that ended here, and since when they are counted", () =>
    Effect.gen(function* () {
      const { events, get } = yield* serve()
      const step = { type: "step", runId: "r", workflow: "Order", name: "s", attempt: 1 } as const
      const at = Date.now()
      for (const status of ["running", "completed", "failed", "interrupted"] as const) {
        events.publish({ ...step, at, status })
      }
      const { body, status } = yield* get("/activity")
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(body.minutes, [
        { at: new Date(at - (at % minute)).toISOString(), completed: 1, failed: 1 }
      ])
      assert.isAtMost(Date.parse(body.since), at)
    })
  )
})
