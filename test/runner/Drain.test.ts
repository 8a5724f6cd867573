/** Points 1 to 6 of "What always holds": what a drain waits for, and what it does not. */
import { Activity, DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import {
  expect,
  found,
  gate,
  journal,
  runnerBelow,
  type Store,
  settled,
  statusOf,
  stepsOf,
  until,
  untilStatus,
  worlds
} from "./Harness.js"

const One = Workflow.make({
  name: "One",
  payload: { id: Schema.String },
  success: Schema.String,
  error: Schema.String,
  idempotencyKey: ({ id }) => id
})

const Other = Workflow.make({
  name: "Other",
  payload: { id: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

const start = One.execute({ id: "1" }, { discard: true })

const succeeds = (value: string) => ({ _tag: "Success", value })
const exitOf = (store: Store, runId: string) =>
  Effect.map(found(store, runId), ({ exit }) => JSON.parse(exit ?? "null"))

/** Holds every `recordStep` at a gate. */
const slowRecords =
  (at: ReturnType<typeof gate>) =>
  (store: Store): Store => ({
    ...store,
    recordStep: (step) => Effect.zipRight(at.pass, store.recordStep(step))
  })

worlds("a drain", (test) => {
  test("waits for the step in flight and for its record, and the next executor goes on after it", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const step = gate()
      const record = gate()
      const workflows = (who: string, hold: Effect.Effect<void>) =>
        One.toLayer(() =>
          Effect.gen(function* () {
            const first = yield* Activity.make({
              name: "first",
              success: Schema.String,
              execute: Effect.zipRight(log.note(`${who} first`), Effect.as(hold, "done"))
            }).pipe(One.withCompensation(() => log.note(`${who} undoes first`)))
            yield* Activity.make({ name: "second", execute: log.note(`${who} second`) })
            return first
          })
        )
      const a = yield* world.start({
        workflows: workflows("a", step.pass),
        wrap: slowRecords(record)
      })
      const runId = yield* a.run(start)
      yield* step.entered

      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* settled
      expect(closing.unsafePoll()).toBe(null)
      expect(yield* a.dispatcher.inFlight).toHaveLength(1)

      yield* step.open
      yield* record.entered
      yield* settled
      expect(closing.unsafePoll()).toBe(null)
      // in flight until it is recorded
      expect(yield* a.dispatcher.inFlight).toHaveLength(1)
      expect(yield* stepsOf(world.outside, runId)).toEqual([])

      yield* record.open
      expect(yield* Fiber.join(closing)).toEqual(Exit.void)
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      expect(yield* stepsOf(world.outside, runId)).toMatchObject([
        { name: "first", attempt: 1, status: "completed" }
      ])
      expect(yield* world.outside.executors).toEqual([])
      expect(log.lines).toEqual(["a first"])

      const b = yield* world.start({ workflows: workflows("b", Effect.void) })
      yield* untilStatus(world, runId, "completed")
      expect(log.lines).toEqual(["a first", "b second"])
      expect(yield* exitOf(world.outside, runId)).toEqual(succeeds("done"))
      yield* b.close
    }))

  test("waits for all parallel steps, and starts none of those that wait for them", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const gates = [gate(), gate()]
      const workflows = (who: string) =>
        One.toLayer(() =>
          Effect.gen(function* () {
            const branch = (n: number) =>
              Effect.zipRight(
                Activity.make({
                  name: `first ${n}`,
                  execute: Effect.zipRight(log.note(`${who} first ${n}`), gates[n]!.pass)
                }),
                Activity.make({ name: `second ${n}`, execute: log.note(`${who} second ${n}`) })
              )
            yield* Effect.all([branch(0), branch(1)], { concurrency: "unbounded" })
            return "all"
          })
        )
      const a = yield* world.start({ workflows: workflows("a") })
      const runId = yield* a.run(start)
      yield* gates[0]!.entered
      yield* gates[1]!.entered
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* gates[0]!.open
      yield* until("one is recorded", () =>
        Effect.map(stepsOf(world.outside, runId), (steps) => steps.length === 1)
      )
      yield* settled
      expect(closing.unsafePoll()).toBe(null)
      yield* gates[1]!.open
      yield* Fiber.join(closing)
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      expect([...log.lines].sort()).toEqual(["a first 0", "a first 1"])

      const b = yield* world.start({ workflows: workflows("b") })
      yield* untilStatus(world, runId, "completed")
      expect(log.lines.slice(2).sort()).toEqual(["b second 0", "b second 1"])
      yield* b.close
    }))

  for (const [what, code] of [
    ["sleeps", Effect.sleep("1 hour")],
    ["never goes on", Effect.never]
  ] as const) {
    test(`takes no time for a run whose code ${what} between steps, and compensates nothing`, (world) =>
      Effect.gen(function* () {
        const log = journal()
        const workflows = (who: string, between: Effect.Effect<void>) =>
          One.toLayer(() =>
            Effect.gen(function* () {
              yield* Activity.make({ name: "first", execute: log.note(`${who} first`) }).pipe(
                One.withCompensation(() => log.note(`${who} undoes`))
              )
              yield* log.note(`${who} between`)
              yield* between
              yield* Activity.make({ name: "second", execute: log.note(`${who} second`) })
              return "ok"
            })
          )
        const a = yield* world.start({ workflows: workflows("a", code) })
        const runId = yield* a.run(start)
        yield* until("it is between steps", () => log.lines.includes("a between"))
        expect(yield* a.close).toEqual(Exit.void)
        expect(yield* statusOf(world.outside, runId)).toBe("pending")
        const b = yield* world.start({ workflows: workflows("b", Effect.void) })
        yield* untilStatus(world, runId, "completed")
        expect(log.lines).toEqual(["a first", "a between", "b between", "b second"])
        yield* b.close
      }))
  }

  test("does not take a finalizer of code between steps that fails for a failure of the run", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const workflows = (between: Effect.Effect<void>) =>
        One.toLayer(() =>
          Effect.gen(function* () {
            yield* Activity.make({ name: "first", execute: log.note("first") }).pipe(
              One.withCompensation(() => log.note("undoes"))
            )
            yield* log.note("between")
            yield* between
            return "ok"
          })
        )
      const a = yield* world.start({
        workflows: workflows(Effect.ensuring(Effect.never, Effect.dieMessage("cannot close")))
      })
      const runId = yield* a.run(start)
      yield* until("it is between steps", () => log.lines.includes("between"))
      yield* a.close
      expect(log.lines).toEqual(["first", "between"])
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
    }))

  test("waits for the step beside a run's wait, and leaves the wait to the next executor", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const step = gate()
      const Approval = DurableDeferred.make("Approval", { success: Schema.String })
      const workflows = (who: string) =>
        One.toLayer(() =>
          Effect.map(
            Effect.all(
              [
                DurableDeferred.await(Approval),
                Activity.make({
                  name: "beside",
                  execute: Effect.zipRight(log.note(`${who} beside`), step.pass)
                })
              ],
              { concurrency: "unbounded" }
            ),
            ([approval]) => approval
          )
        )
      const a = yield* world.start({ workflows: workflows("a") })
      const runId = yield* a.run(start)
      yield* step.entered
      yield* settled
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* settled
      expect(closing.unsafePoll()).toBe(null)
      yield* step.open
      yield* Fiber.join(closing)
      expect(["pending", "suspended"]).toContain(yield* statusOf(world.outside, runId))
      expect(yield* stepsOf(world.outside, runId)).toMatchObject([{ status: "completed" }])

      const b = yield* world.start({ workflows: workflows("b") })
      yield* untilStatus(world, runId, "suspended")
      yield* b.run(
        DurableDeferred.succeed(Approval, {
          token: DurableDeferred.tokenFromExecutionId(Approval, {
            workflow: One,
            executionId: runId
          }),
          value: "yes"
        })
      )
      yield* untilStatus(world, runId, "completed")
      expect(log.lines).toEqual(["a beside"])
      expect(yield* exitOf(world.outside, runId)).toEqual(succeeds("yes"))
      yield* b.close
    }))

  for (const beside of [false, true]) {
    test(`cuts a short timer at once${beside ? " beside a step" : ""}, and after the hand-over only what remains of it is slept`, (world) =>
      Effect.gen(function* () {
        const log = journal()
        const step = gate()
        const workflows = One.toLayer(() =>
          Effect.gen(function* () {
            const nap = DurableClock.sleep({ name: "nap", duration: "50 seconds" })
            yield* beside
              ? Effect.all([nap, Activity.make({ name: "beside", execute: step.pass })], {
                  concurrency: "unbounded"
                })
              : nap
            yield* Activity.make({ name: "after", execute: log.note("after") })
            return "woken"
          })
        )
        const a = yield* world.start({ workflows, leaseDuration: "1000 days" })
        const runId = yield* a.run(start)
        if (beside) yield* step.entered
        else yield* untilStatus(world, runId, "suspended")
        yield* TestClock.adjust("30 seconds")
        const closing = yield* Effect.fork(a.close)
        yield* until("it drains", () => Effect.map(a.state, (state) => state !== "running"))
        yield* step.open
        yield* Fiber.join(closing)
        const b = yield* world.start({ workflows, leaseDuration: "1000 days" })
        yield* untilStatus(world, runId, "suspended")
        yield* TestClock.adjust("19900 millis")
        yield* settled
        expect(log.lines).toEqual([])
        yield* TestClock.adjust("100 millis")
        yield* untilStatus(world, runId, "completed")
        expect(log.lines).toEqual(["after"])
        yield* b.close
      }))
  }

  test("parks a run in its compensations before the next step, and none is repeated or out of order", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const undo = gate()
      const workflows = (who: string, hold: Effect.Effect<void>) =>
        One.toLayer(() =>
          Effect.gen(function* () {
            for (const name of ["one", "two", "three"]) {
              yield* Activity.make({ name, execute: log.note(`${who} ${name}`) }).pipe(
                One.withCompensation(() =>
                  Activity.make({
                    name: `undo ${name}`,
                    execute: Effect.zipRight(
                      log.note(`${who} undo ${name}`),
                      name === "two" ? hold : Effect.void
                    )
                  })
                )
              )
            }
            return yield* Effect.fail("refused")
          })
        )
      const a = yield* world.start({ workflows: workflows("a", undo.pass) })
      const runId = yield* a.run(start)
      yield* undo.entered
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* settled
      expect(closing.unsafePoll()).toBe(null)
      yield* undo.open
      yield* Fiber.join(closing)
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      const before = ["a one", "a two", "a three", "a undo three", "a undo two"]
      expect(log.lines).toEqual(before)

      const b = yield* world.start({ workflows: workflows("b", Effect.void) })
      yield* untilStatus(world, runId, "failed")
      expect(log.lines).toEqual([...before, "b undo one"])
      yield* b.close
    }))

  test("lets plain compensations that are under way finish, and records the end", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const undo = gate()
      const workflows = One.toLayer(() =>
        Effect.gen(function* () {
          for (const name of ["one", "two"]) {
            yield* Activity.make({ name, execute: Effect.void }).pipe(
              One.withCompensation(() => Effect.zipRight(log.note(`undo ${name}`), undo.pass))
            )
          }
          return yield* Effect.fail("refused")
        })
      )
      const a = yield* world.start({ workflows })
      const runId = yield* a.run(start)
      yield* undo.entered
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* settled
      expect(closing.unsafePoll()).toBe(null)
      yield* undo.open
      yield* Fiber.join(closing)
      expect(yield* statusOf(world.outside, runId)).toBe("failed")
      expect(log.lines).toEqual(["undo two", "undo one"])
    }))

  test("refuses a step that waits for room, and its run is pending", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const step = gate()
      const workflows = One.toLayer(({ id }) =>
        Effect.as(
          Activity.make({
            name: "step",
            execute: Effect.zipRight(log.note(id), id === "1" ? step.pass : Effect.void)
          }),
          "ok"
        )
      )
      const a = yield* world.start({ workflows, maxConcurrentSteps: 1 })
      const first = yield* a.run(start)
      yield* step.entered
      const second = yield* a.run(One.execute({ id: "2" }, { discard: true }))
      yield* untilStatus(world, second, "running")
      yield* settled
      const closing = yield* Effect.fork(a.close)
      yield* untilStatus(world, second, "pending")
      expect(closing.unsafePoll()).toBe(null)
      yield* step.open
      yield* Fiber.join(closing)
      expect(log.lines).toEqual(["1"])
      expect(["pending", "completed"]).toContain(yield* statusOf(world.outside, first))
    }))

  test("waits for a race in progress and records no interrupt as its outcome", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const fast = gate()
      const slow = gate()
      const racer = (who: string, name: string, at: ReturnType<typeof gate>) =>
        Activity.make({
          name,
          success: Schema.String,
          execute: Effect.as(Effect.zipRight(log.note(`${who} ${name}`), at.pass), name)
        })
      const workflows = (who: string) =>
        One.toLayer(() =>
          Activity.raceAll("race", [racer(who, "fast", fast), racer(who, "slow", slow)])
        )
      const a = yield* world.start({ workflows: workflows("a"), stopTimeout: "10 seconds" })
      const runId = yield* a.run(start)
      yield* fast.entered
      yield* slow.entered
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* settled
      expect(closing.unsafePoll()).toBe(null)
      // nobody wins before the stop timeout
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(closing)
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      expect(log.lines).toEqual(["a fast", "a slow"])
      yield* fast.open
      const b = yield* world.start({ workflows: workflows("b") })
      yield* untilStatus(world, runId, "completed")
      expect(log.lines).toEqual(["a fast", "a slow", "b fast", "b slow"])
      expect(yield* exitOf(world.outside, runId)).toEqual(succeeds("fast"))
      yield* b.close
    }))

  test("waits for the child's step, and parent and child both go on elsewhere", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const step = gate()
      const workflows = (who: string) =>
        Layer.mergeAll(
          One.toLayer(({ id }) =>
            Effect.gen(function* () {
              yield* Activity.make({ name: "parent", execute: log.note(`${who} parent`) }).pipe(
                One.withCompensation(() => log.note(`${who} undoes parent`))
              )
              return yield* Other.execute({ id })
            })
          ),
          Other.toLayer(() =>
            Effect.gen(function* () {
              yield* Activity.make({
                name: "child",
                execute: Effect.zipRight(log.note(`${who} child`), step.pass)
              }).pipe(Other.withCompensation(() => log.note(`${who} undoes child`)))
              yield* Activity.make({ name: "after", execute: log.note(`${who} after`) })
              return "from the child"
            })
          )
        )
      const a = yield* world.start({ workflows: workflows("a") })
      const parent = yield* a.run(start)
      const child = yield* Other.executionId({ id: "1" })
      yield* step.entered
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* settled
      expect(closing.unsafePoll()).toBe(null)
      yield* step.open
      yield* Fiber.join(closing)
      expect(yield* statusOf(world.outside, child)).toBe("pending")
      expect(["pending", "suspended"]).toContain(yield* statusOf(world.outside, parent))
      const b = yield* world.start({ workflows: workflows("b") })
      yield* untilStatus(world, parent, "completed")
      expect(log.lines).toEqual(["a parent", "a child", "b after"])
      expect(yield* exitOf(world.outside, parent)).toEqual(succeeds("from the child"))
      yield* b.close
    }))

  test("waits for a step that executes a step of its own", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const outer = gate()
      const inner = gate()
      const workflows = (who: string) =>
        One.toLayer(() =>
          Activity.make({
            name: "outer",
            success: Schema.String,
            execute: Effect.gen(function* () {
              yield* log.note(`${who} outer`)
              yield* outer.pass
              yield* Activity.make({
                name: "inner",
                execute: Effect.zipRight(log.note(`${who} inner`), inner.pass)
              })
              return "both"
            })
          })
        )
      const a = yield* world.start({ workflows: workflows("a"), maxConcurrentSteps: 1 })
      const runId = yield* a.run(start)
      yield* outer.entered
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* outer.open
      yield* inner.entered
      yield* settled
      expect(closing.unsafePoll()).toBe(null)
      yield* inner.open
      yield* Fiber.join(closing)
      const b = yield* world.start({ workflows: workflows("b") })
      yield* untilStatus(world, runId, "completed")
      expect(log.lines).toEqual(["a outer", "a inner"])
      yield* b.close
    }))

  test("gives back what a claim brings that was under way", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const claim = gate()
      const workflows = One.toLayer(() =>
        Effect.as(Activity.make({ name: "step", execute: log.note("step") }), "ok")
      )
      const idle = yield* world.start({})
      const runId = yield* idle.run(start)
      yield* idle.close
      const a = yield* world.start({
        workflows,
        wrap: (store) => ({
          ...store,
          claim: (options) => Effect.tap(store.claim(options), () => claim.pass)
        })
      })
      yield* claim.entered
      expect(yield* statusOf(world.outside, runId)).toBe("running")
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* settled
      yield* claim.open
      yield* Fiber.join(closing)
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      expect(yield* world.outside.executors).toEqual([])
      yield* settled
      expect(log.lines).toEqual([])
    }))

  for (const when of ["before", "after"] as const) {
    test(`starts nothing of a run that is being stored ${when} its commit`, (world) =>
      Effect.gen(function* () {
        const log = journal()
        const create = gate()
        const workflows = One.toLayer(() =>
          Effect.as(Activity.make({ name: "step", execute: log.note("step") }), "ok")
        )
        const a = yield* world.start({
          workflows,
          wrap: (store) => ({
            ...store,
            create: (run, claimFor) =>
              when === "before"
                ? Effect.zipRight(create.pass, store.create(run, claimFor))
                : Effect.tap(store.create(run, claimFor), () => create.pass)
          })
        })
        // nothing older waits, and this process knows: a run is begun on the spot
        yield* settled
        const starting = yield* Effect.fork(a.run(start))
        yield* create.entered
        const drained = yield* a.runner.drain
        expect(drained.stepsInFlight).toBe(0)
        expect(yield* a.state).toBe("stopped")
        yield* create.open
        const runId = yield* Fiber.join(starting)
        yield* settled
        expect(yield* statusOf(world.outside, runId)).toBe("pending")
        expect(log.lines).toEqual([])
        yield* a.close
      }))
  }

  test("is one drain, however often and by whomever it is asked for", (world) =>
    Effect.gen(function* () {
      const step = gate()
      const workflows = One.toLayer(() =>
        Effect.as(Activity.make({ name: "step", execute: step.pass }), "ok")
      )
      const a = yield* world.start({ workflows })
      yield* a.run(start)
      yield* step.entered
      const impatient = yield* Effect.fork(a.runner.drain)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      const patient = yield* Effect.fork(a.runner.drain)
      const watching = yield* Effect.fork(a.runner.awaitDrained)
      const closing = yield* Effect.fork(a.close)
      yield* Fiber.interrupt(impatient)
      yield* settled
      expect(yield* a.state).toBe("draining")
      expect(patient.unsafePoll()).toBe(null)
      expect(closing.unsafePoll()).toBe(null)
      yield* TestClock.adjust("3 seconds")
      yield* step.open
      const drained = yield* Fiber.join(patient)
      expect(drained).toMatchObject({ durationMillis: 3000, stepsInFlight: 1, stepsCut: 0 })
      expect(yield* Fiber.join(watching)).toBe(drained)
      expect(yield* Fiber.join(closing)).toEqual(Exit.void)
      expect(yield* a.runner.drain).toBe(drained)
      expect(world.logged("drain begun")).toHaveLength(1)
      expect(world.logged("drain over")).toHaveLength(1)
    }))

  test("that the app asked for goes on while workflow layers above the Runner are released", (world) =>
    Effect.gen(function* () {
      const step = gate()
      const body = Effect.as(Activity.make({ name: "step", execute: step.pass }), "ok")
      const a = yield* world.start({
        workflows: Layer.merge(
          One.toLayer(() => body),
          Other.toLayer(() => body)
        ),
        compose: runnerBelow
      })
      yield* a.run(start)
      yield* a.run(Other.execute({ id: "1" }, { discard: true }))
      yield* until("both are in a step", () => step.count === 2)
      const draining = yield* Effect.fork(a.runner.drain)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      const closing = yield* Effect.fork(a.close)
      yield* settled
      expect([draining.unsafePoll(), closing.unsafePoll()]).toEqual([null, null])
      yield* step.open
      expect(yield* Fiber.join(draining)).toMatchObject({ stepsInFlight: 2, stepsCut: 0 })
      expect(yield* Fiber.join(closing)).toEqual(Exit.void)
      expect(yield* world.outside.executors).toEqual([])
    }))

  test("takes no time when nothing is in flight", (world) =>
    Effect.gen(function* () {
      const a = yield* world.start({ workflows: One.toLayer(() => Effect.succeed("ok")) })
      expect(yield* a.runner.drain).toEqual({
        durationMillis: 0,
        stepsInFlight: 0,
        stepsCut: 0,
        handedOver: 0
      })
      expect(yield* a.state).toBe("stopped")
      expect(yield* a.close).toEqual(Exit.void)
      expect(yield* world.outside.executors).toEqual([])
    }))

  test("keeps accepting runs and signals, which wait for the next executor", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const step = gate()
      const Approval = DurableDeferred.make("Approval", { success: Schema.String })
      const workflows = (who: string) =>
        Layer.mergeAll(
          One.toLayer(() =>
            Effect.as(
              Activity.make({
                name: "step",
                execute: Effect.zipRight(log.note(`${who} one`), step.pass)
              }),
              "ok"
            )
          ),
          Other.toLayer(() =>
            Effect.tap(DurableDeferred.await(Approval), () =>
              Activity.make({ name: "step", execute: log.note(`${who} other`) })
            )
          )
        )
      const a = yield* world.start({ workflows: workflows("a") })
      const waiting = yield* a.run(Other.execute({ id: "waiting" }, { discard: true }))
      yield* untilStatus(world, waiting, "suspended")
      yield* a.run(start)
      yield* step.entered
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))

      const late = yield* a.run(One.execute({ id: "late" }, { discard: true }))
      yield* a.run(
        DurableDeferred.succeed(Approval, {
          token: DurableDeferred.tokenFromExecutionId(Approval, {
            workflow: Other,
            executionId: waiting
          }),
          value: "approved"
        })
      )
      yield* settled
      expect(yield* statusOf(world.outside, late)).toBe("pending")
      expect(yield* statusOf(world.outside, waiting)).toBe("pending")
      yield* step.open
      yield* Fiber.join(closing)
      expect(log.lines).toEqual(["a one"])
      const b = yield* world.start({ workflows: workflows("b") })
      yield* untilStatus(world, late, "completed")
      yield* untilStatus(world, waiting, "completed")
      yield* b.close
    }))

  test("uses up no attempt of a step that is retried", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const step = gate()
      const workflows = (who: string) =>
        One.toLayer(() =>
          Activity.make({
            name: "flaky",
            success: Schema.String,
            error: Schema.String,
            execute: Effect.gen(function* () {
              const attempt = yield* Activity.CurrentAttempt
              yield* log.note(`${who} attempt ${attempt}`)
              if (attempt === 1) return yield* Effect.fail("first")
              yield* step.pass
              return `attempt ${attempt}`
            })
          }).pipe(Activity.retry({ times: 2 }))
        )
      const a = yield* world.start({ workflows: workflows("a"), stopTimeout: "5 seconds" })
      const runId = yield* a.run(start)
      yield* step.entered
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      yield* step.open
      const b = yield* world.start({ workflows: workflows("b") })
      yield* untilStatus(world, runId, "completed")
      expect(log.lines).toEqual(["a attempt 1", "a attempt 2", "b attempt 2"])
      expect(yield* stepsOf(world.outside, runId)).toMatchObject([
        { attempt: 1, status: "failed" },
        { attempt: 2, status: "completed" }
      ])
      yield* b.close
    }))

  test("tells the state before, while and after it happens", (world) =>
    Effect.gen(function* () {
      const step = gate()
      const a = yield* world.start({
        workflows: One.toLayer(() =>
          Effect.as(Activity.make({ name: "step", execute: step.pass }), "ok")
        )
      })
      expect(yield* a.state).toBe("running")
      yield* a.run(start)
      yield* step.entered
      const closing = yield* Effect.fork(a.close)
      yield* until("it drains", () => Effect.map(a.state, (state) => state === "draining"))
      yield* step.open
      yield* Fiber.join(closing)
      expect(yield* a.state).toBe("stopped")
    }))
})
