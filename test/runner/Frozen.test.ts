/** An executor that was frozen for longer than its lease, and goes on when another has its runs. */
import { Activity, DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import type { WritesOfHolder } from "../../src/store/RunStore.js"
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
  until,
  untilPolled,
  untilStatus,
  type Workflows,
  worlds
} from "./Harness.js"

worlds("steps of an executor that was frozen", (test) => {
  /** A step is in flight; others follow a wait, each in a branch of its own. */
  const branches = (log: ReturnType<typeof journal>, who: string, hold: Effect.Effect<void>) => {
    const step = (name: string, then: Effect.Effect<void> = Effect.void) =>
      Activity.make({ name, execute: Effect.zipRight(log.note(`${who} ${name}`), then) })
    const later = (name: string) =>
      Effect.zipRight(DurableClock.sleep({ name, duration: "25 seconds" }), step(name))
    return One.toLayer(() =>
      Effect.as(
        Effect.all([step("held", hold), later("left"), later("right")], {
          concurrency: "unbounded"
        }),
        who
      )
    )
  }

  test("do not start once another has the run, in no branch", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const ice = freezable()
      const slow = gate()
      const a = yield* world.start({
        workflows: branches(log, "a", slow.pass),
        wrap: ice.wrap
      })
      const runId = yield* a.run(start)
      yield* slow.entered
      yield* ice.freeze
      const b = yield* world.start({ workflows: branches(log, "b", Effect.void) })
      for (let seconds = 0; seconds < 60; seconds += 5) {
        yield* TestClock.adjust("5 seconds")
        yield* settled
      }
      yield* untilStatus(world, runId, "completed")
      yield* ice.thaw
      yield* until("a hears of it", () => world.logged("lease lost").length > 0)
      yield* slow.open
      yield* settled
      expect(log.lines.sort()).toEqual(["a held", "b held", "b left", "b right"])
      yield* a.close
      yield* b.close
    }))

  test("start as soon as its lease is renewed, where nobody has taken over", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const ice = freezable()
      const slow = gate()
      const a = yield* world.start({ workflows: branches(log, "a", slow.pass), wrap: ice.wrap })
      const runId = yield* a.run(start)
      yield* slow.entered
      yield* ice.freeze
      yield* TestClock.adjust("30 seconds")
      yield* settled
      expect(log.lines).toEqual(["a held"])
      yield* ice.thaw
      yield* until("its steps start", () => log.lines.length === 3)
      yield* slow.open
      yield* untilStatus(world, runId, "completed")
      expect(log.lines.sort()).toEqual(["a held", "a left", "a right"])
      yield* a.close
    }))

  test("do not start once more where it has claimed the run anew, and was not told of it", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const ice = freezable()
      const Child = Workflow.make({
        name: "Child",
        payload: { id: Schema.String },
        idempotencyKey: ({ id }) => id
      })
      const workflow = One.toLayer(() =>
        Effect.gen(function* () {
          yield* log.note("pass")
          yield* Child.execute({ id: "child" })
          yield* Activity.make({ name: "after", execute: log.note("after") })
          return "done"
        })
      )
      const a = yield* world.start({
        workflows: workflow,
        wrap: ice.wrap,
        leaseDuration: "3 seconds"
      })
      const runId = yield* a.run(start)
      yield* untilStatus(world, runId, "suspended")
      yield* ice.freeze
      yield* TestClock.adjust("10 seconds")
      // its lease has lapsed, so that what wakes the run ends its hold; nobody has taken over from it
      const store = world.outside
      yield* store.signal({ runId, name: "s", exit: `{"_tag":"Success"}` })
      yield* ice.thaw
      yield* untilPolled("it has the run again", () => log.lines.length === 2)
      yield* untilStatus(world, runId, "suspended")

      const executor = yield* store.register({ host: "other", pid: 1, leaseMillis: 60_000 })
      const [child] = yield* store.claim({ executor, workflows: ["Child"], limit: 1 })
      if (child === undefined) return yield* Effect.dieMessage("the child was not started")
      const { held } = child
      yield* store.complete({ held, status: "completed", exit: `{"_tag":"Success"}` })
      yield* untilPolled("it is over", () =>
        Effect.map(statusOf(store, runId), (status) => status === "completed")
      )
      yield* settled
      expect(log.lines).toEqual(["pass", "pass", "after"])
      yield* a.close
    }))

  test("do not start in a drain either, which does not wait for them", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const ice = freezable()
      const slow = gate()
      const a = yield* world.start({ workflows: branches(log, "a", slow.pass), wrap: ice.wrap })
      const runId = yield* a.run(start)
      yield* slow.entered
      yield* ice.freeze
      yield* TestClock.adjust("30 seconds")
      yield* settled
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* slow.open
      yield* Fiber.join(closing)
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      expect(log.lines).toEqual(["a held"])
    }))

  test("do not start as parts of a step in flight", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const ice = freezable()
      const slow = gate()
      const workflow = (who: string, hold: Effect.Effect<void>) =>
        One.toLayer(() =>
          Activity.make({
            name: "outer",
            success: Schema.String,
            execute: log
              .note(`${who} outer`)
              .pipe(
                Effect.zipRight(hold),
                Effect.zipRight(
                  Activity.make({ name: "inner", execute: log.note(`${who} inner`) })
                ),
                Effect.as(who)
              )
          })
        )
      const a = yield* world.start({ workflows: workflow("a", slow.pass), wrap: ice.wrap })
      const runId = yield* a.run(start)
      yield* slow.entered
      yield* ice.freeze
      const b = yield* world.start({ workflows: workflow("b", Effect.void) })
      for (let seconds = 0; seconds < 30; seconds += 5) {
        yield* TestClock.adjust("5 seconds")
        yield* settled
      }
      yield* untilStatus(world, runId, "completed")
      yield* slow.open
      yield* settled
      yield* ice.thaw
      yield* until("a hears of it", () => world.logged("lease lost").length > 0)
      yield* settled
      expect(log.lines).toEqual(["a outer", "b outer", "b inner"])
      yield* a.close
      yield* b.close
    }))
})

