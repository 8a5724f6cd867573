/** Requests that are malformed in one way or several; some of them are good by chance. */
import { gzipSync } from "node:zlib"
import { Random } from "./Random.js"
import type { Token, Tokens } from "./Tokens.js"

/**
 * What is due after it.
 *
 * - `answer`: one answer, and the connection goes on unless the answer says otherwise.
 * - `end`: an answer or the connection's end; Node may refuse it by itself.
 * - `more`: nothing yet, for the server waits for the rest of it.
 */
export type Due = "answer" | "end" | "more"

export interface FuzzRequest {
  readonly method: string
  readonly bytes: Buffer
  readonly due: Due
  readonly token: Token
  /** What was done to it. */
  readonly what: ReadonlyArray<string>
}

export interface World {
  readonly tokens: Tokens
  /** Ids of runs that are there. */
  readonly runIds: ReadonlyArray<string>
  /** Bytes that a body may have. */
  readonly maxBodySize: number
}

interface Draft {
  method: string
  path: string
  query: string
  readonly headers: Array<readonly [name: string, value: string]>
  body: Buffer | undefined
  token: Token
  due: Due
  /** After the head, instead of the body with its length. */
  framed: { readonly headers: Draft["headers"]; readonly bytes: Buffer } | undefined
  readonly what: Array<string>
}

const deep = (levels: number, open: string, close: string, inside = "1") =>
  `${open.repeat(levels)}${inside}${close.repeat(levels)}`

// ---------------------------------------------------------------------------------------------
// Bodies
// ---------------------------------------------------------------------------------------------

/** JSON values, as text, that few expect. */
const values: ReadonlyArray<string> = [
  "null",
  "true",
  "0",
  "-0",
  "1e400",
  "-1e400",
  "1e-400",
  "9".repeat(400),
  "9007199254740993",
  "0.1e1",
  '""',
  '"text"',
  '"\\u0000"',
  '"\\ud800"',
  '"\\udfff\\ud800"',
  '"\ud83d\ude00"',
  '"\\u202e"',
  `"${"x".repeat(2_000)}"`,
  '"2026-02-30T25:00:00Z"',
  '"+275760-09-13T00:00:00.001Z"',
  '"__proto__"',
  "[]",
  "[[]]",
  "[null]",
  "{}",
  '{"__proto__":{"id":"polluted"}}',
  '{"constructor":{"prototype":{"id":"polluted"}}}',
  '{"toJSON":1,"toString":2,"valueOf":3,"then":4,"length":-1}',
  '{"_tag":"Some","value":1}',
  '{"_id":"Exit","_tag":"Failure"}',
  '{"":""}',
  '{"id":1,"id":"2"}',
  deep(200, "[", "]"),
  deep(10_000, "[", "]"),
  deep(10_000, '{"a":', "}"),
  deep(10_000, '{"child":', "}", "null"),
  `[${"0,".repeat(500)}0]`
]

/** What is no JSON at all. */
const notJson: ReadonlyArray<string> = [
  "{",
  "}",
  "{]",
  '{"workflow"',
  '{"workflow":"Order",',
  '{"workflow":"Order","payload":{"id":"1"}',
  '{"workflow":"Order","payload":{"id":"1"}}}',
  "{'workflow':'Order'}",
  "{workflow:1}",
  "undefined",
  "NaN",
  "-Infinity",
  "01",
  "1.",
  ".5",
  "+1",
  '"',
  '"\u0001"',
  '"\\x"',
  '"\\u12"',
  "\u0000",
  "<xml/>",
  "workflow=Order&payload=1",
  "--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--",
  "[".repeat(10_000),
  '{"a":'.repeat(10_000),
  "/* */{}",
  "{}{}",
  "{},",
  "tru"
]

const names = [
  "Order",
  "Waiting",
  "Failing",
  "order",
  "",
  "__proto__",
  "constructor",
  "toString",
  "\u0000"
]

