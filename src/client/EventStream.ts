/**
 * An executor's events as one stream, over as many connections as it takes: each goes on after the
 * last event of the one before.
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Forbidden } from "../api/Access.js"
import { Unauthorized } from "../api/Authorization.js"
import { contentType, EventView } from "../api/EventView.js"
import { RunNotFound } from "../api/Runs.js"
import { isFinal } from "../api/Status.js"
import * as ServerSentEvents from "./ServerSentEvents.js"
import * as Wire from "./Wire.js"

export interface EventsRequest {
  /** Of this run alone: what it is, then what happens to it until it is over. */
  readonly runId?: string | undefined
  /** Of runs of this workflow alone; the states of the Runner come all the same. */
  readonly workflow?: string | undefined
  /**
   * Where there are more events than anybody reads, only some of them, and a `reset` after each such
   * time. Not together with `runId`. Default: false, all of them.
   */
  readonly digest?: boolean | undefined
  /** Goes on after the event with this `id`. */
  readonly lastEventId?: string | undefined
}

/** What answers has no events: an older executor, or a proxy that does not let them through. */
export class NoEvents extends Data.TaggedError("NoEvents")<{ readonly message: string }> {}

export type StreamError =
  | Wire.Unavailable
  | Wire.ProtocolError
  | NoEvents
  | RunNotFound
  | Unauthorized
  | Forbidden

export interface StreamOptions {
  /** With the token, and failing where the executor is not up. */
  readonly httpClient: HttpClient.HttpClient.With<
    HttpClientError.HttpClientError | Wire.Unavailable | Wire.ProtocolError
  >
  /** How long the beginning of an answer may take. */
  readonly requestTimeout: Duration.Duration
  readonly retry: Schedule.Schedule<unknown>
  /** The longest pause before a stream that ended is opened again. */
  readonly longestPause: Duration.Duration
}

/** The executor says something every 15 seconds. */
const silence = Duration.seconds(45)

/** Nothing more will be told of the run. */
export const isEnd = (event: EventView): boolean => {
  switch (event.type) {
    case "run":
      return event.status === "deleted" || isFinal(event.status)
    case "snapshot":
      return isFinal(event.run.status)
    default:
      return false
  }
}

/** Ends when the run is over; of the executor, never by itself. */
export const make =
  (options: StreamOptions) =>
  (request: EventsRequest): Stream.Stream<EventView, StreamError> =>
    Stream.suspend(() => {
      const { runId } = request
      if (runId !== undefined && !Wire.hasPath(runId)) return Stream.fail(Wire.noRun(runId))
      let { lastEventId } = request
      let isOver = false
      const pause = makePause(options.longestPause)

      const read = ({ data, event, lastEventId: id }: ServerSentEvents.Message) => {
        lastEventId = id ?? lastEventId
        return data === undefined || !known.has(event)
          ? Effect.succeedNone
          : Effect.asSome(decode(data))
      }

      const connection = Stream.unwrap(
        Effect.zipRight(
          pause.wait,
          Effect.suspend(() => connect(options, request, lastEventId))
        ).pipe(
          Effect.zipLeft(pause.opened),
          Effect.map(
            Option.match({
              onNone: () => {
                isOver = true
                return Stream.empty
              },
              // that it was opened is an element: it was no failure, however soon it is cut
              onSome: (body) =>
                Stream.concat(
                  Stream.succeed(Option.none<EventView>()),
                  Stream.mapEffect(messagesOf(body), read)
                )
            })
          )
        )
      )

      return connection.pipe(
        Stream.retry(Schedule.whileInput(options.retry, Wire.isUnavailable)),
        Stream.repeat(Schedule.recurWhile(() => !isOver)),
        Stream.filterMap((event) => event),
        Stream.takeUntil((event) => request.runId !== undefined && isEnd(event))
      )
    })

const messagesOf = (
  body: Stream.Stream<Uint8Array, StreamError>
): Stream.Stream<ServerSentEvents.Message, StreamError> =>
  Stream.catchTag(ServerSentEvents.read(body), "EventTooLarge", ({ message }) =>
    Stream.fail(new Wire.ProtocolError({ message: `Not an event of this API: ${message}` }))
  )

/** Between two answers: longer and longer, unless the last one was of use. */
const makePause = (longest: Duration.Duration) => {
  const shortest = Duration.min(longest, "50 millis")
  let next = shortest
  let opened: number | undefined
  return {
    /** An answer has begun. */
    opened: Effect.map(Clock.currentTimeMillis, (now) => {
      opened = now
    }),
    wait: Effect.gen(function* () {
      if (opened === undefined) return
      const lasted = Duration.millis((yield* Clock.currentTimeMillis) - opened)
      if (Duration.greaterThan(lasted, longest)) next = shortest
      opened = undefined
      yield* Effect.sleep(next)
      next = Duration.min(Duration.times(next, 1.5), longest)
    })
  }
}

const known: ReadonlySet<string> = new Set(["run", "step", "executor", "snapshot", "reset"])

const decodeEvent = Schema.decode(Schema.parseJson(EventView))

const decode = (data: string) =>
  Effect.mapError(
    decodeEvent(data),
    (error) => new Wire.ProtocolError({ message: `Not an event of this API: ${error.message}` })
  )

/** The body of an answer; `None`: there is nothing more to tell of the run. */
const connect = (
  { httpClient, requestTimeout }: StreamOptions,
  { digest, runId, workflow }: EventsRequest,
  lastEventId: string | undefined
) => {
  const path = runId === undefined ? "/events" : `/runs/${Wire.segment(runId)}/events`
  const request = HttpClientRequest.get(path, {
    headers: {
      accept: contentType,
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId })
    },
    urlParams:
      runId !== undefined
        ? {}
        : {
            ...(workflow === undefined ? {} : { workflow }),
            ...(digest === true ? { digest } : {})
          }
  })
  return httpClient.execute(request).pipe(
    Effect.timeoutFail({
      duration: requestTimeout,
      onTimeout: () =>
        new Wire.Unavailable({ message: `No answer within ${Duration.format(requestTimeout)}` })
    }),
    Wire.translated,
    Effect.flatMap((response) => {
      if (response.status === 204) return Effect.succeedNone
      return response.status === 200 && response.headers["content-type"]?.startsWith(contentType)
        ? Effect.succeedSome(bodyOf(response))
        : Effect.flatMap(refusal(response), Effect.fail)
    })
  )
}

const bodyOf = (response: HttpClientResponse.HttpClientResponse) => {
  let hasBegun = false
  return response.stream.pipe(
    Stream.mapError(Wire.translate),
    Stream.timeoutFail(
      () =>
        hasBegun
          ? new Wire.Unavailable({ message: `No event within ${Duration.format(silence)}` })
          : // what keeps a body back until it ends
            new NoEvents({ message: "The answer did not begin" }),
      silence
    ),
    Stream.tap(() =>
      Effect.sync(() => {
        hasBegun = true
      })
    )
  )
}

const refusals = Schema.parseJson(Schema.Union(RunNotFound, Unauthorized, Forbidden))

/** An error of the API; else what answers has no events. */
const refusal = (response: HttpClientResponse.HttpClientResponse) =>
  response.text.pipe(
    Effect.flatMap(Schema.decode(refusals)),
    Effect.orElseSucceed(
      () =>
        new NoEvents({
          message: `${response.request.url} has no events: it was answered with ${response.status}`
        })
    )
  )
