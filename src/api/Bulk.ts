/** Operations on all runs of a filter, as the API tells of them, and what is asked of them. */
import * as Schema from "effect/Schema"
import type { ListRequest } from "./Requests.js"
import { RunStatusSchema } from "./RunView.js"

export const bulkActions = ["retry", "interrupt", "terminate", "resume", "delete"] as const

export type BulkAction = (typeof bulkActions)[number]

export const BulkActionSchema = Schema.Literal(...bulkActions)

/** What a list of runs can be asked for. */
export type BulkFilter = Omit<ListRequest, "include" | "limit" | "cursor">

export interface BulkRequest {
  /** What is done with each run: what the request of that name does with one. */
  readonly action: BulkAction
  /** Which runs. Those that are created after the request are not among them. */
  readonly filter?: BulkFilter | undefined
  /** That all runs are meant, where the filter has nothing. Default: false. */
  readonly all?: boolean | undefined
  /** Of `terminate`: why, for people; at most 1,000 characters. */
  readonly reason?: string | undefined
  /** Of `terminate`: whether the runs that they started are ended too. Default: false. */
  readonly children?: boolean | undefined
  /** Of `retry`: whether children by whose failure they would fail again go with them. Default: true. */
  readonly withChildren?: boolean | undefined
}

/** How many runs there are of the filter now. */
export const BulkPreview = Schema.Struct({ matched: Schema.Int })
export type BulkPreview = typeof BulkPreview.Type

export const BulkAsked = Schema.Struct({ id: Schema.Int, matched: Schema.Int })
export type BulkAsked = typeof BulkAsked.Type

/** Times are ISO 8601; `key` has become the `runId` that it is of. */
export const BulkFilterView = Schema.Struct({
  runId: Schema.optional(Schema.String),
  workflow: Schema.optional(Schema.String),
  status: Schema.optional(Schema.Array(RunStatusSchema)),
  createdAfter: Schema.optional(Schema.String),
  createdBefore: Schema.optional(Schema.String),
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
export type BulkFilterView = typeof BulkFilterView.Type

/**
 * An operation. `matched` is how many runs there were of the filter when it was asked for, `done` with how
 * many it was done, and `refused` how many were refused, by why. A run that does not fit the filter any
 * more when its turn comes is in neither.
 */
export const BulkView = Schema.Struct({
  id: Schema.Int,
  action: BulkActionSchema,
  filter: BulkFilterView,
  state: Schema.Literal("running", "completed", "cancelled"),
  matched: Schema.Int,
  done: Schema.Int,
  refused: Schema.Record({ key: Schema.String, value: Schema.Int }),
  requestedAt: Schema.String,
  completedAt: Schema.optional(Schema.String),
  executor: Schema.optional(Schema.Int)
})
export type BulkView = typeof BulkView.Type

/** The filter has nothing, and that all runs are meant was not said. */
export class EmptyFilter extends Schema.TaggedError<EmptyFilter>()("EmptyFilter", {
  filters: Schema.Array(Schema.String),
  message: Schema.String
}) {}

/** There is no such operation, or it was over for 7 days. */
export class BulkNotFound extends Schema.TaggedError<BulkNotFound>()("BulkNotFound", {
  id: Schema.Int,
  message: Schema.String
}) {}
