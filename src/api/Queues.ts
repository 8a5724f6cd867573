/** Queues as the API tells of them, and what is asked of them. */
import * as Schema from "effect/Schema"

const Positive = Schema.Int.pipe(Schema.positive())

/**
 * What is left out is not bounded. `window` is in milliseconds. See `RunQueue.Options`.
 */
export const QueueLimitsView = Schema.Struct({
  concurrency: Schema.optional(Positive),
  concurrencyPerKey: Schema.optional(Positive),
  rateLimit: Schema.optional(Schema.Struct({ limit: Positive, window: Positive })),
  keepSlot: Schema.optional(Schema.Boolean)
})
export type QueueLimitsView = typeof QueueLimitsView.Type

/**
 * A queue. `declared` are the limits in the code, `override` those that were set in their place: the
 * latter count, until they are removed. `running` is how many runs have a slot, `waiting` how many wait
 * for one.
 */
export const QueueView = Schema.Struct({
  name: Schema.String,
  declared: QueueLimitsView,
  override: Schema.optional(QueueLimitsView),
  paused: Schema.Boolean,
  /** It is paused, and what has begun does not go on either. */
  park: Schema.optional(Schema.Boolean),
  running: Schema.Int,
  waiting: Schema.Int
})
export type QueueView = typeof QueueView.Type

export interface ChangeQueueRequest {
  readonly name: string
  /** In place of those in the code, all of them; `null`: those again. Default: as they are. */
  readonly limits?: QueueLimitsView | null | undefined
  /** Whether nothing of it begins; what is under way goes on. Default: as it is. */
  readonly paused?: boolean | undefined
  /**
   * With `paused`: what is under way stops where its next step would start, until it is not paused any
   * more, or paused without this. Default: false.
   */
  readonly park?: boolean | undefined
}

/** No run was ever started in a queue of that name. */
export class QueueNotFound extends Schema.TaggedError<QueueNotFound>()("QueueNotFound", {
  name: Schema.String,
  message: Schema.String
}) {}

/** What is asked of it is not what is allowed; the message names the value and what is. */
export class InvalidLimits extends Schema.TaggedError<InvalidLimits>()("InvalidLimits", {
  message: Schema.String
}) {}
