import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { RunQuery, RunStoreError, StepsQuery } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, aStep, begin, claimOne, register, suspend } from "../Acts.js"

const kilobyte = JSON.stringify("x".repeat(1_022))

const claimAll = (executor: number, bounds: { maxBytes?: number; maxRunBytes?: number }) =>
  Effect.flatMap(RunStore, (store) =>
    store.claim({ executor, workflows: ["Order"], limit: 9, ...bounds })
  )

export const bytes = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("bounds by bytes", () => {
    it.effect("claims no more runs once they come to so many bytes, and one at least", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const runId of ["a", "b", "c", "d"]) {
          yield* store.create(aRun(runId, { payload: kilobyte }))
        }
        const ids = (maxBytes: number) =>
          Effect.map(claimAll(executor, { maxBytes }), (claimed) =>
            claimed.map(({ bytes, held }) => [held.runId, bytes])
          )
        expect(yield* ids(1)).toEqual([["a", 1_024]])
        expect(yield* ids(1_025)).toEqual([
          ["b", 1_024],
          ["c", 1_024]
        ])
        expect(yield* ids(100_000)).toEqual([["d", 1_024]])
      }).pipe(Effect.provide(layer))
    )

    it.effect("counts all that a run has recorded, in bytes and not in characters", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { held } = yield* begin(executor, "a", { payload: `"é"` })
        yield* store.recordStep(aStep(held, { exit: `"żółć"` }))
        yield* store.recordStep(aStep(held, { name: "other", exit: kilobyte }))
        yield* store.signal({ runId: "a", name: "signal", exit: `"🚲"` })
        const child = yield* begin(executor, "child", { parent: { runId: "a", awaits: true } })
        yield* store.complete({ held: child.held, status: "completed", exit: "12345" })
        yield* store.release([{ held, timers: [] }])
        expect((yield* claimOne(executor)).bytes).toBe(4 + 10 + 1_024 + 6 + 5)
      }).pipe(Effect.provide(layer))
    )

    it.effect("claims a run that is too large without its history", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const [runId, exit] of [
          ["large", kilobyte],
          ["small", "1"]
        ] as const) {
          const { held } = yield* begin(executor, runId, { payload: "{}" })
          yield* store.recordStep(aStep(held, { exit }))
          yield* store.release([{ held, timers: [] }])
        }
        const claimed = yield* claimAll(executor, { maxRunBytes: 1_000 })
        expect(
          claimed.map(({ bytes, held, history }) => [held.runId, bytes, history.steps.length])
        ).toEqual([
          ["large", 1_026, 0],
          ["small", 3, 1]
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("ends a page of runs at so many bytes, with a cursor, and has one run at least", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const runId of ["a", "b", "c"]) {
          const { held } = yield* begin(executor, runId, { payload: kilobyte })
          yield* store.complete({ held, status: "completed", exit: kilobyte })
        }
        const pages: Array<ReadonlyArray<string>> = []
        let cursor: number | undefined
        do {
          const page = yield* store.list({ limit: 9, maxBytes: 4 * 1_024, cursor })
          pages.push(page.runs.map(({ runId }) => runId))
          cursor = page.cursor
        } while (cursor !== undefined)
        expect(pages).toEqual([["c", "b"], ["a"]])
        const one = yield* store.list({ limit: 9, maxBytes: 1 })
        expect(one.runs.map(({ exit, payload, runId }) => [runId, payload, exit])).toEqual([
          ["c", kilobyte, kilobyte]
        ])
        expect((yield* store.list({ limit: 9 })).runs).toHaveLength(3)
      }).pipe(Effect.provide(layer))
    )

    it.effect("lists what is asked for of runs, and counts nothing else", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const [runId, status] of [
          ["a", "failed"],
          ["b", "completed"]
        ] as const) {
          const { held } = yield* begin(executor, runId, { payload: kilobyte })
          yield* store.complete({ held, status, exit: kilobyte })
        }
        yield* suspend(yield* begin(executor, "c", { payload: kilobyte }), { cause: kilobyte })
        const listed = (query: Partial<RunQuery>) =>
          Effect.map(store.list({ limit: 9, ...query }), ({ runs }) =>
            runs.map(({ cause, exit, leftOut, payload, runId }) => ({
              runId,
              has: Object.entries({ payload, exit, cause }).flatMap(([name, value]) =>
                value === undefined ? [] : [name]
              ),
              leftOut
            }))
          )
        const short = { payload: false, result: false }
        const all = [
          { runId: "c", has: ["cause"], leftOut: undefined },
          { runId: "b", has: [], leftOut: undefined },
          { runId: "a", has: ["exit"], leftOut: undefined }
        ]
        expect(yield* listed({ ...short, maxBytes: 2_048 })).toEqual(all)
        expect(yield* listed({ ...short, maxBytes: 2_047 })).toEqual(all.slice(0, 2))
        expect(yield* listed({ ...short, maxValueBytes: 1_023, maxBytes: 1 })).toEqual([
          { runId: "c", has: [], leftOut: { cause: 1_024 } },
          { runId: "b", has: [], leftOut: undefined },
          { runId: "a", has: [], leftOut: { exit: 1_024 } }
        ])
        expect(yield* listed({ payload: false, runId: "b" })).toEqual([
          { runId: "b", has: ["exit"], leftOut: undefined }
        ])
        expect(yield* listed({ maxValueBytes: 1_023, runId: "b" })).toEqual([
          { runId: "b", has: [], leftOut: { payload: 1_024, exit: 1_024 } }
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect(
      "reads a run's steps in pages, by their number and by the bytes of their outcomes",
      () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const { held } = yield* begin(yield* register, "a", { payload: kilobyte })
          // not in the order of their names, and several in the same millisecond
          const names = ["f", "e", "d", "c", "b", "a"]
          for (const [index, name] of names.entries()) {
            const startedAt = Math.floor(index / 3)
            yield* store.recordStep(aStep(held, { name, startedAt, exit: kilobyte }))
          }
          yield* store.noteStep({
            ...{ held, name: "cut", attempt: 1, status: "interrupted" },
            ...{ startedAt: 9, completedAt: 9 }
          })
          const all = [...names, "cut"]
          const pages = (query: Omit<StepsQuery, "after">) =>
            Effect.gen(function* () {
              const first = Option.getOrThrow(yield* store.findWithSteps("a", query))
              const read = [first.steps.map(({ name }) => name)]
              for (let after = first.cursor; after !== undefined; ) {
                const page = Option.getOrThrow(yield* store.steps("a", { ...query, after }))
                read.push(page.steps.map(({ name }) => name))
                after = page.cursor
              }
              return read
            })
          expect(yield* pages({})).toEqual([all])
          expect(yield* pages({ limit: 7 })).toEqual([all])
          expect(yield* pages({ limit: 4 })).toEqual([all.slice(0, 4), all.slice(4)])
          expect(yield* pages({ maxBytes: 2_048 })).toEqual([
            ["f", "e"],
            ["d", "c"],
            ["b", "a", "cut"]
          ])
          expect((yield* pages({ maxBytes: 1 }))[0]).toEqual(["f"])
          expect(yield* pages({ maxBytes: 1, maxValueBytes: 1_023 })).toEqual([all])
          const { run, steps } = Option.getOrThrow(
            yield* store.findWithSteps("a", { maxValueBytes: 1_023 })
          )
          expect(run).toMatchObject({ payload: undefined, leftOut: { payload: 1_024 } })
          expect(steps[0]).toMatchObject({ status: "completed", exit: undefined, leftOut: 1_024 })
          expect(steps.at(-1)).not.toHaveProperty("leftOut")
          expect(Option.getOrThrow(yield* store.steps("a", {})).status).toBe("running")
          expect(yield* store.steps("b", {})).toEqual(Option.none())
        }).pipe(Effect.provide(layer))
    )

    it.effect("reads one step by itself, and finds the one that failed with a text", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { held } = yield* begin(yield* register, "a")
        for (const [attempt, exit] of [`"one %"`, `"two %"`, `"one %"`, `"three"`].entries()) {
          const step = { attempt, status: "failed", startedAt: attempt, exit } as const
          yield* store.recordStep(aStep(held, step))
        }
        yield* store.recordStep(aStep(held, { name: "later", startedAt: 9, exit: `"one %"` }))
        const one = { runId: "a", name: "charge", attempt: 1 }
        expect(Option.getOrThrow(yield* store.step(one)).exit).toBe(`"two %"`)
        for (const none of [{ runId: "b" }, { name: "no" }, { attempt: 7 }]) {
          expect(yield* store.step({ ...one, ...none })).toEqual(Option.none())
        }
        const failedWith = (text: string, runId = "a") => store.stepFailedWith({ runId, text })
        expect(yield* failedWith("one %")).toEqual(Option.some({ name: "charge", attempt: 2 }))
        expect(yield* failedWith("%")).toEqual(Option.some({ name: "charge", attempt: 2 }))
        expect(yield* failedWith("four")).toEqual(Option.none())
        expect(yield* failedWith("one %", "b")).toEqual(Option.none())
      }).pipe(Effect.provide(layer))
    )
  })
}