const startBody = (random: Random) => {
  const workflow = JSON.stringify(
    random.chance(0.8) ? random.pick(names.slice(0, 3)) : random.pick(names)
  )
  const fields = [
    `"id":${random.chance(0.5) ? JSON.stringify(`${random.int(0, 500)}`) : random.pick(values)}`
  ]
  for (const field of ["due", "amount", "tags", "child", "any", "__proto__", "constructor"]) {
    if (random.chance(0.2)) fields.push(`"${field}":${random.pick(values)}`)
  }
  const payload = random.chance(0.7) ? `{${fields.join(",")}}` : random.pick(values)
  const members = [`"workflow":${workflow}`, `"payload":${payload}`]
  if (random.chance(0.1)) members.push(random.pick(members))
  if (random.chance(0.1)) members.push(`"__proto__":${random.pick(values)}`)
  if (random.chance(0.1)) members.splice(random.int(0, 1), 1)
  return `{${members.join(",")}}`
}

const jsonBody = (random: Random, path: string): string => {
  if (random.chance(0.15)) return random.pick(values)
  if (path.includes("/signals/")) return `{"value":${random.pick(values)}}`
  return startBody(random)
}

const mutateBody = (random: Random, body: Buffer, world: World): readonly [Buffer, string] => {
  switch (random.int(0, 9)) {
    case 0:
      return [body.subarray(0, random.int(0, body.length)), "body cut"]
    case 1: {
      const copy = Buffer.from(body)
      for (let i = random.int(1, 4); i > 0 && copy.length > 0; i--) {
        copy[random.int(0, copy.length - 1)] = random.int(0, 255)
      }
      return [copy, "bytes of the body changed"]
    }
    case 2:
      return [Buffer.from(random.pick(notJson)), "body that is no JSON"]
    case 3:
      return [Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), body]), "byte order mark"]
    case 4:
      return [Buffer.from(body.toString(), "utf16le"), "body in UTF-16"]
    case 5: {
      const at = random.int(0, body.length)
      const invalid = random.pick([[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf5, 0x80], [0x00]])
      return [
        Buffer.concat([body.subarray(0, at), Buffer.from(invalid), body.subarray(at)]),
        "invalid UTF-8"
      ]
    }
    case 6:
      return [random.bytes(random.int(0, 300)), "random bytes for a body"]
    case 7: {
      const size = world.maxBodySize + random.pick([-1, 0, 1, 1_000, 100_000])
      return [
        Buffer.concat([body, Buffer.alloc(Math.max(0, size - body.length), " ")]),
        "body about the limit"
      ]
    }
    case 8:
      return [gzipSync(body), "body in gzip"]
    default:
      return [Buffer.from(random.pick(values)), "any JSON for a body"]
  }
}

const contentTypes = [
  "application/json; charset=utf-16",
  "application/json;",
  "application/json;charset=\u00ff",
  "application/jsonp",
  "application/json, text/plain",
  "application/problem+json",
  "text/plain",
  "text/event-stream",
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "multipart/form-data; boundary=x",
  "multipart/form-data; boundary=",
  "application/octet-stream",
  "*/*",
  "/",
  "",
  ";;;",
  "a".repeat(4_000)
]

// ---------------------------------------------------------------------------------------------
// Paths and queries
// ---------------------------------------------------------------------------------------------

const segments = [
  "%",
  "%%",
  "%0",
  "%zz",
  "%00",
  "%ff",
  "%c0%ae%c0%ae",
  "%2e%2e",
  "%2F",
  "%252e",
  "%F0%9F%98%80",
  "%ED%A0%80",
  "..",
  ".",
  "",
  ";a=b",
  ":runId",
  "*",
  "__proto__",
  "constructor",
  "counts",
  "signals",
  "interrupt",
  "a".repeat(99),
  "a".repeat(1_023),
  "a".repeat(1_025),
  "a".repeat(7_000),
  "%41".repeat(1_000),
  "'",
  "' OR 1=1 --",
  "$(x)",
  "\\",
  "<script>"
]

const anySegment = (random: Random) => encodeSpaces(random.pick(segments))

/** A blank ends a request's target. */
const encodeSpaces = (text: string) => text.replaceAll(" ", "+")

