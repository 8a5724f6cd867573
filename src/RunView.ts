/**
 * What a run looks like from outside, in JSON.
 */
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Machine from "./internal/Machine.js"
import type { ExecutorInfo, Json, Millis, Run, RunStatus, Step } from "./RunStore.js"
import { runStatuses } from "./RunStore.js"
import type { StepInFlight } from "./StepInFlight.js"

export const RunStatusSchema = Schema.Literal(...runStatuses)

/**
 * Why a run or a step failed. A typed error keeps its own fields; `_tag` is `Failure` where it has
 * none, `Defect` for an unexpected error, `Interrupted`, with the `reason` where somebody terminated
 * the run and gave one, or `Unreadable` where what is stored is not JSON of an `Exit`.
 */
export const ErrorView = Schema.Struct(
  { _tag: Schema.String, message: Schema.String },
  Schema.Record({ key: Schema.String, value: Schema.Unknown })
)
export type ErrorView = typeof ErrorView.Type

/** Times are ISO 8601. `result` is the encoded success, `error` is there when it failed. */
export const StepView = Schema.Struct({
  name: Schema.String,
  attempt: Schema.Int,
  status: Schema.Literal("running", "completed", "failed", "interrupted"),
  startedAt: Schema.String,
  completedAt: Schema.optional(Schema.String),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(ErrorView)
})
export type StepView = typeof StepView.Type

/**
 * Times are ISO 8601. `payload` and `result` are as the workflow's schemas encode them. `error` is
 * why the run failed, or why it is suspended where no signal and no timer will wake it.
 */
export const RunView = Schema.Struct({
  runId: Schema.String,
  workflow: Schema.String,
  status: RunStatusSchema,
  payload: Schema.Unknown,
  createdAt: Schema.String,
  startedAt: Schema.optional(Schema.String),
  completedAt: Schema.optional(Schema.String),
  /** How many executors in a row have died while it was under way; absent where none has. */
  crashes: Schema.optional(Schema.Int),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(ErrorView)
})
export type RunView = typeof RunView.Type

export const RunWithStepsView = Schema.Struct({
  ...RunView.fields,
  /** The whole encoded `Cause` of a run that is over and did not complete. */
  cause: Schema.optional(Schema.Unknown),
  steps: Schema.Array(StepView)
})
export type RunWithStepsView = typeof RunWithStepsView.Type

/** `nextCursor` is null on the last page. */
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

/** The encoded causes that are neither Parallel nor Sequential, from left to right. */
const leaves = (cause: unknown): ReadonlyArray<Readonly<Record<string, unknown>>> => {
  const found: Array<Readonly<Record<string, unknown>>> = []
  const open = [cause]
  while (open.length > 0) {
    const current = open.pop()
    if (!Predicate.isReadonlyRecord(current)) continue
    if (current._tag === "Parallel" || current._tag === "Sequential") {
      open.push(current.right, current.left)
    } else {
      found.push(current)
    }
  }
  return found
}

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
  const all = leaves(cause)
  const failure = all.find((leaf) => leaf._tag === "Fail")
  if (failure !== undefined) return failureView(failure.error)
  const defect = all.find((leaf) => leaf._tag === "Die")
  if (defect !== undefined) return defectView(defect.defect)
  return all.some((leaf) => leaf._tag === "Interrupt")
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

const suspendedView = (cause: Json): { readonly error: ErrorView } => ({
  error: Either.match(parse(cause), { onLeft: unreadable, onRight: causeView })
})

/** A stored run as clients see it. Never fails: what does not read shows as an error. */
export const viewRun = (run: Run): RunView => ({
  runId: run.runId,
  workflow: run.workflow,
  status: run.status,
  // a payload is an object, so a string here can only be this
  payload: Either.getOrElse(parse(run.payload), (problem) => `unreadable: ${problem}`),
  createdAt: iso(run.createdAt),
  ...(run.startedAt === undefined ? {} : { startedAt: iso(run.startedAt) }),
  ...(run.completedAt === undefined ? {} : { completedAt: iso(run.completedAt) }),
  ...(run.crashes === undefined ? {} : { crashes: run.crashes }),
  ...(run.exit !== undefined
    ? outcomeView(run.exit)
    : run.cause !== undefined
      ? suspendedView(run.cause)
      : {})
})

/** A stored step as clients see it. Never fails. */
export const viewStep = (step: Step): StepView => ({
  name: step.name,
  attempt: step.attempt,
  status: step.status,
  startedAt: iso(step.startedAt),
  ...(step.completedAt === undefined ? {} : { completedAt: iso(step.completedAt) }),
  ...(step.exit === undefined ? {} : outcomeView(step.exit))
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

/** The whole encoded `Cause` of a recorded failure, for clients that know the workflow's schemas. */
export const causeOf = (exit: Json | undefined): { readonly cause?: unknown } => {
  const outcome = exit === undefined ? undefined : Either.getOrUndefined(parse(exit))
  return Predicate.isReadonlyRecord(outcome) && outcome._tag === "Failure"
    ? { cause: outcome.cause }
    : {}
}

/**
 * The stored steps, with those that are in flight in this process and have no recorded outcome as
 * `running`; in the order in which they started.
 */
export const overlay = (
  stored: ReadonlyArray<Step>,
  inFlight: ReadonlyArray<StepInFlight>
): ReadonlyArray<Step> => {
  if (inFlight.length === 0) return stored
  const key = (step: { readonly name: string; readonly attempt: number }) =>
    `${step.name}/${step.attempt}`
  const steps = new Map(stored.map((step) => [key(step), step]))
  for (const { name, attempt, startedAt } of inFlight) {
    const recorded = steps.get(key({ name, attempt }))
    if (recorded?.exit !== undefined) continue
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
