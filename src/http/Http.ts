/**
 * Serves the API.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Tracer from "effect/Tracer"
import { Api, DrainNotAvailable, NotAvailable } from "../api/Api.js"
import type { RunnerState } from "../api/RunnerState.js"
import { Dispatcher } from "../engine/held/Dispatcher.js"
import { Events } from "../events/Events.js"
import { type ExecutorView, Runs, type RunWithStepsView } from "../runner/Runs.js"
import { viewInFlight } from "../runner/RunViews.js"
import { layer as layerShutdown, Shutdown } from "../runner/Shutdown.js"
import type { RunStoreError } from "../store/RunStore.js"
import { RunStore, type Trace } from "../store/RunStore.js"
import { Exposed } from "../telemetry/Exposed.js"
import * as Metrics from "../telemetry/Metrics.js"
import * as Prometheus from "../telemetry/Prometheus.js"
import { isTraced } from "../telemetry/Spans.js"
import * as Access from "./Access.js"
import * as Answers from "./Answers.js"
import * as Authorization from "./Authorization.js"
import { defaultMaxBodySize } from "./Body.js"
import * as Dashboard from "./Dashboard.js"
import * as Docs from "./Docs.js"
import * as EventHandlers from "./EventHandlers.js"
import * as EventStreams from "./EventStreams.js"
import * as NoBody from "./NoBody.js"
import * as Readiness from "./Readiness.js"
import * as SchedulesHandlers from "./Schedules.js"
import * as Server from "./Server.js"
import * as Stacks from "./Stacks.js"
import { orNotAvailable } from "./StoreFailures.js"
import * as Values from "./Values.js"

/** Answers with the Runner's state: 200 in these, else 503. */
const probe = (
  ...available: ReadonlyArray<RunnerState>
): Effect.Effect<{ readonly state: RunnerState }, NotAvailable, Dispatcher> =>
  Effect.gen(function* () {
    const state = yield* SubscriptionRef.get((yield* Dispatcher).state)
    return available.includes(state)
      ? { state }
      : yield* new NotAvailable({ state, message: `The executor is ${state}` })
  })

const ProbesLive = HttpApiBuilder.group(Api, "probes", (handlers) =>
  Effect.map(Readiness.make, (database) =>
    handlers
      // never asks the store: nothing is mended by a restart where it is the database that is away
      .handle("health", () => probe("running", "draining"))
      .handle("ready", () =>
        Effect.tap(probe("running"), ({ state }) =>
          Effect.flatMap(database, (found) =>
            found._tag === "Ready" ? Effect.void : new NotAvailable({ state, message: found.why })
          )
        )
      )
  )
)

/** Where the caller is in its trace: the request's own span, else what its headers say. */
const traceOf = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<Trace | undefined> =>
  Effect.map(Effect.serviceOption(Tracer.ParentSpan), (current) =>
    current.pipe(
      Option.filter((span) => span._tag === "Span" && span.kind === "server"),
      Option.orElse(() => HttpTraceContext.fromHeaders(request.headers)),
      Option.map(({ sampled, spanId, traceId }) => ({ traceId, spanId, sampled })),
      Option.getOrUndefined
    )
  )

/** Without the runs around it that the request may not read; how many they are is told. */
const withVisibleRelatives = Effect.fnUntraced(function* (run: RunWithStepsView) {
  const visible = (relatives: RunWithStepsView["children"]) =>
    relatives === undefined
      ? Effect.succeed(undefined)
      : Effect.map(Access.visible(relatives.first), (first) => ({ ...relatives, first }))
  const [parents, children] = yield* Effect.all([visible(run.parents), visible(run.children)])
  return {
    ...run,
    ...(parents === undefined ? {} : { parents }),
    ...(children === undefined ? {} : { children })
  }
})

/** Without the steps of runs that the request may not read; how many they are is told. */
const withVisibleSteps = (executor: ExecutorView) =>
  executor.inFlight === undefined
    ? Effect.succeed(executor)
    : Effect.map(Access.visible(executor.inFlight), (inFlight) => ({ ...executor, inFlight }))

