/**
 * Serves the dashboard: a page, its script and its style, as `npm run build` has put them into
 * `dist/ui`. The files carry no data and ask for no token; the page signs in with one, and asks the
 * API that is beside it (`../` of the page) for everything that it shows.
 *
 * Nothing but what the build has put there is ever read: a request's path is looked up among the
 * files, never joined to a folder.
 */
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { extname } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { gzip } from "node:zlib"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Whether the API's server serves the dashboard too, at `/ui/`. Default: yes. */
export class DashboardServed extends Context.Reference<DashboardServed>()(
  "effect-workflow-executor/http/DashboardServed",
  { defaultValue: () => true }
) {}

/**
 * Leaves the dashboard out of `Http.layer` and `Http.app`; for an app that has none, or serves
 * `Dashboard.app` itself. Provide it to the layer of the executor.
 */
export const layerNone: Layer.Layer<never> = Layer.succeed(DashboardServed, false)

// ---------------------------------------------------------------------------------------------
// Files
// ---------------------------------------------------------------------------------------------

/** From `src` and from `dist` alike. A module that was bundled may not know where it is. */
const built = () => new URL("../../dist/ui/", import.meta.url)

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8"
}

interface File {
  readonly contentType: string
  readonly plain: Uint8Array
  readonly zipped: Uint8Array
  readonly etag: string
}

const compress = promisify(gzip)

const read = async (folder: URL, path: string, contentType: string): Promise<[string, File]> => {
  const plain = await readFile(new URL(path, folder))
  const zipped = await compress(plain)
  const etag = `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`
  return [path, { contentType, plain, zipped, etag }]
}

/** By their paths below the folder, written with `/`; of the kinds that the page is made of alone. */
const readAll = async (folder: URL): Promise<ReadonlyMap<string, File>> => {
  const paths = await readdir(fileURLToPath(folder), { recursive: true })
  const files = paths.flatMap((path) => {
    const contentType = contentTypes[extname(path)]
    return contentType === undefined ? [] : [read(folder, path.replaceAll("\\", "/"), contentType)]
  })
  return new Map(await Promise.all(files))
}

// ---------------------------------------------------------------------------------------------
// Answers
// ---------------------------------------------------------------------------------------------

/** A page with nothing from elsewhere and nothing inline, in nobody's frame. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'"
].join("; ")

const always = {
  "content-security-policy": policy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

/** What has a hash in its name never changes. */
const caching = (path: string) =>
  path.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache"

const acceptsGzip = (request: HttpServerRequest.HttpServerRequest) =>
  /(^|,)\s*gzip\s*(,|;(?!\s*q=0(\.0*)?\s*(,|$))|$)/.test(request.headers["accept-encoding"] ?? "")

const answerFile = (request: HttpServerRequest.HttpServerRequest, path: string, file: File) => {
  const headers = {
    ...always,
    "cache-control": caching(path),
    etag: file.etag,
    vary: "accept-encoding"
  }
  if (request.headers["if-none-match"] === file.etag) {
    return HttpServerResponse.empty({ status: 304, headers })
  }
  return acceptsGzip(request)
    ? HttpServerResponse.uint8Array(file.zipped, {
        contentType: file.contentType,
        headers: { ...headers, "content-encoding": "gzip" }
      })
    : HttpServerResponse.uint8Array(file.plain, { contentType: file.contentType, headers })
}

const refused = (status: number, _tag: string, message: string) =>
  HttpServerResponse.unsafeJson(
    { _tag, message },
    { status, headers: { ...always, "cache-control": "no-store" } }
  )

const notThere = Effect.as(
  Effect.logWarning("The dashboard's files are not there"),
  refused(
    503,
    "DashboardNotBuilt",
    "The dashboard's files are not there: npm run build makes them, and an app that was bundled has none"
  )
)

const pathOf = (url: string) => url.split(/[?#]/, 1)[0] ?? url

/** `assets/x.js` of `/assets/x.js`, where the app is mounted so that its own path is gone. */
const below = (url: string) => pathOf(url).replace(/^\//, "")

const led = (to: string) =>
  HttpServerResponse.empty({
    status: 302,
    // relative: a proxy may have put a path in front of it
    headers: { ...always, location: to, "cache-control": "no-cache" }
  })

/**
 * The page and its files as an app, for those who mount it themselves, below the API (`Http.app`): the
 * page looks for that at `..`. Provide `layerNone` to the API, which then serves none of its own.
 *
 * @param folder what was built. Default: the package's own
 *
 * @example
 * HttpRouter.empty.pipe(
 *   HttpRouter.mountApp("/internal/dashboard", yield* Dashboard.make()),
 *   HttpRouter.mountApp("/internal", yield* Http.app)
 * )
 */
export const make = (folder?: URL): Effect.Effect<HttpApp.Default> =>
  Effect.gen(function* () {
    // at the first request: an executor of which nobody opens the page reads nothing
    const files = yield* Effect.cached(
      Effect.tryPromise(() => readAll(folder ?? built())).pipe(
        Effect.filterOrFail((files) => files.has("index.html")),
        Effect.option
      )
    )
    return Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      if (request.method !== "GET" && request.method !== "HEAD") {
        return HttpServerResponse.setHeader(
          refused(405, "MethodNotAllowed", "This path takes GET"),
          "allow",
          "GET, HEAD"
        )
      }
      const found = yield* files
      if (found._tag === "None") return yield* notThere
      const asked = below(request.url)
      const last = pathOf(request.originalUrl).split("/").at(-1)
      // what it loads is relative to a path that ends so
      if (asked === "" && last !== undefined && last !== "") return led(`${last}/`)
      const path = asked === "" ? "index.html" : asked
      const file = found.value.get(path)
      return file === undefined
        ? refused(404, "RouteNotFound", "The dashboard has no such file")
        : answerFile(request, path, file)
    })
  })

const isPath = (url: string, path: string) => url === path || url.startsWith(`${path}?`)

/**
 * Before an app that serves the API: the dashboard at `/ui/`, to which `GET /` leads. All else is the
 * app's.
 */
export const before = <E, R>(
  api: HttpApp.Default<E, R>
): Effect.Effect<HttpApp.Default<E, R | HttpServerRequest.HttpServerRequest>> =>
  Effect.gen(function* () {
    if (!(yield* DashboardServed)) return api
    const dashboard = yield* make()
    return Effect.flatMap(
      HttpServerRequest.HttpServerRequest,
      (request): HttpApp.Default<E, R | HttpServerRequest.HttpServerRequest> => {
        const { method, url } = request
        if (method === "GET" && isPath(url, "/")) return Effect.succeed(led("ui/"))
        if (isPath(url, "/ui")) return Effect.succeed(led("ui/"))
        if (!url.startsWith("/ui/")) return api
        return Effect.provideService(
          dashboard,
          HttpServerRequest.HttpServerRequest,
          request.modify({ url: url.slice("/ui".length) })
        )
      }
    )
  })
