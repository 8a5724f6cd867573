/** The states of runs and of steps: the words that the store, the API and the client share. */

/**
 * - `pending`: nobody holds it; the next executor with room takes it.
 * - `running`: an executor holds it.
 * - `suspended`: waits for a signal, a timer or a child. A row is all of it that lasts; its executor
 *   may keep it in memory besides.
 * - `completed`, `failed`, `interrupted`: over, for good.
 */
export type RunStatus = (typeof runStatuses)[number]

export const runStatuses = [
  "pending",
  "running",
  "suspended",
  "completed",
  "failed",
  "interrupted"
] as const

export type FinalStatus = "completed" | "failed" | "interrupted"

export const isFinal = (status: RunStatus): status is FinalStatus =>
  status === "completed" || status === "failed" || status === "interrupted"

/**
 * - `running`: noted as started; no outcome yet. It is information for people only.
 * - `completed`, `failed`: recorded; this step never executes again.
 * - `interrupted`: was cut by an asked-for interrupt or lost a race. Not an outcome: if the
 *   workflow reaches it again it executes again.
 */
export type StepStatus = "running" | "completed" | "failed" | "interrupted"
