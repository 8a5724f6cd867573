/** Point 8: one executor at a time holds a run, and whoever is late is refused. */
import { Activity } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import {
  expect,
  found,
  freezable,
  gate,
  journal,
  One,
  type Store,
  settled,
  start,
  statusOf,
  stepsOf,
  until,
  untilPolled,
  untilStatus,
  worlds
} from "./Harness.js"

/** An executor that can die: from then on nothing it does has an effect. */
const mortal = () => {
  let dead = false
  const dies =
    <A extends ReadonlyArray<unknown>, B, E>(f: (...args: A) => Effect.Effect<B, E>) =>
    (...args: A): Effect.Effect<B, E> =>
      Effect.suspend(() => (dead ? Effect.never : f(...args)))
  return {
    die: Effect.sync(() => {
      dead = true
    }),
    wrap: (store: Store): Store => ({
      ...store,
      create: dies(store.create),
      claim: dies(store.claim),
      recordStep: dies(store.recordStep),
      noteStep: dies(store.noteStep),
      suspend: dies(store.suspend),
      complete: dies(store.complete),
      release: dies(store.release),
      wakeDue: dies(store.wakeDue),
      renew: dies(store.renew),
      releaseAll: dies(store.releaseAll),
      unregister: dies(store.unregister),
      takeOver: dies(store.takeOver)
    })
  }
}

const workflow = (log: ReturnType<typeof journal>, who: string, hold: Effect.Effect<void>) =>
  One.toLayer(() =>
    Effect.gen(function* () {
      yield* Activity.make({ name: "first", execute: log.note(`${who} first`) }).pipe(
        One.withCompensation(() => log.note(`${who} undoes`))
      )
      yield* Activity.make({
        name: "second",
        success: Schema.String,
        execute: Effect.as(
          Effect.zipRight(
            log.note(`${who} second`),
            Effect.onInterrupt(hold, () => log.note(`${who} is interrupted`))
          ),
          who
        )
      }).pipe(Activity.retry({ times: 2 }))
      yield* Activity.make({ name: "third", execute: log.note(`${who} third`) })
      return who
    })
  )

