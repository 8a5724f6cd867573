/**
 * An executor for apps that are not Effect apps: promises, and a state to look at.
 *
 * Workflows are written with `@effect/workflow` all the same; the app around them need not know.
 * Everything that rejects does so with an `Error` that has a `_tag`.
 *
 * @example
 * const executor = WorkflowExecutor.sqlite({
 *   database: "data/executor.db",
 *   workflows: OrderLive,
 *   handleSignals: true
 * })
 * await executor.start()
 *
 * const receipt = await executor.execute(Order, { orderId: "1" })
 *
 * await executor.stop()
 */
import * as HttpServer from "@effect/platform/HttpServer"
import type { DurableDeferred, Workflow, WorkflowEngine } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { Dispatcher } from "./Dispatcher.js"
import * as Executor from "./Executor.js"
import * as Typed from "./internal/Typed.js"
import { type Drained, Runner } from "./Runner.js"
import type * as RunnerConfig from "./RunnerConfig.js"
import type { RunnerState } from "./RunnerState.js"
import { isFinal, type Run, RunStore, RunStoreError } from "./RunStore.js"
import { RunNotFound, Runs } from "./Runs.js"

export { RunInterrupted, type SignalTarget, UnreadableResult } from "./internal/Typed.js"

// ---------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------

/** The executor has not been started, or not to the end. */
export class ExecutorNotStarted extends Data.TaggedError("ExecutorNotStarted") {
  override get message() {
    return "This executor has not been started: call start() and wait for it"
  }
}

/** The executor has stopped, or is about to. A stopped executor does not start again: make another. */
export class ExecutorStopped extends Data.TaggedError("ExecutorStopped") {
  override get message() {
    return "This executor has stopped, and does not start again: make a new one"
  }
}

/** The executor could not be started, for a reason that was not an `Error` with a `_tag`. */
export class StartFailed extends Data.TaggedError("StartFailed")<{
  readonly message: string
  readonly cause: unknown
}> {}

/**
 * The executor has stopped, and something could not be released or handed over; the log says what.
 * Runs that were not handed over follow when the lease lapses.
 */
export class StopFailed extends Data.TaggedError("StopFailed")<{
  readonly message: string
  readonly cause: unknown
}> {}

/** The executor stopped before the run was over; who waited for the run is told so. */
export class RunNotOver extends Data.TaggedError("RunNotOver")<{
  readonly runId: string
  /** Whether the run goes on in the next process; in memory it ends with this one. */
  readonly goesOn: boolean
}> {
  override get message() {
    return `The executor stopped before run ${this.runId} was over; ${
      this.goesOn
        ? "it goes on in the next process: ask there for the result of this runId"
        : "it was in memory, and is gone"
    }`
  }
}

/** The run failed with an error of the workflow's that is not an `Error` with a `_tag`: plain data. */
export class RunFailed extends Data.TaggedError("RunFailed")<{
  readonly runId: string
  readonly error: unknown
}> {
  override get message() {
    return `Run ${this.runId} failed: ${Inspectable.toStringUnknown(this.error)}`
  }
}

/** The run failed unexpectedly: something in the workflow threw, or died. */
export class RunDied extends Data.TaggedError("RunDied")<{
  readonly runId: string
  readonly cause: unknown
}> {
  override get message() {
    return `Run ${this.runId} failed unexpectedly: ${messageOf(this.cause)}`
  }
}

const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause)

// ---------------------------------------------------------------------------------------------
// The executor
// ---------------------------------------------------------------------------------------------

/** How a run stands. `error` is what `result` rejects with. */
export type Poll<A> =
  | { readonly status: "pending" | "running" | "suspended" }
  | { readonly status: "completed"; readonly value: A }
  | { readonly status: "failed" | "interrupted"; readonly error: Error }

export interface WaitOptions {
  /** Ends the waiting, which then rejects with the signal's reason. The run goes on. */
  readonly signal?: AbortSignal | undefined
}

export interface WorkflowExecutor {
  /**
   * - `idle`: not started, or not to the end.
   * - `running`: claims runs and executes their steps.
   * - `draining`: stops. No step starts any more; those in flight finish and are recorded.
   * - `stopped`: every run has been handed over and everything is released. For good.
   */
  readonly state: RunnerState

  /** Where the HTTP API is, such as `http://127.0.0.1:3400`, while there is one. */
  readonly address: string | undefined

