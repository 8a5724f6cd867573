/**
 * Who may use the API: whoever presents a bearer token that was signed with one of the executor's
 * secrets.
 *
 * Tokens are JWTs, HS256 and nothing else. Claims are honoured where they are there, and none must
 * be:
 * - `exp` and `nbf`, to the second: no tolerance for clocks that differ. Where the signer's clock
 *   may be ahead, leave `nbf` out; `iat` is not looked at.
 * - `scope`: the token's scopes, separated by blanks (RFC 8693, 4.2). A token without the claim may
 *   do everything; one with an empty claim, nothing. Unknown scopes are left aside.
 * - `sub`: who it is, for the app's `RunAccess`.
 */

import { webcrypto } from "node:crypto"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { decodeJwt, errors, type JWTPayload, jwtVerify, SignJWT } from "jose"
import { Principal, type Scope, scopes } from "../api/Access.js"
import { Authorization, Unauthorized } from "../api/Authorization.js"
import * as Given from "../internal/Given.js"
import * as VerifiedTokens from "./VerifiedTokens.js"

export { Authorization, Unauthorized } from "../api/Authorization.js"

/** A secret cannot be a key. */
export class InvalidAuthSecret extends Data.TaggedError("InvalidAuthSecret")<{
  readonly message: string
}> {}

export interface SignOptions {
  /** Who the token is for: the `sub` claim. Default: none. */
  readonly subject?: string | undefined
  /** What it is for: the `scope` claim. Default: no claim, which is for everything. */
  readonly scopes?: ReadonlyArray<Scope> | undefined
  /** From when on it is valid, counted from now: the `nbf` claim. Default: at once, no claim. */
  readonly notBefore?: Duration.DurationInput | undefined
  /** How long it is valid, counted from now: the `exp` claim. Default: 1 day. */
  readonly expiresIn?: Duration.DurationInput | undefined
}

/** Signs and checks bearer tokens. Time is Effect's Clock's. */
export class Tokens extends Context.Tag("effect-workflow-executor/Tokens")<
  Tokens,
  {
    /** Who the token says that it is, and what it is for. */
    readonly verify: (token: Redacted.Redacted) => Effect.Effect<Principal["Type"], Unauthorized>
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

/** What `jwtVerify` says of a token's time, for one of which everything else is known to be right. */
const untimely = ({ exp, nbf }: JWTPayload, now: number) => {
  if (nbf !== undefined && nbf > now) return "token not yet valid"
  return exp !== undefined && exp <= now ? "token expired" : undefined
}

const ofAnotherKey = (error: unknown) => error instanceof errors.JWSSignatureVerificationFailed

const scopesOf = (claim: unknown): ReadonlySet<Scope> | undefined => {
  if (claim === undefined) return new Set(scopes)
  if (typeof claim !== "string") return undefined
  const named = claim.split(" ")
  return new Set(named.includes("admin") ? scopes : scopes.filter((scope) => named.includes(scope)))
}

const principalOf = (claims: JWTPayload) => {
  const scopes = scopesOf(claims.scope)
  return scopes === undefined
    ? new Unauthorized({ message: "token invalid" })
    : Effect.succeed(
        Principal.of({
          subject: typeof claims.sub === "string" ? claims.sub : undefined,
          scopes,
          claims
        })
      )
}

const importKey = (secret: Uint8Array) =>
  Effect.promise(() =>
    webcrypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, [
      "sign",
      "verify"
    ])
  )

