/**
 * What the commands for runs work on: an executor's API, or the database itself.
 */

import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Stream from "effect/Stream"
import type { BulkAsked, BulkFilter, BulkPreview, BulkRequest, BulkView } from "../api/Bulk.js"
import type { PauseRequest, PauseView } from "../api/Pauses.js"
import type { ChangeQueueRequest, QueueView } from "../api/Queues.js"
import type { StartOptions } from "../api/StartOptions.js"
import type {
  ExecutorView,
  ListRequest,
  OutcomeView,
  PayloadView,
  RetryOptions,
  RunCounts,
  RunIdsView,
  RunsPage,
  RunWithStepsView,
  SignalRequest,
  StartedView,
  StepRequest,
  StepsPage,
  StepView,
  TerminateRequest
} from "../runner/Runs.js"
import type {
  Backfilled,
  BackfillRequest,
  ListSchedulesRequest,
  PutScheduleRequest,
  SchedulesPage,
  ScheduleView
} from "../runner/Schedules.js"

/** How it failed, for a person; `_tag` is `RunNotFound` where there is no such run. */
export interface TargetError {
  readonly _tag: string
  readonly message: string
}

/** Needs a running executor, with its workflows. */
export class NotOnFile extends Data.TaggedError("NotOnFile")<{ readonly message: string }> {}

export interface TargetOptions {
  /** Where the API is. Default: HOST and PORT. */
  readonly url: Option.Option<string>
  /** Default: WORKFLOW_EXECUTOR_TOKEN; else one that is signed on the spot with AUTH_SECRET. */
  readonly token: Option.Option<Redacted.Redacted>
  /** The file to work on instead of an API. */
  readonly database: Option.Option<string>
  /** PostgreSQL to work on instead of an API. */
  readonly databaseUrl: Option.Option<Redacted.Redacted>
}

/** What is asked of schedules, as of `Schedules`. */
export interface SchedulesTarget {
  readonly list: (request: ListSchedulesRequest) => Effect.Effect<SchedulesPage, TargetError>
  readonly get: (name: string) => Effect.Effect<ScheduleView, TargetError>
  readonly put: (
    name: string,
    request: PutScheduleRequest & { readonly payload: Readonly<Record<string, unknown>> }
  ) => Effect.Effect<ScheduleView, TargetError>
  readonly remove: (name: string) => Effect.Effect<void, TargetError>
  readonly pause: (name: string) => Effect.Effect<ScheduleView, TargetError>
  readonly resume: (name: string) => Effect.Effect<ScheduleView, TargetError>
  readonly trigger: (name: string) => Effect.Effect<{ readonly runId: string }, TargetError>
  readonly backfill: (
    name: string,
    request: BackfillRequest
  ) => Effect.Effect<Backfilled, TargetError>
}

export class Target extends Context.Tag("effect-workflow-executor/cli/Target")<
  Target,
  {
    readonly list: (request: ListRequest) => Effect.Effect<RunsPage, TargetError>
    /** The run with its first steps. */
    readonly get: (runId: string) => Effect.Effect<RunWithStepsView, TargetError>
    /** A page of the other ones. */
    readonly steps: (request: {
      readonly runId: string
      readonly cursor: string
    }) => Effect.Effect<StepsPage, TargetError>
    /** One of them, with the whole of what it came to. */
    readonly step: (request: StepRequest) => Effect.Effect<StepView, TargetError>
    /** The whole of what the run was started with. */
    readonly payload: (runId: string) => Effect.Effect<PayloadView, TargetError>
    /** The whole of what it came to. */
    readonly outcome: (runId: string) => Effect.Effect<OutcomeView, TargetError>
    /** The runs whose id begins so. */
    readonly ids: (prefix: string) => Effect.Effect<RunIdsView, TargetError>
    /** As `get`, now and whenever it has changed, until it is over. */
    readonly watch: (runId: string) => Stream.Stream<RunWithStepsView, TargetError>
    readonly start: (
      workflow: string,
      payload: Readonly<Record<string, unknown>>,
      options: StartOptions
    ) => Effect.Effect<StartedView, TargetError>
    readonly interrupt: (runId: string) => Effect.Effect<void, TargetError>
    readonly terminate: (
      request: TerminateRequest
    ) => Effect.Effect<{ readonly terminated: number }, TargetError>
    readonly resume: (runId: string) => Effect.Effect<void, TargetError>
    readonly retry: (runId: string, options: RetryOptions) => Effect.Effect<void, TargetError>
    readonly remove: (runId: string) => Effect.Effect<void, TargetError>
    readonly countBy: (filter: BulkFilter) => Effect.Effect<RunCounts, TargetError>
    readonly queues: Effect.Effect<ReadonlyArray<QueueView>, TargetError>
    readonly changeQueue: (request: ChangeQueueRequest) => Effect.Effect<void, TargetError>
    readonly pauses: Effect.Effect<ReadonlyArray<PauseView>, TargetError>
    readonly pauseWorkflow: (request: PauseRequest) => Effect.Effect<void, TargetError>
    readonly resumeWorkflow: (workflow: string) => Effect.Effect<void, TargetError>
    readonly bulk: (request: BulkRequest) => Effect.Effect<BulkAsked, TargetError>
    readonly previewBulk: (request: BulkRequest) => Effect.Effect<BulkPreview, TargetError>
    readonly bulkOperation: (id: number) => Effect.Effect<BulkView, TargetError>
    readonly bulkOperations: Effect.Effect<ReadonlyArray<BulkView>, TargetError>
    readonly cancelBulk: (id: number) => Effect.Effect<BulkView, TargetError>
    readonly executors: Effect.Effect<ReadonlyArray<ExecutorView>, TargetError>
    readonly signal: (request: SignalRequest) => Effect.Effect<void, TargetError>
    readonly schedules: SchedulesTarget
  }
>() {}
