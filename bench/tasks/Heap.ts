/** What runs cost on the JavaScript heap. */
import { Effect, Layer } from "effect"
import * as Engines from "../Engines.js"
import { heapInUse, pause, until } from "../harness/Process.js"
import * as Runtime from "../harness/Runtime.js"
import type { Session } from "../harness/Session.js"
import * as Workflows from "../Workflows.js"

export type State = "pending" | "running" | "suspended"

/** Bytes for each run. */
export type Output = number

/**
 * Before the heap is first looked at, so that what is made once is there already, and what a workflow
 * executes is compiled: a generator that is interpreted keeps whatever its last expressions came to.
 */
const warmUpOf = (count: number): number => Math.max(200, Math.min(3_000, count))

const concurrency = 200

/** After the last run has said that it begins to wait. */
const settleMillis = 2_000

export const open = async (params: {
  readonly engine: Engines.Engine
  readonly filename: string
  readonly state: State
  readonly count: number
  readonly made: Workflows.Shape["made"]
}): Promise<Session<void, Output>> => {
  const warmUp = warmUpOf(params.count)
  let waiting = 0
  const tell = () => {
    waiting++
  }
  const workflows = Layer.merge(
    Workflows.awaitGoLayer({ waiting: tell, resumed: () => {} }),
    Workflows.gatedLayer({
      made: params.made,
      first: () => {},
      inFlight: tell,
      gate: Effect.never
    })
  )
  // for `pending`: one run that fills the executor up, the others wait
  const room = params.state === "pending" ? 1 : 2 * (params.count + warmUp)
  const config = { maxConcurrentRuns: room, maxConcurrentSteps: room }
  const runtime = await Runtime.make(
    workflows.pipe(Layer.provideMerge(Engines.layer({ ...params, config }))),
    "None"
  )
  const workflow = params.state === "suspended" ? Workflows.AwaitGo : Workflows.Gated
  let started = 0
  const start = (count: number) =>
    runtime.run(
      Effect.replicateEffect(
        Effect.suspend(() => workflow.execute({ id: `run-${started++}` }, { discard: true })),
        count,
        { concurrency, discard: true }
      )
    )
  const waited = (count: number) => until(() => waiting >= count)
  return {
    ask: async () => {
      await start(warmUp)
      await waited(params.state === "pending" ? 1 : warmUp)
      await pause(settleMillis)
      const before = await heapInUse()
      await start(params.count)
      if (params.state !== "pending") await waited(warmUp + params.count)
      await pause(settleMillis)
      return ((await heapInUse()) - before) / params.count
    },
    // the process ends without a drain: what it holds is of no use to anybody
    close: async () => {}
  }
}
