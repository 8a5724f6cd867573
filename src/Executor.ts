/**
 * The front door: an executor, whole, as a Layer.
 *
 * - `layer`: on a SQLite file, with its HTTP API. `layerMemory`: the same, in memory.
 * - `layerConfig`: as `layer`, configured by the environment.
 * - `layerCore`: for apps that bring their own SqlClient, HTTP server or config.
 * - `layerTest`: for tests under TestClock; `layerTestCore`: the same, over a RunStore that outlives it.
 *
 * Each composes from the bottom up, so that it is released from the top down: the Runner drains,
 * then the workflows' resources, HTTP, the engine, the store and the database go.
 */

import { resolve } from "node:path"
import * as HttpServer from "@effect/platform/HttpServer"
import type { WorkflowEngine } from "@effect/workflow"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { boundedRelease } from "./BoundedRelease.js"
import * as Dispatcher from "./runner/Dispatcher.js"
import * as Engine from "./engine/Engine.js"
import * as Events from "./engine/Events.js"
import * as Authorization from "./http/Authorization.js"
import * as Http from "./http/Http.js"
import * as HashOnTheSpot from "./internal/HashOnTheSpot.js"
import { isLoopback } from "./internal/Loopback.js"
import * as Misplaced from "./internal/Misplaced.js"
import * as Runner from "./runner/Runner.js"
import * as RunnerConfig from "./runner/RunnerConfig.js"
import type { RunStore, RunStoreError } from "./store/RunStore.js"
import * as Runs from "./runner/Runs.js"
import * as Settings from "./Settings.js"
import * as SqlRunStore from "./store/sqlite/SqlRunStore.js"

/** What every executor provides. */
export type Services =
  | WorkflowEngine.WorkflowEngine
  | Runner.Runner
  | Runs.Runs
  | Dispatcher.Dispatcher
  | Events.Events

/** The services that workflows, and what serves HTTP, may ask an executor for. */
type Below = Exclude<Services, Runner.Runner>

/**
 * The engine and what it executes on, over a RunStore. Executes nothing until a Runner starts. What
 * is above it gets the RunStore from it, so that all that they write is told of as `Events`.
 */
export const layerEngine: Layer.Layer<
  Below | RunStore,
  never,
  RunStore | RunnerConfig.RunnerConfig
> = Layer.merge(Engine.layer, Runs.layer).pipe(
  Layer.provideMerge(Dispatcher.layer),
  Layer.provideMerge(Events.layer)
)

/**
 * An executor over the RunStore and the config of the app.
 *
 * Dies where `RunAccess`, `Shutdown`, `Exposed` or `Signals` come out of one of its layers: nobody
 * there asks for them, so what they were meant to do would silently not be done.
 *
 * @param options.workflows the registrations (`Workflow.toLayer`), with all they need
 * @param options.http what answers HTTP requests: acquired before the workflows and released after
 * them, so that it answers all through the drain
 *
 * @example
 * Executor.layerCore({ workflows: OrdersLive }).pipe(
 *   Layer.provide(SqlRunStore.layer),
 *   Layer.provide(RunnerConfig.layer({ stopTimeout: "1 minute" })),
 *   Layer.provide(MySqlClientLive)
 * )
 */
export const layerCore = <WA, WE, WR, HA = never, HE = never, HR = never>(options: {
  readonly workflows: Layer.Layer<WA, WE, WR>
  readonly http?: Layer.Layer<HA, HE, HR> | undefined
}) => {
  const workflows = Layer.unwrapEffect(
    Effect.map(RunnerConfig.RunnerConfig, ({ closeTimeout }) =>
      boundedRelease("the workflows' resources", closeTimeout)(options.workflows)
    )
  )
  // without one, its type parameters are `never`, and so is all that it could provide
  const http = (options.http ?? Layer.empty) as Layer.Layer<HA, HE, HR>
  return Layer.unwrapEffect(
    Effect.map(Effect.context<never>(), (outside) =>
      Runner.layer.pipe(
        Layer.provide(Misplaced.refuse(outside)),
        Layer.provideMerge(workflows),
        Layer.provideMerge(http),
        Layer.provideMerge(layerEngine)
      )
    )
  )
}

