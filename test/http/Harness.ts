/**
 * An API over a real server, the store in memory, and a Dispatcher whose state a test sets.
 */

import * as Net from "node:net"
import { HttpServer } from "@effect/platform"
import { DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { RunnerState } from "../../src/api/RunnerState.js"
import { Dispatcher } from "../../src/engine/held/Dispatcher.js"
import { ofSameWorkflow } from "../../src/engine/RunIdTaken.js"
import { Signals } from "../../src/engine/Signals.js"
import type { StepInFlight } from "../../src/engine/step/StepInFlight.js"
import * as Events from "../../src/events/Events.js"
import * as Authorization from "../../src/http/Authorization.js"
import * as Http from "../../src/http/Http.js"
import * as Runs from "../../src/runner/Runs.js"
import * as Shutdown from "../../src/runner/Shutdown.js"
import { type Held, type NewRun, RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { bounded } from "../../src/values/ValueSize.js"

export const Approval = DurableDeferred.make("Approval", { success: Schema.Boolean })
export const Deadline = DurableDeferred.make("Deadline", { success: Schema.Date })
export const Poke = DurableDeferred.make("Poke")

export const Order = Workflow.make({
  name: "Order",
  payload: { id: Schema.String, due: Schema.optional(Schema.Date) },
  idempotencyKey: ({ id }) => id
}).annotate(Signals, [Approval, Deadline, Poke])

export class Shape extends Schema.Class<Shape>("Shape")({
  name: Schema.String,
  // no JSON Schema says what this is
  secret: Schema.optional(Schema.SymbolFromSelf)
}) {}

export const Shaped = Workflow.make({
  name: "Shaped",
  payload: Shape,
  idempotencyKey: ({ name }) => name
})

const workflows: ReadonlyArray<Workflow.Any> = [Shaped, Order]

const signalsOf = (workflow: string) =>
  workflows
    .filter(({ name }) => name === workflow)
    .flatMap(({ annotations }) => [...Effect.runSync(Effect.provide(Signals, annotations))])

/** What a test changes while it runs. */
export interface Controls {
  state: SubscriptionRef.SubscriptionRef<RunnerState>
  inFlight: ReadonlyArray<StepInFlight>
  /** Milliseconds. */
  drainLeft: number | undefined
  executor: number | undefined
  /** How often this executor was asked to stop. */
  stops: number
  /** Runs before a start is stored. */
  beforeStart: Effect.Effect<void>
}

export const makeControls: Effect.Effect<Controls> = Effect.map(
  SubscriptionRef.make<RunnerState>("running"),
  (state) => ({
    state,
    inFlight: [],
    drainLeft: undefined,
    executor: undefined,
    stops: 0,
    beforeStart: Effect.void
  })
)

export const layerDispatcher = (controls: Controls, more: ReadonlyArray<Workflow.Any> = []) =>
  Layer.effect(
    Dispatcher,
    Effect.map(RunStore, (store) => {
      const used: Pick<
        Dispatcher["Type"],
        | "state"
        | "workflows"
        | "deferred"
        | "inFlight"
        | "drainLeft"
        | "start"
        | "executor"
        | "bounded"
      > = {
        state: controls.state,
        workflows: Effect.succeed([...workflows, ...more]),
        deferred: (workflow, name) =>
          Option.fromNullable(signalsOf(workflow).find((deferred) => deferred.name === name)),
        inFlight: Effect.sync(() => controls.inFlight),
        drainLeft: Effect.sync(() => controls.drainLeft),
        executor: () => controls.executor,
        bounded: bounded(2 * 1024 * 1024),
        start: (run: NewRun) =>
          Effect.zipRight(
            Effect.suspend(() => controls.beforeStart),
            Effect.flatMap(store.create(run), ofSameWorkflow(run))
          )
      }
      // the rest of the Dispatcher is for the engine and the Runner
      return used as Dispatcher["Type"]
    })
  )

export const secret = "0123456789abcdef0123456789abcdef"

/** A store that fails as `store` says, where it says so. */
export const layerStore = (
  overrides: (store: RunStore["Type"]) => Partial<RunStore["Type"]> = () => ({})
) =>
  Layer.effect(
    RunStore,
    Effect.map(RunStore, (store) => ({ ...store, ...overrides(store) }))
  ).pipe(Layer.provide(SqliteRunStore.layerMemory))

/** The server with everything under it; `close` releases it, as the end of the scope does. */
export const serve = Effect.fnUntraced(function* (
  options: Http.Options & {
    readonly store?: Parameters<typeof layerStore>[0]
    /** What the app does when it is asked to stop; `false`: it cannot be. Default: it counts. */
    readonly stop?: Effect.Effect<unknown> | false
    /** Registered beside the others. */
    readonly workflows?: ReadonlyArray<Workflow.Any>
  } = {}
) {
  const controls = yield* makeControls
  const logs: Array<string> = []
  const logger = Logger.map(Logger.logfmtLogger, (line) => void logs.push(line))
  const scope = yield* Scope.make()
  const store = layerStore(options.store)
  const context = yield* Http.layerServer({ port: 0, ...options }).pipe(
    Layer.provideMerge(Runs.layer),
    Layer.provideMerge(layerDispatcher(controls, options.workflows)),
    Layer.provideMerge(Events.layer),
    Layer.provideMerge(store),
    Layer.provideMerge(Authorization.layerTokens(Redacted.make(secret))),
    Layer.provide(
      options.stop === false
        ? Layer.empty
        : Shutdown.layer(options.stop ?? Effect.sync(() => void controls.stops++))
    ),
    Layer.provide(
      Layer.mergeAll(
        Logger.replace(Logger.defaultLogger, logger),
        Logger.minimumLogLevel(LogLevel.Debug)
      )
    ),
    Layer.buildWithScope(scope)
  )
  const close = yield* Effect.once(Scope.close(scope, Exit.void))
  yield* Effect.addFinalizer(() => close)

  const { address } = yield* HttpServer.HttpServer.pipe(Effect.provide(context))
  const port = address._tag === "TcpAddress" ? address.port : 0
  const tokens = yield* Authorization.Tokens.pipe(Effect.provide(context))
  const token = Redacted.value(yield* tokens.sign())

  const request = (method: string, path: string, options: RequestOptions = {}) =>
    Effect.promise(async () => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        ...(options.body === undefined
          ? {}
          : {
              body:
                typeof options.body === "string" || options.body instanceof ReadableStream
                  ? options.body
                  : JSON.stringify(options.body),
              duplex: "half"
            }),
        headers: {
          ...(options.token === null ? {} : { authorization: `Bearer ${options.token ?? token}` }),
          ...(options.body === undefined ? {} : { "content-type": "application/json" }),
          ...options.headers
        }
      } as RequestInit)
      const text = await response.text()
      return {
        status: response.status,
        headers: response.headers,
        text,
        body: text === "" ? undefined : JSON.parse(text)
      }
    })

  return {
    port,
    token,
    tokens,
    controls,
    logs,
    close,
    store: yield* RunStore.pipe(Effect.provide(context)),
    events: yield* Events.Events.pipe(Effect.provide(context)),
    runs: yield* Runs.Runs.pipe(Effect.provide(context)),
    get: (path: string, options?: RequestOptions) => request("GET", path, options),
    post: (path: string, body?: unknown, options?: RequestOptions) =>
      request("POST", path, { body, ...options }),
    request
  }
})

