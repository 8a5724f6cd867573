/** What `doctor` says of what it sees. */
import * as Machine from "../internal/Machine.js"
import type { ExecutorInfo, PausedWorkflow } from "../store/RunStore.js"

/**
 * - `ok`: as it should be.
 * - `warning`: worth a look; it may be meant so.
 * - `problem`: executors do not start on this file, or runs do not go on.
 */
export type Verdict = "ok" | "warning" | "problem"

export interface Finding {
  readonly check: string
  readonly verdict: Verdict
  readonly message: string
}

export const found = (check: string, verdict: Verdict, message: string): Finding => ({
  check,
  verdict,
  message
})

/** Its lease has lapsed, or its process, of this machine, is gone. */
export const isGone = (executor: ExecutorInfo, now: number) =>
  executor.leaseUntil <= now || Machine.here.isDead(executor)

const describeExecutor = ({ host, id, pid, runs }: ExecutorInfo) =>
  `executor ${id} (pid ${pid} on ${Machine.nameOf(host)}), which holds ${runs} run${runs === 1 ? "" : "s"}`

/** Leases are seconds; one that ends this much later was given by a clock that is ahead. */
const leaseTooLong = 24 * 60 * 60 * 1000

export const ofExecutors = (
  executors: ReadonlyArray<ExecutorInfo>,
  now: number
): ReadonlyArray<Finding> => {
  const alive = executors.filter((executor) => !isGone(executor, now))
  const ahead = alive.filter(
    ({ leaseUntil, startedAt }) => leaseUntil - now > leaseTooLong || startedAt - now > 60_000
  )
  return [
    alive.length === 0
      ? found("executors", "warning", "none is running")
      : found("executors", "ok", `${alive.length} running`),
    ...executors
      .filter((executor) => isGone(executor, now))
      .map((executor) =>
        found(
          "leases",
          executor.runs > 0 ? "problem" : "warning",
          `${describeExecutor(executor)}, is dead or frozen${
            executor.leaseUntil <= now ? ": its lease has lapsed" : ": its process is gone"
          }; ${alive.length === 0 ? "the next one that starts takes over" : "another takes over"}`
        )
      ),
    ...ahead.map((executor) =>
      found(
        "clocks",
        "problem",
        `by this clock ${describeExecutor(executor)}, started or has its lease in the future: a clock was set`
      )
    )
  ]
}

export const ofPending = (
  pending: ReadonlyArray<{ readonly workflow: string; readonly runs: number }>,
  running: boolean
): ReadonlyArray<Finding> =>
  pending.length === 0
    ? [found("pending runs", "ok", "none")]
    : pending.map(({ runs, workflow }) =>
        found(
          "pending runs",
          running ? "ok" : "warning",
          `${runs} of ${workflow}${running ? "" : ": they wait for an executor"}`
        )
      )

/** Nothing wakes them. */
export const ofBlocked = (
  blocked: ReadonlyArray<{ readonly workflow: string; readonly runs: number }>
): ReadonlyArray<Finding> =>
  blocked.length === 0
    ? [found("runs to mend", "ok", "none")]
    : blocked.map(({ runs, workflow }) =>
        found(
          "runs to mend",
          "problem",
          `${runs} of ${workflow}, suspended after a failure: runs list --mend tells why; mend that, and resume them`
        )
      )

/** Of a database whose counts are what is quick. */
export const ofBlockedRuns = (runs: number): Finding =>
  runs === 0
    ? found("runs to mend", "ok", "none")
    : found(
        "runs to mend",
        "problem",
        `${runs}, suspended after a failure: runs list --mend tells which, and why; mend that, and resume them`
      )

export const ofWaitingWorkflows = (
  workflows: ReadonlyArray<string>,
  runs: number,
  running: boolean
): Finding =>
  runs === 0
    ? found("pending runs", "ok", "none")
    : found(
        "pending runs",
        running ? "ok" : "warning",
        `${runs} of ${workflows.join(", ")}${running ? "" : ": they wait for an executor"}`
      )

/** Somebody means it, and may have forgotten. */
export const ofPauses = (paused: ReadonlyArray<PausedWorkflow>): ReadonlyArray<Finding> =>
  paused.map(({ parks, since, workflow }) =>
    found(
      "paused workflows",
      "warning",
      `${workflow}, since ${new Date(since).toISOString()}: none of it begins${
        parks ? ", and what has begun is not gone on with" : ""
      }`
    )
  )
