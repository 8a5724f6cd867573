import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { ClaimedRun, RunLost, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, aStep, begin, claimOne, leaseMillis, register, statusOf, suspend } from "../Acts.js"

const terminate = (runId: string, options: { readonly children?: boolean } = {}) =>
  Effect.flatMap(RunStore, (store) =>
    store.terminate({ runId, exit: `"ended"`, children: false, ...options })
  )

const ended = (...runIds: ReadonlyArray<string>) => ({
  _tag: "Done",
  runs: runIds.map((runId) => ({ runId, workflow: "Order" }))
})

/** Runs in each status that is not the last. */
const unfinished = {
  pending: Effect.asVoid(Effect.flatMap(RunStore, (store) => store.create(aRun("a")))),
  running: Effect.asVoid(Effect.flatMap(register, (executor) => begin(executor, "a"))),
  suspended: Effect.gen(function* () {
    yield* suspend(yield* begin(yield* register, "a"), {
      wakeAt: 9,
      timers: [{ name: "t", wakeAt: 9 }]
    })
  }),
  "suspended after a failure": Effect.gen(function* () {
    yield* suspend(yield* begin(yield* register, "a"), { cause: '"broken"' })
  }),
  "suspended, in memory": Effect.gen(function* () {
    const store = yield* RunStore
    const { held, history } = yield* begin(yield* register, "a")
    yield* store.suspend({
      held,
      wakeups: history.wakeups,
      timers: [],
      wakeAt: undefined,
      cause: undefined,
      keep: true
    })
  }),
  "asked for its interrupt": Effect.gen(function* () {
    const store = yield* RunStore
    yield* begin(yield* register, "a")
    yield* store.requestInterrupt("a")
  })
}

