/**
 * The dashboard in a real browser, over real executors. Nothing waits for a while: what is looked for
 * in a page is waited for by the page.
 */
import { readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import * as Http from "node:http"
import { createRequire } from "node:module"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import type { Scope as TokenScope } from "../../src/api/Access.js"
import * as Authorization from "../../src/http/Authorization.js"
import * as Process from "../support/Executor.js"
import * as Chromium from "./Chromium.js"

// ---------------------------------------------------------------------------------------------
// The browser
// ---------------------------------------------------------------------------------------------

/** Where the tests are all there is, one that was skipped must not look like one that passed. */
const isRequired = process.env.CI !== undefined || process.env.BROWSER_REQUIRED !== undefined

/** A test that needs a browser; without one it is skipped, and fails where one is required. */
export const inBrowser = (
  name: string,
  test: () => Effect.Effect<void, never, Scope.Scope>,
  millis = 60_000
): void => {
  if (Chromium.executable === undefined && !isRequired) {
    it.skip(`${name} (needs Chromium: apt-get install chromium, or CHROMIUM=/path/to/it)`, () => {})
    return
  }
  it.scopedLive(name, test, millis)
}

let launched: Promise<Browser> | undefined

/** One for all tests of a file: each has a context of its own in it. */
const browser = Effect.promise(() => {
  launched ??= Chromium.launch()
  return launched
})

afterAll(async () => {
  await (await launched)?.close()
})

/** What was thrown in a page, refused by its policy, or asked of anybody but the executor. */
const watch = (page: Page, origin: string): ReadonlyArray<string> => {
  const complaints: Array<string> = []
  page.on("pageerror", (error) => complaints.push(`thrown: ${error.message}`))
  page.on("console", (message) => {
    if (/Content.Security.Policy|TrustedHTML/i.test(message.text())) {
      complaints.push(`policy: ${message.text()}`)
    }
  })
  page.on("request", (request) => {
    const url = new URL(request.url())
    if (url.protocol !== "data:" && url.origin !== origin) complaints.push(`asked: ${url}`)
    if (url.href.includes("token=")) complaints.push(`sent the token: ${url}`)
  })
  return complaints
}

/** A tab of its own, on the dashboard of the executor at this address. */
export const open = (
  url: string,
  { token, ...options }: BrowserContextOptions & { readonly token?: string } = {}
): Effect.Effect<Page, never, Scope.Scope> =>
  Effect.gen(function* () {
    const running = yield* browser
    const context = yield* Effect.acquireRelease(
      Effect.promise(() => running.newContext(options)),
      (context) => Effect.promise(() => context.close())
    )
    const page = yield* Effect.promise(() => context.newPage())
    page.setDefaultTimeout(20_000)
    const complaints = watch(page, new URL(url).origin)
    yield* Effect.addFinalizer((exit) =>
      Effect.sync(() => {
        if (exit._tag === "Success") assert.deepStrictEqual(complaints, [])
      })
    )
    yield* does(() => page.goto(`${url}/ui/${token === undefined ? "" : `#token=${token}`}`))
    return page
  })

/** Signed in with all rights, on the page of this path. */
export const openAt = (
  url: string,
  path: string,
  options: BrowserContextOptions = {}
): Effect.Effect<Page, never, Scope.Scope> =>
  Effect.gen(function* () {
    const page = yield* open(url, { ...options, token: yield* tokenWith() })
    yield* does(() => page.getByRole("heading", { name: "Overview" }).waitFor())
    yield* does(() => page.goto(`${url}/ui/#/${path}`))
    return page
  })

/** Something done in a page, or waited for. */
export const does = <A>(action: () => Promise<A>): Effect.Effect<A> => Effect.promise(action)

// ---------------------------------------------------------------------------------------------
// Executors
// ---------------------------------------------------------------------------------------------

const module = fileURLToPath(new URL("fixtures/workflows.ts", import.meta.url))

/** Executors of the fixture's workflows, over one folder, at one port. */
export const make = Effect.gen(function* () {
  const folder = yield* Process.makeFolder
  const start = (env: Readonly<Record<string, string>> = {}) =>
    Process.startReady({
      module,
      cwd: folder,
      env: {
        DATABASE_FILE: join(folder, "executor.db"),
        FIXTURE_GATE: folder,
        ...env
      }
    })
  return {
    folder,
    start,
    /** Lets a step end. */
    openGate: (name: string) => Effect.promise(() => writeFile(join(folder, name), ""))
  }
})

export const order = (orderId: string) => ({
  orderId,
  quantity: 1,
  speed: "fast",
  gift: false
})

export const tokenWith = (scopes?: ReadonlyArray<TokenScope>): Effect.Effect<string> =>
  Authorization.makeTokens(Redacted.make(Process.secret)).pipe(
    Effect.flatMap((tokens) => tokens.sign(scopes === undefined ? {} : { scopes })),
    Effect.map(Redacted.value),
    Effect.orDie
  )

// ---------------------------------------------------------------------------------------------
// Accessibility
// ---------------------------------------------------------------------------------------------

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

interface Violation {
  readonly id: string
  readonly nodes: ReadonlyArray<{ readonly html: string; readonly failureSummary?: string }>
}

/** Expects nothing that axe has to say against the page, by WCAG 2.2 AA and its best practices. */
export const expectAccessible = (page: Page): Effect.Effect<void> =>
  does(async () => {
    await page.evaluate(axe)
    const violations = await page.evaluate<ReadonlyArray<Violation>>(
      "axe.run(document, { resultTypes: ['violations'] }).then((results) => results.violations)"
    )
    assert.deepStrictEqual(
      violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]),
      []
    )
  })

// ---------------------------------------------------------------------------------------------
// A proxy
// ---------------------------------------------------------------------------------------------

/** The address of a proxy that serves the other below this path, and nothing else. */
export const behind = (url: string, path: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const server = Http.createServer((incoming, outgoing) => {
        if (!incoming.url?.startsWith(`${path}/`)) return void outgoing.writeHead(404).end()
        const { headers, method } = incoming
        const request = Http.request(
          new URL(incoming.url.slice(path.length), url),
          { method, headers },
          (answer) => {
            outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
            answer.pipe(outgoing)
          }
        )
        request.on("error", () => outgoing.destroy())
        outgoing.on("close", () => request.destroy())
        incoming.pipe(request)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ).pipe(
    Effect.map((server) => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      return `http://127.0.0.1:${port}${path}`
    })
  )
