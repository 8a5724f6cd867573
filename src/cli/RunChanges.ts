/** A run, looked at again and again: what has happened since. */
import type { RunView, RunWithStepsView, StepView } from "../runner/Runs.js"

/** What happened to a run between two looks at it. `at` is when it did, where that is recorded. */
export type RunEvent =
  | ({ readonly at: string; readonly event: "step"; readonly runId: string } & StepView)
  | ({ readonly at: string; readonly event: "run" } & Omit<RunView, "payload">)

/**
 * In the order in which it must have been: a run begins before its steps do, and ends after them.
 *
 * @param now when it was looked at, ISO 8601
 */
export const changes = (
  before: RunWithStepsView | undefined,
  after: RunWithStepsView,
  now: string
): ReadonlyArray<RunEvent> => {
  const known = new Set(before?.steps.map(keyOf))
  const steps = after.steps
    .filter((step) => !known.has(keyOf(step)))
    .map((step): RunEvent => ({ at: timeOfStep(step), event: "step", runId: after.runId, ...step }))
    .sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
  if (before?.status === after.status) return steps
  const { cause: _cause, payload: _payload, steps: _steps, ...rest } = after
  const run = (at: string): RunEvent => ({ at, event: "run", ...rest })
  const time = timeOfRun(before, after)
  if (after.status !== "running") return [...steps, run(time ?? now)]
  const [first] = steps
  return [run(time ?? (first !== undefined && first.at < now ? first.at : now)), ...steps]
}

/** One that executes again after a crash or a cut begins anew. */
const keyOf = ({ attempt, name, startedAt, status }: StepView) =>
  JSON.stringify([name, attempt, status, startedAt])

const timeOfStep = ({ completedAt, startedAt }: StepView) => completedAt ?? startedAt

/** Of what happens to a run more than once, only the first time is recorded. */
const timeOfRun = (before: RunWithStepsView | undefined, after: RunWithStepsView) => {
  switch (after.status) {
    case "pending":
      return after.startedAt === undefined ? after.createdAt : undefined
    case "running":
      return before?.startedAt === undefined ? after.startedAt : undefined
    default:
      return after.completedAt
  }
}
