/** Whether what was promised was kept: the record, beside what the steps themselves have said. */
import { isToFail, resultOf, type Work } from "./Work.js"

/** What a step, or a compensation, has said. */
export interface Said {
  readonly event: "began" | "ended" | "compensated"
  readonly runId: string
  /** Name and attempt; of a compensation the name alone. */
  readonly step: string
  /** Which execution of it; empty for a compensation. */
  readonly execution: string
  /** Microseconds, on a clock that all processes share. */
  readonly at: number
  readonly pid: number
}

/** A process that had stood still goes on; on the same clock. */
export interface Thaw {
  readonly pid: number
  readonly at: number
}

export interface RecordedStep {
  /** Name and attempt. */
  readonly step: string
  /** Which execution was recorded. */
  readonly execution: string
}

export interface RecordedRun {
  readonly runId: string
  readonly status: string
  /** Its value, where it completed. */
  readonly result: unknown
  readonly setAside: boolean
  readonly steps: ReadonlyArray<RecordedStep>
}

/** Somebody was told this, over HTTP, while executors were killed. */
export interface Told {
  readonly runId: string
  readonly step: string
  readonly execution: string
}

export interface Verdict {
  readonly runs: number
  /** Outcomes that were recorded. */
  readonly recorded: number
  /** Executions of steps, those included whose outcome was not recorded. */
  readonly executed: number
  /** Runs that were acknowledged and are not there, are not over, or did not come to what they had to. */
  readonly lost: ReadonlyArray<string>
  /** Steps that began once more after the execution that was recorded. */
  readonly repeated: ReadonlyArray<string>
  /**
   * Of those, the ones that their process was about to begin at the very instruction at which it was
   * frozen: the first that it said when it went on. No executor can rule that out, and no fault.
   */
  readonly caught: ReadonlyArray<string>
  /** Compensations of runs that did not fail, and those of failed runs that are missing. */
  readonly compensated: ReadonlyArray<string>
  /** Outcomes that somebody was told of, and that are not what is recorded. */
  readonly untrue: ReadonlyArray<string>
  /** Runs that were taken for what executors die of. */
  readonly suspected: ReadonlyArray<string>
}

export const isKept = (verdict: Verdict): boolean =>
  [verdict.lost, verdict.repeated, verdict.compensated, verdict.untrue, verdict.suspected].every(
    (faults) => faults.length === 0
  )

export const judge = (options: {
  /** What was acknowledged, by the id of its run. */
  readonly accepted: ReadonlyMap<string, Work>
  readonly runs: ReadonlyArray<RecordedRun>
  readonly said: ReadonlyArray<Said>
  readonly told: ReadonlyArray<Told>
  readonly thaws: ReadonlyArray<Thaw>
}): Verdict => {
  const runs = new Map(options.runs.map((run) => [run.runId, run]))
  const recorded = new Map(
    options.runs.flatMap(({ runId, steps }) =>
      steps.map(({ execution, step }) => [`${runId} ${step}`, execution] as const)
    )
  )
  const caught = caughtBy(options.thaws, options.said, new Set(recorded.values()))
  return {
    runs: runs.size,
    recorded: recorded.size,
    executed: options.said.filter(({ event }) => event === "began").length,
    lost: [...options.accepted].flatMap(([runId, work]) => lostOf(runId, work, runs.get(runId))),
    repeated: repeatedOf(
      options.said.filter((line) => !caught.has(line)),
      recorded
    ),
    caught: repeatedOf(options.said, recorded).filter((fault) =>
      [...caught].some(({ execution }) => fault.endsWith(`then began ${execution}`))
    ),
    compensated: compensatedOf(options, runs),
    untrue: options.told.flatMap(({ execution, runId, step }) => {
      const now = recorded.get(`${runId} ${step}`)
      return now === execution ? [] : [`${runId} ${step}: told ${execution}, recorded ${now}`]
    }),
    suspected: options.runs.filter(({ setAside }) => setAside).map(({ runId }) => runId)
  }
}

const lostOf = (runId: string, work: Work, run: RecordedRun | undefined): ReadonlyArray<string> => {
  if (run === undefined) return [`${runId}: acknowledged, and not there`]
  const expected = isToFail(work) ? "failed" : "completed"
  if (run.status !== expected) return [`${runId}: ${run.status}, and not ${expected}`]
  return expected === "failed" || run.result === resultOf(work)
    ? []
    : [`${runId}: came to ${JSON.stringify(run.result)}, and not to ${resultOf(work)}`]
}

/** An execution that was recorded is the last that has begun: nobody began it after that. */
const repeatedOf = (
  said: ReadonlyArray<Said>,
  recorded: ReadonlyMap<string, string>
): ReadonlyArray<string> => {
  const latest = new Map<string, Said>()
  for (const line of said) {
    if (line.event !== "began") continue
    const key = `${line.runId} ${line.step}`
    const before = latest.get(key)
    if (before === undefined || before.at <= line.at) latest.set(key, line)
  }
  return [...recorded].flatMap(([key, execution]) => {
    const last = latest.get(key)?.execution
    return last === execution ? [] : [`${key}: recorded ${execution}, and then began ${last}`]
  })
}

/** What was begun as the first thing after a thaw, and is not what was recorded. */
const caughtBy = (
  thaws: ReadonlyArray<Thaw>,
  said: ReadonlyArray<Said>,
  recorded: ReadonlySet<string>
): ReadonlySet<Said> => {
  const found = new Set<Said>()
  for (const { at, pid } of thaws) {
    let first: Said | undefined
    for (const line of said) {
      if (line.pid !== pid || line.at < at) continue
      if (first === undefined || line.at < first.at) first = line
    }
    if (first?.event === "began" && !recorded.has(first.execution)) found.add(first)
  }
  return found
}

const compensatedOf = (
  {
    accepted,
    said
  }: { readonly accepted: ReadonlyMap<string, Work>; readonly said: ReadonlyArray<Said> },
  runs: ReadonlyMap<string, RecordedRun>
): ReadonlyArray<string> => {
  const undone = new Set<string>()
  const faults: Array<string> = []
  for (const { event, runId, step } of said) {
    if (event !== "compensated") continue
    undone.add(`${runId} ${step}`)
    const work = accepted.get(runId)
    if (work === undefined || !isToFail(work)) faults.push(`${runId} ${step}: compensated`)
  }
  for (const [runId, work] of accepted) {
    if (!isToFail(work) || runs.get(runId)?.status !== "failed") continue
    for (let n = 1; n < work.steps; n++) {
      if (!undone.has(`${runId} step-${n}`)) faults.push(`${runId} step-${n}: not compensated`)
    }
  }
  return faults
}
