import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Access from "../../src/http/Access.js"
import { version } from "../../src/internal/Version.js"
import * as RunViews from "../../src/runner/RunViews.js"
import { type FinalStatus, RunStoreError } from "../../src/store/RunStore.js"
import { serve } from "./Harness.js"

type Server = Effect.Effect.Success<ReturnType<typeof serve>>

/** A run that is over. */
const over = (
  { runs, store }: Pick<Server, "runs" | "store">,
  id: string,
  end: { readonly status: FinalStatus; readonly compensated?: boolean }
) =>
  Effect.gen(function* () {
    const { runId } = yield* runs.start({ workflow: "Order", payload: { id } })
    const executor = yield* store.register({ host: "test", pid: 1, leaseMillis: 60_000 })
    const [claimed] = yield* store.claim({ executor, workflows: ["Order"], limit: 1 })
    if (claimed === undefined) return yield* Effect.dieMessage("nothing to claim")
    yield* store.complete({ held: claimed.held, exit: "0", ...end })
    return runId
  }).pipe(Effect.orDie)

const broken = () => {
  const fails = Effect.fail(new RunStoreError({ reason: "unavailable", message: "no disk" }))
  return {
    retry: () => fails,
    remove: () => fails,
    counts: fails,
    executors: fails
  }
}

describe("POST /runs/:runId/retry", () => {
  it.scopedLive("makes a failed and an interrupted run pending", () =>
    Effect.gen(function* () {
      for (const status of ["failed", "interrupted"] as const) {
        const server = yield* serve()
        const runId = yield* over(server, status, { status })
        const answer = yield* server.post(`/runs/${runId}/retry`)
        assert.deepStrictEqual([answer.status, answer.body], [202, { runId }])
        assert.strictEqual((yield* server.get(`/runs/${runId}`)).body.status, "pending")
      }
    })
  )

  it.scopedLive("is refused where the run did not fail, or is undone", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const completed = yield* over(server, "1", { status: "completed" })
      const undone = yield* over(server, "2", { status: "failed", compensated: true })
      const { runId } = yield* Effect.orDie(
        server.runs.start({ workflow: "Order", payload: { id: "3" } })
      )
      assert.isTrue((yield* server.get(`/runs/${undone}`)).body.compensated)
      for (const [id, status, why] of [
        [completed, "completed", "it is completed"],
        [undone, "failed", "compensations were executed"],
        [runId, "pending", "it is pending"]
      ] as const) {
        const answer = yield* server.post(`/runs/${id}/retry`)
        assert.strictEqual(answer.status, 409)
        assert.strictEqual(answer.body._tag, "NotRetryable")
        assert.strictEqual(answer.body.runId, id)
        assert.strictEqual(answer.body.status, status)
        assert.include(answer.body.message, why)
      }
    })
  )

  it.scopedLive("answers 404 where there is no run", () =>
    Effect.gen(function* () {
      const { body, status } = yield* (yield* serve()).post("/runs/none/retry")
      assert.deepStrictEqual([status, body._tag], [404, "RunNotFound"])
    })
  )
})

describe("DELETE /runs/:runId", () => {
  it.scopedLive("removes a run that is over", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const runId = yield* over(server, "1", { status: "completed" })
      const answer = yield* server.request("DELETE", `/runs/${runId}`)
      assert.deepStrictEqual([answer.status, answer.text], [204, ""])
      assert.strictEqual((yield* server.get(`/runs/${runId}`)).status, 404)
      const again = yield* server.request("DELETE", `/runs/${runId}`)
      assert.deepStrictEqual([again.status, again.body._tag], [404, "RunNotFound"])
    })
  )

  it.scopedLive("is refused where the run, or its parent, is not over", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const { store } = server
      const { runId } = yield* Effect.orDie(
        server.runs.start({ workflow: "Order", payload: { id: "1" } })
      )
      const executor = yield* store.register({ host: "test", pid: 1, leaseMillis: 60_000 })
      yield* store.claim({ executor, workflows: ["Order"], limit: 1 })
      const { claimed } = yield* store.create(
        { runId: "child", workflow: "Order", payload: "{}", parent: { runId, awaits: true } },
        executor
      )
      if (claimed === undefined) return yield* Effect.dieMessage("not claimed")
      yield* store.complete({ held: claimed.held, status: "completed", exit: "0" })
      for (const [id, status, why] of [
        [runId, "running", "is running"],
        ["child", "completed", "a run that started it is not over"]
      ] as const) {
        const answer = yield* server.request("DELETE", `/runs/${id}`)
        assert.strictEqual(answer.status, 409)
        assert.strictEqual(answer.body._tag, "RunNotFinished")
        assert.strictEqual(answer.body.status, status)
        assert.include(answer.body.message, why)
      }
    })
  )
})

