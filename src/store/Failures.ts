/** How a RunStore fails. */
import * as Data from "effect/Data"

/**
 * The store did not do what it was asked; nothing of that request was written.
 *
 * - `busy`: another process kept the database locked for longer than the store was ready to wait.
 * - `full`: the disk is full.
 * - `unavailable`: it cannot be opened, read or written.
 * - `damaged`: it is no database, or not a whole one. A backup is to be restored.
 * - `gone`: its file was removed, moved or replaced while it was open. Nothing is written any more,
 *   whatever comes in its place: the executor has to end.
 * - `migration`: its schema could not be brought to this version.
 * - `closed`: the store has been closed.
 * - `refused`: the write can never be done, however often it is tried: what it would store is out of
 *   range, is too large, breaks a constraint, or is a text that would not come back as it was.
 */
export class RunStoreError extends Data.TaggedError("RunStoreError")<{
  readonly reason:
    | "busy"
    | "full"
    | "unavailable"
    | "damaged"
    | "gone"
    | "migration"
    | "closed"
    | "refused"
  readonly message: string
  readonly cause?: unknown
}> {}

/** The run is no longer held by the one who writes: its lease lapsed or it was released. */
export class RunLost extends Data.TaggedError("RunLost")<{
  readonly runId: string
}> {
  override get message() {
    return `Run ${this.runId} is not held by this executor any more; this write was refused`
  }
}
