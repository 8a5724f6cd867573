/**
 * What survives: runs, steps, signals, timers and executors.
 *
 * A port, in parts: the journal of runs, what is read of them, the executors that hold them, and the
 * schedules that start them. The engine and the Runner know these interfaces only; `SqliteRunStore` implements them on
 * `@effect/sql`. Everything an implementation must guarantee is said there and tested by the shared
 * conformance suite. Every write is committed when its effect succeeds.
 *
 * Values cross this port as JSON text (`Json`), already encoded by the schemas of the workflow:
 * the store neither knows nor looks into them. Times are milliseconds since the epoch, read from
 * Effect's Clock.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { BulkStore } from "./Bulk.js"
import type { Executors } from "./Executors.js"
import type { RunStoreError } from "./Failures.js"
import type { Journal } from "./Journal.js"
import type { PauseStore } from "./Pauses.js"
import type { Queries } from "./Queries.js"
import type { Change } from "./Records.js"
import type { ScheduleStore } from "./Schedules.js"

export * from "../api/Status.js"
export type {
  BulkOperation,
  BulkPart,
  BulkRefusals,
  BulkStore,
  NewBulk
} from "./Bulk.js"
export * from "./Executors.js"
export * from "./Failures.js"
export * from "./Journal.js"
export type { PausedWorkflow, PauseStore } from "./Pauses.js"
export * from "./Queries.js"
export * from "./Records.js"
export * from "./Schedules.js"

/** All of it. */
export interface Store extends Journal, Queries, Executors, ScheduleStore, BulkStore, PauseStore {
  /**
   * Looks whether the database is there, and is one that can be written to. Reads a row at most, and
   * takes as long as the database does.
   */
  readonly available: Effect.Effect<void, RunStoreError>
  /** A subscription to what commits change, from now on. */
  readonly changes: Effect.Effect<Queue.Dequeue<Change>, never, Scope.Scope>
}

export class RunStore extends Context.Tag("effect-workflow-executor/RunStore")<RunStore, Store>() {}
