/** What can be done with a run, and where not, why not. */
import type { RunView, RunWithStepsView } from "../../api/RunView.js"
import { isFinal, type RunStatus } from "../../api/Status.js"

export type Action = "resume" | "retry" | "interrupt" | "terminate" | "delete"

export const actions: ReadonlyArray<Action> = [
  "resume",
  "retry",
  "interrupt",
  "terminate",
  "delete"
]

/** What the button says. */
export const labels: Readonly<Record<Action, string>> = {
  resume: "Resume",
  retry: "Retry",
  interrupt: "Interrupt",
  terminate: "Terminate",
  delete: "Delete"
}

/** What was done to a run of which it was asked. */
export const participles: Readonly<Record<Action, string>> = {
  resume: "resumed",
  retry: "retried",
  interrupt: "interrupted",
  terminate: "terminated",
  delete: "deleted"
}

/** What the action does, for those who are asked whether they mean it. */
export const consequences: Readonly<Record<Action, string>> = {
  resume: "It looks again at what it waits for; one that is to begin later begins.",
  retry:
    "It goes on from the step that failed. What completed is not executed again; its failed children are retried with it.",
  interrupt:
    "Its steps in flight are cut, and the compensations of what was done are executed. It does not go on afterwards.",
  terminate:
    "It ends at once, and nothing is compensated: what its steps have done stays as it is. It cannot be retried.",
  delete: "It goes with its steps and signals. Its idempotency key then makes a new run."
}

/** Cannot be undone. */
export const isConfirmed = (action: Action): boolean => action !== "resume"

/** Why the action is of no use in this status; `undefined` where it can be asked for. */
export const notIn = (action: Action, status: RunStatus): string | undefined => {
  switch (action) {
    case "resume":
      return status === "suspended" ? undefined : `It is ${status}, not suspended`
    case "retry":
      return status === "failed" || status === "interrupted"
        ? undefined
        : `It is ${status}; only what failed or was interrupted is retried`
    case "delete":
      return isFinal(status) ? undefined : `It is ${status}; only what is over is deleted`
    case "interrupt":
    case "terminate":
      return isFinal(status) ? `It is over: ${status}` : undefined
  }
}

export const notPossible = (
  action: Action,
  {
    compensated,
    status,
    terminated,
    waitsFor
  }: Pick<RunView, "status" | "compensated" | "terminated"> &
    Partial<Pick<RunWithStepsView, "waitsFor">>
): string | undefined =>
  // one that is to begin later begins at once
  action === "resume" && waitsFor?.first.some(({ type }) => type === "start") === true
    ? undefined
    : (action === "retry" && neverRetried({ compensated, terminated })) || notIn(action, status)

const neverRetried = ({
  compensated,
  terminated
}: Pick<RunView, "compensated" | "terminated">): string | undefined =>
  terminated === true
    ? "It was terminated: nobody knows how far it was"
    : compensated === true
      ? "What it had done was undone, and would not be done again: start one like this"
      : undefined