  /**
   * Opens the database and begins to execute runs, those that others have left included. Calls
   * while it starts share one start; while it is running, nothing happens.
   *
   * Rejects with `ExecutorStopped` once `stop` has been called. When it rejects with anything else
   * (`RunStoreError`, `HttpListenError`, what the layer of the workflows fails with, or
   * `StartFailed`), everything is released, the state is `idle`, and it may be tried again.
   */
  readonly start: () => Promise<void>

  /**
   * Drains, releases everything, and says what the drain came to. Every call gives the same
   * promise. A start that is under way is given up. Takes at most `stopTimeout`, `stopGrace` and
   * the time that things take to be released.
   *
   * Rejects with `StopFailed` when something could not be released or handed over; the executor has
   * stopped nevertheless.
   */
  readonly stop: () => Promise<Drained>

  /**
   * Starts a run and waits for its end: `submit`, then `result`, and how these reject.
   *
   * @example
   * try {
   *   await executor.execute(Order, { orderId: "1" })
   * } catch (error) {
   *   if (error instanceof OutOfStock) ...
   * }
   */
  readonly execute: <W extends Workflow.Any>(
    workflow: W,
    ...[payload, options]: Typed.Arguments<W, [options?: WaitOptions]>
  ) => Promise<Typed.Success<W>>

  /**
   * Starts a run, and answers with its `runId` when it is stored; also while draining, for the next
   * process. The same idempotency key gives the same run.
   *
   * Rejects with `InvalidPayload`, `UnknownWorkflow` or `RunStoreError`; with `ExecutorNotStarted`
   * before the start and with `ExecutorStopped` after the drain, as does everything below.
   */
  readonly submit: <W extends Workflow.Any>(
    workflow: W,
    ...[payload]: Typed.Arguments<W>
  ) => Promise<string>

  /**
   * Waits for the end of a run, and gives its value.
   *
   * Rejects with the workflow's own error, decoded by its schema; one that is not an `Error` with
   * a `_tag` comes as the `error` of a `RunFailed`. With `RunDied` where the run failed unexpectedly, with
   * `RunInterrupted` where somebody interrupted it, with `RunNotFound` where there is no such run of
   * this workflow, with `RunNotOver` when the executor stops first, and with `UnreadableResult`
   * where what is stored does not decode any more.
   */
  readonly result: <W extends Workflow.Any>(
    workflow: W,
    runId: string,
    options?: WaitOptions
  ) => Promise<Typed.Success<W>>

  /** How a run stands now. Rejects with `RunNotFound`. */
  readonly poll: <W extends Workflow.Any>(
    workflow: W,
    runId: string
  ) => Promise<Poll<Typed.Success<W>>>

  /**
   * Asks for a run's interrupt: its steps are interrupted, and its compensations executed. No effect
   * on a run that is over. Rejects with `RunNotFound`.
   */
  readonly interrupt: (runId: string) => Promise<void>

  /** Wakes a suspended run; no effect on any other. Rejects with `RunNotFound`. */
  readonly resume: (runId: string) => Promise<void>

  /**
   * Completes a run's DurableDeferred. The first value stays. Rejects with `RunNotFound` or
   * `InvalidSignal`.
   *
   * @example
   * await executor.signal(Approval, { runId }, true)
   * await executor.signal(Approval, { token }, true)
   */
  readonly signal: <Value extends Schema.Schema.Any, Error extends Schema.Schema.All>(
    deferred: DurableDeferred.DurableDeferred<Value, Error>,
    target: Typed.SignalTarget,
    value: Value["Type"]
  ) => Promise<void>
}

/** What the layer of the workflows may ask for. */
export type WorkflowServices = WorkflowEngine.WorkflowEngine | Runs | Dispatcher | RunStore

export interface Options extends Partial<RunnerConfig.RunnerOptions> {
  /** The registrations (`Workflow.toLayer`), with all they need. */
  readonly workflows: Layer.Layer<never, unknown, WorkflowServices>
  /** The HTTP API, on a server of its own. Default: `false`, none. */
  readonly http?: Executor.HttpOptions | false | undefined
  /**
   * Whether SIGTERM and SIGINT stop the executor, from `start` until it has stopped. The exit code
   * of the process is then set: 0, or 1 when the stop failed. The process ends when nothing else
   * keeps it alive. A second signal does what it does by default: it ends the process at once.
   * Default: `false`.
   */
  readonly handleSignals?: boolean | undefined
  /**
   * Where log lines go, from which level on, and other things that hold for all that the executor
   * does, such as a tracer. Default: text on the console, from level Info on.
   *
   * @example
   * logging: Layer.merge(Logger.json, Logger.minimumLogLevel(LogLevel.Warning))
   */
  readonly logging?: Layer.Layer<never> | undefined
}

