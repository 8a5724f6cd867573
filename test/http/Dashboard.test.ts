/** How the dashboard's files are served. */
import { type HttpApp, HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Dashboard from "../../src/http/Dashboard.js"
import * as Server from "../../src/http/Server.js"
import { connect, serve } from "./Harness.js"

const fetched = (port: number, path: string, init: RequestInit = {}) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { redirect: "manual", ...init })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })

describe("GET /ui/", () => {
  it.scopedLive("is the page, for everybody, with a policy that lets nothing else in", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const { headers, status, text } = yield* fetched(port, "/ui/")
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), "text/html; charset=utf-8")
      assert.strictEqual(headers.get("cache-control"), "no-cache")
      assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
      assert.strictEqual(headers.get("referrer-policy"), "no-referrer")
      assert.strictEqual(
        headers.get("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
          "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
          "require-trusted-types-for 'script'"
      )
      // nothing inline, and nothing from elsewhere
      assert.notMatch(text, /<style|\sstyle=|\son\w+=|https?:\/\/|<script(?![^>]*\ssrc=)/)
    })
  )

  it.scopedLive("is asked for again only where it is another one", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const etag = (yield* fetched(port, "/ui/")).headers.get("etag") ?? ""
      const again = yield* fetched(port, "/ui/", { headers: { "if-none-match": etag } })
      assert.strictEqual(again.status, 304)
      assert.strictEqual(again.text, "")
    })
  )

  it.scopedLive("loads what it needs relative to itself, and that is kept for ever", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const { text } = yield* fetched(port, "/ui/")
      const paths = Array.from(text.matchAll(/(?:src|href)="([^"]+)"/g), ([, path = ""]) => path)
      assert.isAtLeast(paths.length, 3)
      for (const path of paths) {
        assert.match(path, /^\.\/assets\/[\w-]+-[\w-]{8}\.(js|css|svg)$/)
        const { headers, status } = yield* fetched(port, `/ui/${path.slice(2)}`)
        assert.strictEqual(status, 200)
        assert.strictEqual(headers.get("cache-control"), "public, max-age=31536000, immutable")
        assert.strictEqual(headers.get("content-encoding"), "gzip")
        assert.strictEqual(headers.get("vary"), "accept-encoding")
      }
    })
  )

  it.scopedLive("comes as it is to who does not read gzip", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      for (const accepted of ["identity", "br", "gzip;q=0", "gzip; q=0.0, br"]) {
        const headers = { "accept-encoding": accepted }
        const page = yield* fetched(port, "/ui/", { headers })
        assert.isNull(page.headers.get("content-encoding"), accepted)
        assert.include(page.text, "<!doctype html>")
      }
      const zipped = yield* fetched(port, "/ui/", {
        headers: { "accept-encoding": "br, gzip;q=0.5" }
      })
      assert.strictEqual(zipped.headers.get("content-encoding"), "gzip")
      assert.include(zipped.text, "<!doctype html>")
    })
  )

  it.scopedLive(
    "is what / and /ui lead to, by a path that a proxy may put another in front of",
    () =>
      Effect.gen(function* () {
        const { port } = yield* serve()
        for (const path of ["/", "/ui", "/?x=1"]) {
          const { headers, status } = yield* fetched(port, path)
          assert.strictEqual(status, 302)
          assert.strictEqual(headers.get("location"), "ui/")
        }
      })
  )

  it.scopedLive("serves nothing but its own files, however it is asked", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const paths = [
        "/ui/../package.json",
        "/ui/../../package.json",
        "/ui/%2e%2e/%2e%2e/package.json",
        "/ui/..%2f..%2fpackage.json",
        "/ui/..\\..\\package.json",
        "/ui//etc/passwd",
        "/ui/assets/",
        "/ui/assets/../index.html",
        "/ui/nothing",
        "/ui/%00",
        "/ui/constructor",
        "/ui/__proto__"
      ]
      for (const path of paths) {
        // as it is: `fetch` would have made something else of it
        const client = yield* connect(port)
        yield* client.send(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
        const answer = yield* client.until(/\}$/)
        assert.match(answer, /^HTTP\/1\.1 404 /, path)
        assert.include(answer, '"_tag":"RouteNotFound"', path)
      }
    })
  )

  it.scopedLive("is only read", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      const posted = yield* fetched(port, "/ui/", { method: "POST" })
      assert.strictEqual(posted.status, 405)
      assert.strictEqual(posted.headers.get("allow"), "GET, HEAD")
      const head = yield* fetched(port, "/ui/", { method: "HEAD" })
      assert.strictEqual(head.status, 200)
      assert.strictEqual(head.text, "")
    })
  )

  it.scopedLive("is not there where the app leaves it out", () =>
    Effect.gen(function* () {
      const { port } = yield* serve({ dashboard: false })
      for (const path of ["/", "/ui", "/ui/"]) {
        const { status, text } = yield* fetched(port, path)
        assert.strictEqual(status, 404)
        assert.include(text, "RouteNotFound")
      }
      assert.strictEqual((yield* fetched(port, "/health")).status, 200)
    })
  )

  it.scopedLive("is served by an app at a path of its own, beside its other routes", () =>
    Effect.gen(function* () {
      const dashboard = yield* Dashboard.make()
      const { port } = yield* listen(
        HttpRouter.empty.pipe(
          HttpRouter.get("/", HttpServerResponse.text("the app's own")),
          HttpRouter.mountApp("/internal/dashboard", dashboard)
        )
      )
      assert.strictEqual((yield* fetched(port, "/")).text, "the app's own")
      const page = yield* fetched(port, "/internal/dashboard/")
      assert.strictEqual(page.status, 200)
      const [, script = ""] = /src="\.\/([^"]+)"/.exec(page.text) ?? []
      assert.strictEqual((yield* fetched(port, `/internal/dashboard/${script}`)).status, 200)
      // without its last slash what it loads would be elsewhere
      const { headers, status } = yield* fetched(port, "/internal/dashboard")
      assert.deepStrictEqual([status, headers.get("location")], [302, "dashboard/"])
    })
  )

  it.scopedLive("that was not built is told so, and nothing else suffers", () =>
    Effect.gen(function* () {
      const dashboard = yield* Dashboard.make(new URL("nothing/", import.meta.url))
      const { port } = yield* listen(dashboard)
      const { status, text } = yield* fetched(port, "/")
      assert.strictEqual(status, 503)
      assert.strictEqual(JSON.parse(text)._tag, "DashboardNotBuilt")
      assert.include(JSON.parse(text).message, "npm run build")
    })
  )
})

/** An app on a server of its own. */
const listen = <E>(app: HttpApp.Default<E>) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      HttpServer.serve(app).pipe(Layer.provideMerge(Server.layer({ port: 0 })))
    )
    const { address } = Context.get(context, HttpServer.HttpServer)
    return { port: address._tag === "TcpAddress" ? address.port : 0 }
  })
