import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  type HttpApiMiddleware,
  HttpServer,
  OpenApi
} from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Api } from "../../src/api/Api.js"
import * as Executor from "../../src/Executor.js"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import { Signals } from "../../src/engine/Signals.js"
import * as Access from "../../src/http/Access.js"
import * as Authorization from "../../src/http/Authorization.js"
import * as Shutdown from "../../src/runner/Shutdown.js"
import { type RunStore, RunStoreError } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import * as Exposed from "../../src/telemetry/Exposed.js"
import { putSchedule } from "../../src/testing/conformance/Schedules.js"
import { Approval, secret, serve } from "./Harness.js"

interface Endpoint {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly needs: Access.Needs["Type"] | undefined
  readonly middleware: ReadonlyArray<HttpApiMiddleware.TagClassAny>
}

const endpoints = ((): ReadonlyArray<Endpoint> => {
  const found: Array<Endpoint> = []
  HttpApi.reflect(Api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, mergedAnnotations, middleware }) => {
      found.push({
        name: endpoint.name,
        method: endpoint.method,
        path: endpoint.path,
        needs: Option.getOrUndefined(Context.getOption(mergedAnnotations, Access.Needs)),
        middleware: [...middleware]
      })
    }
  })
  return found
})()

const open = ["/health", "/ready"]

const closed = endpoints.filter(({ path }) => !open.includes(path))

const ofOneRun = closed.filter(({ path }) => path.includes(":runId"))

const scopeOf = ({ needs, path }: Endpoint): Access.Scope => {
  if (needs === undefined) throw new Error(`${path} names no scope`)
  return needs.scope
}

const start = (id: string) => ({ workflow: "Order", payload: { id } })

const everything = { action: "retry", all: true } as const

/** By its path; the others take nothing. */
const bodies: Readonly<Record<string, unknown>> = {
  "/runs": start("2"),
  "/runs/bulk": everything,
  "/runs/:runId/terminate": { children: true },
  "/runs/:runId/signals/:name": { value: true },
  "/queues/:name": { paused: false },
  "/pauses/:workflow": { park: true },
  "/schedules/:name": { ...start("2"), every: "1 hour" },
  "/schedules/:name/backfill": { from: "2026-01-01", to: "2026-01-02" }
}

/** A run that is over is not resumed, whoever asks. */
const assertLetIn = (status: number) => assert.isTrue(status < 400 || status === 409, `${status}`)

/**
 * Ends the pending run so that everything can be done with it; one that it has started is not over,
 * and may be terminated with it.
 */
const fail = (store: RunStore["Type"]) =>
  Effect.gen(function* () {
    const executor = yield* store.register({ host: "test", pid: 1, leaseMillis: 60_000 })
    const runs = yield* store.claim({ executor, workflows: ["Order"], limit: 1 })
    for (const { held } of runs) {
      const parent = { runId: held.runId, awaits: false }
      yield* store.create({ runId: "child", workflow: "Child", payload: "{}", parent })
      yield* store.recordStep({
        ...{ held, name: "Approval", attempt: 1, status: "completed", startedAt: 0 },
        ...{ completedAt: 0, exit: `{"_tag":"Success"}`, timers: [] }
      })
      yield* store.complete({ held, status: "failed", exit: "0" })
    }
  })

/** The server, with a failed run in it, and requests to an endpoint of which only the head is read. */
const serveRun = Effect.fnUntraced(function* (
  access?: (request: Access.AccessRequest) => Effect.Effect<boolean, unknown>,
  options: Parameters<typeof serve>[0] = {}
) {
  const serving = serve(options)
  const server = yield* access === undefined
    ? serving
    : Effect.provideService(serving, Access.RunAccess, { allows: access })
  const { runId } = yield* Effect.orDie(server.runs.start(start("1")))
  yield* Effect.orDie(fail(server.store))
  yield* Effect.orDie(
    putSchedule(server.store, "Approval", { definition: `{"every":"1 hour"}`, nextAt: undefined })
  )
  const queue = { name: "Approval", key: "", limits: {} }
  yield* server.store.create({ runId: "queued", workflow: "Child", payload: "{}", queue })
  yield* Effect.orDie(server.runs.bulk(everything))
  const ask = (endpoint: Endpoint, token: string = server.token, id: string = runId) =>
    Effect.acquireUseRelease(
      Effect.sync(() => new AbortController()),
      ({ signal }) =>
        Effect.promise(async () => {
          const path = endpoint.path
            .replace(":runId", id)
            .replace(":attempt", "1")
            .replace(":id", "1")
            .replace(":workflow", "Order")
            .replace(/:[^/]+/g, "Approval")
          const query = endpoint.name === "ids" ? "?prefix=none" : ""
          const response = await fetch(`http://127.0.0.1:${server.port}${path}${query}`, {
            method: endpoint.method,
            signal,
            headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
            ...(endpoint.method === "POST" || endpoint.method === "PUT"
              ? { body: JSON.stringify(bodies[endpoint.path] ?? {}) }
              : {})
          })
          // what has no end, such as events, is not refused
          const body: unknown = response.status < 400 ? undefined : await response.json()
          return { status: response.status, body }
        }),
      (controller) => Effect.sync(() => controller.abort())
    )
  const tokenFor = (...scopes: ReadonlyArray<Access.Scope>) =>
    Effect.map(server.tokens.sign({ subject: "ann", scopes }), Redacted.value)
  return { ...server, runId, ask, tokenFor }
})

