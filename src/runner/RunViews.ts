/** Stored runs as clients see them. */
import * as Either from "effect/Either"
import type {
  ExecutorView,
  OutcomeView,
  RunView,
  RunWithStepsView,
  SignalView,
  StartedView,
  StepInFlightView,
  StepView,
  TimerView,
  WaitView
} from "../api/RunView.js"
import * as WaitedFor from "../engine/pass/WaitedFor.js"
import type { StepInFlight } from "../engine/step/StepInFlight.js"
import * as Machine from "../internal/Machine.js"
import type {
  ExecutorInfo,
  Json,
  Millis,
  ReceivedSignal,
  Run,
  RunWithSteps,
  SetTimer,
  Step,
  StepCursor
} from "../store/RunStore.js"
import { leftOutView, outcomeView, parse, suspendedView } from "../values/Described.js"
import * as EncodedCause from "../values/EncodedCause.js"
import { nameOfTimer } from "../values/ReservedNames.js"

/** The latest time that a Date can be. */
const endOfTime = 8_640_000_000_000_000

const iso = (millis: Millis): string => new Date(Math.min(millis, endOfTime)).toISOString()

/** What a run came to, or why it is suspended. */
const viewEnd = ({ cause, exit, leftOut }: Run): Pick<RunView, "result" | "error"> => {
  if (exit !== undefined) return outcomeView(exit)
  return cause === undefined || leftOut?.exit !== undefined ? {} : suspendedView(cause)
}

/** What was asked for of a run, and is too large. */
const viewLeftOut = ({ leftOut, status }: Run): Pick<RunView, "error" | "leftOut"> => {
  if (leftOut === undefined) return {}
  const { cause, exit, payload } = leftOut
  const isResult = status === "completed"
  const error = isResult ? undefined : (exit ?? cause)
  return {
    ...(error === undefined ? {} : { error: leftOutView(error) }),
    leftOut: {
      ...(payload === undefined ? {} : { payload }),
      ...(isResult && exit !== undefined ? { result: exit } : {}),
      ...(error === undefined ? {} : { error })
    }
  }
}

/** What a run was started with. Never fails. */
export const viewPayload = (payload: Json): unknown =>
  // a payload is an object, so a string here can only be this
  Either.getOrElse(parse(payload), (problem) => `unreadable: ${problem}`)

