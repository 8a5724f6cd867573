/** A stop with many steps in flight, and with runs that wait in memory. */
import Database from "better-sqlite3"
import { Deferred, Effect, FiberId, Layer } from "effect"
import * as Engines from "../Engines.js"
import { pause, until, watchEventLoop } from "../harness/Process.js"
import * as Runtime from "../harness/Runtime.js"
import type { Session } from "../harness/Session.js"
import * as Workflows from "../Workflows.js"

export interface Output {
  readonly stopMillis: number
  readonly blockMillis: number
}

export const open = async (params: {
  readonly filename: string
  readonly steps: number
  /** All steps end as the stop begins, or are cut by a stop timeout of 0. */
  readonly ending: "end" | "cut"
  /** The steps go on for so long after the stop has begun; the time of that is not counted. */
  readonly lasting: number
  /** So many runs wait for a signal meanwhile. */
  readonly waiting: number
}): Promise<Session<void, Output>> => {
  const { ending, filename, lasting, steps, waiting } = params
  const gate = Deferred.unsafeMake<void>(FiberId.none)
  let inFlight = 0
  const gated = Workflows.gatedLayer({
    first: () => {},
    inFlight: () => inFlight++,
    gate: Deferred.await(gate)
  })
  const awaitGo = Workflows.awaitGoLayer({ waiting: () => {}, resumed: () => {} })
  const layer = Layer.merge(gated, awaitGo).pipe(
    Layer.provideMerge(
      Engines.layer({
        engine: "sqlite",
        filename,
        config: {
          maxConcurrentRuns: steps + 1,
          maxConcurrentSteps: steps + 1,
          ...(ending === "cut" ? { stopTimeout: 0 } : {})
        }
      })
    )
  )
  // steps that are cut are named in the log, all of them
  const runtime = await Runtime.make(layer, ending === "cut" ? "None" : "Warning")
  const suspended = Effect.gen(function* () {
    for (let index = 0; index < waiting; index++) {
      const runId = yield* Workflows.AwaitGo.execute({ id: `${index}` }, { discard: true })
      while ((yield* Workflows.AwaitGo.poll(runId))?._tag !== "Suspended") yield* Effect.sleep(1)
    }
  })
  return {
    ask: async () => {
      await runtime.run(suspended)
      let started = 0
      await runtime.run(
        Effect.replicateEffect(
          Effect.suspend(() =>
            Workflows.Gated.execute({ id: `run-${started++}` }, { discard: true })
          ),
          steps,
          { concurrency: 200, discard: true }
        )
      )
      await until(() => inFlight === steps)
      const eventLoop = watchEventLoop()
      const began = performance.now()
      const stopped = runtime.dispose()
      if (lasting > 0) await pause(lasting)
      const ended = lasting > 0 ? performance.now() : began
      if (ending === "end") Effect.runSync(Deferred.succeed(gate, undefined))
      await stopped
      const stopMillis = performance.now() - ended
      const blockMillis = await eventLoop.stop()
      checkHandedOver(filename, { recorded: ending === "end" ? steps : 0, runs: steps })
      return { stopMillis, blockMillis }
    },
    close: async () => {}
  }
}

/** A fast drain that loses something is no drain. */
const checkHandedOver = (
  filename: string,
  expected: { readonly recorded: number; readonly runs: number }
) => {
  const database = new Database(filename, { readonly: true })
  const count = (statement: string) => Number(database.prepare(statement).pluck().get())
  const found = {
    recorded: count(
      "SELECT count(*) FROM workflow_steps WHERE name = 'gated' AND status = 'completed'"
    ),
    runs: count("SELECT count(*) FROM workflow_runs WHERE status = 'pending'")
  }
  database.close()
  if (found.recorded !== expected.recorded || found.runs !== expected.runs) {
    throw new Error(
      `after the drain ${found.recorded} steps are recorded and ${found.runs} runs pending, ` +
        `rather than ${expected.recorded} and ${expected.runs}`
    )
  }
}
