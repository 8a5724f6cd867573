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
import { Effect, Layer, Schema } from "effect"

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

export const Loop = Workflow.make({
  name: "Loop",
  payload: { id: Schema.String, times: Schema.Number },
  success: Schema.Number,
  idempotencyKey
})

/** Does a step and sleeps for a millisecond, so many times; answers with the number of its passes. */
export const loopLayer = Layer.suspend(() => {
  const passes = new Map<string, number>()
  return Loop.toLayer(({ id, times }) =>
    Effect.gen(function* () {
      passes.set(id, (passes.get(id) ?? 0) + 1)
      for (let index = 0; index < times; index++) {
        yield* makeStep(index, undefined)
        yield* DurableClock.sleep({ name: `pause${index}`, duration: "1 millis" })
      }
      return passes.get(id)!
    })
  )
})

export const Work = Workflow.make({
  name: "Work",
  payload: { id: Schema.String, millis: Schema.Number },
  idempotencyKey
})

/** One step, which takes so many milliseconds. */
export const workLayer = Work.toLayer(({ millis }) =>
  Activity.make({ name: "work", execute: millis === 0 ? Effect.void : Effect.sleep(millis) })
)

export const FanOut = Workflow.make({
  name: "FanOut",
  payload: {
    id: Schema.String,
    children: Schema.Number,
    /** How many of them at a time; all at once when it is 0. */
    concurrency: Schema.Number,
    /** Of each child's step. */
    millis: Schema.Number
  },
  success: Schema.Number,
  idempotencyKey
})

/** So many children, so many at a time; answers with the number of its passes. */
export const fanOutLayer = Layer.suspend(() => {
  const passes = new Map<string, number>()
  return FanOut.toLayer(({ children, concurrency, id, millis }) =>
    Effect.gen(function* () {
      passes.set(id, (passes.get(id) ?? 0) + 1)
      const indexes = Array.from({ length: children }, (_, index) => index)
      yield* Effect.forEach(indexes, (index) => Work.execute({ id: `${id}-${index}`, millis }), {
        concurrency: concurrency === 0 ? "unbounded" : concurrency,
        discard: true
      })
      return passes.get(id)!
    })
  )
})

export const Signalled = Workflow.make({
  name: "Signalled",
  payload: { id: Schema.String, children: Schema.Number },
  idempotencyKey
})

/** So many children of `AwaitGo`, all at once. */
export const signalledLayer = Signalled.toLayer(({ children, id }) =>
  Effect.forEach(
    Array.from({ length: children }, (_, index) => index),
    (index) => AwaitGo.execute({ id: `${id}-${index}` }),
    { concurrency: "unbounded", discard: true }
  )
)

export const Long = Workflow.make({
  name: "Long",
  payload: { id: Schema.String, steps: Schema.Number },
  idempotencyKey
})

/** So many steps, then the signal `Go`; tells when it waits, and from the first step after it. */
export const longLayer = (told: { readonly waiting: Tell; readonly resumed: Tell }) =>
  Long.toLayer(({ id, steps }) =>
    Effect.gen(function* () {
      for (let index = 0; index < steps; index++) yield* makeStep(index, undefined)
      told.waiting(id)
      yield* DurableDeferred.await(Go)
      yield* Activity.make({ name: "resumed", execute: Effect.sync(() => told.resumed(id)) })
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

export const Paced = Workflow.make({
  name: "Paced",
  payload: { ...payload, steps: Schema.Int },
  idempotencyKey
})

/** Steps of 5 ms one after the other, each of which tells when it begins and when it ends. */
export const pacedLayer = (told: Tell) =>
  Paced.toLayer(({ id, steps }) => {
    const tell = Effect.sync(() => told(id))
    const step = (index: number) =>
      Activity.make({
        name: `step${index}`,
        execute: tell.pipe(Effect.zipRight(Effect.sleep(5)), Effect.zipRight(tell))
      })
    return Effect.forEach(
      Array.from({ length: steps }, (_, index) => index),
      step,
      {
        discard: true
      }
    )
  })
