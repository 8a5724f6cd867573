import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { ClaimedRun, NewRun, QueueLimits, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, register, suspend } from "../Acts.js"

const ids = (claimed: ReadonlyArray<ClaimedRun>) => claimed.map(({ held }) => held.runId)

const put = (
  runId: string,
  limits: QueueLimits,
  { key = "", ...more }: Partial<NewRun> & { readonly key?: string } = {}
) =>
  Effect.flatMap(RunStore, (store) =>
    store.create(aRun(runId, { queue: { name: "mail", key, limits }, ...more }))
  )

/** Claims what can be claimed. */
const take = (executor: number, limit = 99) =>
  Effect.flatMap(RunStore, (store) => store.claim({ executor, workflows: ["Order"], limit }))

const end = ({ held }: ClaimedRun) =>
  Effect.flatMap(RunStore, (store) =>
    Effect.orDie(store.complete({ held, status: "completed", exit: `{"_tag":"Success"}` }))
  )

const find = (runId: string) =>
  Effect.flatMap(RunStore, (store) => Effect.map(store.find(runId), Option.getOrThrow))

const only = (claimed: ReadonlyArray<ClaimedRun>): ClaimedRun => {
  const [first] = claimed
  if (claimed.length !== 1 || first === undefined) {
    throw new Error(`claimed ${JSON.stringify(ids(claimed))}`)
  }
  return first
}

