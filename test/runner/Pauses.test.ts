/** Workflows that are paused, as their steps see it. */
import { Activity, DurableDeferred, Workflow } from "@effect/workflow"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { layer as layerRuns, Runs } from "../../src/runner/Runs.js"
import {
  expect,
  gate,
  journal,
  type Stack,
  settled,
  statusOf,
  stepsOf,
  untilPolled,
  untilStatus,
  worlds
} from "./Harness.js"

const named = (name: string) =>
  Workflow.make({ name, payload: { id: Schema.String }, idempotencyKey: ({ id }) => id })

const Mail = named("Mail")
const Other = named("Other")

const asked = <A, E>(stack: Stack, ask: (runs: Runs["Type"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(Runs, ask).pipe(Effect.provide(layerRuns), Effect.provide(stack.context))

const begin = (stack: Stack, id: string, workflow = "Mail") =>
  Effect.map(
    asked(stack, (runs) => runs.start({ workflow, payload: { id } })),
    ({ runId }) => runId
  )

const pause = (stack: Stack, park = false) =>
  asked(stack, (runs) => runs.pauseWorkflow({ workflow: "Mail", park }))

const resume = (stack: Stack) => asked(stack, (runs) => runs.resumeWorkflow("Mail"))

worlds("a workflow that is paused", (test, kind) => {
  test("begins no run until it goes on, on no executor; others do", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const workflows = Layer.merge(
        Mail.toLayer(({ id }) => Activity.make({ name: "send", execute: note(`mail ${id}`) })),
        Other.toLayer(({ id }) => Activity.make({ name: "send", execute: note(`other ${id}`) }))
      )
      const one = yield* world.start({ workflows })
      const two = kind === "file" ? yield* world.start({ workflows }) : one
      yield* pause(one)
      expect(yield* asked(two, (runs) => runs.pauses)).toMatchObject([
        { workflow: "Mail", park: false }
      ])
      const ids = [yield* begin(one, "1"), yield* begin(two, "2")]
      yield* untilStatus(world, yield* begin(two, "3", "Other"), "completed")
      yield* settled
      expect(lines).toEqual(["other 3"])
      yield* resume(two)
      for (const runId of ids) yield* untilStatus(world, runId, "completed")
      expect([...lines].sort()).toEqual(["mail 1", "mail 2", "other 3"])
    }))

  test("lets what has begun go on, also after the next process has begun", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const Approval = DurableDeferred.make("Approval")
      const workflows = Mail.toLayer(({ id }) =>
        Effect.gen(function* () {
          yield* Activity.make({ name: "ask", execute: note(`asked ${id}`) })
          yield* DurableDeferred.await(Approval)
          yield* Activity.make({ name: "send", execute: note(`sent ${id}`) })
        })
      )
      const one = yield* world.start({ workflows })
      const runId = yield* begin(one, "1")
      yield* untilStatus(world, runId, "suspended")
      yield* pause(one)
      yield* begin(one, "2")
      yield* one.close
      const two = yield* world.start({ workflows })
      yield* asked(two, (runs) => runs.signal({ runId, name: "Approval", value: null }))
      yield* untilStatus(world, runId, "completed")
      yield* settled
      expect(lines).toEqual(["asked 1", "sent 1"])
    }))

  test("that is not known is refused", (world) =>
    Effect.gen(function* () {
      const stack = yield* world.start({ workflows: Mail.toLayer(() => Effect.void) })
      expect(
        yield* Effect.flip(asked(stack, (runs) => runs.pauseWorkflow({ workflow: "Mali" })))
      ).toMatchObject({ _tag: "UnknownWorkflow", workflow: "Mali", registered: ["Mail"] })
      expect(yield* asked(stack, (runs) => runs.pauses)).toEqual([])
      // one that is not paused goes on as it does
      yield* resume(stack)
    }))
})