export interface HttpOptions extends Http.Options {
  /**
   * Key of the bearer tokens (HS256); at least 32 bytes are advised. Of several, all are accepted
   * and the first one signs. Without one a random key is made, on a loopback address only, and a
   * token to use is printed.
   */
  readonly authSecret?: Authorization.Secrets | undefined
}

export interface Options<WA, WE, WR> extends Partial<RunnerConfig.RunnerOptions> {
  /** The registrations (`Workflow.toLayer`), with all they need. */
  readonly workflows: Layer.Layer<WA, WE, WR>
  /** The HTTP API; `false` for none. Default: on 127.0.0.1, port 3400. */
  readonly http?: HttpOptions | false | undefined
}

/** An executor that other machines could reach needs a key of its own. */
export class AuthSecretMissing extends Data.TaggedError("AuthSecretMissing")<{
  readonly host: string
}> {
  override get message() {
    return `AUTH_SECRET is not set, which is allowed on a loopback address only, and HOST is ${this.host}: set AUTH_SECRET to a secret of 32 bytes or more`
  }
}

const complete = <WA, WE, WR>(
  options: Options<WA, WE, WR>,
  store: Layer.Layer<RunStore, RunStoreError>,
  /** What the log calls its database. */
  database: string
) => {
  const http =
    options.http === false
      ? // nobody asks for a server that is not there: its type is that of the general case
        (Layer.empty as Layer.Layer<never> as Layer.Layer<HttpServer.HttpServer>)
      : layerHttp(options.http ?? {})
  return layerCore({ workflows: options.workflows, http }).pipe(
    Layer.provideMerge(store),
    Layer.provide(RunnerConfig.layer(options)),
    Layer.tap(logReady(database))
  )
}

/** The HTTP API on a server of its own, for those who have a token. */
export const layerHttp = (options: HttpOptions) =>
  Http.layerServer(options).pipe(Layer.provide(layerTokens(options)))

/**
 * A complete executor on a SQLite file. It logs `executor ready` with the address that the HTTP API
 * has, also where the port was 0; a program finds it as the `address` of `HttpServer`.
 *
 * @param options.database the file; it and its folder are made. Default: `data/executor.db`
 *
 * @example
 * Executor.layer({ workflows: OrdersLive }).pipe(Layer.launch, NodeRuntime.runMain)
 */
export const layer = <WA, WE, WR>(
  options: Options<WA, WE, WR> & { readonly database?: string | undefined }
) => {
  const filename = options.database ?? "data/executor.db"
  return complete(options, SqlRunStore.layerFile({ filename }), resolve(filename))
}

/**
 * A complete executor configured by the environment: see `Settings` for the variables. Wrong ones
 * are told before anything is opened.
 *
 * @example
 * Executor.layerConfig({ workflows: OrdersLive }).pipe(Layer.launch, NodeRuntime.runMain)
 */
export const layerConfig = <WA, WE, WR>(options: {
  /** The registrations (`Workflow.toLayer`), with all they need. */
  readonly workflows: Layer.Layer<WA, WE, WR>
  /** What the environment does not say of the HTTP API. */
  readonly http?: Http.Decided | undefined
}) =>
  Layer.unwrapEffect(
    Effect.map(
      Settings.read,
      ({ authSecret, database, host, log, port, runner, stacksForReaders }) =>
        layer({
          ...options,
          ...runner,
          database,
          http: { stacksForReaders, ...options.http, host, port, authSecret }
        }).pipe(Layer.provide(Settings.layerLog(log)))
    )
  )

