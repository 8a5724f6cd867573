import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { RunStoreError } from "../../../src/store/RunStore.js"
import { RunStore } from "../../../src/store/RunStore.js"
import { aRun, aStep, begin, claimOne, register } from "../support.js"

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
  })
}
