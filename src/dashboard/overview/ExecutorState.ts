/** How an executor is, in a few words. */
import type { ExecutorView } from "../../api/RunView.js"
import { duration, millisOf } from "../parts/Words.js"

/** @param now milliseconds */
export const stateOf = (
  { alive, leaseUntil, state }: Pick<ExecutorView, "alive" | "leaseUntil" | "state">,
  now: number
): string => {
  if (alive) return state
  if (leaseUntil === null) return "gone, taken over"
  const left = millisOf(leaseUntil) - now
  return left > 0
    ? `gone, its lease is over in ${duration(left)}`
    : `gone, its lease lapsed ${duration(-left)} ago`
}
