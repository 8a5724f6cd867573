/** Fields of a body that the API does not know: what is misspelt, or stands elsewhere, would say nothing. */
import * as HttpApi from "@effect/platform/HttpApi"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Api } from "../../src/api/Api.js"
import { serve } from "./Harness.js"

const changing = ((): ReadonlyArray<{ readonly method: string; readonly path: string }> => {
  const found: Array<{ readonly method: string; readonly path: string }> = []
  HttpApi.reflect(Api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint: { method, path } }) => {
      if (method === "POST" || method === "PUT" || method === "PATCH") found.push({ method, path })
    }
  })
  return found
})()

/** What a body must have. */
const required: Readonly<Record<string, object>> = {
  "/runs": { workflow: "Order", payload: { id: "1" } },
  "/runs/bulk": { action: "retry", all: true },
  "/schedules/:name": { workflow: "Order", payload: { id: "1" }, every: "1 hour" },
  "/schedules/:name/backfill": { from: "2026-01-01" }
}

describe("a field that there is not", () => {
  for (const { method, path } of changing) {
    it.scopedLive(`is refused by ${method} ${path}, with its name`, () =>
      Effect.gen(function* () {
        const { controls, get, request } = yield* serve()
        const body = { ...required[path], dellay: "1 hour" }
        const answer = yield* request(method, path.replace(/:\w+/g, "x"), { body })
        assert.deepStrictEqual([answer.status, answer.body._tag], [400, "HttpApiDecodeError"])
        assert.include(answer.body.message, "dellay")
        assert.deepStrictEqual(
          answer.body.issues.map(({ path }: { readonly path: unknown }) => path),
          [["dellay"]]
        )
        assert.deepStrictEqual((yield* get("/runs")).body.runs, [])
        assert.strictEqual(controls.stops, 0)
      })
    )
  }

  it.scopedLive(
    "is none in a body that has nothing, and where no body is taken none is needed",
    () =>
      Effect.gen(function* () {
        const { post, store } = yield* serve()
        yield* store.create({ runId: "r1", workflow: "Order", payload: "{}" })
        for (const body of [undefined, "", "{}"]) {
          assert.strictEqual((yield* post("/runs/r1/interrupt", body)).status, 202)
        }
        const form = { headers: { "content-type": "application/x-www-form-urlencoded" } }
        assert.strictEqual((yield* post("/runs/r1/interrupt", undefined, form)).status, 202)
        assert.strictEqual((yield* post("/runs/r1/interrupt", "{")).body._tag, "InvalidJson")
        assert.strictEqual((yield* post("/runs/r1/interrupt", "a=b", form)).status, 415)
      })
  )
})
