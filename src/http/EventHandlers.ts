/**
 * The handlers of the endpoints for events: server-sent events (`text/event-stream`).
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Api } from "../api/Api.js"
import { contentType } from "../api/EventView.js"
import type { Event } from "../events/Events.js"
import { Runs } from "../runner/Runs.js"
import { isFinal } from "../store/RunStore.js"
import * as Access from "./Access.js"
import type { ReaderOptions } from "./EventReaders.js"
import { EventStreams } from "./EventStreams.js"
import { orNotAvailable } from "./StoreFailures.js"
import * as Values from "./Values.js"

/** What a proxy is not to keep back until there is more of it. */
const unbuffered = { "x-accel-buffering": "no" }

const answer = (lines: Stream.Stream<string>) =>
  HttpServerResponse.stream(Stream.encodeText(lines), { contentType, headers: unbuffered })

/** Whoever reads is let in until the token expires. */
const readerOptions = (lastEventId: string | undefined) =>
  Effect.map(
    Access.Principal,
    ({ claims }): ReaderOptions => ({
      // an empty one is what an EventSource sends that knows none
      lastEventId: lastEventId === "" ? undefined : lastEventId,
      endsAt: typeof claims.exp === "number" ? claims.exp * 1_000 : undefined
    })
  )

/** What the request may see. It is asked when its handler is done, so all that it needs is kept. */
const shown = Effect.gen(function* () {
  const context = yield* Effect.context<Access.Principal>()
  return (yield* Access.isOpen)
    ? () => Effect.succeed(true)
    : (event: Event) =>
        event.type === "executor"
          ? Effect.succeed(true)
          : Effect.provide(Access.allowed("read", event), context)
})

export const layer = HttpApiBuilder.group(Api, "events", (handlers) =>
  Effect.gen(function* () {
    const runs = yield* Runs
    const streams = yield* EventStreams
    return handlers
      .handle("events", ({ headers, urlParams }) =>
        Effect.gen(function* () {
          const options = yield* readerOptions(headers["last-event-id"])
          return answer(
            streams.all({
              ...options,
              workflow: urlParams.workflow,
              digest: urlParams.digest === true,
              shows: yield* shown
            })
          )
        })
      )
      .handle("runEvents", ({ headers, path }) =>
        Effect.gen(function* () {
          const run = yield* orNotAvailable(runs.get(path.runId))
          const options = yield* readerOptions(headers["last-event-id"])
          const { lastEventId } = options
          const knowsAll =
            isFinal(run.status) &&
            lastEventId !== undefined &&
            streams.isLast(path.runId, lastEventId)
          // to an EventSource, anything else means that there is more to come
          return knowsAll
            ? HttpServerResponse.empty()
            : answer(streams.ofRun(run, { ...options, values: yield* Values.shown }))
        })
      )
  })
)
