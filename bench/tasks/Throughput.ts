/** Runs of a workflow of steps, so many at a time, as fast as the engine makes them. */
import type { WorkflowEngine } from "@effect/workflow"
import { Effect, Layer } from "effect"
import * as Engines from "../Engines.js"
import * as Runtime from "../harness/Runtime.js"
import type { Session } from "../harness/Session.js"
import { quantile } from "../harness/Stats.js"
import * as Workflows from "../Workflows.js"

export interface Input {
  readonly concurrency: number
  /** How long new runs are started; those under way are waited for. */
  readonly millis: number
}

export interface Output {
  readonly runs: number
  readonly millis: number
  readonly stepsPerSecond: number
  /** Of this process, all its threads: says more than the rate does on a machine that is busy. */
  readonly cpuMicrosPerStep: number
  /** From starting a run to having its result, in milliseconds. */
  readonly runMedian: number
  readonly runP99: number
}

let started = 0

/** A process's runs have ids of their own, also where two share a file. */
export const nextId = (): string => `${process.pid}-${started++}`

/**
 * Garbage is collected when it is due, as in production, and not before each round: between rounds no run
 * is there, and V8 throws away what it has compiled for objects of which a collection finds none.
 */
export const round = (
  shape: Workflows.Shape,
  { concurrency, millis }: Input
): Effect.Effect<Output, never, WorkflowEngine.WorkflowEngine> =>
  Effect.suspend(() => {
    const latencies: Array<number> = []
    const cpuBefore = process.cpuUsage()
    const began = performance.now()
    const oneAfterTheOther = Effect.gen(function* () {
      while (performance.now() < began + millis) {
        const start = performance.now()
        const steps = yield* Workflows.Steps.execute({ id: nextId() })
        if (steps !== shape.steps) return yield* Effect.dieMessage(`a run had ${steps} steps`)
        latencies.push(performance.now() - start)
      }
    })
    return Effect.map(
      Effect.replicateEffect(oneAfterTheOther, concurrency, {
        concurrency: "unbounded",
        discard: true
      }),
      () => {
        const taken = performance.now() - began
        const cpu = process.cpuUsage(cpuBefore)
        const steps = latencies.length * shape.steps
        return {
          runs: latencies.length,
          millis: taken,
          stepsPerSecond: (steps * 1000) / taken,
          cpuMicrosPerStep: (cpu.user + cpu.system) / steps,
          runMedian: quantile(latencies, 0.5),
          runP99: quantile(latencies, 0.99)
        }
      }
    )
  })

export const open = async (
  params: Engines.EngineOptions & { readonly shape: Workflows.Shape }
): Promise<Session<Input, Output>> => {
  const runtime = await Runtime.make(
    Workflows.stepsLayer(params.shape).pipe(Layer.provideMerge(Engines.layer(params)))
  )
  return {
    ask: (input) => runtime.run(round(params.shape, input)),
    close: runtime.dispose
  }
}
