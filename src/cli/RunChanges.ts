/** A run, looked at again and again: what has happened since. */
import type { RunView, RunWithStepsView, StepView } from "../Runs.js"

/** What happened to a run between two looks at it. */
export type RunEvent =
  | ({ readonly event: "step"; readonly runId: string } & StepView)
  | ({ readonly event: "run" } & Omit<RunView, "payload">)

/** In the order in which it must have been: the end of a run comes after its steps'. */
export const changes = (
  before: RunWithStepsView | undefined,
  after: RunWithStepsView
): ReadonlyArray<RunEvent> => {
  const known = new Map(
    before?.steps.map((step) => [`${step.name}/${step.attempt}`, step.status] as const)
  )
  const steps = after.steps
    .filter((step) => known.get(`${step.name}/${step.attempt}`) !== step.status)
    .map((step): RunEvent => ({ event: "step", runId: after.runId, ...step }))
  if (before?.status === after.status) return steps
  const { cause: _cause, payload: _payload, steps: _steps, ...rest } = after
  const run: RunEvent = { event: "run", ...rest }
  return after.status === "pending" || after.status === "running"
    ? [run, ...steps]
    : [...steps, run]
}
