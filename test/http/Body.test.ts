import * as Headers from "@effect/platform/Headers"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { limited, maxDepth } from "../../src/http/Body.js"
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
      yield* store.create({ runId: "r1", workflow: "Shaped", payload: "{}" })
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
      yield* store.create({ runId: "r1", workflow: "Shaped", payload: "{}" })
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

  const posted = (body: string) =>
    HttpServerRequest.fromWeb(new Request("http://x/runs", { method: "POST", body }))

  const typed = { value: { "content-type": "application/json" } }

  const over: Readonly<Record<string, (body: string) => HttpServerRequest.HttpServerRequest>> = {
    "the platform's request": (body) =>
      posted(body).modify({ headers: Headers.fromInput(typed.value) }),
    "an app's own, which hides some of that": (body) =>
      Object.create(posted(body), { headers: typed })
  }
  for (const [name, make] of Object.entries(over)) {
    it.effect(`is read up to its limit from ${name}`, () =>
      Effect.gen(function* () {
        const limit = limited(8)
        for (let n = 0; n < 2; n++) {
          const request = limit(make(`{"a":${n}}`))
          assert.deepStrictEqual([request.method, request.url], ["POST", "/runs"])
          assert.deepStrictEqual(yield* request.json, { a: n })
          const refused = yield* Effect.exit(limit(make(`{"a": "${n}"}`)).json)
          assert.include(JSON.stringify(refused), "PayloadTooLarge")
          assert.include(JSON.stringify(yield* Effect.exit(request.text)), "UnsupportedMediaType")
        }
      })
    )
  }

  it.scopedLive("that is no UTF-8 is refused, and the next one taken", () =>
    Effect.gen(function* () {
      const limit = limited(100)
      const json = (bytes: Uint8Array) =>
        limit(
          HttpServerRequest.fromWeb(new Request("http://x/runs", { method: "POST", body: bytes }))
        ).json
      for (let n = 0; n < 2; n++) {
        const refused = yield* Effect.exit(json(Uint8Array.of(0x22, 0xe2, 0x82)))
        assert.include(JSON.stringify(refused), "InvalidJson")
        assert.strictEqual(yield* json(Buffer.from('"\ufeff€"')), "\ufeff€")
        assert.strictEqual(yield* json(Buffer.from('\ufeff"€"')), "€")
      }
    })
  )
})
