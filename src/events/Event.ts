/** What happens in this process: how runs, steps and the Runner change. */
import type { RunnerState } from "../api/RunnerState.js"
import type { RunStatus, StepStatus } from "../api/Status.js"
import type { Millis } from "../store/RunStore.js"

/** A run has this status now; `deleted`: it is gone, with all that belonged to it. */
export interface RunChanged {
  readonly type: "run"
  readonly at: Millis
  readonly runId: string
  readonly workflow: string
  readonly status: RunStatus | "deleted"
}

/**
 * A step began (`running`), its outcome is recorded (`completed`, `failed`), or it was cut
 * (`interrupted`). One that began, and of which nothing more is told while its run goes to `pending`
 * or `suspended`, was not recorded: it executes again.
 */
export interface StepChanged {
  readonly type: "step"
  readonly at: Millis
  readonly runId: string
  readonly workflow: string
  readonly name: string
  readonly attempt: number
  readonly status: StepStatus
}

/** The Runner of this process is in this state now. */
export interface ExecutorChanged {
  readonly type: "executor"
  readonly at: Millis
  readonly state: RunnerState
}

export type NewEvent = RunChanged | StepChanged | ExecutorChanged

/** `id` is `<epoch>-<sequence>`: the epoch is of this process, the sequence counts its events. */
export type Event = NewEvent & { readonly id: string }

export type Publish = (event: NewEvent) => void
