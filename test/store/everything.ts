/** Every operation of a store, for tests that look at the statements that it executes. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { type Arrival, RunStore } from "../../src/store/RunStore.js"
import { aRun, aStep, begin, claimOne, register, suspend } from "../../src/testing/Acts.js"
import { foundSchedule, putSchedule, startRuns } from "../../src/testing/conformance/Schedules.js"

/** Calls every operation, so that every statement of the store is executed. */
export const everything = Effect.gen(function* () {
  const store = yield* RunStore
  const executor = yield* register
  yield* store.create(aRun("old"))
  yield* store.release([{ held: (yield* claimOne(executor)).held, timers: [] }])
  const run = yield* claimOne(executor)
  const timers = [{ name: "t", wakeAt: 0 }]
  const begun = { held: run.held, name: "begun", attempt: 1, startedAt: 1, completedAt: undefined }
  yield* store.noteStep({ ...begun, status: "running" })
  yield* store.recordStep(aStep(run.held, { timers }))
  yield* store.recordStep(aStep(run.held))
  yield* store.waitsForRoom(run.held)
  yield* store.letOthersTry(run.held)
  yield* store.progressed(run.held)
  yield* store.survived([run.held])
  yield* store.signal({ runId: "old", name: "paid", exit: "1" })
  const child = yield* begin(executor, "child", { parent: { runId: "old", awaits: true } })
  yield* suspend(run)
  const history = yield* store.history(run.held)
  yield* suspend({ ...run, history }, { wakeAt: 0 })
  yield* store.wakeDue(9)
  yield* store.complete({ held: child.held, status: "completed", exit: "1" })
  yield* store.create(aRun("child"))
  yield* store.wake("old")
  yield* store.requestInterrupt("old")
  const son = { parent: { runId: "daughter", awaits: true } }
  const daughter = yield* begin(executor, "daughter")
  yield* begin(executor, "son", son)
  yield* store.by(daughter.held).interruptChild("son")
  yield* store.renew(executor, { leaseMillis: 0, state: "running" })
  yield* store.releaseAll(executor, 9)
  yield* store.takeOver({ limit: 9 })
  for (let death = 0; death < 2; death++) {
    const dies = yield* register
    yield* store.claim({ executor: dies, workflows: ["Order"], limit: 1 })
    yield* store.takeOver({ limit: 9, dead: [dies] })
  }
  yield* store.wake("old")
  yield* store.unregister(executor)
  yield* store.remove("child")
  const again = yield* begin(yield* register, "again")
  yield* store.complete({ held: again.held, status: "failed", exit: "0" })
  yield* store.retry({ runId: "again" })
  yield* store.create(aRun("below", { parent: { runId: "again", awaits: true } }))
  yield* store.terminate({ runId: "again", exit: "0", children: true })
  yield* store.pauseWorkflow({ workflow: "Order", parks: false })
  yield* store.claim({ executor, workflows: ["Order"], limit: 1 })
  yield* store.pausedWorkflows
  yield* store.parkedQueues
  yield* store.resumeWorkflow("Order")
  const arriving = (runId: string, arrival: Arrival) =>
    store.create(aRun(runId, { queue: { name: "arrivals", key: "", limits: {}, arrival } }))
  yield* arriving("first", { debounce: { period: 60_000 } })
  yield* arriving("second", { debounce: { period: 60_000 } })
  yield* arriving("third", { singleton: "skip" })
  yield* arriving("fourth", { singleton: "cancel" })
  yield* store.remove("again")
  const mother = yield* begin(yield* register, "mother")
  const parent = { runId: "mother", awaits: false }
  const spared = yield* begin(yield* register, "spared", { parent })
  yield* store.complete({ held: spared.held, status: "failed", exit: "0" })
  yield* store.prune({ olderThanMillis: -1, keep: 0, limit: 9 })
  yield* store.complete({ held: mother.held, status: "failed", exit: "0" })
  yield* store.remove("mother")
  yield* store.signal({ runId: "nobody", name: "early", exit: "1" })
  yield* store.signal({ runId: "old", name: "late", exit: "1" })
  yield* store.expire({ olderThanMillis: -1, limit: 9 })
  yield* store.histories([run.held])
  yield* store.sawWakeups([{ held: run.held, wakeups: 1 }])
  yield* store.counts
  yield* store.oldestPending
  yield* store.findWithSteps("old")
  yield* store.steps("old", { limit: 9, after: { startedAt: 0, position: 0 } })
  yield* store.step({ runId: "old", name: "charge", attempt: 1 })
  yield* store.stepFailedWith({ runId: "old", text: "charged" })
  yield* store.beginningWith({ prefix: "many", limit: 9 })
  yield* store.finished(["old"])
  yield* store.missing(["old"])
  yield* store.wokenRuns(executor)
  yield* store.list({ limit: 9 })
  for (const blocked of [true, false]) {
    yield* store.list({ limit: 9, blocked, parent: "old" })
    yield* store.list({ limit: 9, blocked, roots: true })
    yield* store.list({ limit: 9, blocked })
  }
  yield* store.list({ limit: 9, runId: "old" })
  yield* store.list({ limit: 9, labels: { tags: ["a", "b"] } })
  for (const status of [
    ["failed"],
    ["running", "pending"],
    ["suspended"],
    ["completed"]
  ] as const) {
    yield* store.list({ limit: 9, status })
    yield* store.countBy({ status })
  }
  for (const filter of [{}, { parent: "old" }, { blocked: true }, { labels: { tags: ["a"] } }]) {
    yield* store.countBy(filter)
  }
  yield* store.countBy({ runId: "old" })
  yield* bulk
  yield* withOptions
  yield* store.blocked
  yield* Effect.all([store.nextWakeAt, store.pendingWorkflows, store.executors])
  yield* putSchedule(store, "nightly", { waitingTick: 1 })
  yield* startRuns(store, yield* foundSchedule(store, "nightly"), ["ticked"])
  yield* store.dueSchedules({ workflows: ["Order", "Line"], now: 99, limit: 9 })
  yield* store.nextSchedule({ workflows: ["Order", "Line"], after: 9 })
  yield* store.lastBeginningWith({ prefix: "many", limit: 9 })
  yield* store.removeSchedule("nightly")
  yield* manyAtOnce
})

