/**
 * `workflow-executor token`: a bearer token, signed with AUTH_SECRET.
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Scope } from "../api/Access.js"
import * as Authorization from "../http/Authorization.js"
import * as Settings from "../Settings.js"
import * as Output from "./Output.js"

/** There is no key to sign with. */
export class NoAuthSecret extends Data.TaggedError("NoAuthSecret") {
  override get message() {
    return "AUTH_SECRET is not set: a token is signed with the secret that the executor has"
  }
}

export interface Options {
  /** None: a token for everything. */
  readonly scopes: ReadonlyArray<Scope>
  readonly subject: Option.Option<string>
  readonly expiresIn: Duration.Duration
}

/** Prints the token, and nothing else. */
export const token = ({ expiresIn, scopes, subject }: Options) =>
  Effect.gen(function* () {
    const secrets = yield* Settings.authSecret
    if (secrets === undefined) return yield* new NoAuthSecret()
    const tokens = yield* Authorization.makeTokens(secrets)
    const token = yield* tokens.sign({
      expiresIn,
      subject: Option.getOrUndefined(subject),
      scopes: scopes.length === 0 ? undefined : scopes
    })
    yield* Output.line(Redacted.value(token))
  })
