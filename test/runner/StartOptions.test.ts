/** Runs that are started for later, before others, for so long, or in place of another. */
import { Activity, DurableDeferred, Workflow, type WorkflowEngine } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { layer as layerRuns, Runs } from "../../src/runner/Runs.js"
import {
  expect,
  gate,
  journal,
  type Stack,
  settled,
  untilPolled,
  untilStatus,
  worlds
} from "./Harness.js"

const named = <Name extends string>(name: Name) =>
  Workflow.make({
    name,
    payload: { id: Schema.String, note: Schema.optional(Schema.String) },
    idempotencyKey: ({ id }) => id
  })

const Order = named("Order")
const Child = named("Child")

const Approval = DurableDeferred.make("Approval")

const asked = <A, E>(stack: Stack, ask: (runs: Runs["Type"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(Runs, ask).pipe(Effect.provide(layerRuns), Effect.provide(stack.context))

type Request = Parameters<Runs["Type"]["start"]>[0]

const start = (stack: Stack, id: string, options: Request["options"] = {}, note?: string) =>
  asked(stack, (runs) =>
    runs.start({ workflow: "Order", payload: note === undefined ? { id } : { id, note }, options })
  )

const step = (name: string, body: Effect.Effect<void>) => Activity.make({ name, execute: body })

worlds("a run that is started for later", (test) => {
  test("begins when its time has come, and not before, whatever it is told", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const workflows = Order.toLayer(({ id }) =>
        Effect.zipRight(step("work", note(id)), DurableDeferred.await(Approval))
      )
      const stack = yield* world.start({ workflows })
      const { runId } = yield* start(stack, "later", { delay: "20 seconds" })
      const shown = yield* asked(stack, (runs) => runs.get(runId))
      const due = new Date(20_000).toISOString()
      expect(shown).toMatchObject({ status: "pending", startAt: due })
      expect(shown.waitsFor).toEqual({ total: 1, first: [{ type: "start", until: due }] })
      yield* asked(stack, (runs) => runs.signal({ runId, name: "Approval" }))
      yield* TestClock.adjust("19 seconds")
      yield* settled
      expect(lines).toEqual([])
      yield* TestClock.adjust("1 second")
      yield* untilStatus(world, runId, "completed")
      expect(lines).toEqual(["later"])
    }))

  test("begins in the next process, where this one has drained meanwhile", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const workflows = Order.toLayer(({ id }) => step("work", note(id)))
      const first = yield* world.start({ workflows })
      const { runId } = yield* start(first, "later", { startAt: new Date(60_000) })
      yield* first.close
      yield* TestClock.adjust("30 seconds")
      yield* world.start({ workflows })
      yield* TestClock.adjust("29 seconds")
      yield* settled
      expect(lines).toEqual([])
      yield* TestClock.adjust("1 second")
      yield* untilStatus(world, runId, "completed")
    }))

  test("begins at once when it is resumed, and ends without having begun when interrupted", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const workflows = Order.toLayer(({ id }) => step("work", note(id)))
      const stack = yield* world.start({ workflows })
      const { runId: resumed } = yield* start(stack, "resumed", { delay: "20 seconds" })
      const { runId: ended } = yield* start(stack, "ended", { delay: "20 seconds" })
      yield* asked(stack, (runs) => runs.resume(resumed))
      yield* asked(stack, (runs) => runs.interrupt(ended))
      yield* untilStatus(world, resumed, "completed")
      yield* untilStatus(world, ended, "interrupted")
      expect(lines).toEqual(["resumed"])
    }))
})

worlds("a run with a priority", (test) => {
  test("begins before those that wait with a greater one, and as they came among equals", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const held = gate()
      const workflows = Order.toLayer(({ id }) =>
        step("work", id === "first" ? held.pass : note(id))
      )
      const stack = yield* world.start({ workflows, maxConcurrentRuns: 1 })
      yield* start(stack, "first")
      yield* held.entered
      const waiting: ReadonlyArray<readonly [string, number]> = [
        ["b", 0],
        ["d", 5],
        ["a", -5],
        ["c", 0]
      ]
      const ids: Array<string> = []
      for (const [id, priority] of waiting) ids.push((yield* start(stack, id, { priority })).runId)
      yield* held.open
      for (const runId of ids) yield* untilStatus(world, runId, "completed")
      expect(lines).toEqual(["a", "b", "c", "d"])
    }))
})

