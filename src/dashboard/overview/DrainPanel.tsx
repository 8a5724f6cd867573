/** A drain as it happens: how long it still waits, how many steps are left, and which took longest. */
import type { ExecutorView, StepInFlightView } from "../../api/RunView.js"
import { now, useAsked, useEvents, useEvery } from "../Hooks.js"
import { clock, counted, duration, millisOf, shortId } from "../parts/Words.js"
import { to } from "../Router.js"
import { drainingSince, executorState } from "../server/Live.js"
import { executors, metrics } from "../server/Server.js"
import { rights } from "../server/Session.js"
import { inFlight } from "./Activity.js"
import { read } from "./Gauges.js"

export const DrainPanel = () => {
  const state = executorState.value
  if (state !== "draining" && state !== "stopped") return null
  return (
    <section class="drain" aria-label="Drain">
      <h2>{state === "stopped" ? "The executor has stopped" : "The executor is draining"}</h2>
      {rights.value.admin ? <Told /> : <Seen />}
      <p>No step starts any more; signals, new runs and questions are answered all the while.</p>
    </section>
  )
}

/** What the executor says of itself to those who may ask. */
const Told = () => {
  const { again, value } = useAsked("drain", () => executors)
  useEvery(1, again)
  useEvents((event) => event.type === "step" && again())
  const self: ExecutorView | undefined = value?.find((executor) => executor.self)
  const until = self?.drainUntil
  return (
    <Left
      steps={self?.stepsInFlight}
      slowest={self?.inFlight?.[0]}
      left={until === undefined ? undefined : millisOf(until) - now.value}
    />
  )
}

/** What events have told, and metrics, which say how many steps there are. */
const Seen = () => {
  const { again, value } = useAsked("drain", () => metrics)
  useEvery(1, again)
  const [slowest] = Array.from(inFlight.value.values()).toSorted(
    (a, b) => a.startedAt - b.startedAt
  )
  return (
    <Left
      steps={value === undefined ? undefined : read(value).stepsInFlight}
      slowest={
        slowest === undefined
          ? undefined
          : { ...slowest, startedAt: new Date(slowest.startedAt).toISOString() }
      }
      left={undefined}
    />
  )
}

const Left = ({
  left,
  slowest,
  steps
}: {
  readonly steps: number | undefined
  readonly slowest: StepInFlightView | undefined
  /** Milliseconds until what is in flight is cut. */
  readonly left: number | undefined
}) => {
  const since = drainingSince.value
  return (
    <>
      <p role="status">
        {steps === undefined ? "" : `${counted(steps, "step")} left. `}
        {since === undefined ? "" : `It began at ${clock(since, now.value)}. `}
        {left === undefined
          ? ""
          : left > 0
            ? `In ${duration(Math.round(left / 1_000) * 1_000)} it waits no longer, and cuts what is left.`
            : "The stop timeout is over."}
      </p>
      {slowest === undefined ? null : (
        <p>
          The longest:{" "}
          <a class="text" href={to(["runs", slowest.runId])}>
            {slowest.name} of {slowest.workflow} {shortId(slowest.runId)}
          </a>
          , for {duration(now.value - millisOf(slowest.startedAt))}
        </p>
      )}
    </>
  )
}
