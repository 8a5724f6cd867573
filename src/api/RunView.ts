/**
 * What a run looks like from outside, in JSON.
 */
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { StepInFlight } from "../engine/StepInFlight.js"
import * as EncodedCause from "../internal/EncodedCause.js"
import * as Machine from "../internal/Machine.js"
import * as WaitedFor from "../internal/WaitedFor.js"
import type {
  ExecutorInfo,
  Json,
  Millis,
  Run,
  RunStatus,
  RunWithSteps,
  Step,
  StepCursor
} from "../store/RunStore.js"
import { runStatuses } from "../store/RunStore.js"

export const RunStatusSchema = Schema.Literal(...runStatuses)

/**
 * Why a run or a step failed. A typed error keeps its own fields; `_tag` is `Failure` where it has
 * none, `Defect` for an unexpected error, `Interrupted`, with the `reason` where somebody terminated
 * the run and gave one, `Unreadable` where what is stored is not JSON of an `Exit`, or `LeftOut` where
 * it is too large to be told with others.
 */
export const ErrorView = Schema.Struct(
  { _tag: Schema.String, message: Schema.String },
  Schema.Record({ key: Schema.String, value: Schema.Unknown })
)
export type ErrorView = typeof ErrorView.Type

/** What is too large to be told with others, by its field: how many bytes are stored of it. */
const leftOut = <Field extends string>(...fields: ReadonlyArray<Field>) =>
  Schema.optional(
    Schema.partial(Schema.Record({ key: Schema.Literal(...fields), value: Schema.Int }))
  )

/**
 * Times are ISO 8601. `result` is the encoded success, `error` is there when it failed. One that is
 * `leftOut` is told of the step alone.
 */
export const StepView = Schema.Struct({
  name: Schema.String,
  attempt: Schema.Int,
  status: Schema.Literal("running", "completed", "failed", "interrupted"),
  startedAt: Schema.String,
  completedAt: Schema.optional(Schema.String),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(ErrorView),
  leftOut: leftOut("result", "error")
})
export type StepView = typeof StepView.Type

/**
 * Times are ISO 8601. `payload` and `result` are as the workflow's schemas encode them; lists have
 * them on request. `error` is why the run failed, or why it is suspended where no signal and no timer
 * will wake it.
 */
export const RunView = Schema.Struct({
  runId: Schema.String,
  workflow: Schema.String,
  status: RunStatusSchema,
  payload: Schema.optional(Schema.Unknown),
  createdAt: Schema.String,
  startedAt: Schema.optional(Schema.String),
  completedAt: Schema.optional(Schema.String),
  /** How many executors in a row have died while it was under way; absent where none has. */
  crashes: Schema.optional(Schema.Int),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(ErrorView),
  leftOut: leftOut("payload", "result", "error")
})
export type RunView = typeof RunView.Type

/**
 * What an unfinished run waits for.
 *
 * - `signal`, `timer`: by its name; a timer is due at `until`.
 * - `child`: a run that it has started.
 * - `executor`: one that has room, and has registered its `workflow`; `room`: this one has, and is
 *   to have room for it.
 * - `mend`: it suspended because of what its `error` says. Nothing wakes it: mend that, and resume it.
 *
 * `since` is when it was first seen to wait for it.
 */
export const WaitView = Schema.Union(
  Schema.Struct({ type: Schema.Literal("signal"), name: Schema.String, since: Schema.String }),
  Schema.Struct({
    type: Schema.Literal("timer"),
    name: Schema.String,
    since: Schema.String,
    until: Schema.optional(Schema.String)
  }),
  Schema.Struct({ type: Schema.Literal("child"), runId: Schema.String, since: Schema.String }),
  Schema.Struct({ type: Schema.Literal("executor"), workflow: Schema.String }),
  Schema.Struct({ type: Schema.Literal("room") }),
  Schema.Struct({ type: Schema.Literal("mend") })
)
export type WaitView = typeof WaitView.Type

