/**
 * The HTTP API, as a definition: for the server, for a typed client (`HttpApiClient`) and for
 * OpenAPI (`OpenApi.fromApi`).
 *
 * Every error is JSON with at least `_tag` and `message`.
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Time from "../internal/Time.js"
import { Access, needs } from "./Access.js"
import * as Attributes from "./Attributes.js"
import { Authorization } from "./Authorization.js"
import * as MediaTypes from "./MediaTypes.js"
import { PauseView } from "./Pauses.js"
import type { RunnerState } from "./RunnerState.js"
import {
  ActivityView,
  BulkActionSchema,
  BulkAsked,
  BulkNotFound,
  BulkPreview,
  BulkView,
  EmptyFilter,
  ExecutorView,
  FoundView,
  InvalidCursor,
  InvalidLimits,
  InvalidOptions,
  InvalidPayload,
  InvalidQuery,
  InvalidReason,
  InvalidSignal,
  included,
  maxPageSize,
  NotResumable,
  NotRetryable,
  OutcomeView,
  PayloadDiffers,
  PayloadView,
  QueueLimitsView,
  QueueNotFound,
  QueueView,
  RunCounts,
  RunExists,
  RunFinished,
  RunIdsView,
  RunIdTaken,
  RunNotFinished,
  RunNotFound,
  RunStatusSchema,
  RunsPage,
  RunWithStepsView,
  StartOptionsBody,
  StepNotFound,
  StepsPage,
  StepView,
  UnknownSignal,
  UnknownWorkflow,
  WorkflowView
} from "./Runs.js"
import {
  Backfilled,
  BackfillRequest,
  InvalidSchedule,
  maxSchedulesPage,
  PutScheduleRequest,
  ScheduleNotFound,
  SchedulesPage,
  ScheduleView
} from "./Schedules.js"

export const RunnerStateSchema = Schema.Literal(
  "idle",
  "running",
  "draining",
  "stopped"
) satisfies Schema.Schema<RunnerState>

/** The executor is not in a state in which the probe answers 200, or its database does not answer. */
export class NotAvailable extends Schema.TaggedError<NotAvailable>()(
  "NotAvailable",
  { state: RunnerStateSchema, message: Schema.String },
  HttpApiSchema.annotations({ status: 503 })
) {}

/** The run store failed; the log says why. Nothing of the request was written. */
export class StoreNotAvailable extends Schema.TaggedError<StoreNotAvailable>()(
  "StoreNotAvailable",
  { message: Schema.String },
  HttpApiSchema.annotations({ status: 503 })
) {}

/** The body is not JSON, or is nested deeper than 500 levels. */
export class InvalidJson extends Schema.TaggedError<InvalidJson>()(
  "InvalidJson",
  { message: Schema.String },
  HttpApiSchema.annotations({ status: 400 })
) {}

/** The body is larger than the server takes. */
export class PayloadTooLarge extends Schema.TaggedError<PayloadTooLarge>()(
  "PayloadTooLarge",
  {
    /** Bytes. */
    limit: Schema.Int,
    message: Schema.String
  },
  HttpApiSchema.annotations({ status: 413 })
) {}

/** The body is of a content type other than `application/json`. */
export class UnsupportedMediaType extends Schema.TaggedError<UnsupportedMediaType>()(
  "UnsupportedMediaType",
  { message: Schema.String },
  HttpApiSchema.annotations({ status: 415 })
) {}

/**
 * This executor cannot be stopped from outside: the app in which it runs decides about that, and has
 * not provided `Shutdown`.
 */
export class DrainNotAvailable extends Schema.TaggedError<DrainNotAvailable>()(
  "DrainNotAvailable",
  { state: RunnerStateSchema, message: Schema.String },
  HttpApiSchema.annotations({ status: 409 })
) {}

const State = Schema.Struct({ state: RunnerStateSchema })

const RunId = Schema.Struct({ runId: Schema.String })

const runId = HttpApiSchema.param("runId", Schema.String)

