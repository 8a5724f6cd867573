import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Docs from "../../src/http/Docs.js"
import { serve } from "./Harness.js"

const fetchPage = Effect.gen(function* () {
  const { port, token } = yield* serve()
  return yield* Effect.promise(async () => {
    const headers = { authorization: `Bearer ${token}` }
    const response = await fetch(`http://127.0.0.1:${port}/docs`, { headers })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })
})

describe("GET /openapi.json", () => {
  it.scopedLive("answers with the API's document, and this package's version", () =>
    Effect.gen(function* () {
      const { get } = yield* serve()
      const { body, headers, status } = yield* get("/openapi.json")
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), "application/json")
      assert.strictEqual(body.openapi, "3.1.0")
      assert.strictEqual(body.info.title, "effect-workflow-executor")
      assert.match(body.info.version, /^\d+\.\d+\.\d+/)
      assert.deepStrictEqual(body, JSON.parse(JSON.stringify(Docs.makeDocument())))
      assert.isDefined(body.paths["/runs/{runId}"].get)
    })
  )

  it("gives every request a line that says what it is for", () => {
    for (const [path, item] of Object.entries(Docs.makeDocument().paths)) {
      for (const [method, { summary }] of Object.entries(item)) {
        assert.isDefined(summary, `${method} ${path}: annotate it with OpenApi.Summary`)
      }
    }
  })
})

describe("GET /docs", () => {
  it.scopedLive("is a page that tells of every request and of every schema", () =>
    Effect.gen(function* () {
      const { headers, status, text } = yield* fetchPage
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), "text/html; charset=utf-8")
      assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
      const { components, paths } = Docs.makeDocument()
      for (const [path, item] of Object.entries(paths)) {
        for (const method of Object.keys(item)) {
          assert.include(text, `<h3><code>${method.toUpperCase()} ${path}</code></h3>`)
        }
      }
      for (const name of Object.keys(components.schemas)) assert.include(text, `id="${name}"`)
    })
  )

  it.scopedLive(
    "tells which workflows are registered, and what a run of each is started with",
    () =>
      Effect.gen(function* () {
        const { text } = yield* fetchPage
        for (const name of ["Order", "Shaped"]) {
          assert.include(text, `<h3><code>${name}</code></h3>`)
        }
        assert.match(
          text,
          /<h3><code>Order<\/code>[\s\S]*?&quot;required&quot;: \[\s*&quot;id&quot;/
        )
        assert.match(Docs.render(Docs.makeDocument(), []), /None is registered here/)
      })
  )

  it.scopedLive("loads nothing, executes nothing, and its policy allows neither", () =>
    Effect.gen(function* () {
      const { headers, text } = yield* fetchPage
      assert.notMatch(text, /<(script|link|img|iframe|object|embed|form|base)\b/i)
      assert.notMatch(text, /\s(src|srcset|style|on\w+)=|url\(|@import|https?:\/\//i)
      const targets = Array.from(text.matchAll(/href="([^"]*)"/g), ([, target = ""]) => target)
      assert.isNotEmpty(targets)
      for (const target of targets) {
        assert.match(target, /^#/)
        assert.include(text, `id="${target.slice(1)}"`)
      }
      const [, style = ""] = /<style>([\s\S]*)<\/style>/.exec(text) ?? []
      const hash = createHash("sha256").update(style).digest("base64")
      const policy = headers.get("content-security-policy") ?? ""
      assert.deepStrictEqual(policy.split("; "), [
        "default-src 'none'",
        `style-src 'sha256-${hash}'`,
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'"
      ])
    })
  )

  it("shows what a document says as text, whatever that is", () => {
    const evil = `</pre><script>alert("1")</script>`
    const document = Docs.makeDocument()
    const described: Parameters<typeof Docs.render>[0] = {
      ...document,
      info: { title: evil, version: evil },
      components: { ...document.components, schemas: { [evil]: { type: "string", title: evil } } },
      paths: {
        [evil]: {
          get: {
            operationId: evil,
            tags: [evil],
            summary: evil,
            description: evil,
            parameters: [
              {
                name: evil,
                in: "query",
                required: true,
                description: evil,
                schema: { type: "string" }
              }
            ],
            security: [{ bearer: [evil] }],
            responses: { 200: { description: evil } }
          }
        }
      }
    }
    const page = Docs.render(described, [{ name: evil, payload: { title: evil } }])
    assert.notInclude(page, "<script")
    assert.notInclude(page, `"1"`)
  })
})

describe("both", () => {
  for (const path of ["/openapi.json", "/docs"]) {
    it.scopedLive(`want a token for ${path}, and take no other method`, () =>
      Effect.gen(function* () {
        const { get, post } = yield* serve()
        assert.strictEqual((yield* get(path, { token: null })).status, 401)
        assert.strictEqual((yield* post(path, {})).status, 405)
      })
    )
  }

  it.scopedLive("tells a browser, which has no token, how to get one, and nobody else", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const asked = (path: string, accept: string) =>
        Effect.promise(async () => {
          const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { accept } })
          const { headers, status } = response
          return { headers, status, text: await response.text() }
        })
      const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
      const page = yield* asked("/docs", browser)
      assert.strictEqual(page.status, 401)
      assert.strictEqual(page.headers.get("www-authenticate"), "Bearer")
      assert.strictEqual(page.headers.get("content-type"), "text/html; charset=utf-8")
      assert.include(page.headers.get("content-security-policy") ?? "", "default-src 'none'")
      assert.include(page.text, "npx workflow-executor token --scope runs:read")
      assert.notInclude(page.text, "/runs/{runId}")
      for (const [path, accept] of [
        ["/docs", "*/*"],
        ["/openapi.json", browser],
        ["/runs", browser]
      ] as const) {
        const { status, text } = yield* asked(path, accept)
        assert.strictEqual(status, 401)
        assert.strictEqual(JSON.parse(text)._tag, "Unauthorized")
      }
    })
  )
})