/** A run that started another one, or was started by it. */
export const RelativeView = Schema.Struct({
  runId: Schema.String,
  workflow: Schema.String,
  status: RunStatusSchema
})
export type RelativeView = typeof RelativeView.Type

/** How many there are, and the first 20. */
const bounded = <A, I>(item: Schema.Schema<A, I>) =>
  Schema.Struct({ total: Schema.Int, first: Schema.Array(item) })

export const RunWithStepsView = Schema.Struct({
  ...RunView.fields,
  /** The whole encoded `Cause` of a run that is over and did not complete. */
  cause: Schema.optional(Schema.Unknown),
  /** The step whose failure the run ended with; not there where the workflow failed by itself. */
  failedStep: Schema.optional(Schema.Struct({ name: Schema.String, attempt: Schema.Int })),
  /**
   * Where an unexpected error came from, and what caused it, in 8 KiB at most. Only for who may see
   * it: over HTTP for tokens with the scope `admin`.
   */
  stack: Schema.optional(Schema.String),
  /** What it waits for; not there where it is executed or over, or where that is not known. */
  waitsFor: Schema.optional(bounded(WaitView)),
  /** The runs that have started it, if any. Not in events. */
  parents: Schema.optional(bounded(RelativeView)),
  /** The runs that it has started, if any, without those that were deleted since. Not in events. */
  children: Schema.optional(bounded(RelativeView)),
  /** In the order in which they started. */
  steps: Schema.Array(StepView),
  /** There where these are only the first steps: where the others begin. */
  stepsCursor: Schema.optional(Schema.String)
})
export type RunWithStepsView = typeof RunWithStepsView.Type

/** A page of a run's steps. `nextCursor` is null on the last one. */
export const StepsPage = Schema.Struct({
  steps: Schema.Array(StepView),
  nextCursor: Schema.NullOr(Schema.String)
})
export type StepsPage = typeof StepsPage.Type

/** What a run was started with, however large. */
export const PayloadView = Schema.Struct({ runId: Schema.String, payload: Schema.Unknown })
export type PayloadView = typeof PayloadView.Type

/** What a run has come to, however large; as in `RunWithStepsView`. */
export const OutcomeView = Schema.Struct({
  runId: Schema.String,
  status: RunStatusSchema,
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(ErrorView),
  cause: Schema.optional(Schema.Unknown),
  stack: Schema.optional(Schema.String)
})
export type OutcomeView = typeof OutcomeView.Type

/** The first 10 runs whose id begins so, in the order of their ids; whether there are `more`. */
export const RunIdsView = Schema.Struct({
  runs: Schema.Array(RelativeView),
  more: Schema.Boolean
})
export type RunIdsView = typeof RunIdsView.Type

/** A run that was there already when it was started, and how it stands. */
export const FoundView = Schema.Struct({
  runId: Schema.String,
  created: Schema.Literal(false),
  status: RunStatusSchema,
  /** When it ended, where it is over. */
  completedAt: Schema.optional(Schema.String)
})
export type FoundView = typeof FoundView.Type

/** What a start came to: a new run, or one that was there already. */
export type StartedView = { readonly runId: string; readonly created: true } | FoundView

/** What a list tells of runs on request. */
export const included = ["payload", "result"] as const

export type Included = (typeof included)[number]

/**
 * Runs in short: their payloads and results are there where these were asked for. `nextCursor` is
 * null on the last page.
 */
export const RunsPage = Schema.Struct({
  runs: Schema.Array(RunView),
  nextCursor: Schema.NullOr(Schema.String)
})
export type RunsPage = typeof RunsPage.Type

/** How many runs there are in each status. */
export const RunCounts = Schema.Record({
  key: RunStatusSchema,
  value: Schema.Int
}) satisfies Schema.Schema<Readonly<Record<RunStatus, number>>>
export type RunCounts = typeof RunCounts.Type

