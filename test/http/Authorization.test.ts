import { assert, describe, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { type JWTHeaderParameters, type JWTPayload, SignJWT, UnsecuredJWT } from "jose"
import * as Authorization from "../../src/http/Authorization.js"
import * as VerifiedTokens from "../../src/http/VerifiedTokens.js"
import { connect, secret, serve } from "./Harness.js"

const signed = (
  options: {
    readonly key?: string
    readonly header?: JWTHeaderParameters
    readonly claims?: JWTPayload
  } = {}
) =>
  Effect.promise(() =>
    new SignJWT(options.claims)
      .setProtectedHeader(options.header ?? { alg: "HS256" })
      .sign(new TextEncoder().encode(options.key ?? secret))
  )

describe("a request with a token", () => {
  it.scoped("of the secret is let in, with or without an end", () =>
    Effect.gen(function* () {
      const { get, token } = yield* serve()
      assert.strictEqual((yield* get("/runs", { token })).status, 200)
      assert.strictEqual((yield* get("/runs", { token: yield* signed() })).status, 200)
      const headers = { authorization: `bearer ${token}` }
      assert.strictEqual((yield* get("/runs", { token: null, headers })).status, 200)
    })
  )

  const refused: ReadonlyArray<
    readonly [name: string, reason: string, token: Effect.Effect<string | null>]
  > = [
    ["that is missing", "token missing", Effect.succeed(null)],
    ["that is garbage", "token invalid", Effect.succeed("garbage")],
    ["that is empty", "token invalid", Effect.succeed("")],
    ["of another secret", "token invalid", signed({ key: `${secret}x` })],
    ["of no algorithm", "token invalid", Effect.sync(() => new UnsecuredJWT({}).encode())],
    [
      "of the secret with HS512",
      "token invalid",
      signed({ header: { alg: "HS512" }, key: secret.repeat(2) })
    ],
    // what jose's type rules out and a client may send all the same
    ["whose end is not a time", "token invalid", signed({ claims: { exp: "never" as never } })],
    [
      "that is changed",
      "token invalid",
      Effect.map(signed(), (token) => `${token.slice(0, -4)}AAAA`)
    ]
  ]
  for (const [name, reason, token] of refused) {
    it.scoped(`${name} is refused`, () =>
      Effect.gen(function* () {
        const { get, logs } = yield* serve()
        const sent = yield* token
        const { body, headers, status, text } = yield* get("/runs", { token: sent })
        assert.strictEqual(status, 401)
        assert.deepStrictEqual(body, { _tag: "Unauthorized", message: reason })
        assert.strictEqual(headers.get("www-authenticate"), "Bearer")
        if (sent) assert.notInclude(text + logs.join(), sent)
        assert.notInclude(logs.join(), secret)
      })
    )
  }

  it.scoped("of another scheme is refused", () =>
    Effect.gen(function* () {
      const { get, token } = yield* serve()
      for (const authorization of [`Digest ${token}`, token, "Bearer", "Bearer  "]) {
        const { body, status } = yield* get("/runs", { token: null, headers: { authorization } })
        assert.strictEqual(status, 401)
        assert.strictEqual(body.message, "token invalid")
      }
    })
  )

  it.scoped("is refused from the second of its end", () =>
    Effect.gen(function* () {
      const { get } = yield* serve()
      const token = yield* signed({ claims: { exp: 60 } })
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual((yield* get("/runs", { token })).status, 200)
      yield* TestClock.adjust("1 second")
      const { body, status } = yield* get("/runs", { token })
      assert.strictEqual(status, 401)
      assert.strictEqual(body.message, "token expired")
    })
  )

  it.scoped("is refused before its beginning", () =>
    Effect.gen(function* () {
      const { get, tokens } = yield* serve()
      const token = Redacted.value(yield* tokens.sign({ notBefore: "1 minute" }))
      yield* TestClock.adjust("59 seconds")
      const { body, status } = yield* get("/runs", { token })
      assert.strictEqual(status, 401)
      assert.strictEqual(body.message, "token not yet valid")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* get("/runs", { token })).status, 200)
    })
  )

  it.scoped("is asked for by everything but the probes", () =>
    Effect.gen(function* () {
      const { request } = yield* serve()
      for (const [method, path] of [
        ["GET", "/workflows"],
        ["GET", "/runs"],
        ["POST", "/runs"],
        ["GET", "/runs/x"],
        ["POST", "/runs/x/interrupt"],
        ["POST", "/runs/x/resume"],
        ["POST", "/runs/x/signals/y"]
      ] as const) {
        assert.strictEqual((yield* request(method, path, { token: null })).status, 401)
      }
      assert.strictEqual((yield* request("GET", "/health", { token: null })).status, 200)
    })
  )

  it.scoped("is checked before the body is read", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const client = yield* connect(port)
      yield* client.send("POST /runs HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{")
      assert.match(yield* client.until(/"\}$/), /^HTTP\/1.1 401 /)
    })
  )
})

