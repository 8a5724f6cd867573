/** A run, looked at again and again: what has happened since. */
import type { RunView, RunWithStepsView, StepView } from "../runner/Runs.js"

/** What happened to a run between two looks at it. `at` is when it did, where that is recorded. */
export type RunEvent =
  | ({ readonly at: string; readonly event: "step"; readonly runId: string } & StepView)
  | ({ readonly at: string; readonly event: "run" } & Omit<RunView, "payload">)

/** What happened since the look before, but for the steps that did not come with the run. */
export interface Changes {
  /** To be told before these. */
  readonly before: ReadonlyArray<RunEvent>
  /** To be told after these. */
  readonly after: ReadonlyArray<RunEvent>
}

export interface Looks {
  /**
   * In the order in which it must have been: a run begins before its steps do, and ends after them.
   *
   * @param now when it was looked at, ISO 8601
   */
  readonly look: (run: RunWithStepsView, now: string) => Changes
  /** Of the steps that did not come with the run that was looked at last. */
  readonly steps: (steps: ReadonlyArray<StepView>) => ReadonlyArray<RunEvent>
}

type Known = Pick<RunView, "runId" | "status" | "startedAt">

/** Looks at one run. Keeps of its steps what tells them apart, and nothing that they came to. */
export const make = (): Looks => {
  const told = new Set<string>()
  let known: Known | undefined

  const eventsOf = (runId: string, steps: ReadonlyArray<StepView>): ReadonlyArray<RunEvent> => {
    const more = steps.filter((step) => !told.has(keyOf(step)))
    for (const step of more) told.add(keyOf(step))
    return more
      .map((step): RunEvent => ({ at: timeOfStep(step), event: "step", runId, ...step }))
      .sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
  }

  const look = (run: RunWithStepsView, now: string): Changes => {
    const steps = eventsOf(run.runId, run.steps)
    const before = known
    known = { runId: run.runId, status: run.status, startedAt: run.startedAt }
    if (before?.status === run.status) return { before: steps, after: [] }
    const { cause: _, payload: __, steps: ___, stepsCursor: ____, ...rest } = run
    const told = (at: string): RunEvent => ({ at, event: "run", ...rest })
    const time = timeOfRun(before, run)
    if (run.status !== "running") {
      const since = before === undefined ? sinceOf(run) : undefined
      return { before: steps, after: [told(time ?? since ?? now)] }
    }
    const [first] = steps
    const began = time ?? (first !== undefined && first.at < now ? first.at : now)
    return { before: [told(began), ...steps], after: [] }
  }

  return { look, steps: (steps) => (known === undefined ? [] : eventsOf(known.runId, steps)) }
}

/** One that executes again after a crash or a cut begins anew. */
const keyOf = ({ attempt, name, startedAt, status }: StepView) =>
  JSON.stringify([name, attempt, status, startedAt])

const timeOfStep = ({ completedAt, startedAt }: StepView) => completedAt ?? startedAt

/** Of a run that is seen suspended at the first look: the last that is recorded of it before it was. */
const sinceOf = ({ startedAt, status, steps, waitsFor }: RunWithStepsView): string | undefined =>
  status === "suspended"
    ? [
        ...(startedAt === undefined ? [] : [startedAt]),
        ...steps.map(timeOfStep),
        ...(waitsFor?.first ?? []).flatMap((wait) => ("since" in wait ? [wait.since] : []))
      ]
        .sort()
        .at(-1)
    : undefined

/** Of what happens to a run more than once, only the first time is recorded. */
const timeOfRun = (before: Known | undefined, after: RunWithStepsView) => {
  switch (after.status) {
    case "pending":
      return after.startedAt === undefined ? after.createdAt : undefined
    case "running":
      return before?.startedAt === undefined ? after.startedAt : undefined
    default:
      return after.completedAt
  }
}