/**
 * An executor that works on the store. `runs` is how many runs it holds. `alive` until its lease
 * lapses, at `leaseUntil`, or its process is seen to be gone. `self` is the one that answers.
 */
export const ExecutorView = Schema.Struct({
  id: Schema.Int,
  host: Schema.String,
  pid: Schema.Int,
  state: Schema.Literal("running", "draining"),
  alive: Schema.Boolean,
  self: Schema.Boolean,
  runs: Schema.Int,
  /** Of the executor that answers, and of no other. */
  stepsInFlight: Schema.optional(Schema.Int),
  startedAt: Schema.String,
  leaseUntil: Schema.NullOr(Schema.String)
})
export type ExecutorView = typeof ExecutorView.Type

/** `payload` is the JSON Schema of the workflow's payload; `{}` where it has none. */
export const WorkflowView = Schema.Struct({ name: Schema.String, payload: Schema.Unknown })
export type WorkflowView = typeof WorkflowView.Type

/** The latest time that a Date can be. */
const endOfTime = 8_640_000_000_000_000

const iso = (millis: Millis): string => new Date(Math.min(millis, endOfTime)).toISOString()

const parse = (json: Json): Either.Either<unknown, string> =>
  Either.try({
    try: (): unknown => JSON.parse(json),
    catch: () => "what is stored is not JSON"
  })

const unreadable = (message: string): ErrorView => ({ _tag: "Unreadable", message })

const textOf = (value: unknown): string =>
  typeof value === "string" ? value : (JSON.stringify(value) ?? "undefined")

const failureView = (error: unknown): ErrorView => {
  if (!Predicate.isReadonlyRecord(error)) return { _tag: "Failure", message: textOf(error) }
  const tag = typeof error._tag === "string" ? error._tag : "Failure"
  const message =
    typeof error.message === "string" ? error.message : tag === "Failure" ? textOf(error) : tag
  return { ...error, _tag: tag, message }
}

const defectView = (defect: unknown): ErrorView => ({
  _tag: "Defect",
  message:
    Predicate.hasProperty(defect, "message") && typeof defect.message === "string"
      ? defect.message
      : textOf(defect)
})

/** What to tell of an encoded `Cause`: a typed error before a defect before an interruption. */
const causeView = (cause: unknown): ErrorView => {
  const told = EncodedCause.telling(cause)
  if (told?._tag === "Fail") return failureView(told.error)
  if (told !== undefined) return defectView(told.defect)
  return EncodedCause.leaves(cause).some(({ _tag }) => _tag === "Interrupt")
    ? { _tag: "Interrupted", message: "interrupted" }
    : unreadable("what is stored is not a Cause")
}

/** Of a run that was terminated. */
const terminatedView = (terminated: unknown): ErrorView | undefined => {
  if (!Predicate.isReadonlyRecord(terminated)) return undefined
  const { reason } = terminated
  return typeof reason === "string"
    ? { _tag: "Interrupted", message: `terminated: ${reason}`, reason }
    : { _tag: "Interrupted", message: "terminated" }
}

const outcomeView = (exit: Json): { readonly result: unknown } | { readonly error: ErrorView } => {
  const parsed = parse(exit)
  if (Either.isLeft(parsed)) return { error: unreadable(parsed.left) }
  const outcome = parsed.right
  if (Predicate.isReadonlyRecord(outcome)) {
    if (outcome._tag === "Success") return { result: outcome.value }
    if (outcome._tag === "Failure") {
      return { error: terminatedView(outcome.terminated) ?? causeView(outcome.cause) }
    }
  }
  return { error: unreadable("what is stored is not an Exit") }
}

const leftOutView = (bytes: number): ErrorView => ({
  _tag: "LeftOut",
  message: `it has ${bytes} bytes, too many to be told with others; ask for it alone`
})