const actions = [
  "interrupt",
  "resume",
  "retry",
  "events",
  "signals/Approval",
  "signals/Go",
  "signals/%2F"
]

const basePath = (random: Random, { runIds }: World): readonly [method: string, path: string] => {
  const id = random.chance(0.8) ? random.pick(runIds) : anySegment(random)
  switch (random.int(0, 11)) {
    case 0:
    case 1:
    case 2:
      return ["POST", "/runs"]
    case 3:
    case 4:
      return ["GET", "/runs"]
    case 5:
      return ["GET", `/runs/${id}`]
    case 6:
      return ["DELETE", `/runs/${id}`]
    case 7:
    case 8:
      return ["POST", `/runs/${id}/${random.pick(actions)}`]
    case 9:
      if (random.chance(0.5)) return ["GET", `/runs/${id}/events`]
      return ["POST", `/runs/${id}/signals/${anySegment(random)}`]
    case 10:
      // an executor without Shutdown refuses it
      if (random.chance(0.2)) return ["POST", "/drain"]
      return ["GET", `/runs/${id}`]
    default:
      return [
        "GET",
        random.pick([
          "/health",
          "/ready",
          "/workflows",
          "/runs/counts",
          "/executors",
          "/events",
          "/metrics",
          "/openapi.json",
          "/docs"
        ])
      ]
  }
}

const mutatePath = (random: Random, path: string): string => {
  const parts = path.split("/")
  const at = random.int(1, Math.max(1, parts.length - 1))
  switch (random.int(0, 6)) {
    case 0:
      parts[at] = anySegment(random)
      return parts.join("/")
    case 1:
      parts.splice(at, 0, anySegment(random))
      return parts.join("/")
    case 2:
      return `${path}/`
    case 3:
      return `/${path}`
    case 4:
      return path.toUpperCase()
    case 5:
      return random.pick([
        "*",
        "http://other.example/health",
        `http://[::1${path}`,
        "//",
        "/%",
        "x",
        "?",
        "#",
        "/#a",
        "/runs#x"
      ])
    default:
      return path.slice(0, random.int(1, path.length))
  }
}

const numbers = [
  "NaN",
  "-1",
  "0",
  "1",
  "1e9",
  "1e1",
  "201",
  "200",
  "0x10",
  "Infinity",
  "1.5",
  "",
  " 5",
  "9".repeat(30),
  "-0",
  "\u0661"
]

const times = [
  "9999999-01-01",
  "9999-12-31",
  "0000-01-01",
  "0000-00-00",
  "2026-02-30",
  "2026-13-45T99:99:99Z",
  "2026-11-22T18:00:00+99:99",
  "2026-11-22T18:00:00.999999999999999999Z",
  "+275760-09-13T00:00:00Z",
  "-000001-01-01",
  "now",
  "0",
  "1e400"
]

const cursor = (position: string) => Buffer.from(`runs:${position}`).toString("base64url")

const cursors = [
  ...[
    "0",
    "1",
    "-1",
    "1.5",
    "1e3",
    "99",
    "",
    "x",
    "9".repeat(15),
    "9".repeat(16),
    "9".repeat(400),
    "1\n",
    " 1"
  ].map(cursor),
  "",
  "%",
  "====",
  "cnVuczox",
  "cnVuczox==",
  "AAAA",
  Buffer.from([0xff, 0xfe, 0xfd]).toString("base64url"),
  "A".repeat(5_000),
  "null"
]

const statuses = [
  "running",
  "failed,completed",
  "garbage",
  ",",
  ",,,",
  "running,",
  "RUNNING",
  "running,__proto__",
  "a,".repeat(1_000)
]

const texts = [
  "Order",
  "",
  "nothing",
  "__proto__",
  "'; DROP TABLE workflow_runs; --",
  "\u0000",
  "%",
  "x".repeat(3_000)
]

const parameters: Readonly<Record<string, ReadonlyArray<string>>> = {
  limit: numbers,
  status: statuses,
  cursor: cursors,
  createdAfter: times,
  createdBefore: times,
  workflow: texts,
  __proto__x: texts,
  "limit[]": numbers,
  "status[0]": statuses,
  "": texts
}

