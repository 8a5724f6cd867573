/** What the start of a run does to others of its key, as their steps see it. */
import { Activity, DurableDeferred, Workflow } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import * as RunQueue from "../../src/engine/RunQueue.js"
import { layer as layerRuns, Runs } from "../../src/runner/Runs.js"
import {
  expect,
  gate,
  it,
  journal,
  type Stack,
  settled,
  untilPolled,
  untilStatus,
  worlds
} from "./Harness.js"

interface Sync {
  readonly customer: string
  readonly version: number
}

const byCustomer = ({ customer }: Sync) => customer

const sync = (options: RunQueue.Options<Sync>) =>
  Workflow.make({
    name: "Sync",
    payload: { customer: Schema.String, version: Schema.Number },
    idempotencyKey: ({ customer, version }) => `${customer}/${version}`
  }).annotate(RunQueue.RunQueue, RunQueue.make({ key: byCustomer, ...options }))

const asked = <A, E>(stack: Stack, ask: (runs: Runs["Type"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(Runs, ask).pipe(Effect.provide(layerRuns), Effect.provide(stack.context))

const begin = (stack: Stack, version: number, customer = "ada") =>
  asked(stack, (runs) => runs.start({ workflow: "Sync", payload: { customer, version } }))

worlds("a workflow that is debounced", (test) => {
  test("begins once with the last payload, when none has come for its period", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const workflows = sync({ debounce: { period: "10 seconds" } }).toLayer(
        ({ customer, version }) =>
          Activity.make({ name: "sync", execute: note(`${customer} ${version}`) })
      )
      const stack = yield* world.start({ workflows })
      const first = yield* begin(stack, 1)
      yield* begin(stack, 1, "bob")
      yield* TestClock.adjust("9 seconds")
      const second = yield* begin(stack, 2)
      yield* settled
      expect(lines).toEqual([])
      expect(yield* Effect.flip(asked(stack, (runs) => runs.get(first.runId)))).toMatchObject({
        _tag: "RunNotFound"
      })
      yield* TestClock.adjust("1 seconds")
      yield* untilPolled("bob's is over", () => Effect.succeed(lines.length === 1))
      yield* TestClock.adjust("9 seconds")
      yield* untilStatus(world, second.runId, "completed")
      expect(lines).toEqual(["bob 1", "ada 2"])
    }))

  test("keeps its wait through a restart", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const workflows = sync({ debounce: { period: "20 seconds" } }).toLayer(({ version }) =>
        Activity.make({ name: "sync", execute: note(`${version}`) })
      )
      const one = yield* world.start({ workflows })
      yield* begin(one, 1)
      yield* one.close
      const two = yield* world.start({ workflows })
      yield* TestClock.adjust("10 seconds")
      const { runId } = yield* begin(two, 2)
      yield* TestClock.adjust("19 seconds")
      yield* settled
      expect(lines).toEqual([])
      yield* TestClock.adjust("1 seconds")
      yield* untilStatus(world, runId, "completed")
      expect(lines).toEqual(["2"])
    }))

  test("tells whoever waits for a run whose place was taken, and is not so for children", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const Sync = sync({ debounce: { period: "10 seconds" } })
      const Parent = Workflow.make({
        name: "Parent",
        payload: { id: Schema.String },
        idempotencyKey: ({ id }) => id
      })
      const workflows = Layer.merge(
        Sync.toLayer(({ version }) => Activity.make({ name: "sync", execute: note(`${version}`) })),
        Parent.toLayer(() => Sync.execute({ customer: "ada", version: 9 }))
      )
      const stack = yield* world.start({ workflows })
      yield* begin(stack, 1)
      const waits = yield* Effect.fork(
        Effect.exit(stack.run(Sync.execute({ customer: "ada", version: 1 })))
      )
      yield* settled
      yield* begin(stack, 2)
      const exit = yield* Fiber.join(waits)
      expect(Exit.isFailure(exit) && Cause.isInterrupted(exit.cause)).toBe(true)
      yield* stack.run(Parent.execute({ id: "1" }))
      expect(lines).toEqual(["9"])
    }))
})

