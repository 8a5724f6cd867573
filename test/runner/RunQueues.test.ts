/** Queues: how many runs of a workflow are under way, as their steps see it. */
import { Activity, DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import * as RunQueue from "../../src/engine/RunQueue.js"
import { layer as layerRuns, Runs } from "../../src/runner/Runs.js"
import * as Schedules from "../../src/runner/Schedules.js"
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

interface Mail {
  readonly id: string
  readonly to: string
}

const mail = (options: RunQueue.Options<Mail>) =>
  Workflow.make({
    name: "Mail",
    payload: { id: Schema.String, to: Schema.String },
    idempotencyKey: ({ id }) => id
  }).annotate(RunQueue.RunQueue, RunQueue.make(options))

const byReader = ({ to }: Mail) => to

const asked = <A, E>(stack: Stack, ask: (runs: Runs["Type"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(Runs, ask).pipe(Effect.provide(layerRuns), Effect.provide(stack.context))

const send = (stack: Stack, id: string, to = "ada") =>
  Effect.map(
    asked(stack, (runs) => runs.start({ workflow: "Mail", payload: { id, to } })),
    ({ runId }) => runId
  )

/** How many steps are under way, of all readers and of each. */
const counted = () => {
  const now = new Map<string, number>()
  const most = new Map<string, number>()
  const add = (key: string, by: number) => {
    now.set(key, (now.get(key) ?? 0) + by)
    most.set(key, Math.max(most.get(key) ?? 0, now.get(key) ?? 0))
  }
  return {
    most,
    during: (to: string, body: Effect.Effect<void>) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          add("all", 1)
          add(to, 1)
        }),
        () => body,
        () =>
          Effect.sync(() => {
            add("all", -1)
            add(to, -1)
          })
      )
  }
}

worlds("a workflow with a queue", (test, kind) => {
  test("has no more runs under way than it may, of all and of each key", (world) =>
    Effect.gen(function* () {
      const { during, most } = counted()
      const Mail = mail({ key: byReader, concurrency: 3, concurrencyPerKey: 2 })
      const workflows = Mail.toLayer(({ to }) =>
        Activity.make({ name: "send", execute: during(to, settled) })
      )
      const one = yield* world.start({ workflows })
      const two = kind === "file" ? yield* world.start({ workflows }) : one
      const ids: Array<string> = []
      for (let n = 0; n < 12; n++) {
        ids.push(yield* send(n % 2 === 0 ? one : two, `${n}`, n % 3 === 0 ? "bob" : "ada"))
      }
      for (const runId of ids) {
        yield* untilPolled(`${runId} is over`, () =>
          Effect.map(
            asked(one, (runs) => runs.get(runId)),
            ({ status }) => status === "completed"
          )
        )
      }
      expect(most.get("all")).toBeLessThanOrEqual(3)
      expect(most.get("ada")).toBe(2)
      expect(most.get("bob")).toBeLessThanOrEqual(2)
    }))

  test("tells of a run that it waits for its turn, and of the queue", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const workflows = mail({ concurrency: 1 }).toLayer(() =>
        Activity.make({ name: "send", execute: held.pass })
      )
      const stack = yield* world.start({ workflows })
      const first = yield* send(stack, "1")
      yield* held.entered
      const second = yield* send(stack, "2")
      const shown = yield* asked(stack, (runs) => runs.get(second))
      expect(shown).toMatchObject({
        status: "pending",
        waitsFor: { total: 1, first: [{ type: "queue" }] }
      })
      expect(yield* asked(stack, (runs) => runs.queues)).toEqual([
        {
          name: "Mail",
          declared: { concurrency: 1 },
          paused: false,
          running: 1,
          waiting: 1
        }
      ])
      yield* held.open
      yield* untilStatus(world, first, "completed")
      yield* untilStatus(world, second, "completed")
    }))

  test("gives the slot of one that sleeps to another, and has it wait for its turn after", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const held = gate()
      const workflows = mail({ concurrency: 1 }).toLayer(({ id }) =>
        id === "sleeps"
          ? Effect.gen(function* () {
              yield* Activity.make({ name: "before", execute: note("before") })
              yield* DurableClock.sleep({ name: "nap", duration: "10 seconds" })
              yield* Activity.make({ name: "after", execute: note("after") })
            })
          : Activity.make({ name: "works", execute: Effect.zipRight(note(id), held.pass) })
      )
      const stack = yield* world.start({ workflows })
      const sleeps = yield* send(stack, "sleeps")
      const works = yield* send(stack, "works")
      yield* held.entered
      yield* TestClock.adjust("20 seconds")
      yield* settled
      expect(lines).toEqual(["before", "works"])
      yield* held.open
      yield* untilStatus(world, works, "completed")
      yield* untilStatus(world, sleeps, "completed")
      expect(lines).toEqual(["before", "works", "after"])
    }))

  test("lets so many begin in a window, and the next when it is over", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const rateLimit = { limit: 2, window: "10 seconds" } as const
      const workflows = mail({ rateLimit }).toLayer(({ id }) =>
        Activity.make({ name: "send", execute: note(id) })
      )
      const stack = yield* world.start({ workflows })
      const ids: Array<string> = []
      for (const id of ["1", "2", "3", "4", "5"]) ids.push(yield* send(stack, id))
      yield* settled
      expect(lines).toEqual(["1", "2"])
      yield* TestClock.adjust("9 seconds")
      yield* settled
      expect(lines).toEqual(["1", "2"])
      yield* TestClock.adjust("1 second")
      yield* untilStatus(world, ids[3] ?? "", "completed")
      expect(lines).toEqual(["1", "2", "3", "4"])
      yield* TestClock.adjust("10 seconds")
      yield* untilStatus(world, ids[4] ?? "", "completed")
    }))

  test("lets a run go on, and end by its timeout, whatever its rate", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const workflows = mail({ rateLimit: { limit: 1, window: "1 hour" } }).toLayer(({ id }) =>
        Effect.gen(function* () {
          yield* DurableClock.sleep({ name: "nap", duration: "10 seconds" })
          yield* Activity.make({ name: "after", execute: note(`after ${id}`) })
          yield* DurableClock.sleep({ name: "long nap", duration: "10 hours" })
        })
      )
      const stack = yield* world.start({ workflows })
      const { runId } = yield* asked(stack, (runs) =>
        runs.start({
          workflow: "Mail",
          payload: { id: "1", to: "ada" },
          options: { timeout: "1 minute" }
        })
      )
      yield* untilStatus(world, runId, "suspended")
      yield* TestClock.adjust("11 seconds")
      yield* untilPolled("it goes on", () => lines.length > 0)
      yield* settled
      yield* TestClock.adjust("1 minute")
      yield* settled
      yield* TestClock.adjust("1 minute")
      yield* untilStatus(world, runId, "failed")
      expect(lines).toEqual(["after 1"])
    }))

  test("goes on in the next process, with the slots of the one that drained", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const workflows = mail({ concurrency: 1 }).toLayer(() =>
        Effect.gen(function* () {
          yield* Activity.make({ name: "first", execute: held.pass })
          yield* Activity.make({ name: "second", execute: Effect.void })
        })
      )
      const one = yield* world.start({ workflows })
      const first = yield* send(one, "1")
      yield* held.entered
      const second = yield* send(one, "2")
      const closing = yield* Effect.fork(one.close)
      yield* untilPolled("it drains", () => Effect.map(one.state, (state) => state === "draining"))
      yield* held.open
      yield* closing
      const two = yield* world.start({ workflows })
      yield* untilPolled("both are over", () =>
        Effect.map(
          asked(two, (runs) => runs.list({ status: ["completed"] })),
          ({ runs }) => runs.length === 2
        )
      )
      expect([first, second]).toHaveLength(2)
    }))

  test("is paused, and goes on; and has other limits, also in the next process", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const held = gate()
      const workflows = mail({ concurrency: 1 }).toLayer(({ id }) =>
        Activity.make({ name: "send", execute: Effect.zipRight(note(id), held.pass) })
      )
      const one = yield* world.start({ workflows })
      const first = yield* send(one, "1")
      yield* held.entered
      yield* asked(one, (runs) => runs.changeQueue({ name: "Mail", paused: true }))
      yield* send(one, "2")
      yield* held.open
      yield* untilStatus(world, first, "completed")
      yield* settled
      expect(lines).toEqual(["1"])
      yield* held.close
      const limits = { concurrency: 2 }
      yield* asked(one, (runs) => runs.changeQueue({ name: "Mail", limits }))
      yield* one.close
      const two = yield* world.start({ workflows })
      yield* send(two, "3")
      yield* send(two, "4")
      yield* settled
      expect(lines).toEqual(["1"])
      yield* asked(two, (runs) => runs.changeQueue({ name: "Mail", paused: false }))
      yield* untilPolled("two are under way", () => lines.length === 3)
      yield* settled
      expect(lines).toEqual(["1", "2", "3"])
      const [queue] = yield* asked(two, (runs) => runs.queues)
      expect(queue).toMatchObject({ declared: { concurrency: 1 }, override: { concurrency: 2 } })
      yield* held.open
    }))

  test("is parked: the step in flight is recorded, and none starts until it goes on", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const { lines, note } = journal()
      const Approval = DurableDeferred.make("Approval")
      const workflows = mail({ concurrency: 2, keepSlot: true }).toLayer(({ id }) =>
        Effect.gen(function* () {
          yield* id === "waits"
            ? DurableDeferred.await(Approval)
            : Activity.make({ name: "first", execute: Effect.zipRight(note(id), held.pass) })
          yield* Activity.make({ name: "second", execute: note(`second of ${id}`) })
        }).pipe(
          // no handler sees it
          Effect.catchAllCause(() => note("handled"))
        )
      )
      const one = yield* world.start({ workflows })
      const two = kind === "file" ? yield* world.start({ workflows }) : one
      const waits = yield* send(one, "waits")
      yield* untilStatus(world, waits, "suspended")
      const works = yield* send(one, "works")
      yield* held.entered
      yield* asked(two, (runs) => runs.changeQueue({ name: "Mail", paused: true, park: true }))
      expect(yield* asked(one, (runs) => runs.queues)).toMatchObject([
        { name: "Mail", paused: true, park: true }
      ])
      yield* TestClock.adjust("1 second")
      yield* settled
      yield* asked(one, (runs) => runs.signal({ runId: waits, name: "Approval", value: null }))
      yield* held.open
      yield* untilStatus(world, works, "pending")
      yield* untilStatus(world, waits, "pending")
      yield* settled
      expect(lines).toEqual(["works"])
      yield* asked(two, (runs) => runs.changeQueue({ name: "Mail", paused: false }))
      yield* untilStatus(world, works, "completed")
      yield* untilStatus(world, waits, "completed")
      expect([...lines].sort()).toEqual(["second of waits", "second of works", "works"])
    }))

  test("is that of the runs that a schedule starts", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const workflows = mail({ concurrency: 1 }).toLayer(() =>
        Activity.make({ name: "send", execute: held.pass })
      )
      const stack = yield* world.start({ workflows })
      yield* Effect.flatMap(Schedules.Schedules, (schedules) =>
        schedules.put("often", {
          workflow: "Mail",
          payload: { id: "1", to: "ada" },
          every: "10 seconds",
          overlap: "allow"
        })
      ).pipe(Effect.provide(Schedules.layerService), Effect.provide(stack.context))
      yield* TestClock.adjust("10 seconds")
      yield* held.entered
      yield* TestClock.adjust("20 seconds")
      yield* untilPolled("three are started", () =>
        Effect.map(
          asked(stack, (runs) => runs.list({ workflow: "Mail" })),
          ({ runs }) => runs.length === 3
        )
      )
      yield* settled
      expect(held.count).toBe(1)
      const [queue] = yield* asked(stack, (runs) => runs.queues)
      expect(queue).toMatchObject({ running: 1, waiting: 2 })
      yield* held.open
    }))

  test("is that of children too, and of a run that is interrupted while it waits", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const Approval = DurableDeferred.make("Approval")
      const Mail = mail({ concurrency: 1 })
      const Parent = Workflow.make({
        name: "Parent",
        payload: { id: Schema.String },
        idempotencyKey: ({ id }) => id
      })
      const workflows = Layer.merge(
        Mail.toLayer(() => Activity.make({ name: "send", execute: held.pass })),
        Parent.toLayer(() =>
          Effect.all([Mail.execute({ id: "a", to: "x" }), Mail.execute({ id: "b", to: "x" })], {
            concurrency: "unbounded",
            discard: true
          }).pipe(Effect.zipRight(DurableDeferred.await(Approval)))
        )
      )
      const stack = yield* world.start({ workflows })
      yield* stack.run(Parent.execute({ id: "1" }, { discard: true }))
      yield* held.entered
      yield* settled
      expect(held.count).toBe(1)
      const third = yield* send(stack, "c")
      yield* asked(stack, (runs) => runs.interrupt(third))
      yield* untilStatus(world, third, "interrupted")
      expect(held.count).toBe(1)
      yield* held.open
      yield* untilPolled("both children are over", () =>
        Effect.map(
          asked(stack, (runs) => runs.list({ workflow: "Mail", status: ["completed"] })),
          ({ runs }) => runs.length === 2
        )
      )
    }))

  test("has a run that is interrupted before it has a slot execute once what it does then", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const held = gate()
      const workflows = mail({ concurrency: 1 }).toLayer(({ id }) =>
        Activity.make({
          name: "send",
          execute: Effect.zipRight(note(`send ${id}`), held.pass)
        }).pipe(
          Effect.onInterrupt(() =>
            Effect.zipRight(
              DurableClock.sleep({ name: "cool", duration: "10 seconds" }),
              Activity.make({ name: "tidy", execute: note(`tidy ${id}`) })
            )
          )
        )
      )
      const stack = yield* world.start({ workflows, leaseDuration: "1000 days" })
      const first = yield* send(stack, "1")
      yield* held.entered
      const second = yield* send(stack, "2")
      yield* settled
      yield* asked(stack, (runs) => runs.interrupt(second))
      yield* untilStatus(world, second, "suspended")
      yield* TestClock.adjust("11 seconds")
      yield* settled
      yield* held.open
      yield* untilStatus(world, first, "completed")
      yield* untilStatus(world, second, "interrupted")
      expect(lines).toEqual(["send 1", "tidy 2"])
    }))
})

