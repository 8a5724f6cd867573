/** Schedules: written whole or not at all, by who has seen them as they are. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import {
  type FoundSchedule,
  RunStore,
  type RunStoreError,
  type StoredSchedule
} from "../../store/RunStore.js"
import { claimOne, drain, register, statusOf } from "../Acts.js"

type Store = RunStore["Type"]

export const aSchedule = (
  name: string,
  schedule: Partial<StoredSchedule> = {}
): StoredSchedule => ({
  name,
  workflow: "Order",
  payload: `{"id":"${name}"}`,
  definition: `{"every":"1 minute"}`,
  origin: "set",
  paused: false,
  createdAt: 1,
  changedAt: 2,
  decidedTo: 3,
  waitingTick: undefined,
  nextAt: 60,
  started: 0,
  lastStarted: undefined,
  lastSkipped: undefined,
  lastMissed: undefined,
  ...schedule
})

export const putSchedule = (store: Store, name: string, schedule: Partial<StoredSchedule> = {}) =>
  store.changeSchedule({
    schedule: aSchedule(name, schedule),
    version: undefined,
    starts: [],
    interrupts: []
  })

export const foundSchedule = (
  store: Store,
  name: string
): Effect.Effect<FoundSchedule, RunStoreError> =>
  Effect.flatMap(
    store.findSchedule(name),
    Option.match({
      onNone: () => Effect.dieMessage(`No schedule ${name}`),
      onSome: (found) => Effect.succeed(found)
    })
  )

/** Starts these runs, as one that has seen the schedule as it is now. */
export const startRuns = (
  store: Store,
  { schedule, version }: FoundSchedule,
  runIds: ReadonlyArray<string>,
  changed: Partial<StoredSchedule> = {}
) =>
  store.changeSchedule({
    schedule: { ...schedule, started: schedule.started + runIds.length, ...changed },
    version,
    starts: runIds.map((runId) => ({ runId })),
    interrupts: []
  })

const names = (found: ReadonlyArray<FoundSchedule>) => found.map(({ schedule }) => schedule.name)

const due = (now: number, workflows: ReadonlyArray<string> = ["Order"]) =>
  Effect.flatMap(RunStore, (store) =>
    Effect.map(store.dueSchedules({ workflows, now, limit: 9 }), names)
  )

