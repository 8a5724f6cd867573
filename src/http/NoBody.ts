/** Requests that take no body. */
import * as HttpApiError from "@effect/platform/HttpApiError"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const Nothing = Schema.Record({ key: Schema.String, value: Schema.Unknown }).pipe(
  Schema.filter((body) =>
    Object.keys(body).map((field) => ({
      path: [field],
      message: "is unexpected: this request takes no body"
    }))
  )
)

const decode = Schema.decodeUnknown(Nothing)

/**
 * Does it unless the request has a body that says something: whoever sent that would think that it was
 * heeded. `{}` says nothing.
 */
export const expected = <A, E, R>(
  { headers, json }: HttpServerRequest.HttpServerRequest,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | HttpApiError.HttpApiDecodeError, R> =>
  headers["content-length"] === "0"
    ? effect
    : Effect.orDie(json).pipe(
        Effect.flatMap(decode),
        Effect.catchTag("ParseError", HttpApiError.HttpApiDecodeError.refailParseError),
        Effect.zipRight(effect)
      )
