/** Runs that wait again and again, or for many others: what waiting itself costs. */
import { DurableDeferred, type Workflow, type WorkflowEngine } from "@effect/workflow"
import { Effect, Layer } from "effect"
import * as Engines from "../Engines.js"
import { collectGarbage, until } from "../harness/Process.js"
import * as Runtime from "../harness/Runtime.js"
import type { Session } from "../harness/Session.js"
import * as Workflows from "../Workflows.js"
import { nextId } from "./Throughput.js"

export type Input =
  /** A step and a sleep of 1 ms, so many times. */
  | { readonly _tag: "Loop"; readonly times: number }
  /** So many children with a step of so many milliseconds, so many at a time (0: all at once). */
  | {
      readonly _tag: "FanOut"
      readonly children: number
      readonly concurrency: number
      readonly millis: number
    }
  /** So many children that wait for a signal, signalled one after the other. */
  | { readonly _tag: "Signalled"; readonly children: number }
  /** A run of so many steps that is suspended and forgotten: from its signal to its next step. */
  | { readonly _tag: "Replay"; readonly steps: number }

export interface Output {
  readonly millis: number
}

/** After the engine says that a run is suspended, so that all it does for that is over. */
const settleMillis = 5

export const open = async (params: {
  readonly engine: Engines.Engine
  readonly filename: string
  /** Nothing that waits stays in memory. */
  readonly cold?: boolean
}): Promise<Session<Input, Output>> => {
  const resumed = new Set<string>()
  const told = {
    waiting: () => {},
    resumed: (id: string) => void resumed.add(id)
  }
  const layer = Layer.mergeAll(
    Workflows.loopLayer,
    Workflows.workLayer,
    Workflows.fanOutLayer,
    Workflows.signalledLayer,
    Workflows.awaitGoLayer(told),
    Workflows.longLayer(told)
  ).pipe(
    Layer.provideMerge(
      Engines.layer({
        ...params,
        config: { maxConcurrentRuns: 20_000, ...(params.cold ? { maxWarmRuns: 0 } : {}) }
      })
    )
  )
  const runtime = await Runtime.make(layer)

  const signalled = (children: number) =>
    Effect.gen(function* () {
      const id = nextId()
      const parent = yield* Workflows.Signalled.execute({ id, children }, { discard: true })
      const began = performance.now()
      for (let index = 0; index < children; index++) {
        const child = yield* Workflows.AwaitGo.executionId({ id: `${id}-${index}` })
        // upstream's engine loses a signal that comes while a run is suspending
        while ((yield* Workflows.AwaitGo.poll(child))?._tag !== "Suspended") yield* Effect.sleep(1)
        yield* Effect.sleep(settleMillis)
        yield* go(Workflows.AwaitGo, child)
      }
      while ((yield* Workflows.Signalled.poll(parent))?._tag !== "Complete") yield* Effect.sleep(1)
      return performance.now() - began
    })

  const replay = (steps: number) =>
    Effect.gen(function* () {
      const id = nextId()
      const runId = yield* Workflows.Long.execute({ id, steps }, { discard: true })
      while ((yield* Workflows.Long.poll(runId))?._tag !== "Suspended") yield* Effect.sleep(2)
      collectGarbage()
      const began = performance.now()
      yield* go(Workflows.Long, runId)
      yield* Effect.promise(() => until(() => resumed.has(id), 1))
      return performance.now() - began
    })

  const measure = (input: Input): Effect.Effect<number, never, WorkflowEngine.WorkflowEngine> => {
    switch (input._tag) {
      case "Loop":
        return timed(Workflows.Loop.execute({ id: nextId(), times: input.times }))
      case "FanOut":
        return timed(
          Workflows.FanOut.execute({
            id: nextId(),
            children: input.children,
            concurrency: input.concurrency,
            millis: input.millis
          })
        )
      case "Signalled":
        return signalled(input.children)
      case "Replay":
        return replay(input.steps)
    }
  }

  return {
    ask: async (input) => {
      collectGarbage()
      return { millis: await runtime.run(measure(input)) }
    },
    close: runtime.dispose
  }
}

const timed = <R>(execute: Effect.Effect<unknown, never, R>) =>
  Effect.suspend(() => {
    const began = performance.now()
    return Effect.map(execute, () => performance.now() - began)
  })

const go = (workflow: Workflow.Any, executionId: string) =>
  DurableDeferred.succeed(Workflows.Go, {
    token: DurableDeferred.tokenFromExecutionId(Workflows.Go, { workflow, executionId }),
    value: 1
  })