const stepName = HttpApiSchema.param("name", Schema.String)

const stepAttempt = HttpApiSchema.param(
  "attempt",
  Schema.NumberFromString.pipe(Schema.int(), Schema.positive())
)

/** `status=running&status=failed` or `status=running,failed`. */
const several = <A extends string>(one: Schema.Schema<A>) =>
  Schema.transform(
    Schema.Union(Schema.String, Schema.Array(Schema.String)),
    Schema.Array(Schema.String),
    {
      strict: true,
      decode: (param) =>
        (typeof param === "string" ? [param] : param)
          .flatMap((text) => text.split(","))
          .map((text) => text.trim())
          .filter((text) => text !== ""),
      encode: (texts) => texts
    }
  ).pipe(Schema.compose(Schema.Array(one), { strict: false }))

/** A day, or a time with its zone: `2026-11-22`, `2026-11-22T18:00:00Z`. */
const TimeParam = Schema.transformOrFail(
  Schema.String.pipe(
    Schema.pattern(Time.pattern, { message: ({ actual }) => Time.describe(String(actual)) })
  ),
  Schema.ValidDateFromSelf,
  {
    strict: true,
    decode: (text, _, ast) =>
      Either.fromNullable(
        Time.parse(text),
        () => new ParseResult.Type(ast, text, Time.describe(text))
      ),
    encode: (date) => ParseResult.succeed(date.toISOString())
  }
)

/** `tags=eu&tags=urgent`. */
const each = Schema.transform(
  Schema.Union(Schema.String, Schema.Array(Schema.String)),
  Schema.Array(Schema.String),
  {
    strict: true,
    decode: (param) => (typeof param === "string" ? [param] : param),
    encode: (texts) => texts
  }
)

/** `attributes=customer=7&attributes=paid=true`; see `Attributes`. */
const AttributesParam = Schema.transform(
  each,
  Schema.Record({
    key: Schema.String,
    value: Schema.Union(Schema.String, Schema.Number, Schema.Boolean)
  }),
  {
    strict: true,
    decode: (texts) => Object.fromEntries(texts.map(Attributes.parse)),
    encode: (attributes) => Object.entries(attributes).map(Attributes.text)
  }
)

/** `true` or `false`. */
const FlagParam = Schema.BooleanFromString

const filterParams = {
  workflow: Schema.optional(Schema.String),
  key: Schema.optional(Schema.String),
  status: Schema.optional(several(RunStatusSchema)),
  createdAfter: Schema.optional(TimeParam),
  createdBefore: Schema.optional(TimeParam),
  roots: Schema.optional(FlagParam),
  parent: Schema.optional(Schema.String),
  mend: Schema.optional(FlagParam),
  tags: Schema.optional(each),
  attributes: Schema.optional(AttributesParam)
}

const ListParams = Schema.Struct({
  ...filterParams,
  include: Schema.optional(several(Schema.Literal(...included))),
  limit: Schema.optional(
    Schema.NumberFromString.pipe(Schema.int(), Schema.between(1, maxPageSize))
  ),
  cursor: Schema.optional(Schema.String)
})

/** What is misspelt, or stands beside where it belongs, would say nothing: it is refused. */
const exact = { parseOptions: { onExcessProperty: "error" } } as const

/** The same in a body. */
const BulkFilterBody = Schema.Struct({
  workflow: Schema.optional(Schema.String),
  key: Schema.optional(Schema.String),
  status: Schema.optional(Schema.Array(RunStatusSchema)),
  createdAfter: Schema.optional(TimeParam),
  createdBefore: Schema.optional(TimeParam),
  roots: Schema.optional(Schema.Boolean),
  parent: Schema.optional(Schema.String),
  mend: Schema.optional(Schema.Boolean),
  tags: Schema.optional(Schema.Array(Schema.String)),
  attributes: Schema.optional(
    Schema.Record({
      key: Schema.String,
      value: Schema.Union(Schema.String, Schema.Number, Schema.Boolean)
    })
  )
})

