import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Held, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aStep, begin, claimOne, orMissing, register } from "../Acts.js"

const stepsOf = (runId: string) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    return (yield* Effect.flatMap(store.findWithSteps(runId), orMissing(runId))).steps
  })

const note = (held: Held, name: string, startedAt: number) => ({
  held,
  name,
  attempt: 1,
  status: "running" as const,
  startedAt,
  completedAt: undefined
})

export const steps = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("recording steps", () => {
    it.effect("keeps every attempt with its outcome", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { held } = yield* begin(yield* register, "a")
        yield* store.recordStep(aStep(held, { status: "failed", exit: "1" }))
        yield* store.recordStep(
          aStep(held, { attempt: 2, startedAt: 3, completedAt: 4, exit: "2" })
        )
        expect(yield* stepsOf("a")).toMatchObject([
          { name: "charge", attempt: 1, status: "failed", startedAt: 1, completedAt: 2, exit: "1" },
          {
            name: "charge",
            attempt: 2,
            status: "completed",
            startedAt: 3,
            completedAt: 4,
            exit: "2"
          }
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("keeps the first outcome when a second one comes", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { held } = yield* begin(yield* register, "a")
        yield* store.recordStep(aStep(held, { exit: "1" }))
        yield* store.recordStep(aStep(held, { exit: "2", status: "failed" }))
        expect(yield* stepsOf("a")).toMatchObject([{ status: "completed", exit: "1" }])
      }).pipe(Effect.provide(layer))
    )

    it.effect("replaces a note by the outcome", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { held } = yield* begin(yield* register, "a")
        yield* store.noteStep(note(held, "charge", 1))
        expect(yield* stepsOf("a")).toMatchObject([{ status: "running", completedAt: undefined }])
        yield* store.noteStep({ ...note(held, "charge", 1), status: "interrupted", completedAt: 5 })
        expect(yield* stepsOf("a")).toMatchObject([
          { status: "interrupted", completedAt: 5, exit: undefined }
        ])
        expect((yield* store.history(held)).steps).toEqual([])
        yield* store.recordStep(aStep(held, { exit: "1" }))
        expect(yield* stepsOf("a")).toMatchObject([{ status: "completed", exit: "1" }])
      }).pipe(Effect.provide(layer))
    )

    it.effect("never replaces an outcome by a note", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { held } = yield* begin(yield* register, "a")
        yield* store.recordStep(aStep(held, { exit: "1" }))
        yield* store.noteStep(note(held, "charge", 9))
        yield* store.noteStep({ ...note(held, "charge", 9), status: "interrupted" })
        expect(yield* stepsOf("a")).toMatchObject([
          { status: "completed", exit: "1", startedAt: 1, completedAt: 2 }
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("shows steps in the order in which they started, of one instant as they came", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const first = yield* begin(executor, "a")
        yield* store.noteStep(note(first.held, "z", 5))
        yield* store.noteStep(note(first.held, "y", 5))
        yield* store.recordStep(aStep(first.held, { name: "y", startedAt: 5 }))
        yield* store.recordStep(aStep(first.held, { name: "late", startedAt: 9 }))
        yield* store.recordStep(aStep(first.held, { name: "early", startedAt: 1 }))
        yield* store.release([{ held: first.held, timers: [] }])
        const second = yield* claimOne(executor)
        yield* store.recordStep(aStep(second.held, { name: "a", startedAt: 5 }))
        yield* store.recordStep(aStep(second.held, { name: "z", startedAt: 5 }))
        const names = (yield* stepsOf("a")).map(({ name }) => name)
        expect(names).toEqual(["early", "z", "y", "a", "late"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("stores the timers that ride along, and keeps a timer's first time", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { held } = yield* begin(yield* register, "a")
        yield* store.recordStep(aStep(held, { timers: [{ name: "t", wakeAt: 100 }] }))
        yield* store.recordStep(
          aStep(held, {
            timers: [
              { name: "t", wakeAt: 900 },
              { name: "u", wakeAt: 200.5 }
            ]
          })
        )
        expect((yield* store.history(held)).timers).toEqual([
          { name: "t", wakeAt: 100, fired: false },
          { name: "u", wakeAt: 201, fired: false }
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("takes a thousand steps of many runs at the same time", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const runs = yield* Effect.forEach(Array.from({ length: 50 }), (_, i) =>
          begin(executor, `${i}`)
        )
        yield* Effect.forEach(
          runs.flatMap(({ held }) =>
            Array.from({ length: 30 }, (_, i) => aStep(held, { attempt: i }))
          ),
          store.recordStep,
          { concurrency: "unbounded", discard: true }
        )
        for (const { held } of runs) {
          expect((yield* store.history(held)).steps).toHaveLength(30)
        }
      }).pipe(Effect.provide(layer))
    )
  })
}
