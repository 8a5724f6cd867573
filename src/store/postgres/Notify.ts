/** What a transaction of several statements tells the other executors. */
import type { Change } from "../RunStore.js"
import type { Told } from "./Commit.js"
import { mostBytesTold, mostTold } from "./SignalCall.js"
import { encodedText } from "./Sql.js"

/** The runs that were told something, where that is all; `undefined`: there is more, or there are many. */
const toldRuns = (change: Change): ReadonlyArray<string> | undefined => {
  const { finished, interrupts, signals, woken } = change
  if (finished.length > 0 || woken.some(({ over }) => over === true)) return undefined
  const runs = new Set([
    ...interrupts,
    ...signals.map(({ runId }) => runId),
    ...woken.map(({ runId }) => runId)
  ])
  return runs.size > 0 && runs.size <= mostTold && JSON.stringify([...runs]).length < mostBytesTold
    ? [...runs]
    : undefined
}

/** What has characters of its own in SQL, as something that has none. */
const quoted = (text: string) =>
  `convert_from(decode('${Buffer.from(text).toString("hex")}', 'hex'), 'UTF8')`

/**
 * A statement for the transaction's own script, so that nobody is told of what was not committed, and
 * nothing is left out; empty where there is nothing to tell.
 */
export const notify = ({ channel, from }: Told, change: Change | undefined): string => {
  if (change === undefined) return ""
  const { bulk, finished, interrupts, pauses, pending, schedules, signals, wakeAt, woken } = change
  const runs = toldRuns(change)
  const tells = {
    from,
    // by the clock of who hears of itself; nobody else's
    at: performance.now(),
    pending,
    woken: finished.length + interrupts.length + signals.length + woken.length > 0,
    ...(runs === undefined ? {} : { runs: runs.map(encodedText) }),
    ...(wakeAt === undefined ? {} : { wakeAt }),
    ...(schedules === undefined ? {} : { schedules }),
    ...(bulk === undefined ? {} : { bulk }),
    ...(pauses === undefined ? {} : { pauses })
  }
  return `SELECT pg_notify(${quoted(channel)}, ${quoted(JSON.stringify(tells))});`
}
