/** What the timeline of a run shows: a row for each step, for each wait and for each child. */

import type { RunView, RunWithStepsView, StepView, WaitView } from "../../api/RunView.js"
import type { RunStatus, StepStatus } from "../../api/Status.js"
import { millisOf, shortId } from "../parts/Words.js"

export interface Bar {
  /** Milliseconds. */
  readonly from: number
  /** `undefined`: it goes on. */
  readonly until: number | undefined
  readonly status: StepStatus | RunStatus | "waiting"
  /** Of steps. */
  readonly attempt: number | undefined
}

export interface Row {
  readonly key: string
  readonly kind: "step" | "signal" | "timer" | "child"
  readonly label: string
  readonly bars: ReadonlyArray<Bar>
  /** When a timer is due. */
  readonly due: number | undefined
  /** Of children. */
  readonly runId: string | undefined
}

const optionally = (iso: string | undefined) => (iso === undefined ? undefined : millisOf(iso))

const barOf = (step: StepView): Bar => ({
  from: millisOf(step.startedAt),
  until: optionally(step.completedAt),
  status: step.status,
  attempt: step.attempt
})

/** One for each name, in the order in which the first attempts started. */
const stepRows = (steps: ReadonlyArray<StepView>): ReadonlyArray<Row> => {
  const byName = new Map<string, Array<Bar>>()
  for (const step of steps) {
    const bars = byName.get(step.name)
    if (bars === undefined) byName.set(step.name, [barOf(step)])
    else bars.push(barOf(step))
  }
  return Array.from(byName, ([name, bars]) => ({
    key: `step/${name}`,
    kind: "step" as const,
    label: name,
    bars,
    due: undefined,
    runId: undefined
  }))
}

const waitRow = (wait: WaitView): ReadonlyArray<Row> => {
  if (wait.type !== "signal" && wait.type !== "timer") return []
  const until = wait.type === "timer" ? optionally(wait.until) : undefined
  return [
    {
      key: `${wait.type}/${wait.name}`,
      kind: wait.type,
      label: wait.name,
      bars: [
        { from: millisOf(wait.since), until: undefined, status: "waiting", attempt: undefined }
      ],
      due: until,
      runId: undefined
    }
  ]
}

const childRow = (child: RunView): Row => ({
  key: `child/${child.runId}`,
  kind: "child",
  label: `${child.workflow} ${shortId(child.runId)}`,
  bars: [
    {
      from: millisOf(child.createdAt),
      until: optionally(child.completedAt),
      status: child.status,
      attempt: undefined
    }
  ],
  due: undefined,
  runId: child.runId
})

/** By the time at which they begin. */
export const rowsOf = (
  run: RunWithStepsView,
  children: ReadonlyArray<RunView>
): ReadonlyArray<Row> =>
  [
    ...stepRows(run.steps),
    ...(run.waitsFor?.first ?? []).flatMap(waitRow),
    ...children.map(childRow)
  ].sort((a, b) => (a.bars[0]?.from ?? 0) - (b.bars[0]?.from ?? 0))
