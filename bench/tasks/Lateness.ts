/** Sleeping runs of a file, and how late their first step after the sleep begins. */
import Database from "better-sqlite3"
import { Layer } from "effect"
import * as Engines from "../Engines.js"
import { until } from "../harness/Process.js"
import * as Runtime from "../harness/Runtime.js"
import type { Session } from "../harness/Session.js"
import * as Workflows from "../Workflows.js"

export interface Input {
  /** Key of the first run that is to wake; the others follow it. */
  readonly firstKey: number
  readonly count: number
  /** Between one wake-up and the next, in milliseconds. */
  readonly everyMillis: number
}

/** How late each was, in milliseconds. */
export type Output = ReadonlyArray<number>

/** Time enough to have all of them set. */
const leadMillis = 1_000

export const open = async (params: {
  readonly filename: string
  readonly templateKey: number
}): Promise<Session<Input, Output>> => {
  const woken = new Map<number, number>()
  const layer = Workflows.sleeperLayer({
    waiting: () => {},
    // copies have ids that end with their number
    woken: (id) => woken.set(params.templateKey + Number(id.split("-").at(-1)), Date.now())
  }).pipe(Layer.provideMerge(Engines.layer({ engine: "sqlite", filename: params.filename })))
  const runtime = await Runtime.make(layer)
  const database = new Database(params.filename)
  const setRuns = database.prepare(
    "UPDATE workflow_runs SET wake_at = :start + (id - :first) * :every WHERE id BETWEEN :first AND :last"
  )
  const setTimers = database.prepare(
    "UPDATE workflow_timers SET wake_at = :start + (run - :first) * :every WHERE run BETWEEN :first AND :last"
  )
  const set = database.transaction((values: Readonly<Record<string, number>>) => {
    setRuns.run(values)
    setTimers.run(values)
  })
  return {
    ask: async ({ count, everyMillis, firstKey }) => {
      woken.clear()
      const start = Date.now() + leadMillis
      const last = firstKey + count - 1
      set.immediate({ start, first: firstKey, last, every: everyMillis })
      await until(() => woken.size === count)
      return Array.from(woken, ([key, at]) => at - (start + (key - firstKey) * everyMillis))
    },
    close: async () => {
      database.close()
      await runtime.dispose()
    }
  }
}
