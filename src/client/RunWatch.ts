/**
 * A run, watched until it is over: by its events, and where there are none, by looking.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { EventView } from "../api/EventView.js"
import type { RunWithStepsView } from "../api/RunView.js"
import { isFinal } from "../store/RunStore.js"
import { type EventsRequest, isEnd, type StreamError } from "./EventStream.js"
import type { RequestError } from "./Wire.js"

type Look = Effect.Effect<RunWithStepsView, RequestError<"get">>

export interface WatchOptions {
  readonly events: (request: EventsRequest) => Stream.Stream<EventView, StreamError>
  /** The run with its first steps. */
  readonly get: (runId: string) => Look
  /** When to look, where there are no events. */
  readonly looks: Schedule.Schedule<unknown>
}

/** Looks at the run for what has happened, but for a snapshot, which is a look. */
const runOf =
  (get: Look) =>
  (event: EventView): Look =>
    event.type === "snapshot" ? Effect.succeed(event.run) : get

const isOver = ({ status }: RunWithStepsView) => isFinal(status)

const untilOver = ({ get, looks }: WatchOptions, runId: string) =>
  Stream.repeatEffectWithSchedule(get(runId), looks).pipe(Stream.takeUntil(isOver))

/** The run with its first steps, now and whenever it has changed, until it is over. */
export const watch =
  (options: WatchOptions) =>
  (runId: string): Stream.Stream<RunWithStepsView, RequestError<"get">> =>
    options.events({ runId }).pipe(
      // of what came together, one look is enough
      Stream.mapChunksEffect((events) =>
        Chunk.isNonEmpty(events)
          ? Effect.map(runOf(options.get(runId))(Chunk.lastNonEmpty(events)), Chunk.of)
          : Effect.succeed(Chunk.empty<RunWithStepsView>())
      ),
      // one that was retried meanwhile goes on
      Stream.concat(untilOver(options, runId)),
      Stream.takeUntil(isOver),
      Stream.catchTag("NoEvents", () => untilOver(options, runId))
    )

/** The run once it is over; at once where it is one of another workflow. */
export const awaitEnd = (options: WatchOptions, workflow: string, runId: string): Look => {
  const isAnswer = (run: RunWithStepsView) => isOver(run) || run.workflow !== workflow
  return options.events({ runId }).pipe(
    Stream.filter((event) => event.type === "snapshot" || isEnd(event)),
    Stream.mapEffect(runOf(options.get(runId))),
    Stream.concat(untilOver(options, runId)),
    Stream.catchTag("NoEvents", () => untilOver(options, runId)),
    Stream.filter(isAnswer),
    Stream.runHead,
    Effect.flatten,
    // looking goes on until there is an answer
    Effect.catchTag("NoSuchElementException", Effect.die)
  )
}
