/**
 * The front door: an executor, whole, as a Layer.
 *
 * - `layer`: on a SQLite file, with its HTTP API. `layerMemory`: the same, in memory.
 * - `layerPostgres`: on PostgreSQL, beside others on as many machines.
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
import type * as ConfigError from "effect/ConfigError"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { type Below, layerCore, type Services } from "./CoreLayers.js"
import * as Dispatcher from "./engine/held/Dispatcher.js"
import * as RunnerConfig from "./engine/RunnerConfig.js"
import * as Authorization from "./http/Authorization.js"
import * as Http from "./http/Http.js"
import type { HttpListenError } from "./http/Server.js"
import * as HashOnTheSpot from "./internal/HashOnTheSpot.js"
import { isLoopback } from "./internal/Loopback.js"
import type { PostgresOptions } from "./PostgresOptions.js"
import * as PostgresStore from "./PostgresStore.js"
import type * as Runner from "./runner/Runner.js"
import * as Settings from "./Settings.js"
import type { RunStore, RunStoreError } from "./store/RunStore.js"
import * as SqliteRunStore from "./store/sqlite/SqliteRunStore.js"

export { layerCore, layerEngine, type Services } from "./CoreLayers.js"

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

/** A complete executor, with its HTTP API: what it provides, how it fails to start, what it needs. */
export type Complete<WA, WE, WR> = Layer.Layer<
  Services | RunStore | HttpServer.HttpServer | WA,
  | RunStoreError
  | Runner.RunnerAlreadyStarted
  | AuthSecretMissing
  | Authorization.InvalidAuthSecret
  | HttpListenError
  | WE,
  Exclude<WR, Below | RunStore | RunnerConfig.RunnerConfig | HttpServer.HttpServer>
>

const complete = <WA, WE, WR>(
  options: Options<WA, WE, WR>,
  store: Layer.Layer<RunStore, RunStoreError>,
  /** What the log calls its database. */
  database: string
): Complete<WA, WE, WR> => {
  const http =
    options.http === false
      ? // nobody asks for a server that is not there: its type is that of the general case
        (Layer.empty as Layer.Layer<never> as Layer.Layer<HttpServer.HttpServer>)
      : layerHttp(options.http ?? {})
  const composed = layerCore({ workflows: options.workflows, http }).pipe(
    Layer.provideMerge(store),
    Layer.provide(RunnerConfig.layer(options)),
    Layer.tap(logReady(database))
  )
  // what is inferred is this, taken away one by one
  // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
  return composed as Complete<WA, WE, WR>
}

/** The HTTP API on a server of its own, for those who have a token. */
export const layerHttp = (
  options: HttpOptions
): Layer.Layer<
  HttpServer.HttpServer,
  AuthSecretMissing | Authorization.InvalidAuthSecret | HttpListenError,
  Exclude<Below, WorkflowEngine.WorkflowEngine> | RunStore
> =>
  Http.layerServer(options).pipe(
    // only now is it known which port it has
    Layer.tap((context) => printToken(options, Context.get(context, HttpServer.HttpServer))),
    Layer.provide(layerTokens(options))
  )

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
): Complete<WA, WE, WR> => {
  const filename = options.database ?? "data/executor.db"
  return complete(options, SqliteRunStore.layerFile({ filename }), resolve(filename))
}

/**
 * A complete executor on PostgreSQL, beside any number of others on the same schema. Needs the packages
 * `@effect/sql-pg` and `pg`. For an app with a `PgClient` of its own there are `layerCore` and
 * `PostgresRunStore.layer` of `effect-workflow-executor/postgres`.
 *
 * @example
 * Executor.layerPostgres({
 *   workflows: OrdersLive,
 *   url: Redacted.make("postgres://orders:secret@db.internal/orders")
 * }).pipe(Layer.launch, NodeRuntime.runMain)
 */
export const layerPostgres = <WA, WE, WR>(
  options: Options<WA, WE, WR> & PostgresOptions
): Complete<WA, WE, WR> =>
  complete(options, PostgresStore.layer(options), PostgresStore.describe(options))

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
}): Layer.Layer<
  Layer.Layer.Success<Complete<WA, WE, WR>>,
  Layer.Layer.Error<Complete<WA, WE, WR>> | ConfigError.ConfigError,
  Layer.Layer.Context<Complete<WA, WE, WR>>
> =>
  Layer.unwrapEffect(
    Effect.map(
      Settings.read,
      ({ authSecret, database, host, log, port, runner, stacksForReaders, valuesForReaders }) =>
        onDatabase(database, {
          ...options,
          ...runner,
          http: { stacksForReaders, valuesForReaders, ...options.http, host, port, authSecret }
        }).pipe(Layer.provide(Settings.layerLog(log)))
    )
  )

const onDatabase = <WA, WE, WR>(
  database: Settings.Database,
  options: Options<WA, WE, WR>
): Complete<WA, WE, WR> =>
  database._tag === "File"
    ? layer({ ...options, database: database.file })
    : layerPostgres({ ...options, url: database.url, schema: database.schema })

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
export const layerMemory = <WA, WE, WR>(options: Options<WA, WE, WR>): Complete<WA, WE, WR> =>
  complete(options, SqliteRunStore.layerMemory, "in memory")

const layerTokens = (
  options: HttpOptions
): Layer.Layer<Authorization.Tokens, AuthSecretMissing | Authorization.InvalidAuthSecret> => {
  const host = options.host ?? "127.0.0.1"
  if (options.authSecret !== undefined) return Authorization.layerTokens(options.authSecret)
  return isLoopback(host)
    ? Authorization.layerTokensRandom
    : Layer.fail(new AuthSecretMissing({ host }))
}

/** A token for who has no secret to sign one with, and the dashboard's page, signed in by it. */
const printToken = Effect.fnUntraced(function* (
  { authSecret, dashboard = true }: HttpOptions,
  { address }: HttpServer.HttpServer
) {
  if (authSecret !== undefined) return
  const { sign } = yield* Authorization.Tokens
  const token = Redacted.value(yield* sign())
  const lines = ["AUTH_SECRET is not set. A token for this process, valid for a day:", token]
  if (dashboard && address._tag === "TcpAddress") {
    // what follows a # is never sent: it stays in the browser
    lines.push("The dashboard, signed in with it:", `${urlOf(address)}/ui/#token=${token}`)
  }
  yield* Console.error(lines.join("\n"))
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
> => layerTestCore(options).pipe(Layer.provideMerge(SqliteRunStore.layerMemory))

/**
 * As `layerTest`, over a RunStore of the test's: one that is there for longer than the executor, so
 * that the test can stop it, in the middle of a run, and start the next one over the same runs. In
 * memory (`SqliteRunStore.layerMemory`) or on a file (`SqliteRunStore.layerFile`).
 *
 * @example
 * it.effect("goes on after a restart", () =>
 *   Effect.gen(function* () {
 *     const executor = OrderLive.pipe(Layer.provideMerge(Executor.layerTestCore()))
 *     const runId = yield* Order.execute({ id: "1" }, { discard: true }).pipe(
 *       Effect.provide(executor)
 *     )
 *     yield* TestClock.adjust("30 days").pipe(Effect.provide(executor))
 *   }).pipe(Effect.provide(SqliteRunStore.layerMemory)))
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