worlds("a workflow of which one of a key is under way", (test) => {
  test("is not started again, and answers with the one that is there", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const Sync = sync({ singleton: "skip" })
      const workflows = Sync.toLayer(() => Activity.make({ name: "sync", execute: held.pass }))
      const stack = yield* world.start({ workflows })
      const first = yield* begin(stack, 1)
      yield* held.entered
      const second = yield* begin(stack, 2)
      expect(second).toEqual({
        runId: first.runId,
        created: false,
        status: "running",
        skipped: true
      })
      expect(
        yield* stack.run(Sync.execute({ customer: "ada", version: 3 }, { discard: true }))
      ).toBe(first.runId)
      expect(yield* begin(stack, 1, "bob")).toMatchObject({ created: true })
      const options = { onConflict: "fail" } as const
      const payload = { customer: "ada", version: 2 }
      expect(
        yield* Effect.flip(
          asked(stack, (runs) => runs.start({ workflow: "Sync", payload, options }))
        )
      ).toMatchObject({ _tag: "RunExists", runId: first.runId })
      yield* held.open
      yield* untilStatus(world, first.runId, "completed")
      expect(yield* begin(stack, 2)).toMatchObject({ created: true })
    }))

  test("waits for its turn where a workflow executes it", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const { lines, note } = journal()
      const Sync = sync({ singleton: "skip" })
      const workflows = Sync.toLayer(({ version }) =>
        Activity.make({ name: "sync", execute: Effect.zipRight(note(`${version}`), held.pass) })
      )
      const stack = yield* world.start({ workflows })
      yield* begin(stack, 1)
      yield* held.entered
      const second = yield* Effect.fork(stack.run(Sync.execute({ customer: "ada", version: 2 })))
      yield* settled
      expect(lines).toEqual(["1"])
      yield* held.open
      yield* second.await
      expect(lines).toEqual(["1", "2"])
    }))

  test("is interrupted by the next, which begins when its compensations are done", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const Approval = DurableDeferred.make("Approval")
      const Sync = sync({ singleton: "cancel" })
      const workflows = Sync.toLayer(({ version }) =>
        Effect.gen(function* () {
          yield* Activity.make({ name: "sync", execute: note(`begins ${version}`) }).pipe(
            Workflow.withCompensation(() => note(`undone ${version}`))
          )
          if (version < 3) yield* DurableDeferred.await(Approval)
        })
      )
      const stack = yield* world.start({ workflows })
      const first = yield* begin(stack, 1)
      yield* untilStatus(world, first.runId, "suspended")
      const second = yield* begin(stack, 2)
      yield* untilStatus(world, first.runId, "interrupted")
      yield* untilStatus(world, second.runId, "suspended")
      const third = yield* begin(stack, 3)
      yield* untilStatus(world, third.runId, "completed")
      expect(lines).toEqual(["begins 1", "undone 1", "begins 2", "undone 2", "begins 3"])
    }))
})

describe("RunQueue.make", () => {
  it("refuses what a start cannot do to others", () => {
    const made = (options: RunQueue.Options<never>) => () => RunQueue.make(options)
    expect(made({ debounce: { period: 0 } })).toThrow("debounce.period: 0")
    expect(made({ debounce: { period: "1 second", maxWait: "-1 seconds" } })).toThrow(
      "debounce.maxWait"
    )
    expect(made({ debounce: { period: 1 }, singleton: "skip" })).toThrow("one of the two")
    expect(made({ singleton: "skip", concurrencyPerKey: 2 })).toThrow("concurrencyPerKey")
    // what JavaScript may send
    expect(made({ singleton: "wait" as never })).toThrow('"skip" and "cancel" are allowed')
    expect(RunQueue.make({ singleton: "cancel" }).limits).toEqual({ perKey: 1, keepsSlot: true })
  })
})