const RunsLive = HttpApiBuilder.group(Api, "runs", (handlers) =>
  Effect.gen(function* () {
    const runs = yield* Runs
    const readable = yield* Access.readable
    return handlers
      .handle("workflows", () => Effect.map(runs.workflows, (workflows) => ({ workflows })))
      .handle("start", ({ payload, request }) =>
        Access.authorize("start", { workflow: payload.workflow, runId: undefined }).pipe(
          Effect.zipRight(traceOf(request)),
          Effect.flatMap((trace) => runs.start({ ...payload, trace })),
          // it is told of a run that it has not named
          Effect.tap((started) => ("skipped" in started ? readable(started.runId) : Effect.void)),
          Effect.map((started) => {
            const { created, runId } = started
            return HttpServerResponse.unsafeJson(created ? { runId } : started, {
              status: created ? 202 : 200,
              headers: { location: `/runs/${encodeURIComponent(runId)}` }
            })
          }),
          orNotAvailable
        )
      )
      .handle("list", ({ urlParams }) =>
        runs.list(urlParams).pipe(
          Effect.flatMap((page) =>
            Access.visible(page.runs).pipe(
              Effect.flatMap(Values.ofRuns),
              Effect.map((runs) => ({ ...page, runs }))
            )
          ),
          orNotAvailable
        )
      )
      .handle("counts", ({ urlParams }) => {
        const counted = orNotAvailable(runs.countBy(urlParams))
        // which runs there are would be told by what a filter leaves
        return Object.keys(urlParams).length === 0
          ? counted
          : Access.aboutMany("Counts by a filter", counted)
      })
      .handle("ids", ({ urlParams: { prefix } }) =>
        runs.ids(prefix).pipe(
          Effect.flatMap((found) =>
            Effect.map(Access.visible(found.runs), (visible) => ({ ...found, runs: visible }))
          ),
          orNotAvailable
        )
      )
      .handle("steps", ({ path: { runId }, urlParams: { cursor } }) =>
        runs.steps({ runId, cursor }).pipe(
          Effect.flatMap((page) =>
            Effect.map(Values.ofSteps(page.steps), (steps) => ({ ...page, steps }))
          ),
          orNotAvailable
        )
      )
      .handle("step", ({ path }) => orNotAvailable(Effect.flatMap(runs.step(path), Values.ofStep)))
      .handle("payload", ({ path: { runId } }) =>
        Effect.zipRight(Values.required, orNotAvailable(runs.payload(runId)))
      )
      .handle("outcome", ({ path: { runId } }) =>
        Values.required.pipe(
          Effect.zipRight(Stacks.shown),
          Effect.flatMap((stacks) => orNotAvailable(runs.outcome(runId, { stacks })))
        )
      )
      .handle("get", ({ path }) =>
        Effect.flatMap(Stacks.shown, (stacks) => runs.get(path.runId, { stacks })).pipe(
          Effect.flatMap(withVisibleRelatives),
          Effect.flatMap(Values.ofRun),
          orNotAvailable
        )
      )
      .handle("interrupt", ({ path: { runId }, request }) =>
        NoBody.expected(request, orNotAvailable(Effect.as(runs.interrupt(runId), { runId })))
      )
      .handle("terminate", ({ path: { runId }, payload }) =>
        orNotAvailable(
          Effect.map(runs.terminate({ ...payload, runId }), (ended) => ({ runId, ...ended }))
        )
      )
      .handle("resume", ({ path: { runId }, request }) =>
        NoBody.expected(request, orNotAvailable(Effect.as(runs.resume(runId), { runId })))
      )
      .handle("retry", ({ path: { runId }, request, urlParams }) =>
        NoBody.expected(request, orNotAvailable(Effect.as(runs.retry(runId, urlParams), { runId })))
      )
      .handle("remove", ({ path: { runId } }) => orNotAvailable(runs.remove(runId)))
      .handle("signal", ({ path: { name, runId }, payload: { value } }) =>
        orNotAvailable(Effect.as(runs.signal({ runId, name, value }), { runId }))
      )
  })
)

const QueuesLive = HttpApiBuilder.group(Api, "queues", (handlers) =>
  Effect.map(Runs, ({ changeQueue, queues }) =>
    handlers
      .handle("list", () => orNotAvailable(Effect.map(queues, (queues) => ({ queues }))))
      .handle("change", ({ path: { name }, payload }) =>
        orNotAvailable(changeQueue({ ...payload, name }))
      )
  )
)

const PausesLive = HttpApiBuilder.group(Api, "pauses", (handlers) =>
  Effect.map(Runs, ({ pauses, pauseWorkflow, resumeWorkflow }) =>
    handlers
      .handle("list", () => orNotAvailable(Effect.map(pauses, (pauses) => ({ pauses }))))
      .handle("pause", ({ path: { workflow }, payload }) =>
        orNotAvailable(pauseWorkflow({ ...payload, workflow }))
      )
      .handle("resume", ({ path: { workflow } }) => orNotAvailable(resumeWorkflow(workflow)))
  )
)

const ofMany = <A, E, R>(effect: Effect.Effect<A, E | RunStoreError, R>) =>
  Access.aboutMany("Operations on many runs", orNotAvailable(effect))