describe("GET /runs", () => {
  it.scopedLive("finds the runs that were created in a span of time", () =>
    Effect.gen(function* () {
      const { get, runs } = yield* serve()
      yield* Effect.orDie(runs.start({ workflow: "Order", payload: { id: "1" } }))
      const { body } = yield* get("/runs")
      const { createdAt, runId } = body.runs[0]
      const later = new Date(Date.parse(createdAt) + 1).toISOString()
      const found = (query: string) =>
        Effect.map(get(`/runs?${query}`), ({ body }) =>
          body.runs.map((run: { readonly runId: string }) => run.runId)
        )
      assert.deepStrictEqual(yield* found(`createdAfter=${createdAt}`), [runId])
      assert.deepStrictEqual(yield* found(`createdAfter=${later}`), [])
      assert.deepStrictEqual(yield* found(`createdBefore=${createdAt}`), [])
      assert.deepStrictEqual(yield* found(`createdBefore=${later}`), [runId])
      assert.deepStrictEqual(yield* found("createdAfter=2020-01-01&createdBefore=2999-01-01"), [
        runId
      ])
    })
  )

  it.scopedLive("refuses what is no time, has no zone or was never, and says which", () =>
    Effect.gen(function* () {
      const { get } = yield* serve()
      for (const time of ["", "yesterday", "2026", "2026-02-30", "2026-11-22T18:00:00", "1e9"]) {
        for (const name of ["createdAfter", "createdBefore"]) {
          const { body, status } = yield* get(`/runs?${name}=${time}`)
          assert.strictEqual(status, 400, time)
          assert.include(body.message, `${JSON.stringify(time)} is not a time; expected a day, or`)
        }
      }
    })
  )
})

describe("GET /runs/counts", () => {
  it.scopedLive("tells how many runs there are in each status", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      yield* over(server, "1", { status: "completed" })
      yield* over(server, "2", { status: "failed" })
      yield* Effect.orDie(server.runs.start({ workflow: "Order", payload: { id: "3" } }))
      const { body, status } = yield* server.get("/runs/counts")
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(body, {
        pending: 1,
        running: 0,
        suspended: 0,
        completed: 1,
        failed: 1,
        interrupted: 0
      })
    })
  )
})

describe("GET /executors", () => {
  it.scopedLive("tells who is alive, what they hold, and which one answers", () =>
    Effect.gen(function* () {
      const { controls, get, store } = yield* serve()
      const own = yield* store.register({
        host: "a | boot | 1",
        pid: 7,
        version,
        leaseMillis: 60_000
      })
      const lapsed = yield* store.register({ host: "b", pid: 8, leaseMillis: -1 })
      const endless = yield* store.register({ host: "c", pid: 9, leaseMillis: 1e18 })
      yield* store.renew(own, { leaseMillis: 60_000, state: "draining" })
      yield* store.create({ runId: "r", workflow: "Order", payload: "{}" }, own)
      controls.executor = own
      const { body, status } = yield* get("/executors")
      assert.strictEqual(status, 200)
      const [first, second, third] = body.executors
      const { leaseUntil, startedAt, ...rest } = first
      assert.deepStrictEqual(rest, {
        id: own,
        host: "a",
        pid: 7,
        state: "draining",
        alive: true,
        self: true,
        runs: 1,
        version,
        stepsInFlight: 0,
        inFlight: []
      })
      assert.isAbove(Date.parse(leaseUntil), Date.parse(startedAt))
      // only those of its own process are known to the executor that answers
      assert.notProperty(second, "stepsInFlight")
      assert.notProperty(second, "version")
      assert.include(second, { id: lapsed, alive: false, self: false, runs: 0 })
      assert.include(third, { id: endless, alive: true })
    })
  )

  it.scopedLive(
    "tells what the one that answers has in flight, and until when its drain waits",
    () =>
      Effect.gen(function* () {
        const { controls, get, store } = yield* serve({
          access: Layer.succeed(Access.RunAccess, {
            allows: ({ run }) => Effect.succeed(run.runId !== "hidden")
          })
        })
        controls.executor = yield* store.register({ host: "a", pid: 7, leaseMillis: 60_000 })
        controls.inFlight = ["hidden", ...Array.from({ length: 24 }, (_, n) => `r${n}`)].map(
          (runId, n) => ({
            key: `${runId}/charge/1`,
            runId,
            workflow: "Order",
            name: "charge",
            attempt: 1,
            startedAt: n
          })
        )
        controls.drainLeft = 60_000
        const before = Date.now()
        const [self] = (yield* get("/executors")).body.executors
        assert.strictEqual(self.stepsInFlight, 25)
        // the 20 that began first, without the one that must not be seen
        assert.strictEqual(self.inFlight.length, 19)
        assert.deepStrictEqual(self.inFlight[0], {
          runId: "r0",
          workflow: "Order",
          name: "charge",
          attempt: 1,
          startedAt: "1970-01-01T00:00:00.001Z"
        })
        const left = Date.parse(self.drainUntil) - before
        assert.isAtLeast(left, 60_000)
        assert.isAtMost(left, 60_000 + Date.now() - before)
      })
  )
})

it.scopedLive("a store that fails makes each of them not available", () =>
  Effect.gen(function* () {
    const { get, post, request } = yield* serve({ store: broken })
    const answers = [
      yield* post("/runs/a/retry"),
      yield* request("DELETE", "/runs/a"),
      yield* get("/runs/counts"),
      yield* get("/executors")
    ]
    for (const { body, status, text } of answers) {
      assert.deepStrictEqual([status, body._tag], [503, "StoreNotAvailable"])
      assert.notInclude(text, "disk")
    }
  })
)

describe("an executor's row", () => {
  it("that was taken over has no lease", () => {
    const info = { id: 1, host: "a", pid: 1, state: "running", startedAt: 0, runs: 2 } as const
    const view = RunViews.viewExecutor({ ...info, leaseUntil: -1 }, { now: 5, self: undefined })
    assert.include(view, { alive: false, leaseUntil: null, self: false })
  })
})
