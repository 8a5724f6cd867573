/** A list of runs, newest first, and what is read of it anew. */
import type { RunsPage, RunView } from "../../api/RunView.js"
import type { RunStatus } from "../../api/Status.js"

export interface Listed {
  readonly runs: ReadonlyArray<RunView>
  /** Where the next page begins; `null` where there is none. */
  readonly cursor: string | null
}

export const empty: Listed = { runs: [], cursor: null }

/** With the next page at its end. */
export const extended = (listed: Listed, page: RunsPage): Listed => {
  const known = new Set(listed.runs.map(({ runId }) => runId))
  return {
    runs: [...listed.runs, ...page.runs.filter(({ runId }) => !known.has(runId))],
    cursor: page.nextCursor
  }
}

/**
 * With the first page as it is now. What was listed after its last run stays; where so much is new that
 * the two do not meet, only the first page is left.
 */
export const refreshed = (listed: Listed, page: RunsPage): Listed => {
  const last = page.runs.at(-1)
  const place = listed.runs.findIndex(({ runId }) => runId === last?.runId)
  if (last === undefined || page.nextCursor === null || place === -1) {
    return { runs: page.runs, cursor: page.nextCursor }
  }
  return { runs: [...page.runs, ...listed.runs.slice(place + 1)], cursor: listed.cursor }
}

/** With the status that a run has now, and without it where it is gone. */
export const told = (
  listed: Listed,
  { at, runId, status }: { runId: string; status: RunStatus | "deleted"; at: string }
): Listed => {
  if (!listed.runs.some((run) => run.runId === runId)) return listed
  if (status === "deleted") {
    return { ...listed, runs: listed.runs.filter((run) => run.runId !== runId) }
  }
  const isOver = status === "completed" || status === "failed" || status === "interrupted"
  const runs = listed.runs.map((run) => {
    if (run.runId !== runId) return run
    const { completedAt: _, ...rest } = run
    return { ...rest, status, ...(isOver ? { completedAt: at } : {}) }
  })
  return { ...listed, runs }
}