const BulkLive = HttpApiBuilder.group(Api, "bulk", (handlers) =>
  Effect.map(Runs, ({ bulk, bulkOperation, bulkOperations, cancelBulk, previewBulk }) =>
    handlers
      .handle("start", ({ payload: { preview, ...request } }) =>
        ofMany(
          preview === true
            ? Effect.map(previewBulk(request), (counted) => HttpServerResponse.unsafeJson(counted))
            : Effect.map(bulk(request), (asked) =>
                HttpServerResponse.unsafeJson(asked, {
                  status: 202,
                  headers: { location: `/bulk/${asked.id}` }
                })
              )
        )
      )
      .handle("list", () => ofMany(Effect.map(bulkOperations, (operations) => ({ operations }))))
      .handle("get", ({ path: { id } }) => ofMany(bulkOperation(id)))
      .handle("cancel", ({ path: { id } }) => ofMany(cancelBulk(id)))
  )
)

const ExecutorsLive = HttpApiBuilder.group(Api, "executors", (handlers) =>
  Effect.gen(function* () {
    const runs = yield* Runs
    const dispatcher = yield* Dispatcher
    const shutdown = yield* Shutdown
    return handlers
      .handle("executors", () =>
        runs.executors.pipe(
          Effect.flatMap((executors) => Effect.forEach(executors, withVisibleSteps)),
          Effect.map((executors) => ({ executors })),
          orNotAvailable
        )
      )
      .handle("drain", ({ request }) =>
        NoBody.expected(
          request,
          Effect.flatMap(SubscriptionRef.get(dispatcher.state), drain(shutdown))
        )
      )
  })
)

/** Asks, and answers with the state that this comes to. */
const drain = (shutdown: Shutdown["Type"]) => (state: RunnerState) =>
  Effect.gen(function* () {
    // not in this fiber: its request is to be answered, however long the app takes
    if (Option.isSome(shutdown)) yield* Effect.forkDaemon(shutdown.value)
    if (isLeaving(state)) return { state }
    return Option.isSome(shutdown)
      ? { state: "draining" as const }
      : yield* new DrainNotAvailable({
          state,
          message:
            "This executor is not stopped by a request: the app in which it runs decides about its stop, and has not provided Shutdown"
        })
  })

const isLeaving = (state: RunnerState) => state === "draining" || state === "stopped"

/** A store that does not answer must not hold up what tells of it. */
const countsTimeout = Duration.seconds(2)

const iso = (millis: number) => new Date(millis).toISOString()

const MetricsLive = HttpApiBuilder.group(Api, "metrics", (handlers) =>
  Effect.gen(function* () {
    const isExposed = yield* Exposed
    const { blocked, counts, oldestPending } = yield* RunStore
    const counted = Effect.all([counts, oldestPending, blocked, Clock.currentTimeMillis]).pipe(
      Effect.timeout(countsTimeout),
      Effect.map(([counts, oldest, toMend, now]) =>
        Metrics.stored(
          counts,
          Option.getOrUndefined(Option.map(oldest, (createdAt) => now - createdAt)),
          toMend
        )
      ),
      Effect.tapErrorCause((cause) => Effect.logWarning("Runs could not be counted", cause)),
      Effect.isSuccess
    )
    const { minutes } = yield* Events
    const since = yield* Clock.currentTimeMillis
    const metrics = handlers.handle("metrics", () =>
      Effect.gen(function* () {
        const isCounted = yield* counted
        const isShown = (name: string) =>
          isExposed(name) && (isCounted || !Metrics.ofStore.has(name))
        return Prometheus.render(
          (yield* Metric.snapshot).filter(({ metricKey }) => isShown(metricKey.name))
        )
      })
    )
    const dispatcher = yield* Dispatcher
    return metrics.handle("activity", () =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        return {
          minutes: minutes(now).map((minute) => ({ ...minute, at: iso(minute.at) })),
          ...(now - since < 3_600_000 ? { since: iso(since) } : {}),
          inFlight: yield* Access.visible(viewInFlight(yield* dispatcher.inFlight))
        }
      })
    )
  })
)

const ApiLive = HttpApiBuilder.api(Api).pipe(
  Layer.provide([
    ProbesLive,
    RunsLive,
    SchedulesHandlers.layer,
    EventHandlers.layer,
    ExecutorsLive,
    QueuesLive,
    PausesLive,
    BulkLive,
    MetricsLive,
    Docs.layer
  ]),
  Layer.provide(Access.layer(Api))
)

/**
 * Names of signals and ids of runs may be longer than the router's own 100 characters: as long as
 * Node takes the URL, whose limit is 16 KiB with the headers.
 */
const routerConfig = { maxParamLength: 16 * 1024 }

/**
 * The API as an app, for those who mount it in a router of their own, with the dashboard at `/ui/`;
 * `Dashboard.layerNone` leaves that out.
 *
 * Request bodies are taken up to the platform's `MaxBodySize`; where that is not set, up to 1 MiB.
 * It asks for `EventStreams.layer`, which is to be released before the server waits for its
 * connections: until then events are sent.
 */
