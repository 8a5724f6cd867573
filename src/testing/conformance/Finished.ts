import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { type Completion, RunStore, type RunStoreError } from "../../store/RunStore.js"
import { aRun, aStep, begin, claimOne, register, statusOf, suspend } from "../Acts.js"

/** A run that is over. */
const over = (
  executor: number,
  runId: string,
  completion: Partial<Completion> = {},
  parent?: { readonly runId: string; readonly awaits: boolean }
) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const { held } = yield* begin(executor, runId, { parent })
    yield* store.complete({ held, status: "failed", exit: "0", ...completion })
    return held
  })

const retry = (runId: string, withChildren = false) =>
  Effect.flatMap(RunStore, (store) => store.retry({ runId, withChildren }))

const refused = (status: string, because: string) => ({ _tag: "Refused", status, because })

export const finished = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("retrying", () => {
    it.effect("makes a failed or an interrupted run pending, with what it has recorded", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        for (const status of ["failed", "interrupted"] as const) {
          const run = yield* begin(executor, status)
          yield* store.signal({ runId: status, name: "paid", exit: "1" })
          yield* store.requestInterrupt(status)
          const timers = [{ name: "t", wakeAt: 5 }]
          yield* store.recordStep(aStep(run.held, { timers }))
          yield* store.complete({ held: run.held, status, exit: "0" })
          expect(yield* retry(status)).toEqual({ _tag: "Done" })
          const again = yield* claimOne(executor)
          expect(again.held.runId).toBe(status)
          expect(again.held.claim).toBeGreaterThan(run.held.claim)
          expect(again.history).toMatchObject({
            steps: [{ name: "charge", attempt: 1 }],
            signals: [{ name: "paid", exit: "1" }],
            timers: [{ name: "t", wakeAt: 5 }],
            interruptRequested: false
          })
          const found = Option.getOrThrow(yield* store.find(status))
          expect([found.exit, found.completedAt]).toEqual([undefined, undefined])
          yield* store.complete({ held: again.held, status: "completed", exit: "2" })
          expect(yield* store.finished([status])).toEqual([{ runId: status, exit: "2" }])
        }
      }).pipe(Effect.provide(layer))
    )

    it.effect("forgets the failures that no completed step came after, and no other", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { held } = yield* begin(executor, "a")
        const step = (name: string, attempt: number, startedAt: number, completedAt: number) =>
          store.recordStep(aStep(held, { name, attempt, startedAt, completedAt }))
        const failure = (name: string, attempt: number, startedAt: number, completedAt: number) =>
          store.recordStep(
            aStep(held, { name, attempt, startedAt, completedAt, status: "failed", exit: "0" })
          )
        yield* failure("tried again", 1, 1, 2)
        yield* step("tried again", 2, 2, 3)
        yield* failure("handled", 1, 3, 4)
        yield* step("instead", 1, 4, 9)
        yield* failure("beside", 1, 5, 6)
        yield* failure("last", 1, 10, 11)
        yield* failure("last", 2, 12, 13)
        yield* store.complete({ held, status: "failed", exit: "0" })
        yield* retry("a")
        const { history } = yield* claimOne(executor)
        expect(history.steps.map(({ attempt, name }) => `${name}/${attempt}`).sort()).toEqual([
          "beside/1",
          "handled/1",
          "instead/1",
          "tried again/1",
          "tried again/2"
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("keeps a failure after which a step completed and another began, and only such", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const left = (runId: string, goesOn: boolean) =>
          Effect.gen(function* () {
            const { held } = yield* begin(executor, runId)
            const note = (name: string, startedAt: number, completedAt: number, exit?: string) =>
              store.recordStep(
                aStep(held, {
                  name,
                  startedAt,
                  completedAt,
                  ...(exit === undefined ? {} : { status: "failed" as const, exit })
                })
              )
            yield* note("fails", 1, 5, "0")
            // beside it
            yield* note("completes", 1, 9)
            if (goesOn) yield* note("another way", 9, 10, "0")
            yield* store.complete({ held, status: "failed", exit: "0" })
            yield* retry(runId)
            const { history } = yield* claimOne(executor)
            return history.steps.map(({ name }) => name).sort()
          })
        expect(yield* left("goes on", true)).toEqual(["completes", "fails"])
        expect(yield* left("ends", false)).toEqual(["completes"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("forgets a race that failed and that it did not get over, and no other signal", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { held } = yield* begin(executor, "a")
        const failure = `{"_tag":"Failure","cause":{"_tag":"Fail","error":"down"}}`
        const signal = (name: string, exit = failure) => store.signal({ runId: "a", name, exit })
        const step = (name: string) =>
          store.recordStep(aStep(held, { name, startedAt: 0, completedAt: 0 }))
        yield* signal("raceAll/got over")
        yield* step("goes on")
        yield* signal("raceAll/won", `{"_tag":"Success","value":1}`)
        yield* signal("raceAll/lost")
        yield* signal("from outside")
        yield* store.complete({ held, status: "failed", exit: failure })
        expect(yield* retry("a")).toEqual({ _tag: "Done" })
        const { history } = yield* claimOne(executor)
        expect(history.signals.map(({ name }) => name).sort()).toEqual([
          "from outside",
          "raceAll/got over",
          "raceAll/won"
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("refuses what did not fail, what is undone, and what is not there", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* over(executor, "completed", { status: "completed" })
        yield* over(executor, "undone", { compensated: true })
        const held = yield* begin(executor, "running")
        yield* suspend(yield* begin(executor, "suspended"))
        yield* store.create(aRun("pending"))
        expect(yield* retry("completed")).toEqual(refused("completed", "status"))
        for (const status of ["pending", "suspended", "running"]) {
          expect(yield* retry(status)).toEqual(refused(status, "status"))
        }
        expect(yield* retry("undone")).toEqual(refused("failed", "compensated"))
        expect(Option.getOrThrow(yield* store.find("undone")).compensated).toBe(true)
        expect(Option.getOrThrow(yield* store.find("completed")).compensated).toBeUndefined()
        expect(yield* retry("none")).toEqual({ _tag: "NotFound" })
        expect(yield* statusOf("undone")).toBe("failed")
        yield* store.complete({ held: held.held, status: "completed", exit: "1" })
      }).pipe(Effect.provide(layer))
    )

    it.effect("is refused while a parent goes on from its failure, and wakes one that waits", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const parent = yield* begin(executor, "parent")
        yield* over(executor, "child", {}, { runId: "parent", awaits: true })
        expect(yield* retry("child")).toEqual(refused("failed", "parent"))
        const history = yield* store.history(parent.held)
        yield* suspend({ ...parent, history }, { cause: '"failed"' })
        expect(yield* retry("child")).toEqual({ _tag: "Done" })
        const { held } = yield* claimOne(executor)
        yield* store.complete({ held, status: "completed", exit: "2" })
        const woken = yield* claimOne(executor)
        expect(woken.held.runId).toBe("parent")
        expect(woken.history.children).toEqual([{ runId: "child", exit: "2" }])
      }).pipe(Effect.provide(layer))
    )

    it.effect("is not refused because of a parent that does not await it, nor again", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const parent = yield* begin(executor, "parent")
        yield* over(executor, "child", {}, { runId: "parent", awaits: false })
        const history = yield* store.history(parent.held)
        yield* suspend({ ...parent, history }, { wakeAt: 1_000 })
        for (let n = 0; n < 2; n++) {
          expect(yield* retry("child")).toEqual({ _tag: "Done" })
          const { held } = yield* claimOne(executor)
          expect(held.runId).toBe("child")
          yield* store.complete({ held, status: "failed", exit: "2" })
          expect(yield* statusOf("parent")).toBe("suspended")
        }
      }).pipe(Effect.provide(layer))
    )

    it.effect("begins failed children again with it, and theirs, but not those it got over", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { held } = yield* begin(executor, "p")
        const of = { runId: "p", awaits: true }
        const step = (name: string) => store.recordStep(aStep(held, { name, startedAt: 0 }))
        yield* step("first")
        yield* over(executor, "got over", {}, of)
        // all of it in one millisecond: the order is that of the writes
        yield* step("second")
        yield* over(executor, "done", { status: "completed" }, of)
        yield* over(executor, "discarded", {}, { runId: "p", awaits: false })
        const child = yield* begin(executor, "failed", { parent: of })
        yield* over(
          executor,
          "grandchild",
          { status: "interrupted" },
          {
            runId: "failed",
            awaits: true
          }
        )
        yield* store.complete({ held: child.held, status: "failed", exit: "0" })
        yield* store.complete({ held, status: "failed", exit: "0" })

        expect(yield* retry("p")).toEqual({ ...refused("failed", "failed child"), runId: "failed" })
        expect(yield* statusOf("p")).toBe("failed")
        expect(yield* retry("p", true)).toEqual({ _tag: "Done" })
        for (const [runId, status] of [
          ["p", "pending"],
          ["failed", "pending"],
          ["grandchild", "pending"],
          ["got over", "failed"],
          ["done", "completed"],
          ["discarded", "failed"]
        ]) {
          expect([runId, yield* statusOf(runId ?? "")]).toEqual([runId, status])
        }
        // the parent waits for the child's new end
        const claimed = yield* store.claim({ executor, workflows: ["Order"], limit: 9 })
        const heldOf = (runId: string) => {
          const found = claimed.find(({ held }) => held.runId === runId)
          if (found === undefined) throw new Error(`${runId} was not claimed`)
          return found
        }
        yield* suspend(heldOf("p"))
        yield* store.complete({ held: heldOf("failed").held, status: "completed", exit: "2" })
        const woken = yield* claimOne(executor)
        expect(woken.history.children).toContainEqual({ runId: "failed", exit: "2" })
      }).pipe(Effect.provide(layer))
    )

    it.effect("begins none again where one of them cannot be, and names it", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { held } = yield* begin(executor, "p")
        const of = { runId: "p", awaits: true }
        yield* over(executor, "fine", {}, of)
        yield* over(executor, "undone", { compensated: true }, of)
        yield* store.complete({ held, status: "failed", exit: "0" })
        expect(yield* retry("p", true)).toEqual({
          ...refused("failed", "compensated"),
          runId: "undone"
        })
        for (const runId of ["p", "fine", "undone"]) {
          expect(yield* statusOf(runId)).toBe("failed")
        }
      }).pipe(Effect.provide(layer))
    )

    it.effect("is refused after one of its children was removed", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const parent = yield* begin(executor, "parent")
        yield* over(executor, "child", {}, { runId: "parent", awaits: true })
        yield* store.complete({ held: parent.held, status: "failed", exit: "0" })
        expect(yield* store.remove("child")).toEqual({ _tag: "Done" })
        expect(yield* retry("parent")).toEqual(refused("failed", "child"))
      }).pipe(Effect.provide(layer))
    )

    it.effect("refuses what the former holder still writes", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const held = yield* over(executor, "a")
        yield* retry("a")
        yield* claimOne(executor)
        expect((yield* Effect.flip(store.recordStep(aStep(held))))._tag).toBe("RunLost")
      }).pipe(Effect.provide(layer))
    )

    it.effect("is told to those who claim", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* over(yield* register, "a")
        const changes = yield* store.changes
        yield* retry("a")
        expect((yield* changes.take).pending).toBe(true)
      }).pipe(Effect.scoped, Effect.provide(layer))
    )
  })

  describe("removing", () => {
    it.effect("takes a run that is over away, with all that belongs to it", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { held } = yield* begin(executor, "a")
        yield* store.recordStep(aStep(held, { timers: [{ name: "t", wakeAt: 5 }] }))
        yield* store.signal({ runId: "a", name: "paid", exit: "1" })
        yield* store.complete({ held, status: "failed", exit: "0" })
        expect(yield* store.remove("a")).toEqual({ _tag: "Done" })
        expect(yield* store.remove("a")).toEqual({ _tag: "NotFound" })
        expect(Option.isNone(yield* store.findWithSteps("a"))).toBe(true)
        const { created } = yield* store.create(aRun("a"))
        expect(created).toBe(true)
        const { history } = yield* claimOne(executor)
        expect(history).toMatchObject({ steps: [], signals: [], timers: [], children: [] })
      }).pipe(Effect.provide(layer))
    )

    it.effect("refuses a run that is not over, or whose parent is not", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const parent = yield* begin(executor, "parent")
        yield* over(executor, "child", {}, { runId: "parent", awaits: false })
        expect(yield* store.remove("parent")).toEqual(refused("running", "status"))
        expect(yield* store.remove("child")).toEqual(refused("failed", "parent"))
        yield* store.complete({ held: parent.held, status: "completed", exit: "1" })
        expect(yield* store.remove("child")).toEqual({ _tag: "Done" })
        expect(yield* store.remove("parent")).toEqual({ _tag: "Done" })
      }).pipe(Effect.provide(layer))
    )

    it.effect("gives a later run nothing by which the removed one's holders write", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const old = yield* over(executor, "old")
        yield* store.remove("old")
        const later = yield* begin(executor, "later")
        expect(later.held.key).toBeGreaterThan(old.key)
        expect((yield* Effect.flip(store.recordStep(aStep(old))))._tag).toBe("RunLost")
      }).pipe(Effect.provide(layer))
    )
  })

  describe("pruning", () => {
    const all = (options: { readonly olderThanMillis?: number; readonly keep?: number }) =>
      Effect.gen(function* () {
        const store = yield* RunStore
        let removed = 0
        let more = true
        while (more) {
          const part = yield* store.prune({ ...options, limit: 2 })
          removed += part.removed
          more = part.more
        }
        const { runs } = yield* store.list({ limit: 99 })
        return { removed, left: runs.map(({ runId }) => runId) }
      })

    it.effect("by age removes what has been over for longer, and no other", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const late = yield* begin(executor, "late")
        yield* begin(executor, "running")
        for (const runId of ["a", "b", "c"]) yield* over(executor, runId)
        yield* TestClock.adjust(100)
        yield* store.complete({ held: late.held, status: "completed", exit: "1" })
        yield* over(executor, "young")
        expect(yield* all({ olderThanMillis: 100 })).toMatchObject({ removed: 0 })
        yield* TestClock.adjust(1)
        expect(yield* all({ olderThanMillis: 100 })).toEqual({
          removed: 3,
          left: ["young", "running", "late"]
        })
      }).pipe(Effect.provide(layer))
    )

    it.effect("by count keeps the newest that are over", () =>
      Effect.gen(function* () {
        const executor = yield* register
        yield* begin(executor, "running")
        for (const runId of ["a", "b", "c", "d", "e", "f"]) yield* over(executor, runId)
        expect(yield* all({ keep: 7 })).toMatchObject({ removed: 0 })
        expect(yield* all({ keep: 2 })).toEqual({ removed: 4, left: ["f", "e", "running"] })
        expect(yield* all({ keep: 0 })).toEqual({ removed: 2, left: ["running"] })
      }).pipe(Effect.provide(layer))
    )

    it.effect("spares children of unfinished runs, and nothing newer goes in their place", () =>
      Effect.gen(function* () {
        const executor = yield* register
        const parent = { runId: "parent", awaits: false }
        yield* begin(executor, "parent")
        for (const runId of ["c1", "c2", "c3"]) yield* over(executor, runId, {}, parent)
        for (const runId of ["a", "b"]) yield* over(executor, runId)
        expect(yield* all({ keep: 1 })).toEqual({
          removed: 1,
          left: ["b", "c3", "c2", "c1", "parent"]
        })
      }).pipe(Effect.provide(layer))
    )

    it.effect(
      "by age is by when they ended: one that was made in the future holds up no other",
      () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const executor = yield* register
          yield* TestClock.setTime(1_000_000)
          const ahead = yield* begin(executor, "ahead")
          yield* store.complete({ held: ahead.held, status: "completed", exit: "1" })
          yield* begin(executor, "made ahead")
          yield* TestClock.setTime(0)
          for (const runId of ["a", "b"]) yield* over(executor, runId)
          yield* TestClock.setTime(101)
          expect(yield* all({ olderThanMillis: 100 })).toEqual({
            removed: 2,
            left: ["made ahead", "ahead"]
          })
          yield* over(executor, "c")
          expect(yield* all({ keep: 1 })).toEqual({ removed: 1, left: ["made ahead", "ahead"] })
          yield* TestClock.setTime(1_000_101)
          expect(yield* all({ olderThanMillis: 100 })).toEqual({ removed: 1, left: ["made ahead"] })
        }).pipe(Effect.provide(layer))
    )

    it.effect("looks at spared children again only when their parent is removed", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const parent = { runId: "parent", awaits: false }
        const { held } = yield* begin(executor, "parent")
        for (const runId of ["c1", "c2", "c3"]) yield* over(executor, runId, {}, parent)
        yield* TestClock.adjust(100)
        expect(yield* all({ olderThanMillis: 10 })).toMatchObject({ removed: 0 })
        // none of them is in the way of what a part looks at
        expect(yield* store.prune({ olderThanMillis: 10, limit: 2 })).toEqual({
          removed: 0,
          more: false
        })
        expect((yield* store.counts).failed).toBe(3)
        yield* store.complete({ held, status: "completed", exit: "1" })
        yield* TestClock.adjust(11)
        expect(yield* all({ olderThanMillis: 10 })).toEqual({ removed: 4, left: [] })
      }).pipe(Effect.provide(layer))
    )

    it.effect("takes a spared child that was retried, or whose parent was removed by hand", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const parent = { runId: "parent", awaits: false }
        const begun = yield* begin(executor, "parent")
        for (const runId of ["c1", "c2"]) yield* over(executor, runId, {}, parent)
        expect(yield* all({ keep: 0 })).toMatchObject({ removed: 0 })
        // the parent waits to be mended
        yield* suspend(begun, { cause: '"broken"' })
        expect(yield* retry("c1")).toEqual({ _tag: "Done" })
        const again = yield* claimOne(executor)
        yield* TestClock.adjust(1)
        yield* store.complete({ held: again.held, status: "failed", exit: "0" })
        expect(yield* all({ keep: 0 })).toMatchObject({ removed: 0 })
        yield* store.terminate({ runId: "parent", exit: "0", children: false })
        yield* store.remove("parent")
        expect(yield* all({ keep: 1 })).toEqual({ removed: 1, left: ["c1"] })
        expect(yield* all({ keep: 0 })).toEqual({ removed: 1, left: [] })
        expect(yield* store.counts).toMatchObject({ failed: 0, interrupted: 0 })
      }).pipe(Effect.provide(layer))
    )

    it.effect("with neither removes nothing", () =>
      Effect.gen(function* () {
        yield* over(yield* register, "a")
        yield* TestClock.adjust("10 days")
        expect(yield* all({})).toEqual({ removed: 0, left: ["a"] })
      }).pipe(Effect.provide(layer))
    )
  })

  it.effect("counts the runs in each status", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const none = { pending: 0, running: 0, suspended: 0, completed: 0, failed: 0, interrupted: 0 }
      expect(yield* store.counts).toEqual(none)
      const executor = yield* register
      yield* store.create(aRun("p"))
      yield* begin(executor, "r")
      yield* suspend(yield* begin(executor, "s"))
      yield* over(executor, "f")
      yield* over(executor, "c", { status: "completed" })
      yield* over(executor, "i", { status: "interrupted" })
      yield* over(executor, "i2", { status: "interrupted" })
      const each = { pending: 1, running: 1, suspended: 1, completed: 1, failed: 1, interrupted: 2 }
      expect(yield* store.counts).toEqual(each)
      yield* store.remove("i")
      yield* retry("f")
      yield* store.wake("s")
      expect(yield* store.counts).toEqual({
        ...none,
        pending: 3,
        running: 1,
        completed: 1,
        interrupted: 1
      })
    }).pipe(Effect.provide(layer))
  )
}