describe("a token that is sent again", () => {
  const reasonOf = Effect.match({
    onFailure: ({ message }: Authorization.Unauthorized) => message,
    onSuccess: () => "let in"
  })

  it.effect("is answered as if it came for the first time, whatever the clock does", () =>
    Effect.gen(function* () {
      const make = Authorization.makeTokens(Redacted.make(secret))
      const known = yield* make
      const both = [
        { exp: 60 },
        { nbf: 60 },
        { exp: 60.5, nbf: 30.5 },
        { nbf: 60, exp: 30 },
        { exp: 0 },
        { exp: 60, scope: "" },
        { exp: 60, scope: 1 },
        {}
      ]
      const tokens = (yield* Effect.forEach(both, (claims) => signed({ claims }))).map((token) =>
        Redacted.make(token)
      )
      const answers = new Set<string>()
      // on, and back: a clock may be set
      for (const millis of [45_000, 0, 59_999, 60_000, 30_499, 61_000, 45_000, 29_000]) {
        yield* TestClock.setTime(millis)
        for (const token of tokens) {
          const answer = yield* reasonOf(known.verify(token))
          const fresh = yield* reasonOf((yield* make).verify(token))
          assert.strictEqual(answer, fresh, `${Redacted.value(token)} at ${millis}`)
          answers.add(answer)
        }
      }
      assert.sameMembers(
        [...answers],
        ["let in", "token expired", "token not yet valid", "token invalid"]
      )
    })
  )

  it.effect("is refused with another signature, or other claims", () =>
    Effect.gen(function* () {
      const { sign, verify } = yield* Authorization.makeTokens(Redacted.make(secret))
      const token = yield* sign({ scopes: ["runs:read"] })
      yield* verify(token)
      const [header, claims, signature] = Redacted.value(token).split(".")
      const admin = Buffer.from(JSON.stringify({ scope: "admin" })).toString("base64url")
      const foreign = yield* signed({ key: "x".repeat(32), claims: { scope: "runs:read" } })
      for (const other of [
        `${header}.${admin}.${signature}`,
        `${header}.${claims}.${foreign.split(".")[2]}`,
        `${header}.${claims}.`,
        `${header}.${claims}`,
        `${header}.${claims}.${signature}.`
      ]) {
        assert.strictEqual(yield* reasonOf(verify(Redacted.make(other))), "token invalid", other)
      }
      yield* verify(token)
    })
  )

  it.effect("has its own claims and scopes, whatever an app did to those before", () =>
    Effect.gen(function* () {
      const { sign, verify } = yield* Authorization.makeTokens(Redacted.make(secret))
      const token = yield* sign({ subject: "ann", scopes: ["runs:read"] })
      for (let n = 0; n < 3; n++) {
        const { claims, scopes, subject } = yield* verify(token)
        assert.deepStrictEqual([subject, claims.sub, [...scopes]], ["ann", "ann", ["runs:read"]])
        Object.assign(claims, { sub: "bob" })
        if (scopes instanceof Set) scopes.add("admin")
      }
    })
  )

  it("is remembered until there are too many others", () => {
    const verified = VerifiedTokens.make(2)
    for (const token of ["a", "b", "b", "c"]) verified.add(token)
    assert.deepStrictEqual(["a", "b", "c", "d", "", "\ud800"].map(verified.has), [
      false,
      true,
      true,
      false,
      false,
      false
    ])
    verified.add("\ud800")
    assert.isFalse(verified.has("\ud801"))
  })
})

