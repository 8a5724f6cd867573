/** Runs that were under way when executors died: what is noted of them, and when they are set aside. */
import { Activity, DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { RunStoreError, type StepNote } from "../../src/store/RunStore.js"
import * as Harness from "./Harness.js"
import { expect, found, gate, journal, type Store, until, untilStatus, worlds } from "./Harness.js"

const step = (name: string, execute: Effect.Effect<void> = Effect.void) =>
  Activity.make({ name, execute })

const workflow = (name: string, steps: ReadonlyArray<ReturnType<typeof step>>) => {
  const W = Workflow.make({
    name,
    payload: { id: Schema.String },
    idempotencyKey: ({ id }) => id
  })
  return {
    live: W.toLayer(() => Effect.forEach(steps, (step) => step, { discard: true })),
    name,
    workflow: W
  }
}

const Answer = DurableDeferred.make("Answer")

const answer = `{"_tag":"Success"}`

/** Waits for the answer, beside plain code. */
const waiting = (
  name: string,
  beside: <E, R>(wait: Effect.Effect<void, E, R>) => Effect.Effect<unknown, unknown, R>
) => {
  const W = Workflow.make({
    name,
    payload: { id: Schema.String },
    idempotencyKey: ({ id }) => id
  })
  return {
    live: W.toLayer(() => Effect.asVoid(Effect.orDie(beside(DurableDeferred.await(Answer))))),
    name
  }
}

/** A run of which so many executors in a row have died, in that step. */
const crashed = (store: Store, runId: string, name: string, deaths: number, step = "bad") =>
  crashedTogether(store, [[runId, name]], deaths, step)

/** Runs that were all under way when so many executors in a row have died, each in that step. */
const crashedTogether = (
  store: Store,
  runs: ReadonlyArray<readonly [runId: string, workflow: string]>,
  deaths: number,
  step = "bad"
) =>
  Effect.gen(function* () {
    for (const [runId, workflow] of runs) {
      yield* store.create({ runId, workflow, payload: `{"id":"${runId}"}` })
    }
    const workflows = runs.map(([, workflow]) => workflow)
    for (let death = 0; death < deaths; death++) {
      const executor = yield* store.register({ host: "other", pid: 1, leaseMillis: 1_000 })
      const claimed = yield* store.claim({ executor, workflows, limit: runs.length })
      if (claimed.length < runs.length) return yield* Effect.dieMessage("not claimed")
      for (const { held } of claimed) {
        const note = { held, name: step, attempt: 1, startedAt: 0, completedAt: undefined }
        yield* store.noteStep({ ...note, status: "running" })
      }
      yield* store.takeOver({ limit: 9, dead: [executor] })
      yield* TestClock.adjust("5 minutes")
      yield* store.wakeDue(9)
    }
  })

/** Notes what is noted of steps, and of progress. */
const watched = () => {
  const notes: Array<string> = []
  return {
    notes,
    wrap: (store: Store): Store => ({
      ...store,
      noteStep: (note: StepNote) => {
        notes.push(`${note.name} ${note.status}`)
        return store.noteStep(note)
      },
      waitsForRoom: (held) => {
        notes.push(`${held.runId} waits`)
        return store.waitsForRoom(held)
      },
      letOthersTry: (held) => {
        notes.push(`${held.runId} lets others`)
        return store.letOthersTry(held)
      },
      progressed: (held) => {
        notes.push("progressed")
        return store.progressed(held)
      }
    })
  }
}

const completes = (world: Harness.World, runId: string) =>
  Harness.untilPolled(`${runId} is completed`, () =>
    Effect.map(found(world.outside, runId), ({ status }) => status === "completed")
  )

worlds("crashes", (test, kind) => {
  test("starts of steps are noted only until the run gets somewhere after a death", (world) =>
    Effect.gen(function* () {
      const W = workflow(`Noted/${kind}`, [step("a"), step("b")])
      yield* crashed(world.outside, "after a death", W.name, 1)
      const { notes, wrap } = watched()
      const stack = yield* world.start({ workflows: W.live, wrap, maxCrashes: 3 })
      yield* untilStatus(world, "after a death", "completed")
      expect(notes).toEqual(["a running", "progressed"])
      yield* stack.dispatcher.start({
        runId: "other",
        workflow: W.name,
        payload: `{"id":"other"}`
      })
      yield* untilStatus(world, "other", "completed")
      expect(notes).toEqual(["a running", "progressed"])
    }))

  test("a run that only waits for room for its step is not suspected for being there", (world) =>
    Effect.gen(function* () {
      const inStep = gate()
      const Busy = workflow(`Busy/${kind}`, [step("busy", inStep.pass)])
      const Waits = workflow(`Waits/${kind}`, [step("next"), step("last")])
      const busy = { runId: "busy", workflow: Busy.name, payload: `{"id":"busy"}` }
      yield* world.outside.create(busy)
      yield* crashed(world.outside, "waits", Waits.name, 1)
      const { notes, wrap } = watched()
      const stack = yield* world.start({
        workflows: Layer.merge(Busy.live, Waits.live),
        wrap,
        maxConcurrentSteps: 1
      })
      yield* inStep.entered
      yield* until("it is noted", () => notes.length > 0)
      yield* Harness.settled
      expect(notes).toEqual(["waits waits"])
      const executor = stack.dispatcher.executor() ?? 0
      yield* world.outside.takeOver({ limit: 9, dead: [executor] })
      expect((yield* found(world.outside, "waits")).crashes).toBe(1)
      expect((yield* found(world.outside, "busy")).crashes).toBe(1)
      yield* inStep.open
    }))

  test("a run that waits beside a plain timeout has got somewhere when it has waited for a while", (world) =>
    Effect.gen(function* () {
      const W = waiting(`Beside/${kind}`, Effect.timeout("1 day"))
      yield* crashed(world.outside, "r", W.name, 2)
      const { notes, wrap } = watched()
      yield* world.start({ workflows: W.live, wrap })
      yield* untilStatus(world, "r", "running")
      yield* TestClock.adjust("4900 millis")
      yield* Harness.settled
      expect((yield* found(world.outside, "r")).crashes).toBe(2)
      yield* TestClock.adjust("100 millis")
      yield* Harness.untilPolled("it counts no more", () =>
        Effect.map(found(world.outside, "r"), ({ crashes }) => crashes === undefined)
      )
      // it waits for longer, which is nothing to be noted
      yield* TestClock.adjust("1 minute")
      yield* Harness.settled
      expect(notes).toEqual(["progressed"])
      yield* world.outside.signal({ runId: "r", name: "Answer", exit: answer })
      yield* completes(world, "r")
    }))

  test("of a run whose plain code goes on again and again nothing is known by that", (world) =>
    Effect.gen(function* () {
      const beside = gate()
      const busy = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.zipLeft(effect, Effect.zipRight(Effect.sleep("2 seconds"), beside.pass), {
          concurrent: true
        })
      const W = waiting(`Busy beside/${kind}`, busy)
      yield* crashed(world.outside, "r", W.name, 2)
      const { notes, wrap } = watched()
      yield* world.start({ workflows: W.live, wrap })
      yield* untilStatus(world, "r", "running")
      yield* TestClock.adjust("2 seconds")
      yield* beside.entered
      yield* world.outside.signal({ runId: "r", name: "Answer", exit: answer })
      yield* beside.open
      yield* completes(world, "r")
      yield* TestClock.adjust("1 minute")
      yield* Harness.settled
      expect(notes).toEqual([])
    }))

  test("two suspects of which one waits for the other beside a plain timeout do not hold each other up", (world) =>
    Effect.gen(function* () {
      const Child = workflow(`Suspect child/${kind}`, [step("work")])
      const Parent = Workflow.make({
        name: `Suspect parent/${kind}`,
        payload: { id: Schema.String },
        idempotencyKey: ({ id }) => id
      })
      const child = yield* Child.workflow.executionId({ id: "child" })
      const parent = Parent.toLayer(() =>
        Effect.orDie(Effect.timeout(Child.workflow.execute({ id: "child" }), "1 day"))
      )
      const both = [
        ["parent", Parent.name],
        [child, Child.name]
      ] as const
      yield* crashedTogether(world.outside, both, 2)
      yield* world.start({ workflows: Layer.merge(parent, Child.live) })
      yield* untilStatus(world, "parent", "running")
      yield* Harness.settled
      expect((yield* found(world.outside, child)).status).toBe("suspended")
      yield* TestClock.adjust("7 seconds")
      yield* completes(world, "parent")
    }))

  test("a suspect whose step waits for another, in a way that nobody sees, does not hold it up for ever", (world) =>
    Effect.gen(function* () {
      const done = gate()
      const Asks = workflow(`Asks/${kind}`, [step("ask", done.pass)])
      const Does = workflow(`Does/${kind}`, [step("do", Effect.zipRight(done.entered, done.open))])
      const both = [
        ["asks", Asks.name],
        ["does", Does.name]
      ] as const
      yield* crashedTogether(world.outside, both, 2)
      yield* world.start({ workflows: Layer.merge(Asks.live, Does.live) })
      yield* done.entered
      yield* Harness.settled
      // it is suspected as long as it has recorded nothing, and tried alone for a minute
      expect((yield* found(world.outside, "asks")).crashes).toBe(2)
      yield* TestClock.adjust("50 seconds")
      yield* Harness.settled
      expect((yield* found(world.outside, "does")).status).not.toBe("completed")
      yield* TestClock.adjust("15 seconds")
      yield* completes(world, "does")
      yield* completes(world, "asks")
    }))

  test("a step that is noted while the lease runs out is not begun before that is renewed", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const W = workflow(`Lapses/${kind}`, [step("noted", note("executed"))])
      yield* crashed(world.outside, "r", W.name, 1)
      const noting = gate()
      let isAway = false
      const away = Effect.fail(new RunStoreError({ reason: "unavailable", message: "away" }))
      const wrap = (store: Store): Store => ({
        ...store,
        noteStep: (step) => Effect.zipRight(noting.pass, store.noteStep(step)),
        renew: (...lease) => Effect.suspend(() => (isAway ? away : store.renew(...lease)))
      })
      yield* world.start({ workflows: W.live, wrap })
      yield* noting.entered
      isAway = true
      yield* TestClock.adjust("1 minute")
      yield* noting.open
      yield* Harness.settled
      expect(lines).toEqual([])
      isAway = false
      yield* TestClock.adjust("10 seconds")
      yield* untilStatus(world, "r", "completed")
      expect(lines).toEqual(["executed"])
    }))

  test("an executor that was only taken for dead says so, also of what it has lost one by one", (world) =>
    Effect.gen(function* () {
      const inStep = gate()
      const W = workflow(`Lives/${kind}`, [step("long", inStep.pass)])
      const taken: Array<string> = []
      const wrap = (store: Store): Store => ({
        ...store,
        survived: (runs) => {
          taken.push(...runs.map(({ runId }) => runId))
          return store.survived(runs)
        }
      })
      const stack = yield* world.start({ workflows: W.live, wrap })
      yield* stack.dispatcher.start({ runId: "r", workflow: W.name, payload: `{"id":"r"}` })
      yield* inStep.entered
      yield* world.outside.takeOver({ limit: 9, dead: [stack.dispatcher.executor() ?? 0] })
      expect((yield* found(world.outside, "r")).crashes).toBe(1)
      // what it records is refused, long before it looks at its lease
      yield* inStep.open
      yield* Harness.untilPolled("it goes on here", () =>
        Effect.map(found(world.outside, "r"), ({ status }) => status === "completed")
      )
      expect(taken).toEqual(["r"])
    }))

  test("the third in a row sets the run aside, with its step, until it is resumed", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const W = workflow(`Aside/${kind}`, [step("bad", note("executed"))])
      yield* crashed(world.outside, "r", W.name, 3)
      yield* world.start({ workflows: W.live })
      yield* untilStatus(world, "r", "suspended")
      yield* Harness.settled
      expect(lines).toEqual([])
      const run = yield* found(world.outside, "r")
      expect(run.crashes).toBe(3)
      expect(run.cause).toContain("set aside: 3 executors in a row have died")
      expect(run.cause).toContain("step bad/1 had been started")
      expect(world.logged("run suspended after a failure")).toHaveLength(1)
      // a signal does not make it try again
      yield* world.outside.signal({ runId: "r", name: "s", exit: "1" })
      yield* Harness.untilPolled(
        "it is set aside once more",
        () => world.logged("run suspended after a failure").length === 2
      )
      yield* world.outside.wake("r")
      yield* Harness.untilPolled("it is over", () =>
        Effect.map(found(world.outside, "r"), ({ status }) => status === "completed")
      )
      expect(lines).toEqual(["executed"])
      expect((yield* found(world.outside, "r")).crashes).toBeUndefined()
    }))

  test("how many that takes is a setting", (world) =>
    Effect.gen(function* () {
      const W = workflow(`Setting/${kind}`, [step("bad")])
      yield* crashed(world.outside, "r", W.name, 4)
      yield* world.start({ workflows: W.live, maxCrashes: 5 })
      yield* untilStatus(world, "r", "completed")
    }))

  test("an interrupt ends one that was set aside, and executes none of it", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const W = workflow(`Ended/${kind}`, [step("bad", note("executed"))])
      yield* crashed(world.outside, "r", W.name, 3)
      yield* world.start({ workflows: W.live, maxCrashes: 3 })
      yield* untilStatus(world, "r", "suspended")
      yield* world.outside.requestInterrupt("r")
      yield* Harness.untilPolled("it is over", () =>
        Effect.map(found(world.outside, "r"), ({ status }) => status === "interrupted")
      )
      expect(lines).toEqual([])
    }))

  test("the death of an executor that was only frozen does not count once it is back", (world) =>
    Effect.gen(function* () {
      const inStep = gate()
      const W = workflow(`Frozen/${kind}`, [step("slow", inStep.pass)])
      const stack = yield* world.start({ workflows: W.live, leaseDuration: "3 seconds" })
      const payload = `{"id":"r"}`
      yield* stack.dispatcher.start({ runId: "r", workflow: W.name, payload })
      yield* inStep.entered
      const frozen = stack.dispatcher.executor() ?? 0
      yield* world.outside.takeOver({ limit: 9, dead: [frozen] })
      expect((yield* found(world.outside, "r")).crashes).toBe(1)
      yield* TestClock.adjust("1 second")
      yield* until("it is back", () => stack.dispatcher.executor() !== frozen)
      expect((yield* found(world.outside, "r")).crashes).toBeUndefined()
      yield* inStep.open
    }))
})