describe("the API's definition", () => {
  for (const { method, middleware, name, needs, path } of closed) {
    it(`says what ${method} ${path} needs, and sees to it`, () => {
      assert.isDefined(needs, `${name}: annotate it with Access.needs`)
      assert.strictEqual(needs?.action !== undefined, path.includes(":runId"))
      // the last one runs first
      const [access, authorization] = [Access.Access, Authorization.Authorization].map((tag) =>
        middleware.findIndex(({ key }) => key === tag.key)
      )
      assert.isAtLeast(access ?? -1, 0)
      assert.isAbove(authorization ?? -1, access ?? -1)
    })
  }

  it("leaves nothing open but the probes", () => {
    assert.deepStrictEqual(
      endpoints.filter(({ middleware }) => middleware.length === 0).map(({ path }) => path),
      open
    )
  })

  it("tells the scopes in its OpenAPI document", () => {
    const { paths } = OpenApi.fromApi(Api)
    assert.deepStrictEqual(paths["/runs"]?.get?.security, [{ bearer: ["runs:read"] }])
    assert.deepStrictEqual(paths["/runs"]?.post?.security, [{ bearer: ["runs:write"] }])
    assert.deepStrictEqual(paths["/health"]?.get?.security, [])
  })
})

describe("a token", () => {
  for (const endpoint of closed) {
    const scope = scopeOf(endpoint)
    const title = `${endpoint.method} ${endpoint.path}`

    it.scopedLive(`that lacks ${scope} is refused by ${title}`, () =>
      Effect.gen(function* () {
        const { ask, tokenFor } = yield* serveRun()
        const others = (["runs:read", "runs:write"] as const).filter((other) => other !== scope)
        for (const token of [yield* tokenFor(), yield* tokenFor(...others)]) {
          assert.deepStrictEqual(yield* ask(endpoint, token), {
            status: 403,
            body: { _tag: "Forbidden", message: `The token lacks the scope ${scope}` }
          })
        }
      })
    )

    it.scopedLive(`with ${scope} alone, with admin, or without the claim may ${title}`, () =>
      Effect.gen(function* () {
        for (const scopes of [[scope], ["admin"], undefined] as const) {
          const { ask, tokens } = yield* serveRun()
          const token = Redacted.value(yield* tokens.sign({ scopes }))
          assertLetIn((yield* ask(endpoint, token)).status)
        }
      })
    )
  }

  it.scopedLive("that lacks the scope is refused before the body is read", () =>
    Effect.gen(function* () {
      const { post, tokenFor } = yield* serveRun()
      const token = yield* tokenFor("runs:read")
      assert.strictEqual((yield* post("/runs", "{", { token })).status, 403)
    })
  )
})

const message = "Access could not be decided; nothing was done; try again"

const undecided = { status: 503, body: { _tag: "AccessNotAvailable", message } }

const broken: ReadonlyArray<
  readonly [name: string, decision: () => Effect.Effect<boolean, unknown>]
> = [
  ["fails", () => Effect.fail("no answer from Teams")],
  ["dies", () => Effect.die(new Error("no answer from Teams"))],
  [
    "throws",
    () => {
      throw new Error("no answer from Teams")
    }
  ],
  ["interrupts itself", () => Effect.interrupt]
]