const BulkBody = Schema.Struct({
  action: BulkActionSchema,
  filter: Schema.optional(BulkFilterBody),
  all: Schema.optional(Schema.Boolean),
  preview: Schema.optional(Schema.Boolean),
  reason: Schema.optional(Schema.String),
  children: Schema.optional(Schema.Boolean),
  withChildren: Schema.optional(Schema.Boolean)
}).annotations(exact)

/** Of the last event that the reader knows. */
const LastEventId = Schema.Struct({ "last-event-id": Schema.optional(Schema.String) })

export class ProbesGroup extends HttpApiGroup.make("probes", { topLevel: true })
  .add(
    HttpApiEndpoint.get("health", "/health")
      .addSuccess(State)
      .addError(NotAvailable)
      .annotate(OpenApi.Summary, "200 while the executor is running or draining")
  )
  .add(
    HttpApiEndpoint.get("ready", "/ready")
      .addSuccess(State)
      .addError(NotAvailable)
      .annotate(OpenApi.Summary, "200 only while the executor is running and its database answers")
  ) {}

export class RunsGroup extends HttpApiGroup.make("runs")
  .add(
    HttpApiEndpoint.get("workflows", "/workflows")
      .addSuccess(Schema.Struct({ workflows: Schema.Array(WorkflowView) }))
      .annotateContext(needs("runs:read"))
      .annotate(OpenApi.Summary, "The workflows that are registered here")
  )
  .add(
    HttpApiEndpoint.post("start", "/runs")
      .setPayload(
        Schema.Struct({
          workflow: Schema.String,
          payload: Schema.Unknown,
          options: Schema.optional(StartOptionsBody)
        }).annotations(exact)
      )
      .addSuccess(RunId, { status: 202 })
      .addSuccess(FoundView)
      .addError(UnknownWorkflow, { status: 404 })
      .addError(InvalidPayload, { status: 400 })
      .addError(InvalidOptions, { status: 400 })
      .addError(RunIdTaken, { status: 409 })
      .addError(RunExists, { status: 409 })
      .addError(PayloadDiffers, { status: 409 })
      .annotateContext(needs("runs:write"))
      .annotate(OpenApi.Summary, "Start a run")
  )
  .add(
    HttpApiEndpoint.get("list", "/runs")
      .setUrlParams(ListParams)
      .addSuccess(RunsPage)
      .addError(InvalidCursor, { status: 400 })
      .addError(InvalidQuery, { status: 400 })
      .annotateContext(needs("runs:read"))
      .annotate(OpenApi.Summary, "Runs in short, newest first")
  )
  .add(
    HttpApiEndpoint.get("ids", "/runs/ids")
      .setUrlParams(Schema.Struct({ prefix: Schema.String }))
      .addSuccess(RunIdsView)
      .addError(InvalidQuery, { status: 400 })
      .annotateContext(needs("runs:read"))
      .annotate(OpenApi.Summary, "The runs whose id begins so")
  )
  .add(
    HttpApiEndpoint.get("counts", "/runs/counts")
      .setUrlParams(Schema.Struct(filterParams))
      .addSuccess(RunCounts)
      .addError(InvalidQuery, { status: 400 })
      .annotateContext(needs("runs:read"))
      .annotate(OpenApi.Summary, "How many runs there are in each status, all or those of a filter")
  )
  .add(
    HttpApiEndpoint.get("get")`/runs/${runId}`
      .addSuccess(RunWithStepsView)
      .addError(RunNotFound, { status: 404 })
      .annotateContext(needs("runs:read", "read"))
      .annotate(OpenApi.Summary, "A run and its first steps")
  )
  .add(
    HttpApiEndpoint.get("steps")`/runs/${runId}/steps`
      .setUrlParams(Schema.Struct({ cursor: Schema.optional(Schema.String) }))
      .addSuccess(StepsPage)
      .addError(RunNotFound, { status: 404 })
      .addError(InvalidCursor, { status: 400 })
      .annotateContext(needs("runs:read", "read"))
      .annotate(OpenApi.Summary, "A run's steps, a page at a time")
  )
  .add(
    HttpApiEndpoint.get("step")`/runs/${runId}/steps/${stepName}/${stepAttempt}`
      .addSuccess(StepView)
      .addError(RunNotFound, { status: 404 })
      .addError(StepNotFound, { status: 404 })
      .annotateContext(needs("runs:read", "read"))
      .annotate(OpenApi.Summary, "A step, with the whole of what it came to")
  )
  .add(
    HttpApiEndpoint.get("payload")`/runs/${runId}/payload`
      .addSuccess(PayloadView)
      .addError(RunNotFound, { status: 404 })
      .annotateContext(needs("runs:read", "read"))
      .annotate(OpenApi.Summary, "The whole of what a run was started with")
  )
  .add(
    HttpApiEndpoint.get("outcome")`/runs/${runId}/result`
      .addSuccess(OutcomeView)
      .addError(RunNotFound, { status: 404 })
      .annotateContext(needs("runs:read", "read"))
      .annotate(OpenApi.Summary, "The whole of what a run came to")
  )
  .add(
    HttpApiEndpoint.post("interrupt")`/runs/${runId}/interrupt`
      .addSuccess(RunId, { status: 202 })
      .addError(RunNotFound, { status: 404 })
      .annotateContext(needs("runs:write", "interrupt"))
      .annotate(OpenApi.Summary, "End a run")
  )
  .add(
    HttpApiEndpoint.post("terminate")`/runs/${runId}/terminate`
      .setPayload(
        Schema.Struct({
          reason: Schema.optional(Schema.String),
          children: Schema.optional(Schema.Boolean)
        }).annotations(exact)
      )
      .addSuccess(Schema.Struct({ runId: Schema.String, terminated: Schema.Int }), { status: 202 })
      .addError(RunNotFound, { status: 404 })
      .addError(InvalidReason, { status: 400 })
      .addError(RunFinished, { status: 409 })
      .annotateContext(needs("runs:write", "terminate"))
      .annotate(OpenApi.Summary, "End a run at once, without compensations")
  )
  .add(
    HttpApiEndpoint.post("resume")`/runs/${runId}/resume`
      .addSuccess(RunId, { status: 202 })
      .addError(RunNotFound, { status: 404 })
      .addError(NotResumable, { status: 409 })
      .annotateContext(needs("runs:write", "resume"))
      .annotate(OpenApi.Summary, "Let a suspended run go on")
  )
  .add(
    HttpApiEndpoint.post("retry")`/runs/${runId}/retry`
      .setUrlParams(Schema.Struct({ withChildren: Schema.optional(FlagParam) }))
      .addSuccess(RunId, { status: 202 })
      .addError(RunNotFound, { status: 404 })
      .addError(NotRetryable, { status: 409 })
      .annotateContext(needs("runs:write", "retry"))
      .annotate(OpenApi.Summary, "Let a failed run go on from the step that failed")
  )
  .add(
    HttpApiEndpoint.del("remove")`/runs/${runId}`
      .addSuccess(HttpApiSchema.NoContent)
      .addError(RunNotFound, { status: 404 })
      .addError(RunNotFinished, { status: 409 })
      .annotateContext(needs("runs:write", "delete"))
      .annotate(OpenApi.Summary, "Delete a run that is over")
  )
  .add(
    HttpApiEndpoint.post(
      "signal"
    )`/runs/${runId}/signals/${HttpApiSchema.param("name", Schema.String)}`
      .setPayload(Schema.Struct({ value: Schema.optional(Schema.Unknown) }).annotations(exact))
      .addSuccess(RunId, { status: 202 })
      .addError(RunNotFound, { status: 404 })
      .addError(UnknownSignal, { status: 404 })
      .addError(InvalidSignal, { status: 400 })
      .annotateContext(needs("runs:write", "signal"))
      .annotate(OpenApi.Summary, "Complete a signal that a run waits for, or will")
  )
  .addError(StoreNotAvailable)
  // the last one runs first
  .middleware(Access)
  .middleware(Authorization) {}

