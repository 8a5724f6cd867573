/**
 * A typed client of an executor's HTTP API.
 *
 * It speaks of workflows, not of JSON: payloads are encoded and results decoded by the workflow's
 * own schemas, as the engine does it, so that a `Date` arrives as a `Date` and an error as an
 * instance of its class.
 *
 * @example
 * const program = Effect.gen(function* () {
 *   const client = yield* Client.Client
 *   const runId = yield* client.start(Order, { orderId: "1" })
 *   yield* client.signal(Approval, { runId }, "approved")
 *   return yield* client.result(Order, runId)
 * }).pipe(
 *   Effect.catchTag("OutOfStock", (error) => Effect.logError(error.message))
 * )
 *
 * program.pipe(
 *   Effect.provide(Client.layerFetch({ baseUrl: "http://127.0.0.1:3400", token }))
 * )
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import type { DurableDeferred, Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { DrainNotAvailable } from "../api/Api.js"
import type { EventView } from "../api/EventView.js"
import type { PauseView } from "../api/Pauses.js"
import type { ChangeQueueRequest, InvalidLimits } from "../api/Queues.js"
import type { RunnerState } from "../api/RunnerState.js"
import type {
  BulkAsked,
  BulkFilter,
  BulkNotFound,
  BulkPreview,
  BulkRequest,
  BulkView,
  EmptyFilter,
  ExecutorView,
  InvalidReason,
  ListRequest,
  OutcomeView,
  PayloadView,
  QueueNotFound,
  QueueView,
  RetryOptions,
  RunCounts,
  RunIdsView,
  RunsPage,
  RunWithStepsView,
  StartedView,
  StartOptions,
  StepRequest,
  StepsPage,
  StepsRequest,
  StepView,
  TerminateRequest,
  UnknownWorkflow
} from "../api/Runs.js"
import { InvalidOptions, toBody } from "../api/StartOptions.js"
import * as Given from "../internal/Given.js"
import * as Typed from "../values/Typed.js"
import * as AskBulk from "./AskBulk.js"
import * as AskExecutor from "./AskExecutor.js"
import * as AskPauses from "./AskPauses.js"
import * as AskQueues from "./AskQueues.js"
import * as AskSchedules from "./AskSchedules.js"
import * as ChangeRuns from "./ChangeRuns.js"
import * as EventStream from "./EventStream.js"
import * as ReadRuns from "./ReadRuns.js"
import * as Requests from "./Requests.js"
import * as RunResult from "./RunResult.js"
import * as RunWatch from "./RunWatch.js"
import { makeRuns, ProtocolError, type RequestError, Unavailable } from "./Wire.js"

export type { EventView as Event } from "../api/EventView.js"
export { RunInterrupted, type SignalTarget, UnreadableResult } from "../values/Typed.js"
export type { PutSchedule } from "./AskSchedules.js"
export type { EventsRequest } from "./EventStream.js"
export { ProtocolError, type RequestError, Unavailable }

export interface Options {
  /** Where the API is, such as `http://127.0.0.1:3400`; may have a path in front of the API's. */
  readonly baseUrl: string | URL
  /**
   * The bearer token; or an effect that gives it, evaluated for each request, for tokens that are
   * renewed. Default: none, with which only `health` is answered.
   */
  readonly token?: Redacted.Redacted | Effect.Effect<Redacted.Redacted> | undefined
  /**
   * When to try again after `Unavailable`, counted anew for each request. Every request of this
   * client may be repeated: a run is started, and a signal taken, once only. (Where the answer to a
   * `retry`, a `remove` or a `terminate` is lost, its repetition says that the run is not as it was.) Default: 9 times, after
   * 100 milliseconds, doubling up to 5 seconds: 21 seconds in all, which outlasts a restart.
   */
  readonly retry?: Schedule.Schedule<unknown> | undefined
  /** How long one request may take, its answer included. Default: 30 seconds. */
  readonly requestTimeout?: Duration.DurationInput | undefined
  /**
   * The longest pause before events are asked for again when an answer has ended, and the longest
   * time between two looks at a run where the executor has no events. The first comes after 50
   * milliseconds, and each later by half as much again. Default: 2 seconds.
   */
  readonly pollInterval?: Duration.DurationInput | undefined
}