export interface SqliteOptions extends Options {
  /** The file; it and its folder are made. Default: `data/executor.db` */
  readonly database?: string | undefined
}

/**
 * An executor on a SQLite file, which several processes may share. Nothing happens before `start`.
 *
 * @example
 * const executor = WorkflowExecutor.sqlite({ database: "data/executor.db", workflows: OrderLive })
 */
export const sqlite = (options: SqliteOptions): WorkflowExecutor =>
  make(Executor.layer({ ...options, http: options.http ?? false }), true, options)

/** An executor in memory: its runs end with it. */
export const memory = (options: Options): WorkflowExecutor =>
  make(Executor.layerMemory({ ...options, http: options.http ?? false }), false, options)

// ---------------------------------------------------------------------------------------------
// How it goes from one state to the next
// ---------------------------------------------------------------------------------------------

type Provided = Executor.Services | RunStore

/** What a start has opened. */
interface Opened {
  readonly scope: Scope.CloseableScope
  readonly runtime: Runtime.Runtime<Provided>
  /** Done after the drain, before anything is released. */
  readonly leaving: Deferred.Deferred<void>
  /** Calls that have not been answered. */
  readonly calls: Set<Promise<unknown>>
}

type Phase =
  | { readonly _tag: "Idle" }
  | {
      readonly _tag: "Starting"
      readonly done: Promise<void>
      readonly opening: Promise<Exit.Exit<Opened, unknown>>
      readonly giveUp: AbortController
    }
  | { readonly _tag: "Running"; readonly opened: Opened }
  | { readonly _tag: "Stopping"; readonly done: Promise<Drained>; readonly opened?: Opened }
  | { readonly _tag: "Stopped"; readonly done: Promise<Drained> }

const stateOf = (phase: Phase): RunnerState => {
  switch (phase._tag) {
    case "Idle":
    case "Starting":
      return "idle"
    case "Running":
      return runnerState(phase.opened)
    case "Stopping":
      return phase.opened === undefined ? "idle" : "draining"
    case "Stopped":
      return "stopped"
  }
}

const nothingDrained: Drained = {
  durationMillis: 0,
  stepsInFlight: 0,
  stepsCut: 0,
  handedOver: 0
}

