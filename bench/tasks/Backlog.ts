/** An executor that works off what waits in a file, alone or beside another. */
import { Effect, Layer } from "effect"
import * as Engines from "../Engines.js"
import { sharedMillis } from "../harness/Process.js"
import * as Runtime from "../harness/Runtime.js"
import type { Session } from "../harness/Session.js"
import * as Workflows from "../Workflows.js"
import { allOver } from "./Unfinished.js"

export interface Output {
  /** Runs that went through their first step here. */
  readonly runs: number
  /** On the clock that all processes share. */
  readonly began: number
  readonly ended: number
}

export const open = async (params: {
  readonly filename: string
}): Promise<Session<void, Output>> => ({
  ask: async () => {
    let runs = 0
    const layer = Workflows.gatedLayer({
      first: () => runs++,
      inFlight: () => {},
      gate: Effect.void
    }).pipe(Layer.provideMerge(Engines.layer({ engine: "sqlite", ...params })))
    const began = sharedMillis()
    const runtime = await Runtime.make(layer)
    await allOver(params.filename, 10)
    const ended = sharedMillis()
    await runtime.dispose()
    return { runs, began, ended }
  },
  close: async () => {}
})
