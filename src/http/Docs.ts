/**
 * The API's own description: `GET /openapi.json`, and `GET /docs`, the same to be read by people.
 *
 * The page is one file without scripts, fonts or images: nothing is loaded from another host, nor
 * from this one, so it reads the same when it is saved and opened from a disk. Its
 * Content-Security-Policy holds it to that.
 */
import { createHash } from "node:crypto"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { Api } from "../api/Api.js"
import { version } from "../internal/Version.js"
import { Runs, type WorkflowView } from "../runner/Runs.js"

/** The API's OpenAPI document, with the version of this package. */
export const makeDocument = (): OpenApi.OpenAPISpec => {
  const document = OpenApi.fromApi(Api)
  return { ...document, info: { ...document.info, version } }
}

// ---------------------------------------------------------------------------------------------
// The page
// ---------------------------------------------------------------------------------------------

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => escapes[character] ?? "")

const style = `
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 0.875rem/1.45 ui-monospace, monospace }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid #8884; border-radius: 4px }
section { border-top: 1px solid #8884; margin-top: 2rem }
table { border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 1rem 0.25rem 0 }
summary { cursor: pointer }
`

/** Of a page with one style and nothing else. */
const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'"
].join("; ")

/** A page that is shown in a frame of another is of no use but to deceive; `meta` cannot say so. */
const headers = {
  "content-security-policy": `${policy}; frame-ancestors 'none'`,
  "referrer-policy": "no-referrer"
}

const link = (name: string) => `<a href="#${escaped(name)}">${escaped(name)}</a>`

/** JSON in which what refers to a schema leads to it. */
const json = (value: unknown) =>
  `<pre>${escaped(JSON.stringify(value, null, 2)).replace(
    /#\/components\/schemas\/([\w.-]+)/g,
    (_, name: string) => `#/components/schemas/${link(name)}`
  )}</pre>`

const folded = (title: string, value: unknown) =>
  `<details><summary>${title}</summary>${json(value)}</details>`

const parameters = ({ parameters }: OpenApi.OpenAPISpecOperation) =>
  parameters.length === 0
    ? ""
    : `<h4>Parameters</h4><table>${parameters
        .map(
          ({ description = "", in: place, name, required, schema }) =>
            `<tr><td><code>${escaped(name)}</code><td>${place}${required ? ", required" : ""}<td>${escaped(
              description
            )}${folded("schema", schema)}`
        )
        .join("")}</table>`

const contents = (content: OpenApi.OpenApiSpecContent = {}) =>
  Object.entries(content)
    .map(([type, { schema }]) => folded(escaped(type), schema))
    .join("")

const operation = (
  method: string,
  path: string,
  { description, requestBody, responses, security, summary, ...rest }: OpenApi.OpenAPISpecOperation
) => {
  const scopes = security.flatMap((scheme) => Object.values(scheme).flat())
  const responseRows = Object.entries(responses).map(
    ([status, { content, description }]) =>
      `<tr><td>${status}<td>${escaped(description)}${contents(content)}`
  )
  return [
    `<section id="${escaped(rest.operationId)}">`,
    `<h3><code>${method.toUpperCase()} ${escaped(path)}</code></h3>`,
    ...[summary, description].flatMap((text) =>
      text === undefined ? [] : [`<p>${escaped(text)}</p>`]
    ),
    security.length === 0
      ? "<p>No token.</p>"
      : `<p>A token with ${scopes.map((scope) => `<code>${escaped(scope)}</code>`).join(", ")}.</p>`,
    parameters({ responses, security, ...rest }),
    requestBody === undefined ? "" : `<h4>Body</h4>${contents(requestBody.content)}`,
    `<h4>Answers</h4><table>${responseRows.join("")}</table>`,
    "</section>"
  ].join("\n")
}

/** JSON Schema without the address of its own definition. */
const withoutDialect = (schema: unknown) => {
  if (!Predicate.isReadonlyRecord(schema)) return schema
  const { $schema: _, ...rest } = schema
  return rest
}

/** A workflow that is registered here, and what a run of it is started with. */
const workflow = ({ name, payload }: WorkflowView) =>
  [
    "<section>",
    `<h3><code>${escaped(name)}</code></h3>`,
    `<p>The <code>payload</code> of ${link("runs.start")}, as JSON Schema:</p>`,
    json(withoutDialect(payload)),
    "</section>"
  ].join("\n")

/** The page that tells what an OpenAPI document tells, and which workflows there are. */
export const render = (
  { components, info, paths }: OpenApi.OpenAPISpec,
  workflows: ReadonlyArray<WorkflowView>
): string => {
  const title = escaped(`${info.title} ${info.version}`)
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, described]) => ({ method, path, described }))
  )
  const index = operations.map(
    ({ described: { operationId, summary = "" }, method, path }) =>
      `<tr><td><a href="#${escaped(operationId)}"><code>${method.toUpperCase()} ${escaped(path)}</code></a><td>${escaped(summary)}`
  )
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) =>
      `<section id="${escaped(name)}"><h3>${escaped(name)}</h3>${json(schema)}</section>`
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<h1>${title}</h1>
<h2>Workflows</h2>
${workflows.length === 0 ? "<p>None is registered here.</p>" : workflows.map(workflow).join("\n")}
<h2>Requests</h2>
<table>${index.join("")}</table>
${operations.map(({ described, method, path }) => operation(method, path, described)).join("\n")}
<h2>Schemas</h2>
${schemas.join("\n")}
</body>
</html>
`
}

/** A browser sends no token: it is told how to read the page all the same. */
const howToGetIn = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">
<title>A token is needed</title>
<style>${style}</style>
</head>
<body>
<h1>A token is needed</h1>
<p>This executor's API, and its description, are for those with a bearer token. A browser sends none
by itself: save the page, and open the file. Instead of <code>http://localhost:3400/docs</code> put
the address of this page.</p>
<pre>TOKEN=$(npx workflow-executor token --scope runs:read)
curl -H "Authorization: Bearer $TOKEN" http://localhost:3400/docs -o api.html</pre>
<p>The first line signs a token with <code>AUTH_SECRET</code>, and needs it as this executor has it.
An executor without one has printed a token when it started. Who has neither asks whoever runs the
executor for a token with the scope <code>runs:read</code>.</p>
</body>
</html>
`

const refusedPage = HttpServerResponse.text(howToGetIn, {
  status: 401,
  contentType: "text/html; charset=utf-8",
  headers
})

/** What is answered instead to a browser that may not read the page. */
export const refused = ({
  headers,
  method,
  url
}: HttpServerRequest.HttpServerRequest): HttpServerResponse.HttpServerResponse | undefined =>
  method === "GET" && /^\/docs\/?(\?|$)/.test(url) && (headers.accept ?? "").includes("text/html")
    ? refusedPage
    : undefined

// ---------------------------------------------------------------------------------------------
// Handlers
// ---------------------------------------------------------------------------------------------

export const layer = HttpApiBuilder.group(Api, "docs", (handlers) =>
  Effect.map(Runs, (runs) => {
    const document = makeDocument()
    const openApi = HttpServerResponse.unsafeJson(document)
    const page = Effect.map(runs.workflows, (workflows) =>
      HttpServerResponse.text(render(document, workflows), {
        contentType: "text/html; charset=utf-8",
        headers
      })
    )
    return handlers.handle("openapi", () => Effect.succeed(openApi)).handle("docs", () => page)
  })
)
