/** Point 5: one deadline for the whole drain, and after it a bounded end. */
import { Activity, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { RunStoreError } from "../../src/store/RunStore.js"
import {
  expect,
  gate,
  journal,
  runnerBelow,
  type Stack,
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

const named = (name: string) =>
  Workflow.make({
    name,
    payload: { id: Schema.String },
    success: Schema.String,
    idempotencyKey: ({ id }) => id
  })

const start = One.execute({ id: "1" }, { discard: true })

/** Closes it in the background, and answers when the drain has begun. */
const beginClose = (stack: Stack) =>
  Effect.gen(function* () {
    const closing = yield* Effect.fork(stack.close)
    yield* until("it drains", () => Effect.map(stack.state, (state) => state !== "running"))
    yield* settled
    return closing
  })

const failing = (reason: "busy" | "full") =>
  new RunStoreError({ reason, message: `it is ${reason}` })

worlds("the stop timeout", (test) => {
  test("names a step that never ends, interrupts it, and records nothing of it", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const never = gate()
      const workflows = (who: string, hold: Effect.Effect<void>) =>
        One.toLayer(() =>
          Effect.gen(function* () {
            yield* Activity.make({ name: "first", execute: Effect.void }).pipe(
              One.withCompensation(() => log.note(`${who} undoes`))
            )
            yield* Activity.make({
              name: "stubborn",
              execute: Effect.gen(function* () {
                yield* log.note(`${who} attempt ${yield* Activity.CurrentAttempt}`)
                yield* Effect.onInterrupt(hold, () => log.note(`${who} cleans up`))
              })
            }).pipe(Activity.retry({ times: 3 }))
            return "ok"
          })
        )
      const a = yield* world.start({ workflows: workflows("a", never.pass) })
      const runId = yield* a.run(start)
      yield* never.entered
      const closing = yield* beginClose(a)
      yield* TestClock.adjust("29999 millis")
      expect(closing.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(closing)).toEqual(Exit.void)
      expect(log.lines).toEqual(["a attempt 1", "a cleans up"])
      expect(world.logged("stop timeout")).toMatchObject([
        { level: "WARN", annotations: { steps: [`${runId}/stubborn/1`] } }
      ])
      expect(world.logged("drain over")).toMatchObject([
        { annotations: { stepsCut: 1, handedOver: 1 } }
      ])
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      expect((yield* stepsOf(world.outside, runId)).filter(({ exit }) => exit)).toMatchObject([
        { name: "first", status: "completed" }
      ])
      expect(yield* world.outside.executors).toEqual([])
      const b = yield* world.start({ workflows: workflows("b", Effect.void) })
      yield* untilStatus(world, runId, "completed")
      expect(log.lines.slice(2)).toEqual(["b attempt 1"])
      yield* b.close
    }))

  test("does not take a step's finalizer that fails for a failure of the step", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const never = gate()
      const workflows = One.toLayer(() =>
        Effect.gen(function* () {
          yield* Activity.make({ name: "first", execute: Effect.void }).pipe(
            One.withCompensation(() => log.note("undoes"))
          )
          yield* Activity.make({
            name: "step",
            execute: Effect.ensuring(never.pass, Effect.dieMessage("cannot close"))
          })
          return "ok"
        })
      )
      const a = yield* world.start({ workflows })
      const runId = yield* a.run(start)
      yield* never.entered
      const closing = yield* beginClose(a)
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.join(closing)
      expect(log.lines).toEqual([])
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      expect((yield* stepsOf(world.outside, runId)).map(({ name }) => name)).toEqual(["first"])
    }))

  for (const [what, hold] of [
    ["a step that cannot be interrupted", (at: Effect.Effect<void>) => Effect.uninterruptible(at)],
    ["a step whose finalizer hangs", (at: Effect.Effect<void>) => Effect.ensuring(Effect.never, at)]
  ] as const) {
    test(`leaves ${what} behind after the grace, and refuses its late writes`, (world) =>
      Effect.gen(function* () {
        const log = journal()
        const zombie = gate()
        const mate = gate()
        const workflows = (who: string, inside: Effect.Effect<void>) =>
          One.toLayer(() =>
            Effect.gen(function* () {
              yield* Activity.make({
                name: "stubborn",
                success: Schema.String,
                execute: Effect.as(
                  Effect.zipRight(log.note(`${who} stubborn`), inside),
                  `by ${who}`
                )
              }).pipe(One.withCompensation(() => log.note(`${who} undoes`)))
              yield* Activity.make({ name: "after", execute: log.note(`${who} after`) })
              return who
            })
          )
        const a = yield* world.start({
          workflows: workflows("a", Effect.zipRight(log.note("a holds"), hold(zombie.pass)))
        })
        const runId = yield* a.run(start)
        yield* until("it is in the step", () => log.lines.includes("a holds"))
        const closing = yield* beginClose(a)
        yield* TestClock.adjust("30 seconds")
        yield* settled
        expect(closing.unsafePoll()).toBe(null)
        yield* TestClock.adjust("2 seconds")
        expect(yield* Fiber.join(closing)).toEqual(Exit.void)
        expect(yield* a.state).toBe("stopped")
        expect(world.logged("left behind")).toMatchObject([
          { level: "ERROR", annotations: { runIds: [runId] } }
        ])
        expect(yield* statusOf(world.outside, runId)).toBe("pending")

        const b = yield* world.start({ workflows: workflows("b", mate.pass) })
        yield* mate.entered
        yield* zombie.open
        yield* settled
        expect(yield* statusOf(world.outside, runId)).toBe("running")
        expect(yield* stepsOf(world.outside, runId)).toEqual([])
        yield* mate.open
        yield* untilStatus(world, runId, "completed")
        expect(log.lines).toEqual(["a stubborn", "a holds", "b stubborn", "b after"])
        expect(yield* stepsOf(world.outside, runId)).toMatchObject([
          { name: "stubborn", exit: `{"_tag":"Success","value":"by b"}` },
          { name: "after" }
        ])
        yield* b.close
      }))
  }

  test("gives a cut step's finalizer the grace", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const never = gate()
      const workflows = One.toLayer(() =>
        Effect.as(
          Activity.make({
            name: "step",
            execute: Effect.ensuring(
              never.pass,
              Effect.zipRight(Effect.sleep("1500 millis"), log.note("closed"))
            )
          }),
          "ok"
        )
      )
      const a = yield* world.start({ workflows })
      const runId = yield* a.run(start)
      yield* never.entered
      const closing = yield* beginClose(a)
      yield* TestClock.adjust("31 seconds")
      expect(log.lines).toEqual([])
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(closing)
      expect(log.lines).toEqual(["closed"])
      expect(world.logged("left behind")).toEqual([])
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
    }))

  test("of zero cuts at once", (world) =>
    Effect.gen(function* () {
      const never = gate()
      const a = yield* world.start({
        workflows: One.toLayer(() =>
          Effect.as(Activity.make({ name: "step", execute: never.pass }), "ok")
        ),
        stopTimeout: 0
      })
      const runId = yield* a.run(start)
      yield* never.entered
      yield* a.close
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
    }))

  const here = <A, E, R>(effect: Effect.Effect<A, E, R>) => effect
  const inFiber = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Effect.fork(effect), Fiber.join)
  for (const [where, executed] of [
    ["", here],
    [" in a fiber of its own", inFiber]
  ] as const) {
    test(`cuts a step of a compensation${where}, and the next executor goes on with the compensation`, (world) =>
      Effect.gen(function* () {
        const log = journal()
        const undo = gate()
        const workflows = (who: string, hold: Effect.Effect<void>) =>
          One.toLayer(() =>
            Effect.gen(function* () {
              for (const name of ["one", "two"]) {
                yield* Activity.make({ name, execute: log.note(`${who} ${name}`) }).pipe(
                  One.withCompensation(() =>
                    executed(
                      Activity.make({
                        name: `undo ${name}`,
                        execute: Effect.zipRight(log.note(`${who} undo ${name}`), hold)
                      })
                    )
                  )
                )
              }
              return yield* Effect.fail("refused")
            })
          )
        const a = yield* world.start({ workflows: workflows("a", undo.pass) })
        const runId = yield* a.run(start)
        yield* undo.entered
        const closing = yield* beginClose(a)
        yield* TestClock.adjust("30 seconds")
        yield* Fiber.join(closing)
        expect(log.lines).toEqual(["a one", "a two", "a undo two"])
        expect(yield* statusOf(world.outside, runId)).toBe("pending")
        const b = yield* world.start({ workflows: workflows("b", Effect.void) })
        yield* untilStatus(world, runId, "failed")
        expect(log.lines.slice(3)).toEqual(["b undo two", "b undo one"])
        yield* b.close
      }))

    test(`bounds a plain compensation${where} that never ends, too`, (world) =>
      Effect.gen(function* () {
        const undo = gate()
        const a = yield* world.start({
          workflows: One.toLayer(() =>
            Effect.gen(function* () {
              yield* Activity.make({ name: "one", execute: Effect.void }).pipe(
                One.withCompensation(() => executed(undo.pass))
              )
              return yield* Effect.fail("refused")
            })
          )
        })
        const runId = yield* a.run(start)
        yield* undo.entered
        const closing = yield* beginClose(a)
        yield* TestClock.adjust("32 seconds")
        expect(yield* Fiber.join(closing)).toEqual(Exit.void)
        expect(yield* statusOf(world.outside, runId)).toBe("pending")
      }))
  }

  test("is one for all: workflow layers above the Runner, released one after the other, share it", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const flows = ["A", "B", "C"].map(named)
      const gates = flows.map(() => gate())
      const layers = flows.map((flow, i) =>
        flow.toLayer(() =>
          Effect.as(
            Activity.make({
              name: "step",
              execute: Effect.zipRight(log.note(flow.name), gates[i]!.pass)
            }),
            "ok"
          )
        )
      )
      const workflows = Layer.mergeAll(layers[0]!, layers[1]!, layers[2]!)
      const a = yield* world.start({ workflows, compose: runnerBelow })
      for (const [i, flow] of flows.entries()) {
        yield* a.run(flow.execute({ id: "1" }, { discard: true }))
        yield* gates[i]!.entered
      }
      const closing = yield* Effect.fork(a.close)
      yield* settled
      yield* TestClock.adjust("29999 millis")
      yield* settled
      expect(closing.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 millis")
      yield* settled
      expect(yield* Fiber.join(closing)).toEqual(Exit.void)
      expect(yield* a.state).toBe("stopped")
      expect(world.logged("stop timeout")).not.toEqual([])
    }))

  test("is each release's own where workflows are released by themselves, and whole for the stop after them", (world) =>
    Effect.gen(function* () {
      const flows = ["A", "B", "C"].map(named)
      const gates = flows.map(() => gate())
      const last = gate()
      const a = yield* world.start({
        workflows: One.toLayer(() =>
          Effect.as(Activity.make({ name: "step", execute: last.pass }), "ok")
        )
      })
      yield* a.run(start)
      yield* last.entered
      const scopes = []
      for (const [i, flow] of flows.entries()) {
        const scope = yield* Scope.make()
        scopes.push(scope)
        yield* Layer.buildWithScope(
          Layer.provide(
            flow.toLayer(() =>
              Effect.as(Activity.make({ name: "step", execute: gates[i]!.pass }), "ok")
            ),
            Layer.succeedContext(a.context)
          ),
          scope
        )
        if (i > 0) {
          yield* a.run(flow.execute({ id: "1" }, { discard: true }))
          yield* gates[i]!.entered
        }
      }
      yield* Scope.close(scopes[0]!, Exit.void)
      // B, 10 seconds later C, and 10 seconds after that the stop; each has a step that never ends
      const released: Array<Fiber.RuntimeFiber<unknown>> = []
      for (const release of [
        Scope.close(scopes[1]!, Exit.void),
        Scope.close(scopes[2]!, Exit.void),
        a.close
      ]) {
        released.push(yield* Effect.fork(release))
        yield* settled
        yield* TestClock.adjust("10 seconds")
      }
      const areOver = Effect.map(settled, () => released.map((one) => one.unsafePoll() !== null))
      expect(yield* areOver).toEqual([true, false, false])
      yield* TestClock.adjust("9999 millis")
      expect(yield* areOver).toEqual([true, false, false])
      yield* TestClock.adjust("1 millis")
      expect(yield* areOver).toEqual([true, true, false])
      yield* TestClock.adjust("9999 millis")
      expect(yield* areOver).toEqual([true, true, false])
      yield* TestClock.adjust("1 millis")
      expect(yield* areOver).toEqual([true, true, true])
    }))

  test("starts no step of another workflow between the releases of two", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const A = named("A")
      const B = named("B")
      const step = gate()
      const body = (name: string) =>
        Effect.gen(function* () {
          yield* Activity.make({
            name: "first",
            execute: Effect.zipRight(log.note(`${name} first`), step.pass)
          })
          yield* Activity.make({ name: "second", execute: log.note(`${name} second`) })
          return "ok"
        })
      const flows = Layer.merge(
        A.toLayer(() => body("A")),
        B.toLayer(() => body("B"))
      )
      const a = yield* world.start({ workflows: flows, compose: runnerBelow })
      yield* a.run(A.execute({ id: "1" }, { discard: true }))
      yield* a.run(B.execute({ id: "1" }, { discard: true }))
      yield* until("both are in a step", () => step.count === 2)
      const closing = yield* Effect.fork(a.close)
      yield* settled
      yield* step.open
      yield* Fiber.join(closing)
      expect([...log.lines].sort()).toEqual(["A first", "B first"])
    }))

  for (const [name, hang] of [
    ["claim", "claim"],
    ["give-back", "releaseAll"]
  ] as const) {
    test(`bounds the stop when the store does not answer a ${name}`, (world) =>
      Effect.gen(function* () {
        const a = yield* world.start({
          workflows: One.toLayer(() => Effect.succeed("ok")),
          wrap: (store) => ({ ...store, [hang]: () => Effect.never })
        })
        yield* settled
        const closing = yield* Effect.fork(a.close)
        yield* settled
        yield* TestClock.adjust("40 seconds")
        yield* until("it is closed", () => closing.unsafePoll() !== null)
        expect(yield* a.state).toBe("stopped")
        expect(Exit.isSuccess(yield* Fiber.join(closing))).toBe(hang === "claim")
      }))
  }

  test("bounds the stop when no write of any kind is answered", (world) =>
    Effect.gen(function* () {
      let dead = false
      const step = gate()
      const hang =
        <A extends ReadonlyArray<unknown>, B, E>(f: (...args: A) => Effect.Effect<B, E>) =>
        (...args: A): Effect.Effect<B, E> =>
          Effect.suspend(() => (dead ? Effect.never : f(...args)))
      const a = yield* world.start({
        workflows: One.toLayer(() =>
          Effect.as(Activity.make({ name: "step", execute: step.pass }), "ok")
        ),
        wrap: (store) => ({
          ...store,
          recordStep: hang(store.recordStep),
          noteStep: hang(store.noteStep),
          release: hang(store.release),
          releaseAll: hang(store.releaseAll),
          unregister: hang(store.unregister),
          suspend: hang(store.suspend),
          renew: hang(store.renew),
          takeOver: hang(store.takeOver)
        })
      })
      yield* a.run(start)
      yield* step.entered
      dead = true
      const closing = yield* beginClose(a)
      yield* step.open
      yield* settled
      yield* TestClock.adjust("45 seconds")
      yield* until("it is closed", () => closing.unsafePoll() !== null)
      expect(Exit.isFailure(yield* Fiber.join(closing))).toBe(true)
      expect(yield* a.state).toBe("stopped")
    }))

  for (const reason of ["busy", "full"] as const) {
    test(`a record that fails as ${reason} is tried again, and the step does not execute again`, (world) =>
      Effect.gen(function* () {
        const log = journal()
        let failures = 3
        const a = yield* world.start({
          workflows: One.toLayer(() =>
            Effect.gen(function* () {
              yield* Activity.make({ name: "first", execute: log.note("first") })
              yield* Activity.make({ name: "second", execute: log.note("second") })
              return "ok"
            })
          ),
          wrap: (store) => ({
            ...store,
            recordStep: (step) =>
              Effect.suspend(() =>
                failures-- > 0 ? Effect.fail(failing(reason)) : store.recordStep(step)
              )
          })
        })
        const runId = yield* a.run(start)
        yield* until("it failed", () => failures === 2)
        yield* settled
        expect(log.lines).toEqual(["first"])
        yield* TestClock.adjust("2 seconds")
        yield* untilStatus(world, runId, "completed")
        expect(log.lines).toEqual(["first", "second"])
        yield* a.close
      }))
  }

  test("ends a stop whose store fails to the last, as a failure of the close", (world) =>
    Effect.gen(function* () {
      const step = gate()
      let broken = false
      const breaks =
        <A extends ReadonlyArray<unknown>, B, E>(f: (...args: A) => Effect.Effect<B, E>) =>
        (...args: A): Effect.Effect<B, E | RunStoreError> =>
          Effect.suspend(
            (): Effect.Effect<B, E | RunStoreError> =>
              broken ? Effect.fail(failing("full")) : f(...args)
          )
      const a = yield* world.start({
        workflows: One.toLayer(() =>
          Effect.as(Activity.make({ name: "step", execute: step.pass }), "ok")
        ),
        wrap: (store) => ({
          ...store,
          recordStep: breaks(store.recordStep),
          release: breaks(store.release),
          releaseAll: breaks(store.releaseAll),
          unregister: breaks(store.unregister),
          suspend: breaks(store.suspend),
          renew: breaks(store.renew)
        })
      })
      const runId = yield* a.run(start)
      yield* step.entered
      broken = true
      const closing = yield* beginClose(a)
      yield* step.open
      yield* settled
      expect(closing.unsafePoll()).toBe(null)
      yield* TestClock.adjust("40 seconds")
      expect(Exit.isFailure(yield* Fiber.join(closing))).toBe(true)
      expect(yield* a.state).toBe("stopped")
      expect(world.logged("not handed over").length).toBeGreaterThan(0)
      // the lease tells the others
      expect(yield* statusOf(world.outside, runId)).toBe("running")
    }))

  test("hands over a run although the record of its step failed to the last", (world) =>
    Effect.gen(function* () {
      const step = gate()
      const a = yield* world.start({
        workflows: One.toLayer(() =>
          Effect.as(Activity.make({ name: "step", execute: step.pass }), "ok")
        ),
        wrap: (store) => ({ ...store, recordStep: () => Effect.fail(failing("busy")) })
      })
      const runId = yield* a.run(start)
      yield* step.entered
      const closing = yield* beginClose(a)
      yield* step.open
      yield* TestClock.adjust("40 seconds")
      expect(yield* Fiber.join(closing)).toEqual(Exit.void)
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
    }))
})