worlds("what the pass of an executor that was replaced still writes", (test) => {
  const Child = Workflow.make({
    name: "Child",
    payload: { id: Schema.String },
    success: Schema.String,
    idempotencyKey: ({ id }) => id
  })
  const Approval = DurableDeferred.make("Approval", { success: Schema.String })

  /** Each writes before the run goes on, and says by which executor. */
  const kinds: Readonly<Record<"signal" | "create", (who: string) => Workflows>> = {
    signal: (who) =>
      One.toLayer(() =>
        Effect.gen(function* () {
          const token = yield* DurableDeferred.token(Approval)
          yield* DurableDeferred.succeed(Approval, { token, value: who })
          return yield* DurableDeferred.await(Approval)
        })
      ),
    create: (who) =>
      One.toLayer(() =>
        Effect.gen(function* () {
          yield* Child.execute({ id: who }, { discard: true })
          return who
        })
      )
  }

  for (const [kind, workflow] of Object.entries(kinds)) {
    test(`is refused: ${kind}`, (world) =>
      Effect.gen(function* () {
        const ice = freezable()
        const held = { a: gate(), b: gate() }
        const holding = (who: "a" | "b") => (store: Store) => ({
          ...store,
          by: (holder: Parameters<Store["by"]>[0]): WritesOfHolder => {
            const by = store.by(holder)
            return {
              ...by,
              signal: (signal) => Effect.zipRight(held[who].pass, by.signal(signal)),
              create: (...run) => Effect.zipRight(held[who].pass, by.create(...run))
            }
          }
        })
        const a = yield* world.start({
          workflows: workflow("a"),
          wrap: (store) => ice.wrap(holding("a")(store))
        })
        const runId = yield* a.run(start)
        yield* held.a.entered
        yield* ice.freeze
        const b = yield* world.start({ workflows: workflow("b"), wrap: holding("b") })
        for (let seconds = 0; seconds < 25; seconds += 5) {
          yield* TestClock.adjust("5 seconds")
          yield* settled
        }
        yield* held.b.entered
        yield* held.a.open
        yield* until("a hears of it", () => world.logged("run lost").length > 0)
        yield* held.b.open
        yield* untilStatus(world, runId, "completed")
        expect((yield* found(world.outside, runId)).exit).toContain(`"b"`)
        const children = yield* world.outside.list({ workflow: "Child", limit: 9 })
        expect(children.runs.map(({ payload }) => payload)).toEqual(
          kind === "create" ? [`{"id":"b"}`] : []
        )
        yield* ice.thaw
        yield* settled
        yield* a.close
        yield* b.close
      }))
  }
})