describe("a token's claims", () => {
  const all = ["runs:read", "runs:write", "admin"]

  const verified = (claims: JWTPayload) =>
    Effect.gen(function* () {
      const { verify } = yield* Authorization.makeTokens(Redacted.make(secret))
      return yield* verify(Redacted.make(yield* signed({ claims })))
    })

  const allowed: ReadonlyArray<
    readonly [name: string, claims: JWTPayload, scopes: ReadonlyArray<string>]
  > = [
    ["without a scope allow everything", {}, all],
    ["with one scope allow that one", { scope: "runs:read" }, ["runs:read"]],
    ["with two allow both", { scope: "runs:write runs:read" }, ["runs:read", "runs:write"]],
    ["with admin allow everything", { scope: "admin" }, all],
    ["with an empty scope allow nothing", { scope: "" }, []],
    [
      "with scopes of others, or nearly ours, allow nothing by them",
      { scope: "openid Admin runs:writer runs:read,admin ADMIN\tadmin" },
      []
    ]
  ]
  for (const [name, claims, scopes] of allowed) {
    it.effect(name, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual([...(yield* verified(claims)).scopes], scopes)
      })
    )
  }

  for (const scope of [null, 1, true, {}, [], ["admin"]]) {
    it.effect(`with a scope that is ${JSON.stringify(scope)} are refused`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(verified({ scope }))
        assert.strictEqual(error.message, "token invalid")
      })
    )
  }

  it.effect("say who it is", () =>
    Effect.gen(function* () {
      const claims = { sub: "ann", team: "blue" }
      const principal = yield* verified(claims)
      assert.strictEqual(principal.subject, "ann")
      assert.deepStrictEqual(principal.claims, claims)
      assert.isUndefined((yield* verified({})).subject)
    })
  )

  it.effect("are those that it was signed with", () =>
    Effect.gen(function* () {
      const { sign, verify } = yield* Authorization.makeTokens(Redacted.make(secret))
      const one = yield* verify(
        yield* sign({ subject: "ann", scopes: ["runs:write", "runs:read"] })
      )
      assert.deepStrictEqual(one.claims, {
        scope: "runs:write runs:read",
        iat: 0,
        exp: 24 * 60 * 60,
        sub: "ann"
      })
      assert.notProperty((yield* verify(yield* sign())).claims, "scope")
      assert.strictEqual((yield* verify(yield* sign({ scopes: [] }))).scopes.size, 0)
    })
  )
})

describe("several secrets", () => {
  const [oldKey, newKey, other] = ["old", "new", "other"].map((name) => name.repeat(11))

  const tokensOf = (...secrets: Arr.NonEmptyReadonlyArray<string | undefined>) =>
    Authorization.makeTokens(Arr.map(secrets, (secret) => Redacted.make(secret ?? "")))

  it.effect("are all accepted, the first signs, and one that is taken away is refused", () =>
    Effect.gen(function* () {
      const before = yield* tokensOf(oldKey)
      const during = yield* tokensOf(newKey, oldKey)
      const after = yield* tokensOf(newKey)

      const oldToken = yield* before.sign({ subject: "ann" })
      assert.strictEqual((yield* during.verify(oldToken)).subject, "ann")
      const newToken = yield* during.sign()
      yield* during.verify(newToken)
      yield* after.verify(newToken)
      assert.strictEqual((yield* Effect.flip(before.verify(newToken))).message, "token invalid")
      assert.strictEqual((yield* Effect.flip(after.verify(oldToken))).message, "token invalid")
    })
  )

  it.effect("do not change why a token is refused", () =>
    Effect.gen(function* () {
      const tokens = yield* tokensOf(newKey, oldKey)
      const reason = (token: string) =>
        Effect.map(Effect.flip(tokens.verify(Redacted.make(token))), ({ message }) => message)
      for (const key of [newKey ?? "", oldKey ?? ""]) {
        assert.strictEqual(
          yield* reason(yield* signed({ key, claims: { exp: -1 } })),
          "token expired"
        )
        assert.strictEqual(
          yield* reason(yield* signed({ key, claims: { nbf: 1 } })),
          "token not yet valid"
        )
      }
      assert.strictEqual(yield* reason(yield* signed({ key: other ?? "" })), "token invalid")
      assert.strictEqual(yield* reason("garbage"), "token invalid")
    })
  )

  it.effect("may not have an empty one among them", () =>
    Effect.gen(function* () {
      for (const tokens of [tokensOf("", oldKey), tokensOf(oldKey, "")]) {
        assert.strictEqual((yield* Effect.flip(tokens))._tag, "InvalidAuthSecret")
      }
    })
  )

  it("are read from a text", () => {
    const read = (text: string) => Authorization.parseSecrets(text)?.map(Redacted.value)
    assert.deepStrictEqual(read("one"), ["one"])
    assert.deepStrictEqual(read("one, two ,three"), ["one", "two", "three"])
    assert.deepStrictEqual(read(` ["one, two", " three "]`), ["one, two", " three "])
    for (const text of ["", " ", ",", "one,", "one,,two", "[]x", "[one]", "[1]", `["one",""]`]) {
      assert.isUndefined(read(text), text)
    }
  })
})

describe("a secret", () => {
  it.effect("that is empty is refused", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Authorization.makeTokens(Redacted.make("")))
      assert.isTrue(Exit.isFailure(exit))
      assert.include(JSON.stringify(exit), "InvalidAuthSecret")
    })
  )

  it.effect("made at random signs tokens that no other accepts", () =>
    Effect.gen(function* () {
      const random = Effect.provide(
        Authorization.Tokens,
        Layer.fresh(Authorization.layerTokensRandom)
      )
      const [one, other] = yield* Effect.all([random, random])
      const token = yield* one.sign()
      yield* one.verify(token)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(other.verify(token))))
    })
  )
})