export const queues = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("queues", () => {
    it.effect("let no more begin than may be under way; one that ends lets the next", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const id of ["a", "b", "c", "d"]) yield* put(id, { concurrency: 2 })
        const two = yield* take(executor)
        expect(ids(two)).toEqual(["a", "b"])
        expect(yield* take(executor)).toEqual([])
        expect(yield* find("c")).toMatchObject({ status: "pending", queued: true })
        expect(yield* store.counts).toMatchObject({ pending: 2, running: 2, suspended: 0 })
        expect(yield* store.queues).toEqual([
          {
            name: "mail",
            declared: { concurrency: 2 },
            paused: false,
            running: 2,
            waiting: 2
          }
        ])
        for (const run of two) yield* end(run)
        expect(ids(yield* take(executor))).toEqual(["c", "d"])
        expect((yield* find("c")).queued).toBeUndefined()
      }).pipe(Effect.provide(layer))
    )

    it.effect("are no concern of runs without one", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* put("a", { concurrency: 1 })
        yield* put("b", { concurrency: 1 })
        yield* store.create(aRun("plain"))
        expect(ids(yield* take(executor))).toEqual(["a", "plain"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("let no more of a key begin, and are fair between keys", () =>
      Effect.gen(function* () {
        const executor = yield* register
        const limits = { concurrency: 3, perKey: 2 }
        for (let n = 1; n <= 5; n++) yield* put(`big ${n}`, limits, { key: "big" })
        yield* put("small 1", limits, { key: "small" })
        yield* put("other 1", limits, { key: "other" })
        const first = yield* take(executor)
        expect(ids(first)).toEqual(["big 1", "big 2", "small 1"])
        // in turn: that of `other` is next, whoever ends
        const [big] = first
        if (big !== undefined) yield* end(big)
        const next = yield* take(executor)
        expect(ids(next)).toEqual(["other 1"])
        yield* end(only(next))
        expect(ids(yield* take(executor))).toEqual(["big 3"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("take turns between keys, one run each", () =>
      Effect.gen(function* () {
        const executor = yield* register
        const limits = { concurrency: 1 }
        for (const key of ["a", "b", "c"]) {
          for (let n = 1; n <= 3; n++) yield* put(`${key}${n}`, limits, { key })
        }
        const order: Array<string> = []
        for (let n = 0; n < 9; n++) {
          const run = only(yield* take(executor))
          order.push(run.held.runId)
          yield* end(run)
        }
        expect(order.slice(0, 1)).toEqual(["a1"])
        // between two of one key each other key that waits has had its turn
        for (const round of [order.slice(0, 3), order.slice(3, 6), order.slice(6)]) {
          expect(round.map((id) => id.slice(0, 1)).sort()).toEqual(["a", "b", "c"])
        }
        for (const key of ["a", "b", "c"]) {
          expect(order.filter((id) => id.startsWith(key))).toEqual(
            [1, 2, 3].map((n) => `${key}${n}`)
          )
        }
      }).pipe(Effect.provide(layer))
    )

    it.effect("let the smaller priority of a key begin first", () =>
      Effect.gen(function* () {
        const executor = yield* register
        const limits = { concurrency: 1 }
        yield* put("first", limits)
        yield* put("late", limits, { options: { priority: 5 } })
        yield* put("plain", limits)
        yield* put("early", limits, { options: { priority: -5 } })
        const order: Array<string> = []
        for (let n = 0; n < 4; n++) {
          const run = only(yield* take(executor))
          order.push(run.held.runId)
          yield* end(run)
        }
        expect(order).toEqual(["first", "early", "plain", "late"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("give a suspended run's slot to another; it waits for its turn when it goes on", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* put("a", { concurrency: 1 })
        yield* put("b", { concurrency: 1 })
        const a = only(yield* take(executor))
        expect(a.yields).toBe(true)
        yield* suspend(a)
        expect(yield* find("a")).toMatchObject({ status: "suspended" })
        const b = only(yield* take(executor))
        expect(b.held.runId).toBe("b")
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        expect(yield* find("a")).toMatchObject({ status: "pending", queued: true })
        expect(yield* take(executor)).toEqual([])
        yield* store.wake("a")
        expect(yield* take(executor)).toEqual([])
        yield* end(b)
        const again = only(yield* take(executor))
        expect(again.held.runId).toBe("a")
        expect(again.history.signals).toEqual([{ name: "paid", exit: "1" }])
        yield* end(again)
        expect(yield* store.counts).toMatchObject({ pending: 0, suspended: 0, completed: 2 })
      }).pipe(Effect.provide(layer))
    )

    it.effect("let a timer and a child wake a run only in its turn", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* put("a", { concurrency: 1 })
        yield* put("b", { concurrency: 1 })
        const a = only(yield* take(executor))
        const child = { parent: { runId: "a", awaits: true }, workflow: "Child" }
        yield* store.by(a.held).create(aRun("child", child))
        yield* suspend({ ...a, history: yield* store.history(a.held) }, { wakeAt: 1_000 })
        const b = only(yield* take(executor))
        yield* TestClock.adjust(1_000)
        yield* store.wakeDue(9)
        expect(yield* find("a")).toMatchObject({ status: "pending", queued: true })
        const [started] = yield* store.claim({ executor, workflows: ["Child"], limit: 9 })
        if (started !== undefined) yield* end(started)
        expect(yield* take(executor)).toEqual([])
        yield* end(b)
        expect(only(yield* take(executor)).history.children).toHaveLength(1)
      }).pipe(Effect.provide(layer))
    )

    it.effect("that keep it count a suspended run as under way, but not one to be mended", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const limits = { concurrency: 1, keepsSlot: true }
        yield* put("a", limits)
        yield* put("b", limits)
        const a = only(yield* take(executor))
        expect(a.yields).toBeUndefined()
        yield* suspend(a)
        expect(yield* take(executor)).toEqual([])
        yield* store.wake("a")
        const again = only(yield* take(executor))
        yield* suspend(again, { cause: `"broken"` })
        const b = only(yield* take(executor))
        expect(b.held.runId).toBe("b")
        yield* store.wake("a")
        expect(yield* take(executor)).toEqual([])
        yield* end(b)
        expect(ids(yield* take(executor))).toEqual(["a"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("leave a run its slot that is given back or taken over, and no other gets it", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* put("a", { concurrency: 1 })
        yield* put("b", { concurrency: 1 })
        const a = only(yield* take(executor))
        yield* store.release([{ held: a.held, timers: [] }])
        only(yield* take(executor))
        yield* TestClock.adjust("1 hour")
        const other = yield* register
        yield* store.takeOver({ by: other, limit: 9 })
        const again = only(yield* take(other))
        expect(again.held.runId).toBe("a")
        expect(yield* take(other)).toEqual([])
        yield* end(again)
        expect(ids(yield* take(other))).toEqual(["b"])
      }).pipe(Effect.provide(layer))
    )

    it.effect(
      "are given back by a run that is terminated, and taken again by one that is retried",
      () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const executor = yield* register
          for (const id of ["a", "b", "c"]) yield* put(id, { concurrency: 1 })
          yield* take(executor)
          yield* store.terminate({ runId: "a", exit: `"over"`, children: false })
          // one that waits too
          yield* store.terminate({ runId: "c", exit: `"over"`, children: false })
          const b = only(yield* take(executor))
          expect(b.held.runId).toBe("b")
          yield* Effect.orDie(store.complete({ held: b.held, status: "failed", exit: "0" }))
          yield* put("d", { concurrency: 1 })
          const d = only(yield* take(executor))
          expect(yield* store.retry({ runId: "b" })).toEqual({ _tag: "Done" })
          expect(yield* find("b")).toMatchObject({ status: "pending", queued: true })
          expect(yield* take(executor)).toEqual([])
          yield* end(d)
          expect(ids(yield* take(executor))).toEqual(["b"])
        }).pipe(Effect.provide(layer))
    )

    it.effect("hold up no run that is interrupted before it has begun", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* put("a", { concurrency: 1 })
        yield* put("b", { concurrency: 1 })
        yield* take(executor)
        yield* store.requestInterrupt("b")
        const b = only(yield* take(executor))
        expect(b).toMatchObject({ held: { runId: "b" }, history: { interruptRequested: true } })
        // when it goes on, it waits for its turn: whoever kept it would not hear of that
        expect(b.yields).toBe(true)
      }).pipe(Effect.provide(layer))
    )

    it.effect("let one that is interrupted, to end, go before all others", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const limits = { concurrency: 1 }
        yield* put("a", limits)
        yield* suspend(only(yield* take(executor)))
        yield* put("b", limits)
        const b = only(yield* take(executor))
        yield* put("early", limits, { options: { priority: -5 } })
        yield* store.requestInterrupt("a")
        yield* end(b)
        expect(ids(yield* take(executor))).toEqual(["a"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("let so many of a key begin within any window, and no more", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const limits = { rate: { limit: 2, window: 1_000 } }
        yield* put("a1", limits, { key: "a" })
        yield* TestClock.adjust(600)
        for (const id of ["a2", "a3", "a4"]) yield* put(id, limits, { key: "a" })
        yield* put("b1", limits, { key: "b" })
        const first = yield* take(executor)
        expect(ids(first).sort()).toEqual(["a1", "a2", "b1"])
        for (const run of first) yield* end(run)
        expect(yield* take(executor)).toEqual([])
        expect(yield* store.nextWakeAt).toEqual(Option.some(1_000))
        yield* TestClock.adjust(399)
        expect(yield* store.wakeDue(9)).toBe(0)
        yield* TestClock.adjust(1)
        yield* store.wakeDue(9)
        // the second of a began at 600
        const third = yield* take(executor)
        expect(ids(third)).toEqual(["a3"])
        expect(yield* store.nextWakeAt).toEqual(Option.some(1_600))
        // one that only goes on is not counted
        yield* suspend(only(third))
        yield* store.wake("a3")
        expect(yield* store.nextWakeAt).toEqual(Option.some(1_600))
        yield* TestClock.adjust(600)
        yield* store.wakeDue(9)
        expect(ids(yield* take(executor)).sort()).toEqual(["a3", "a4"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("bound by their rate what begins, and not what goes on", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const limits = { perKey: 2, rate: { limit: 2, window: 3_600_000 } }
        for (const id of ["a", "b", "c", "d"]) yield* put(id, limits)
        const [a, b] = yield* take(executor)
        expect([a?.held.runId, b?.held.runId]).toEqual(["a", "b"])
        if (a === undefined || b === undefined) return
        yield* suspend(a, { wakeAt: 1_000 })
        yield* TestClock.adjust(1_000)
        yield* store.wakeDue(9)
        const again = only(yield* take(executor))
        expect(again.held.runId).toBe("a")
        // they have both places of the key
        yield* suspend(again)
        yield* store.wake("a")
        expect(ids(yield* take(executor))).toEqual(["a"])
        expect(yield* store.nextWakeAt).toEqual(Option.some(3_600_000))
        yield* end(b)
        expect(yield* take(executor)).toEqual([])
        yield* TestClock.adjust(3_599_000)
        yield* store.wakeDue(9)
        expect(ids(yield* take(executor))).toEqual(["c"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("let nobody wait for longer than a window when the clock is set back", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* TestClock.setTime(100_000)
        const limits = { rate: { limit: 1, window: 1_000 } }
        yield* put("a", limits)
        yield* take(executor)
        yield* TestClock.setTime(10_000)
        yield* put("b", limits)
        expect(yield* take(executor)).toEqual([])
        expect(yield* store.nextWakeAt).toEqual(Option.some(11_000))
        yield* TestClock.adjust(1_000)
        yield* store.wakeDue(9)
        expect(ids(yield* take(executor))).toEqual(["b"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("have the limits that were declared last, and those that were set before them", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const id of ["a", "b", "c", "d"]) yield* put(id, { concurrency: 1 })
        expect(ids(yield* take(executor))).toEqual(["a"])
        expect(yield* store.changeQueue({ name: "mail", override: { concurrency: 2 } })).toBe(true)
        expect(ids(yield* take(executor))).toEqual(["b"])
        const [queue] = yield* store.queues
        expect(queue).toMatchObject({
          declared: { concurrency: 1 },
          override: { concurrency: 2 }
        })
        yield* put("e", { concurrency: 3 })
        expect(yield* take(executor)).toEqual([])
        expect(yield* store.changeQueue({ name: "mail", override: null })).toBe(true)
        expect(ids(yield* take(executor))).toEqual(["c"])
        yield* put("f", { concurrency: 5 })
        expect(ids(yield* take(executor))).toEqual(["d", "e"])
        expect(yield* store.changeQueue({ name: "none", paused: true })).toBe(false)
        // nothing is changed of it, and it is there
        expect(yield* store.changeQueue({ name: "none" })).toBe(false)
        expect(yield* store.changeQueue({ name: "mail" })).toBe(true)
      }).pipe(Effect.provide(layer))
    )

    it.effect("that are paused let nothing begin, and what is under way go on", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const limits = { concurrency: 2 }
        yield* put("a", limits)
        const a = only(yield* take(executor))
        yield* suspend(a)
        yield* store.changeQueue({ name: "mail", paused: true })
        expect((yield* store.queues)[0]?.paused).toBe(true)
        yield* put("b", limits)
        expect(yield* take(executor)).toEqual([])
        yield* store.wake("a")
        expect(ids(yield* take(executor))).toEqual(["a"])
        yield* store.changeQueue({ name: "mail", paused: false })
        expect(ids(yield* take(executor))).toEqual(["b"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("that are paused begin none that had its slot before, until they go on", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const limits = { concurrency: 9, rate: { limit: 3, window: 1_000 } }
        for (const id of ["a", "b", "c"]) yield* put(id, limits)
        expect(ids(yield* take(executor, 1))).toEqual(["a"])
        yield* store.requestInterrupt("b")
        yield* store.changeQueue({ name: "mail", paused: true })
        // it only ends
        expect(ids(yield* take(executor))).toEqual(["b"])
        expect(yield* find("c")).toMatchObject({ status: "pending", queued: true })
        expect((yield* store.queues)[0]).toMatchObject({ waiting: 1 })
        yield* store.changeQueue({ name: "mail", paused: false })
        // what its rate has counted of it is not counted twice
        expect(ids(yield* take(executor))).toEqual(["c"])
      }).pipe(Effect.provide(layer))
    )

    it.effect(
      "that are paused let what has begun go on where a run of another key makes room",
      () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const executor = yield* register
          yield* put("a", { concurrency: 1 }, { key: "x" })
          yield* put("b", { concurrency: 1 }, { key: "y" })
          yield* suspend(only(yield* take(executor)))
          const b = only(yield* take(executor))
          yield* store.changeQueue({ name: "mail", paused: true })
          yield* store.wake("a")
          expect(yield* take(executor)).toEqual([])
          yield* end(b)
          expect(ids(yield* take(executor))).toEqual(["a"])
        }).pipe(Effect.provide(layer))
    )

    it.effect("that park go on with none of it, whatever wakes it, until they do not", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const limits = { concurrency: 3, keepsSlot: true }
        for (const id of ["held", "waits", "given", "new"]) yield* put(id, limits)
        const [held, waits, given] = yield* take(executor)
        if (held === undefined || waits === undefined || given === undefined) throw new Error()
        yield* suspend(waits)
        yield* store.release([{ held: given.held, timers: [] }])
        expect(held.queue).toBe("mail")
        expect(yield* store.parkedQueues).toEqual([])
        yield* store.changeQueue({ name: "mail", paused: true, parks: true })
        expect(yield* store.parkedQueues).toEqual(["mail"])
        expect((yield* store.queues)[0]).toMatchObject({ paused: true, parks: true })
        expect(yield* take(executor)).toEqual([])
        expect(yield* find("given")).toMatchObject({ status: "pending", queued: true })
        yield* store.release([{ held: held.held, timers: [] }])
        yield* store.signal({ runId: "waits", name: "paid", exit: "1" })
        expect(yield* take(executor)).toEqual([])
        expect(yield* find("waits")).toMatchObject({ status: "pending", queued: true })
        // one that has not begun and is interrupted only ends
        yield* store.requestInterrupt("new")
        expect(ids(yield* take(executor))).toEqual(["new"])
        // what has begun goes on again, and nothing begins
        yield* put("later", limits)
        yield* store.changeQueue({ name: "mail", paused: true })
        expect((yield* store.queues)[0]?.parks).toBeUndefined()
        expect(ids(yield* take(executor)).sort()).toEqual(["given", "held", "waits"])
        yield* store.changeQueue({ name: "mail", paused: false })
        expect(yield* store.parkedQueues).toEqual([])
        expect((yield* store.queues)[0]).toMatchObject({ paused: false, running: 3, waiting: 1 })
      }).pipe(Effect.provide(layer))
    )

    it.effect("whose limits are lowered begin no more than those, of what had slots before", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const id of ["a", "b", "c", "d"]) yield* put(id, { concurrency: 4 })
        yield* put("late", { concurrency: 4 }, { options: { priority: -1 } })
        expect(ids(yield* take(executor, 1))).toEqual(["a"])
        yield* store.changeQueue({ name: "mail", override: { concurrency: 2 } })
        // it is the first now of those that wait
        expect(ids(yield* take(executor))).toEqual(["late"])
        yield* store.changeQueue({ name: "mail", override: null })
        expect(ids(yield* take(executor))).toEqual(["b", "c"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("take a run that is started for later when its time has come", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const limits = { concurrency: 1 }
        yield* put("later", limits, { options: { startAt: 1_000 } })
        yield* put("now", limits)
        const now = only(yield* take(executor))
        yield* TestClock.adjust(1_000)
        yield* store.wakeDue(9)
        expect(yield* find("later")).toMatchObject({ status: "pending", queued: true })
        expect(yield* take(executor)).toEqual([])
        yield* end(now)
        expect(ids(yield* take(executor))).toEqual(["later"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("have a run that is replaced wait in its new lane", () =>
      Effect.gen(function* () {
        const executor = yield* register
        const limits = { perKey: 1 }
        yield* put("a", limits, { key: "x" })
        yield* put("b", limits, { key: "x" })
        // it has its slot, and has not begun
        yield* put("a", limits, { key: "y", replace: true })
        expect(ids(yield* take(executor)).sort()).toEqual(["a", "b"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("count one that is replaced before it has begun once, for its rate", () =>
      Effect.gen(function* () {
        const executor = yield* register
        const limits = { rate: { limit: 2, window: 1_000 } }
        yield* put("a", limits)
        yield* TestClock.adjust(1)
        yield* put("a", limits, { replace: true })
        yield* put("b", limits)
        expect(ids(yield* take(executor))).toEqual(["a", "b"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("go on after more than one transaction gives slots to", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const count = 450
        yield* put("first", { concurrency: 1 }, { key: "0" })
        yield* Effect.forEach(
          Array.from({ length: count }, (_, n) => n),
          (n) => put(`run ${n}`, { concurrency: 1 }, { key: `${n % 7}` }),
          { concurrency: "unbounded" }
        )
        expect(ids(yield* take(executor))).toEqual(["first"])
        yield* store.changeQueue({ name: "mail", override: {} })
        const claimed: Array<string> = []
        for (let round = 0; round < 20 && claimed.length < count; round++) {
          claimed.push(...ids(yield* take(executor, 200)))
        }
        expect(new Set(claimed).size).toBe(count)
      }).pipe(Effect.provide(layer))
    )
  })
}
