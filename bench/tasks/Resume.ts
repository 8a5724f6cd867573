/** Runs that wait for a signal, and when they go on. */
import { DurableDeferred, type WorkflowEngine } from "@effect/workflow"
import { Effect, Layer } from "effect"
import * as Engines from "../Engines.js"
import { pause, sharedMillis, until } from "../harness/Process.js"
import * as Runtime from "../harness/Runtime.js"
import type { Session } from "../harness/Session.js"
import * as Workflows from "../Workflows.js"

export type Input =
  /** Starts so many runs, and signals each when it is suspended, one after the other. */
  | { readonly _tag: "SignalHere"; readonly count: number }
  /** Starts so many runs, and answers when all are suspended. */
  | { readonly _tag: "Suspend"; readonly count: number }
  /** Waits until so many runs have gone on since `Suspend`. */
  | { readonly _tag: "Await"; readonly count: number }

export interface Output {
  readonly runs: ReadonlyArray<string>
  /** For each run of `runs`: how long it took (`SignalHere`), or when it went on (`Await`). */
  readonly millis: ReadonlyArray<number>
}

/** After the engine says that a run is suspended, so that all it does for that is over. */
const settleMillis = 5

let started = 0

export const open = async (params: Engines.EngineOptions): Promise<Session<Input, Output>> => {
  const resumed = new Map<string, number>()
  const layer = Workflows.awaitGoLayer({
    waiting: () => {},
    resumed: (id) => resumed.set(id, sharedMillis())
  }).pipe(Layer.provideMerge(Engines.layer(params)))
  const runtime = await Runtime.make(layer)

  const suspend = Effect.gen(function* () {
    const id = `${process.pid}-${started++}`
    const runId = yield* Workflows.AwaitGo.execute({ id }, { discard: true })
    while ((yield* Workflows.AwaitGo.poll(runId))?._tag !== "Suspended") yield* Effect.sleep(2)
    return { id, runId }
  })

  const signalHere = Effect.gen(function* () {
    const { id, runId } = yield* suspend
    yield* Effect.sleep(settleMillis)
    const sent = sharedMillis()
    yield* signal(runId)
    yield* Effect.promise(() => until(() => resumed.has(id), 1))
    return { runId, millis: resumed.get(id)! - sent }
  })

  const idOf = new Map<string, string>()
  return {
    ask: async (input) => {
      switch (input._tag) {
        case "SignalHere": {
          const signalled = await runtime.run(Effect.replicateEffect(signalHere, input.count))
          return {
            runs: signalled.map(({ runId }) => runId),
            millis: signalled.map(({ millis }) => millis)
          }
        }
        case "Suspend": {
          resumed.clear()
          idOf.clear()
          const runs = await runtime.run(
            Effect.replicateEffect(suspend, input.count, { concurrency: 50 })
          )
          for (const { id, runId } of runs) idOf.set(runId, id)
          await pause(settleMillis)
          return { runs: runs.map(({ runId }) => runId), millis: [] }
        }
        case "Await": {
          await until(() => resumed.size >= input.count)
          const runs = [...idOf.keys()]
          return { runs, millis: runs.map((runId) => resumed.get(idOf.get(runId)!)!) }
        }
      }
    },
    close: runtime.dispose
  }
}

export const signal = (
  executionId: string
): Effect.Effect<void, never, WorkflowEngine.WorkflowEngine> =>
  DurableDeferred.succeed(Workflows.Go, {
    token: DurableDeferred.tokenFromExecutionId(Workflows.Go, {
      workflow: Workflows.AwaitGo,
      executionId
    }),
    value: 1
  })
