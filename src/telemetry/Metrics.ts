/**
 * What this process counts and measures, as metrics of Effect's `Metric` module: whatever reads
 * those (`GET /metrics`, an OpenTelemetry exporter, the app) finds them under `workflow_executor_`.
 * All executors of a process share them, as Effect's registry is the process's.
 *
 * Labels are bounded: statuses and outcomes by their types, workflows by `maxWorkflows`. Names of
 * steps and ids of runs are data, and never labels: they are on spans and in the log.
 *
 * A step takes a handful of updates, so every metric is kept with its labels, and updated by itself:
 * `Metric.tagged` and `Metric.update` look it up each time, which costs many times as much.
 */
import { globalValue } from "effect/GlobalValue"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import type { FinalStatus, RunStatus } from "../store/RunStore.js"

/** What the names of all these metrics begin with. */
export const prefix = "workflow_executor_"

/** So many workflows have series of their own; the others share the label `other`. */
export const maxWorkflows = 100

const otherWorkflows = "other"

/**
 * What a step came to in this process.
 *
 * - `completed`, `failed`: recorded.
 * - `suspended`: it waits for something, and the run with it; executes again.
 * - `cut`: was interrupted, by a stop's timeout, an interrupt or a race that it lost.
 * - `unrecorded`: it came to an end that could not be recorded, because the run was lost to another
 *   executor or the store failed until the end; executes again.
 */
export type StepOutcome = "completed" | "failed" | "suspended" | "cut" | "unrecorded"

type Labels = Readonly<Record<string, string>>

const noLabels: ReadonlyArray<MetricLabel.MetricLabel> = []

const labelled = (labels: Labels) =>
  Object.entries(labels).map(([key, value]) => MetricLabel.make(key, value))

/** Registered at once, so that it is there, at zero, before anything happens. */
const counter = (name: string, description: string, labels: Labels = {}) => {
  const key = MetricKey.counter(prefix + name, { description, incremental: true })
  const metric = Metric.fromMetricKey(MetricKey.taggedWithLabels(key, labelled(labels))).register()
  return (amount = 1) => metric.unsafeUpdate(amount, noLabels)
}

const level = (name: string, description: string, labels: Labels = {}) => {
  const key = MetricKey.gauge(prefix + name, { description })
  const metric = Metric.fromMetricKey(MetricKey.taggedWithLabels(key, labelled(labels))).register()
  return (value: number) => metric.unsafeUpdate(value, noLabels)
}

export const gauge = (name: string, description: string) => {
  const metric = Metric.gauge(prefix + name, { description }).register()
  return (change: number) => metric.unsafeModify(change, noLabels)
}

export const histogram = (
  name: string,
  description: string,
  boundaries: ReadonlyArray<number>,
  labels: Labels = {}
) => {
  const key = MetricKey.histogram(
    prefix + name,
    MetricBoundaries.fromIterable(boundaries),
    description
  )
  const metric = Metric.fromMetricKey(MetricKey.taggedWithLabels(key, labelled(labels))).register()
  return (value: number) => metric.unsafeUpdate(value, noLabels)
}

// ---------------------------------------------------------------------------------------------
// By workflow
// ---------------------------------------------------------------------------------------------

interface OfWorkflow {
  readonly runs: Readonly<Record<FinalStatus, () => void>>
  readonly steps: Readonly<Record<StepOutcome, () => void>>
  readonly stepSeconds: (seconds: number) => void
}

/** From a fast query to an hour of polling. */
const stepBoundaries = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600
]

const makeOfWorkflow = (workflow: string): OfWorkflow => {
  const runs = (status: FinalStatus) =>
    counter("runs_finished_total", "Runs that ended in this process.", { workflow, status })
  const steps = (outcome: StepOutcome) =>
    counter("steps_total", "Steps that were executed in this process, by what they came to.", {
      workflow,
      outcome
    })
  return {
    runs: {
      completed: runs("completed"),
      failed: runs("failed"),
      interrupted: runs("interrupted")
    },
    steps: {
      completed: steps("completed"),
      failed: steps("failed"),
      suspended: steps("suspended"),
      cut: steps("cut"),
      unrecorded: steps("unrecorded")
    },
    stepSeconds: histogram(
      "step_duration_seconds",
      "How long recorded steps took, from their start to their outcome.",
      stepBoundaries,
      { workflow }
    )
  }
}

/** As long as the registry that their metrics are in. */
const known = globalValue(
  Symbol.for("effect-workflow-executor/telemetry/workflows"),
  () => new Map<string, OfWorkflow>()
)

const ofWorkflow = (workflow: string): OfWorkflow => {
  const found = known.get(workflow)
  if (found !== undefined) return found
  if (known.size >= maxWorkflows && workflow !== otherWorkflows) return ofWorkflow(otherWorkflows)
  const made = makeOfWorkflow(workflow)
  known.set(workflow, made)
  return made
}

/** Makes the series of this workflow, at zero: what appears at one is not seen to have risen. */
export const registered = (workflow: string): void => {
  ofWorkflow(workflow)
}

