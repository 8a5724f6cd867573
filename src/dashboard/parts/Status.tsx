/**
 * The status of a run or of a step, of a queue or of a schedule: a shape, a colour and the word, so that
 * none is needed alone.
 */
import type { RunStatus, StepStatus } from "../../api/Status.js"

type Any = RunStatus | StepStatus | "deleted" | "active" | "paused" | "problem" | "cancelled"

/** On a square of 16. */
const shapes: Readonly<Record<Any, string>> = {
  pending: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2m0 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8",
  running: "M4 2.5v11l9-5.5z",
  suspended: "M3.5 3h3v10h-3zM9.5 3h3v10h-3z",
  active: "M4 2.5v11l9-5.5z",
  paused: "M3.5 3h3v10h-3zM9.5 3h3v10h-3z",
  completed: "M6.3 13 2 8.7l1.5-1.5 2.8 2.8L12.6 3.7 14 5.2z",
  failed: "m3.4 2 4.6 4.6L12.6 2 14 3.4 9.4 8l4.6 4.6-1.4 1.4L8 9.4 3.4 14 2 12.6 6.6 8 2 3.4z",
  problem: "m3.4 2 4.6 4.6L12.6 2 14 3.4 9.4 8l4.6 4.6-1.4 1.4L8 9.4 3.4 14 2 12.6 6.6 8 2 3.4z",
  interrupted: "M3 3h10v10H3z",
  cancelled: "M3 3h10v10H3z",
  deleted: "M3 7h10v2H3z"
}

export const Status = ({ status }: { readonly status: Any }) => (
  <span class={`status is-${status}`}>
    <svg viewBox="0 0 16 16" aria-hidden="true">
      <path d={shapes[status]} />
    </svg>
    {status}
  </span>
)