export const app = Effect.gen(function* () {
  const maxBodySize = Option.match(yield* HttpIncomingMessage.MaxBodySize, {
    onNone: () => defaultMaxBodySize,
    onSome: Number
  })
  const api = yield* HttpRouter.withRouterConfig(HttpApiBuilder.httpApp, routerConfig)
  return yield* Dashboard.before(Answers.complete(api, maxBodySize))
}).pipe(
  Effect.provide(
    Layer.mergeAll(ApiLive, HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer)
  )
)

const unspanned: ReadonlySet<string> = new Set(["/health", "/ready", "/metrics"])

/** A span of what has no end tells nothing. */
const isEndless = (url: string) => /^\/(runs\/[^/?]+\/)?events(\?|$)/.test(url)

/** No spans where nobody looks at them, and none for probes, scrapes and events. */
const untraced = Effect.map(
  isTraced,
  (traced) => (request: HttpServerRequest.HttpServerRequest) =>
    !traced || unspanned.has(request.url) || isEndless(request.url)
)

/** What the API is served from. */
type Served = Runs | RunStore | Dispatcher | Events

const layerOverStreams = Layer.unwrapEffect(
  Effect.gen(function* () {
    return HttpMiddleware.withTracerDisabledWhen(HttpServer.serve(yield* app), yield* untraced)
  })
).pipe(Layer.provide(HttpServer.layerContext))

/**
 * Serves the API over the app's own `HttpServer`, and lets in whom its `Authorization` lets in.
 *
 * How the server is released is then the app's business: see `Server`.
 */
export const layer: Layer.Layer<
  never,
  never,
  HttpServer.HttpServer | Authorization.Authorization | Served
> = Layer.provide(layerOverStreams, EventStreams.layer)

/** What an app decides about its API, and nobody else can. */
export interface Decided {
  /**
   * Who may do what with which run; `Access.layerByScope` says that the scopes of a token are enough.
   * Default: the `RunAccess` that is provided to the layer, and where none is, `layerByScope`, which
   * the log then tells.
   */
  readonly access?: Layer.Layer<Access.RunAccess> | undefined
  /** What `POST /drain` does; see `Shutdown`. Default: the one that is provided to the layer. */
  readonly shutdown?: Effect.Effect<unknown> | undefined
  /** Which metrics are shown; see `Exposed`. Default: the one that is provided to the layer. */
  readonly exposed?: ((name: string) => boolean) | undefined
  /**
   * Whether `GET /runs/:runId` also tells tokens without the scope `admin` where an unexpected error
   * came from (`stack`). Default: false.
   */
  readonly stacksForReaders?: boolean | undefined
  /**
   * Whether tokens without the scope `admin` are told payloads, results and what errors say. Default:
   * true.
   */
  readonly valuesForReaders?: boolean | undefined
  /** Whether the dashboard is served too, at `/ui/`, to which `/` leads. Default: true. */
  readonly dashboard?: boolean | undefined
}

/** Layers that ask for services with a default have no requirement for them: nor has this. */
const layerDecided = ({
  access,
  dashboard,
  exposed,
  shutdown,
  stacksForReaders,
  valuesForReaders
}: Decided): Layer.Layer<never> =>
  Layer.mergeAll(
    access ?? Layer.empty,
    stacksForReaders === undefined
      ? Layer.empty
      : Layer.succeed(Stacks.StacksForReaders, stacksForReaders),
    valuesForReaders === undefined
      ? Layer.empty
      : Layer.succeed(Values.ValuesForReaders, valuesForReaders),
    dashboard === undefined ? Layer.empty : Layer.succeed(Dashboard.DashboardServed, dashboard),
    shutdown === undefined ? Layer.empty : layerShutdown(shutdown),
    exposed === undefined ? Layer.empty : Layer.succeed(Exposed, exposed)
  )

export interface Options extends Server.ServerOptions, Decided {
  /** Bytes that a request's body may have. Default: 1 MiB. */
  readonly maxBodySize?: number | undefined
}

/**
 * The complete server: listens, serves the API to those with a token, and is released in bounded
 * time. Provides the `HttpServer`, for its address.
 */
export const layerServer = (
  options: Options = {}
): Layer.Layer<HttpServer.HttpServer, Server.HttpListenError, Authorization.Tokens | Served> =>
  EventStreams.layerEnd.pipe(
    Layer.provideMerge(Server.layerClose),
    Layer.provide(layerOverStreams),
    Layer.provide(EventStreams.layer),
    Layer.provide(Authorization.layer),
    Layer.provide(layerDecided(options)),
    Layer.provideMerge(Server.layer(options)),
    Layer.provide(
      Layer.succeed(
        HttpIncomingMessage.MaxBodySize,
        Option.some(FileSystem.Size(options.maxBodySize ?? defaultMaxBodySize))
      )
    )
  )
