import { OpenApi } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { Api } from "../../src/api/Api.js"
import { serve } from "./Harness.js"

const recording = () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const span: Tracer.Span = {
        _tag: "Span",
        name,
        parent,
        context,
        links,
        kind,
        status: { _tag: "Started", startTime },
        attributes: new Map(),
        spanId: String(spans.length).padStart(16, "0"),
        traceId: Option.match(parent, {
          onNone: () => "f".repeat(32),
          onSome: ({ traceId }) => traceId
        }),
        sampled: true,
        end: () => {},
        attribute: () => {},
        event: () => {},
        addLinks: () => {}
      }
      spans.push(span)
      return span
    },
    context: (run) => run()
  })
  return { spans, tracer }
}

describe("with a tracer", () => {
  it.scopedLive("a request has a span, in its caller's trace, and a probe has none", () =>
    Effect.gen(function* () {
      const { spans, tracer } = recording()
      const { get, post, store } = yield* Effect.withTracer(serve(), tracer)
      const from = spans.length
      yield* get("/health")
      yield* get("/ready")
      assert.strictEqual(spans.length, from)
      yield* post(
        "/runs",
        { workflow: "Order", payload: { id: "1" } },
        { headers: { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` } }
      )
      const request = spans.slice(from).find(({ kind }) => kind === "server")
      assert.strictEqual(request?.traceId, "a".repeat(32))
      const executor = yield* store.register({ host: "test", pid: 1, leaseMillis: 60_000 })
      const [claimed] = yield* store.claim({ executor, workflows: ["Order"], limit: 1 })
      assert.deepStrictEqual(claimed?.trace, {
        traceId: "a".repeat(32),
        spanId: request?.spanId ?? "",
        sampled: true
      })
    })
  )
})

describe("the definition", () => {
  it("has an OpenAPI document that says what every request may answer", () => {
    const { paths } = OpenApi.fromApi(Api)
    assert.deepStrictEqual(Object.keys(paths), [
      "/health",
      "/ready",
      "/workflows",
      "/runs",
      "/runs/ids",
      "/runs/counts",
      "/runs/{runId}",
      "/runs/{runId}/steps",
      "/runs/{runId}/steps/{name}/{attempt}",
      "/runs/{runId}/payload",
      "/runs/{runId}/result",
      "/runs/{runId}/interrupt",
      "/runs/{runId}/terminate",
      "/runs/{runId}/resume",
      "/runs/{runId}/retry",
      "/runs/{runId}/signals/{name}",
      "/schedules",
      "/schedules/{name}",
      "/schedules/{name}/pause",
      "/schedules/{name}/resume",
      "/schedules/{name}/trigger",
      "/schedules/{name}/backfill",
      "/events",
      "/runs/{runId}/events",
      "/executors",
      "/drain",
      "/queues",
      "/queues/{name}",
      "/pauses",
      "/pauses/{workflow}",
      "/runs/bulk",
      "/bulk",
      "/bulk/{id}",
      "/metrics",
      "/activity"
    ])
    assert.deepStrictEqual(Object.keys(paths["/runs"]?.post?.responses ?? {}), [
      "200",
      "202",
      "400",
      "401",
      "403",
      "404",
      "409",
      "413",
      "415",
      "503"
    ])
  })
})
