/** What is noted of a run beside what it comes to: in which order, when, by whom. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import type { Held, RunStoreError, RunWithSteps, Step } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, aStep, begin, claimOne, orMissing, register, suspend } from "../Acts.js"

const found = (runId: string, query?: { readonly maxValueBytes: number }) =>
  Effect.flatMap(RunStore, (store) =>
    Effect.flatMap(store.findWithSteps(runId, query), orMissing(runId))
  )

/** What was written of a run, by its positions. */
const inOrder = ({ children, signals, steps, timers }: RunWithSteps) =>
  [
    ...steps.map(({ name, position }) => [position, `step ${name}`] as const),
    ...signals.last.map(({ name, position }) => [position, `signal ${name}`] as const),
    ...timers.last.map(({ name, position }) => [position, `timer ${name}`] as const),
    ...children.first.flatMap(({ position, runId }) =>
      position === undefined ? [] : [[position, `end of ${runId}`] as const]
    )
  ]
    .sort(([a], [b]) => a - b)
    .map(([, what]) => what)

const record = (held: Held, name: string, step: Parameters<typeof aStep>[1] = {}) =>
  Effect.flatMap(RunStore, (store) => store.recordStep(aStep(held, { name, ...step })))

const signal = (runId: string, name: string) =>
  Effect.flatMap(RunStore, (store) => store.signal({ runId, name, exit: "1" }))

