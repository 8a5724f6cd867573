/** A drain as it happens: since when, how many steps are left, and which has taken longest. */
import { now, useAsked, useEvents, useEvery } from "../Hooks.js"
import { clock, counted, duration, shortId } from "../parts/Words.js"
import { to } from "../Router.js"
import { drainingSince, executorState } from "../server/Live.js"
import { metrics } from "../server/Server.js"
import { inFlight } from "./Activity.js"
import { read } from "./Gauges.js"

export const DrainPanel = () =>
  executorState.value === "draining" || executorState.value === "stopped" ? <Drain /> : null

const Drain = () => {
  const asked = useAsked("drain", () => metrics)
  useEvery(1, asked.again)
  useEvents((event) => event.type === "step" && asked.again())
  const known = Array.from(inFlight.value.values()).toSorted((a, b) => a.startedAt - b.startedAt)
  const left = asked.value === undefined ? known.length : read(asked.value).stepsInFlight
  const [slowest] = known
  const since = drainingSince.value
  return (
    <section class="drain" aria-label="Drain">
      <h2>
        {executorState.value === "stopped"
          ? "The executor has stopped"
          : "The executor is draining"}
      </h2>
      <p role="status">
        {since === undefined
          ? ""
          : `Since ${clock(since, now.value)}, for ${duration(now.value - since)}. `}
        {left === undefined ? "" : `${counted(left, "step")} left. `}
        No step starts any more; signals, new runs and questions are answered all the while.
      </p>
      {slowest === undefined ? null : (
        <p>
          The longest:{" "}
          <a class="text" href={to(["runs", slowest.runId])}>
            {slowest.name} of {slowest.workflow} {shortId(slowest.runId)}
          </a>
          , for {duration(now.value - slowest.startedAt)}
        </p>
      )}
    </section>
  )
}
