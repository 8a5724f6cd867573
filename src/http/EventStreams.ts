/**
 * Events as the lines that readers are sent.
 *
 * Readers go on all through a drain, and are ended when the Runner has stopped or the server is
 * released, whichever comes first.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as View from "../api/EventView.js"
import type { RunnerState } from "../api/RunnerState.js"
import { Dispatcher } from "../engine/held/Dispatcher.js"
import { type Event, Events } from "../events/Events.js"
import * as KeepGoing from "../internal/KeepGoing.js"
import { Runs, type RunWithStepsView } from "../runner/Runs.js"
import { isFinal, RunStore } from "../store/RunStore.js"
import * as EventDigest from "./EventDigest.js"
import * as Readers from "./EventReaders.js"
import * as RunEvents from "./RunEvents.js"

export interface AllOptions<E> extends Readers.ReaderOptions {
  /** Only runs of this workflow; the Runner's states come all the same. */
  readonly workflow: string | undefined
  /** Whether only some are told where there are many; see `EventDigest`. */
  readonly digest: boolean
  /** Whether the reader may see it. Where it fails, the stream ends. */
  readonly shows: (event: Event) => Effect.Effect<boolean, E>
}

export interface RunOptions extends Readers.ReaderOptions {
  /** Whether the reader is told payloads, results and what errors say. */
  readonly values: boolean
}

export class EventStreams extends Context.Tag("effect-workflow-executor/http/EventStreams")<
  EventStreams,
  {
    /** The Runner's state, then everything that happens in this process. */
    readonly all: <E>(options: AllOptions<E>) => Stream.Stream<string>
    /** A snapshot of the run, then what happens to it, until it is over. */
    readonly ofRun: (run: RunWithStepsView, options: RunOptions) => Stream.Stream<string>
    /** Whether whoever knows this event of a run that is over knows all of it. */
    readonly isLast: (runId: string, eventId: string) => boolean
    /** Ends all streams, and those to come, once they have told what happened until now. */
    readonly end: Effect.Effect<void>
  }
>() {}

export const make = Effect.gen(function* () {
  const events = yield* Events
  const runs = yield* Runs
  const clock = yield* Effect.clock
  const now = () => clock.unsafeCurrentTimeMillis()
  const readers = Readers.make(events, yield* EventDigest.make(events))
  const { tellState, toldState } = yield* makeStates(events, now)
  const { foreignAt, watchOthers } = yield* makeOthers(events, readers)

  const { state } = yield* Dispatcher
  const sayState = (current: RunnerState) => {
    tellState(current)
    if (current === "stopped") readers.end()
  }
  yield* state.changes.pipe(
    Stream.runForEach((current) =>
      Effect.catchAllDefect(
        Effect.sync(() => sayState(current)),
        (defect) => Effect.logError("the executor's state was not told", Cause.die(defect))
      )
    ),
    Effect.forkScoped
  )
  const end = Effect.map(SubscriptionRef.get(state), (current) => {
    // the fiber above may not have come so far
    tellState(current)
    readers.end()
  })
  yield* Effect.addFinalizer(() => end)

  const all = <E>(options: AllOptions<E>) =>
    Effect.map(
      readers.open(options, { wants: isWanted(options.workflow), digest: options.digest }),
      (reader) => streamOfAll(reader, { ...options, events, now, state: toldState() })
    )

  const ofRun = (run: RunWithStepsView, options: RunOptions) =>
    Effect.zipRight(watchOthers, readers.open(options, { runId: run.runId })).pipe(
      Effect.map((reader) => {
        const { lastEventId, values } = options
        return RunEvents.stream(run, { reader, lastEventId, values, events, runs, now, foreignAt })
      })
    )

  return EventStreams.of({
    all: (options) => Stream.unwrapScoped(all(options)),
    ofRun: (run, options) => Stream.unwrapScoped(ofRun(run, options)),
    isLast: (runId, eventId) => {
      const event = events.find(eventId)
      return (
        event?.type === "run" &&
        event.runId === runId &&
        (event.status === "deleted" || isFinal(event.status)) &&
        events.since(eventId, runId)?.length === 0
      )
    },
    end
  })
})

export const layer: Layer.Layer<EventStreams, never, Events | Runs | RunStore | Dispatcher> =
  Layer.scoped(EventStreams, make)

/**
 * Ends the streams when it is released. Acquire it after what closes the server, so that the
 * connections of readers are idle when it does.
 */