const schedule = HttpApiSchema.param("name", Schema.String)

const SchedulesParams = Schema.Struct({
  limit: Schema.optional(
    Schema.NumberFromString.pipe(Schema.int(), Schema.between(1, maxSchedulesPage))
  ),
  cursor: Schema.optional(Schema.String)
})

/** In a group of its own, for `runs` is what the typed client is made of. */
export class SchedulesGroup extends HttpApiGroup.make("schedules")
  .add(
    HttpApiEndpoint.get("list", "/schedules")
      .setUrlParams(SchedulesParams)
      .addSuccess(SchedulesPage)
      .annotateContext(needs("runs:read"))
      .annotate(OpenApi.Summary, "Schedules, with their next ticks and last runs")
  )
  .add(
    HttpApiEndpoint.get("get")`/schedules/${schedule}`
      .addSuccess(ScheduleView)
      .addError(ScheduleNotFound, { status: 404 })
      .annotateContext(needs("runs:read"))
      .annotate(OpenApi.Summary, "A schedule, with its next ticks and last runs")
  )
  .add(
    HttpApiEndpoint.put("put")`/schedules/${schedule}`
      .setPayload(PutScheduleRequest)
      .addSuccess(ScheduleView)
      .addError(UnknownWorkflow, { status: 404 })
      .addError(InvalidPayload, { status: 400 })
      .addError(InvalidSchedule, { status: 400 })
      .annotateContext(needs("runs:write"))
      .annotate(OpenApi.Summary, "Make a schedule, or one that is there another")
  )
  .add(
    HttpApiEndpoint.del("remove")`/schedules/${schedule}`
      .addSuccess(HttpApiSchema.NoContent)
      .addError(ScheduleNotFound, { status: 404 })
      .annotateContext(needs("runs:write"))
      .annotate(OpenApi.Summary, "Delete a schedule; its runs stay")
  )
  .add(
    HttpApiEndpoint.post("pause")`/schedules/${schedule}/pause`
      .addSuccess(ScheduleView)
      .addError(ScheduleNotFound, { status: 404 })
      .annotateContext(needs("runs:write"))
      .annotate(OpenApi.Summary, "Let a schedule start nothing until it is resumed")
  )
  .add(
    HttpApiEndpoint.post("resume")`/schedules/${schedule}/resume`
      .addSuccess(ScheduleView)
      .addError(ScheduleNotFound, { status: 404 })
      .annotateContext(needs("runs:write"))
      .annotate(OpenApi.Summary, "Let a schedule go on, from its next tick")
  )
  .add(
    HttpApiEndpoint.post("trigger")`/schedules/${schedule}/trigger`
      .addSuccess(RunId, { status: 202 })
      .addError(ScheduleNotFound, { status: 404 })
      .annotateContext(needs("runs:write"))
      .annotate(OpenApi.Summary, "Start a run of a schedule now")
  )
  .add(
    HttpApiEndpoint.post("backfill")`/schedules/${schedule}/backfill`
      .setPayload(BackfillRequest)
      .addSuccess(Backfilled, { status: 202 })
      .addError(ScheduleNotFound, { status: 404 })
      .addError(InvalidSchedule, { status: 400 })
      .annotateContext(needs("runs:write"))
      .annotate(OpenApi.Summary, "Start the runs of a schedule's ticks in a range of the past")
  )
  .addError(StoreNotAvailable)
  // the last one runs first
  .middleware(Access)
  .middleware(Authorization) {}

