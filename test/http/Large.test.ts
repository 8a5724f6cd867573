/** Runs with long records and large values: what is told of them comes in pages. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { RunStore } from "../../src/store/RunStore.js"
import { held, serve } from "./Harness.js"

const kilobyte = 1_024

/** An encoded success of so many bytes. */
const success = (bytes: number) => {
  const [before, after] = [`{"_tag":"Success","value":"`, `"}`]
  return before + "x".repeat(bytes - before.length - after.length) + after
}

const failure = (message: string) =>
  JSON.stringify({ _tag: "Failure", cause: { _tag: "Fail", error: { _tag: "Bad", message } } })

/** Records steps of that name with a number, in that order. */
const record = Effect.fnUntraced(function* (
  store: RunStore["Type"],
  run: Effect.Effect.Success<ReturnType<typeof held>>,
  steps: ReadonlyArray<string>,
  status: "completed" | "failed" = "completed"
) {
  yield* Effect.forEach(
    steps,
    (exit, index) =>
      store.recordStep({
        ...{ held: run, name: `step/${index}`, attempt: 1, status, startedAt: index },
        ...{ completedAt: index, exit, timers: [] }
      }),
    { concurrency: "unbounded", discard: true }
  )
})

const names = ({ steps }: { readonly steps: ReadonlyArray<{ readonly name: string }> }) =>
  steps.map(({ name }) => Number(name.slice("step/".length)))

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

describe("a run with many steps", () => {
  it.scopedLive("comes with the first 1,000, and the others in pages", () =>
    Effect.gen(function* () {
      const { controls, get, store } = yield* serve()
      const run = yield* held(store, { runId: "r", workflow: "Order", payload: "{}" })
      yield* record(
        store,
        run,
        upTo(2_050).map(() => success(100))
      )
      // those in flight are where they belong by when they started
      controls.inFlight = [1_500.5, 9_999].map((startedAt) => ({
        ...{ key: `${startedAt}`, runId: "r", workflow: "Order" },
        ...{ name: `step/${startedAt}`, attempt: 1, startedAt }
      }))
      const first = (yield* get("/runs/r")).body
      assert.deepStrictEqual(names(first), upTo(1_000))
      assert.isString(first.stepsCursor)
      const second = (yield* get(`/runs/r/steps?cursor=${first.stepsCursor}`)).body
      assert.deepStrictEqual(
        names(second),
        [...upTo(2_000), 1_500.5].filter((n) => n >= 1_000).sort((a, b) => a - b)
      )
      const third = (yield* get(`/runs/r/steps?cursor=${second.nextCursor}`)).body
      assert.deepStrictEqual(names(third), [...upTo(2_050).slice(2_000), 9_999])
      assert.isNull(third.nextCursor)
      assert.deepStrictEqual((yield* get("/runs/r/steps")).body.steps, first.steps)
      yield* store.complete({ held: run, status: "completed", exit: success(100) })
      const over = (yield* get(`/runs/r/steps?cursor=${second.nextCursor}`)).body
      assert.deepStrictEqual(names(over), upTo(2_050).slice(2_000))
    })
  )

  it.scopedLive("names the step that it failed by, on whichever page that is", () =>
    Effect.gen(function* () {
      const { get, store } = yield* serve()
      const run = yield* held(store, { runId: "r", workflow: "Order", payload: "{}" })
      yield* record(
        store,
        run,
        upTo(1_200).map((n) => failure(`no ${n}%`)),
        "failed"
      )
      yield* store.complete({ held: run, status: "failed", exit: failure("no 1100%") })
      const { failedStep, steps } = (yield* get("/runs/r")).body
      assert.strictEqual(steps.length, 1_000)
      assert.deepStrictEqual(failedStep, { name: "step/1100", attempt: 1 })
    })
  )

  it.scopedLive("refuses a cursor that is of something else, and a run that is not there", () =>
    Effect.gen(function* () {
      const { get, store } = yield* serve()
      yield* store.create({ runId: "r", workflow: "Order", payload: "{}" })
      const ofRuns = Buffer.from("runs:1").toString("base64url")
      for (const cursor of ["", "garbage", ofRuns, Buffer.from("steps:1").toString("base64url")]) {
        const { body, status } = yield* get(`/runs/r/steps?cursor=${cursor}`)
        assert.deepStrictEqual([status, body._tag], [400, "InvalidCursor"], cursor)
      }
      for (const path of ["steps", "steps/a/1", "payload", "result"]) {
        const { body, status } = yield* get(`/runs/nobody/${path}`)
        assert.deepStrictEqual([status, body._tag], [404, "RunNotFound"], path)
      }
      const none = yield* get("/runs/r/steps/a%2Fb/2")
      assert.deepStrictEqual([none.status, none.body._tag], [404, "StepNotFound"])
      assert.include(none.body.message, '"a/b"')
      assert.strictEqual((yield* get("/runs/r/steps/a/first")).status, 400)
    })
  )
})