const query = (random: Random): string => {
  const pairs: Array<string> = []
  for (let i = random.int(1, 4); i > 0; i--) {
    const name = random.pick(Object.keys(parameters))
    const value = random.pick(parameters[name] ?? [""])
    const encoded = random.chance(0.9) ? encodeURIComponent(value) : escape(value)
    const pair = random.chance(0.95) ? `${name}=${encoded}` : name
    pairs.push(pair)
    if (random.chance(0.1)) pairs.push(pair)
  }
  return random.pick(["&", "&", "&", "&&", ";"]) === ";" ? pairs.join(";") : pairs.join("&")
}

/** Of all that a request's target may have in it, what Node lets pass. */
const escape = (text: string) =>
  text.replace(/[^\x21-\x7e]/gu, (character) => encodeURIComponent(character))

// ---------------------------------------------------------------------------------------------
// Heads and framing
// ---------------------------------------------------------------------------------------------

const oddHeaders: ReadonlyArray<readonly [name: string, value: string]> = [
  ["traceparent", "garbage"],
  ["traceparent", `00-${"0".repeat(32)}-${"0".repeat(16)}-01`],
  ["traceparent", `ff-${"a".repeat(32)}-${"b".repeat(16)}-zz`],
  ["traceparent", `00-${"g".repeat(32)}-${"b".repeat(16)}-01`],
  ["traceparent", "-".repeat(200)],
  ["tracestate", "=,=,=,"],
  ["b3", "x-y-z"],
  ["b3", "0"],
  ["x-b3-traceid", "x"],
  ["x-b3-sampled", "perhaps"],
  ["accept", "application/xml;q=nonsense"],
  ["accept", ""],
  ["accept-encoding", "zstd, *;q=0"],
  ["content-encoding", "gzip"],
  ["content-encoding", "identity, br"],
  ["cookie", "a=b; =; %zz=%; __proto__=1; =;;;"],
  ["cookie", "x".repeat(5_000)],
  ["x-forwarded-host", "[::1"],
  ["x-forwarded-proto", "javascript"],
  ["x-forwarded-for", ",,,"],
  ["forwarded", 'for="_x";proto'],
  ["range", "bytes=-1"],
  ["if-none-match", "*"],
  ["last-event-id", "-1"],
  ["last-event-id", ""],
  ["last-event-id", "1-2-3"],
  ["last-event-id", "%00\u00ff"],
  ["last-event-id", "9".repeat(400)],
  ["origin", "null"],
  ["te", "trailers, deflate"],
  ["expect", "100-continue"],
  ["x-long", "y".repeat(10_000)],
  ["x-empty", ""],
  ["x-latin1", "\u00e9\u00ff"],
  ["__proto__", "1"],
  ["constructor", "1"],
  ["connection", "keep-alive, x"]
]

const hosts = [
  "",
  "localhost:99999",
  "[::1",
  "a b",
  "evil.example",
  "x:y:z",
  "%",
  "a".repeat(3_000),
  "\u00ff"
]

/** Heads that Node may refuse by itself. */
const refusable: ReadonlyArray<(draft: Draft, random: Random) => void> = [
  (draft) => {
    draft.headers.push(["x-many", "z".repeat(30_000)])
  },
  (draft) => {
    for (let i = 0; i < 3_000; i++) draft.headers.push([`x-${i}`, ""])
  },
  (draft) => {
    draft.headers.push(["x-control", "a\u0000b\u0001"])
  },
  (draft) => {
    draft.headers.push(["bad name", "x"])
  },
  (draft) => {
    draft.headers.push(["", "x"])
  },
  (draft) => {
    draft.headers.push(["x-folded", "a\r\n b"])
  },
  (draft) => {
    draft.headers.push(["x-split", "a\rb\nc"])
  },
  (draft) => {
    draft.headers.push(["host", "second"])
  },
  (draft) => {
    draft.headers.splice(0, 1)
  },
  (draft) => {
    draft.headers.push(["expect", "the unexpected"])
  },
  (draft, random) => {
    draft.method = random.pick([
      "FOO",
      "get",
      "CONNECT",
      "G\u0000T",
      "",
      "GET GET",
      "PRI",
      "SEARCH"
    ])
  },
  (draft, random) => {
    draft.path = random.pick([
      "",
      " ",
      "/a b",
      "/\u0000",
      "/\u0001",
      "/\u00e9",
      "/\u00ff\u00fe",
      "\t"
    ])
  },
  (draft) => {
    draft.path += "x".repeat(30_000)
  }
]