describe("RunAccess", () => {
  for (const endpoint of ofOneRun) {
    const action = endpoint.needs?.action ?? "read"
    const title = `${endpoint.method} ${endpoint.path}`

    it.scopedLive(`is told who wants to do what with which run by ${title}`, () =>
      Effect.gen(function* () {
        const asked: Array<Access.AccessRequest> = []
        const { ask, runId, tokenFor } = yield* serveRun((request) =>
          Effect.sync(() => asked.push(request) > 0)
        )
        assertLetIn((yield* ask(endpoint, yield* tokenFor("admin"))).status)
        const [request, ...aboutRelatives] = asked
        // what is told of a run's relatives is told to who may read these
        assert.deepStrictEqual(
          aboutRelatives.map(({ action }) => action),
          endpoint.needs?.action === "read" && aboutRelatives.length > 0 ? ["read"] : []
        )
        assert.strictEqual(request?.principal.subject, "ann")
        assert.deepStrictEqual([...(request?.principal.scopes ?? [])], [...Access.scopes])
        assert.strictEqual(request?.principal.claims.scope, "admin")
        assert.strictEqual(request?.action, action)
        assert.deepStrictEqual(request?.run, { runId, workflow: "Order" })
      })
    )

    it.scopedLive(`that says no refuses ${title}, also to an admin`, () =>
      Effect.gen(function* () {
        const { ask, runId, store } = yield* serveRun(() => Effect.succeed(false))
        const before = yield* store.find(runId)
        assert.deepStrictEqual(yield* ask(endpoint), {
          status: 403,
          body: { _tag: "Forbidden", message: `This token may not ${action} this run` }
        })
        assert.deepStrictEqual(yield* store.find(runId), before)
        // a run that is not there is for the handler to answer
        assert.strictEqual((yield* ask(endpoint, undefined, "none")).status, 404)
      })
    )

    it.scopedLive(`that cannot decide makes ${title} not available, and the log says why`, () =>
      Effect.gen(function* () {
        for (const [, decision] of broken) {
          const { ask, logs, runId, store } = yield* serveRun(decision)
          const before = yield* store.find(runId)
          assert.deepStrictEqual(yield* ask(endpoint), undecided)
          assert.deepStrictEqual(yield* store.find(runId), before)
          assert.include(logs.join("\n"), "RunAccess could not decide")
          assert.include(logs.join("\n"), `runId=${runId}`)
          assert.include(logs.join("\n"), `action=${action}`)
        }
      })
    )
  }

  it.scopedLive("is asked with the workflow's name when a run is started", () =>
    Effect.gen(function* () {
      const asked: Array<Access.AccessRequest> = []
      const { get, post } = yield* serve().pipe(
        Effect.provideService(Access.RunAccess, {
          allows: (request) =>
            Effect.sync(() => {
              asked.push(request)
              return request.action === "read" || request.run.workflow === "Shaped"
            })
        })
      )
      const refused = yield* post("/runs", start("1"))
      assert.strictEqual(refused.status, 403)
      assert.deepStrictEqual(refused.body, {
        _tag: "Forbidden",
        message: "This token may not start this run"
      })
      // also where nobody has it: what is registered is not told to everyone
      const unknown = yield* post("/runs", { workflow: "Nope", payload: {} })
      assert.strictEqual(unknown.status, 403)
      const shaped = { workflow: "Shaped", payload: { name: "x" } }
      assert.strictEqual((yield* post("/runs", shaped)).status, 202)
      assert.deepStrictEqual(
        asked.map(({ action, run }) => [action, run.runId, run.workflow]),
        [
          ["start", undefined, "Order"],
          ["start", undefined, "Nope"],
          ["start", undefined, "Shaped"]
        ]
      )
      assert.lengthOf((yield* get("/runs")).body.runs, 1)
    })
  )

  it.scopedLive("that may not read a run leaves it out of the pages, and loses no other", () =>
    Effect.gen(function* () {
      const hidden = new Set<string>()
      const { get, runs } = yield* serve().pipe(
        Effect.provideService(Access.RunAccess, {
          allows: ({ action, run }) =>
            Effect.succeed(action !== "read" || !hidden.has(run.runId ?? ""))
        })
      )
      const ids: Array<string> = []
      for (const id of ["1", "2", "3", "4", "5", "6", "7"]) {
        const { runId } = yield* Effect.orDie(runs.start(start(id)))
        ids.unshift(runId)
      }
      // of pages of two: the first has none, the second one, the others all
      for (const index of [0, 1, 3]) hidden.add(ids[index] ?? "")
      const pages: Array<ReadonlyArray<string | undefined>> = []
      let query = "?limit=2"
      while (query !== "") {
        const { body } = yield* get(`/runs${query}`)
        pages.push(body.runs.map(({ runId }: { readonly runId: string }) => runId))
        query = body.nextCursor === null ? "" : `?limit=2&cursor=${body.nextCursor}`
      }
      assert.deepStrictEqual(pages, [[], [ids[2]], [ids[4], ids[5]], [ids[6]]])
    })
  )

  for (const [name, decision] of broken) {
    it.scopedLive(`that ${name} makes a start and a listing not available`, () =>
      Effect.gen(function* () {
        const { get, logs, post, runs } = yield* serveRun(decision)
        const started = yield* post("/runs", start("2"))
        const listed = yield* get("/runs")
        for (const { body, status } of [started, listed]) {
          assert.deepStrictEqual({ status, body }, undecided)
        }
        assert.notInclude(started.text + listed.text, "Teams")
        const lines = logs.filter((line) => line.includes("RunAccess could not decide"))
        // one for the start, and one for each run in the list
        assert.lengthOf(lines, 4)
        assert.include(lines[0], "action=start")
        assert.include(lines[0], "workflow=Order")
        if (name !== "interrupts itself") assert.include(lines[0], "no answer from Teams")
        assert.lengthOf((yield* Effect.orDie(runs.list())).runs, 3)
      })
    )
  }

  it.scopedLive("is asked after the scope was found to be enough", () =>
    Effect.gen(function* () {
      const { get, runId, tokenFor } = yield* serveRun(() => Effect.die("asked"))
      const token = yield* tokenFor("runs:write")
      for (const path of ["/runs", `/runs/${runId}`]) {
        assert.strictEqual((yield* get(path, { token })).status, 403)
      }
    })
  )

  it.scopedLive("without one, nothing is read to decide", () =>
    Effect.gen(function* () {
      const { ask } = yield* serveRun(undefined, {
        store: () => ({ find: () => Effect.die("read") })
      })
      for (const endpoint of ofOneRun.filter(({ name }) =>
        ["interrupt", "resume"].includes(name)
      )) {
        assertLetIn((yield* ask(endpoint)).status)
      }
    })
  )

  it.scopedLive("is not asked about a run that the store cannot find just now", () =>
    Effect.gen(function* () {
      const { ask, logs } = yield* serveRun(() => Effect.succeed(true), {
        store: () => ({
          find: () => Effect.fail(new RunStoreError({ reason: "unavailable", message: "no disk" }))
        })
      })
      for (const endpoint of ofOneRun) assert.deepStrictEqual(yield* ask(endpoint), undecided)
      assert.include(logs.join("\n"), "The run store failed")
    })
  )

  it.scopedLive("is provided to an executor as any other layer", () =>
    Effect.gen(function* () {
      class Teams extends Context.Tag("test/Teams")<Teams, ReadonlySet<string>>() {}
      const TeamAccess = Layer.effect(
        Access.RunAccess,
        Effect.map(Teams, (teams) => ({
          allows: ({ principal }: Access.AccessRequest) =>
            Effect.succeed(teams.has(principal.subject ?? ""))
        }))
      )
      const context = yield* Executor.layerMemory({
        workflows: Layer.empty,
        http: { port: 0, authSecret: Redacted.make(secret) }
      }).pipe(
        Layer.provide(TeamAccess),
        Layer.provide(Layer.succeed(Teams, new Set(["ann"]))),
        Layer.build
      )
      const { address } = Context.get(context, HttpServer.HttpServer)
      const port = address._tag === "TcpAddress" ? address.port : 0
      const tokens = yield* Authorization.makeTokens(Redacted.make(secret))
      const startAs = (subject: string) =>
        Effect.flatMap(tokens.sign({ subject }), (token) =>
          Effect.promise(async () => {
            const response = await fetch(`http://127.0.0.1:${port}/runs`, {
              method: "POST",
              headers: {
                authorization: `Bearer ${Redacted.value(token)}`,
                "content-type": "application/json",
                connection: "close"
              },
              body: JSON.stringify({ workflow: "Nope", payload: {} })
            })
            await response.text()
            return response.status
          })
        )
      assert.strictEqual(yield* startAs("bob"), 403)
      assert.strictEqual(yield* startAs("ann"), 404)
    })
  )
})