export const layerEnd: Layer.Layer<never, never, EventStreams> = Layer.scopedDiscard(
  Effect.flatMap(EventStreams, ({ end }) => Effect.addFinalizer(() => end))
)

// ---------------------------------------------------------------------------------------------
// The Runner
// ---------------------------------------------------------------------------------------------

const states: ReadonlyArray<RunnerState> = ["idle", "running", "draining", "stopped"]

/** What a Runner has been through from one state to another; it goes one way. */
const between = (from: RunnerState, to: RunnerState): ReadonlyArray<RunnerState> => {
  const passed = states.slice(states.indexOf(from) + 1, states.indexOf(to) + 1)
  return passed.length > 0 || from === to ? passed : [to]
}

const makeStates = (events: Events["Type"], now: () => number) =>
  Effect.gen(function* () {
    let told = yield* SubscriptionRef.get((yield* Dispatcher).state)
    return {
      toldState: () => told,
      tellState: (state: RunnerState) => {
        for (const passed of between(told, state)) {
          events.publish({ type: "executor", at: now(), state: passed })
        }
        told = state
      }
    }
  })

// ---------------------------------------------------------------------------------------------
// Other processes
// ---------------------------------------------------------------------------------------------

/**
 * Has the readers look at their runs when another process has written: it may have executed them.
 * Begins with the first of them. The more they are, the less often they look.
 */
const makeOthers = (events: Events["Type"], readers: Readers.EventReaders) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const scope = yield* Effect.scope
    let foreignAt = -1
    const watchOthers = Effect.gen(function* () {
      const changes = yield* Scope.extend(store.changes, scope)
      // what others wrote before was not seen; a reader who begins now is told of it
      foreignAt = events.position() - 1
      const round = Effect.gen(function* () {
        const change = yield* changes.take
        const more = yield* changes.takeAll
        if (!change.foreign && ![...more].some(({ foreign }) => foreign)) return
        foreignAt = events.position()
        readers.look()
        // what is written meanwhile is one more look, not one each: a busy neighbour must not have
        // every reader ask the store at each of its commits
        yield* Effect.sleep(Duration.millis(50 + readers.ofRuns()))
      })
      yield* Effect.forkIn(
        Effect.interruptible(KeepGoing.forever("looking for what others executed", round)),
        scope
      )
    })
    return {
      foreignAt: () => foreignAt,
      watchOthers: yield* Effect.cached(Effect.uninterruptible(watchOthers))
    }
  })

// ---------------------------------------------------------------------------------------------
// All events
// ---------------------------------------------------------------------------------------------

const isWanted = (workflow: string | undefined) => (event: Event) =>
  workflow === undefined || event.type === "executor" || event.workflow === workflow

const madeLine = (event: Event): string => View.encode(View.viewEvent(event))

/** The few of a digest are made once, for all who read it. */
const encoded = new WeakMap<Event, string>()

const lineOf = (event: Event): string => {
  const known = encoded.get(event)
  if (known !== undefined) return known
  const line = madeLine(event)
  encoded.set(event, line)
  return line
}

const streamOfAll = <E>(
  reader: Readers.Opened,
  options: AllOptions<E> & {
    readonly events: Events["Type"]
    readonly now: () => number
    readonly state: RunnerState
  }
) => {
  const { digest, events, lastEventId, now, shows } = options
  const line = digest ? lineOf : madeLine

  const lines = (item: Readers.Item) => {
    switch (item._tag) {
      case "event":
        return Effect.map(shows(item.event), (shown) => (shown ? line(item.event) : ""))
      case "keep-alive":
        return Effect.succeed(View.keepAlive(events.idOf(item.position)))
      case "left-out":
        return Effect.sync(() => View.encode(View.viewReset(events.idOf(item.position), now())))
      case "look":
        return Effect.succeed("")
    }
  }

  const text = (items: Iterable<Readers.Item>) =>
    Effect.forEach(items, lines).pipe(
      Effect.map((all) => all.join("")),
      Effect.catchAll(() => Readers.over)
    )

  const first = Effect.suspend(() => {
    const { missed, position } = reader.start
    const isKnown = missed !== undefined && lastEventId !== undefined
    if (isKnown) {
      const wanted = missed.filter(isWanted(options.workflow))
      return text(wanted.map((event) => ({ _tag: "event", event })))
    }
    const id = events.idOf(position)
    const reset = lastEventId === undefined ? "" : View.encode(View.viewReset(id, now()))
    return Effect.succeed(reset + View.encode(View.viewState(id, now(), options.state)))
  })

  return Readers.stream(reader, { first, text, isOver: () => false })
}
