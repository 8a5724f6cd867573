import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { Held, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import {
  aStep,
  begin,
  claimOne,
  leaseMillis,
  orMissing,
  register,
  statusOf,
  suspend
} from "../Acts.js"

const crashesOf = (runId: string) =>
  Effect.flatMap(RunStore, (store) =>
    Effect.map(Effect.flatMap(store.find(runId), orMissing(runId)), ({ crashes }) => crashes ?? 0)
  )

const claim = (executor: number, limit = 9) =>
  Effect.flatMap(RunStore, (store) => store.claim({ executor, workflows: ["Order"], limit }))

const ids = (runs: ReadonlyArray<{ readonly held: { readonly runId: string } }>) =>
  runs.map(({ held }) => held.runId)

/** This executor dies, and the next one is there. */
const dies = (executor: number, maxCrashes = 99) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    yield* store.takeOver({ limit: 99, dead: [executor], maxCrashes })
    return yield* register
  })

/** The step of that name begins. */
const begins = (held: Held, name = "bad") =>
  Effect.flatMap(RunStore, (store) =>
    store.noteStep({
      held,
      name,
      attempt: 1,
      status: "running",
      startedAt: 1,
      completedAt: undefined
    })
  )

/** Lets a pause be over. */
const paused = (millis: number) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    yield* TestClock.adjust(millis)
    return yield* store.wakeDue(99)
  })

