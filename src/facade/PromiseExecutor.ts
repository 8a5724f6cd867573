/**
 * An executor for apps that are not Effect apps: promises, and a state to look at.
 *
 * Workflows are async functions, by `defineWorkflow`, or written with `@effect/workflow`.
 * Everything that rejects does so with an `Error` that has a `_tag`.
 *
 * @example
 * const executor = PromiseExecutor.sqlite({
 *   database: "data/executor.db",
 *   workflows: [order],
 *   handleSignals: true
 * })
 * await executor.start()
 *
 * const receipt = await executor.execute(order, { orderId: "1" })
 *
 * await executor.stop()
 */

import { DurableDeferred, type Workflow, type WorkflowEngine } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { RunnerState } from "../api/RunnerState.js"
import type { StartOptions } from "../api/StartOptions.js"
import * as Executor from "../Executor.js"
import type { Dispatcher } from "../engine/held/Dispatcher.js"
import type * as RunnerConfig from "../engine/RunnerConfig.js"
import type { Drained } from "../runner/Runner.js"
import {
  type ListRequest,
  type RetryOptions,
  Runs,
  type RunsPage,
  type RunWithStepsView,
  type TerminateRequest
} from "../runner/Runs.js"
import type { Schedules } from "../runner/Schedules.js"
import type { RunStore } from "../store/RunStore.js"
import * as Typed from "../values/Typed.js"
import * as AsyncWorkflow from "./AsyncWorkflow.js"
import { call, resultOf, startedRun, type WaitOptions } from "./Calls.js"
import { Lifecycle } from "./Lifecycle.js"
import { addressOf, type Provided } from "./Opened.js"
import { type Poll, polled } from "./Results.js"
import { watched } from "./Watch.js"

export { RunInterrupted, type SignalTarget, UnreadableResult } from "../values/Typed.js"
export type { WaitOptions } from "./Calls.js"
export {
  ExecutorNotStarted,
  ExecutorStopped,
  RunDied,
  RunFailed,
  RunNotOver,
  StartFailed,
  StopFailed
} from "./Errors.js"
export type { Poll } from "./Results.js"

/** @deprecated the name of 0.1.0: `PromiseExecutor` */
export type WorkflowExecutor = PromiseExecutor