export const terminating = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("terminating", () => {
    for (const [name, make] of Object.entries(unfinished)) {
      it.scoped(`ends a run that is ${name}, at once and for good`, () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          yield* make
          yield* TestClock.adjust(5)
          const changes = yield* store.changes
          expect(yield* terminate("a")).toEqual(ended("a"))
          expect((yield* changes.take).finished).toEqual([{ runId: "a", exit: `"ended"` }])
          const run = Option.getOrThrow(yield* store.find("a"))
          expect(run).toMatchObject({
            status: "interrupted",
            exit: `"ended"`,
            completedAt: 5,
            cause: undefined,
            executor: undefined
          })
          // nothing wakes it, takes it or gives it back
          yield* store.wake("a")
          yield* store.requestInterrupt("a")
          yield* store.signal({ runId: "a", name: "late", exit: "1" })
          yield* TestClock.adjust(leaseMillis + 1)
          expect(yield* store.takeOver({ limit: 9 })).toBe(0)
          expect(yield* store.wakeDue(9)).toBe(0)
          expect(yield* statusOf("a")).toBe("interrupted")
          expect((yield* store.counts).interrupted).toBe(1)
          expect(yield* store.finished(["a"])).toEqual([{ runId: "a", exit: `"ended"` }])
        }).pipe(Effect.provide(layer))
      )
    }

    it.effect("refuses a run that is over, with its status, and one that is not there", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { held } = yield* begin(yield* register, "a")
        yield* store.complete({ held, status: "failed", exit: `"first"` })
        const before = yield* store.find("a")
        for (const children of [false, true]) {
          const refused = { _tag: "Refused", status: "failed", because: "status" }
          expect(yield* terminate("a", { children })).toEqual(refused)
          expect(yield* terminate("none", { children })).toEqual({ _tag: "NotFound" })
        }
        expect(yield* store.find("a")).toEqual(before)
        yield* store.create(aRun("b"))
        yield* terminate("b")
        expect(yield* terminate("b")).toMatchObject({ _tag: "Refused", status: "interrupted" })
      }).pipe(Effect.provide(layer))
    )

    it.effect("keeps what is recorded, and the run is not retried", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const { held } = yield* begin(yield* register, "a")
        yield* store.recordStep(aStep(held))
        yield* terminate("a")
        const { steps } = Option.getOrThrow(yield* store.findWithSteps("a"))
        expect(steps.map(({ name }) => name)).toEqual(["charge"])
        expect(yield* store.retry({ runId: "a" })).toEqual({
          _tag: "Refused",
          status: "interrupted",
          because: "terminated"
        })
        expect(yield* store.remove("a")).toEqual({ _tag: "Done" })
      }).pipe(Effect.provide(layer))
    )

    it.scoped("tells its holder, here and elsewhere, that its hold is over", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const { held } = yield* begin(executor, "a")
        yield* begin(executor, "b")
        const changes = yield* store.changes
        yield* terminate("a")
        const { woken } = yield* changes.take
        expect(woken).toMatchObject([{ runId: "a", over: true }])
        expect(woken[0]?.claim).toBeGreaterThan(held.claim)
        const told = yield* store.wokenRuns(executor)
        expect(told).toMatchObject([{ held: { runId: "a" }, over: true }])
        expect(told[0]?.held.claim).toBeGreaterThan(held.claim)
        expect(yield* store.wokenRuns(executor + 1)).toEqual([])
        // also when the run is gone by then, and until somebody renews a lease ten minutes later
        yield* store.remove("a")
        yield* TestClock.adjust("9 minutes")
        const lease = { leaseMillis, state: "running" } as const
        yield* store.renew(executor, lease)
        expect(yield* store.wokenRuns(executor)).toHaveLength(1)
        yield* TestClock.adjust("2 minutes")
        yield* terminate("b")
        yield* store.renew(executor, lease)
        expect(yield* store.wokenRuns(executor)).toMatchObject([{ held: { runId: "b" } }])
      }).pipe(Effect.provide(layer))
    )

    it.effect("wakes the runs that wait for it, as its interrupt would", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const parent = yield* begin(executor, "parent")
        yield* store.create(aRun("child", { parent: { runId: "parent", awaits: true } }))
        yield* suspend(parent)
        expect(yield* terminate("child", { children: true })).toEqual(ended("child"))
        const woken = yield* claimOne(executor)
        expect(woken.held.runId).toBe("parent")
        expect(woken.history.children).toEqual([{ runId: "child", exit: `"ended"` }])
      }).pipe(Effect.provide(layer))
    )

    it.effect("leaves what the run has started, or ends it all the way down", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const child = (runId: string, parent: string, awaits = true) =>
          store.create(aRun(runId, { parent: { runId: parent, awaits } }))
        yield* store.create(aRun("root"))
        yield* store.create(aRun("other"))
        yield* child("c1", "root")
        yield* child("c2", "root", false)
        yield* child("g1", "c1")
        yield* child("g2", "c1")
        // what one that is over has started, and one that has come back to where it began
        yield* child("g3", "c2")
        yield* child("root", "g3", false)
        expect(yield* terminate("c2")).toEqual(ended("c2"))
        expect(yield* statusOf("g3")).toBe("pending")
        expect(yield* terminate("root", { children: true })).toEqual(
          ended("root", "c1", "g1", "g2", "g3")
        )
        expect(yield* statusOf("other")).toBe("pending")
        expect(yield* store.counts).toMatchObject({ pending: 1, interrupted: 6 })
      }).pipe(Effect.provide(layer))
    )

    it.effect("ends what is below a run that is over, where that was left", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* store.create(aRun("root"))
        yield* store.create(aRun("child", { parent: { runId: "root", awaits: false } }))
        yield* terminate("root")
        expect(yield* terminate("root", { children: true })).toEqual(ended("child"))
        expect((yield* terminate("root", { children: true }))._tag).toBe("Refused")
      }).pipe(Effect.provide(layer))
    )

    it.effect("ends more than one transaction takes", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* store.create(aRun("root"))
        const child = (runId: string, parent: string) =>
          store.create(aRun(runId, { parent: { runId: parent, awaits: true } }))
        const numbers = Array.from({ length: 450 }, (_, index) => index)
        yield* Effect.forEach(numbers, (n) => child(`c${n}`, "root"), { concurrency: "unbounded" })
        yield* Effect.forEach(numbers, (n) => child(`g${n}`, `c${n}`), { concurrency: "unbounded" })
        const answer = yield* terminate("root", { children: true })
        expect(answer).toMatchObject({ _tag: "Done" })
        expect(yield* store.counts).toMatchObject({ pending: 0, interrupted: 901 })
      }).pipe(Effect.provide(layer))
    )

    it.effect("beside writes of the holder: what was not first is refused", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const writes: Record<
          string,
          (run: ClaimedRun) => Effect.Effect<unknown, RunStoreError | RunLost, RunStore>
        > = {
          record: ({ held }) => store.recordStep(aStep(held)),
          suspend,
          complete: ({ held }) => store.complete({ held, status: "completed", exit: `"done"` }),
          history: ({ held }) => store.history(held),
          claim: () => store.claim({ executor, workflows: ["Order"], limit: 9 })
        }
        for (const [name, write] of Object.entries(writes)) {
          for (const first of ["write", "terminate"]) {
            const runId = `${name}, ${first} first`
            const run = yield* begin(executor, runId)
            const both = [Effect.either(write(run)), Effect.either(terminate(runId))]
            if (first === "terminate") both.reverse()
            // together in one transaction, or one after the other
            yield* Effect.all(both, { concurrency: "unbounded" })
            const { status, exit } = Option.getOrThrow(yield* store.find(runId))
            expect([`"done"`, `"ended"`]).toContain(exit)
            expect(status).toBe(exit === `"done"` ? "completed" : "interrupted")
            const late = yield* Effect.either(
              store.recordStep(aStep(run.held, { name: "late", timers: [] }))
            )
            expect(late._tag).toBe("Left")
          }
        }
        expect(yield* store.claim({ executor, workflows: ["Order"], limit: 9 })).toEqual([])
      }).pipe(Effect.provide(layer))
    )
  })
}
