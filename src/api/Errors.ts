/** How what is asked of runs is refused. */
import * as Schema from "effect/Schema"
import { RunStatusSchema } from "./RunView.js"

/** No workflow of that name is registered in this process. */
export class UnknownWorkflow extends Schema.TaggedError<UnknownWorkflow>()("UnknownWorkflow", {
  workflow: Schema.String,
  registered: Schema.Array(Schema.String),
  message: Schema.String
}) {}

/**
 * The run of that workflow and key would have the id of a run of another workflow: the id is made of
 * both, and `order` with `item-5` and `order-item` with `5` make the same.
 */
export class RunIdTaken extends Schema.TaggedError<RunIdTaken>()("RunIdTaken", {
  runId: Schema.String,
  workflow: Schema.String,
  message: Schema.String
}) {}

/** There is a run of that id, and what was asked for was another (`onConflict`). */
export class RunExists extends Schema.TaggedError<RunExists>()("RunExists", {
  runId: Schema.String,
  status: RunStatusSchema,
  message: Schema.String
}) {}

/**
 * There is a run of that id, with another payload: the same key was used for something else, or the
 * workflow's `idempotencyKey` leaves a part of the payload out.
 */
export class PayloadDiffers extends Schema.TaggedError<PayloadDiffers>()("PayloadDiffers", {
  runId: Schema.String,
  status: RunStatusSchema,
  message: Schema.String
}) {}

/** The payload is not what the workflow's payload schema decodes. */
export class InvalidPayload extends Schema.TaggedError<InvalidPayload>()("InvalidPayload", {
  workflow: Schema.String,
  message: Schema.String
}) {}

/** The store has no such run. */
export class RunNotFound extends Schema.TaggedError<RunNotFound>()("RunNotFound", {
  runId: Schema.String,
  message: Schema.String
}) {}

/** The run has no such step. */
export class StepNotFound extends Schema.TaggedError<StepNotFound>()("StepNotFound", {
  runId: Schema.String,
  name: Schema.String,
  attempt: Schema.Int,
  message: Schema.String
}) {}

/** The value is not what the deferred's success schema decodes. */
export class InvalidSignal extends Schema.TaggedError<InvalidSignal>()("InvalidSignal", {
  name: Schema.String,
  message: Schema.String
}) {}

/** The cursor did not come from a page of this API. */
export class InvalidCursor extends Schema.TaggedError<InvalidCursor>()("InvalidCursor", {
  message: Schema.String
}) {}

/** What is asked of a list does not go together. */
export class InvalidQuery extends Schema.TaggedError<InvalidQuery>()("InvalidQuery", {
  message: Schema.String
}) {}

/** The run cannot be retried; the message says why. */
export class NotRetryable extends Schema.TaggedError<NotRetryable>()("NotRetryable", {
  runId: Schema.String,
  status: RunStatusSchema,
  message: Schema.String
}) {}

/** The run is over: nothing resumes it. */
export class NotResumable extends Schema.TaggedError<NotResumable>()("NotResumable", {
  runId: Schema.String,
  status: RunStatusSchema,
  message: Schema.String
}) {}

/** The workflow declares its signals, and none of this name. */
export class UnknownSignal extends Schema.TaggedError<UnknownSignal>()("UnknownSignal", {
  name: Schema.String,
  declared: Schema.Array(Schema.String),
  message: Schema.String
}) {}

/** The run, or one that started it, is not over yet. */
export class RunNotFinished extends Schema.TaggedError<RunNotFinished>()("RunNotFinished", {
  runId: Schema.String,
  status: RunStatusSchema,
  message: Schema.String
}) {}

/** The run is over: there is nothing of it to be ended. */
export class RunFinished extends Schema.TaggedError<RunFinished>()("RunFinished", {
  runId: Schema.String,
  status: RunStatusSchema,
  message: Schema.String
}) {}

/** The reason is longer than `maxReasonLength`. */
export class InvalidReason extends Schema.TaggedError<InvalidReason>()("InvalidReason", {
  message: Schema.String
}) {}