/** Which of a run's steps are read with it. */
export interface StepsOption {
  readonly steps?: "all" | "first" | undefined
}

/** How waiting for a result fails, besides with the workflow's own errors. */
export type ResultError = RequestError<"get"> | Typed.RunInterrupted | Typed.UnreadableResult

export class Client extends Context.Tag("effect-workflow-executor/Client")<
  Client,
  {
    /**
     * Starts a run, and answers with its `runId` when it is stored: from then on it will be
     * executed, also if the executor is draining. The same idempotency key gives the same run.
     *
     * Fails with `InvalidPayload` before anything is sent where the payload does not encode, and
     * with `UnknownWorkflow` where that executor does not have the workflow, with `RunIdTaken` where
     * the id is that of a run of another workflow, with `PayloadDiffers` where there is a run of that key
     * with another payload, and with `RunExists` as `onConflict` says.
     *
     * @param options when it may begin, its priority, how long it may take, what it is marked with, and
     *   what to do where there is one
     * @example
     * yield* client.start(Remind, { orderId: "1" }, { delay: "3 days", tags: ["eu"] })
     */
    readonly start: <W extends Workflow.Any>(
      workflow: W,
      ...[payload, options]: Typed.Arguments<W, [options?: StartOptions]>
    ) => Effect.Effect<string, RequestError<"start">, Typed.PayloadContext<W>>

    /**
     * As `start`, and says whether the run was there already, how it stood then, and when it ended.
     * Where the answer to the first request is lost, its repetition finds the run that it stored.
     *
     * @example
     * const { created, runId } = yield* client.startOrFind(Order, { orderId: "1" })
     */
    readonly startOrFind: <W extends Workflow.Any>(
      workflow: W,
      ...[payload, options]: Typed.Arguments<W, [options?: StartOptions]>
    ) => Effect.Effect<StartedView, RequestError<"start">, Typed.PayloadContext<W>>

    /**
     * Waits for the end of a run, however long that takes, and gives its value or fails with its
     * error, decoded by the workflow's schemas. Dies with the run's defect where it died.
     *
     * Fails with `RunInterrupted` where somebody interrupted the run, with `RunNotFound` where there
     * is no such run of this workflow, and with `UnreadableResult` where the workflow's schemas here
     * do not read what they have written there. It outlasts restarts of the executor as `retry`
     * says; after `Unavailable` it can be called again.
     */
    readonly result: <W extends Workflow.Any>(
      workflow: W,
      runId: string
    ) => Effect.Effect<Typed.Success<W>, Typed.Failure<W> | ResultError, Typed.ResultContext<W>>

    /** `start`, then `result`. Interrupting it leaves the run alone. */
    readonly execute: <W extends Workflow.Any>(
      workflow: W,
      ...[payload, options]: Typed.Arguments<W, [options?: StartOptions]>
    ) => Effect.Effect<
      Typed.Success<W>,
      Typed.Failure<W> | RequestError<"start"> | ResultError,
      Typed.PayloadContext<W> | Typed.ResultContext<W>
    >

    /**
     * A run with its steps, in the order in which they started. Of a long run they come page by page,
     * each read by itself. What has more than 1 MiB is `leftOut`: `payload`, `outcome` and `step` give
     * it.
     *
     * @param options.steps whether all of them are read, or those that come with the run: where there
     *   are more, its `stepsCursor` is where `steps` goes on. Default: `all`
     */
    readonly get: (
      runId: string,
      options?: StepsOption
    ) => Effect.Effect<RunWithStepsView, RequestError<"get">>

    /** A page of a run's steps: 1,000 at most, and 2 MiB of what they came to. */
    readonly steps: (
      request: Omit<StepsRequest, "values">
    ) => Effect.Effect<StepsPage, RequestError<"steps">>

    /** One attempt of a step, with the whole of what it came to. */
    readonly step: (request: StepRequest) => Effect.Effect<StepView, RequestError<"step">>

    /** The whole of what a run was started with, as its workflow's schema encodes it. */
    readonly payload: (runId: string) => Effect.Effect<PayloadView, RequestError<"payload">>

    /**
     * The whole of what a run came to, encoded, or why it is suspended; `result` waits for it and
     * decodes it.
     */
    readonly outcome: (runId: string) => Effect.Effect<OutcomeView, RequestError<"outcome">>

    /** The runs whose id begins so, of 4 characters or more: the first 10, by their ids. */
    readonly ids: (prefix: string) => Effect.Effect<RunIdsView, RequestError<"ids">>

    /**
     * A page of runs in short, newest first.
     *
     * @param request.include what else is told of each: `payload`, `result`. Default: neither
     * @param request.limit 1 to 200. Default: 50
     * @param request.cursor `nextCursor` of the page before
     */
    readonly list: (request?: ListRequest) => Effect.Effect<RunsPage, RequestError<"list">>

    /** Asks for the run's interrupt; no effect on a run that is over. */
    readonly interrupt: (runId: string) => Effect.Effect<void, RequestError<"interrupt">>

    /**
     * Ends a run at once, without compensations, whoever holds it: for runs that would never end. It
     * is `interrupted`, with the reason. With `children` what it has started ends too. Answers with how
     * many runs that were. Fails with `RunFinished` where the run is over, and with `InvalidReason`
     * where the reason has more than 1,000 characters.
     */
    readonly terminate: (
      runId: string,
      options?: Omit<TerminateRequest, "runId">
    ) => Effect.Effect<{ readonly terminated: number }, RequestError<"terminate">>

    /**
     * Wakes a suspended run; no effect on one that is pending or running. Fails with `NotResumable`
     * where it is over.
     */
    readonly resume: (runId: string) => Effect.Effect<void, RequestError<"resume">>

    /**
     * Lets a run that failed or was interrupted go on from the step that failed. Fails with
     * `NotRetryable` where its status or its compensations do not allow it.
     *
     * @param options.withChildren whether children by whose failure it would fail again are retried
     *   with it; without, it is refused because of them. Default: true
     */
    readonly retry: (
      runId: string,
      options?: RetryOptions
    ) => Effect.Effect<void, RequestError<"retry">>

    /** Deletes a run that is over; fails with `RunNotFinished` where it, or its parent, is not. */
    readonly remove: (runId: string) => Effect.Effect<void, RequestError<"remove">>

    /** How many runs there are in each status. */
    readonly counts: Effect.Effect<RunCounts, RequestError<"workflows">>

    /**
     * What happens in the executor, as it happens: how runs, steps and the Runner change. With
     * `runId`: a `snapshot` of the run, what happens to it, and the end when it is over.
     *
     * A connection that is lost is opened again, and what was missed is told then; where that is
     * not known any more, as after a restart of the executor, a `reset` says so, and that whatever
     * you keep is to be read again. Fails as other requests do, and with `ProtocolError` where an
     * executor or a proxy has no events. An executor tells of what it executes itself; of a single
     * run also, by a new `snapshot`, of what others on its store did.
     *
     * @example
     * client.events({ workflow: "Order" }).pipe(
     *   Stream.filter((event) => event.type === "run" && event.status === "failed"),
     *   Stream.runForEach((event) => Effect.logWarning(event))
     * )
     */
    readonly events: (
      request?: EventStream.EventsRequest
    ) => Stream.Stream<EventView, RequestError<"get">>

    /**
     * A run with its steps, now and whenever it has changed, until it is over. Changes that follow
     * each other closely may come as one.
     *
     * @param options.steps as of `get`. Default: `all`
     */
    readonly watch: (
      runId: string,
      options?: StepsOption
    ) => Stream.Stream<RunWithStepsView, RequestError<"get">>

    /** The queues that runs wait in. */
    readonly queues: Effect.Effect<ReadonlyArray<QueueView>, RequestError<"workflows">>

    /**
     * Sets limits of a queue in place of those in the code (`limits`; `null`: those again), pauses it or
     * lets it go on (`paused`); for tokens with the scope `admin`. Fails with `QueueNotFound`.
     */
    readonly changeQueue: (
      request: ChangeQueueRequest
    ) => Effect.Effect<void, RequestError<"workflows"> | QueueNotFound | InvalidLimits>

    /** The workflows that are paused. */
    readonly pauses: Effect.Effect<ReadonlyArray<PauseView>, RequestError<"workflows">>

    /**
     * Lets no run of a workflow begin, until `resumeWorkflow`; with `park` what is under way stops where
     * its next step would start. For tokens with the scope `admin`. Fails with `UnknownWorkflow` for one
     * that is not registered there and has no runs.
     */
    readonly pauseWorkflow: (request: {
      readonly workflow: Pick<Workflow.Any, "name">
      readonly park?: boolean | undefined
    }) => Effect.Effect<void, RequestError<"workflows"> | UnknownWorkflow>

    /** Lets a workflow go on; no effect on one that is not paused. As `pauseWorkflow`. */
    readonly resumeWorkflow: (
      workflow: Pick<Workflow.Any, "name">
    ) => Effect.Effect<void, RequestError<"workflows">>

    /** How many runs of a filter there are in each status. */
    readonly countBy: (filter?: BulkFilter) => Effect.Effect<RunCounts, RequestError<"counts">>

    /**
     * Does something with all runs of a filter, and answers at once with the operation's id and how many
     * runs there are now; executors go through them. For tokens with the scope `admin`. Fails with
     * `EmptyFilter` where the filter has nothing, unless `all` is true. Asked once, without retries: where
     * no answer came, `bulkOperations` tells whether it was.
     *
     * @example
     * client.bulk({ action: "retry", filter: { status: ["failed"], createdAfter: new Date("2026-11-28T14:00:00Z") } })
     */
    readonly bulk: (
      request: BulkRequest
    ) => Effect.Effect<BulkAsked, RequestError<"counts"> | EmptyFilter | InvalidReason>

    /** How many runs `bulk` would be about; nothing is done. */
    readonly previewBulk: (
      request: BulkRequest
    ) => Effect.Effect<BulkPreview, RequestError<"counts"> | EmptyFilter | InvalidReason>

    /** How far an operation of `bulk` is. */
    readonly bulkOperation: (
      id: number
    ) => Effect.Effect<BulkView, RequestError<"workflows"> | BulkNotFound>

    /** The newest 50 operations of `bulk`. */
    readonly bulkOperations: Effect.Effect<ReadonlyArray<BulkView>, RequestError<"workflows">>

    /** Ends an operation where it is; no effect on one that is over. */
    readonly cancelBulk: (
      id: number
    ) => Effect.Effect<BulkView, RequestError<"workflows"> | BulkNotFound>

    /** The executors that work on the store; for tokens with the scope `admin`. */
    readonly executors: Effect.Effect<ReadonlyArray<ExecutorView>, RequestError<"workflows">>

    /**
     * Asks the executor to drain and stop, as SIGTERM does, and answers at once with its state:
     * `draining`, or `stopped` where it is about to go. For tokens with the scope `admin`. Asked
     * once, without retries: what answers the second time may be its successor. Fails with
     * `DrainNotAvailable` where the app around the executor does not let itself be stopped so.
     */
    readonly drain: Effect.Effect<RunnerState, RequestError<"workflows"> | DrainNotAvailable>

    /**
     * Completes a run's DurableDeferred. The first value stays. Fails with `InvalidSignal` where the
     * value does not encode, and where the token is none.
     *
     * @example
     * client.signal(Approval, { runId }, true)
     */
    readonly signal: <Value extends Schema.Schema.Any, Error extends Schema.Schema.All>(
      deferred: DurableDeferred.DurableDeferred<Value, Error>,
      target: Typed.SignalTarget,
      value: Value["Type"]
    ) => Effect.Effect<void, RequestError<"signal">, Value["Context"]>

    /** What is started at certain times. */
    readonly schedules: AskSchedules.Schedules

    /** The state of the executor's Runner. Asked once, without a token and without retries. */
    readonly health: Effect.Effect<RunnerState, Unavailable>
  }
