/** Steps per second over the last ten minutes, as bars; what failed on top. */
import { now } from "../Hooks.js"
import { count, counted } from "../parts/Words.js"
import { activity, buckets, bucketWidth } from "./Activity.js"

const height = 80
const barWidth = 5

export const Chart = () => {
  const last = Math.floor(now.value / bucketWidth)
  const byIndex = new Map(activity.value.map((bucket) => [bucket.index, bucket]))
  const highest = Math.max(1, ...activity.value.map(({ completed, failed }) => completed + failed))
  const all = activity.value.reduce((sum, { completed, failed }) => sum + completed + failed, 0)
  const failures = activity.value.reduce((sum, { failed }) => sum + failed, 0)
  const recent = byIndex.get(last - 1)
  const perSecond = ((recent?.completed ?? 0) + (recent?.failed ?? 0)) / (bucketWidth / 1_000)
  return (
    <figure class="chart">
      <figcaption>
        <strong>{perSecond.toFixed(1)}</strong> steps per second just now; {counted(all, "step")},{" "}
        {count(failures)} failed, in the last 10 minutes that this page has seen
      </figcaption>
      <svg
        viewBox={`0 0 ${buckets * barWidth} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`At most ${(highest / (bucketWidth / 1_000)).toFixed(1)} steps per second`}
      >
        {Array.from({ length: buckets }, (_, place) => {
          const bucket = byIndex.get(last - buckets + 1 + place)
          if (bucket === undefined) return null
          const whole = ((bucket.completed + bucket.failed) / highest) * height
          const failed = (bucket.failed / highest) * height
          return (
            <g key={bucket.index}>
              <rect
                class="bar-completed"
                x={place * barWidth}
                y={height - whole}
                width={barWidth - 1}
                height={whole - failed}
              />
              <rect
                class="bar-failed"
                x={place * barWidth}
                y={height - failed}
                width={barWidth - 1}
                height={failed}
              />
            </g>
          )
        })}
      </svg>
      <p class="axis muted" aria-hidden="true">
        <span>10 minutes ago</span>
        <span>now</span>
      </p>
    </figure>
  )
}
