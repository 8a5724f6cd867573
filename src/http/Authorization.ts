/**
 * Who may use the API: whoever presents a bearer token that was signed with the executor's secret.
 *
 * Tokens are JWTs, HS256 and nothing else; `exp` and `nbf` are honoured where they are there.
 */

import { webcrypto } from "node:crypto"
import {
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  HttpServerRequest
} from "@effect/platform"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { errors, jwtVerify, SignJWT } from "jose"

const reasons = ["token missing", "token invalid", "token expired", "token not yet valid"] as const

/** The request carries no token that lets it in. The message never says more than the reason. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()(
  "Unauthorized",
  { message: Schema.Literal(...reasons) },
  HttpApiSchema.annotations({ status: 401 })
) {}

/** The secret cannot be a key. */
export class InvalidAuthSecret extends Data.TaggedError("InvalidAuthSecret")<{
  readonly message: string
}> {}

export interface SignOptions {
  /** Who the token is for: the `sub` claim. Default: none. */
  readonly subject?: string | undefined
  /** From when on it is valid, counted from now: the `nbf` claim. Default: at once, no claim. */
  readonly notBefore?: Duration.DurationInput | undefined
  /** How long it is valid, counted from now: the `exp` claim. Default: 1 day. */
  readonly expiresIn?: Duration.DurationInput | undefined
}

/** Signs and checks bearer tokens. Time is Effect's Clock's. */
export class Tokens extends Context.Tag("effect-workflow-executor/Tokens")<
  Tokens,
  {
    readonly verify: (token: Redacted.Redacted) => Effect.Effect<void, Unauthorized>
    readonly sign: (options?: SignOptions) => Effect.Effect<Redacted.Redacted>
  }
>() {}

const algorithm = "HS256"

const seconds = (millis: number): number => Math.floor(millis / 1000)

const refusal = (error: unknown): Unauthorized => {
  if (error instanceof errors.JWTExpired) return new Unauthorized({ message: "token expired" })
  const early =
    error instanceof errors.JWTClaimValidationFailed &&
    error.claim === "nbf" &&
    error.reason === "check_failed"
  return new Unauthorized({ message: early ? "token not yet valid" : "token invalid" })
}

const importKey = (secret: Uint8Array) =>
  Effect.promise(() =>
    webcrypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, [
      "sign",
      "verify"
    ])
  )

const makeFromBytes = Effect.fnUntraced(function* (secret: Uint8Array) {
  // imported once: per request it would cost as much as the check itself
  const key = yield* importKey(secret)

  const verify = Effect.fnUntraced(function* (token: Redacted.Redacted) {
    const currentDate = new Date(yield* Clock.currentTimeMillis)
    yield* Effect.tryPromise({
      try: () => jwtVerify(Redacted.value(token), key, { algorithms: [algorithm], currentDate }),
      catch: refusal
    })
  })

  const sign = Effect.fnUntraced(function* (options: SignOptions = {}) {
    const now = yield* Clock.currentTimeMillis
    const after = (input: Duration.DurationInput) => seconds(now + Duration.toMillis(input))
    const jwt = new SignJWT()
      .setProtectedHeader({ alg: algorithm, typ: "JWT" })
      .setIssuedAt(seconds(now))
      .setExpirationTime(after(options.expiresIn ?? Duration.days(1)))
    if (options.notBefore !== undefined) jwt.setNotBefore(after(options.notBefore))
    if (options.subject !== undefined) jwt.setSubject(options.subject)
    return Redacted.make(yield* Effect.promise(() => jwt.sign(key)))
  })

  return Tokens.of({ verify, sign })
})

/**
 * Tokens of a given secret, its UTF-8 text being the key. Fails when it is empty; warns when it is
 * shorter than the 32 bytes that HS256 asks for.
 */
export const makeTokens = Effect.fnUntraced(function* (secret: Redacted.Redacted) {
  const bytes = new TextEncoder().encode(Redacted.value(secret))
  if (bytes.length === 0) {
    return yield* new InvalidAuthSecret({ message: "The secret of the bearer tokens is empty" })
  }
  if (bytes.length < 32) {
    yield* Effect.logWarning(
      "The secret of the bearer tokens is shorter than 32 bytes: it can be guessed"
    )
  }
  return yield* makeFromBytes(bytes)
})

export const layerTokens = (secret: Redacted.Redacted): Layer.Layer<Tokens, InvalidAuthSecret> =>
  Layer.effect(Tokens, makeTokens(secret))

/** Tokens of a random secret: valid until this process ends. */
export const layerTokensRandom: Layer.Layer<Tokens> = Layer.effect(
  Tokens,
  Effect.suspend(() => makeFromBytes(webcrypto.getRandomValues(new Uint8Array(32))))
)

/** Lets requests through that carry a valid bearer token. */
export class Authorization extends HttpApiMiddleware.Tag<Authorization>()(
  "effect-workflow-executor/Authorization",
  { failure: Unauthorized, security: { bearer: HttpApiSecurity.bearer } }
) {}

const bearer = /^bearer +\S/i

export const layer: Layer.Layer<Authorization, never, Tokens> = Layer.effect(
  Authorization,
  Effect.map(Tokens, ({ verify }) =>
    Authorization.of({
      bearer: (token) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
          const header = headers.authorization
          if (header === undefined) return new Unauthorized({ message: "token missing" })
          // the platform takes what follows the first seven characters, whatever the scheme
          return bearer.test(header)
            ? verify(token)
            : new Unauthorized({ message: "token invalid" })
        })
    })
  )
)
