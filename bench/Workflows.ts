/**
 * The workflows that every engine executes. Their steps do nothing by themselves: what is measured
 * is what the engine adds.
 */
import {
  Activity,
  DurableClock,
  DurableDeferred,
  Workflow,
  type WorkflowEngine
} from "@effect/workflow"
import { Effect, Schema } from "effect"

const payload = { id: Schema.String }
const idempotencyKey = ({ id }: { readonly id: string }) => id

export interface Shape {
  readonly steps: number
  /** All steps at once, rather than one after the other. */
  readonly parallel?: boolean | undefined
  /**
   * Where the activities are made: `once`, before the workflow runs, or `inside` it, the way the
   * docs of `@effect/workflow` show it.
   */
  readonly made: "once" | "inside"
  /** How long each step's result is, in characters; a small number when left out. */
  readonly resultSize?: number | undefined
}

type Step = Effect.Effect<
  number | string,
  never,
  WorkflowEngine.WorkflowEngine | WorkflowEngine.WorkflowInstance
>

const makeStep = (index: number, resultSize: number | undefined): Step =>
  resultSize === undefined
    ? Activity.make({
        name: `step${index}`,
        success: Schema.Number,
        execute: Effect.succeed(index)
      })
    : Activity.make({
        name: `step${index}`,
        success: Schema.String,
        execute: Effect.succeed("x".repeat(resultSize))
      })

export const Steps = Workflow.make({
  name: "Steps",
  payload,
  success: Schema.Number,
  idempotencyKey
})

/** Answers with how many steps there were. */
export const stepsLayer = (shape: Shape) => {
  const indexes = Array.from({ length: shape.steps }, (_, index) => index)
  const steps = indexes.map((index) => makeStep(index, shape.resultSize))
  const step = (index: number) =>
    shape.made === "once" ? steps[index]! : makeStep(index, shape.resultSize)
  return Steps.toLayer(() =>
    shape.parallel === true
      ? Effect.as(
          Effect.forEach(indexes, step, { concurrency: "unbounded", discard: true }),
          shape.steps
        )
      : Effect.gen(function* () {
          for (let index = 0; index < shape.steps; index++) yield* step(index)
          return shape.steps
        })
  )
}

/** What happens in a run, told to the process that executes it. */
type Tell = (id: string) => void

export const Go = DurableDeferred.make("Go", { success: Schema.Number })

export const AwaitGo = Workflow.make({ name: "AwaitGo", payload, idempotencyKey })

/** Waits for the signal `Go`; tells when it begins to wait, and from the first step after it. */
export const awaitGoLayer = (told: { readonly waiting: Tell; readonly resumed: Tell }) =>
  AwaitGo.toLayer(({ id }) =>
    Effect.gen(function* () {
      told.waiting(id)
      yield* DurableDeferred.await(Go)
      yield* Activity.make({ name: "resumed", execute: Effect.sync(() => told.resumed(id)) })
    })
  )

export const Sleeper = Workflow.make({ name: "Sleeper", payload, idempotencyKey })

/** Sleeps for a day; tells when it begins to, and from the first step after it. */
export const sleeperLayer = (told: { readonly waiting: Tell; readonly woken: Tell }) =>
  Sleeper.toLayer(({ id }) =>
    Effect.gen(function* () {
      told.waiting(id)
      yield* DurableClock.sleep({ name: "day", duration: "1 day" })
      yield* Activity.make({ name: "woken", execute: Effect.sync(() => told.woken(id)) })
    })
  )

export const Gated = Workflow.make({ name: "Gated", payload, idempotencyKey })

/** One step, then one that stays in flight until `gate` succeeds, then one more. */
export const gatedLayer = (options: {
  readonly first: () => void
  readonly inFlight: () => void
  readonly gate: Effect.Effect<void>
  readonly made?: Shape["made"] | undefined
}) => {
  const make = () => ({
    first: Activity.make({ name: "first", execute: Effect.sync(options.first) }),
    gated: Activity.make({
      name: "gated",
      execute: Effect.suspend(() => {
        options.inFlight()
        return options.gate
      })
    }),
    last: Activity.make({ name: "last", execute: Effect.void })
  })
  const steps = make()
  return Gated.toLayer(() =>
    Effect.gen(function* () {
      const { first, gated, last } = options.made === "inside" ? make() : steps
      yield* first
      yield* gated
      yield* last
    })
  )
}
