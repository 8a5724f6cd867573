/**
 * Schedules, as they are kept: what is to be started at which times, and how far that has come.
 *
 * When a schedule ticks, and what then becomes of the tick, is decided by whoever reads it; the store
 * knows neither cron nor zones. What it guarantees is that a decision is written whole or not at all,
 * with the runs that it starts, and only by who has seen the schedule as it is: of two executors that
 * decide at once one has decided. That is why no tick is started twice, and why no leader is needed.
 */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { RunStoreError } from "./Failures.js"
import type { CreatedRun } from "./Journal.js"
import type { RunOutline } from "./Queries.js"
import type { Json, Millis, QueueOf } from "./Records.js"

/** Who has said what a schedule is: the code of an executor, or somebody through its API. */
export type ScheduleOrigin = "declared" | "set"

export interface StoredSchedule {
  readonly name: string
  readonly workflow: string
  /** Of each of its runs. */
  readonly payload: Json
  /** When it ticks, and what becomes of a tick. */
  readonly definition: Json
  readonly origin: ScheduleOrigin
  readonly paused: boolean
  readonly createdAt: Millis
  /** When its workflow, payload, definition or pause was changed last. */
  readonly changedAt: Millis
  /** What became of every tick up to this time is decided. It never goes back, whatever clocks do. */
  readonly decidedTo: Millis
  /** A tick that is to be started once the runs under way are over. */
  readonly waitingTick: Millis | undefined
  /** When to decide next; `undefined` when no time comes of itself. */
  readonly nextAt: Millis | undefined
  /** How many ticks have been started. */
  readonly started: number
  /** The last tick that was started. */
  readonly lastStarted: Millis | undefined
  /** The last one that was not, because of the runs under way. */
  readonly lastSkipped: Millis | undefined
  /** The last one that was not, because nobody was there in time. */
  readonly lastMissed: Millis | undefined
}

/** One of a schedule's runs that is not over. */
export interface ScheduledRun {
  readonly runId: string
  readonly interruptRequested: boolean
}

export interface FoundSchedule {
  readonly schedule: StoredSchedule
  /** Another one with each change. */
  readonly version: number
  /** Its first 100 runs that are not over, of those that its changes have started. */
  readonly underWay: ReadonlyArray<ScheduledRun>
}

export interface ScheduleChange {
  /** As it is to be. */
  readonly schedule: StoredSchedule
  /** As it was found; `undefined`: there is none of this name yet. */
  readonly version: number | undefined
  /** The queue of the runs that it starts, if they are in one. */
  readonly queue?: QueueOf | undefined
  /** Runs of its workflow that are to be created with it; one that is there is left as it is. */
  readonly starts: ReadonlyArray<{ readonly runId: string }>
  /** Runs whose interrupt is asked for. */
  readonly interrupts: ReadonlyArray<string>
}

/** A run whose id begins as a schedule's do. */
export interface RunOfSchedule extends RunOutline {
  readonly createdAt: Millis
  readonly completedAt: Millis | undefined
}

export interface ScheduleStore {
  readonly findSchedule: (
    name: string
  ) => Effect.Effect<Option.Option<FoundSchedule>, RunStoreError>

  /** In the order of their names, from the one after `after` on. */
  readonly listSchedules: (options: {
    readonly after?: string | undefined
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<FoundSchedule>, RunStoreError>

  /**
   * Writes the schedule, creates runs and asks for interrupts, all of it or nothing: `none` where it
   * is not as it was found any more, or `decidedTo` would go back. Answers with the runs.
   */
  readonly changeSchedule: (
    change: ScheduleChange
  ) => Effect.Effect<Option.Option<ReadonlyArray<CreatedRun>>, RunStoreError>

  /** Answers whether it was there. Its runs stay. */
  readonly removeSchedule: (name: string) => Effect.Effect<boolean, RunStoreError>

  /**
   * Schedules of these workflows of which something is to be decided now, those that are due for
   * longest first: `nextAt` is reached, or a tick waits and no run is under way. Not those that are
   * paused.
   */
  readonly dueSchedules: (options: {
    readonly workflows: ReadonlyArray<string>
    readonly now: Millis
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<FoundSchedule>, RunStoreError>

  /** The earliest `nextAt` after this time among those that are not paused. */
  readonly nextSchedule: (options: {
    readonly workflows: ReadonlyArray<string>
    readonly after: Millis
  }) => Effect.Effect<Option.Option<Millis>, RunStoreError>

  /** The last runs in the order of their ids, of those whose id begins so. */
  readonly lastBeginningWith: (options: {
    readonly prefix: string
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<RunOfSchedule>, RunStoreError>
}