/** Server-sent events. */
export class EventsGroup extends HttpApiGroup.make("events", { topLevel: true })
  .add(
    HttpApiEndpoint.get("events", "/events")
      .setHeaders(LastEventId)
      .setUrlParams(
        Schema.Struct({
          workflow: Schema.optional(Schema.String),
          digest: Schema.optional(FlagParam)
        })
      )
      .addSuccess(HttpApiSchema.Text({ contentType: MediaTypes.eventStream }))
      .annotateContext(needs("runs:read"))
      .annotate(OpenApi.Summary, "What happens in this executor, as server-sent events")
  )
  .add(
    HttpApiEndpoint.get("runEvents")`/runs/${runId}/events`
      .setHeaders(LastEventId)
      .addSuccess(HttpApiSchema.Text({ contentType: MediaTypes.eventStream }))
      .addSuccess(HttpApiSchema.NoContent)
      .addError(RunNotFound, { status: 404 })
      .addError(StoreNotAvailable)
      .annotateContext(needs("runs:read", "read"))
      .annotate(OpenApi.Summary, "What happens to a run until it is over, as server-sent events")
  )
  // the last one runs first
  .middleware(Access)
  .middleware(Authorization) {}

export class ExecutorsGroup extends HttpApiGroup.make("executors", { topLevel: true })
  .add(
    HttpApiEndpoint.get("executors", "/executors")
      .addSuccess(Schema.Struct({ executors: Schema.Array(ExecutorView) }))
      .annotateContext(needs("admin"))
      .annotate(OpenApi.Summary, "The executors that work on this store")
  )
  .add(
    HttpApiEndpoint.post("drain", "/drain")
      .addSuccess(State, { status: 202 })
      .addError(DrainNotAvailable)
      .annotateContext(needs("admin"))
      .annotate(OpenApi.Summary, "Drain and stop this executor, as SIGTERM does")
  )
  .addError(StoreNotAvailable)
  // the last one runs first
  .middleware(Access)
  .middleware(Authorization) {}

