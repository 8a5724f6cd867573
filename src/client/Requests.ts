/** How a request is made: with the token, in time, and again while nobody answers. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Schedule from "effect/Schedule"
import {
  hasPath,
  isUnavailable,
  isUp,
  noRun,
  notUp,
  ProtocolError,
  segment,
  translated,
  Unavailable,
  type Wire
} from "./Wire.js"

type Token = Redacted.Redacted | Effect.Effect<Redacted.Redacted> | undefined

export interface RequestsOptions {
  readonly baseUrl: string | URL
  /** Evaluated for each request. */
  readonly token: Token
  readonly retry: Schedule.Schedule<unknown>
  /** For one request, its answer included. */
  readonly requestTimeout: Duration.Duration
}

export type Requests = Effect.Effect.Success<ReturnType<typeof make>>

export const make = ({ baseUrl, requestTimeout, retry, token }: RequestsOptions) =>
  Effect.map(HttpClient.HttpClient, (httpClient) => {
    const anyone = HttpClient.mapRequest(httpClient, HttpClientRequest.prependUrl(String(baseUrl)))
    const authorized = anyone.pipe(
      HttpClient.mapRequestEffect(authorize(token)),
      HttpClient.transformResponse(Effect.filterOrFail(isUp, notUp))
    )

    const inTime = Effect.timeoutFail({
      duration: requestTimeout,
      onTimeout: () =>
        new Unavailable({ message: `No answer within ${Duration.format(requestTimeout)}` })
    })

    const callOnce = <A, E>(request: Effect.Effect<A, E | Wire | Unavailable>) =>
      translated(inTime(request))

    const call = <A, E>(request: Effect.Effect<A, E | Wire | Unavailable>) =>
      Effect.retry(callOnce(request), { schedule: retry, while: isUnavailable })

    return {
      /** Without the token. */
      anyone,
      authorized,
      inTime,
      callOnce,
      call,
      /** A request for one run, by the path's segment that names it. */
      ofRun: <A, E>(
        runId: string,
        request: (runId: string) => Effect.Effect<A, E | Wire | Unavailable | ProtocolError>
      ) => (hasPath(runId) ? call(request(segment(runId))) : Effect.fail(noRun(runId)))
    }
  })

const authorize =
  (token: Token) =>
  (
    request: HttpClientRequest.HttpClientRequest
  ): Effect.Effect<HttpClientRequest.HttpClientRequest, ProtocolError> =>
    token === undefined
      ? Effect.succeed(request)
      : Effect.flatMap(Effect.isEffect(token) ? token : Effect.succeed(token), (token) =>
          sendable.test(Redacted.value(token))
            ? Effect.succeed(HttpClientRequest.bearerToken(request, token))
            : Effect.fail(new ProtocolError({ message: "The token cannot be sent in a header" }))
        )

/** What cannot stand in a header would come back whole in an error of `fetch`. */
const sendable = /^[\x21-\x7e]+$/
