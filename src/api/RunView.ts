/**
 * What a run looks like from outside, in JSON.
 */
import * as Schema from "effect/Schema"
import { type RunStatus, runStatuses } from "./Status.js"

export const RunStatusSchema = Schema.Literal(...runStatuses)

/**
 * Why a run or a step failed. A typed error keeps its own fields; `_tag` is `Failure` where it has
 * none, `Defect` for an unexpected error, `Interrupted`, with the `reason` where somebody terminated
 * the run and gave one, `RunTimedOut` where it did not end within its `timeout`, `Unreadable` where what is stored is not JSON of an `Exit`, or `LeftOut` where
 * it is too large to be told with others.
 */
export const ErrorView = Schema.Struct(
  { _tag: Schema.String, message: Schema.String },
  Schema.Record({ key: Schema.String, value: Schema.Unknown })
)
export type ErrorView = typeof ErrorView.Type

/** Values are there, and are not told to this token: see `VALUES_FOR_READERS`. */
export const Hidden = Schema.optional(Schema.Literal(true))

/** What is too large to be told with others, by its field: how many bytes are stored of it. */
const leftOut = <Field extends string>(...fields: ReadonlyArray<Field>) =>
  Schema.optional(
    Schema.partial(Schema.Record({ key: Schema.Literal(...fields), value: Schema.Int }))
  )

/**
 * Times are ISO 8601. `result` is the encoded success, `error` is there when it failed. One that is
 * `leftOut` is told of the step alone. `executor` is the id of the one that executes it, or has: not
 * there where that was not noted, and where something is left out. `compensation`: it was executed
 * while its run undid what it had done, for it had failed; not there where something is left out.
 */
export const StepView = Schema.Struct({
  name: Schema.String,
  attempt: Schema.Int,
  status: Schema.Literal("running", "completed", "failed", "interrupted"),
  startedAt: Schema.String,
  completedAt: Schema.optional(Schema.String),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(ErrorView),
  leftOut: leftOut("result", "error"),
  hidden: Hidden,
  executor: Schema.optional(Schema.Int),
  compensation: Schema.optional(Schema.Literal(true))
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
  /** Of one that was started to begin at a time. */
  startAt: Schema.optional(Schema.String),
  /** Of those that wait for room, the smaller begin first; absent where it is 0. */
  priority: Schema.optional(Schema.Int),
  /** How long it may take from its begin on, in milliseconds; and until when, once it has begun. */
  timeout: Schema.optional(Schema.Number),
  deadline: Schema.optional(Schema.String),
  tags: Schema.optional(Schema.Array(Schema.String)),
  attributes: Schema.optional(
    Schema.Record({
      key: Schema.String,
      value: Schema.Union(Schema.String, Schema.Number, Schema.Boolean)
    })
  ),
  /** How many executors in a row have died while it was under way; absent where none has. */
  crashes: Schema.optional(Schema.Int),
  /**
   * Of one that failed or was interrupted, and is not retried for it: its compensations were executed,
   * or it is not known whether they were; or it was terminated.
   */
  compensated: Schema.optional(Schema.Literal(true)),
  terminated: Schema.optional(Schema.Literal(true)),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(ErrorView),
  leftOut: leftOut("payload", "result", "error"),
  hidden: Hidden
})
export type RunView = typeof RunView.Type

/**
 * What an unfinished run waits for.
 *
 * - `signal`, `timer`: by its name; a timer is due at `until`.
 * - `child`: a run that it has started.
 * - `start`: its time, `until`, before which it does not begin.
 * - `queue`: its turn in its queue.
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
  Schema.Struct({ type: Schema.Literal("start"), until: Schema.String }),
  Schema.Struct({ type: Schema.Literal("queue") }),
  Schema.Struct({ type: Schema.Literal("pause"), workflow: Schema.String }),
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

/**
 * A signal that a run was sent, by others or by itself; a name of more than 200 characters is cut. Times are ISO 8601; `receivedAt` is there where it was noted.
 */
export const SignalView = Schema.Struct({
  name: Schema.String,
  receivedAt: Schema.optional(Schema.String)
})
export type SignalView = typeof SignalView.Type