export interface RequestOptions {
  readonly body?: unknown
  /** `null` for none at all. */
  readonly token?: string | null
  readonly headers?: Record<string, string>
}

/** A client on the bare connection. */
export const connect = (port: number) =>
  Effect.acquireRelease(
    Effect.async<Client>((resume) => {
      const socket = Net.connect({ port, host: "127.0.0.1", noDelay: true })
      socket.on("error", () => {})
      socket.once("connect", () => resume(Effect.succeed(new Client(socket))))
    }),
    (client) => Effect.sync(() => client.socket.destroy())
  )

export class Client {
  received = ""
  readonly closed: Effect.Effect<void>
  private readonly waiting = new Set<() => void>()

  constructor(readonly socket: Net.Socket) {
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
    this.closed = Effect.promise(() => {
      // a connection on which nobody reads does not see its end
      this.listen()
      return closed
    })
  }

  /** Never returns on a connection that is closed: race it with `closed`. */
  send(text: string): Effect.Effect<void> {
    return Effect.async((resume) => {
      this.socket.write(text, (error) => resume(error ? Effect.never : Effect.void))
    })
  }

  /** Waits until what was received matches. */
  until(pattern: RegExp): Effect.Effect<string> {
    this.listen()
    return Effect.async((resume) => {
      const look = () => {
        if (!pattern.test(this.received)) return
        this.waiting.delete(look)
        resume(Effect.succeed(this.received))
      }
      this.waiting.add(look)
      look()
    })
  }

  private listening = false
  private listen() {
    if (this.listening) return
    this.listening = true
    this.socket.on("data", (chunk) => {
      this.received += chunk.toString("latin1")
      for (const look of this.waiting) look()
    })
  }
}

/** A run in the store that an executor holds. */
export const held = Effect.fnUntraced(function* (store: RunStore["Type"], run: NewRun) {
  const executor = yield* store.register({ host: "test", pid: 1, leaseMillis: 60_000 })
  const { claimed } = yield* store.create(run, executor)
  return Option.getOrThrow(Option.fromNullable(claimed)).held satisfies Held
})