/** What a run was started with beside its payload. */
const viewOptions = ({ deadline, options = {} }: Run) => {
  const { attributes, priority, startAt, tags, timeout } = options
  return {
    ...(startAt === undefined ? {} : { startAt: iso(startAt) }),
    ...(priority === undefined ? {} : { priority }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(deadline === undefined ? {} : { deadline: iso(deadline) }),
    ...(tags === undefined ? {} : { tags }),
    ...(attributes === undefined ? {} : { attributes })
  }
}

/** A stored run as clients see it. Never fails: what does not read shows as an error. */
export const viewRun = (run: Run): RunView => ({
  runId: run.runId,
  workflow: run.workflow,
  status: run.status,
  ...(run.payload === undefined ? {} : { payload: viewPayload(run.payload) }),
  createdAt: iso(run.createdAt),
  ...(run.startedAt === undefined ? {} : { startedAt: iso(run.startedAt) }),
  ...(run.completedAt === undefined ? {} : { completedAt: iso(run.completedAt) }),
  ...viewOptions(run),
  ...(run.crashes === undefined ? {} : { crashes: run.crashes }),
  ...(run.compensated === undefined ? {} : { compensated: run.compensated }),
  ...(run.terminated === undefined ? {} : { terminated: run.terminated }),
  ...viewEnd(run),
  ...viewLeftOut(run)
})

/** What a run came to, with all that is recorded of it. */
export const viewOutcome = (run: Run, options: { readonly stacks: boolean }): OutcomeView => {
  const { cause, stack } = viewFailure(run, undefined, options)
  return {
    runId: run.runId,
    status: run.status,
    ...viewEnd(run),
    ...(cause === undefined ? {} : { cause }),
    ...(stack === undefined ? {} : { stack })
  }
}

/** What a start came to. */
export const viewStarted = ({
  created,
  replaced,
  skipped,
  run: { completedAt, runId, status }
}: {
  readonly run: Run
  readonly created: boolean
  readonly replaced?: true | undefined
  readonly skipped?: true | undefined
}): StartedView =>
  created
    ? { runId, created }
    : {
        runId,
        created: false,
        status,
        ...(replaced === undefined ? {} : { replaced }),
        ...(skipped === undefined ? {} : { skipped }),
        ...(completedAt === undefined ? {} : { completedAt: iso(completedAt) })
      }

/** A step as it is told: one in flight has no place in the record yet. */
export type ToldStep = Omit<Step, "position">

/** A step as clients see it. Never fails. */
export const viewStep = (step: ToldStep): StepView => ({
  name: step.name,
  attempt: step.attempt,
  status: step.status,
  startedAt: iso(step.startedAt),
  ...(step.completedAt === undefined ? {} : { completedAt: iso(step.completedAt) }),
  ...(step.exit === undefined ? {} : outcomeView(step.exit)),
  ...viewStepLeftOut(step),
  ...(step.executor === undefined ? {} : { executor: step.executor }),
  ...(step.compensation === undefined ? {} : { compensation: step.compensation })
})

const viewStepLeftOut = ({ leftOut, status }: ToldStep): Pick<StepView, "error" | "leftOut"> => {
  if (leftOut === undefined) return {}
  return status === "completed"
    ? { leftOut: { result: leftOut } }
    : { error: leftOutView(leftOut), leftOut: { error: leftOut } }
}

const viewWait = ({ name, since, type, until }: WaitedFor.WaitedFor): WaitView => {
  switch (type) {
    case "signal":
      return { type, name, since: iso(since) }
    case "timer":
      return {
        type,
        name,
        since: iso(since),
        ...(until === undefined ? {} : { until: iso(until) })
      }
    case "child":
      return { type, runId: name, since: iso(since) }
  }
}

const alone = (wait: WaitView) => ({ waitsFor: { total: 1, first: [wait] } })

/**
 * What an unfinished run waits for.
 *
 * @param options.isRegistered whether its workflow is registered in this process
 * @param options.isPaused whether its workflow is paused, and it with that
 */
export const viewWaits = (
  { cause, heldUntil, queued, status, waitsFor, workflow }: Run,
  { isPaused, isRegistered }: { readonly isPaused: boolean; readonly isRegistered: boolean }
): Pick<RunWithStepsView, "waitsFor"> => {
  if (heldUntil !== undefined) return alone({ type: "start", until: iso(heldUntil) })
  if (queued === true) return alone({ type: "queue" })
  if (isPaused) return alone({ type: "pause", workflow })
  if (status === "pending") {
    return alone(isRegistered ? { type: "room" } : { type: "executor", workflow })
  }
  if (status !== "suspended") return {}
  if (cause !== undefined) return alone({ type: "mend" })
  const { first, total } = WaitedFor.parse(waitsFor)
  return total === 0 ? {} : { waitsFor: { total, first: first.map(viewWait) } }
}

/** Who executes a run, and whether that is the one that answers. */
export const viewHolder = (
  { executor, status }: Run,
  self: number | undefined
): Pick<RunWithStepsView, "heldBy"> =>
  status === "running" && executor !== undefined
    ? { heldBy: { executor, self: executor === self } }
    : {}

const viewRelatives = ({ first, total }: RunWithSteps["children"]) => ({
  total,
  first: first.map(({ runId, status, workflow }) => ({ runId, workflow, status }))
})

const viewSignal = ({ name, receivedAt }: ReceivedSignal): SignalView => ({
  name: name.slice(0, WaitedFor.maxName),
  ...(receivedAt === undefined ? {} : { receivedAt: iso(receivedAt) })
})

const viewTimer = ({ fired, name, wakeAt }: SetTimer): TimerView => ({
  name: nameOfTimer(name).slice(0, WaitedFor.maxName),
  dueAt: iso(wakeAt),
  fired
})

/** The runs around a run, what it was sent and what it has set, as far as there is any. */
export const viewAbout = ({
  children,
  parents,
  signals,
  timers
}: Pick<RunWithSteps, "children" | "parents" | "signals" | "timers">): Pick<
  RunWithStepsView,
  "children" | "parents" | "signals" | "timers"
> => ({
  ...(parents.total === 0 ? {} : { parents: viewRelatives(parents) }),
  ...(children.total === 0 ? {} : { children: viewRelatives(children) }),
  ...(signals.total === 0
    ? {}
    : { signals: { total: signals.total, last: signals.last.map(viewSignal) } }),
  ...(timers.total === 0
    ? {}
    : { timers: { total: timers.total, last: timers.last.map(viewTimer) } })
})

/** So many of the steps in flight are told. */
const inFlightShown = 20

/** Those that began first. */
export const viewInFlight = (
  inFlight: ReadonlyArray<StepInFlight>
): ReadonlyArray<StepInFlightView> =>
  inFlight.slice(0, inFlightShown).map(({ attempt, name, runId, startedAt, workflow }) => ({
    runId,
    workflow,
    name,
    attempt,
    startedAt: iso(startedAt)
  }))

/** What the executor that answers tells of itself besides. */
export const viewSelf = (
  inFlight: ReadonlyArray<StepInFlight>,
  { drainLeft, now }: { readonly drainLeft: Millis | undefined; readonly now: Millis }
): Pick<ExecutorView, "stepsInFlight" | "inFlight" | "drainUntil"> => ({
  stepsInFlight: inFlight.length,
  inFlight: viewInFlight(inFlight),
  ...(drainLeft === undefined ? {} : { drainUntil: iso(now + drainLeft) })
})

/** An executor as clients see it at this time. */
export const viewExecutor = (
  info: ExecutorInfo,
  { now, self }: { readonly now: Millis; readonly self: number | undefined }
): ExecutorView => ({
  id: info.id,
  host: Machine.nameOf(info.host),
  pid: info.pid,
  state: info.state,
  alive: info.leaseUntil >= now && !Machine.here.isDead(info),
  self: info.id === self,
  runs: info.runs,
  ...(info.version === undefined ? {} : { version: info.version }),
  startedAt: iso(info.startedAt),
  // of one that was taken over there is none any more
  leaseUntil: info.leaseUntil < 0 ? null : iso(info.leaseUntil)
})

/**
 * What else is told of a recorded failure where a single run is asked for: the whole encoded `Cause`,
 * for clients that know the workflow's schemas, and the step that it came from. Where its defects
 * came from is in `stack` alone, and only for those who may see it.
 *
 * @param step the one that it came from
 */
export const viewFailure = (
  run: Run,
  step: Pick<Step, "name" | "attempt"> | undefined,
  { stacks }: { readonly stacks: boolean }
): Pick<RunWithStepsView, "cause" | "failedStep" | "stack"> => {
  const recorded = run.exit ?? run.cause
  if (recorded === undefined || run.status === "completed") return {}
  const cause =
    run.exit === undefined ? Either.getOrUndefined(parse(recorded)) : EncodedCause.ofExit(recorded)
  const stack = stacks ? EncodedCause.stackOf(cause) : undefined
  EncodedCause.removeStacks(cause)
  return {
    ...(run.exit === undefined || cause === undefined ? {} : { cause }),
    ...(step === undefined ? {} : { failedStep: { name: step.name, attempt: step.attempt } }),
    ...(stack === undefined ? {} : { stack })
  }
}

/** The steps that are in flight in this process, which holds their runs under this id. */
export interface InFlightHere {
  readonly steps: ReadonlyArray<StepInFlight>
  readonly executor: number | undefined
}

/** What lies between two pages of steps: after the one's end, and up to the other's. */
export interface Window {
  readonly after?: StepCursor | undefined
  readonly upTo?: StepCursor | undefined
}

/**
 * The stored steps, with those that are in flight in this process and have no recorded outcome as
 * `running`; in the order in which they started.
 *
 * @param window of a page: those in flight are on the one where they belong by when they started
 */
export const overlay = (
  stored: ReadonlyArray<Step>,
  { executor, steps: inFlight }: InFlightHere,
  { after, upTo }: Window = {}
): ReadonlyArray<ToldStep> => {
  if (inFlight.length === 0) return stored
  const key = (step: { readonly name: string; readonly attempt: number }) =>
    `${step.name}/${step.attempt}`
  const flying = new Set(inFlight.map(key))
  const isRecorded = (step: Step) => step.exit !== undefined || step.leftOut !== undefined
  const steps = new Map<string, ToldStep>(
    stored
      .filter((step) => isRecorded(step) || !flying.has(key(step)))
      .map((step) => [key(step), step])
  )
  for (const { attempt, compensation, name, startedAt } of inFlight) {
    const isHere =
      startedAt > (after?.startedAt ?? Number.NEGATIVE_INFINITY) &&
      startedAt <= (upTo?.startedAt ?? Number.POSITIVE_INFINITY)
    if (!isHere || steps.has(key({ name, attempt }))) continue
    steps.set(key({ name, attempt }), {
      name,
      attempt,
      status: "running",
      startedAt,
      completedAt: undefined,
      exit: undefined,
      executor,
      ...(compensation === true ? { compensation } : {})
    })
  }
  return [...steps.values()].sort((a, b) => a.startedAt - b.startedAt)
}