const make = (
  layer: Layer.Layer<Provided, unknown>,
  durable: boolean,
  options: Options
): WorkflowExecutor => {
  const open = opened(Layer.provideMerge(layer, options.logging ?? Layer.empty))
  const signals = onSignals(() => stop())
  let phase: Phase = { _tag: "Idle" }

  const start = (): Promise<void> => {
    if (phase._tag === "Starting") return phase.done
    if (phase._tag === "Idle") return begin()
    return stateOf(phase) === "running" ? Promise.resolve() : Promise.reject(new ExecutorStopped())
  }

  const begin = (): Promise<void> => {
    if (options.handleSignals === true) signals.listen()
    const giveUp = new AbortController()
    const opening = Effect.runPromiseExit(open, { signal: giveUp.signal })
    const done = opening.then((exit) => {
      if (phase._tag !== "Starting") throw new ExecutorStopped()
      if (Exit.isSuccess(exit)) {
        phase = { _tag: "Running", opened: exit.value }
        return
      }
      phase = { _tag: "Idle" }
      signals.unlisten()
      throw startError(exit.cause)
    })
    phase = { _tag: "Starting", done, opening, giveUp }
    return done
  }

  const stop = (): Promise<Drained> => {
    if (phase._tag === "Stopping" || phase._tag === "Stopped") return phase.done
    const before = phase
    const done = leave(before).finally(() => {
      signals.unlisten()
      phase = { _tag: "Stopped", done }
    })
    phase =
      before._tag === "Running"
        ? { _tag: "Stopping", done, opened: before.opened }
        : { _tag: before._tag === "Idle" ? "Stopped" : "Stopping", done }
    return done
  }

  const leave = async (before: Exclude<Phase, { readonly done: Promise<Drained> }>) => {
    switch (before._tag) {
      case "Idle":
        return nothingDrained
      case "Starting": {
        before.giveUp.abort()
        const exit = await before.opening
        return Exit.isSuccess(exit) ? shutDown(exit.value) : nothingDrained
      }
      case "Running":
        return shutDown(before.opened)
    }
  }

  /** Runs an effect on what is open, and rejects with the error itself. */
  const call = async <A, R>(
    effect: (opened: Opened) => Effect.Effect<A, unknown, R>,
    { signal }: WaitOptions = {}
  ): Promise<A> => {
    const opened = phase._tag === "Running" || phase._tag === "Stopping" ? phase.opened : undefined
    if (opened === undefined || isLeaving(opened)) {
      throw phase._tag === "Idle" || phase._tag === "Starting"
        ? new ExecutorNotStarted()
        : new ExecutorStopped()
    }
    signal?.throwIfAborted()
    // what the schemas of a workflow ask for has come with the layer of the workflows
    const runtime = opened.runtime as Runtime.Runtime<R>
    const answer = Runtime.runPromiseExit(runtime)(
      effect(opened),
      signal === undefined ? undefined : { signal }
    )
    opened.calls.add(answer)
    const exit = await answer
    opened.calls.delete(answer)
    if (Exit.isSuccess(exit)) return exit.value
    signal?.throwIfAborted()
    throw callError(exit.cause)
  }

  const submitted = <W extends Workflow.Any>(workflow: W, payload: Typed.Payload<W> | undefined) =>
    Effect.gen(function* () {
      const encoded = yield* Typed.encodePayload(workflow, payload)
      const runs = yield* Runs
      const { runId } = yield* runs.start({ workflow: workflow.name, payload: encoded })
      return runId
    })

  const ofResult = <W extends Workflow.Any>(opened: Opened, workflow: W, runId: string) =>
    Effect.flatMap(awaited(opened, workflow, runId, durable), (json) =>
      outcome(workflow, runId, json)
    )

  return {
    get state() {
      return stateOf(phase)
    },
    get address() {
      return phase._tag === "Running" || phase._tag === "Stopping"
        ? addressOf(phase.opened)
        : undefined
    },
    start,
    stop,
    submit: (workflow, ...[payload]) => call(() => submitted(workflow, payload)),
    execute: (workflow, ...[payload, options]) =>
      call(
        (opened) =>
          Effect.flatMap(submitted(workflow, payload), (runId) =>
            ofResult(opened, workflow, runId)
          ),
        options
      ),
    result: (workflow, runId, options) =>
      call((opened) => ofResult(opened, workflow, runId), options),
    poll: (workflow, runId) => call(() => polled(workflow, runId)),
    interrupt: (runId) => call(() => Effect.flatMap(Runs, (runs) => runs.interrupt(runId))),
    resume: (runId) => call(() => Effect.flatMap(Runs, (runs) => runs.resume(runId))),
    signal: (deferred, target, value) =>
      call(() =>
        Effect.flatMap(Typed.encodeSignal(deferred, target, value), (signal) =>
          Effect.flatMap(Runs, (runs) => runs.signal(signal))
        )
      )
  }
}

/** Opens everything, or nothing. */
const opened = (layer: Layer.Layer<Provided, unknown>): Effect.Effect<Opened, unknown> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const runtime = yield* restore(Scope.extend(Layer.toRuntime(layer), scope)).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      const leaving = Deferred.unsafeMake<void>(FiberId.none)
      return { scope, runtime, leaving, calls: new Set() }
    })
  )

/** Drains, answers whoever still waits, and releases everything; in this order. */
const close = (opened: Opened) =>
  Effect.gen(function* () {
    const drained = yield* Effect.exit(Context.get(opened.runtime.context, Runner).drain)
    yield* Deferred.succeed(opened.leaving, undefined)
    yield* Effect.promise(() => Promise.all(opened.calls)).pipe(
      // they wait for nothing but the store
      Effect.timeoutOption("5 seconds")
    )
    // in a fiber of its own: the layers of `logging` take back what they set in the one that closes
    const closing = yield* Effect.fork(Scope.close(opened.scope, Exit.void))
    const closed = yield* Fiber.await(closing)
    return yield* Effect.zipLeft(drained, closed).pipe(
      Effect.tapErrorCause((cause) => Effect.logError("the executor did not stop properly", cause))
    )
  })

const shutDown = async (opened: Opened): Promise<Drained> => {
  const exit = await Runtime.runPromiseExit(opened.runtime)(close(opened))
  if (Exit.isSuccess(exit)) return exit.value
  const cause = Cause.squash(exit.cause)
  throw new StopFailed({ message: `The stop failed: ${messageOf(cause)}`, cause })
}

const isLeaving = ({ leaving }: Opened): boolean => Effect.runSync(Deferred.isDone(leaving))

const runnerState = ({ runtime }: Opened): RunnerState =>
  Effect.runSync(SubscriptionRef.get(Context.get(runtime.context, Dispatcher).state))