const queueName = HttpApiSchema.param("name", Schema.String)

export class QueuesGroup extends HttpApiGroup.make("queues")
  .add(
    HttpApiEndpoint.get("list", "/queues")
      .addSuccess(Schema.Struct({ queues: Schema.Array(QueueView) }))
      .annotateContext(needs("runs:read"))
      .annotate(OpenApi.Summary, "The queues that runs wait in")
  )
  .add(
    HttpApiEndpoint.put("change")`/queues/${queueName}`
      .setPayload(
        Schema.Struct({
          limits: Schema.optional(Schema.NullOr(QueueLimitsView)),
          paused: Schema.optional(Schema.Boolean),
          park: Schema.optional(Schema.Boolean)
        }).annotations(exact)
      )
      .addSuccess(HttpApiSchema.NoContent)
      .addError(QueueNotFound, { status: 404 })
      .addError(InvalidLimits, { status: 400 })
      .annotateContext(needs("admin"))
      .annotate(OpenApi.Summary, "Change a queue's limits, pause it, or let it go on")
  )
  .addError(StoreNotAvailable)
  // the last one runs first
  .middleware(Access)
  .middleware(Authorization) {}

const workflowName = HttpApiSchema.param("workflow", Schema.String)

export class PausesGroup extends HttpApiGroup.make("pauses")
  .add(
    HttpApiEndpoint.get("list", "/pauses")
      .addSuccess(Schema.Struct({ pauses: Schema.Array(PauseView) }))
      .annotateContext(needs("runs:read"))
      .annotate(OpenApi.Summary, "The workflows that are paused")
  )
  .add(
    HttpApiEndpoint.put("pause")`/pauses/${workflowName}`
      .setPayload(Schema.Struct({ park: Schema.optional(Schema.Boolean) }).annotations(exact))
      .addSuccess(HttpApiSchema.NoContent)
      .addError(UnknownWorkflow, { status: 404 })
      .annotateContext(needs("admin"))
      .annotate(OpenApi.Summary, "Let no run of a workflow begin")
  )
  .add(
    HttpApiEndpoint.del("resume")`/pauses/${workflowName}`
      .addSuccess(HttpApiSchema.NoContent)
      .annotateContext(needs("admin"))
      .annotate(OpenApi.Summary, "Let a workflow that was paused go on")
  )
  .addError(StoreNotAvailable)
  // the last one runs first
  .middleware(Access)
  .middleware(Authorization) {}

