import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Events from "../src/events/Events.js"
import { RunStore } from "../src/store/RunStore.js"
import * as SqliteRunStore from "../src/store/sqlite/SqliteRunStore.js"
import { aStep, begin, claimOne, register, suspend } from "../src/testing/Acts.js"

const run = (runId: string): Events.NewEvent => ({
  type: "run",
  at: 0,
  runId,
  workflow: "Order",
  status: "running"
})

const state: Events.NewEvent = { type: "executor", at: 0, state: "running" }

const ids = (events: ReadonlyArray<Events.Event> | undefined) => events?.map(({ id }) => id)

/** Listens, and keeps what it hears. */
const listen = (
  events: Events.Events["Type"],
  options: { readonly runId?: string; readonly after?: string; readonly room?: number } = {}
) =>
  Effect.gen(function* () {
    const heard: Array<Events.Event> = []
    const { after, room = Number.POSITIVE_INFINITY, runId } = options
    const offer = (event: Events.Event) => heard.length < room && heard.push(event) > 0
    const start = yield* events.listen({ offer, runId }, after)
    return { heard, start }
  })

describe("events", () => {
  it.scoped("are heard by whoever listens then, those of a run apart", () =>
    Effect.gen(function* () {
      const events = Events.make()
      events.publish(run("before"))
      const scope = yield* Scope.make()
      const gone = yield* Scope.extend(listen(events), scope)
      const all = yield* listen(events)
      const one = yield* listen(events, { runId: "1" })
      events.publish(run("1"))
      events.publish(run("2"))
      yield* Scope.close(scope, Exit.void)
      events.publish(state)
      expect(ids(all.heard)).toEqual([2, 3, 4].map(events.idOf))
      expect(ids(one.heard)).toEqual([events.idOf(2)])
      expect(ids(gone.heard)).toEqual([2, 3].map(events.idOf))
      expect(events.position()).toBe(4)
    })
  )

  it.scoped("are not offered any more to a listener that had no room", () =>
    Effect.gen(function* () {
      const events = Events.make()
      const full = yield* listen(events, { room: 2 })
      const fullToo = yield* listen(events, { room: 1, runId: "1" })
      for (let n = 0; n < 5; n++) events.publish(run("1"))
      expect(ids(full.heard)).toEqual([1, 2].map(events.idOf))
      expect(ids(fullToo.heard)).toEqual([events.idOf(1)])
    })
  )

  it.scoped("are remembered, the newest of them", () =>
    Effect.gen(function* () {
      const events = Events.make({ remembered: 3 })
      for (const runId of ["1", "2", "1", "2", "1"]) events.publish(run(runId))
      expect(ids(events.since(events.idOf(5)))).toEqual([])
      expect(ids(events.since(events.idOf(3)))).toEqual([4, 5].map(events.idOf))
      expect(ids(events.since(events.idOf(2)))).toEqual([3, 4, 5].map(events.idOf))
      expect(ids(events.since(events.idOf(2), "1"))).toEqual([3, 5].map(events.idOf))
      expect(events.since(events.idOf(1))).toBeUndefined()
      expect(events.find(events.idOf(2))).toBeUndefined()
      expect(events.find(events.idOf(3))?.id).toBe(events.idOf(3))
      const { start } = yield* listen(events, { after: events.idOf(4) })
      expect({ ...start, missed: ids(start.missed) }).toEqual({
        position: 5,
        since: 4,
        missed: [events.idOf(5)]
      })
    })
  )

  it("of another process, to come, or that are none are not known", () => {
    const events = Events.make()
    events.publish(state)
    const [epoch = ""] = events.idOf(1).split("-")
    for (const id of [
      Events.make().idOf(0),
      events.idOf(2),
      "",
      "-1",
      epoch,
      `${epoch}-`,
      `${epoch}-x`,
      `${epoch}-1.5`,
      `${epoch}--1`,
      `${epoch}-99999999999999999999`
    ]) {
      expect(events.since(id), id).toBeUndefined()
      expect(events.find(id), id).toBeUndefined()
    }
  })
})

describe("an observed store", () => {
  const observed = Layer.provide(Events.layer, SqliteRunStore.layerMemory)

  /** What its writes are told as. */
  const told = <A, E>(write: Effect.Effect<A, E, RunStore>) =>
    Effect.gen(function* () {
      const events = yield* Events.Events
      const from = events.idOf(events.position())
      yield* write
      return (events.since(from) ?? []).map((event) =>
        event.type === "executor"
          ? event.state
          : `${event.workflow} ${event.runId} ${event.type === "step" ? `${event.name} ` : ""}${event.status}`
      )
    })

  it.effect("tells of a run from its creation to its deletion", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* register
      const create = store.create({ runId: "1", workflow: "Order", payload: "{}" })
      expect(yield* told(create)).toEqual(["Order 1 pending"])
      expect(yield* told(create)).toEqual([])
      let run = yield* claimOne(executor)
      expect(yield* told(store.recordStep(aStep(run.held)))).toEqual(["Order 1 charge completed"])
      const note = { ...aStep(run.held, { name: "ship" }), status: "interrupted" as const }
      expect(yield* told(store.noteStep(note))).toEqual(["Order 1 ship interrupted"])
      const release = store.release([{ held: run.held, timers: [] }])
      expect(yield* told(release)).toEqual(["Order 1 pending"])
      expect(yield* told(release)).toEqual(["Order 1 pending"])
      expect(yield* told(claimOne(executor))).toEqual(["Order 1 running"])
      yield* store.releaseAll(executor, 10)
      run = yield* claimOne(executor)
      expect(yield* told(store.wake("1"))).toEqual([])
      yield* store.history(run.held)
      const { wakeups } = yield* store.history(run.held)
      const suspended = suspend({ ...run, history: { ...run.history, wakeups } })
      expect(yield* told(suspended)).toEqual(["Order 1 suspended"])
      expect(yield* told(store.wake("1"))).toEqual(["Order 1 pending"])
      expect(yield* told(store.wake("1"))).toEqual([])
      run = yield* claimOne(executor)
      expect(yield* told(store.remove("1"))).toEqual([])
      const end = store.complete({ held: run.held, status: "failed", exit: "0" })
      expect(yield* told(end)).toEqual(["Order 1 failed"])
      expect(yield* told(Effect.flip(end))).toEqual([])
      expect(yield* told(store.retry({ runId: "1" }))).toEqual(["Order 1 pending"])
      expect(yield* told(store.retry({ runId: "1" }))).toEqual([])
      run = yield* claimOne(executor)
      yield* store.complete({ held: run.held, status: "completed", exit: "0" })
      expect(yield* told(store.remove("1"))).toEqual(["Order 1 deleted"])
      expect(yield* told(store.remove("1"))).toEqual([])
      expect(yield* told(begin(executor, "2"))).toEqual(["Order 2 running"])
    }).pipe(Effect.provide(observed))
  )

  it.effect("says nothing of a write that was refused", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* register
      const { held } = yield* begin(executor, "1")
      yield* store.releaseAll(executor, 10)
      yield* claimOne(executor)
      for (const write of [
        store.recordStep(aStep(held)),
        store.noteStep({ ...aStep(held), status: "running" }),
        store.complete({ held, status: "failed", exit: "0" })
      ]) {
        expect(yield* told(Effect.flip(write))).toEqual([])
      }
      expect(yield* told(store.release([{ held, timers: [] }]))).toEqual([])
    }).pipe(Effect.provide(observed))
  )
})