export interface PromiseExecutor {
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
   * (`RunStoreError`, `HttpListenError`, `WorkflowAlreadyRegistered` where two have one name, what the
   * layer of the workflows fails with, or `StartFailed`), everything is released, the state is `idle`, and it may be tried again.
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
   * Starts a run and waits for its end: `startRun`, then `result`, and how these reject.
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
    ...[payload, options]: Typed.Arguments<W, [options?: WaitOptions & StartOptions]>
  ) => Promise<Typed.Success<W>>

  /**
   * Starts a run, and answers with its `runId` when it is stored; also while draining, for the next
   * process. The same idempotency key gives the same run.
   *
   * Rejects with `InvalidPayload`, `InvalidOptions`, `UnknownWorkflow`, `RunIdTaken` (its id is that of
   * a run of another workflow), `PayloadDiffers` (there is a run of that key with another payload),
   * `RunExists` (as `onConflict` says) or `RunStoreError`; with `ExecutorNotStarted`
   * before the start and with `ExecutorStopped` after the drain, as does everything below.
   */
  readonly startRun: <W extends Workflow.Any>(
    workflow: W,
    ...[payload, options]: Typed.Arguments<W, [options?: StartOptions]>
  ) => Promise<string>

  /** @deprecated the name of 0.1.0: `startRun` */
  readonly submit: PromiseExecutor["startRun"]

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

  /**
   * Ends a run at once, without compensations, whoever holds it: for runs that would never end, of a
   * workflow that is not registered any more, or whose payload does not decode. It is `interrupted`,
   * with the reason, of at most 1,000 characters. With `children` what it has started ends too.
   * Answers with how many runs that were. Rejects with `RunNotFound`, with `RunFinished` where the run
   * is over, or with `InvalidReason`.
   */
  readonly terminate: (
    runId: string,
    options?: Omit<TerminateRequest, "runId">
  ) => Promise<{ readonly terminated: number }>

  /**
   * Wakes a suspended run; no effect on one that is pending or running. Rejects with `RunNotFound`,
   * or with `NotResumable` where it is over.
   */
  readonly resume: (runId: string) => Promise<void>

  /**
   * Completes a run's DurableDeferred. The first value stays. Rejects with `RunNotFound` or
   * `InvalidSignal`.
   *
   * @example
   * await executor.signal(Approval, { runId }, true)
   * await executor.signal(Approval, { token }, true)
   * // to `ctx.signal("approval")` of a workflow that is an async function
   * await executor.signal("approval", { runId }, { by: "Ada" })
   */
  readonly signal: SendSignal

  /**
   * A page of runs, newest first. Rejects with `InvalidCursor`.
   *
   * @example
   * const { nextCursor, runs } = await executor.list({ workflow: "order", status: ["failed"] })
   */
  readonly list: (request?: ListRequest) => Promise<RunsPage>

  /**
   * Lets a run that failed or was interrupted go on from the step that failed. Rejects with
   * `RunNotFound`, or with `NotRetryable` where its status or its compensations do not allow it.
   *
   * @param options.withChildren whether children by whose failure it would fail again are retried
   *   with it; without, it is refused because of them. Default: true
   */
  readonly retry: (runId: string, options?: RetryOptions) => Promise<void>

  /**
   * Removes a run that is over, with its steps and signals. Rejects with `RunNotFound`, or with
   * `RunNotFinished` where it, or one that started it, is not over.
   */
  readonly remove: (runId: string) => Promise<void>

  /**
   * A run with its steps, now and whenever it has changed, until it is over; also where another
   * process executes it. Changes that follow each other closely may come as one. Rejects with
   * `RunNotFound`, and with `RunNotOver` when the executor stops first.
   *
   * @example
   * for await (const { status, steps } of executor.watch(runId)) console.log(status, steps.length)
   */
  readonly watch: (
    runId: string,
    options?: WaitOptions
  ) => AsyncGenerator<RunWithStepsView, void, undefined>
}

/** Sends a signal: by the deferred that the workflow waits for, or by its name. */
export interface SendSignal {
  <Value extends Schema.Schema.Any, Error extends Schema.Schema.All>(
    deferred: DurableDeferred.DurableDeferred<Value, Error>,
    target: Typed.SignalTarget,
    value: Value["Type"]
  ): Promise<void>
  (name: string, target: Typed.SignalTarget, value?: unknown): Promise<void>
}

/** What the layer of the workflows may ask for. */
export type WorkflowServices =
  | WorkflowEngine.WorkflowEngine
  | Runs
  | Schedules
  | Dispatcher
  | RunStore

/** A workflow that is an async function, or the layer of workflows written with Effect. */
export type Workflows = AsyncWorkflow.Any | Layer.Layer<never, unknown, WorkflowServices>