export const facts = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("the order of what was written of a run", () => {
    it.effect("is that of steps, signals, timers and ends of children in one", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* signal("a", "before it")
        const { held } = yield* begin(executor, "a")
        const parent = { runId: "a", awaits: true }
        const child = yield* begin(executor, "child", { parent })
        yield* begin(executor, "unfinished", { parent })
        yield* record(held, "z")
        yield* signal("a", "y")
        yield* record(held, "x", { timers: [{ name: "w", wakeAt: 9 }] })
        yield* store.complete({ held: child.held, status: "completed", exit: "1" })
        yield* record(held, "v")
        yield* signal("a", "u")
        yield* signal("a", "t")
        yield* store.noteStep({ ...aStep(held, { name: "s" }), status: "running" })
        yield* record(held, "r")
        // as it was noted first
        yield* record(held, "s")
        expect(inOrder(yield* found("a"))).toEqual([
          "signal before it",
          "step z",
          "signal y",
          "step x",
          "timer w",
          "end of child",
          "step v",
          "signal u",
          "signal t",
          "step s",
          "step r"
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("goes on when another claims it, when it waits, and when it is retried", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const first = yield* begin(yield* register, "a")
        yield* record(first.held, "1")
        yield* store.release([{ held: first.held, timers: [] }])
        const second = yield* claimOne(yield* register)
        yield* record(second.held, "2", { timers: [{ name: "t", wakeAt: 5 }] })
        yield* suspend(second, { wakeAt: 5 })
        yield* signal("a", "s")
        const third = yield* claimOne(yield* register)
        yield* record(third.held, "3")
        yield* TestClock.adjust("1 minute")
        yield* store.takeOver({ limit: 9, maxCrashes: Number.POSITIVE_INFINITY })
        const fourth = yield* claimOne(yield* register)
        yield* record(fourth.held, "4")
        yield* record(fourth.held, "5")
        yield* store.complete({ held: fourth.held, status: "failed", exit: "0" })
        yield* store.retry({ runId: "a" })
        const fifth = yield* claimOne(yield* register)
        yield* record(fifth.held, "6")
        expect(inOrder(yield* found("a"))).toEqual([
          "step 1",
          "step 2",
          "timer t",
          "signal s",
          "step 3",
          "step 4",
          "step 5",
          "step 6"
        ])
      }).pipe(Effect.provide(layer))
    )
  })

  describe("the signals of a run", () => {
    it.effect("are told with when they were received, the last ones, and how many there are", () =>
      Effect.gen(function* () {
        const executor = yield* register
        yield* TestClock.setTime(3)
        yield* signal("a", "early")
        yield* TestClock.setTime(5)
        yield* begin(executor, "a")
        yield* signal("a", "late")
        // the first value stays, and so does when it came
        yield* TestClock.setTime(7)
        yield* signal("a", "early")
        const { signals } = yield* found("a")
        expect(signals).toMatchObject({
          total: 2,
          last: [
            { name: "early", receivedAt: 3, position: 0 },
            { name: "late", receivedAt: 5 }
          ]
        })
        for (let n = 0; n < 30; n++) yield* signal("a", `n${n}`)
        const many = (yield* found("a")).signals
        expect(many.total).toBe(32)
        expect(many.last.map(({ name }) => name)).toEqual(
          Array.from({ length: 20 }, (_, n) => `n${n + 10}`)
        )
      }).pipe(Effect.provide(layer))
    )

    it.effect("are none of one that was sent none, and none of another's", () =>
      Effect.gen(function* () {
        yield* begin(yield* register, "a")
        yield* signal("b", "paid")
        const { signals, timers } = yield* found("a")
        expect([signals, timers]).toEqual([
          { total: 0, last: [] },
          { total: 0, last: [] }
        ])
      }).pipe(Effect.provide(layer))
    )
  })

  it.effect("the timers of a run are told with when they are due, and whether they were", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const run = yield* begin(yield* register, "a")
      const timers = [
        { name: "long", wakeAt: 500 },
        { name: "nap", wakeAt: 10 }
      ]
      yield* suspend(run, { wakeAt: 10, timers })
      yield* TestClock.setTime(10)
      yield* store.wakeDue(9)
      expect((yield* found("a")).timers).toMatchObject({
        total: 2,
        last: [
          { name: "long", wakeAt: 500, fired: false },
          { name: "nap", wakeAt: 10, fired: true }
        ]
      })
    }).pipe(Effect.provide(layer))
  )

  describe("who executed a step", () => {
    it.effect("is the executor that held its run", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const [one, two] = [yield* register, yield* register]
        const first = yield* begin(one, "a")
        yield* record(first.held, "done")
        yield* store.noteStep({ ...aStep(first.held, { name: "cut" }), status: "running" })
        yield* store.noteStep({ ...aStep(first.held, { name: "noted" }), status: "running" })
        yield* store.release([{ held: first.held, timers: [] }])
        const second = yield* claimOne(two)
        yield* record(second.held, "cut")
        const executors = (steps: RunWithSteps["steps"]) =>
          steps.map(({ executor, name }) => [name, executor])
        const all = [
          ["done", one],
          ["cut", two],
          ["noted", one]
        ]
        expect(executors((yield* found("a")).steps)).toEqual(all)
        const page = yield* Effect.flatMap(store.steps("a", { limit: 2 }), orMissing("a"))
        expect(executors(page.steps)).toEqual(all.slice(0, 2))
        const step = yield* Effect.flatMap(
          store.step({ runId: "a", name: "cut", attempt: 1 }),
          orMissing("a")
        )
        expect(step.executor).toBe(two)
        expect(step.position).toBe(page.steps[1]?.position)
      }).pipe(Effect.provide(layer))
    )

    it.effect("is left out with an outcome that is too large, and told of the step alone", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { held } = yield* begin(executor, "a")
        yield* record(held, "large", { exit: `"${"x".repeat(100)}"` })
        yield* record(held, "small", { exit: "1" })
        const { steps } = yield* found("a", { maxValueBytes: 50 })
        expect(steps.map(({ executor, leftOut }) => [executor, leftOut])).toEqual([
          [undefined, 102],
          [executor, undefined]
        ])
        const step = yield* Effect.flatMap(
          store.step({ runId: "a", name: "large", attempt: 1 }),
          orMissing("a")
        )
        expect(step.executor).toBe(executor)
      }).pipe(Effect.provide(layer))
    )
  })

  it.effect("a step that a replay does not come by is told from the others", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* register
      const { held } = yield* begin(executor, "a")
      yield* record(held, "inner", { inner: true })
      yield* record(held, "compensation", { inner: true, compensation: true })
      yield* record(held, "outer")
      yield* record(held, "not", { inner: false, exit: `{"value":{"a":1,"inner":true}}` })
      yield* store.release([{ held, timers: [] }])
      const { steps } = (yield* claimOne(executor)).history
      expect(new Map(steps.map(({ inner, name }) => [name, inner === true]))).toEqual(
        new Map([
          ["inner", true],
          ["compensation", true],
          ["outer", false],
          ["not", false]
        ])
      )
      // and its outcome is what was recorded
      expect(steps.find(({ name }) => name === "inner")?.exit).toBe(`"charged"`)
    }).pipe(Effect.provide(layer))
  )

  it.effect("a step of a compensation is told as such, also one of which there is a note", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const { held } = yield* begin(yield* register, "a")
      const undo = { inner: true, compensation: true }
      yield* record(held, "small", undo)
      yield* record(held, "large", { ...undo, exit: `"${"x".repeat(100)}"` })
      const note = { ...aStep(held, { name: "noted" }), status: "running" } as const
      yield* store.noteStep({ ...note, compensation: true })
      yield* record(held, "inner", { inner: true })
      yield* record(held, "outer")
      const told = (steps: ReadonlyArray<Step>) =>
        Object.fromEntries(steps.map(({ compensation, name }) => [name, compensation]))
      const others = { small: true, noted: true, inner: undefined, outer: undefined }
      expect(told((yield* found("a")).steps)).toEqual({ ...others, large: true })
      // as whoever executed it: not with an outcome that is left out
      const few = yield* Effect.flatMap(store.steps("a", { maxValueBytes: 50 }), orMissing("a"))
      expect(told(few.steps)).toEqual({ ...others, large: undefined })
      const alone = { runId: "a", name: "large", attempt: 1 }
      const large = yield* Effect.flatMap(store.step(alone), orMissing("a"))
      expect(large.compensation).toBe(true)
    }).pipe(Effect.provide(layer))
  )

  it.effect("none of it is left of a run that was removed", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* register
      const { held } = yield* begin(executor, "a")
      yield* record(held, "x", { timers: [{ name: "t", wakeAt: 5 }] })
      yield* signal("a", "s")
      yield* store.complete({ held, status: "failed", exit: "0" })
      yield* store.remove("a")
      yield* store.create(aRun("a"))
      expect(inOrder(yield* found("a"))).toEqual([])
    }).pipe(Effect.provide(layer))
  )
}