worlds("a queue that is asked for wrongly", (test) => {
  test("is refused, with what is allowed", (world) =>
    Effect.gen(function* () {
      const Mail = mail({ key: ({ to }) => to, concurrency: 1 })
      const stack = yield* world.start({ workflows: Mail.toLayer(() => Effect.void) })
      const invalid = yield* Effect.flip(send(stack, "1", "x".repeat(257)))
      expect(invalid).toMatchObject({
        _tag: "InvalidPayload",
        message: expect.stringContaining("257 characters; at most 256 are allowed")
      })
      const change = (request: object) =>
        Effect.flip(asked(stack, (runs) => runs.changeQueue({ name: "Mail", ...request })))
      expect(yield* change({ paused: true })).toMatchObject({ _tag: "QueueNotFound" })
      yield* send(stack, "1")
      expect(yield* change({ park: true })).toMatchObject({
        _tag: "InvalidLimits",
        message: "park goes with paused: true"
      })
      expect(yield* change({ limits: { concurrency: 0 } })).toMatchObject({
        _tag: "InvalidLimits",
        message: expect.stringContaining("concurrency")
      })
      expect(yield* change({ limits: { concurency: 1 } })).toMatchObject({
        _tag: "InvalidLimits"
      })
    }))
})

describe("RunQueue.make", () => {
  it("names what is not allowed", () => {
    const made = (options: RunQueue.Options<never>) => () => RunQueue.make(options)
    expect(made({ concurrency: 0 })).toThrow("concurrency: 0 is not a whole number of 1 or more")
    expect(made({ concurrencyPerKey: 1.5 })).toThrow("concurrencyPerKey: 1.5")
    expect(made({ rateLimit: { limit: 0, window: "1 second" } })).toThrow("rateLimit.limit: 0")
    expect(made({ rateLimit: { limit: 1, window: 0 } })).toThrow("rateLimit.window: 0")
    expect(made({ name: "x".repeat(257) })).toThrow("257 characters")
    expect(Context.get(mail({}).annotations, RunQueue.RunQueue)?.limits).toEqual({})
  })
})
