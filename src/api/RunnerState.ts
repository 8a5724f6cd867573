/**
 * The states of a Runner, and the ways between them.
 */

/**
 * - `idle`: not started. Runs can be started, read and signalled; nobody executes them here.
 * - `running`: claims runs and executes their steps.
 * - `draining`: no step starts any more; those in flight finish and are recorded. Everything else
 *   (reading, starting and signalling runs) goes on.
 * - `stopped`: every run has been handed over. For good: a stopped Runner does not start again.
 */
export type RunnerState = "idle" | "running" | "draining" | "stopped"
