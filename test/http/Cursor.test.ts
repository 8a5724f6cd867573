import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { serve } from "./Harness.js"

describe("a cursor", () => {
  it.scopedLive("far beyond the newest run is answered at once, with the newest runs", () =>
    Effect.gen(function* () {
      const { get, runs } = yield* serve()
      yield* Effect.orDie(runs.start({ workflow: "Order", payload: { id: "1" } }))
      const cursor = Buffer.from("runs:999999999999999").toString("base64url")
      const { body, status } = yield* Effect.timeout(get(`/runs?cursor=${cursor}`), "1 second")
      assert.strictEqual(status, 200)
      assert.lengthOf(body.runs, 1)
    })
  )
})
