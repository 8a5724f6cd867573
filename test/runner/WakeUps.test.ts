/** Point 9: "is it there?" and "I suspend" are one decision. */
import { Activity, DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import type { RunStatus } from "../../src/store/RunStore.js"
import {
  expect,
  found,
  gate,
  journal,
  type Stack,
  type Store,
  settled,
  statusOf,
  untilPolled,
  untilStatus,
  type Workflows,
  type World,
  worlds
} from "./Harness.js"

const One = Workflow.make({
  name: "One",
  payload: { id: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

const Child = Workflow.make({
  name: "Child",
  payload: { id: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

const Approval = DurableDeferred.make("Approval", { success: Schema.String })

const start = One.execute({ id: "1" }, { discard: true })

/** Something a run waits for, and how it comes. */
interface WakeUp {
  readonly workflows: () => { readonly layer: Workflows; readonly ready: Effect.Effect<void> }
  readonly here: (stack: Stack, runId: string) => Effect.Effect<void, unknown>
  readonly outside: (world: World, runId: string) => Effect.Effect<void, unknown>
  readonly ends: RunStatus
}

const approval = (runId: string) => ({
  token: DurableDeferred.tokenFromExecutionId(Approval, { workflow: One, executionId: runId }),
  value: "yes"
})

const waiting = () => ({
  layer: One.toLayer(() => DurableDeferred.await(Approval)),
  ready: Effect.void
})

const wakeUps: Record<string, WakeUp> = {
  "a signal": {
    workflows: waiting,
    here: (stack, runId) => stack.run(DurableDeferred.succeed(Approval, approval(runId))),
    outside: (world, runId) =>
      world.outside.signal({
        runId,
        name: "Approval",
        exit: JSON.stringify({ _tag: "Success", value: "yes" })
      }),
    ends: "completed"
  },
  "an interrupt": {
    workflows: waiting,
    here: (stack, runId) => stack.run(One.interrupt(runId)),
    outside: (world, runId) => world.outside.requestInterrupt(runId),
    ends: "interrupted"
  },
  "a resume": {
    workflows: () => {
      let ready = false
      return {
        layer: One.toLayer(() =>
          Effect.gen(function* () {
            if (!ready) return yield* Workflow.suspend(yield* WorkflowEngine.WorkflowInstance)
            return "resumed"
          })
        ),
        ready: Effect.sync(() => {
          ready = true
        })
      }
    },
    here: (stack, runId) => stack.run(One.resume(runId)),
    outside: (world, runId) => world.outside.wake(runId),
    ends: "completed"
  },
  "a timer": {
    workflows: () => ({
      layer: One.toLayer(() =>
        Effect.as(DurableClock.sleep({ name: "nap", duration: "5 seconds" }), "woken")
      ),
      ready: Effect.void
    }),
    here: () => TestClock.adjust("5 seconds"),
    outside: () => TestClock.adjust("6 seconds"),
    ends: "completed"
  },
  "a child's end": {
    workflows: () => {
      const done = Effect.runSync(Deferred.make<void>())
      return {
        layer: Layer.mergeAll(
          One.toLayer(({ id }) => Child.execute({ id })),
          Child.toLayer(() =>
            Activity.make({
              name: "step",
              success: Schema.String,
              execute: Effect.as(Deferred.await(done), "child")
            })
          )
        ),
        ready: Effect.asVoid(Deferred.succeed(done, undefined))
      }
    },
    here: () => settled,
    outside: () => Effect.zipRight(TestClock.adjust("1 seconds"), settled),
    ends: "completed"
  }
}

worlds("no wake-up is lost:", (test) => {
  for (const [what, wakeUp] of Object.entries(wakeUps)) {
    for (const when of ["before", "after"] as const) {
      for (const from of ["here", "outside"] as const) {
        test(`${what} from ${from} just ${when} the suspension is stored`, (world) =>
          Effect.gen(function* () {
            const suspend = gate()
            const { layer, ready } = wakeUp.workflows()
            const a = yield* world.start({
              workflows: layer,
              wrap: (store: Store) => ({
                ...store,
                suspend: (suspension) =>
                  when === "before"
                    ? Effect.zipRight(suspend.pass, store.suspend(suspension))
                    : Effect.tap(store.suspend(suspension), () => suspend.pass)
              })
            })
            const runId = yield* a.run(start)
            yield* suspend.entered
            yield* ready
            yield* from === "here" ? wakeUp.here(a, runId) : wakeUp.outside(world, runId)
            yield* suspend.open
            yield* untilPolled(`${what} is noticed`, () =>
              Effect.map(statusOf(world.outside, runId), (status) => status === wakeUp.ends)
            )
            yield* a.close
          }))
      }
    }
  }

  test("a signal that was there before its run", (world) =>
    Effect.gen(function* () {
      const a = yield* world.start({ workflows: waiting().layer })
      const runId = yield* One.executionId({ id: "1" })
      yield* a.run(DurableDeferred.succeed(Approval, approval(runId)))
      yield* a.run(start)
      yield* untilStatus(world, runId, "completed")
      yield* a.close
    }))

  for (const from of ["here", "outside"] as const) {
    test(`a signal from ${from} is noticed by a wait beside a step in flight`, (world) =>
      Effect.gen(function* () {
        const log = journal()
        const step = gate()
        const a = yield* world.start({
          workflows: One.toLayer(() =>
            Effect.gen(function* () {
              const approved = Effect.tap(DurableDeferred.await(Approval), (value) =>
                Activity.make({ name: "approved", execute: log.note(value) })
              )
              const beside = Activity.make({ name: "beside", execute: step.pass })
              const [value] = yield* Effect.all([approved, beside], { concurrency: "unbounded" })
              return value
            })
          )
        })
        const runId = yield* a.run(start)
        yield* step.entered
        yield* settled
        const { here, outside } = wakeUps["a signal"]!
        yield* from === "here" ? here(a, runId) : outside(world, runId)
        yield* untilPolled("it is noticed", () => log.lines.includes("yes"))
        yield* step.open
        yield* untilPolled("it is over", () =>
          Effect.map(statusOf(world.outside, runId), (status) => status === "completed")
        )
        yield* a.close
      }))
  }

  test("whoever awaits a run is woken by its end, also when another executor executed it", (world) =>
    Effect.gen(function* () {
      const a = yield* world.start({})
      const awaiting = yield* Effect.fork(a.run(One.execute({ id: "1" })))
      const runId = yield* One.executionId({ id: "1" })
      yield* untilStatus(world, runId, "pending")
      const b = yield* world.start({ workflows: One.toLayer(() => Effect.succeed("by b")) })
      yield* untilStatus(world, runId, "completed")
      yield* untilPolled("it is told", () => awaiting.unsafePoll() !== null)
      expect(yield* Fiber.join(awaiting)).toBe("by b")
      yield* a.close
      yield* b.close
    }))

  test("a look at what another process wrote that fails is repeated", (world) =>
    Effect.gen(function* () {
      let failures = 2
      const a = yield* world.start({
        wrap: (store) => ({
          ...store,
          finished: (runIds) =>
            Effect.suspend(() =>
              failures-- > 0 ? Effect.dieMessage("cannot read") : store.finished(runIds)
            )
        })
      })
      const awaiting = yield* Effect.fork(a.run(One.execute({ id: "1" })))
      const runId = yield* One.executionId({ id: "1" })
      yield* untilStatus(world, runId, "pending")
      const b = yield* world.start({ workflows: One.toLayer(() => Effect.succeed("by b")) })
      yield* untilStatus(world, runId, "completed")
      yield* b.close
      yield* untilPolled("it is told", () => awaiting.unsafePoll() !== null)
      yield* a.close
    }))

  test("a timer that another executor's run waits for is woken by whoever is there", (world) =>
    Effect.gen(function* () {
      const { workflows } = wakeUps["a timer"]!
      const a = yield* world.start({ workflows: workflows().layer })
      const runId = yield* a.run(start)
      yield* untilStatus(world, runId, "suspended")
      yield* a.close
      const b = yield* world.start({ workflows: workflows().layer })
      yield* TestClock.adjust("4 seconds")
      expect(yield* statusOf(world.outside, runId)).toBe("suspended")
      yield* TestClock.adjust("1 seconds")
      yield* untilStatus(world, runId, "completed")
      expect((yield* found(world.outside, runId)).exit).toContain("woken")
      yield* b.close
    }))
})
