/** Another process on the same runs: executes nothing, sends signals. */
import { Effect, Layer } from "effect"
import * as Executor from "../../src/Executor.js"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import * as Engines from "../Engines.js"
import { sharedMillis } from "../harness/Process.js"
import * as Runtime from "../harness/Runtime.js"
import type { Session } from "../harness/Session.js"
import { signal } from "./Resume.js"

/** Ids of the runs to signal. */
export type Input = ReadonlyArray<string>

/** When each was about to be signalled. */
export type Output = ReadonlyArray<number>

/** Not a multiple of how often the receiver looks, so that every phase of that comes up. */
const pauseMillis = 13

/** On a file by the engine alone; on PostgreSQL an executor like any other, without workflows. */
const engine = (params: Params) =>
  "filename" in params
    ? Executor.layerEngine.pipe(
        Layer.provide(SqliteRunStore.layerFile(params)),
        Layer.provide(RunnerConfig.layer())
      )
    : Engines.layer(params)

type Params = Engines.OnPostgres | { readonly filename: string }

export const open = async (params: Params): Promise<Session<Input, Output>> => {
  const runtime = await Runtime.make(Layer.orDie(engine(params)))
  return {
    ask: (runs) =>
      runtime.run(
        Effect.forEach(runs, (runId) =>
          Effect.suspend(() => {
            const sent = sharedMillis()
            return Effect.as(signal(runId), sent)
          }).pipe(Effect.zipLeft(Effect.sleep(pauseMillis)))
        )
      ),
    close: runtime.dispose
  }
}