/** A timer that a run has set, named as its sleep: when it is due, and whether it was seen to be. */
export const TimerView = Schema.Struct({
  name: Schema.String,
  dueAt: Schema.String,
  fired: Schema.Boolean
})
export type TimerView = typeof TimerView.Type

/** How many there are, and the first 20. */
const bounded = <A, I>(item: Schema.Schema<A, I>) =>
  Schema.Struct({ total: Schema.Int, first: Schema.Array(item) })

/** How many there are, and the last 20, in the order in which they came. */
const latest = <A, I>(item: Schema.Schema<A, I>) =>
  Schema.Struct({ total: Schema.Int, last: Schema.Array(item) })

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
  /** The executor that executes it; `self`: it is the one that answers. Of a `running` one. */
  heldBy: Schema.optional(Schema.Struct({ executor: Schema.Int, self: Schema.Boolean })),
  /** What it waits for; not there where it is executed or over, or where that is not known. */
  waitsFor: Schema.optional(bounded(WaitView)),
  /** The runs that have started it, if any. Not in events. */
  parents: Schema.optional(bounded(RelativeView)),
  /** The runs that it has started, if any, without those that were deleted since. Not in events. */
  children: Schema.optional(bounded(RelativeView)),
  /** The signals that it was sent, if any. */
  signals: Schema.optional(latest(SignalView)),
  /** The timers that it has set, if any: its sleeps, unless it completed. */
  timers: Schema.optional(latest(TimerView)),
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
  /** It had not begun, and has the new payload and options. */
  replaced: Schema.optional(Schema.Literal(true)),
  /** None was made: it is another one of the same key of its queue, which is not over. */
  skipped: Schema.optional(Schema.Literal(true)),
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

/** A step that is executed now. `startedAt` is ISO 8601. */
export const StepInFlightView = Schema.Struct({
  runId: Schema.String,
  workflow: Schema.String,
  name: Schema.String,
  attempt: Schema.Int,
  startedAt: Schema.String
})
export type StepInFlightView = typeof StepInFlightView.Type

/** A minute, and how many steps ended in it, by what they came to. `at` is when it began: ISO 8601. */
export const MinuteView = Schema.Struct({
  at: Schema.String,
  completed: Schema.Int,
  failed: Schema.Int
})
export type MinuteView = typeof MinuteView.Type

/**
 * The minutes of the last hour in which steps ended in the process that answers, the oldest first.
 * `since` is when it began to count, where that is less than an hour ago.
 */
export const ActivityView = Schema.Struct({
  minutes: Schema.Array(MinuteView),
  since: Schema.optional(Schema.String),
  /** Steps that it executes now, the 20 that began first, without those of runs that are not shown. */
  inFlight: Schema.Array(StepInFlightView)
})
export type ActivityView = typeof ActivityView.Type

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
  /** The same, the 20 that began first. */
  inFlight: Schema.optional(Schema.Array(StepInFlightView)),
  /** Until when a drain that has begun waits for them. Of the executor that answers. */
  drainUntil: Schema.optional(Schema.String),
  /** Of this package; not there of an executor that does not tell it. */
  version: Schema.optional(Schema.String),
  startedAt: Schema.String,
  leaseUntil: Schema.NullOr(Schema.String)
})
export type ExecutorView = typeof ExecutorView.Type

/** A signal that a workflow declares; `value` is the JSON Schema of its value, `{}` where it has none. */
export const DeclaredSignalView = Schema.Struct({ name: Schema.String, value: Schema.Unknown })
export type DeclaredSignalView = typeof DeclaredSignalView.Type

/**
 * `payload` is the JSON Schema of the workflow's payload; `{}` where it has none. `signals` are those
 * that it declares; it may take others, where it declares none. `queue` is the name of the queue that
 * its runs wait in, where the code declares one.
 */
export const WorkflowView = Schema.Struct({
  name: Schema.String,
  payload: Schema.Unknown,
  signals: Schema.optional(Schema.Array(DeclaredSignalView)),
  queue: Schema.optional(Schema.String)
})
export type WorkflowView = typeof WorkflowView.Type
