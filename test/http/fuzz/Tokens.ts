/** Bearer tokens that are good, and many that are not. */
import { createHmac } from "node:crypto"
import type { Random } from "./Random.js"

/** Whether a request with it can be let in; `undefined` where either may be. */
export interface Token {
  /** Lines of the request's head; none where it has no token. */
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly isGood: boolean | undefined
  readonly what: string
}

const base64 = (text: string | Buffer) => Buffer.from(text).toString("base64url")

const sign = (secret: string, header: string, payload: string, hash = "sha256") => {
  const input = `${base64(header)}.${base64(payload)}`
  return `${input}.${base64(createHmac(hash, secret).update(input).digest())}`
}

const hs256 = '{"alg":"HS256","typ":"JWT"}'

const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`

type Made = readonly [what: string, isGood: boolean | undefined, token: string]

const made = (secret: string, now: number): ReadonlyArray<Made> => {
  const of = (payload: string, header = hs256) => sign(secret, header, payload)
  const claims = (payload: object) => of(JSON.stringify(payload))
  const good = claims({ sub: "x" })
  return [
    ["of no end", true, good],
    ["of an hour", true, claims({ iat: now, exp: now + 3600, scope: "admin" })],
    ["to read", true, claims({ scope: "runs:read" })],
    ["to write", true, claims({ scope: "runs:write other" })],
    ["for nothing", true, claims({ scope: "" })],
    ["with claims of its own", true, of('{"__proto__":{"scope":"admin"},"constructor":1,"sub":5}')],
    ["expired", false, claims({ exp: now - 1 })],
    ["expired in 1970", false, claims({ exp: 0 })],
    ["of the future", false, claims({ nbf: now + 3600 })],
    ["with an end that is no number", false, claims({ exp: "never" })],
    ["with an end that is null", undefined, claims({ exp: null })],
    ["with an end beyond numbers", undefined, of('{"exp":1e999}')],
    ["with an end before numbers", undefined, of('{"exp":-1e999}')],
    ["with a beginning that is no number", false, claims({ nbf: {} })],
    ["issued at no number", undefined, claims({ iat: "today" })],
    ["with scopes in an array", false, claims({ scope: ["admin"] })],
    ["with a number for a scope", false, claims({ scope: 7 })],
    ["with null for a scope", false, claims({ scope: null })],
    ["with an object for a scope", false, claims({ scope: { admin: true } })],
    ["with a scope of a megabyte's part", undefined, claims({ scope: "admin ".repeat(1_000) })],
    ["with control characters in the scope", true, claims({ scope: "admin\u0000\n" })],
    ["of another secret", false, sign(`${secret}x`, hs256, '{"scope":"admin"}')],
    ["alg none", false, `${base64('{"alg":"none"}')}.${base64("{}")}.`],
    ["alg none, signed", false, of("{}", '{"alg":"none"}')],
    ["alg HS512", false, sign(secret, '{"alg":"HS512"}', "{}", "sha512")],
    ["alg HS512 that is HS256", false, of("{}", '{"alg":"HS512"}')],
    ["alg RS256", false, of("{}", '{"alg":"RS256"}')],
    ["alg hs256", false, of("{}", '{"alg":"hs256"}')],
    ["alg in an array", false, of("{}", '{"alg":["HS256"]}')],
    ["without alg", false, of("{}", "{}")],
    ["with a header that is no JSON", false, of("{}", "{")],
    ["with a header that is an array", false, of("{}", "[]")],
    ["with critical extensions", false, of("{}", '{"alg":"HS256","crit":["x"],"x":1}')],
    ["with critical nothing", false, of("{}", '{"alg":"HS256","crit":[]}')],
    ["unencoded", undefined, of("{}", '{"alg":"HS256","b64":false,"crit":["b64"]}')],
    ["with a key of its own", undefined, of("{}", '{"alg":"HS256","kid":"../../etc/passwd"}')],
    ["of no payload", false, of("")],
    ["of a payload that is no JSON", false, of("{")],
    ["of a payload that is an array", false, of("[]")],
    ["of a payload that is null", false, of("null")],
    ["of a payload that is a text", false, of('"admin"')],
    ["of a payload that is deep", undefined, of(`{"a":${deep(2_000)}}`)],
    [
      "of a payload of broken UTF-8",
      undefined,
      `${base64(hs256)}.${base64(Buffer.from([0x7b, 0xff]))}.x`
    ],
    ["of two parts", false, good.split(".").slice(0, 2).join(".")],
    ["of five parts", false, `${good}.a.b`],
    ["of dots", false, ".."],
    ["of many dots", false, ".".repeat(5_000)],
    ["of no base64", false, "!!!.???.***"],
    ["cut", false, good.slice(0, -5)],
    ["huge", false, `${base64(hs256)}.${"A".repeat(12_000)}.x`],
    ["too huge for a head", false, "A".repeat(40_000)]
  ]
}

/** Tokens for these requests, most of them good. `now` in seconds. */
export const makeTokens = (secret: string, now: number) => {
  const all = made(secret, now)
  const full = all[0]?.[2] ?? ""
  const header = (what: string, isGood: boolean | undefined, value: string): Token => ({
    headers: [["authorization", value]],
    isGood,
    what: `token ${what}`
  })
  const oddHeaders: ReadonlyArray<Token> = [
    { headers: [], isGood: false, what: "no token" },
    header("of scheme Basic", false, `Basic ${full}`),
    header("of scheme Token", false, `Token  ${full}`),
    header("of no scheme", false, full),
    header("of nothing", false, ""),
    header("of blanks", false, "Bearer    "),
    header("of a scheme alone", false, "Bearer"),
    header("in lower case", undefined, `bearer ${full}`),
    header("after blanks", undefined, `Bearer    ${full}`),
    header("before more", false, `Bearer ${full} x`),
    header("in quotes", false, `Bearer "${full}"`),
    header("of latin1", false, "Bearer \u00ff\u00fe.\u00e9.\u00e9"),
    header("with a tab", undefined, `Bearer\t${full}`),
    // the first one counts
    {
      headers: [
        ["authorization", `Bearer ${full}`],
        ["authorization", "Bearer x"]
      ],
      isGood: undefined,
      what: "two tokens"
    },
    {
      headers: [
        ["Authorization", "Bearer x"],
        ["authorization", `Bearer ${full}`]
      ],
      isGood: undefined,
      what: "two tokens"
    }
  ]
  const good: Token = header("good", true, `Bearer ${full}`)

  const flipped = (random: Random): Token => {
    // the last character has bits that mean nothing
    const at = random.int(0, full.length - 3)
    const other = full[at] === "A" ? "B" : "A"
    return header("flipped", false, `Bearer ${full.slice(0, at)}${other}${full.slice(at + 1)}`)
  }

  const odd = (random: Random): Token => {
    if (random.chance(0.2)) return flipped(random)
    if (random.chance(0.3)) return random.pick(oddHeaders)
    const [what, isGood, token] = random.pick(all)
    return header(what, isGood, `Bearer ${token}`)
  }

  return { good, odd }
}

export type Tokens = ReturnType<typeof makeTokens>
