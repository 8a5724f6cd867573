/** How many runs there are in each status, of what the databases count. */
import type { RunStatus } from "./RunStore.js"

/** `held back`: how many of the suspended ones may not begin yet. */
export interface CountRow {
  readonly status: RunStatus | "held back"
  readonly runs: number
}

export const toCounts = (rows: ReadonlyArray<CountRow>): Readonly<Record<RunStatus, number>> => {
  const counted = {
    pending: 0,
    running: 0,
    suspended: 0,
    completed: 0,
    failed: 0,
    interrupted: 0
  }
  for (const { runs, status } of rows) {
    if (status === "held back") {
      counted.pending += runs
      counted.suspended -= runs
    } else {
      counted[status] += runs
    }
  }
  return counted
}
