/** How many runs a workflow has, and how long the last ones took. */
import type { RunCounts, RunView } from "../../api/RunView.js"
import { runStatuses } from "../../api/Status.js"
import { useAsked } from "../Hooks.js"
import { Status } from "../parts/Status.js"
import { count, counted, duration, millisOf } from "../parts/Words.js"
import { to } from "../Router.js"
import { countBy, list } from "../server/Server.js"
import { median } from "./Median.js"

/** So many that completed are looked at. */
const lookedAt = 100

export const Facts = ({ workflow }: { readonly workflow: string }) => {
  // where it is decided for each run who may see it, they are not counted, and nothing is told
  const counts = useAsked(`counts ${workflow}`, () => countBy({ workflow }))
  const last = useAsked(`durations ${workflow}`, () =>
    list({ workflow, status: ["completed"], limit: lookedAt })
  )
  return (
    <>
      {counts.value === undefined ? null : <Counts workflow={workflow} counts={counts.value} />}
      {last.value === undefined ? null : <Durations runs={last.value.runs} />}
    </>
  )
}

const Counts = ({
  counts,
  workflow
}: {
  readonly workflow: string
  readonly counts: RunCounts
}) => {
  const some = runStatuses.filter((status) => counts[status] > 0)
  return some.length === 0 ? (
    <p class="muted">It has no runs.</p>
  ) : (
    <ul class="counts">
      {some.map((status) => (
        <li key={status}>
          <a href={to(["runs"], { workflow, status: [status] })}>
            {count(counts[status])} <Status status={status} />
          </a>
        </li>
      ))}
    </ul>
  )
}

const tookOf = ({ completedAt, createdAt }: RunView) =>
  completedAt === undefined ? [] : [millisOf(completedAt) - millisOf(createdAt)]

const Durations = ({ runs }: { readonly runs: ReadonlyArray<RunView> }) => {
  const took = runs.flatMap(tookOf)
  const middle = median(took)
  return middle === undefined ? null : (
    <p class="muted">
      {took.length === 1
        ? `The one that completed took ${duration(middle)}.`
        : `Half of the last ${counted(took.length, "run")} that completed took at most ${duration(middle)}; the longest ${duration(Math.max(...took))}.`}
    </p>
  )
}
