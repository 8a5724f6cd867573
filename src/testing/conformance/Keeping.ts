import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { ClaimedRun, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aStep, begin, claimOne, leaseMillis, orMissing, register, statusOf } from "../Acts.js"

/** Suspends the run, which its holder keeps in memory. */
const keep = ({ held, history }: ClaimedRun, wakeAt?: number) =>
  Effect.flatMap(RunStore, (store) =>
    store.suspend({
      held,
      wakeups: history.wakeups,
      timers: wakeAt === undefined ? [] : [{ name: "t", wakeAt }],
      wakeAt,
      cause: undefined,
      keep: true
    })
  )

export const keeping = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("a suspended run that its holder keeps", () => {
    it.effect("is suspended to everybody, and held by nobody", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        expect(yield* keep(yield* begin(executor, "a"))).toEqual(Option.none())
        const found = yield* Effect.flatMap(store.find("a"), orMissing("a"))
        expect(found).toMatchObject({ status: "suspended", executor: undefined })
        expect(yield* store.claim({ executor, workflows: ["Order"], limit: 1 })).toEqual([])
        expect((yield* store.executors).map(({ runs }) => runs)).toEqual([0])
      }).pipe(Effect.provide(layer))
    )

    it.effect("is running again under the same claim when it is woken, by whatever", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const wakeUps = {
          signal: store.signal({ runId: "signal", name: "paid", exit: "1" }),
          wake: store.wake("wake"),
          interrupt: store.requestInterrupt("interrupt"),
          timer: Effect.zipRight(TestClock.adjust(100), store.wakeDue(9)),
          child: Effect.flatMap(
            begin(executor, "a child", { parent: { runId: "child", awaits: true } }),
            ({ held }) => store.complete({ held, status: "completed", exit: "1" })
          )
        }
        for (const [runId, wakeUp] of Object.entries(wakeUps)) {
          const run = yield* begin(executor, runId)
          yield* keep(run, runId === "timer" ? 100 : undefined)
          expect(yield* statusOf(runId)).toBe("suspended")
          yield* wakeUp
          expect(yield* statusOf(runId)).toBe("running")
          yield* store.recordStep(aStep(run.held))
          yield* store.complete({ held: run.held, status: "completed", exit: "1" })
        }
      }).pipe(Effect.provide(layer))
    )

    it.scoped("is told of, with its claim and its wake-ups", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { held, ...run } = yield* begin(yield* register, "a")
        yield* keep({ held, ...run })
        const changes = yield* store.changes
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        expect(yield* changes.take).toMatchObject({
          pending: false,
          woken: [{ runId: "a", claim: held.claim, wakeups: run.history.wakeups + 1 }]
        })
      }).pipe(Effect.provide(layer))
    )

    it.effect("takes no writes until it is woken or gone on with", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const run = yield* begin(yield* register, "a")
        yield* keep(run)
        const refused = yield* Effect.flip(store.recordStep(aStep(run.held)))
        expect(refused._tag).toBe("RunLost")
        yield* store.proceed(run.held)
        yield* store.recordStep(aStep(run.held))
        expect(yield* statusOf("a")).toBe("running")
        yield* store.proceed(run.held)
        expect(yield* store.nextWakeAt).toEqual(Option.none())
      }).pipe(Effect.provide(layer))
    )

    it.effect("does not suspend when it was told something that its holder does not know", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const run = yield* begin(yield* register, "a")
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        const history = yield* Effect.flatMap(keep(run), orMissing("a"))
        expect(history.signals).toHaveLength(1)
        expect(yield* statusOf("a")).toBe("running")
      }).pipe(Effect.provide(layer))
    )

    it.effect("is anybody's at the next wake-up once it is let go", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const runs = [yield* begin(executor, "a"), yield* begin(executor, "b")]
        for (const run of runs) yield* keep(run)
        yield* store.wake("b")
        // b goes on, and stays
        expect(yield* store.evict(runs.map(({ held }) => held))).toEqual([true, false])
        yield* store.wake("a")
        expect(yield* statusOf("a")).toBe("pending")
        expect((yield* claimOne(executor)).held.runId).toBe("a")
        expect(yield* Effect.flip(store.proceed(runs[0]?.held ?? none))).toMatchObject({
          _tag: "RunLost"
        })
      }).pipe(Effect.provide(layer))
    )

    it.effect("goes on waiting when it is released, and counts as none", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const run = yield* begin(yield* register, "a")
        yield* keep(run)
        expect(yield* store.release([{ held: run.held, timers: [] }])).toBe(0)
        expect(yield* statusOf("a")).toBe("suspended")
        yield* store.wake("a")
        expect(yield* statusOf("a")).toBe("pending")
      }).pipe(Effect.provide(layer))
    )

    it.effect("is anybody's at the next wake-up when its holder's lease has lapsed", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const run = yield* begin(yield* register, "a")
        yield* keep(run)
        yield* TestClock.adjust(leaseMillis + 1)
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        expect(yield* statusOf("a")).toBe("pending")
        const other = yield* claimOne(yield* register)
        // one that was frozen meanwhile has lost it
        expect(other.held.claim).toBeGreaterThan(run.held.claim)
        expect((yield* Effect.flip(store.proceed(run.held)))._tag).toBe("RunLost")
      }).pipe(Effect.provide(layer))
    )

    it.effect("is anybody's at the next wake-up when its holder has gone", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* keep(yield* begin(executor, "a"), 50)
        yield* store.unregister(executor)
        yield* TestClock.adjust(50)
        expect(yield* store.wakeDue(9)).toBe(1)
        expect(yield* statusOf("a")).toBe("pending")
      }).pipe(Effect.provide(layer))
    )
  })

  describe("a run whose interrupt was asked for", () => {
    it.effect("knows what was there by then, and not what came after", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* store.signal({ runId: "a", name: "before its run", exit: "1" })
        const run = yield* begin(executor, "a")
        const timers = [10, 20].map((wakeAt) => ({ name: `at ${wakeAt}`, wakeAt }))
        const children = [
          yield* begin(executor, "early", { parent: { runId: "a", awaits: true } }),
          yield* begin(executor, "late", { parent: { runId: "a", awaits: true } })
        ]
        const [early, late] = children
        if (early === undefined || late === undefined) throw new Error("no children")
        yield* store.signal({ runId: "a", name: "before", exit: "1" })
        yield* store.complete({ held: early.held, status: "completed", exit: "1" })
        yield* TestClock.adjust(10)
        yield* store.requestInterrupt("a")
        yield* store.signal({ runId: "a", name: "after", exit: "1" })
        yield* store.complete({ held: late.held, status: "completed", exit: "1" })
        yield* store.requestInterrupt("a")
        yield* store.release([{ held: run.held, timers }])
        const { history } = yield* claimOne(executor)
        expect(history).toMatchObject({ interruptRequested: true })
        expect(new Set(history.beforeInterrupt?.signals)).toEqual(
          new Set(["before its run", "before"])
        )
        expect(history.beforeInterrupt?.timers).toEqual(["at 10"])
        expect(history.beforeInterrupt?.children).toEqual(["early"])
      }).pipe(Effect.provide(layer))
    )
  })
}

const none = { runId: "", key: 0, claim: 0, executor: 0 }
