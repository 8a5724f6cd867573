/**
 * The HTTP API, as a definition: for the server, for a typed client (`HttpApiClient`) and for
 * OpenAPI (`OpenApi.fromApi`).
 *
 * Every error is JSON with at least `_tag` and `message`.
 */
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "@effect/platform"
import * as Schema from "effect/Schema"
import type { RunnerState } from "../RunnerState.js"
import {
  InvalidCursor,
  InvalidPayload,
  InvalidSignal,
  maxPageSize,
  RunNotFound,
  RunStatusSchema,
  RunsPage,
  RunWithStepsView,
  UnknownWorkflow,
  WorkflowView
} from "../Runs.js"
import { Access, needs } from "./Access.js"
import { Authorization } from "./Authorization.js"

export const RunnerStateSchema = Schema.Literal(
  "idle",
  "running",
  "draining",
  "stopped"
) satisfies Schema.Schema<RunnerState>

/** The executor is not in a state in which the probe answers 200. */
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

/** The body is not JSON. */
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

const State = Schema.Struct({ state: RunnerStateSchema })

const RunId = Schema.Struct({ runId: Schema.String })

const runId = HttpApiSchema.param("runId", Schema.String)

/** `status=running&status=failed` or `status=running,failed`. */
const StatusParam = Schema.transform(
  Schema.Union(Schema.String, Schema.Array(Schema.String)),
  Schema.Array(Schema.String),
  {
    strict: true,
    decode: (param) =>
      (typeof param === "string" ? [param] : param)
        .flatMap((text) => text.split(","))
        .map((text) => text.trim())
        .filter((text) => text !== ""),
    encode: (statuses) => statuses
  }
).pipe(Schema.compose(Schema.Array(RunStatusSchema), { strict: false }))

const ListParams = Schema.Struct({
  workflow: Schema.optional(Schema.String),
  status: Schema.optional(StatusParam),
  limit: Schema.optional(
    Schema.NumberFromString.pipe(Schema.int(), Schema.between(1, maxPageSize))
  ),
  cursor: Schema.optional(Schema.String)
})

export class ProbesGroup extends HttpApiGroup.make("probes", { topLevel: true })
  .add(HttpApiEndpoint.get("health", "/health").addSuccess(State).addError(NotAvailable))
  .add(HttpApiEndpoint.get("ready", "/ready").addSuccess(State).addError(NotAvailable)) {}

export class RunsGroup extends HttpApiGroup.make("runs")
  .add(
    HttpApiEndpoint.get("workflows", "/workflows")
      .addSuccess(Schema.Struct({ workflows: Schema.Array(WorkflowView) }))
      .annotateContext(needs("runs:read"))
  )
  .add(
    HttpApiEndpoint.post("start", "/runs")
      .setPayload(Schema.Struct({ workflow: Schema.String, payload: Schema.Unknown }))
      .addSuccess(RunId, { status: 202 })
      .addError(UnknownWorkflow, { status: 404 })
      .addError(InvalidPayload, { status: 400 })
      .annotateContext(needs("runs:write"))
  )
  .add(
    HttpApiEndpoint.get("list", "/runs")
      .setUrlParams(ListParams)
      .addSuccess(RunsPage)
      .addError(InvalidCursor, { status: 400 })
      .annotateContext(needs("runs:read"))
  )
  .add(
    HttpApiEndpoint.get("get")`/runs/${runId}`
      .addSuccess(RunWithStepsView)
      .addError(RunNotFound, { status: 404 })
      .annotateContext(needs("runs:read", "read"))
  )
  .add(
    HttpApiEndpoint.post("interrupt")`/runs/${runId}/interrupt`
      .addSuccess(RunId, { status: 202 })
      .addError(RunNotFound, { status: 404 })
      .annotateContext(needs("runs:write", "interrupt"))
  )
  .add(
    HttpApiEndpoint.post("resume")`/runs/${runId}/resume`
      .addSuccess(RunId, { status: 202 })
      .addError(RunNotFound, { status: 404 })
      .annotateContext(needs("runs:write", "resume"))
  )
  .add(
    HttpApiEndpoint.post(
      "signal"
    )`/runs/${runId}/signals/${HttpApiSchema.param("name", Schema.String)}`
      .setPayload(Schema.Struct({ value: Schema.optional(Schema.Unknown) }))
      .addSuccess(RunId, { status: 202 })
      .addError(RunNotFound, { status: 404 })
      .addError(InvalidSignal, { status: 400 })
      .annotateContext(needs("runs:write", "signal"))
  )
  .addError(StoreNotAvailable)
  // the last one runs first
  .middleware(Access)
  .middleware(Authorization) {}

export class Api extends HttpApi.make("effect-workflow-executor")
  .add(ProbesGroup)
  .add(RunsGroup)
  .addError(InvalidJson)
  .addError(PayloadTooLarge)
  .addError(UnsupportedMediaType) {}