export const schedules = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("schedules", () => {
    it.effect("are there as they were put, each with all that is known of it", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        expect(yield* store.findSchedule("a")).toEqual(Option.none())
        const full = aSchedule("a", {
          origin: "declared",
          paused: true,
          waitingTick: 4,
          started: 5,
          lastStarted: 6,
          lastSkipped: 7,
          lastMissed: 8
        })
        yield* putSchedule(store, "b")
        yield* putSchedule(store, "a", full)
        expect((yield* foundSchedule(store, "a")).schedule).toEqual(full)
        expect((yield* foundSchedule(store, "b")).schedule).toEqual(aSchedule("b"))
        expect((yield* foundSchedule(store, "b")).underWay).toEqual([])
        expect(names(yield* store.listSchedules({ limit: 9 }))).toEqual(["a", "b"])
        expect(names(yield* store.listSchedules({ limit: 1 }))).toEqual(["a"])
        expect(names(yield* store.listSchedules({ limit: 9, after: "a" }))).toEqual(["b"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("are put by one, and changed by who has seen them as they are", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        expect(Option.isSome(yield* putSchedule(store, "a"))).toBe(true)
        expect(Option.isNone(yield* putSchedule(store, "a", { started: 9 }))).toBe(true)
        const seen = yield* foundSchedule(store, "a")
        expect(Option.isSome(yield* startRuns(store, seen, [], { decidedTo: 10 }))).toBe(true)
        // of what it was before nobody knows any more
        expect(Option.isNone(yield* startRuns(store, seen, ["late"], { decidedTo: 20 }))).toBe(true)
        expect(yield* store.find("late")).toEqual(Option.none())
        const now = yield* foundSchedule(store, "a")
        expect(now.schedule).toEqual({ ...aSchedule("a"), decidedTo: 10 })
        // and what is decided stays so
        expect(Option.isNone(yield* startRuns(store, now, ["back"], { decidedTo: 9 }))).toBe(true)
        expect(yield* store.find("back")).toEqual(Option.none())
      }).pipe(Effect.provide(layer))
    )

    it.effect("have a run under way that is retried", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const [one, two] = ["1970-01-01T00:01:00.000Z", "1970-01-01T00:02:00.000Z"].map(
          (tick) => `schedule/a/${tick}`
        )
        if (one === undefined || two === undefined) return
        yield* putSchedule(store, "a")
        for (const runId of [one, two]) {
          yield* startRuns(store, yield* foundSchedule(store, "a"), [runId])
          const { held } = yield* claimOne(executor)
          yield* store.complete({ held, status: "failed", exit: "0" })
        }
        expect((yield* foundSchedule(store, "a")).underWay).toEqual([])
        yield* store.retry({ runId: one })
        expect((yield* foundSchedule(store, "a")).underWay).toEqual([
          { runId: one, interruptRequested: false }
        ])
        // and that of one that was removed is of none
        const { held } = yield* claimOne(executor)
        yield* store.complete({ held, status: "failed", exit: "0" })
        yield* store.removeSchedule("a")
        yield* store.retry({ runId: one })
        yield* putSchedule(store, "a")
        expect((yield* foundSchedule(store, "a")).underWay).toEqual([])
      }).pipe(Effect.provide(layer))
    )

    it.effect("that are removed and put again are not what they were", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* putSchedule(store, "a")
        const seen = yield* foundSchedule(store, "a")
        expect(yield* store.removeSchedule("a")).toBe(true)
        expect(yield* store.removeSchedule("a")).toBe(false)
        expect(Option.isNone(yield* startRuns(store, seen, ["late"]))).toBe(true)
        yield* TestClock.adjust(1)
        yield* putSchedule(store, "a")
        expect(Option.isNone(yield* startRuns(store, seen, ["late"]))).toBe(true)
        expect(yield* store.find("late")).toEqual(Option.none())
      }).pipe(Effect.provide(layer))
    )

    it.effect("start runs, which wait to be claimed; one that is there stays as it is", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* store.create({ runId: "there", workflow: "Order", payload: "{}" })
        yield* putSchedule(store, "a")
        const started = yield* startRuns(store, yield* foundSchedule(store, "a"), ["new", "there"])
        expect(
          Option.map(started, (runs) =>
            runs.map(({ claimed, created, run }) => [run.runId, run.payload, created, claimed])
          )
        ).toEqual(
          Option.some([
            ["new", `{"id":"a"}`, true, undefined],
            ["there", "{}", false, undefined]
          ])
        )
        const claimed = yield* store.claim({ executor, workflows: ["Order"], limit: 9 })
        expect(claimed.map(({ held }) => held.runId)).toEqual(["there", "new"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("know which of their runs are under way, and interrupt them", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* putSchedule(store, "a")
        yield* startRuns(store, yield* foundSchedule(store, "a"), ["one", "two"])
        const { underWay } = yield* foundSchedule(store, "a")
        expect(underWay).toEqual([
          { runId: "one", interruptRequested: false },
          { runId: "two", interruptRequested: false }
        ])
        const { held } = yield* claimOne(executor)
        yield* store.complete({ held, status: "completed", exit: "1" })
        const seen = yield* foundSchedule(store, "a")
        expect(seen.underWay).toEqual([{ runId: "two", interruptRequested: false }])
        const { schedule, version } = seen
        yield* store.changeSchedule({ schedule, version, starts: [], interrupts: ["two"] })
        expect((yield* foundSchedule(store, "a")).underWay).toEqual([
          { runId: "two", interruptRequested: true }
        ])
        expect(Option.map(yield* store.find("two"), (run) => run.interruptRequested)).toEqual(
          Option.some(true)
        )
        // those that are over are none of it, however they came to that
        yield* store.terminate({ runId: "two", exit: "2", children: false })
        expect((yield* foundSchedule(store, "a")).underWay).toEqual([])
        yield* store.remove("two")
        yield* startRuns(store, yield* foundSchedule(store, "a"), ["three"])
        expect((yield* foundSchedule(store, "a")).underWay.map(({ runId }) => runId)).toEqual([
          "three"
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("leave their runs when they are removed", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* putSchedule(store, "a")
        yield* startRuns(store, yield* foundSchedule(store, "a"), ["one"])
        yield* store.removeSchedule("a")
        expect(yield* statusOf("one")).toBe("pending")
        yield* putSchedule(store, "a")
        expect((yield* foundSchedule(store, "a")).underWay).toEqual([])
      }).pipe(Effect.provide(layer))
    )

    it.effect("are due when their time has come, the first one first", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* putSchedule(store, "late", { nextAt: 20 })
        yield* putSchedule(store, "early", { nextAt: 10 })
        yield* putSchedule(store, "paused", { nextAt: 10, paused: true })
        yield* putSchedule(store, "never", { nextAt: undefined })
        yield* putSchedule(store, "elsewhere", { nextAt: 15, workflow: "Other" })
        expect(yield* due(9)).toEqual([])
        expect(yield* due(10)).toEqual(["early"])
        expect(yield* due(20)).toEqual(["early", "late"])
        expect(yield* due(20, ["Order", "Other"])).toEqual(["early", "elsewhere", "late"])
        expect(yield* due(20, [])).toEqual([])
        const next = (after: number, workflows = ["Order"]) =>
          store.nextSchedule({ workflows, after })
        expect(yield* next(0)).toEqual(Option.some(10))
        expect(yield* next(10)).toEqual(Option.some(20))
        expect(yield* next(10, ["Other", "Order"])).toEqual(Option.some(15))
        expect(yield* next(20)).toEqual(Option.none())
        expect(yield* next(0, [])).toEqual(Option.none())
      }).pipe(Effect.provide(layer))
    )

    it.effect("are due when a tick waits and nothing of it is under way", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* putSchedule(store, "a", { nextAt: undefined, waitingTick: 5 })
        yield* putSchedule(store, "paused", { nextAt: undefined, waitingTick: 5, paused: true })
        expect(yield* due(0)).toEqual(["a"])
        yield* startRuns(store, yield* foundSchedule(store, "a"), ["one"])
        expect(yield* due(1_000)).toEqual([])
        const { held } = yield* claimOne(executor)
        expect(yield* due(1_000)).toEqual([])
        yield* store.complete({ held, status: "failed", exit: "1" })
        expect(yield* due(0)).toEqual(["a"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("tell that they have changed, and of the runs that they start", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const changes = yield* store.changes
        yield* putSchedule(store, "a")
        yield* putSchedule(store, "a")
        yield* startRuns(store, yield* foundSchedule(store, "a"), ["one"])
        yield* store.removeSchedule("a")
        const told = (yield* drain(changes)).filter((change) => change.schedules === true)
        expect(told.map(({ pending }) => pending)).toEqual([false, true, false])
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.effect("find the last runs of an id that begins so", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* putSchedule(store, "a")
        const ids = ["s/a/1", "s/a/2", "s/a/3", "s/ab/9", "s/a"]
        yield* startRuns(store, yield* foundSchedule(store, "a"), ids)
        yield* TestClock.adjust(50)
        const { held } = yield* claimOne(executor)
        yield* store.complete({ held, status: "completed", exit: "1" })
        const found = yield* store.lastBeginningWith({ prefix: "s/a/", limit: 2 })
        expect(found.map(({ runId, status }) => [runId, status])).toEqual([
          ["s/a/3", "pending"],
          ["s/a/2", "pending"]
        ])
        const all = yield* store.lastBeginningWith({ prefix: "s/a/", limit: 9 })
        expect(all.at(-1)).toEqual({
          runId: "s/a/1",
          workflow: "Order",
          status: "completed",
          createdAt: 0,
          completedAt: 50
        })
      }).pipe(Effect.provide(layer))
    )
  })
}
