import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { RunStore, type RunStoreError } from "../../store/RunStore.js"
import { aRun, begin, claimOne, register } from "../Acts.js"

const signal = (runId: string, name = "paid") =>
  Effect.flatMap(RunStore, (store) => store.signal({ runId, name, exit: "1" }))

/** How many signals were removed, by parts of two. */
const expire = (olderThanMillis: number) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    let removed = 0
    let more = true
    while (more) {
      const part = yield* store.expire({ olderThanMillis, limit: 2 })
      removed += part.removed
      more = part.more
    }
    return removed
  })

/** The signals of a run that is created now. */
const found = (executor: number, runId: string) =>
  Effect.map(begin(executor, runId), ({ history }) => history.signals.map(({ name }) => name))

const removed = (executor: number, runId: string) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const { held } = yield* begin(executor, runId)
    yield* store.complete({ held, status: "completed", exit: "1" })
    yield* store.remove(runId)
  })

export const signals = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("signals without a run", () => {
    it.effect("are there when it comes in time, and go when it does not", () =>
      Effect.gen(function* () {
        const executor = yield* register
        for (const runId of ["a", "b", "c", "d", "e"]) yield* signal(runId)
        expect(yield* found(executor, "a")).toEqual(["paid"])
        yield* TestClock.adjust(50)
        yield* signal("young")
        yield* TestClock.adjust(50)
        expect(yield* expire(100)).toBe(0)
        yield* TestClock.adjust(1)
        expect(yield* expire(100)).toBe(4)
        expect(yield* found(executor, "b")).toEqual([])
        expect(yield* found(executor, "young")).toEqual(["paid"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("stay with their run however old they are, and so do those that came to it", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* signal("a", "early")
        const { held } = yield* begin(executor, "a")
        yield* signal("a", "late")
        yield* TestClock.adjust(1_000)
        for (let times = 0; times < 2; times++) expect(yield* expire(100)).toBe(0)
        const { signals } = yield* store.history(held)
        expect(signals.map(({ name }) => name).sort()).toEqual(["early", "late"])
        // and came before an interrupt that is asked for now
        yield* store.requestInterrupt("a")
        const { beforeInterrupt } = yield* store.history(held)
        expect([...(beforeInterrupt?.signals ?? [])].sort()).toEqual(["early", "late"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("for one that was removed are not there for the next of its id", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* removed(executor, "a")
        expect(yield* signal("a")).toBe(false)
        expect(yield* signal("other")).toBe(true)
        yield* store.create(aRun("a"))
        expect(yield* signal("a", "new")).toBe(true)
        const { history } = yield* claimOne(executor)
        expect(history.signals.map(({ name }) => name)).toEqual(["new"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("for one that retention removed neither, until the removal is forgotten", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const runId of ["a", "b", "c"]) {
          const { held } = yield* begin(executor, runId)
          yield* store.complete({ held, status: "completed", exit: "1" })
        }
        yield* store.prune({ keep: 0, limit: 9 })
        for (const runId of ["a", "b", "c"]) expect(yield* signal(runId)).toBe(false)
        yield* TestClock.adjust(100)
        yield* expire(100)
        expect(yield* signal("a")).toBe(false)
        yield* TestClock.adjust(1)
        yield* expire(100)
        expect(yield* signal("a")).toBe(true)
      }).pipe(Effect.provide(layer))
    )
  })
}
