/**
 * What a client makes of what goes wrong on the way to an executor.
 */

import * as HttpApiClient from "@effect/platform/HttpApiClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import { Api, InvalidJson, StoreNotAvailable, UnsupportedMediaType } from "../api/Api.js"
import { RunNotFound } from "../api/Runs.js"

/**
 * No executor answers at the base URL, it did not in time, or its store is not available; still so
 * after all retries.
 */
export class Unavailable extends Data.TaggedError("Unavailable")<{
  readonly message: string
  readonly cause?: unknown
}> {}

/**
 * What answers is not this API, or not a version of it that this client knows: a wrong base URL, a
 * proxy's own page. Trying again does not help.
 */
export class ProtocolError extends Data.TaggedError("ProtocolError")<{
  readonly message: string
}> {}

/** What says nothing about the request's own business; it becomes one of the two errors above. */
export type Wire =
  | HttpClientError.HttpClientError
  | ParseResult.ParseError
  | StoreNotAvailable
  | InvalidJson
  | UnsupportedMediaType

export const makeRuns = <E>(httpClient: HttpClient.HttpClient.With<E>) =>
  HttpApiClient.group(Api, { group: "runs", httpClient })

type RunsApi = Effect.Effect.Success<ReturnType<typeof makeRuns<never>>>

/** The API of runs, asked with the token. */
export type RunsAsked = Effect.Effect.Success<
  ReturnType<typeof makeRuns<HttpClientError.HttpClientError | Unavailable | ProtocolError>>
>

/**
 * How a request fails: as the API's definition says for its endpoint (`Unauthorized` for all of
 * them), as `Unavailable`, or as `ProtocolError`.
 */
export type RequestError<Endpoint extends keyof RunsApi> =
  | Unavailable
  | ProtocolError
  | Exclude<Effect.Effect.Error<ReturnType<RunsApi[Endpoint]>>, Wire>

/** `HttpApiClient` puts what it is given into the path as it is. */
export const segment = encodeURIComponent

/** A path leaves these out, however they are written: it would be the path of something else. */
const leftOut: ReadonlySet<string> = new Set(["", ".", ".."])

export const hasPath = (name: string): boolean => !leftOut.has(name)

/** Of a run whose id no request can name. */
export const noRun = (runId: string): RunNotFound =>
  new RunNotFound({ runId, message: `There is no run ${JSON.stringify(runId)}` })

/** A server that starts or stops, a store that is not available, a proxy with nothing behind it. */
export const isUp = ({ status }: HttpClientResponse.HttpClientResponse): boolean =>
  status !== 502 && status !== 503 && status !== 504

export const notUp = ({ request, status }: HttpClientResponse.HttpClientResponse) =>
  new Unavailable({ message: `${request.method} ${request.url} was answered with ${status}` })

export const isUnavailable = (error: unknown): error is Unavailable => error instanceof Unavailable

const isWire = (error: unknown): error is Wire =>
  HttpClientError.isHttpClientError(error) ||
  ParseResult.isParseError(error) ||
  error instanceof StoreNotAvailable ||
  error instanceof InvalidJson ||
  error instanceof UnsupportedMediaType

/** Never the error itself: it has the request, and that has the token. */
export const told = (error: Error): { readonly message: string; readonly cause?: unknown } =>
  error.cause === undefined
    ? { message: error.message }
    : { message: `${error.message}: ${reasonOf(error.cause)}`, cause: error.cause }

/** `fetch failed` says nothing; what it was caused by does. */
const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message
}

export const translate = (error: Wire): Unavailable | ProtocolError => {
  switch (error._tag) {
    case "StoreNotAvailable":
      return new Unavailable({ message: error.message })
    case "RequestError":
      return error.reason === "Transport"
        ? new Unavailable(told(error))
        : new ProtocolError({ message: error.message })
    case "ResponseError":
      // a body that ended too early has a cause, a status that the API does not know has none
      return error.cause === undefined
        ? new ProtocolError({ message: `${error.message}: not an answer of this API` })
        : new Unavailable(told(error))
    default:
      return new ProtocolError({ message: `Not an answer of this API: ${error.message}` })
  }
}

/** With the errors of `Wire` as one of the two. */
export const translated = <A, E, R>(
  request: Effect.Effect<A, E | Wire, R>
): Effect.Effect<A, Exclude<E, Wire> | Unavailable | ProtocolError, R> =>
  Effect.catchAll(
    request,
    (error): Effect.Effect<never, Exclude<E, Wire> | Unavailable | ProtocolError> =>
      Effect.fail(isWire(error) ? translate(error) : (error as Exclude<E, Wire>))
  )