const chunked = (random: Random, body: Buffer): Buffer => {
  const parts: Array<Buffer> = []
  let at = 0
  while (at < body.length) {
    const size = random.int(1, Math.max(1, Math.ceil(body.length / 3)))
    const part = body.subarray(at, at + size)
    const extension = random.chance(0.1) ? ";x=y" : ""
    parts.push(
      Buffer.from(`${part.length.toString(16)}${extension}\r\n`),
      part,
      Buffer.from("\r\n")
    )
    at += size
  }
  parts.push(Buffer.from(random.chance(0.1) ? "0\r\nx-trailer: 1\r\n\r\n" : "0\r\n\r\n"))
  return Buffer.concat(parts)
}

/** Ways to say how long a body is, right or wrong. */
const framings: ReadonlyArray<
  (
    random: Random,
    body: Buffer
  ) => readonly [what: string, due: Due, lines: Draft["headers"], bytes: Buffer]
> = [
  (random, body) => ["chunked", "end", [["transfer-encoding", "chunked"]], chunked(random, body)],
  (random, body) => [
    "chunks of a bad size",
    "end",
    [["transfer-encoding", "chunked"]],
    Buffer.concat([
      Buffer.from(
        random.pick(["zz\r\n", "-1\r\n", "fffffffffffffffffff\r\n", "\r\n", " 5\r\n", "5", "5\n"])
      ),
      body,
      Buffer.from("\r\n0\r\n\r\n")
    ])
  ],
  (random, body) => [
    "chunks that do not end",
    "more",
    [["transfer-encoding", "chunked"]],
    chunked(random, body).subarray(0, -5)
  ],
  (random, body) => [
    "a length and chunks",
    "end",
    [
      ["content-length", `${body.length}`],
      ["transfer-encoding", "chunked"]
    ],
    chunked(random, body)
  ],
  (random, body) => [
    "another transfer encoding",
    "end",
    [
      [
        "transfer-encoding",
        random.pick(["gzip", "chunked, gzip", "identity", "xchunked", "chunked, chunked", ""])
      ]
    ],
    chunked(random, body)
  ],
  (random, body) => [
    "a length that is none",
    "end",
    [
      [
        "content-length",
        random.pick(["-1", "abc", "1e3", "0x10", "+5", "5, 5", "", " ", "9".repeat(25), "1.5"])
      ]
    ],
    body
  ],
  (_, body) => [
    "two lengths",
    "end",
    [
      ["content-length", `${body.length}`],
      ["content-length", `${body.length + 1}`]
    ],
    body
  ],
  (random, body) => [
    "a length too short",
    "end",
    [["content-length", `${random.int(0, Math.max(0, body.length - 1))}`]],
    body
  ],
  (random, body) => [
    "a length too long",
    "more",
    [["content-length", `${body.length + random.int(1, 50)}`]],
    body
  ],
  (_, body) => ["a length of terabytes", "end", [["content-length", "1099511627776"]], body],
  (_, body) => ["no length", "end", [], body]
]

const methods = [
  "GET",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "HEAD",
  "OPTIONS",
  "TRACE",
  "PROPFIND",
  "PURGE"
]

// ---------------------------------------------------------------------------------------------
// A request
// ---------------------------------------------------------------------------------------------

type Mutation = (draft: Draft, random: Random, world: World) => void

const body: Mutation = (draft, random, world) => {
  const [mutated, what] = mutateBody(random, draft.body ?? Buffer.from("{}"), world)
  draft.body = mutated
  draft.what.push(what)
}

const token: Mutation = (draft, random, { tokens }) => {
  draft.token = tokens.odd(random)
  draft.what.push(draft.token.what)
  if (draft.token.what.includes("too huge")) draft.due = "end"
}

