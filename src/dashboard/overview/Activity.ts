/** What has happened just now, as events tell it: steps by the seconds in which they ended, and those in flight. */
import { signal } from "@preact/signals"
import type { EventView } from "../../api/EventView.js"
import type { StepInFlightView } from "../../api/RunView.js"
import { millisOf } from "../parts/Words.js"
import { onEvent } from "../server/Live.js"

/** Milliseconds. */
export const bucketWidth = 5_000

/** A minute. */
const buckets = 12

export interface Bucket {
  /** Of `bucketWidth` since 1970. */
  readonly index: number
  readonly completed: number
  readonly failed: number
}

export interface InFlight {
  readonly runId: string
  readonly workflow: string
  readonly name: string
  readonly attempt: number
  readonly startedAt: number
}

export const activity = signal<ReadonlyArray<Bucket>>([])

/** By run, name and attempt; the oldest first. */
export const inFlight = signal<ReadonlyMap<string, InFlight>>(new Map())

/** More are not kept: what began earliest is. */
const mostInFlight = 1_000

type StepEvent = Extract<EventView, { readonly type: "step" }>

/** With one more that ended at this time; what is older than a minute is forgotten. */
export const added = (
  all: ReadonlyArray<Bucket>,
  at: number,
  outcome: "completed" | "failed"
): ReadonlyArray<Bucket> => {
  const index = Math.floor(at / bucketWidth)
  const last = all.at(-1)
  const bucket = last?.index === index ? last : { index, completed: 0, failed: 0 }
  const before = last?.index === index ? all.slice(0, -1) : all
  return [
    ...before.filter((one) => one.index > index - buckets),
    { ...bucket, [outcome]: bucket[outcome] + 1 }
  ]
}

const keyOf = ({ attempt, name, runId }: Pick<StepEvent, "attempt" | "name" | "runId">) =>
  `${runId}/${attempt}/${name}`

const stepTold = (event: StepEvent) => {
  const { attempt, name, runId, status, workflow } = event
  const steps = new Map(inFlight.peek())
  if (status === "running") {
    if (steps.size < mostInFlight) {
      steps.set(keyOf(event), { runId, workflow, name, attempt, startedAt: millisOf(event.at) })
    }
  } else {
    steps.delete(keyOf(event))
    if (status !== "interrupted") {
      activity.value = added(activity.peek(), millisOf(event.at), status)
    }
  }
  inFlight.value = steps
}

/** A run that is not executed has no step in flight, also none of which no outcome was told. */
const runLeft = (runId: string) => {
  const steps = Array.from(inFlight.peek()).filter(([, step]) => step.runId !== runId)
  if (steps.length < inFlight.peek().size) inFlight.value = new Map(steps)
}

/** What the executor itself says that it executes now. */
export const said = (steps: ReadonlyArray<StepInFlightView>): void => {
  inFlight.value = new Map(
    steps.map((step) => [keyOf(step), { ...step, startedAt: millisOf(step.startedAt) }])
  )
}

export const start = (): void => {
  onEvent((event) => {
    if (event.type === "step") stepTold(event)
    if (event.type === "run" && event.status !== "running") runLeft(event.runId)
  })
}
