/**
 * What a reader of a run's events has been told of the run: by snapshots, and by the events that
 * followed them.
 */

import type { RunWithStepsView, StepView } from "../api/RunView.js"
import type * as Events from "../events/Events.js"
import { isFinal } from "../store/RunStore.js"

/** A step as far as its events tell of it. */
export type StepOutline = Pick<StepView, "name" | "attempt" | "status">

/** A run as it is now: as a snapshot tells it, and what steps there are besides. */
export interface SeenRun {
  readonly run: RunWithStepsView
  /** The steps after those of `run`. */
  readonly rest: ReadonlyArray<StepOutline>
}

const stepsOf = ({ rest, run }: SeenRun): ReadonlyArray<StepOutline> => [...run.steps, ...rest]

type RunEvent = Exclude<Events.Event, Events.ExecutorChanged>

const stepKey = ({ attempt, name }: { readonly attempt: number; readonly name: string }) =>
  `${name}/${attempt}`

export class ToldRun {
  private status: Events.RunChanged["status"] | undefined
  private readonly steps = new Map<string, StepView["status"]>()
  /** Whether all of it was told, in a snapshot. */
  private whole = false
  /**
   * Of the last snapshot, what no event has followed yet. A commit is in the store a moment before
   * its event is published, so the event that follows may be in the snapshot already.
   */
  private statusInSnapshot: Events.RunChanged["status"] | undefined
  private readonly stepsInSnapshot = new Map<string, StepView["status"]>()

  /** Nothing more will be told. */
  get isOver(): boolean {
    return this.status === "deleted" || (this.status !== undefined && isFinal(this.status))
  }

  tellSnapshot(seen: SeenRun): void {
    this.whole = true
    this.status = this.statusInSnapshot = seen.run.status
    this.steps.clear()
    this.stepsInSnapshot.clear()
    for (const step of stepsOf(seen)) {
      this.steps.set(stepKey(step), step.status)
      this.stepsInSnapshot.set(stepKey(step), step.status)
    }
  }

  /** Tells of this event; `false`: it is in the snapshot already. */
  tell(event: RunEvent): boolean {
    if (event.type === "run") {
      const isKnown = this.statusInSnapshot === event.status
      this.statusInSnapshot = undefined
      this.status = event.status
      return !isKnown
    }
    const key = stepKey(event)
    const isKnown = this.stepsInSnapshot.get(key) === event.status
    this.stepsInSnapshot.delete(key)
    this.steps.set(key, event.status)
    return !isKnown
  }

  /** Whether the run is as it was told. */
  knows(seen: SeenRun): boolean {
    const steps = stepsOf(seen)
    return (
      this.whole &&
      this.status === seen.run.status &&
      this.steps.size === steps.length &&
      steps.every((step) => this.steps.get(stepKey(step)) === step.status)
    )
  }
}
