import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { maxDepth } from "../../src/http/Body.js"
import { serve } from "./Harness.js"

/** A signal's body that is so many levels deep. */
const deep = (levels: number) => {
  const arrays = levels - 1
  return `{"value":${"[".repeat(arrays)}${"]".repeat(arrays)}}`
}

describe("a body", () => {
  it.scopedLive("of the greatest depth is taken, and one that is deeper refused", () =>
    Effect.gen(function* () {
      const { post, store } = yield* serve()
      yield* store.create({ runId: "r1", workflow: "Order", payload: "{}" })
      const signal = (body: string) => post("/runs/r1/signals/Other", body)
      assert.strictEqual((yield* signal(deep(maxDepth))).status, 202)
      for (const body of [deep(maxDepth + 1), "[".repeat(maxDepth + 1)]) {
        const answer = yield* signal(body)
        assert.deepStrictEqual(
          [answer.status, answer.body._tag, answer.body.message],
          [
            400,
            "InvalidJson",
            "The body cannot be read as JSON: it is nested deeper than 500 levels"
          ]
        )
      }
    })
  )

  it.scopedLive("is not deep for what it has in its texts, or side by side", () =>
    Effect.gen(function* () {
      const { post, store } = yield* serve()
      yield* store.create({ runId: "r1", workflow: "Order", payload: "{}" })
      for (const value of [
        "[".repeat(5_000),
        `"\\${"{".repeat(5_000)}"`,
        Array(5_000).fill([{}])
      ]) {
        assert.strictEqual((yield* post("/runs/r1/signals/Other", { value })).status, 202)
      }
    })
  )

  it.scopedLive("of the greatest depth that does not fit its schema is told so", () =>
    Effect.gen(function* () {
      const { post } = yield* serve()
      const id = JSON.parse(deep(maxDepth - 2))
      const answer = yield* post("/runs", { workflow: "Order", payload: { id } })
      assert.deepStrictEqual([answer.status, answer.body._tag], [400, "InvalidPayload"])
    })
  )
})
