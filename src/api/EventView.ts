/**
 * What events look like from outside: their JSON, and the lines of a server-sent event
 * (`text/event-stream`) that carry it.
 */
import * as Schema from "effect/Schema"
import type * as Event from "../events/Event.js"
import { RunnerStateSchema } from "./Api.js"
import { RunStatusSchema, RunWithStepsView } from "./RunView.js"

const told = {
  /** `<epoch>-<sequence>`; sent back as `Last-Event-ID` it says where to go on. */
  id: Schema.String,
  /** ISO 8601. */
  at: Schema.String
}

/** A run has this status now; `deleted`: it is gone, with all that belonged to it. */
export const RunEvent = Schema.Struct({
  type: Schema.Literal("run"),
  ...told,
  runId: Schema.String,
  workflow: Schema.String,
  status: Schema.Union(RunStatusSchema, Schema.Literal("deleted"))
})

/**
 * A step began (`running`), its outcome is recorded (`completed`, `failed`), or it was cut
 * (`interrupted`). One that began, and of which nothing more is told while its run goes to `pending`
 * or `suspended`, was not recorded: it executes again.
 */
export const StepEvent = Schema.Struct({
  type: Schema.Literal("step"),
  ...told,
  runId: Schema.String,
  workflow: Schema.String,
  name: Schema.String,
  attempt: Schema.Int,
  status: Schema.Literal("running", "completed", "failed", "interrupted")
})

/** The executor's Runner is in this state now. */
export const ExecutorEvent = Schema.Struct({
  type: Schema.Literal("executor"),
  ...told,
  state: RunnerStateSchema
})

/** The run with its steps, as it is now: what events of it were before is in it. */
export const SnapshotEvent = Schema.Struct({
  type: Schema.Literal("snapshot"),
  ...told,
  run: RunWithStepsView
})

/** What happened since the `Last-Event-ID` is not known any more: read again what you know. */
export const ResetEvent = Schema.Struct({ type: Schema.Literal("reset"), ...told })

export const EventView = Schema.Union(RunEvent, StepEvent, ExecutorEvent, SnapshotEvent, ResetEvent)
export type EventView = typeof EventView.Type

const iso = (millis: number) => new Date(millis).toISOString()

export const viewEvent = (event: Event.Event): EventView => ({ ...event, at: iso(event.at) })

export const viewSnapshot = (
  id: string,
  now: number,
  run: typeof RunWithStepsView.Type
): EventView => ({ id, type: "snapshot", at: iso(now), run })

export const viewReset = (id: string, now: number): EventView => ({
  id,
  type: "reset",
  at: iso(now)
})

export const viewState = (
  id: string,
  now: number,
  state: Event.ExecutorChanged["state"]
): EventView => ({ id, type: "executor", at: iso(now), state })

// ---------------------------------------------------------------------------------------------
// Lines
// ---------------------------------------------------------------------------------------------

export { eventStream as contentType } from "./MediaTypes.js"

/** How long a reader that was cut waits before it comes back; milliseconds. */
export const head = "retry: 1000\n\n"

export const encode = (event: EventView): string =>
  `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

/** Nothing has happened up to this id that the reader would have been told. */
export const keepAlive = (id: string): string => `: keep-alive\nid: ${id}\n\n`

/** The last thing that a reader is told who does not keep up; it comes back with the id it has. */
export const overflow = "event: overflow\ndata: {}\n\n"