const bulk = Effect.gen(function* () {
  const store = yield* RunStore
  const executor = yield* register
  const leaseMillis = 1_000
  const asked = { action: "retry", filter: {}, options: {}, matched: 1 } as const
  const { id } = yield* store.createBulk(asked)
  yield* store.hasBulk
  const operation = Option.getOrThrow(yield* store.claimBulk({ executor, leaseMillis }))
  yield* store.advanceBulk({ operation, executor, leaseMillis, done: 1, refused: {}, cursor: 1 })
  yield* store.cancelBulk(id)
  yield* store.findBulk(id)
  yield* store.bulks
})

const withOptions = Effect.gen(function* () {
  const store = yield* RunStore
  const executor = yield* register
  const rate = { limit: 1, window: 1 }
  const queue = { name: "q", key: "k", limits: { concurrency: 2, perKey: 1, rate } }
  const options = { startAt: 1, timeout: 1, priority: 1, tags: ["a"] }
  yield* store.create(aRun("later", { options, queue }))
  for (const runId of ["queued", "queued too"]) yield* store.create(aRun(runId, { queue }))
  yield* store.create(aRun("queued", { queue, replace: true }))
  yield* store.claim({ executor, workflows: ["Order"], limit: 9 })
  yield* TestClock.adjust(1)
  yield* store.wakeDue(9)
  yield* store.changeQueue({ name: "q", override: { concurrency: 1 }, paused: true })
  yield* store.wake("queued")
  yield* store.changeQueue({ name: "q", paused: false })
  yield* store.queues
})

/** Several rows take one statement, which is another than that for one. */
const manyAtOnce = Effect.gen(function* () {
  const store = yield* RunStore
  const executor = yield* register
  const atOnce = { concurrency: "unbounded" } as const
  const runs = yield* Effect.forEach(
    Array.from({ length: 70 }, (_, index) => `many-${index}`),
    (runId) => begin(executor, runId),
    atOnce
  )
  yield* Effect.forEach(runs, ({ held }) => store.recordStep(aStep(held)), atOnce)
  yield* Effect.forEach(
    runs,
    ({ held }) => store.complete({ held, status: "completed", exit: "1" }),
    atOnce
  )
})