const makeFromBytes = Effect.fnUntraced(function* (secrets: Arr.NonEmptyReadonlyArray<Uint8Array>) {
  // imported once: per request it would cost as much as the check itself
  const [signing, ...others] = yield* Effect.forEach(secrets, importKey)

  const verified = VerifiedTokens.make()

  const check = (token: string, now: number) => {
    const checkWith = (key: webcrypto.CryptoKey) =>
      Effect.tryPromise({
        try: () => jwtVerify(token, key, { algorithms: [algorithm], currentDate: new Date(now) }),
        catch: (error) => error
      })
    return others
      .reduce(
        (checked, key) => Effect.catchIf(checked, ofAnotherKey, () => checkWith(key)),
        checkWith(signing)
      )
      .pipe(
        Effect.mapError(refusal),
        Effect.flatMap(({ payload }) => {
          verified.add(token)
          return principalOf(payload)
        })
      )
  }

  const verify = (redacted: Redacted.Redacted) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const token = Redacted.value(redacted)
      if (!verified.has(token)) return check(token, now)
      // from the token, not from memory: an app may do to its claims what it likes
      const claims = decodeJwt(token)
      const reason = untimely(claims, seconds(now))
      return reason === undefined ? principalOf(claims) : new Unauthorized({ message: reason })
    })

  const sign = Effect.fnUntraced(function* (options: SignOptions = {}) {
    const now = yield* Clock.currentTimeMillis
    const after = (name: "expiresIn" | "notBefore", input: Duration.DurationInput) =>
      seconds(now + Duration.toMillis(Given.duration(name, input)))
    const jwt = new SignJWT(options.scopes === undefined ? {} : { scope: options.scopes.join(" ") })
      .setProtectedHeader({ alg: algorithm, typ: "JWT" })
      .setIssuedAt(seconds(now))
      .setExpirationTime(after("expiresIn", options.expiresIn ?? Duration.days(1)))
    if (options.notBefore !== undefined) jwt.setNotBefore(after("notBefore", options.notBefore))
    if (options.subject !== undefined) jwt.setSubject(options.subject)
    return Redacted.make(yield* Effect.promise(() => jwt.sign(signing)))
  })

  return Tokens.of({ verify, sign })
})

/**
 * One secret, or several: tokens of each are accepted, and the first one signs.
 *
 * To change a secret without refusing a token: accept the new one everywhere (second in the list),
 * then let it sign (first, and the old one second), then, when the last token of the old one has
 * expired, take that away.
 */
export type Secrets = Redacted.Redacted | Arr.NonEmptyReadonlyArray<Redacted.Redacted>

const decodeList = Schema.decodeUnknownOption(Schema.parseJson(Schema.Array(Schema.String)))

/**
 * A list of secrets in a text: separated by commas, blanks around them left aside. What begins with
 * `[` is a JSON array of strings, for secrets that have a comma in them. `undefined` where the text
 * is no such list, or one of them is empty.
 */
export const parseSecrets = (text: string): ReadonlyArray<Redacted.Redacted> | undefined => {
  const list = text.trimStart().startsWith("[")
    ? Option.getOrUndefined(decodeList(text))
    : text.split(",").map((secret) => secret.trim())
  return list === undefined || list.includes("")
    ? undefined
    : list.map((text) => Redacted.make(text))
}

const keyOf = Effect.fnUntraced(function* (secret: Redacted.Redacted) {
  const bytes = new TextEncoder().encode(Redacted.value(secret))
  if (bytes.length === 0) {
    return yield* new InvalidAuthSecret({ message: "A secret of the bearer tokens is empty" })
  }
  if (bytes.length < 32) {
    yield* Effect.logWarning(
      "A secret of the bearer tokens is shorter than 32 bytes: it can be guessed"
    )
  }
  return bytes
})

/**
 * Tokens of given secrets, their UTF-8 text being the keys. Fails when one is empty; warns when one
 * is shorter than the 32 bytes that HS256 asks for.
 */
export const makeTokens = Effect.fnUntraced(function* (secrets: Secrets) {
  const all = Redacted.isRedacted(secrets) ? Arr.of(secrets) : secrets
  return yield* makeFromBytes(yield* Effect.forEach(all, keyOf))
})

export const layerTokens = (secrets: Secrets): Layer.Layer<Tokens, InvalidAuthSecret> =>
  Layer.effect(Tokens, makeTokens(secrets))

/** Tokens of a random secret: valid until this process ends. */
export const layerTokensRandom: Layer.Layer<Tokens> = Layer.effect(
  Tokens,
  Effect.suspend(() => makeFromBytes([webcrypto.getRandomValues(new Uint8Array(32))]))
)

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
