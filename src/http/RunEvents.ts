/**
 * The events of one run, as its readers are sent them: a snapshot, then what happens to it here,
 * then new snapshots when another process has executed it.
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as View from "../api/EventView.js"
import * as StepPages from "../api/StepPages.js"
import type { Event, Events } from "../events/Events.js"
import type { Runs, RunWithStepsView } from "../runner/Runs.js"
import { isFinal } from "../store/RunStore.js"
import * as Readers from "./EventReaders.js"
import { type SeenRun, type StepOutline, ToldRun } from "./ToldRun.js"
import * as Values from "./Values.js"

/** So often at most a snapshot is read anew, because something happened to the run meanwhile. */
const tries = 10

export const stream = (
  { runId, status, workflow }: RunWithStepsView,
  options: {
    readonly reader: Readers.Opened
    readonly lastEventId: string | undefined
    readonly values: boolean
    readonly events: Events["Type"]
    readonly runs: Runs["Type"]
    readonly now: () => number
    /** The position at which another process was last seen to have written. */
    readonly foreignAt: () => number
  }
) => {
  const { events, lastEventId, now, reader, runs, values } = options
  const told = new ToldRun()
  /** How many of the events that were heard are told, or in what was told. */
  let done = 0

  const here = () => events.idOf(events.position())

  // who may see the runs around it is not asked here
  const snapshot = (seen: SeenRun) => {
    const { children: _, parents: __, ...run } = values ? seen.run : Values.without(seen.run)
    told.tellSnapshot(seen)
    return View.encode(View.viewSnapshot(here(), now(), run))
  }

  const tell = (event: Event): string =>
    event.type === "executor" || told.isOver || !told.tell(event)
      ? ""
      : View.encode(View.viewEvent(event))

  const deleted = Effect.sync(() =>
    tell({ type: "run", id: here(), at: now(), runId, workflow, status: "deleted" })
  )

  /** Of the steps that a snapshot has no room for, what their events would tell. */
  const outlinesAfter = ({ stepsCursor }: RunWithStepsView) =>
    Effect.gen(function* () {
      const rest: Array<StepOutline> = []
      const page = (cursor: string) => runs.steps({ runId, cursor, values: false })
      yield* StepPages.forEach(stepsCursor, page, (steps) =>
        Effect.sync(() => {
          for (const { attempt, name, status } of steps) rest.push({ name, attempt, status })
        })
      )
      return rest
    }).pipe(Effect.catchTag("InvalidCursor", Effect.die))

  const read = Effect.gen(function* () {
    const run = yield* runs.get(runId)
    return { run, rest: yield* outlinesAfter(run) } satisfies SeenRun
  }).pipe(
    Effect.catchTag("RunStoreError", (error) =>
      Effect.zipRight(
        Effect.logWarning("a run's events end: it cannot be read", error),
        Readers.over
      )
    )
  )

  /** The run while nothing happens to it here; what was heard until then is in it. */
  const begin: Effect.Effect<string, Option.Option<never>> = Effect.gen(function* () {
    for (let left = tries; ; left--) {
      const { heard } = reader
      const seen = yield* read
      if (heard !== reader.heard && left > 1) continue
      if (heard === reader.heard) {
        yield* reader.queue.clear
        done = heard
        if (reader.looks) Readers.askToLook(reader)
      }
      return snapshot(seen)
    }
  }).pipe(Effect.catchTag("RunNotFound", () => deleted))

  /** A new snapshot, where the run is not as it was told. */
  const look: Effect.Effect<string, Option.Option<never>> = Effect.gen(function* () {
    if (!reader.looks || told.isOver) return ""
    reader.looks = false
    const seen = yield* read
    // first what has happened here meanwhile
    if (done !== reader.heard) reader.looks = true
    return reader.looks || told.knows(seen) ? "" : snapshot(seen)
  }).pipe(Effect.catchTag("RunNotFound", () => deleted))

  const text = (items: Iterable<Readers.Item>) =>
    Effect.suspend(() => {
      let lines = ""
      for (const item of items) {
        if (item._tag === "keep-alive") lines += View.keepAlive(events.idOf(item.position))
        if (item._tag !== "event") continue
        done++
        lines += tell(item.event)
      }
      return Effect.map(look, (more) => lines + more)
    })

  const first = Effect.suspend(() => {
    const { missed, position, since } = reader.start
    if (lastEventId === undefined) return begin
    if (missed === undefined || since === undefined) {
      const reset = View.encode(View.viewReset(events.idOf(position), now()))
      return Effect.map(begin, (text) => reset + text)
    }
    const lines = missed.map(tell).join("")
    // what it came to, or has been through, may have been in another process
    reader.looks = isFinal(status) || since <= options.foreignAt()
    return Effect.map(look, (more) => lines + more)
  })

  return Readers.stream(reader, { first, text, isOver: () => told.isOver })
}