const addressOf = (opened: Opened | undefined): string | undefined =>
  opened === undefined
    ? undefined
    : Context.getOption(opened.runtime.context, HttpServer.HttpServer).pipe(
        Option.map(({ address }) => HttpServer.formatAddress(address)),
        Option.getOrUndefined
      )

// ---------------------------------------------------------------------------------------------
// Runs
// ---------------------------------------------------------------------------------------------

const found = (workflow: Workflow.Any, runId: string) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const run = Option.getOrUndefined(yield* store.find(runId))
    if (run === undefined) {
      return yield* new RunNotFound({ runId, message: `There is no run ${JSON.stringify(runId)}` })
    }
    if (run.workflow !== workflow.name) {
      const message = `Run ${runId} is one of workflow "${run.workflow}", not of "${workflow.name}"`
      return yield* new RunNotFound({ runId, message })
    }
    return run
  })

const exitOf = (run: Run) => (isFinal(run.status) ? run.exit : undefined)

/** The recorded `Exit` of a run, waited for until the executor leaves. */
const awaited = (opened: Opened, workflow: Workflow.Any, runId: string, durable: boolean) =>
  Effect.gen(function* () {
    const dispatcher = yield* Dispatcher
    const exit = exitOf(yield* found(workflow, runId))
    if (exit !== undefined) return exit
    // the drain is over, and the word of its last runs may not have come round yet
    const lastLook = Deferred.await(opened.leaving).pipe(
      Effect.zipRight(found(workflow, runId)),
      Effect.flatMap((run) => {
        const exit = exitOf(run)
        return exit === undefined
          ? Effect.fail(new RunNotOver({ runId, goesOn: durable }))
          : Effect.succeed(exit)
      })
    )
    return yield* Effect.raceFirst(dispatcher.result(runId), lastLook)
  })

/** The value of a run that is over, or the error that stands for it. */
const outcome = <W extends Workflow.Any>(workflow: W, runId: string, json: string) =>
  Effect.flatMap(
    Typed.decodeExit(workflow, runId, json),
    Exit.match({
      onSuccess: (value) => Effect.succeed(value),
      onFailure: (cause) => Effect.fail(runError(runId, cause))
    })
  )

const runError = (runId: string, cause: Cause.Cause<unknown>): Error => {
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure)) {
    const error = failure.value
    return isTagged(error) ? error : new RunFailed({ runId, error })
  }
  return Cause.isInterruptedOnly(cause)
    ? new Typed.RunInterrupted({ runId })
    : new RunDied({ runId, cause: Cause.squash(cause) })
}

const polled = <W extends Workflow.Any>(
  workflow: W,
  runId: string
): Effect.Effect<
  Poll<Typed.Success<W>>,
  RunNotFound | RunStoreError,
  RunStore | Typed.ResultContext<W>
> =>
  Effect.gen(function* () {
    const { exit, status } = yield* found(workflow, runId)
    if (!isFinal(status) || exit === undefined) {
      return { status: isFinal(status) ? "running" : status }
    }
    const result = yield* Effect.either(outcome(workflow, runId, exit))
    if (result._tag === "Right") return { status: "completed", value: result.right }
    return { status: status === "completed" ? "failed" : status, error: result.left }
  })

// ---------------------------------------------------------------------------------------------
// Errors and signals
// ---------------------------------------------------------------------------------------------

const isTagged = (error: unknown): error is Error =>
  error instanceof Error && "_tag" in error && typeof error._tag === "string"

const startError = (cause: Cause.Cause<unknown>): Error => {
  const error = Cause.squash(cause)
  return isTagged(error)
    ? error
    : new StartFailed({ message: `The executor did not start: ${messageOf(error)}`, cause: error })
}

const callError = (cause: Cause.Cause<unknown>): unknown => {
  const error = Cause.squash(cause)
  const closed = error instanceof RunStoreError && error.reason === "closed"
  return closed || Cause.isInterruptedOnly(cause) ? new ExecutorStopped() : error
}

/** Stops at the first signal; a second one finds nobody here and does what it does by default. */
const onSignals = (stop: () => Promise<Drained>) => {
  const names = ["SIGTERM", "SIGINT"] as const
  const handle = () => {
    unlisten()
    stop().then(
      () => {
        process.exitCode ??= 0
      },
      () => {
        process.exitCode = 1
      }
    )
  }
  const listen = () => {
    for (const name of names) process.on(name, handle)
  }
  const unlisten = () => {
    for (const name of names) process.off(name, handle)
  }
  return { listen, unlisten }
}