const suspendedView = (cause: Json): { readonly error: ErrorView } => ({
  error: Either.match(parse(cause), { onLeft: unreadable, onRight: causeView })
})

const maxDescription = 2_000

const describe = ({ _tag, message }: ErrorView): string => {
  const text = _tag === message ? _tag : `${_tag}: ${message}`
  return text.length > maxDescription ? `${text.slice(0, maxDescription)}…` : text
}

/** Why a recorded exit is a failure, in at most 2,000 characters. */
export const describeFailure = (exit: Json): string => {
  const view = outcomeView(exit)
  return "error" in view ? describe(view.error) : ""
}

/** Why a run is suspended, in at most 2,000 characters. */
export const describeCause = (cause: Json): string => describe(suspendedView(cause).error)

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

/** A stored run as clients see it. Never fails: what does not read shows as an error. */
export const viewRun = (run: Run): RunView => ({
  runId: run.runId,
  workflow: run.workflow,
  status: run.status,
  ...(run.payload === undefined ? {} : { payload: viewPayload(run.payload) }),
  createdAt: iso(run.createdAt),
  ...(run.startedAt === undefined ? {} : { startedAt: iso(run.startedAt) }),
  ...(run.completedAt === undefined ? {} : { completedAt: iso(run.completedAt) }),
  ...(run.crashes === undefined ? {} : { crashes: run.crashes }),
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
  run: { completedAt, runId, status }
}: {
  readonly run: Run
  readonly created: boolean
}): StartedView =>
  created
    ? { runId, created }
    : {
        runId,
        created: false,
        status,
        ...(completedAt === undefined ? {} : { completedAt: iso(completedAt) })
      }

/** A stored step as clients see it. Never fails. */
export const viewStep = (step: Step): StepView => ({
  name: step.name,
  attempt: step.attempt,
  status: step.status,
  startedAt: iso(step.startedAt),
  ...(step.completedAt === undefined ? {} : { completedAt: iso(step.completedAt) }),
  ...(step.exit === undefined ? {} : outcomeView(step.exit)),
  ...viewStepLeftOut(step)
})

const viewStepLeftOut = ({ leftOut, status }: Step): Pick<StepView, "error" | "leftOut"> => {
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
 */
export const viewWaits = (
  { cause, status, waitsFor, workflow }: Run,
  { isRegistered }: { readonly isRegistered: boolean }
): Pick<RunWithStepsView, "waitsFor"> => {
  if (status === "pending") {
    return alone(isRegistered ? { type: "room" } : { type: "executor", workflow })
  }
  if (status !== "suspended") return {}
  if (cause !== undefined) return alone({ type: "mend" })
  const { first, total } = WaitedFor.parse(waitsFor)
  return total === 0 ? {} : { waitsFor: { total, first: first.map(viewWait) } }
}

/** The runs around a run, where there are any. */
export const viewRelatives = ({
  children,
  parents
}: Pick<RunWithSteps, "children" | "parents">): Pick<RunWithStepsView, "children" | "parents"> => ({
  ...(parents.total === 0 ? {} : { parents }),
  ...(children.total === 0 ? {} : { children })
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
  inFlight: ReadonlyArray<StepInFlight>,
  { after, upTo }: Window = {}
): ReadonlyArray<Step> => {
  if (inFlight.length === 0) return stored
  const key = (step: { readonly name: string; readonly attempt: number }) =>
    `${step.name}/${step.attempt}`
  const flying = new Set(inFlight.map(key))
  const isRecorded = (step: Step) => step.exit !== undefined || step.leftOut !== undefined
  const steps = new Map(
    stored
      .filter((step) => isRecorded(step) || !flying.has(key(step)))
      .map((step) => [key(step), step])
  )
  for (const { attempt, name, startedAt } of inFlight) {
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
      exit: undefined
    })
  }
  return [...steps.values()].sort((a, b) => a.startedAt - b.startedAt)
}