export const crashes = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("deaths of executors", () => {
    it.effect("count for the runs that were under way, and for no others", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const first = yield* register
        yield* begin(first, "under way")
        yield* suspend(yield* begin(first, "waits"))
        const warm = yield* begin(first, "kept")
        yield* store.suspend({
          held: warm.held,
          wakeups: 0,
          timers: [],
          wakeAt: undefined,
          cause: undefined,
          keep: true
        })
        const given = yield* begin(first, "handed over")
        yield* store.release([{ held: given.held, timers: [] }])
        const second = yield* dies(first)
        expect(
          yield* Effect.forEach(["under way", "waits", "kept", "handed over"], crashesOf)
        ).toEqual([1, 0, 0, 0])
        // once says nothing: it comes back at once
        const claimed = yield* claim(second)
        expect(ids(claimed)).toEqual(["under way", "handed over"])
        expect(claimed.map(({ crashes }) => crashes)).toEqual([{ count: 1, steps: [] }, undefined])
      }).pipe(Effect.provide(layer))
    )

    it.effect("twice in a row make suspects, which come back after a pause, one at a time", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const first = yield* register
        for (const id of ["a", "b", "c"]) yield* begin(first, id)
        const second = yield* dies(first)
        expect(ids(yield* claim(second))).toEqual(["a", "b", "c"])
        const third = yield* dies(second)
        yield* begin(third, "healthy")
        yield* store.release([{ held: (yield* begin(third, "pending")).held, timers: [] }])
        expect(yield* statusOf("a")).toBe("suspended")
        expect(Option.getOrUndefined(yield* store.nextWakeAt)).toBe(5_000)

        expect(yield* paused(4_999)).toBe(0)
        expect(yield* paused(1)).toBe(3)
        const [a, ...rest] = yield* claim(third)
        expect(a?.held.runId).toBe("a")
        // those behind them are not held up
        expect(ids(rest)).toEqual(["pending"])
        expect(yield* Effect.forEach(["b", "c"], statusOf)).toEqual(["suspended", "suspended"])
        expect(yield* paused(2_000)).toBe(2)
        const other = yield* register
        expect(yield* claim(other)).toEqual([])

        if (a === undefined) return
        yield* store.recordStep(aStep(a.held))
        yield* store.progressed(a.held)
        expect(yield* crashesOf("a")).toBe(0)
        // the next one is tried at once
        expect(yield* paused(0)).toBe(1)
        expect(ids(yield* claim(other))).toEqual(["b"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("make suspects of which others are tried beside one that takes long", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        let executor = yield* register
        for (const id of ["a", "b", "c"]) yield* begin(executor, id)
        for (let death = 0; death < 2; death++) {
          executor = yield* dies(executor)
          if (death === 0) yield* claim(executor)
        }
        yield* paused(5_000)
        const [a] = yield* claim(executor)
        if (a === undefined) return expect.fail("none is tried")
        expect(yield* paused(1_000)).toBe(1)
        expect(yield* claim(executor)).toEqual([])
        yield* store.letOthersTry(a.held)
        expect(yield* paused(0)).toBe(1)
        // which of the two is the next both have waited for as long
        const [b, ...others] = yield* claim(executor)
        expect(others).toEqual([])
        if (b === undefined) return expect.fail("no other is tried")
        // one of the two is tried alone still, and nobody is let in for the other once more
        yield* store.letOthersTry(a.held)
        yield* paused(2_000)
        expect(yield* claim(executor)).toEqual([])
        // it begins a step, and that is tried
        yield* begins(a.held)
        yield* store.letOthersTry(b.held)
        yield* paused(2_000)
        expect(yield* claim(executor)).toEqual([])

        // what an earlier holder says does not count, nor what is said of others
        yield* store.release([{ held: a.held, timers: [] }])
        yield* store.letOthersTry(a.held)
        const healthy = yield* begin(executor, "healthy")
        yield* store.letOthersTry(healthy.held)
        expect(yield* Effect.forEach(["a", "b", "c", "healthy"], crashesOf)).toEqual([2, 2, 2, 0])
      }).pipe(Effect.provide(layer))
    )

    it.effect("of two suspects at once set neither aside at the first try", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        let executor = yield* register
        for (const id of ["a", "b"]) yield* begin(executor, id)
        for (let death = 0; death < 2; death++) {
          executor = yield* dies(executor, 3)
          if (death === 0) yield* claim(executor)
        }
        const tried: Array<string> = []
        yield* paused(5_000)
        for (let n = 0; n < 2; n++) {
          for (const { held } of yield* claim(executor)) {
            tried.push(held.runId)
            yield* store.letOthersTry(held)
          }
          yield* paused(0)
        }
        expect(tried).toEqual(["a", "b"])
        executor = yield* dies(executor, 3)
        expect(yield* Effect.forEach(tried, crashesOf)).toEqual([2, 2])
        expect(yield* Effect.forEach(tried, statusOf)).toEqual(["suspended", "suspended"])
        // at the second it is one of them, as far as anybody knows, and it is this one
        yield* paused(20_000)
        const [again] = yield* claim(executor)
        if (again === undefined) return expect.fail("none is tried")
        yield* dies(executor, 3)
        expect(yield* crashesOf(again.held.runId)).toBe(3)
      }).pipe(Effect.provide(layer))
    )

    it.effect("count from the second on only for what was at work", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const first = yield* register
        const names = ["in its code", "waits for room", "in a step", "in a step after a wait"]
        for (const id of names) yield* begin(first, id)
        const second = yield* dies(first)
        const [, waits, inStep, afterWait] = yield* claim(second)
        if (waits && inStep && afterWait) {
          yield* store.waitsForRoom(waits.held)
          yield* begins(inStep.held)
          yield* store.waitsForRoom(afterWait.held)
          yield* begins(afterWait.held)
        }
        const third = yield* dies(second)
        expect(yield* Effect.forEach(names, crashesOf)).toEqual([2, 1, 2, 2])
        expect(yield* statusOf("waits for room")).toBe("pending")
        // what an earlier holder says does not count
        const [again] = yield* claim(third)
        expect(again?.crashes).toEqual({ count: 1, steps: [] })
        if (waits) yield* store.waitsForRoom(waits.held)
        yield* dies(third)
        expect(yield* crashesOf("waits for room")).toBe(2)
      }).pipe(Effect.provide(layer))
    )

    it.effect("do not count again for a step of which an earlier one has died", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const first = yield* register
        yield* begins((yield* begin(first, "r")).held)
        const second = yield* dies(first)
        const { crashes, held } = yield* claimOne(second)
        expect(crashes).toEqual({ count: 1, steps: [{ name: "bad", attempt: 1 }] })
        yield* store.waitsForRoom(held)
        yield* dies(second)
        expect(yield* crashesOf("r")).toBe(1)
      }).pipe(Effect.provide(layer))
    )

    it.effect("for which a suspect was not there clear it, unless one was while it was alone", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        let executor = yield* register
        for (const id of ["a", "b", "c"]) yield* begin(executor, id)
        for (let death = 0; death < 2; death++) {
          executor = yield* dies(executor)
          yield* claim(executor)
        }
        // "b" has been let try, and waits for its turn; "c" has its pause
        yield* store.signal({ runId: "b", name: "s", exit: "1" })
        yield* store.signal({ runId: "a", name: "s", exit: "1" })
        expect(ids(yield* claim(executor, 1))).toEqual(["a"])
        executor = yield* dies(executor)
        expect(yield* Effect.forEach(["a", "b", "c"], crashesOf)).toEqual([3, 1, 1])
        expect(yield* Effect.forEach(["a", "b", "c"], statusOf)).toEqual([
          "suspended",
          "pending",
          "pending"
        ])
        // an executor that has nothing is one that dies, too; but for "a" it says too little
        yield* dies(executor)
        expect(yield* crashesOf("a")).toBe(3)
      }).pipe(Effect.provide(layer))
    )

    it.effect("while others are suspected too do not set a run aside at the first try", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        let executor = yield* register
        for (const id of ["a", "b"]) yield* begin(executor, id)
        for (let death = 0; death < 2; death++) {
          executor = yield* dies(executor, 3)
          if (death === 0) yield* claim(executor)
        }
        expect(yield* paused(5_000)).toBe(2)
        expect(ids(yield* claim(executor))).toEqual(["a"])
        executor = yield* dies(executor, 3)
        expect(yield* Effect.forEach(["a", "b"], crashesOf)).toEqual([2, 1])
        expect(yield* Effect.forEach(["a", "b"], statusOf)).toEqual(["suspended", "pending"])
        // it waits for longer, and is not cleared by what others die of
        expect(yield* paused(19_999)).toBe(0)
        executor = yield* dies(executor, 3)
        expect(yield* crashesOf("a")).toBe(2)
        expect(yield* paused(1)).toBe(1)
        const [b, a] = [...(yield* claim(executor))].sort((one, other) =>
          one.held.runId < other.held.runId ? 1 : -1
        )
        expect([a?.held.runId, b?.held.runId]).toEqual(["a", "b"])
        if (b) yield* store.complete({ held: b.held, status: "completed", exit: "1" })
        yield* dies(executor, 3)
        expect(yield* crashesOf("a")).toBe(3)
      }).pipe(Effect.provide(layer))
    )

    it.effect("set several aside that executors die of, in a bounded number of them", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const poison = ["a", "b", "c", "d"]
        let executor = yield* register
        for (const id of poison) yield* begin(executor, id)
        const aside = new Set<string>()
        for (let deaths = 0; aside.size < poison.length; deaths++) {
          expect(deaths).toBeLessThan(30)
          executor = yield* dies(executor, 3)
          let claimed = yield* claim(executor)
          while (claimed.length === 0 && aside.size < poison.length) {
            yield* paused(1_000)
            claimed = yield* claim(executor)
          }
          for (const run of claimed) {
            if ((run.crashes?.count ?? 0) < 3) continue
            aside.add(run.held.runId)
            yield* suspend(run, { cause: `{"_tag":"Empty"}` })
          }
          // the rest of them executes, and kills it
        }
        expect(yield* store.blocked).toBe(poison.length)
      }).pipe(Effect.provide(layer))
    )

    it.effect("are one each, however many parts a take-over has", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const names = ["a", "b", "c"]
        const first = yield* register
        for (const id of names) yield* begin(first, id)
        const second = yield* dies(first)
        yield* claim(second)
        while ((yield* store.takeOver({ limit: 1, dead: [second], maxCrashes: 99 })) > 0);
        expect(yield* Effect.forEach(names, crashesOf)).toEqual([2, 2, 2])
        // the same of one whose lease has lapsed
        const third = yield* register
        yield* paused(5_000)
        yield* claim(third)
        yield* TestClock.adjust(leaseMillis + 1)
        while ((yield* store.takeOver({ limit: 1, maxCrashes: 99 })) > 0);
        expect(yield* Effect.forEach(names, crashesOf)).toEqual([3, 1, 1])
      }).pipe(Effect.provide(layer))
    )

    it.effect("leave one that is to be set aside no pause", () =>
      Effect.gen(function* () {
        let executor = yield* register
        yield* begin(executor, "poison")
        executor = yield* dies(executor, 3)
        yield* claimOne(executor)
        executor = yield* dies(executor, 3)
        expect(yield* paused(4_999)).toBe(0)
        expect(yield* paused(1)).toBe(1)
        yield* claimOne(executor)
        executor = yield* dies(executor, 3)
        expect(yield* paused(0)).toBe(1)
        expect((yield* claimOne(executor)).crashes?.count).toBe(3)
      }).pipe(Effect.provide(layer))
    )

    it.effect("are not counted at all where no number of them is too many", () =>
      Effect.gen(function* () {
        let executor = yield* register
        yield* begin(executor, "r")
        for (let death = 0; death < 4; death++) {
          executor = yield* dies(executor, Number.POSITIVE_INFINITY)
          yield* claimOne(executor)
        }
        expect(yield* crashesOf("r")).toBe(0)
      }).pipe(Effect.provide(layer))
    )

    it.effect("make the pause longer each time, and name the step that was begun", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        let executor = yield* register
        const { held } = yield* begin(executor, "poison")
        yield* store.recordStep(aStep(held, { name: "done" }))
        executor = yield* dies(executor)
        for (const pause of [5_000, 20_000, 80_000, 300_000, 300_000]) {
          const { held } = yield* claimOne(executor)
          yield* begins(held)
          executor = yield* dies(executor)
          expect(yield* paused(pause - 1)).toBe(0)
          expect(yield* paused(1)).toBe(1)
        }
        const { crashes } = yield* claimOne(executor)
        expect(crashes).toEqual({ count: 6, steps: [{ name: "bad", attempt: 1 }] })
      }).pipe(Effect.provide(layer))
    )

    it.effect("in a row are those between which nothing was recorded, waited for or ended", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        let executor = yield* register
        for (const id of ["recorded", "waited", "ended", "retried"]) yield* begin(executor, id)
        executor = yield* dies(executor)
        const [recorded, waited, ended, retried] = yield* claim(executor)
        if (recorded && waited && ended && retried) {
          yield* store.progressed(recorded.held)
          yield* suspend(waited)
          yield* store.complete({ held: ended.held, status: "completed", exit: "1" })
          yield* store.complete({ held: retried.held, status: "failed", exit: "1" })
        }
        expect(yield* Effect.forEach(["recorded", "waited", "ended"], crashesOf)).toEqual([0, 0, 0])
        yield* store.retry({ runId: "retried" })
        expect(yield* crashesOf("retried")).toBe(0)
      }).pipe(Effect.provide(layer))
    )

    it.effect("are told of while a run is set aside, and forgotten when it is resumed", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const first = yield* register
        yield* begin(first, "poison")
        const second = yield* dies(first)
        yield* suspend(yield* claimOne(second), { cause: `{"_tag":"Empty"}` })
        expect(yield* crashesOf("poison")).toBe(1)
        // whatever else wakes it does not make it try again
        yield* store.signal({ runId: "poison", name: "s", exit: "1" })
        expect(yield* crashesOf("poison")).toBe(1)
        yield* store.wake("poison")
        expect(yield* crashesOf("poison")).toBe(0)
      }).pipe(Effect.provide(layer))
    )

    it.effect("that were none do not count: the executor was frozen, and lives", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const frozen = yield* register
        const { held } = yield* begin(frozen, "r")
        const next = yield* dies(frozen)
        expect(yield* crashesOf("r")).toBe(1)
        yield* store.survived([held])
        expect(yield* crashesOf("r")).toBe(0)
        // what is held under a later claim is not its own
        yield* store.survived([(yield* claimOne(next)).held])
        expect(yield* crashesOf("r")).toBe(0)
      }).pipe(Effect.provide(layer))
    )

    it.effect("that were none let a run go on that was set aside for them", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const first = yield* register
        yield* begin(first, "r")
        const frozen = yield* dies(first, 2)
        const { held } = yield* claimOne(frozen)
        const next = yield* dies(frozen, 2)
        yield* paused(0)
        yield* suspend(yield* claimOne(next), { cause: `{"_tag":"Empty"}` })
        expect([yield* statusOf("r"), yield* crashesOf("r")]).toEqual(["suspended", 2])
        expect(yield* claim(next)).toEqual([])
        yield* store.survived([held])
        expect([yield* statusOf("r"), yield* crashesOf("r")]).toEqual(["pending", 1])
        expect(ids(yield* claim(next))).toEqual(["r"])
      }).pipe(Effect.provide(layer))
    )
  })
}