const path: Mutation = (draft, random) => {
  draft.path = mutatePath(random, draft.path)
  draft.what.push("path")
  if (!draft.path.startsWith("/")) draft.due = "end"
}

const parameter: Mutation = (draft, random) => {
  draft.query = `?${query(random)}`
  draft.what.push("query")
}

const header: Mutation = (draft, random) => {
  const odd = random.pick(oddHeaders)
  draft.headers.push(odd)
  draft.what.push(`header ${odd[0]}`)
  if (random.chance(0.1)) draft.headers.push(odd)
}

const host: Mutation = (draft, random) => {
  draft.headers[0] = ["host", random.pick(hosts)]
  draft.what.push("host")
}

/** Nothing is upgraded: it is a request like any other, and the last one on its connection. */
const upgrade: Mutation = (draft, random) => {
  const to = random.pick(["websocket", "h2c", "TLS/1.0", ""])
  draft.headers.push(["connection", "Upgrade"], ["upgrade", to])
  if (to === "websocket" && random.chance(0.5)) {
    draft.headers.push(
      ["sec-websocket-version", "13"],
      ["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="]
    )
  }
  draft.what.push("upgrade")
  draft.due = "end"
}

const contentType: Mutation = (draft, random) => {
  draft.headers.push(["content-type", random.pick(contentTypes)])
  draft.what.push("content type")
}

const method: Mutation = (draft, random) => {
  draft.method = random.pick(methods)
  draft.what.push(`method ${draft.method}`)
}

const framing: Mutation = (draft, random) => {
  const make = random.pick(framings)
  const [what, due, headers, bytes] = make(random, draft.body ?? Buffer.from("{}"))
  draft.framed = { headers, bytes }
  // of a request that offers an upgrade Node does not see that its body is malformed
  draft.due = draft.what.includes("upgrade") ? "more" : due
  draft.what.push(what)
}

const head: Mutation = (draft, random) => {
  const mutate = random.pick(refusable)
  mutate(draft, random)
  draft.due = "end"
  draft.what.push("head that Node may refuse")
}

const usual: ReadonlyArray<Mutation> = [
  body,
  body,
  body,
  token,
  token,
  path,
  path,
  parameter,
  parameter,
  header,
  host,
  upgrade,
  contentType,
  method
]

const serialize = ({ body, framed, headers, method, path, query, token }: Draft): Buffer => {
  const lines = [...headers, ...token.headers]
  if (framed !== undefined) lines.push(...framed.headers)
  else if (body !== undefined) lines.push(["content-length", `${body.length}`])
  const head = [
    `${method} ${path}${query} HTTP/1.1`,
    ...lines.map(([name, value]) => `${name}: ${value}`),
    "",
    ""
  ].join("\r\n")
  return Buffer.concat([Buffer.from(head, "latin1"), framed?.bytes ?? body ?? Buffer.alloc(0)])
}

/** Bytes that Node takes for a head, by its default. */
const maxHeadSize = 16_000

/** The request of this number: the same for the same seed. */
export const make = (seed: number, index: number, world: World): FuzzRequest => {
  const random = new Random(seed, index)
  const [baseMethod, base] = basePath(random, world)
  const draft: Draft = {
    method: baseMethod,
    path: base,
    query: "",
    headers: [["host", "x"]],
    body: baseMethod === "POST" ? Buffer.from(jsonBody(random, base)) : undefined,
    token: world.tokens.good,
    due: "answer",
    framed: undefined,
    what: []
  }
  for (let i = random.int(1, 3); i > 0; i--) random.pick(usual)(draft, random, world)
  if (random.chance(0.08)) framing(draft, random, world)
  else if (random.chance(0.05)) head(draft, random, world)
  const bytes = serialize(draft)
  const isHeadTooLong = bytes.indexOf("\r\n\r\n") > maxHeadSize
  return {
    method: draft.method,
    bytes,
    due: isHeadTooLong ? "end" : draft.due,
    token: draft.token,
    what: draft.what
  }
}