const bulkId = HttpApiSchema.param("id", Schema.NumberFromString.pipe(Schema.int()))

/** `RunAccess` is not asked about each run: so they are for those who may do all. */
export class BulkGroup extends HttpApiGroup.make("bulk")
  .add(
    HttpApiEndpoint.post("start", "/runs/bulk")
      .setPayload(BulkBody)
      .addSuccess(BulkAsked, { status: 202 })
      .addSuccess(BulkPreview)
      .addError(EmptyFilter, { status: 400 })
      .addError(InvalidQuery, { status: 400 })
      .addError(InvalidReason, { status: 400 })
      .annotateContext(needs("admin"))
      .annotate(OpenApi.Summary, "Do something with all runs of a filter")
  )
  .add(
    HttpApiEndpoint.get("list", "/bulk")
      .addSuccess(Schema.Struct({ operations: Schema.Array(BulkView) }))
      .annotateContext(needs("admin"))
      .annotate(OpenApi.Summary, "The newest operations on many runs")
  )
  .add(
    HttpApiEndpoint.get("get")`/bulk/${bulkId}`
      .addSuccess(BulkView)
      .addError(BulkNotFound, { status: 404 })
      .annotateContext(needs("admin"))
      .annotate(OpenApi.Summary, "How far an operation on many runs is")
  )
  .add(
    HttpApiEndpoint.del("cancel")`/bulk/${bulkId}`
      .addSuccess(BulkView)
      .addError(BulkNotFound, { status: 404 })
      .annotateContext(needs("admin"))
      .annotate(OpenApi.Summary, "End an operation on many runs where it is")
  )
  .addError(StoreNotAvailable)
  // the last one runs first
  .middleware(Access)
  .middleware(Authorization) {}

/** What this definition says, told to programs and to people; it does not tell of itself. */
export class DocsGroup extends HttpApiGroup.make("docs")
  .add(
    HttpApiEndpoint.get("openapi", "/openapi.json")
      .addSuccess(Schema.Object)
      .annotateContext(needs("runs:read"))
  )
  .add(
    HttpApiEndpoint.get("docs", "/docs")
      .addSuccess(HttpApiSchema.Text({ contentType: "text/html" }))
      .annotateContext(needs("runs:read"))
  )
  .annotate(OpenApi.Exclude, true)
  .middleware(Access)
  .middleware(Authorization) {}

/** In a group of its own, for `runs` is what the typed client is made of. */
export class MetricsGroup extends HttpApiGroup.make("metrics", { topLevel: true })
  .add(
    HttpApiEndpoint.get("metrics", "/metrics")
      .addSuccess(HttpApiSchema.Text({ contentType: MediaTypes.prometheus }))
      .annotateContext(needs("runs:read"))
      .annotate(OpenApi.Summary, "What this process counts and measures, for Prometheus")
  )
  .add(
    HttpApiEndpoint.get("activity", "/activity")
      .addSuccess(ActivityView)
      .annotateContext(needs("runs:read"))
      .annotate(OpenApi.Summary, "How many steps ended in this process, minute by minute")
  )
  // the last one runs first
  .middleware(Access)
  .middleware(Authorization) {}

export class Api extends HttpApi.make("effect-workflow-executor")
  .add(ProbesGroup)
  .add(RunsGroup)
  .add(SchedulesGroup)
  .add(EventsGroup)
  .add(ExecutorsGroup)
  .add(QueuesGroup)
  .add(PausesGroup)
  .add(BulkGroup)
  .add(MetricsGroup)
  .add(DocsGroup)
  .annotate(OpenApi.Title, "effect-workflow-executor")
  .addError(InvalidJson)
  .addError(PayloadTooLarge)
  .addError(UnsupportedMediaType) {}
