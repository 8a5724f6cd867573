/**
 * Those who read events over HTTP: each with a queue of its own, which is bounded, so that one who
 * does not read costs no more than that.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as View from "../api/EventView.js"
import type { Event, Events, Start } from "../events/Events.js"
import * as Metrics from "../telemetry/Metrics.js"
import type { EventDigest } from "./EventDigest.js"

/** A reader who has not read so many events is ended, and comes back for them. */
const capacity = 1_024

/** Below what proxies take for silence. */
const keepAliveEvery = Duration.seconds(15)

/** What a reader's queue holds. */
export type Item =
  | { readonly _tag: "event"; readonly event: Event }
  | { readonly _tag: "keep-alive"; readonly position: number }
  /** Events were left out, up to that of this sequence. */
  | { readonly _tag: "left-out"; readonly position: number }
  /** Look at the run itself: see `Reader.looks`. */
  | { readonly _tag: "look" }

export interface Reader {
  readonly queue: Mailbox.Mailbox<Item>
  /** How many events it has been offered. */
  heard: number
  /** It had no room for one. */
  overflown: boolean
  /** Its run may have changed in another process. */
  looks: boolean
}

export interface Opened extends Reader {
  readonly start: Start
}

export interface ReaderOptions {
  /** The id of the last event that the reader knows. */
  readonly lastEventId: string | undefined
  /** When its stream ends, whatever happens: milliseconds since the epoch. */
  readonly endsAt: number | undefined
}

export interface EventReaders {
  readonly open: (
    options: ReaderOptions,
    filter: {
      readonly runId?: string | undefined
      readonly wants?: ((event: Event) => boolean) | undefined
      /** Whether only some are told where there are many. Of all runs. */
      readonly digest?: boolean | undefined
    }
  ) => Effect.Effect<Opened, never, Scope.Scope>
  /** Has those who read of one run look at it. */
  readonly look: () => void
  /** How many read of one run. */
  readonly ofRuns: () => number
  /** Ends them all, and those to come, once they have read what is in their queues. */
  readonly end: () => void
}

export const make = (events: Events["Type"], digest: EventDigest): EventReaders => {
  const readers = new Set<Reader>()
  const ofRuns = new Set<Reader>()
  let ended = false

  const enter = (reader: Reader, isOfRun: boolean) => {
    readers.add(reader)
    if (isOfRun) ofRuns.add(reader)
    Metrics.eventReaders(1)
    if (ended) close(reader)
  }

  const leave = (reader: Reader) => {
    readers.delete(reader)
    ofRuns.delete(reader)
    Metrics.eventReaders(-1)
  }

  const look = (reader: Reader, wants: (event: Event) => boolean, after: string | undefined) => {
    const looking = {
      tell: (event: Event) => {
        if (!reader.overflown && wants(event)) hear(reader, event)
      },
      leftOut: (position: number) => {
        reader.queue.unsafeOffer({ _tag: "left-out", position })
      }
    }
    return Effect.acquireRelease(
      Effect.sync(() => digest.add(looking, after)),
      () => Effect.sync(() => digest.remove(looking))
    )
  }

  const open: EventReaders["open"] = (options, filter) =>
    Effect.gen(function* () {
      const queue = yield* Mailbox.make<Item>({ capacity, strategy: "dropping" })
      const reader: Reader = { queue, heard: 0, overflown: false, looks: false }
      const { runId, wants = () => true } = filter
      const offer = (event: Event) => !wants(event) || hear(reader, event)
      const start = yield* filter.digest === true
        ? look(reader, wants, options.lastEventId)
        : events.listen({ runId, offer }, options.lastEventId)
      yield* Effect.acquireRelease(
        Effect.sync(() => enter(reader, runId !== undefined)),
        () => Effect.sync(() => leave(reader))
      )
      yield* Effect.forkScoped(tick(reader, events.position, options.endsAt))
      return Object.assign(reader, { start })
    })

  return {
    open,
    look: () => {
      for (const reader of ofRuns) askToLook(reader)
    },
    ofRuns: () => ofRuns.size,
    end: () => {
      ended = true
      for (const reader of readers) close(reader)
    }
  }
}

const close = ({ queue }: Reader) => queue.unsafeDone(Exit.void)

/** Where there is no room it ends: who publishes does not wait. */
const hear = (reader: Reader, event: Event): boolean => {
  reader.heard++
  if (reader.queue.unsafeOffer({ _tag: "event", event })) return true
  reader.overflown = true
  close(reader)
  return false
}

export const askToLook = (reader: Reader): void => {
  reader.looks = true
  reader.queue.unsafeOffer({ _tag: "look" })
}

/** Keeps the connection in use, and ends the stream in time. */
const tick = (reader: Reader, position: () => number, endsAt = Number.POSITIVE_INFINITY) =>
  Effect.gen(function* () {
    while (true) {
      const left = endsAt - (yield* Clock.currentTimeMillis)
      if (left <= 0) return close(reader)
      yield* Effect.sleep(Duration.min(keepAliveEvery, Duration.millis(left)))
      reader.queue.unsafeOffer({ _tag: "keep-alive", position: position() })
    }
  })

/** Ends a stream; not a failure. */
export const over = Effect.fail(Option.none<never>())

/**
 * What a reader is sent: `first`, then what `text` makes of its queue, until `isOver`. Where either
 * fails it ends.
 */
export const stream = (
  reader: Reader,
  parts: {
    readonly first: Effect.Effect<string, Option.Option<never>>
    readonly text: (items: Iterable<Item>) => Effect.Effect<string, Option.Option<never>>
    readonly isOver: () => boolean
  }
): Stream.Stream<string> => {
  const next = Effect.suspend(() =>
    parts.isOver()
      ? over
      : Effect.flatMap(reader.queue.takeAll, ([items, done]) =>
          done && items.length === 0 ? over : parts.text(items)
        )
  )
  return Stream.make(View.head).pipe(
    Stream.concat(
      Stream.unwrap(
        Effect.match(parts.first, {
          onFailure: () => Stream.empty,
          onSuccess: (first) => Stream.concat(Stream.make(first), Stream.repeatEffectOption(next))
        })
      )
    ),
    Stream.concat(Stream.suspend(() => Stream.make(reader.overflown ? View.overflow : ""))),
    Stream.filter((lines) => lines !== "")
  )
}
