import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, begin, claimOne, orMissing, register, statusOf, suspend } from "../Acts.js"

export const wakeUps = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("a signal", () => {
    it.effect("keeps the first value of its name; the second wakes nobody", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const run = yield* begin(executor, "a")
        expect(yield* store.signal({ runId: "a", name: "paid", exit: "1" })).toBe(true)
        const history = yield* store.history(run.held)
        yield* suspend({ ...run, history })
        expect(yield* store.signal({ runId: "a", name: "paid", exit: "2" })).toBe(false)
        expect(yield* statusOf("a")).toBe("suspended")
        expect(yield* store.signal({ runId: "a", name: "shipped", exit: "3" })).toBe(true)
        expect((yield* claimOne(executor)).history.signals).toEqual([
          { name: "paid", exit: "1" },
          { name: "shipped", exit: "3" }
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("leaves a run that is over as it is", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { held } = yield* begin(yield* register, "a")
        yield* store.complete({ held, status: "completed", exit: "1" })
        const before = yield* store.find("a")
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        expect(yield* store.find("a")).toEqual(before)
      }).pipe(Effect.provide(layer))
    )
  })

  for (const name of ["wake", "requestInterrupt"] as const) {
    describe(name, () => {
      it.effect("answers with the status before, and makes a suspended run pending", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const executor = yield* register
          const interruptRequested = name === "requestInterrupt"
          expect(yield* store[name]("a")).toEqual(Option.none())

          yield* store.create(aRun("a"))
          expect(yield* store[name]("a")).toEqual(Option.some("pending"))
          const run = yield* claimOne(executor)
          expect(run.history.interruptRequested).toBe(interruptRequested)

          expect(yield* store[name]("a")).toEqual(Option.some("running"))
          expect(yield* statusOf("a")).toBe("running")
          const history = yield* Effect.flatMap(suspend(run), orMissing("a"))

          yield* suspend({ ...run, history }, { wakeAt: 100, cause: "1" })
          expect(yield* store[name]("a")).toEqual(Option.some("suspended"))
          const woken = yield* Effect.flatMap(store.find("a"), orMissing("a"))
          expect(woken).toMatchObject({ status: "pending", cause: undefined, interruptRequested })
          expect(yield* store.nextWakeAt).toEqual(Option.none())

          const { held } = yield* claimOne(executor)
          yield* store.complete({ held, status: "completed", exit: "1" })
          expect(yield* store[name]("a")).toEqual(Option.some("completed"))
          expect(yield* statusOf("a")).toBe("completed")
        }).pipe(Effect.provide(layer))
      )
    })
  }

  it.effect("an interrupt asked for when the run is over leaves no trace", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const { held } = yield* begin(yield* register, "a")
      yield* store.complete({ held, status: "completed", exit: "1" })
      yield* store.requestInterrupt("a")
      const run = yield* Effect.flatMap(store.find("a"), orMissing("a"))
      expect(run.interruptRequested).toBe(false)
    }).pipe(Effect.provide(layer))
  )

  describe("the interrupt of a run's child", () => {
    const isAsked = (runId: string) =>
      Effect.flatMap(RunStore, (store) =>
        Effect.map(
          Effect.flatMap(store.find(runId), orMissing(runId)),
          ({ interruptRequested }) => interruptRequested
        )
      )
    const awaitedBy = (runId: string, awaits = true) => aRun("child", { parent: { runId, awaits } })

    it.effect("is asked for, and wakes it, where no other run waits for it", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const parent = yield* begin(executor, "parent")
        const over = yield* begin(executor, "over")
        yield* begin(executor, "discards")
        const child = yield* begin(executor, "child", { parent: { runId: "parent", awaits: true } })
        yield* store.create(awaitedBy("over"))
        yield* store.create(awaitedBy("discards", false))
        yield* store.complete({ held: over.held, status: "completed", exit: "1" })
        yield* suspend(child)
        expect(yield* store.by(parent.held).interruptChild("child")).toEqual(
          Option.some("suspended")
        )
        expect(yield* isAsked("child")).toBe(true)
        expect(yield* statusOf("child")).toBe("pending")
        expect(yield* store.by(parent.held).interruptChild("nobody")).toEqual(Option.none())
      }).pipe(Effect.provide(layer))
    )

    it.effect("leaves it as it is while another waits for it that is not to be interrupted", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const [one, two] = [yield* begin(executor, "one"), yield* begin(executor, "two")]
        yield* begin(executor, "child", { parent: { runId: "one", awaits: true } })
        yield* store.create(awaitedBy("two"))
        const before = yield* store.find("child")
        yield* store.requestInterrupt("one")
        expect(yield* store.by(one.held).interruptChild("child")).toEqual(Option.none())
        expect(yield* store.find("child")).toEqual(before)

        // the last one that waits takes it along
        yield* store.requestInterrupt("two")
        expect(yield* store.by(two.held).interruptChild("child")).toEqual(Option.some("running"))
        expect(yield* isAsked("child")).toBe(true)
      }).pipe(Effect.provide(layer))
    )
  })

  describe("timers", () => {
    it.effect("wake the runs that are due, the earliest first, and mark what fired", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const [runId, wakeAt] of [
          ["late", 300],
          ["second", 200],
          ["first", 100]
        ] as const) {
          const run = yield* begin(executor, runId)
          const timers = [
            { name: "t", wakeAt },
            { name: "far", wakeAt: 9_000 }
          ]
          yield* suspend(run, { wakeAt, timers })
        }
        expect(yield* store.wakeDue(9)).toBe(0)
        expect(yield* store.nextWakeAt).toEqual(Option.some(100))
        yield* TestClock.setTime(200)
        expect(yield* store.wakeDue(1)).toBe(1)
        expect(yield* statusOf("first")).toBe("pending")
        expect(yield* store.wakeDue(9)).toBe(1)
        expect(yield* store.wakeDue(9)).toBe(0)
        expect(yield* store.nextWakeAt).toEqual(Option.some(300))
        expect(yield* statusOf("late")).toBe("suspended")
        const { history } = yield* claimOne(executor)
        expect(history.timers).toEqual([
          { name: "far", wakeAt: 9_000, fired: false },
          { name: "t", wakeAt: 200, fired: true }
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("that have fired stay so when the clock is set back", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const timers = [{ name: "t", wakeAt: 100 }]
        yield* suspend(yield* begin(executor, "a"), { wakeAt: 100, timers })
        yield* TestClock.setTime(100)
        yield* store.wakeDue(9)
        yield* TestClock.setTime(50)
        const run = yield* claimOne(executor)
        yield* suspend(run, { timers: [{ name: "t", wakeAt: 150 }] })
        yield* store.wake("a")
        expect((yield* claimOne(executor)).history.timers).toEqual([
          { name: "t", wakeAt: 100, fired: true }
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("of a run that is over are gone", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const timers = [{ name: "t", wakeAt: 100 }]
        yield* suspend(yield* begin(executor, "a"), { wakeAt: 100, timers })
        yield* store.wake("a")
        const { held } = yield* claimOne(executor)
        yield* store.complete({ held, status: "completed", exit: "1" })
        yield* TestClock.setTime(1_000)
        expect(yield* store.wakeDue(9)).toBe(0)
        expect(yield* store.nextWakeAt).toEqual(Option.none())
      }).pipe(Effect.provide(layer))
    )

    it.effect("take a time that never comes", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const run = yield* begin(yield* register, "a")
        const wakeAt = Number.POSITIVE_INFINITY
        yield* suspend(run, { wakeAt, timers: [{ name: "t", wakeAt }] })
        expect(yield* statusOf("a")).toBe("suspended")
        expect(yield* store.wakeDue(9)).toBe(0)
      }).pipe(Effect.provide(layer))
    )
  })

  describe("runs that were woken while held", () => {
    it.effect("are listed until their history is read again", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const a = yield* begin(executor, "a")
        const b = yield* begin(executor, "b")
        expect(yield* store.wokenRuns(executor)).toEqual([])
        yield* store.wake("a")
        yield* store.signal({ runId: "b", name: "paid", exit: "1" })
        expect(yield* store.wokenRuns(executor)).toEqual([
          { held: a.held, wakeups: 1 },
          { held: b.held, wakeups: 1 }
        ])
        expect(yield* store.wokenRuns(yield* register)).toEqual([])
        yield* store.history(a.held)
        expect(yield* store.wokenRuns(executor)).toEqual([{ held: b.held, wakeups: 1 }])
        yield* suspend(b)
        expect(yield* store.wokenRuns(executor)).toEqual([])
      }).pipe(Effect.provide(layer))
    )
  })
}
