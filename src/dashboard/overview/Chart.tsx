/** Steps by the minute over the last hour, as bars; what failed on top. */
import { useEffect } from "preact/hooks"
import type { ActivityView, MinuteView } from "../../api/RunView.js"
import { now, useAsked, useEvery } from "../Hooks.js"
import { Problem } from "../parts/Problem.js"
import { clock, count, counted, millisOf } from "../parts/Words.js"
import { calmly } from "../server/Live.js"
import { activity as asked } from "../server/Server.js"
import { activity, bucketWidth, said } from "./Activity.js"

const height = 80
const barWidth = 10
const minute = 60_000

/** An hour, and the minute that has begun. */
const minutes = 61

/** Of the last five seconds that are over, as events told them. */
const perSecond = (at: number) => {
  const index = Math.floor(at / bucketWidth) - 1
  const recent = activity.value.find((bucket) => bucket.index === index)
  return ((recent?.completed ?? 0) + (recent?.failed ?? 0)) / (bucketWidth / 1_000)
}

export const Chart = () => {
  const { again, problem, value } = useAsked("activity", () => asked)
  useEvery(5, calmly(again))
  useEffect(() => value && said(value.inFlight), [value])
  return (
    <figure class="chart">
      {problem === undefined ? null : <Problem problem={problem} again={again} />}
      {value === undefined ? null : <Hour told={value} />}
    </figure>
  )
}

const sum = (all: ReadonlyArray<MinuteView>, of: (one: MinuteView) => number) =>
  all.reduce((total, one) => total + of(one), 0)

const wholeOf = ({ completed, failed }: MinuteView) => completed + failed

const Hour = ({ told: { minutes: told, since } }: { readonly told: ActivityView }) => {
  const last = Math.floor(now.value / minute)
  const highest = Math.max(1, ...told.map(wholeOf))
  return (
    <>
      <figcaption>
        <strong>{perSecond(now.value).toFixed(1)}</strong> steps per second just now;{" "}
        {counted(sum(told, wholeOf), "step")}, {count(sum(told, ({ failed }) => failed))} failed,{" "}
        {since === undefined
          ? "in the last hour"
          : `since this executor began at ${clock(millisOf(since), now.value)}`}
      </figcaption>
      <svg
        viewBox={`0 0 ${minutes * barWidth} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`At most ${counted(highest, "step")} in a minute`}
      >
        {told.map((one) => (
          <Bar
            key={one.at}
            x={(Math.floor(millisOf(one.at) / minute) - last + minutes - 1) * barWidth}
            whole={(wholeOf(one) / highest) * height}
            failed={(one.failed / highest) * height}
          />
        ))}
      </svg>
      <p class="axis muted" aria-hidden="true">
        <span>an hour ago</span>
        <span>now</span>
      </p>
    </>
  )
}

const Bar = ({
  failed,
  whole,
  x
}: {
  readonly x: number
  readonly whole: number
  readonly failed: number
}) => (
  <g>
    <rect
      class="bar-completed"
      x={x}
      y={height - whole}
      width={barWidth - 2}
      height={whole - failed}
    />
    <rect class="bar-failed" x={x} y={height - failed} width={barWidth - 2} height={failed} />
  </g>
)