export interface Options extends Partial<RunnerConfig.RunnerOptions> {
  /**
   * The workflows: those of `defineWorkflow`, and registrations of others (`Workflow.toLayer`) with
   * all they need; and when some of them are started, by `Schedules.layer`.
   */
  readonly workflows: Workflows | ReadonlyArray<Workflows>
  /** The HTTP API, on a server of its own. Default: `false`, none. */
  readonly http?: Executor.HttpOptions | false | undefined
  /**
   * Whether SIGTERM, SIGINT, SIGHUP and SIGQUIT stop the executor, from `start` until it has stopped.
   * The exit code of the process is then set: 0, or 1 when the stop failed. The process ends when
   * nothing else keeps it alive. A second signal that comes a second or more after the first does
   * what it does by default: it ends the process at once. An earlier one is the first one again, as
   * of a Ctrl-C under `npm start`. Default: `false`.
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
 * const executor = PromiseExecutor.sqlite({ database: "data/executor.db", workflows: OrderLive })
 */
export const sqlite = (options: SqliteOptions): PromiseExecutor =>
  make(Executor.layer(executorOptions(options)), true, options)

/** An executor in memory: its runs end with it. */
export const memory = (options: Options): PromiseExecutor =>
  make(Executor.layerMemory(executorOptions(options)), false, options)

const executorOptions = <O extends Options>(options: O) => ({
  ...options,
  workflows: layerOf(options.workflows),
  http: options.http ?? false
})

const layerOf = (
  workflows: Options["workflows"]
): Layer.Layer<never, unknown, WorkflowServices> => {
  if (AsyncWorkflow.isAsyncWorkflow(workflows)) return workflows.layer
  if (!isMany(workflows)) return workflows
  const none: Layer.Layer<never, unknown, WorkflowServices> = Layer.empty
  return workflows.map(layerOf).reduce((all, layer) => Layer.merge(all, layer), none)
}

const isMany = (workflows: Options["workflows"]): workflows is ReadonlyArray<Workflows> =>
  Array.isArray(workflows)

/** Without what is about the waiting. */
const startOptionsOf = ({ signal: _, ...options }: WaitOptions & StartOptions = {}) => options

const make = (
  layer: Layer.Layer<Provided, unknown>,
  durable: boolean,
  { handleSignals = false, logging = Layer.empty }: Options
): PromiseExecutor => {
  const lifecycle = new Lifecycle(Layer.provideMerge(layer, logging), handleSignals)
  const on = <A>(effect: (runs: Runs["Type"]) => Effect.Effect<A, unknown>) =>
    call(lifecycle, () => Effect.flatMap(Runs, effect))
  const startRun: PromiseExecutor["startRun"] = (workflow, ...[payload, options]) =>
    call(lifecycle, () => startedRun(workflow, payload, options))
  return {
    get state() {
      return lifecycle.state
    },
    get address() {
      return lifecycle.opened === undefined ? undefined : addressOf(lifecycle.opened)
    },
    start: () => lifecycle.start(),
    stop: () => lifecycle.stop(),
    startRun,
    submit: startRun,
    execute: (workflow, ...[payload, options]) =>
      call(
        lifecycle,
        (opened) =>
          Effect.flatMap(startedRun(workflow, payload, startOptionsOf(options)), (runId) =>
            resultOf(opened, workflow, runId, durable)
          ),
        options
      ),
    result: (workflow, runId, options) =>
      call(lifecycle, (opened) => resultOf(opened, workflow, runId, durable), options),
    poll: (workflow, runId) => call(lifecycle, () => polled(workflow, runId)),
    interrupt: (runId) => on((runs) => runs.interrupt(runId)),
    terminate: (runId, options) => on((runs) => runs.terminate({ ...options, runId })),
    resume: (runId) => on((runs) => runs.resume(runId)),
    signal: <Value extends Schema.Schema.Any, Error extends Schema.Schema.All>(
      to: DurableDeferred.DurableDeferred<Value, Error> | string,
      target: Typed.SignalTarget,
      value?: Value["Type"]
    ) => {
      const encoded =
        typeof to === "string"
          ? Typed.encodeSignal(DurableDeferred.make(to, { success: Schema.Unknown }), target, value)
          : Typed.encodeSignal(to, target, value)
      return call(lifecycle, () =>
        Effect.flatMap(encoded, (signal) => Effect.flatMap(Runs, (runs) => runs.signal(signal)))
      )
    },
    list: (request) => on((runs) => runs.list(request)),
    retry: (runId, options) => on((runs) => runs.retry(runId, options)),
    remove: (runId) => on((runs) => runs.remove(runId)),
    watch: (runId, options) => watched(lifecycle, runId, durable, options)
  }
}
