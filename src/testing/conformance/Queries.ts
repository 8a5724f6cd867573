import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { RunQuery, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, begin, register, suspend } from "../Acts.js"

/** Every page of a query, as ids. */
const pages = (query: RunQuery) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const ids: Array<ReadonlyArray<string>> = []
    let cursor: number | undefined
    do {
      const page = yield* store.list({ ...query, cursor })
      ids.push(page.runs.map(({ runId }) => runId))
      cursor = page.cursor
    } while (cursor !== undefined)
    return ids
  })

const statuses = ["pending", "running", "suspended", "completed", "failed", "interrupted"] as const

export const queries = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("reading", () => {
    it.effect("finds nothing where there is nothing", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        expect(yield* store.find("a")).toEqual(Option.none())
        expect(yield* store.findWithSteps("a")).toEqual(Option.none())
        expect(yield* store.list({ limit: 9 })).toEqual({ runs: [], cursor: undefined })
        expect(yield* store.finished(["a"])).toEqual([])
        expect(yield* store.pendingWorkflows).toEqual([])
        expect(yield* store.executors).toEqual([])
        expect(yield* store.wokenRuns(1)).toEqual([])
        expect(yield* store.nextWakeAt).toEqual(Option.none())
        yield* store.available
      }).pipe(Effect.provide(layer))
    )

    it.effect("lists runs newest first, page after page", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        for (let i = 1; i <= 5; i++) yield* store.create(aRun(`${i}`))
        expect(yield* pages({ limit: 2 })).toEqual([["5", "4"], ["3", "2"], ["1"]])
        expect(yield* pages({ limit: 5 })).toEqual([["5", "4", "3", "2", "1"]])
      }).pipe(Effect.provide(layer))
    )

    it.effect("lists only the runs that were created in a span of time", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        for (let i = 1; i <= 5; i++) {
          yield* TestClock.setTime(i * 10)
          yield* store.create(aRun(`${i}`))
        }
        const limit = 2
        expect(yield* pages({ limit, createdAfter: 20 })).toEqual([
          ["5", "4"],
          ["3", "2"]
        ])
        expect(yield* pages({ limit, createdBefore: 20 })).toEqual([["1"]])
        expect(yield* pages({ limit, createdAfter: 20, createdBefore: 50 })).toEqual([
          ["4", "3"],
          ["2"]
        ])
        expect(yield* pages({ limit, createdAfter: 51 })).toEqual([[]])
      }).pipe(Effect.provide(layer))
    )

    it.effect("lists only the runs of a workflow and of some statuses", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* store.create(aRun("pending"))
        yield* begin(executor, "running")
        yield* suspend(yield* begin(executor, "suspended"))
        yield* suspend(yield* begin(executor, "other", { workflow: "Other" }))
        expect(yield* pages({ workflow: "Order", limit: 2 })).toEqual([
          ["suspended", "running"],
          ["pending"]
        ])
        expect(yield* pages({ status: ["suspended"], limit: 9 })).toEqual([["other", "suspended"]])
        expect(
          yield* pages({ status: ["suspended", "pending"], workflow: "Order", limit: 1 })
        ).toEqual([["suspended"], ["pending"]])
        expect(yield* pages({ status: [], limit: 9 })).toEqual([[]])
      }).pipe(Effect.provide(layer))
    )

    it.effect("lists and counts the runs of any statuses as they are told", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const n of [1, 2]) {
          yield* store.create(aRun(`later ${n}`, { options: { startAt: 5_000 } }))
          for (const status of ["completed", "failed", "interrupted"] as const) {
            const { held } = yield* begin(executor, `${status} ${n}`)
            yield* store.complete({ held, status, exit: "1" })
          }
          yield* begin(executor, `running ${n}`)
          yield* suspend(yield* begin(executor, `suspended ${n}`))
        }
        for (const n of [1, 2]) yield* store.create(aRun(`pending ${n}`))
        const all = (yield* store.list({ limit: 99 })).runs
        expect(all).toHaveLength(14)
        for (let set = 0; set < 2 ** statuses.length; set++) {
          const status = statuses.filter((_, bit) => (set >> bit) % 2 === 1)
          const expected = all.filter((run) => status.includes(run.status))
          const listed = (yield* pages({ status, limit: 3 })).flat()
          expect(listed, `${status}`).toEqual(expected.map(({ runId }) => runId))
          const counted = Object.values(yield* store.countBy({ status }))
          expect(counted.reduce((a, b) => a + b)).toBe(expected.length)
          expect(yield* pages({ status, blocked: true, limit: 3 })).toEqual([[]])
        }
      }).pipe(Effect.provide(layer))
    )

    it.effect("finds one run, if it is among those that are asked for", () =>
      Effect.gen(function* () {
        for (const runId of ["a", "b", "c"])
          yield* Effect.flatMap(register, (id) => begin(id, runId))
        expect(yield* pages({ runId: "b", limit: 1 })).toEqual([["b"]])
        expect(yield* pages({ runId: "b", workflow: "Order", roots: true, limit: 9 })).toEqual([
          ["b"]
        ])
        expect(yield* pages({ runId: "b", workflow: "Other", limit: 9 })).toEqual([[]])
        expect(yield* pages({ runId: "b", blocked: true, limit: 9 })).toEqual([[]])
        expect(yield* pages({ runId: "b", createdAfter: 1, limit: 9 })).toEqual([[]])
        expect(yield* pages({ runId: "none", limit: 9 })).toEqual([[]])
      }).pipe(Effect.provide(layer))
    )

    it.effect("lists only the runs that wait to be mended, and counts them", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* store.create(aRun("pending"))
        yield* suspend(yield* begin(executor, "waiting"))
        for (const runId of ["b", "c", "d"]) {
          yield* suspend(yield* begin(executor, runId), { cause: "1" })
        }
        yield* suspend(yield* begin(executor, "other", { workflow: "Other" }), { cause: "1" })
        const blocked = { blocked: true, limit: 2 }
        expect(yield* pages(blocked)).toEqual([
          ["other", "d"],
          ["c", "b"]
        ])
        expect(yield* pages({ ...blocked, workflow: "Order" })).toEqual([["d", "c"], ["b"]])
        expect(yield* store.blocked).toBe(4)
        yield* store.wake("c")
        yield* store.requestInterrupt("d")
        expect(yield* pages(blocked)).toEqual([["other", "b"]])
        expect(yield* store.blocked).toBe(2)
      }).pipe(Effect.provide(layer))
    )

    it.effect("lists only the runs that no other has started, or only those that one has", () =>
      Effect.gen(function* () {
        const executor = yield* register
        yield* begin(executor, "a")
        yield* begin(executor, "b")
        for (const [i, runId] of ["a", "b", "a", "a"].entries()) {
          const child = yield* begin(executor, `${i}`, { parent: { runId, awaits: i % 2 === 0 } })
          if (i === 2) yield* suspend(child, { cause: "1" })
        }
        expect(yield* pages({ roots: true, limit: 1 })).toEqual([["b"], ["a"]])
        expect(yield* pages({ parent: "a", limit: 2 })).toEqual([["3", "2"], ["0"]])
        expect(yield* pages({ parent: "b", limit: 9 })).toEqual([["1"]])
        expect(yield* pages({ parent: "a", blocked: true, limit: 9 })).toEqual([["2"]])
        expect(yield* pages({ parent: "a", roots: true, limit: 9 })).toEqual([[]])
        expect(yield* pages({ roots: true, blocked: true, limit: 9 })).toEqual([[]])
        expect(yield* pages({ parent: "no such run", limit: 9 })).toEqual([[]])
      }).pipe(Effect.provide(layer))
    )

    it.effect("finds the runs around a run, the first of many and how many they are", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { held } = yield* begin(executor, "p", { workflow: "Parent" })
        const around = (runId: string) =>
          Effect.map(store.findWithSteps(runId), (found) => {
            const { children, parents } = Option.getOrThrow(found)
            return { children, parents }
          })
        const nobody = { total: 0, first: [] }
        expect(yield* around("p")).toEqual({ children: nobody, parents: nobody })
        const parent = { runId: "p", awaits: false }
        for (let i = 0; i < 25; i++) {
          const child = yield* begin(executor, `${i}`, { parent })
          if (i === 0) {
            yield* store.complete({ held: child.held, status: "completed", exit: "1" })
          }
        }
        const { children } = yield* around("p")
        expect(children.total).toBe(25)
        expect(children.first).toHaveLength(20)
        expect(children.first.slice(0, 2)).toEqual([
          { runId: "0", workflow: "Order", status: "completed" },
          { runId: "1", workflow: "Order", status: "running" }
        ])
        expect((yield* around("24")).parents).toEqual({
          total: 1,
          first: [{ runId: "p", workflow: "Parent", status: "running" }]
        })
        yield* store.complete({ held, status: "completed", exit: "1" })
        yield* store.remove("0")
        expect((yield* around("p")).children.total).toBe(24)
        yield* store.remove("p")
        expect((yield* around("24")).parents).toEqual(nobody)
      }).pipe(Effect.provide(layer))
    )

    it.effect("finds the runs whose ids begin so, in the order of these", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        for (const runId of ["ab", "abc", "ab%", "abé", "aB", "b", "a"]) {
          yield* store.create(aRun(runId))
        }
        const ids = (prefix: string, limit = 9) =>
          Effect.map(store.beginningWith({ prefix, limit }), (runs) =>
            runs.map(({ runId }) => runId)
          )
        expect(yield* ids("ab")).toEqual(["ab", "ab%", "abc", "abé"])
        expect(yield* ids("ab", 2)).toEqual(["ab", "ab%"])
        expect(yield* ids("ab%")).toEqual(["ab%"])
        expect(yield* ids("abcd")).toEqual([])
        expect(yield* store.beginningWith({ prefix: "b", limit: 9 })).toEqual([
          { runId: "b", workflow: "Order", status: "pending" }
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("finds a rare run among tens of thousands", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* store.create(aRun("rare", { workflow: "Rare" }))
        yield* Effect.forEach(
          Array.from({ length: 12_000 }),
          (_, i) => store.create(aRun(`${i}`)),
          { concurrency: "unbounded", discard: true }
        )
        yield* store.create(aRun("rare too", { workflow: "Rare" }))
        expect(yield* pages({ workflow: "Rare", limit: 1 })).toEqual([["rare too"], ["rare"]])
        expect(yield* pages({ workflow: "Rare", limit: 9 })).toEqual([["rare too", "rare"]])
      }).pipe(Effect.provide(layer))
    )

    it.effect("answers which of many runs are over", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { held } = yield* begin(executor, "over")
        yield* begin(executor, "running")
        yield* store.complete({ held, status: "interrupted", exit: "1" })
        const runIds = ["over", "running", ...Array.from({ length: 40_000 }, (_, i) => `no ${i}`)]
        expect(yield* store.finished(runIds)).toEqual([{ runId: "over", exit: "1" }])
      }).pipe(Effect.provide(layer))
    )

    it.effect("answers which of many runs are not there", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* begin(executor, "over").pipe(
          Effect.flatMap(({ held }) => store.complete({ held, status: "completed", exit: "1" }))
        )
        yield* store.create(aRun("pending"))
        const gone = Array.from({ length: 40_000 }, (_, i) => `no ${i}`)
        expect(yield* store.missing(["over", ...gone, "pending"])).toEqual(gone)
        yield* store.remove("over")
        expect(yield* store.missing(["pending", "over"])).toEqual(["over"])
        expect(yield* store.missing([])).toEqual([])
      }).pipe(Effect.provide(layer))
    )

    it.effect("names each workflow that pending runs wait for once", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* begin(executor, "running", { workflow: "Running" })
        for (const [i, workflow] of ["B", "A", "B", "C", "A"].entries()) {
          yield* store.create(aRun(`${i}`, { workflow }))
        }
        expect(yield* store.pendingWorkflows).toEqual(["A", "B", "C"])
      }).pipe(Effect.provide(layer))
    )
  })
}