const Who = Schema.Struct({ subject: Schema.String, scopes: Schema.Array(Schema.String) })

const whoami = HttpApiEndpoint.get("whoami", "/whoami").addSuccess(Who)

/** An endpoint that says who asks, behind these middlewares. */
const answerTo = (scopes: ReadonlyArray<Access.Scope>, order: "right" | "wrong" = "right") =>
  Effect.gen(function* () {
    const group = HttpApiGroup.make("own").add(whoami)
    const own = HttpApi.make("own").add(
      order === "right"
        ? group.middleware(Access.Access).middleware(Authorization.Authorization)
        : group.middleware(Authorization.Authorization).middleware(Access.Access)
    )
    const handlers = HttpApiBuilder.group(own, "own", (handlers) =>
      handlers.handle("whoami", () =>
        Effect.map(Access.Principal, ({ scopes, subject }) => ({
          subject: subject ?? "nobody",
          scopes: [...scopes]
        }))
      )
    )
    const tokens = Authorization.layerTokens(Redacted.make(secret))
    const { dispose, handler } = HttpApiBuilder.toWebHandler(
      HttpApiBuilder.api(own).pipe(
        Layer.provide(handlers),
        Layer.provide([Access.layer(own), Authorization.layer]),
        Layer.provide([tokens, Executor.layerTest().pipe(Layer.orDie)]),
        Layer.orDie,
        Layer.merge(HttpServer.layerContext)
      )
    )
    yield* Effect.addFinalizer(() => Effect.promise(dispose))
    const { sign } = yield* Effect.provide(Authorization.Tokens, tokens)
    const token = Redacted.value(yield* sign({ subject: "ann", scopes }))
    return yield* Effect.promise(async () => {
      const headers = { authorization: `Bearer ${token}` }
      const response = await handler(new Request("http://x/whoami", { headers }))
      const text = await response.text()
      return { status: response.status, body: text === "" ? undefined : JSON.parse(text) }
    })
  })

