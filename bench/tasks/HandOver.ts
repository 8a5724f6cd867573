/** One of several executors: how long runs stand still when it goes. */
import { Effect, Layer } from "effect"
import * as Engines from "../Engines.js"
import { sharedMillis } from "../harness/Process.js"
import * as Runtime from "../harness/Runtime.js"
import type { Session } from "../harness/Session.js"
import * as Workflows from "../Workflows.js"

export type Input =
  | { readonly _tag: "Start"; readonly ids: ReadonlyArray<string>; readonly steps: number }
  /** What its steps have said since it was last asked. */
  | { readonly _tag: "Said" }
  /** Drains, and answers when that is over. */
  | { readonly _tag: "Stop" }

/** A step of this run began or ended; in milliseconds, on the clock that processes share. */
export type Said = readonly [id: string, at: number]

export interface Output {
  /** Nothing, of a start. */
  readonly said: ReadonlyArray<Said>
  /** When it began to do as it was told. */
  readonly at: number
}

export const open = async (
  params: Engines.OnPostgres | { readonly engine: "sqlite"; readonly filename: string }
): Promise<Session<Input, Output>> => {
  let said: Array<Said> = []
  const paced = Workflows.pacedLayer((id) => said.push([id, sharedMillis()]))
  const runtime = await Runtime.make(Layer.provideMerge(paced, Engines.layer(params)))
  const taken = () => {
    const lines = said
    said = []
    return lines
  }
  return {
    ask: async (input) => {
      const at = sharedMillis()
      switch (input._tag) {
        case "Start":
          await runtime.run(
            Effect.forEach(
              input.ids,
              (id) => Workflows.Paced.execute({ id, steps: input.steps }, { discard: true }),
              { concurrency: "unbounded", discard: true }
            )
          )
          return { at, said: [] }
        case "Said":
          return { at, said: taken() }
        case "Stop":
          await runtime.dispose()
          return { at, said: taken() }
      }
    },
    close: runtime.dispose
  }
}