describe("values that are large", () => {
  it.scopedLive("end a page of steps early, and have it to themselves at most", () =>
    Effect.gen(function* () {
      const { get, store } = yield* serve()
      const run = yield* held(store, { runId: "r", workflow: "Order", payload: "{}" })
      yield* record(
        store,
        run,
        upTo(5).map(() => success(900 * kilobyte))
      )
      const first = (yield* get("/runs/r")).body
      assert.deepStrictEqual(names(first), [0, 1])
      const second = (yield* get(`/runs/r/steps?cursor=${first.stepsCursor}`)).body
      assert.deepStrictEqual(names(second), [2, 3])
    })
  )

  it.scopedLive("of more than 1 MiB are left out, with their sizes, and told by themselves", () =>
    Effect.gen(function* () {
      const { get, store } = yield* serve()
      const bytes = 1_024 * kilobyte + 1
      const payload = JSON.stringify({ id: "p".repeat(bytes - `{"id":""}`.length) })
      const run = yield* held(store, { runId: "r", workflow: "Order", payload })
      yield* record(store, run, [success(bytes), success(bytes - 1)])
      const error = failure("x".repeat(bytes))
      yield* store.recordStep({
        ...{ held: run, name: "bad", attempt: 2, status: "failed", startedAt: 9 },
        ...{ completedAt: 9, exit: error, timers: [] }
      })
      yield* store.complete({ held: run, status: "completed", exit: success(bytes) })
      const { body } = yield* get("/runs/r")
      assert.notProperty(body, "payload")
      assert.notProperty(body, "result")
      assert.deepStrictEqual(body.leftOut, { payload: bytes, result: bytes })
      const [large, small, bad] = body.steps
      assert.deepStrictEqual(large.leftOut, { result: bytes })
      assert.notProperty(large, "result")
      assert.notProperty(small, "leftOut")
      assert.isString(small.result)
      assert.deepStrictEqual(bad.leftOut, { error: error.length })
      assert.strictEqual(bad.error._tag, "LeftOut")

      const of = (path: string) => Effect.map(get(`/runs/r/${path}`), ({ body }) => body)
      assert.deepStrictEqual(yield* of("payload"), { runId: "r", payload: JSON.parse(payload) })
      const { result, status } = yield* of("result")
      assert.deepStrictEqual([status, result.length], ["completed", bytes - 29])
      const step = yield* of("steps/step%2F0/1")
      assert.deepStrictEqual([step.name, step.result.length], ["step/0", bytes - 29])
      assert.notProperty(step, "leftOut")
      assert.strictEqual((yield* of("steps/bad/2")).error.message.length, bytes)
    })
  )

  it.scopedLive("are why a run failed: the whole of it is told by itself", () =>
    Effect.gen(function* () {
      const { get, store } = yield* serve()
      const run = yield* held(store, { runId: "r", workflow: "Order", payload: "{}" })
      const exit = failure("x".repeat(1_024 * kilobyte))
      yield* store.complete({ held: run, status: "failed", exit })
      for (const [path, told] of [
        ["/runs/r", (yield* get("/runs/r")).body],
        ["/runs", (yield* get("/runs")).body.runs[0]]
      ] as const) {
        assert.strictEqual(told.error._tag, "LeftOut", path)
        assert.deepStrictEqual(told.leftOut, { error: exit.length }, path)
        assert.notProperty(told, "cause", path)
      }
      const { cause, error, status } = (yield* get("/runs/r/result")).body
      assert.strictEqual(status, "failed")
      assert.deepStrictEqual(cause, JSON.parse(exit).cause)
      assert.strictEqual(error._tag, "Bad")
    })
  )
})

describe("a list", () => {
  it.scopedLive("tells of runs in short, and of payloads and results on request", () =>
    Effect.gen(function* () {
      const { get, store } = yield* serve()
      const small = yield* held(store, { runId: "s", workflow: "Order", payload: `{"id":"s"}` })
      yield* store.complete({ held: small, status: "completed", exit: success(100) })
      const payload = JSON.stringify({ id: "p".repeat(64 * kilobyte) })
      const large = yield* held(store, { runId: "l", workflow: "Order", payload })
      yield* store.complete({ held: large, status: "failed", exit: failure("no") })
      const listed = (include: string) =>
        Effect.map(get(`/runs?${include}`), ({ body }) => body.runs)
      const fields = (run: object) =>
        Object.keys(run).filter((name) => /payload|result|error|leftOut/.test(name))
      assert.deepStrictEqual((yield* listed("")).map(fields), [["error"], []])
      const [both] = [yield* listed("include=payload,result")]
      assert.deepStrictEqual(both.map(fields), [
        ["error", "leftOut"],
        ["payload", "result"]
      ])
      assert.deepStrictEqual(both[0].leftOut, { payload: payload.length })
      assert.deepStrictEqual(both[1].payload, { id: "s" })
      const results = yield* listed("include=result")
      assert.deepStrictEqual(results.map(fields), [["error"], ["result"]])
      assert.strictEqual((yield* get("/runs?include=steps")).status, 400)
    })
  )
})

describe("ids", () => {
  it.scopedLive("are found by 4 characters or more with which they begin", () =>
    Effect.gen(function* () {
      const { get, store } = yield* serve()
      for (const n of upTo(12)) {
        yield* store.create({ runId: `abcd${n}`, workflow: "Order", payload: "{}" })
      }
      yield* store.create({ runId: "abc", workflow: "Order", payload: "{}" })
      const found = (prefix: string) =>
        Effect.map(get(`/runs/ids?prefix=${prefix}`), ({ body }) => body)
      const many = yield* found("abcd")
      assert.strictEqual(many.runs.length, 10)
      assert.isTrue(many.more)
      assert.deepStrictEqual(yield* found("abcd11"), {
        runs: [{ runId: "abcd11", workflow: "Order", status: "pending" }],
        more: false
      })
      assert.deepStrictEqual(yield* found("abce"), { runs: [], more: false })
      const short = yield* get("/runs/ids?prefix=abc")
      assert.deepStrictEqual([short.status, short.body._tag], [400, "InvalidQuery"])
      assert.strictEqual((yield* get("/runs/ids")).status, 400)
    })
  )
})
