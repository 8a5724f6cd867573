/** How the executor is, at a glance. */
import { type RunStatus, runStatuses } from "../../api/Status.js"
import { now, useAsked, useEvents, useEvery, useThrottled, useTitle } from "../Hooks.js"
import { inFlight } from "../overview/Activity.js"
import { Chart } from "../overview/Chart.js"
import { DrainPanel } from "../overview/DrainPanel.js"
import { Executors } from "../overview/Executors.js"
import { type Gauges, read } from "../overview/Gauges.js"
import { Problem } from "../parts/Problem.js"
import { Status } from "../parts/Status.js"
import { When } from "../parts/When.js"
import { count, duration, shortId } from "../parts/Words.js"
import { to } from "../Router.js"
import { calmly, executorState } from "../server/Live.js"
import { counts, list, metrics } from "../server/Server.js"
import { rights } from "../server/Session.js"

export const Overview = () => {
  useTitle("Overview")
  return (
    <>
      <h1>Overview</h1>
      <DrainPanel />
      <Counts />
      <Measured />
      <section>
        <h2>Steps</h2>
        <Chart />
      </section>
      <div class="columns">
        <InFlight />
        <Failed />
        {rights.value.admin ? <Executors /> : null}
      </div>
    </>
  )
}

const Counts = () => {
  const { again, problem, value } = useAsked("counts", () => counts)
  const countAgain = useThrottled(calmly(again), 1_000)
  useEvents((event) => event.type === "run" && countAgain())
  useEvery(10, calmly(again))
  return (
    <section aria-label="Runs by status">
      {problem === undefined ? null : <Problem problem={problem} again={again} />}
      <ul class="tiles">
        {runStatuses.map((status) => (
          <Tile key={status} status={status} total={value?.[status]} />
        ))}
      </ul>
    </section>
  )
}

const Tile = ({
  status,
  total
}: {
  readonly status: RunStatus
  readonly total: number | undefined
}) => (
  <li>
    <a class={`tile is-${status}`} href={to(["runs"], { status: [status] })}>
      <span class="total">{total === undefined ? "–" : count(total)}</span>
      <Status status={status} />
    </a>
  </li>
)

const Measured = () => {
  const { again, value } = useAsked("metrics", () => metrics)
  useEvery(5, calmly(again))
  const gauges: Gauges | undefined = value === undefined ? undefined : read(value)
  if (gauges === undefined) return null
  const { oldestPending, runsToMend, stepsInFlight, stepsWaiting } = gauges
  return (
    <dl class="facts">
      <dt>This executor</dt>
      <dd>{executorState.value ?? "not known yet"}</dd>
      <Fact name="Steps in flight" value={stepsInFlight} />
      <Fact name="Steps that wait for room" value={stepsWaiting} />
      {oldestPending === undefined ? null : (
        <>
          <dt>Oldest run that waits for an executor</dt>
          <dd>{oldestPending === 0 ? "none" : `waits for ${duration(oldestPending * 1_000)}`}</dd>
        </>
      )}
      {runsToMend === undefined || runsToMend === 0 ? null : (
        <>
          <dt>To be mended</dt>
          <dd>
            <a href={to(["runs"], { mend: "true" })}>{count(runsToMend)}</a>
          </dd>
        </>
      )}
    </dl>
  )
}

const Fact = ({ name, value }: { readonly name: string; readonly value: number | undefined }) =>
  value === undefined ? null : (
    <>
      <dt>{name}</dt>
      <dd>{count(value)}</dd>
    </>
  )

/** As many as are listed. */
const shown = 8

const InFlight = () => {
  const steps = Array.from(inFlight.value.values()).toSorted((a, b) => a.startedAt - b.startedAt)
  return (
    <section>
      <h2>In flight</h2>
      {steps.length === 0 ? (
        <p class="muted">No step.</p>
      ) : (
        <ul class="list">
          {steps.slice(0, shown).map(({ attempt, name, runId, startedAt, workflow }) => (
            <li key={`${runId}/${attempt}/${name}`}>
              <a class="text" href={to(["runs", runId])}>
                {name} of {workflow} {shortId(runId)}
              </a>{" "}
              <span class="muted">
                {attempt > 1 ? `attempt ${attempt}, ` : ""}for {duration(now.value - startedAt)}
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

const Failed = () => {
  const { again, value } = useAsked("failed", () => list({ status: ["failed"], limit: shown }))
  const askAgain = useThrottled(calmly(again), 2_000)
  useEvents((event) => event.type === "run" && event.status === "failed" && askAgain())
  return (
    <section>
      <h2>Newest that failed</h2>
      {value?.runs.length === 0 ? <p class="muted">None.</p> : null}
      <ul class="list">
        {value?.runs.map(({ completedAt, createdAt, error, runId, workflow }) => (
          <li key={runId}>
            <a class="text" href={to(["runs", runId])}>
              {workflow} {shortId(runId)}
            </a>{" "}
            <span class="muted">
              <When at={completedAt ?? createdAt} />
            </span>
            <p class="text one-line">{error?.message}</p>
          </li>
        ))}
      </ul>
    </section>
  )
}
