/** What the API says of schedules: how they look, what is asked of them, and how that is refused. */
import * as Schema from "effect/Schema"
import { Hidden, RunStatusSchema } from "./RunView.js"

/** What becomes of a tick while a run of the schedule is under way. */
export const overlaps = ["skip", "queue", "allow", "cancel"] as const

/** The most ticks that one backfill may have. */
export const maxBackfill = 1_000

/** The most schedules that one page can have. */
export const maxSchedulesPage = 100

export const scheduleName = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/

/** When a schedule ticks, and what becomes of a tick: as it is kept, too. */
const definition = {
  /**
   * Minute, hour, day of the month, month and day of the week; of six fields the first is the second.
   * In `timeZone`. A time that does not exist there is the next that does; one that exists twice is
   * once.
   */
  cron: Schema.optional(Schema.String),
  /** A duration, in place of a cron: `5 minutes`. At its multiples since 1970. */
  every: Schema.optional(Schema.String),
  /** Of IANA, such as `Europe/Berlin`. Default: `UTC`. */
  timeZone: Schema.optional(Schema.String),
  /**
   * - `skip`: the tick is left out.
   * - `queue`: it waits until the run is over; one at most, further ones are left out.
   * - `allow`: its run starts beside the other.
   * - `cancel`: the other is interrupted, and its own starts once that is over.
   *
   * Default: `skip`.
   */
  overlap: Schema.optional(Schema.Literal(...overlaps)),
  /**
   * Ticks that nobody was there for are started later if they are no older than this, in their order,
   * and unless `overlap` is `allow` one after the other. At least 10 seconds. Default: the last one of
   * them, until the next is due.
   */
  catchUp: Schema.optional(Schema.String),
  /** A run starts up to this much later than its tick, each tick by an amount of its own. Default: 0. */
  jitter: Schema.optional(Schema.String),
  /** No tick is later than this: ISO 8601. */
  end: Schema.optional(Schema.String),
  /** So many ticks are started, and no more. */
  count: Schema.optional(Schema.Int.pipe(Schema.positive()))
}

export const ScheduleDefinition = Schema.Struct(definition)
export type ScheduleDefinition = typeof ScheduleDefinition.Type

/** What a schedule is to be. */
export const PutScheduleRequest = Schema.Struct({
  /** Name of a workflow that is registered. */
  workflow: Schema.String,
  /** Of each of its runs; an empty object when left out. */
  payload: Schema.optional(Schema.Unknown),
  ...definition,
  /** Whether it is to be paused. Default: as it is; a new one is not. */
  paused: Schema.optional(Schema.Boolean)
}).annotations({
  // a misspelt limit would be none
  parseOptions: { onExcessProperty: "error" }
})
export type PutScheduleRequest = typeof PutScheduleRequest.Type

export const BackfillRequest = Schema.Struct({
  /** The ticks at this time or later: ISO 8601. */
  from: Schema.String,
  /** And earlier than this, which is not later than now. Default: now. */
  to: Schema.optional(Schema.String)
}).annotations({ parseOptions: { onExcessProperty: "error" } })
export type BackfillRequest = typeof BackfillRequest.Type

/** A run that a schedule has started. */
export const ScheduledRunView = Schema.Struct({
  runId: Schema.String,
  workflow: Schema.String,
  status: RunStatusSchema,
  createdAt: Schema.String,
  completedAt: Schema.optional(Schema.String)
})
export type ScheduledRunView = typeof ScheduledRunView.Type

/** Times are ISO 8601. */
export const ScheduleView = Schema.Struct({
  name: Schema.String,
  workflow: Schema.String,
  /** `null` where it is `hidden`. */
  payload: Schema.Unknown,
  hidden: Hidden,
  ...definition,
  paused: Schema.Boolean,
  /** `declared` in the code of an executor, or `set` through the API, which is what counts then. */
  origin: Schema.Literal("declared", "set"),
  createdAt: Schema.String,
  changedAt: Schema.String,
  /** How many ticks have been started. */
  started: Schema.Int,
  /** The next five ticks; none while it is paused. */
  nextTicks: Schema.Array(Schema.String),
  /** When the run of the next one starts: not that tick itself where there is a `jitter`. */
  nextStart: Schema.optional(Schema.String),
  /** A tick that waits until the run under way is over. */
  waitingTick: Schema.optional(Schema.String),
  /** The last tick that was started. */
  lastStarted: Schema.optional(Schema.String),
  /** The last one that was left out because a run was under way. */
  lastSkipped: Schema.optional(Schema.String),
  /** The last one that was left out because nobody was there in time. */
  lastMissed: Schema.optional(Schema.String),
  /** The last five runs of those that are kept, the latest tick first. */
  lastRuns: Schema.Array(ScheduledRunView),
  /** Why it does not tick: what is stored was written by a newer version. */
  problem: Schema.optional(Schema.String)
})
export type ScheduleView = typeof ScheduleView.Type

export const SchedulesPage = Schema.Struct({
  /** In the order of their names. */
  schedules: Schema.Array(ScheduleView),
  /** Where the next page begins; `null` when this is the last. */
  nextCursor: Schema.NullOr(Schema.String)
})
export type SchedulesPage = typeof SchedulesPage.Type

export interface ListSchedulesRequest {
  /** 1 to 100; what lies outside is brought inside. Default: 50. */
  readonly limit?: number | undefined
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined
}

export const Backfilled = Schema.Struct({
  /** How many ticks the range has. */
  ticks: Schema.Int,
  /** How many runs were created; of the others there was one already. */
  created: Schema.Int
})
export type Backfilled = typeof Backfilled.Type

/** There is no such schedule. */
export class ScheduleNotFound extends Schema.TaggedError<ScheduleNotFound>()("ScheduleNotFound", {
  name: Schema.String,
  message: Schema.String
}) {}

/** What a schedule is to be, or a backfill, cannot be; the message says what can. */
export class InvalidSchedule extends Schema.TaggedError<InvalidSchedule>()("InvalidSchedule", {
  /** What of it: `cron`, `timeZone` ... */
  field: Schema.String,
  message: Schema.String
}) {}
