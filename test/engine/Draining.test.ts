/** What a step learns of a drain while it is under way; and that nobody else does. */
import { Activity, Workflow, WorkflowEngine } from "@effect/workflow"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Step from "../../src/engine/Step.js"
import {
  expect,
  found,
  gate,
  it,
  journal,
  One,
  type Services,
  settled,
  start,
  statusOf,
  stepsOf,
  untilStatus,
  type Workflows,
  worlds
} from "../runner/Harness.js"

const Other = Workflow.make({
  name: "Other",
  payload: { id: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

const text = <E, R>(name: string, execute: Effect.Effect<string, E, R>) =>
  Activity.make({ name, success: Schema.String, execute: Effect.orDie(execute) })

/** Waits for the drain, and comes to something then. */
const heeds = (log: ReturnType<typeof journal>, begun: Effect.Effect<void>) =>
  text(
    "first",
    Effect.zipRight(begun, Step.draining).pipe(
      Effect.zipRight(log.note("told")),
      Effect.as("in time")
    )
  )

worlds("a step in a drain", (test) => {
  test("learns of it at once, and what it returns is recorded", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const begun = gate(true)
      const workflows = One.toLayer(() =>
        Effect.tap(heeds(log, begun.pass), () => text("second", Effect.as(log.note("second"), "")))
      )
      const a = yield* world.start({ workflows })
      const runId = yield* a.run(start)
      yield* begun.entered
      yield* settled
      expect(log.lines).toEqual([])
      // no time passes
      expect(yield* a.close).toEqual(Exit.void)
      expect(log.lines).toEqual(["told"])
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      expect(
        (yield* stepsOf(world.outside, runId)).map(({ name, status }) => [name, status])
      ).toEqual([["first", "completed"]])
      const b = yield* world.start({ workflows })
      yield* untilStatus(world, runId, "completed")
      expect(log.lines).toEqual(["told", "second"])
      expect((yield* found(world.outside, runId)).exit).toContain("in time")
      yield* b.close
    }))

  test("comes to nothing where it does not want to be finished in it, and executes again", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const [endless, wait] = [gate(), gate()]
      const workflows = (hold: Effect.Effect<void>) =>
        One.toLayer(() =>
          Effect.gen(function* () {
            yield* text("first", Effect.succeed("")).pipe(
              Workflow.withCompensation(() => log.note("undone"))
            )
            const nested = text("inner", Step.untilDrain(Effect.as(hold, "inner")))
            return yield* text(
              "watches",
              Step.untilDrain(
                Effect.onInterrupt(
                  Effect.all([Effect.as(hold, "seen"), nested], { concurrency: 2 }),
                  () => log.note("cut")
                )
              ).pipe(Effect.map(([seen]) => seen))
            ).pipe(Effect.onExit(() => log.note("ended")))
          })
        )
      const a = yield* world.start({ workflows: workflows(endless.pass) })
      const runId = yield* a.run(start)
      yield* endless.entered
      yield* settled
      expect(yield* a.close).toEqual(Exit.void)
      expect(log.lines).toContain("cut")
      expect(log.lines).not.toContain("undone")
      expect(yield* statusOf(world.outside, runId)).toBe("pending")
      expect((yield* stepsOf(world.outside, runId)).map(({ name }) => name)).toEqual(["first"])

      const b = yield* world.start({ workflows: workflows(wait.pass) })
      yield* wait.entered
      yield* wait.open
      yield* untilStatus(world, runId, "completed")
      expect((yield* found(world.outside, runId)).exit).toContain("seen")
      expect(log.lines).not.toContain("undone")
      yield* b.close
    }))

  test("is one whose failure is suspended on: it comes to nothing all the same", (world) =>
    Effect.gen(function* () {
      const Suspends = One.annotate(Workflow.SuspendOnFailure, true)
      const [endless, open] = [gate(), gate(true)]
      const workflows = (hold: Effect.Effect<void>) =>
        Suspends.toLayer(() => text("watches", Step.untilDrain(Effect.as(hold, "seen"))))
      const a = yield* world.start({ workflows: workflows(endless.pass) })
      const runId = yield* a.run(start)
      yield* endless.entered
      expect(yield* a.close).toEqual(Exit.void)
      expect(yield* found(world.outside, runId)).toMatchObject({
        status: "pending",
        cause: undefined
      })
      const b = yield* world.start({ workflows: workflows(open.pass) })
      yield* untilStatus(world, runId, "completed")
      yield* b.close
    }))

  test("ends with what it does where that cannot be interrupted", (world) =>
    Effect.gen(function* () {
      const done = Effect.uninterruptible(Step.untilDrain(Effect.succeed("done")))
      const a = yield* world.start({ workflows: One.toLayer(() => text("first", done)) })
      const runId = yield* a.run(start)
      yield* untilStatus(world, runId, "completed")
      yield* a.close
    }))

  test("is told of that of its own workflow, and of no other's", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const [mine, other] = [gate(true), gate(true)]
      const a = yield* world.start({ workflows: One.toLayer(() => heeds(log, mine.pass)) })
      const released = yield* registered(
        Other.toLayer(() =>
          text(
            "first",
            Effect.zipRight(other.pass, Step.draining).pipe(
              Effect.zipRight(log.note("the other is told")),
              Effect.as("")
            )
          )
        ),
        a.context
      )
      const [one, two] = [
        yield* a.run(start),
        yield* a.run(Other.execute({ id: "1" }, { discard: true }))
      ]
      yield* Effect.zipRight(mine.entered, other.entered)
      yield* released
      yield* settled
      expect(log.lines).toEqual(["the other is told"])
      expect(yield* statusOf(world.outside, one)).toBe("running")
      expect(["pending", "completed"]).toContain(yield* statusOf(world.outside, two))
      yield* a.close
      expect(log.lines).toEqual(["the other is told", "told"])
    }))

  test("is what may ask; the workflow around it may not", (world) =>
    Effect.gen(function* () {
      const a = yield* world.start({
        workflows: One.toLayer(() => Effect.as(Step.draining, "told"))
      })
      const runId = yield* a.run(start)
      yield* untilStatus(world, runId, "failed")
      expect((yield* found(world.outside, runId)).exit).toContain("outside of a step")
      yield* a.close
    }))
})

const registered = (layer: Workflows, context: Context.Context<Services>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* Layer.buildWithScope(Layer.provide(layer, Layer.succeedContext(context)), scope)
    return Scope.close(scope, Exit.void)
  })

it.scoped("a step under another engine is never told", () =>
  Effect.gen(function* () {
    yield* Layer.build(
      One.toLayer(() =>
        text("step", Effect.raceFirst(Effect.as(Step.draining, "told"), Effect.succeed("done")))
      )
    )
    expect(yield* One.execute({ id: "1" })).toBe("done")
  }).pipe(Effect.provide(WorkflowEngine.layerMemory))
)