const logReady =
  (database: string) =>
  (context: Context.Context<Dispatcher.Dispatcher>): Effect.Effect<void> =>
    Effect.gen(function* () {
      const server = Context.getOption(context, HttpServer.HttpServer)
      const workflows = yield* Context.get(context, Dispatcher.Dispatcher).workflows
      yield* Effect.logInfo("executor ready").pipe(
        Effect.annotateLogs({
          database,
          ...Option.match(server, {
            onNone: () => ({}),
            onSome: ({ address }) => ({
              address: address._tag === "TcpAddress" ? urlOf(address) : address.path
            })
          }),
          workflows: workflows.map(({ name }) => name).sort()
        })
      )
      if (workflows.length === 0) yield* Effect.logWarning("no workflow is registered")
    })

const urlOf = ({ hostname, port }: HttpServer.TcpAddress) =>
  `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`

/** A complete executor in memory: its runs end with it. */
export const layerMemory = <WA, WE, WR>(options: Options<WA, WE, WR>) =>
  complete(options, SqlRunStore.layerMemory, "in memory")

const layerTokens = (
  options: HttpOptions
): Layer.Layer<Authorization.Tokens, AuthSecretMissing | Authorization.InvalidAuthSecret> => {
  const host = options.host ?? "127.0.0.1"
  if (options.authSecret !== undefined) return Authorization.layerTokens(options.authSecret)
  return isLoopback(host)
    ? Layer.tap(Authorization.layerTokensRandom, (context) =>
        printToken(Context.get(context, Authorization.Tokens))
      )
    : Layer.fail(new AuthSecretMissing({ host }))
}

const printToken = Effect.fnUntraced(function* (tokens: Authorization.Tokens["Type"]) {
  const token = yield* tokens.sign()
  yield* Console.error(
    `AUTH_SECRET is not set. A token for this process, valid for a day:\n${Redacted.value(token)}`
  )
})

/**
 * For tests: everything in memory, all time the test's. Nothing happens by itself but what a
 * TestClock makes happen, so an adjustment by months costs no more than the timers in it.
 *
 * @example
 * it.effect("ships after a day", () =>
 *   Effect.gen(function* () {
 *     const runId = yield* Order.execute({ id: "1" }, { discard: true })
 *     yield* TestClock.adjust("1 day")
 *     expect(yield* Order.poll(runId)).toEqual(new Workflow.Complete({ exit: Exit.void }))
 *   }).pipe(Effect.provide(OrderLive.pipe(Layer.provideMerge(Executor.layerTest())))))
 */
export const layerTest = (
  options: Partial<RunnerConfig.RunnerOptions> = {}
): Layer.Layer<
  Services | RunStore | RunnerConfig.RunnerConfig,
  RunStoreError | Runner.RunnerAlreadyStarted
> => layerTestCore(options).pipe(Layer.provideMerge(SqlRunStore.layerMemory))

/**
 * As `layerTest`, over a RunStore of the test's: one that is there for longer than the executor, so
 * that the test can stop it, in the middle of a run, and start the next one over the same runs. In
 * memory (`SqlRunStore.layerMemory`) or on a file (`SqlRunStore.layerFile`).
 *
 * @example
 * it.effect("goes on after a restart", () =>
 *   Effect.gen(function* () {
 *     const executor = OrderLive.pipe(Layer.provideMerge(Executor.layerTestCore()))
 *     const runId = yield* Order.execute({ id: "1" }, { discard: true }).pipe(
 *       Effect.provide(executor)
 *     )
 *     yield* TestClock.adjust("30 days").pipe(Effect.provide(executor))
 *   }).pipe(Effect.provide(SqlRunStore.layerMemory)))
 */
export const layerTestCore = (
  options: Partial<RunnerConfig.RunnerOptions> = {}
): Layer.Layer<
  Services | RunnerConfig.RunnerConfig,
  Runner.RunnerAlreadyStarted | RunStoreError,
  RunStore
> =>
  layerCore({ workflows: Layer.empty }).pipe(
    Layer.provideMerge(Layer.scopedDiscard(HashOnTheSpot.whileOpen)),
    // nobody else can take the runs over: renewing the lease often would only cost time
    Layer.provideMerge(
      // a test that fails while a step sleeps must not wait for a clock that stands still
      RunnerConfig.layer({ leaseDuration: "1000 days", stopTimeout: 0, ...options })
    )
  )