worlds("a lease", (test) => {
  test("that lapsed in the middle of a step costs the run, and the late record is refused", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const ice = freezable()
      const [slow, next] = [gate(), gate()]
      const a = yield* world.start({ workflows: workflow(log, "a", slow.pass), wrap: ice.wrap })
      const runId = yield* a.run(start)
      yield* slow.entered
      yield* ice.freeze
      const b = yield* world.start({ workflows: workflow(log, "b", next.pass) })
      yield* TestClock.adjust("14 seconds")
      expect(log.lines).toEqual(["a first", "a second"])
      yield* TestClock.adjust("7 seconds")
      yield* next.entered

      yield* slow.open
      yield* until("a is told", () => world.logged("lost").length > 0)
      yield* settled
      expect(yield* statusOf(world.outside, runId)).toBe("running")
      expect((yield* stepsOf(world.outside, runId)).filter(({ exit }) => exit)).toHaveLength(1)
      yield* next.open
      yield* untilStatus(world, runId, "completed")
      expect(log.lines).toEqual(["a first", "a second", "b second", "b third"])
      expect((yield* found(world.outside, runId)).exit).toContain(`"b"`)

      // thawed, it registers anew and goes on
      yield* ice.thaw
      yield* untilPolled("a is there again", () =>
        Effect.map(world.outside.executors, (all) => all.length === 2)
      )
      yield* b.close
      const again = yield* a.run(One.execute({ id: "2" }, { discard: true }))
      yield* untilStatus(world, again, "completed")
      expect(log.lines.slice(4)).toEqual(["a first", "a second", "a third"])
      expect(yield* a.close).toEqual(Exit.void)
    }))

  test("that was taken over interrupts the fibers of its runs as soon as it is noticed", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const ice = freezable()
      const [slow, next] = [gate(), gate()]
      const a = yield* world.start({ workflows: workflow(log, "a", slow.pass), wrap: ice.wrap })
      const runId = yield* a.run(start)
      yield* slow.entered
      yield* ice.freeze
      const b = yield* world.start({ workflows: workflow(log, "b", next.pass) })
      yield* TestClock.adjust("21 seconds")
      yield* next.entered
      yield* ice.thaw
      yield* until("a's step is interrupted", () => log.lines.includes("a is interrupted"))
      yield* until("a is there again", () =>
        Effect.map(world.outside.executors, (all) => all.length === 2)
      )
      expect(yield* a.dispatcher.inFlight).toEqual([])
      expect(yield* statusOf(world.outside, runId)).toBe("running")
      yield* next.open
      yield* untilStatus(world, runId, "completed")
      expect(log.lines).toEqual(["a first", "a second", "b second", "a is interrupted", "b third"])
      const steps = yield* stepsOf(world.outside, runId)
      expect(steps.map(({ attempt, name, status }) => [name, attempt, status])).toEqual([
        ["first", 1, "completed"],
        ["second", 1, "completed"],
        ["third", 1, "completed"]
      ])
      yield* a.close
      yield* b.close
    }))

  test("that was lost while a compensation's step executes ends the compensation there", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const ice = freezable()
      const [slow, next] = [gate(), gate()]
      const compensating = (who: string, hold: Effect.Effect<void>) =>
        One.toLayer(() =>
          Effect.gen(function* () {
            for (const name of ["one", "two"]) {
              yield* Activity.make({ name, execute: Effect.void }).pipe(
                One.withCompensation(() =>
                  Activity.make({
                    name: `undo ${name}`,
                    execute: Effect.zipRight(log.note(`${who} undo ${name}`), hold)
                  })
                )
              )
            }
            return yield* Effect.dieMessage("refused")
          })
        )
      const a = yield* world.start({ workflows: compensating("a", slow.pass), wrap: ice.wrap })
      const runId = yield* a.run(start)
      yield* slow.entered
      yield* ice.freeze
      const b = yield* world.start({ workflows: compensating("b", next.pass) })
      yield* TestClock.adjust("21 seconds")
      yield* next.entered
      yield* ice.thaw
      yield* until("a is there again", () =>
        Effect.map(world.outside.executors, (all) => all.length === 2)
      )
      expect(yield* a.dispatcher.inFlight).toEqual([])
      yield* slow.open
      yield* next.open
      yield* untilStatus(world, runId, "failed")
      expect(log.lines).toEqual(["a undo two", "b undo two", "b undo one"])
      yield* a.close
      yield* b.close
    }))

  test("that is gone claims and begins nothing", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const ice = freezable()
      const a = yield* world.start({
        workflows: workflow(log, "a", Effect.void),
        wrap: ice.wrap
      })
      yield* ice.freeze
      // an executor that takes over, and knows no workflows
      const b = yield* world.start({})
      yield* TestClock.adjust("21 seconds")
      yield* until("a is gone", () =>
        Effect.map(world.outside.executors, (all) => all.length === 1)
      )
      const created = yield* a.run(start)
      yield* TestClock.adjust("1 seconds")
      yield* settled
      expect(yield* statusOf(world.outside, created)).toBe("pending")
      expect(log.lines).toEqual([])
      yield* ice.thaw
      yield* untilStatus(world, created, "completed")
      yield* b.close
      yield* a.close
    }))

  test("of an executor that died is kept until it lapses, and not much longer", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const life = mortal()
      const a = yield* world.start({
        workflows: workflow(log, "a", Effect.never),
        wrap: life.wrap,
        leaseDuration: "15 seconds"
      })
      const runId = yield* a.run(start)
      yield* until("it is in the step", () => log.lines.includes("a second"))
      yield* life.die
      const b = yield* world.start({ workflows: workflow(log, "b", Effect.void) })
      yield* TestClock.adjust("14999 millis")
      yield* settled
      expect(yield* statusOf(world.outside, runId)).toBe("running")
      expect(log.lines).toEqual(["a first", "a second"])
      yield* TestClock.adjust("5001 millis")
      yield* untilStatus(world, runId, "completed")
      expect(log.lines).toEqual(["a first", "a second", "b second", "b third"])
      expect(world.logged("took over")).toHaveLength(1)
      yield* b.close
    }))

  test("is renewed all through a long drain", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const slow = gate()
      const a = yield* world.start({
        workflows: workflow(log, "a", slow.pass),
        stopTimeout: "10 minutes",
        leaseDuration: "10 seconds"
      })
      const runId = yield* a.run(start)
      yield* slow.entered
      const closing = yield* Effect.fork(a.close)
      const b = yield* world.start({ workflows: workflow(log, "b", Effect.void) })
      yield* TestClock.adjust("1 minute")
      yield* settled
      expect(log.lines).toEqual(["a first", "a second"])
      expect(yield* world.outside.executors).toMatchObject([{ state: "draining" }, {}])
      yield* slow.open
      yield* Fiber.join(closing)
      yield* untilPolled("b goes on", () =>
        Effect.map(statusOf(world.outside, runId), (status) => status === "completed")
      )
      expect(log.lines).toEqual(["a first", "a second", "b third"])
      yield* b.close
    }))

  test("is renewed again soon after the store failed", (world) =>
    Effect.gen(function* () {
      let broken = false
      const log = journal()
      const slow = gate()
      const a = yield* world.start({
        workflows: workflow(log, "a", slow.pass),
        wrap: (store) => ({
          ...store,
          renew: (executor, lease) =>
            Effect.suspend(() =>
              broken ? Effect.dieMessage("broken") : store.renew(executor, lease)
            )
        })
      })
      const b = yield* world.start({ workflows: workflow(log, "b", Effect.void) })
      const runId = yield* a.run(start)
      yield* slow.entered
      broken = true
      yield* TestClock.adjust("12 seconds")
      broken = false
      yield* TestClock.adjust("30 seconds")
      yield* slow.open
      yield* untilStatus(world, runId, "completed")
      expect(log.lines).toEqual(["a first", "a second", "a third"])
      yield* a.close
      yield* b.close
    }))

  test("gives each run to one of two executors, and none to both", (world) =>
    Effect.gen(function* () {
      const executions = new Map<string, Array<string>>()
      const workflows = (who: string) =>
        One.toLayer(({ id }) =>
          Effect.gen(function* () {
            for (const step of ["1", "2", "3"]) {
              yield* Activity.make({
                name: step,
                execute: Effect.zipRight(
                  Effect.sync(() => {
                    const key = `${id}/${step}`
                    executions.set(key, [...(executions.get(key) ?? []), who])
                  }),
                  Effect.yieldNow()
                )
              })
            }
            return who
          })
        )
      const idle = yield* world.start({})
      const runIds: Array<string> = []
      for (let id = 0; id < 60; id++) {
        runIds.push(yield* idle.run(One.execute({ id: `${id}` }, { discard: true })))
      }
      const both = yield* Effect.all(
        [
          world.start({ workflows: workflows("a"), maxConcurrentRuns: 5 }),
          world.start({ workflows: workflows("b"), maxConcurrentRuns: 5 })
        ],
        { concurrency: "unbounded" }
      )
      for (let id = 60; id < 120; id++) {
        const stack = both[id % 2]!
        runIds.push(yield* stack.run(One.execute({ id: `${id}` }, { discard: true })))
      }
      for (const runId of runIds) {
        yield* untilPolled("it is over", () =>
          Effect.map(statusOf(world.outside, runId), (status) => status === "completed")
        )
      }
      expect(executions.size).toBe(360)
      expect([...executions.values()].filter((by) => by.length !== 1)).toEqual([])
      expect(new Set([...executions.values()].flat())).toEqual(new Set(["a", "b"]))
      for (const stack of both) yield* stack.close
      yield* idle.close
    }))
})