worlds("a workflow that is paused, and parks", (test) => {
  test("records the step in flight, and starts no other until it goes on", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const { lines, note } = journal()
      const workflows = Layer.merge(
        Mail.toLayer(({ id }) =>
          Effect.gen(function* () {
            yield* Activity.make({
              name: "first",
              execute: Effect.zipRight(note(`first ${id}`), held.pass)
            })
            yield* Activity.make({ name: "second", execute: note(`second ${id}`) })
          }).pipe(
            // no handler sees it
            Effect.catchAllCause(() => note("handled"))
          )
        ),
        Other.toLayer(({ id }) => Activity.make({ name: "send", execute: note(`other ${id}`) }))
      )
      const stack = yield* world.start({ workflows })
      const runId = yield* begin(stack, "1")
      yield* held.entered
      yield* pause(stack, true)
      yield* settled
      expect(yield* statusOf(world.outside, runId)).toBe("running")
      yield* held.open
      yield* untilStatus(world, runId, "pending")
      expect(yield* stepsOf(world.outside, runId)).toMatchObject([
        { name: "first", status: "completed" }
      ])
      yield* untilStatus(world, yield* begin(stack, "2", "Other"), "completed")
      yield* settled
      expect(lines).toEqual(["first 1", "other 2"])
      yield* resume(stack)
      yield* untilStatus(world, runId, "completed")
      expect(lines).toEqual(["first 1", "other 2", "second 1"])
    }))

  test("goes on whole where it is let before all that it had under way has stopped", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const { lines, note } = journal()
      const named = (name: string) => Activity.make({ name, execute: note(name) })
      const first = yield* Deferred.make<void>()
      const workflows = Mail.toLayer(() =>
        Effect.all(
          [
            Effect.zipRight(Activity.make({ name: "long", execute: held.pass }), named("after")),
            named("beside").pipe(
              Effect.zipRight(Deferred.await(first)),
              Effect.zipRight(named("refused"))
            )
          ],
          { concurrency: "unbounded" }
        )
      )
      const stack = yield* world.start({ workflows })
      const runId = yield* begin(stack, "1")
      yield* held.entered
      yield* untilPolled("the step beside it is over", () => Effect.succeed(lines.length === 1))
      yield* pause(stack, true)
      yield* settled
      // its next step is refused, and the long one goes on
      yield* Deferred.succeed(first, undefined)
      yield* settled
      yield* resume(stack)
      yield* settled
      yield* held.open
      yield* untilStatus(world, runId, "completed")
      expect([...lines].sort()).toEqual(["after", "beside", "refused"])
    }))

  test("gives back what waits, goes on with no signal, and does so once it is let", (world) =>
    Effect.gen(function* () {
      const { lines, note } = journal()
      const Approval = DurableDeferred.make("Approval")
      const workflows = Mail.toLayer(({ id }) =>
        Effect.gen(function* () {
          yield* DurableDeferred.await(Approval)
          yield* Activity.make({ name: "send", execute: note(`sent ${id}`) })
        })
      )
      const stack = yield* world.start({ workflows })
      const runId = yield* begin(stack, "1")
      yield* untilStatus(world, runId, "suspended")
      yield* pause(stack, true)
      yield* settled
      yield* asked(stack, (runs) => runs.signal({ runId, name: "Approval", value: null }))
      yield* untilStatus(world, runId, "pending")
      yield* settled
      expect(lines).toEqual([])
      // what has begun goes on, and what has not does not
      yield* pause(stack, false)
      const second = yield* begin(stack, "2")
      yield* untilStatus(world, runId, "completed")
      yield* settled
      expect(lines).toEqual(["sent 1"])
      expect(yield* statusOf(world.outside, second)).toBe("pending")
    }))

  test("holds up no stop of the executor, and that no step in flight", (world) =>
    Effect.gen(function* () {
      const held = gate()
      const workflows = Mail.toLayer(() =>
        Effect.gen(function* () {
          yield* Activity.make({ name: "first", execute: held.pass })
          yield* Activity.make({ name: "second", execute: Effect.void })
        })
      )
      const stack = yield* world.start({ workflows })
      const runId = yield* begin(stack, "1")
      yield* held.entered
      yield* pause(stack, true)
      yield* settled
      const closing = yield* Effect.fork(stack.close)
      yield* settled
      yield* held.open
      yield* closing.await
      expect(yield* stepsOf(world.outside, runId)).toMatchObject([
        { name: "first", status: "completed" }
      ])
      const next = yield* world.start({ workflows })
      yield* settled
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      yield* resume(next)
      yield* untilStatus(world, runId, "completed")
    }))

  test("can be paused and let go on many times in a row, and loses nothing", (world) =>
    Effect.gen(function* () {
      const counts = new Map<string, number>()
      const steps = 30
      const workflows = Mail.toLayer(({ id }) =>
        Effect.forEach(
          Array.from({ length: steps }, (_, n) => n),
          (n) =>
            Activity.make({
              name: `step ${n}`,
              execute: Effect.sync(() => {
                const key = `${id} ${n}`
                counts.set(key, (counts.get(key) ?? 0) + 1)
              })
            }),
          { discard: true }
        )
      )
      const stack = yield* world.start({ workflows })
      const ids: Array<string> = []
      for (let n = 0; n < 4; n++) ids.push(yield* begin(stack, `${n}`))
      for (let n = 0; n < 10; n++) {
        yield* pause(stack, n % 2 === 0)
        yield* pause(stack, true)
        yield* resume(stack)
      }
      for (const runId of ids) yield* untilStatus(world, runId, "completed")
      yield* untilPolled("each step was executed", () =>
        Effect.succeed(counts.size === steps * ids.length)
      )
      // one that was recorded did not execute again
      expect(Math.max(...counts.values())).toBe(1)
    }))
})