worlds("a run with a timeout", (test) => {
  const compensated = (
    note: (line: string) => Effect.Effect<void>,
    wait: Effect.Effect<
      void,
      never,
      WorkflowEngine.WorkflowEngine | WorkflowEngine.WorkflowInstance
    >
  ) =>
    Order.toLayer(() =>
      Effect.gen(function* () {
        yield* step("reserve", note("reserve")).pipe(Order.withCompensation(() => note("undo")))
        yield* wait
      }).pipe(Effect.orDie)
    )

  const RunTimedOut = {
    _tag: "RunTimedOut",
    timeout: 60_000,
    message: "the run did not end within its timeout of 60000 ms"
  }

  test("fails with RunTimedOut and is undone, where it waits", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const workflows = compensated(note, DurableDeferred.await(Approval))
      const stack = yield* world.start({ workflows })
      const { runId } = yield* start(stack, "1", { timeout: "1 minute" })
      yield* untilStatus(world, runId, "suspended")
      yield* TestClock.adjust("59 seconds")
      yield* settled
      expect(lines).toEqual(["reserve"])
      yield* TestClock.adjust("1 second")
      yield* untilStatus(world, runId, "failed")
      expect(lines).toEqual(["reserve", "undo"])
      const shown = yield* asked(stack, (runs) => runs.get(runId))
      expect(shown.error).toEqual(RunTimedOut)
      expect(shown).toMatchObject({ timeout: 60_000, deadline: new Date(60_000).toISOString() })
    }))

  test("fails so in the middle of a step, and where another process goes on with it", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const held = gate()
      const stuck = Effect.orDie(step("stuck", held.pass))
      const first = yield* world.start({ workflows: compensated(note, stuck), stopTimeout: 0 })
      const { runId } = yield* start(first, "1", { timeout: "1 minute" })
      yield* held.entered
      // its begin is the first one, however often it goes on
      yield* TestClock.adjust("40 seconds")
      yield* Effect.fork(first.close)
      yield* untilPolled("the first has stopped", () =>
        Effect.map(first.state, (state) => state === "stopped")
      )
      held.count = 0
      const second = yield* world.start({ workflows: compensated(note, stuck) })
      yield* held.entered
      yield* TestClock.adjust("60 seconds")
      yield* untilStatus(world, runId, "failed")
      expect(lines.at(-1)).toBe("undo")
      expect((yield* asked(second, (runs) => runs.get(runId))).error).toEqual(RunTimedOut)
    }))

  test("takes its children with it, and its parent hears of a defect", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const workflows = Layer.mergeAll(
        Child.toLayer(() => DurableDeferred.await(Approval)),
        Order.toLayer(({ id }) => Effect.zipRight(note(id), Child.execute({ id })))
      )
      const stack = yield* world.start({ workflows })
      const { runId } = yield* start(stack, "1", { timeout: "1 minute" })
      const child = yield* stack.run(Child.executionId({ id: "1" }))
      yield* untilStatus(world, child, "suspended")
      yield* TestClock.adjust("1 minute")
      yield* untilStatus(world, child, "interrupted")
      yield* untilStatus(world, runId, "failed")
      const exit = yield* Effect.exit(stack.run(Order.execute({ id: "1" })))
      expect(lines).not.toEqual([])
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("did not end within its timeout")
    }))

  test("is interrupted as any other, where somebody asks for that before", (world) =>
    Effect.gen(function* () {
      const { note } = journal()
      const workflows = compensated(note, DurableDeferred.await(Approval))
      const stack = yield* world.start({ workflows })
      const { runId } = yield* start(stack, "1", { timeout: "1 minute" })
      yield* untilStatus(world, runId, "suspended")
      yield* asked(stack, (runs) => runs.interrupt(runId))
      yield* untilStatus(world, runId, "interrupted")
      yield* TestClock.adjust("90 seconds")
      yield* settled
      expect((yield* asked(stack, (runs) => runs.get(runId))).status).toBe("interrupted")
    }))

  test("that ends in time is not looked at again", (world) =>
    Effect.gen(function* () {
      const workflows = Order.toLayer(() => Effect.void)
      const stack = yield* world.start({ workflows })
      const { runId } = yield* start(stack, "1", { timeout: "1 minute" })
      yield* untilStatus(world, runId, "completed")
      yield* TestClock.adjust("90 seconds")
      yield* settled
      expect((yield* asked(stack, (runs) => runs.get(runId))).status).toBe("completed")
    }))
})