worlds("the rows of an executor", (test, kind) => {
  const created = (store: Store, count: number, executor: number | undefined) =>
    Effect.forEach(
      Array.from({ length: count }, (_, i) => `run ${i}`),
      (runId) => store.create({ runId, workflow: "One", payload: "{}" }, executor)
    )
  const executor = { host: "here", pid: 1, leaseMillis: 1000 }

  test("that was taken over in part can not be renewed, and holds nothing new", (world) =>
    Effect.gen(function* () {
      const store = world.outside
      const id = yield* store.register(executor)
      yield* created(store, 3, id)
      yield* TestClock.adjust("1001 millis")
      expect(yield* store.takeOver({ limit: 2 })).toBe(2)
      // late, it would keep one run and not know of the others
      expect(yield* store.renew(id, { leaseMillis: 1000, state: "running" })).toBe(false)
      const late = { executor: id, workflows: ["One"], limit: 10 }
      expect(yield* store.claim(late)).toEqual([])
      const { claimed, run } = yield* store.create(
        { runId: "late", workflow: "One", payload: "{}" },
        id
      )
      expect([claimed, run.status]).toEqual([undefined, "pending"])
      expect(yield* store.takeOver({ limit: 2 })).toBe(1)
      expect(yield* store.takeOver({ limit: 2 })).toBe(0)
      expect(yield* store.executors).toEqual([])
    }))

  if (kind === "file") {
    test("that is not registered do not stay with it", (world) =>
      Effect.gen(function* () {
        const store = world.outside
        const id = yield* store.register(executor)
        yield* created(store, 3, id)
        yield* world.sql((sql) => sql`DELETE FROM workflow_executors`)
        const other = yield* store.register(executor)
        yield* store.create({ runId: "other", workflow: "One", payload: "{}" }, other)
        expect(yield* store.takeOver({ limit: 2 })).toBe(2)
        expect(yield* store.takeOver({ limit: 2 })).toBe(1)
        expect(yield* statusOf(store, "other")).toBe("running")
      }))
  }

  test("that is late but not taken over keeps its runs", (world) =>
    Effect.gen(function* () {
      const store = world.outside
      const id = yield* store.register(executor)
      const [run] = yield* created(store, 1, id)
      yield* TestClock.adjust("1 minute")
      expect(yield* store.renew(id, { leaseMillis: 1000, state: "running" })).toBe(true)
      expect(yield* store.takeOver({ limit: 10 })).toBe(0)
      yield* store.complete({ held: run!.claimed!.held, status: "completed", exit: "{}" })
      yield* store.unregister(id)
    }))
})
