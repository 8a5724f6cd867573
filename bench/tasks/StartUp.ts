/** An executor that starts on a file with unfinished runs. */
import { Effect, Layer } from "effect"
import * as Engines from "../Engines.js"
import { until, watchEventLoop } from "../harness/Process.js"
import * as Runtime from "../harness/Runtime.js"
import type { Session } from "../harness/Session.js"
import * as Workflows from "../Workflows.js"

/** How many steps are waited for. */
export type Input = number

export interface Output {
  /** From the start of the process, its imports included, to the first step. */
  readonly firstStepMillis: number
  /** From the same to the last step that was waited for. */
  readonly lastStepMillis: number
  /** How long the event loop was held up at most, from building the layers to that step. */
  readonly blockMillis: number
  /** How long it takes to stop then, with runs in memory and many more waiting. */
  readonly stopMillis: number
}

export const open = async (params: {
  readonly filename: string
}): Promise<Session<Input, Output>> => ({
  ask: async (steps) => {
    let first: number | undefined
    let count = 0
    const step = () => {
      first ??= performance.now()
      count++
    }
    const workflows = Layer.merge(
      Workflows.gatedLayer({ first: step, inFlight: step, gate: Effect.void }),
      Workflows.sleeperLayer({ waiting: () => {}, woken: step })
    )
    const eventLoop = watchEventLoop()
    const runtime = await Runtime.make(
      workflows.pipe(Layer.provideMerge(Engines.layer({ engine: "sqlite", ...params }))),
      // that it takes over from an executor that is gone is what it is here for
      "None"
    )
    await until(() => count >= steps)
    const lastStepMillis = performance.now()
    const blockMillis = await eventLoop.stop()
    const stopping = performance.now()
    await runtime.dispose()
    return {
      firstStepMillis: first ?? Number.NaN,
      lastStepMillis,
      blockMillis,
      stopMillis: performance.now() - stopping
    }
  },
  close: async () => {}
})
