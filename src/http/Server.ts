/**
 * An HTTP server whose release is bounded.
 *
 * `NodeHttpServer` alone releases the request handler first and then waits, without bound, for the
 * last connection to go: an idle keep-alive connection, a slow reader or half a request holds it for
 * as long as the client likes. Here `layerClose`, acquired after the handlers, closes before they
 * go.
 */

import * as HttpServer from "@effect/platform/HttpServer"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import * as Given from "../internal/Given.js"
import { turn } from "../internal/Turn.js"
import { within } from "../internal/Within.js"
import * as Connections from "./Connections.js"

export interface ServerOptions {
  /** Name or address to listen on. Default: `127.0.0.1`, this machine only. */
  readonly host?: string | undefined
  /** 0 to 65535; 0 takes a free one. Default: 3400. */
  readonly port?: number | undefined
  /**
   * How long a connection that is in use may stay when the server closes, before it is cut.
   * Default: 1 second.
   */
  readonly closeTimeout?: Duration.DurationInput | undefined
}

/** The server could not listen. */
export class HttpListenError extends Data.TaggedError("HttpListenError")<{
  readonly host: string
  readonly port: number
  readonly reason: string
  readonly cause?: unknown
}> {
  override get message() {
    return `Cannot listen on ${this.host}:${this.port}: ${this.reason}`
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use",
  EACCES: "not permitted",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "no such host"
}

const reasonOf = (cause: unknown): string => {
  if (Predicate.hasProperty(cause, "code") && typeof cause.code === "string") {
    const reason = reasons[cause.code]
    return reason === undefined ? cause.code : `${reason} (${cause.code})`
  }
  return String(cause)
}

/** How an open server is closed. */
export class Listener extends Context.Tag("effect-workflow-executor/http/Listener")<
  Listener,
  {
    /**
     * Stops listening, lets requests that are under way be answered for `closeTimeout`, then cuts
     * what is still open. Dies when the server could not be closed, after everything else is.
     * Happens once.
     */
    readonly close: Effect.Effect<void>
  }
>() {}

/** Lets what has already arrived be read. */
const arrivalsRead = Effect.zipRight(turn, turn)

const makeClose = (
  { close, cut, lastAnswers }: Connections.Connections,
  closeTimeout: Duration.DurationInput
) =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<void, Error>()
    lastAnswers()
    yield* arrivalsRead
    close((error) =>
      Deferred.unsafeDone(closed, error === undefined ? Effect.void : Effect.fail(error))
    )
    yield* within(closeTimeout)(Effect.ignore(Deferred.await(closed)))
    const open = cut()
    if (open > 0) yield* Effect.logInfo(`HTTP connections that were still open were cut: ${open}`)
    yield* Deferred.await(closed).pipe(
      Effect.tapError((error) =>
        Effect.logError("The HTTP server did not close properly", Cause.fail(error))
      ),
      Effect.orDie
    )
  })

const make = Effect.fnUntraced(function* (options: ServerOptions) {
  const host = options.host ?? "127.0.0.1"
  const port = options.port ?? 3400
  const failed = (reason: string, cause?: unknown) =>
    new HttpListenError({ host, port, reason, cause })
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    return yield* failed("a port is a whole number from 0 to 65535")
  }
  const closeTimeout = Given.duration("http.closeTimeout", options.closeTimeout ?? "1 second")
  const connections = Connections.make()
  const { server } = connections
  const httpServer = yield* NodeHttpServer.make(() => server, { host, port }).pipe(
    Effect.mapError(({ cause }) => failed(reasonOf(cause), cause))
  )
  const runFork = Runtime.runFork(yield* Effect.runtime())
  // such as no file descriptor being left for another connection; unheard it would end the process
  server.on("error", (error) => runFork(Effect.logWarning("HTTP server error", Cause.fail(error))))
  const close = yield* Effect.once(makeClose(connections, closeTimeout))
  // for a start that fails after this; otherwise `layerClose` has been here first
  yield* Effect.addFinalizer(() => close)
  return Context.make(HttpServer.HttpServer, httpServer).pipe(Context.add(Listener, { close }))
})

/** Listens at once; until something is served, requests are answered with 503. */
export const layer = (
  options: ServerOptions = {}
): Layer.Layer<HttpServer.HttpServer | Listener, HttpListenError> =>
  Layer.scopedContext(make(options))

/**
 * Closes the server when it is released. Acquire it after the handlers, so that they are still
 * there to answer what is under way.
 */
export const layerClose: Layer.Layer<never, never, Listener> = Layer.scopedDiscard(
  Effect.flatMap(Listener, ({ close }) => Effect.addFinalizer(() => close))
)