export const runFinished = (workflow: string, status: FinalStatus): void =>
  ofWorkflow(workflow).runs[status]()

// ---------------------------------------------------------------------------------------------
// Runs and steps
// ---------------------------------------------------------------------------------------------

/** Runs that this process has in memory. */
export const runsHeld = gauge("runs_held", "Runs that this process holds in memory.")

const stepsInFlight = gauge(
  "steps_in_flight",
  "Steps that are executed, or whose outcome is being recorded, in this process."
)

/** Steps that wait because there is no room, or because a workflow is being released. */
export const stepsWaiting = gauge(
  "steps_waiting",
  "Steps that wait for room in this process: see MAX_CONCURRENT_STEPS."
)

export const stepStarted = (): void => stepsInFlight(1)

/** @param millis how long it took, where it was recorded */
export const stepLanded = (
  workflow: string,
  outcome: StepOutcome,
  millis: number | undefined
): void => {
  stepsInFlight(-1)
  const metrics = ofWorkflow(workflow)
  metrics.steps[outcome]()
  // a clock that was set back does not take time away
  if (millis !== undefined) metrics.stepSeconds(Math.max(0, millis) / 1000)
}

// ---------------------------------------------------------------------------------------------
// The store
// ---------------------------------------------------------------------------------------------

const commitWrites = histogram(
  "commit_writes",
  "How many writes a transaction of the store committed.",
  [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000]
)

const commitSeconds = histogram(
  "commit_duration_seconds",
  "How long a transaction of the store took, with its wait for other processes.",
  [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
)

/** Of the runs in the store, as `stored` was told last. */
export const ofStore: ReadonlySet<string> = new Set([
  `${prefix}runs`,
  `${prefix}oldest_pending_age_seconds`,
  `${prefix}runs_to_mend`
])

const storedRuns = (status: RunStatus) =>
  level("runs", "Runs in the store, of all executors on it, by status.", { status })

const runsByStatus: Readonly<Record<RunStatus, (runs: number) => void>> = {
  pending: storedRuns("pending"),
  running: storedRuns("running"),
  suspended: storedRuns("suspended"),
  completed: storedRuns("completed"),
  failed: storedRuns("failed"),
  interrupted: storedRuns("interrupted")
}

const oldestPendingAge = level(
  "oldest_pending_age_seconds",
  "How long the oldest run in the store waits that nobody has begun yet; 0 when there is none."
)

const runsToMend = level(
  "runs_to_mend",
  "Runs in the store that are suspended after a failure: they wait to be mended and resumed."
)

/** @param ageMillis of the oldest run that nobody has begun yet */
export const stored = (
  counts: Readonly<Record<RunStatus, number>>,
  ageMillis: number | undefined,
  toMend: number
): void => {
  runsToMend(toMend)
  // clocks of processes differ
  oldestPendingAge(Math.max(0, ageMillis ?? 0) / 1000)
  runsByStatus.pending(counts.pending)
  runsByStatus.running(counts.running)
  runsByStatus.suspended(counts.suspended)
  runsByStatus.completed(counts.completed)
  runsByStatus.failed(counts.failed)
  runsByStatus.interrupted(counts.interrupted)
}

export const committed = (writes: number, seconds: number): void => {
  commitWrites(writes)
  commitSeconds(seconds)
}

/** Writes that the store refused to their callers; most of these try again. */
export const writesFailed = counter(
  "writes_failed_total",
  "Writes that failed because the store was busy, full, closed or not available."
)

// ---------------------------------------------------------------------------------------------
// HTTP
// ---------------------------------------------------------------------------------------------

/** Requests that are being sent events. */
export const eventReaders = gauge("event_readers", "Clients that are being sent events.")

// ---------------------------------------------------------------------------------------------
// The Runner
// ---------------------------------------------------------------------------------------------

const drainSeconds = histogram(
  "drain_duration_seconds",
  "How long drains took, from their beginning to the last hand-over.",
  [0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600]
)

export const drained = (millis: number): void => drainSeconds(millis / 1000)

/** What becomes of a schedule's tick; a row of missed ones counts as one. */
export type TickOutcome = "started" | "skipped" | "missed"

const ticks = (outcome: TickOutcome) =>
  counter("schedule_ticks_total", "Ticks of schedules that this process has decided about.", {
    outcome
  })

const ticksBy: Readonly<Record<TickOutcome, (amount?: number) => void>> = {
  started: ticks("started"),
  skipped: ticks("skipped"),
  missed: ticks("missed")
}

export const scheduleTicks = (outcome: TickOutcome, amount: number): void =>
  ticksBy[outcome](amount)

/** This process was frozen for longer than its lease: another has its runs. */
export const leaseLost = counter(
  "lease_losses_total",
  "How often another executor took over from this one while it lived."
)

/** Runs of which several executors have died. */
export const setAside = counter(
  "runs_set_aside_total",
  "Runs that this process set aside, because executors had died again and again while they were under way."
)

/** Runs of an executor that died or was frozen, given to the living ones. */
export const tookOver = counter(
  "runs_taken_over_total",
  "Runs that this process took from executors whose lease had lapsed."
)