describe("an endpoint", () => {
  it.scopedLive("that does not say what it needs is for admins", () =>
    Effect.gen(function* () {
      const refused = yield* answerTo(["runs:read", "runs:write"])
      assert.strictEqual(refused.status, 403)
      assert.strictEqual(refused.body.message, "The token lacks the scope admin")
      assert.strictEqual((yield* answerTo(["admin"])).status, 200)
    })
  )

  it.scopedLive("can ask who it answers", () =>
    Effect.gen(function* () {
      const { body } = yield* answerTo(["admin"])
      assert.deepStrictEqual(body, {
        subject: "ann",
        scopes: ["runs:read", "runs:write", "admin"]
      })
    })
  )

  it.scopedLive("whose middlewares are the wrong way round lets nobody in", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* answerTo(["admin"], "wrong")).status, 500)
    })
  )
})

describe("what the app decides", () => {
  const nobody = Layer.succeed(Access.RunAccess, { allows: () => Effect.succeed(false) })
  const unsaid = "no RunAccess was given"

  it.scopedLive("is taken as options, which stand before what is provided", () =>
    Effect.gen(function* () {
      let stops = 0
      const { get, logs, post } = yield* serve({
        access: nobody,
        shutdown: Effect.sync(() => void stops++),
        exposed: () => false,
        stop: Effect.dieMessage("not this one")
      })
      assert.strictEqual((yield* post("/runs", start("1"))).status, 403)
      assert.strictEqual((yield* post("/drain")).status, 202)
      assert.strictEqual(stops, 1)
      assert.strictEqual((yield* get("/metrics")).text.trim(), "")
      assert.notInclude(logs.join("\n"), unsaid)
    })
  )

  it.scopedLive("is told by the log where nothing was said, and not where it was", () =>
    Effect.gen(function* () {
      assert.include((yield* serve()).logs.join("\n"), unsaid)
      const { logs, post } = yield* serve({ access: Access.layerByScope })
      assert.strictEqual((yield* post("/runs", start("1"))).status, 202)
      assert.notInclude(logs.join("\n"), unsaid)
    })
  )

  const misplaced: ReadonlyArray<readonly [name: string, layer: Layer.Layer<never>]> = [
    ["RunAccess", nobody],
    ["Shutdown", Shutdown.layer(Effect.void)],
    ["Exposed", Exposed.layerAll],
    ["Signals", Layer.succeed(Signals, [Approval])]
  ]
  for (const [name, layer] of misplaced) {
    it.scopedLive(`is not ignored where nobody asks for it: ${name}`, () =>
      Effect.gen(function* () {
        for (const options of [{ workflows: layer }, { workflows: Layer.empty, http: layer }]) {
          const exit = yield* Executor.layerCore(options).pipe(
            Layer.provide(SqliteRunStore.layerMemory),
            Layer.provide(RunnerConfig.layer({})),
            Layer.build,
            Effect.exit
          )
          assert.isTrue(Exit.isFailure(exit))
          if (Exit.isSuccess(exit)) continue
          const error = Cause.squash(exit.cause)
          assert.instanceOf(error, Error)
          assert.include(String(error), `${name} comes out of the layer of the workflows`)
        }
      })
    )
  }

  it.scopedLive("may be provided to the executor, as before", () =>
    Executor.layerMemory({ workflows: Layer.empty, http: false }).pipe(
      Layer.provide(Layer.mergeAll(nobody, Shutdown.layer(Effect.void), Exposed.layerAll)),
      Layer.build
    )
  )
})