>() {}

/** About 21 seconds. */
const defaultRetry = Schedule.exponential("100 millis").pipe(
  Schedule.union(Schedule.spaced("5 seconds")),
  Schedule.intersect(Schedule.recurs(9))
)

/** Over the HttpClient of the app. */
const bodyOf = (options: StartOptions | undefined) => {
  if (options === undefined) return Effect.succeed({})
  const told = toBody(options)
  return "problem" in told
    ? new InvalidOptions({ message: told.problem })
    : Effect.succeed({ options: told.body })
}

export const make = (
  options: Options
): Effect.Effect<Client["Type"], never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const retry = options.retry ?? defaultRetry
    const requestTimeout = Given.duration(
      "requestTimeout",
      options.requestTimeout ?? "30 seconds",
      {
        orInfinity: true
      }
    )
    const pollInterval = Given.duration("pollInterval", options.pollInterval ?? "2 seconds", {
      min: Given.shortestPause,
      orInfinity: true
    })
    const { baseUrl, token } = options

    const requests = yield* Requests.make({ baseUrl, token, retry, requestTimeout })
    const { authorized, call } = requests
    const runs = yield* makeRuns(authorized)
    const { first, withSteps, ...read } = ReadRuns.make(requests, runs)

    const events = EventStream.make({
      httpClient: authorized,
      requestTimeout,
      retry,
      longestPause: pollInterval
    })
    const watching: RunWatch.WatchOptions = { events, get: first, looks: looksWithin(pollInterval) }

    const startOrFind: Client["Type"]["startOrFind"] = (workflow, ...[payload, options]) =>
      Effect.all([Typed.encodePayload(workflow, payload), bodyOf(options)]).pipe(
        Effect.flatMap(([encoded, options]) =>
          call(runs.start({ payload: { workflow: workflow.name, payload: encoded, ...options } }))
        ),
        Effect.map((answer) => ("created" in answer ? answer : { ...answer, created: true }))
      )
    const start: Client["Type"]["start"] = (workflow, ...payload) =>
      Effect.map(startOrFind(workflow, ...payload), ({ runId }) => runId)
    const result: Client["Type"]["result"] = RunResult.make({ ...watching, outcome: read.outcome })

    return Client.of({
      ...read,
      ...ChangeRuns.make(requests, runs),
      ...(yield* AskExecutor.make(requests)),
      ...(yield* AskQueues.make(requests)),
      ...(yield* AskPauses.make(requests)),
      ...(yield* AskSchedules.make(requests)),
      ...(yield* AskBulk.make(requests)),
      start,
      startOrFind,
      result,
      execute: (workflow, ...payload) =>
        Effect.flatMap(start(workflow, ...payload), (runId) => result(workflow, runId)),
      get: (runId, options) => Effect.flatMap(first(runId), (run) => withSteps(run, options)),
      events: (request = {}) =>
        Stream.catchTag(events(request), "NoEvents", ({ message }) =>
          Stream.fail(new ProtocolError({ message }))
        ),
      watch: (runId, options) =>
        Stream.mapEffect(RunWatch.watch(watching)(runId), (run) => withSteps(run, options))
    })
  })

/** When a run is looked at, where there are no events. */
const looksWithin = (pollInterval: Duration.Duration) =>
  Schedule.exponential("50 millis", 1.5).pipe(Schedule.union(Schedule.spaced(pollInterval)))

/**
 * Over the HttpClient of the app: with its connection pool, its proxy, its middleware.
 *
 * @example
 * Client.layer({ baseUrl, token }).pipe(Layer.provide(NodeHttpClient.layerUndici))
 */
export const layer = (options: Options): Layer.Layer<Client, never, HttpClient.HttpClient> =>
  Layer.effect(Client, make(options))

/** Over `fetch`. */
export const layerFetch = (options: Options): Layer.Layer<Client> =>
  Layer.provide(layer(options), FetchHttpClient.layer)