worlds("a run that is there already", (test) => {
  const noted = (note: (line: string) => Effect.Effect<void>) =>
    Order.toLayer((payload) => step("work", note(`${payload.id} ${payload.note}`)))

  test("is used, if it has the same payload", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const stack = yield* world.start({ workflows: noted(note) })
      const { runId } = yield* start(stack, "1", {}, "a")
      yield* untilStatus(world, runId, "completed")
      expect(yield* start(stack, "1", {}, "a")).toMatchObject({ created: false, runId })
      const refused = yield* Effect.flip(start(stack, "1", {}, "b"))
      expect(refused).toMatchObject({ _tag: "PayloadDiffers", runId, status: "completed" })
      const ignored = yield* start(stack, "1", { ignorePayload: true }, "b")
      expect(ignored).toMatchObject({ created: false, runId })
      const failed = yield* Effect.flip(start(stack, "1", { onConflict: "fail" }, "a"))
      expect(failed).toMatchObject({ _tag: "RunExists", runId, status: "completed" })
      expect(lines).toEqual(["1 a"])
    }))

  test("is replaced, if it has not begun", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const stack = yield* world.start({ workflows: noted(note) })
      const replace = { delay: "1 minute", onConflict: "replace" } as const
      const { runId } = yield* start(stack, "1", replace, "a")
      yield* TestClock.adjust("50 seconds")
      expect(yield* start(stack, "1", replace, "b")).toMatchObject({
        runId,
        created: false,
        replaced: true
      })
      yield* TestClock.adjust("50 seconds")
      yield* settled
      expect(lines).toEqual([])
      yield* TestClock.adjust("10 seconds")
      yield* untilStatus(world, runId, "completed")
      expect(lines).toEqual(["1 b"])
      const refused = yield* Effect.flip(start(stack, "1", replace, "c"))
      expect(refused).toMatchObject({ _tag: "RunExists", status: "completed" })
    }))
})

worlds("options that are not allowed", (test) => {
  test("are named, with what is allowed, and nothing is started", (world) =>
    Effect.gen(function* () {
      const stack = yield* world.start({ workflows: Order.toLayer(() => Effect.void) })
      const many = Array.from({ length: 17 }, (_, i) => `${i}`)
      const cases: ReadonlyArray<readonly [Request["options"], string]> = [
        [{ startAt: "tomorrow" }, `startAt: "tomorrow" is not a time`],
        [{ startAt: new Date(Number.NaN) }, "startAt:"],
        [{ startAt: new Date(1), delay: "1 second" }, "startAt and delay"],
        [{ delay: "infinity" as never }, "delay: infinity is not a finite duration"],
        [{ delay: "soon" as never }, "delay: soon"],
        [{ timeout: 0 }, "timeout: 0; more than none is allowed"],
        [{ timeout: "50000 weeks" }, "at most 100 years"],
        [
          { dellay: "1 hour" } as never,
          "dellay: there is no such option; there are startAt, delay"
        ],
        [{ priority: 1.5 }, "priority: 1.5 is not a whole number from -1000000 to 1000000"],
        [{ priority: 1_000_001 }, "priority: 1000001"],
        [{ tags: many }, "17 tags; at most 16 are allowed"],
        [{ tags: [""] }, `the tag "" has 0 characters; 1 to 64 are allowed`],
        [{ tags: ["x".repeat(65)] }, "has 65 characters"],
        [{ tags: ["\ud800"] }, "the tag"],
        [{ attributes: { "": 1 } }, `the attribute name ""`],
        [{ attributes: { a: "x".repeat(257) } }, `the attribute "a" has 257 characters`],
        [{ attributes: { a: Number.NaN } }, `the attribute "a" is NaN`],
        [{ attributes: { a: null as never } }, `the attribute "a" is object`],
        [{ ignorePayload: true, onConflict: "fail" }, "ignorePayload goes with onConflict"]
      ]
      for (const [options, message] of cases) {
        const error = yield* Effect.flip(start(stack, "1", options))
        expect(error._tag).toBe("InvalidOptions")
        expect(error.message).toContain(message)
      }
      const page = yield* asked(stack, (runs) => runs.list())
      expect(page.runs).toEqual([])
    }))

  test("are no concern of those that are", (world) =>
    Effect.gen(function* () {
      const stack = yield* world.start({ workflows: Order.toLayer(() => Effect.void) })
      const options = {
        startAt: "2026-11-22T18:00:00+01:00",
        priority: -3,
        timeout: "2 hours",
        tags: ["a", "a", "b"],
        attributes: { customer: "7", n: 1, ok: false }
      } as const
      const { runId } = yield* start(stack, "1", options)
      const shown = yield* asked(stack, (runs) => runs.get(runId))
      expect(shown).toMatchObject({
        startAt: "2026-11-22T17:00:00.000Z",
        priority: -3,
        timeout: 7_200_000,
        tags: ["a", "b"],
        attributes: { customer: "7", n: 1, ok: false }
      })
      const found = yield* asked(stack, (runs) =>
        runs.list({ tags: ["b"], attributes: { customer: "7" } })
      )
      expect(found.runs.map((run) => run.runId)).toEqual([runId])
    }))
})
