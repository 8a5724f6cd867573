import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { nothing } from "../../store/ChangeLog.js"
import type { Change, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, aStep, begin, claimOne, drain, leaseMillis, register, suspend } from "../Acts.js"

export const changes = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("changes", () => {
    it.scoped("tell each subscriber what every commit changed", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const queues = [yield* store.changes, yield* store.changes]
        const expectChange = (change: Partial<Change>) =>
          Effect.forEach(queues, (queue) =>
            Effect.map(drain(queue), (seen) => expect(seen).toEqual([{ ...nothing, ...change }]))
          )

        yield* store.create(aRun("a"))
        yield* expectChange({ pending: true })
        const a = yield* claimOne(executor)
        yield* suspend(a, { wakeAt: 100, timers: [{ name: "t", wakeAt: 50 }] })
        yield* expectChange({ wakeAt: 100 })
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        yield* expectChange({
          pending: true,
          signals: [{ runId: "a", name: "paid", exit: "1" }],
          woken: [{ runId: "a", claim: 1, wakeups: 1, at: 0 }]
        })
        const again = yield* claimOne(executor)
        yield* store.requestInterrupt("a")
        yield* expectChange({
          interrupts: ["a"],
          woken: [{ runId: "a", claim: 2, wakeups: 2, at: 0 }]
        })
        yield* store.complete({ held: again.held, status: "interrupted", exit: "2" })
        yield* expectChange({ finished: [{ runId: "a", exit: "2" }] })
      }).pipe(Effect.provide(layer))
    )

    it.scoped("tell of runs that were given back, taken over and woken", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const queue = yield* store.changes
        const expectPending = Effect.map(drain(queue), (seen) =>
          expect(seen).toMatchObject([{ ...nothing, pending: true, woken: expect.any(Array) }])
        )
        const { held } = yield* begin(executor, "a")
        yield* store.release([{ held, timers: [] }])
        yield* expectPending
        yield* claimOne(executor)
        yield* store.releaseAll(executor, 9)
        yield* expectPending
        yield* claimOne(executor)
        yield* TestClock.adjust(leaseMillis + 1)
        yield* store.takeOver({ limit: 9 })
        yield* expectPending
        const next = yield* register
        yield* suspend(yield* claimOne(next))
        yield* store.wake("a")
        yield* expectPending
        yield* suspend(yield* claimOne(next), { wakeAt: 1 })
        yield* drain(queue)
        yield* store.wakeDue(9)
        yield* expectPending
      }).pipe(Effect.provide(layer))
    )

    it.scoped("say nothing of commits that nobody waits for", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const queue = yield* store.changes
        const { held, history } = yield* begin(executor, "a")
        yield* store.recordStep(aStep(held))
        yield* store.noteStep({ ...aStep(held), status: "running" })
        yield* store.renew(executor, { leaseMillis, state: "running" })
        yield* store.wake("none")
        yield* store.history(held)
        yield* store.create(aRun("a"))
        yield* store.claim({ executor, workflows: ["Order"], limit: 9 })
        yield* store.release([])
        yield* store.wakeDue(9)
        yield* store.takeOver({ limit: 9 })
        yield* suspend({
          held,
          history,
          workflow: "",
          payload: "",
          trace: undefined,
          bytes: 0
        })
        expect(yield* drain(queue)).toEqual([])
      }).pipe(Effect.provide(layer))
    )

    it.scoped("come once for writes that were committed together", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const runs = yield* Effect.forEach(["a", "b", "c"], (runId) => begin(executor, runId))
        const queue = yield* store.changes
        yield* Effect.forEach(
          runs,
          ({ held }) => store.complete({ held, status: "completed", exit: held.runId }),
          { concurrency: "unbounded" }
        )
        const seen = yield* drain(queue)
        expect(seen.flatMap(({ finished }) => finished.map(({ runId }) => runId))).toEqual([
          "a",
          "b",
          "c"
        ])
        expect(seen.length).toBeLessThan(3)
      }).pipe(Effect.provide(layer))
    )

    it.scoped("come after the commit: what they tell of can be read", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { held } = yield* begin(executor, "a")
        const queue = yield* store.changes
        const watcher = yield* Effect.fork(Effect.zipRight(queue.take, store.finished(["a"])))
        yield* store.complete({ held, status: "completed", exit: "1" })
        expect(yield* watcher).toEqual([{ runId: "a", exit: "1" }])
      }).pipe(Effect.provide(layer))
    )
  })
}
