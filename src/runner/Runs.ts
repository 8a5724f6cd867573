/**
 * What an operator or a client can do with runs, by the workflow's name and in JSON: what HTTP, the
 * command and the promise façade are made of.
 */
import type { Workflow } from "@effect/workflow"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PauseRequest, PauseView } from "../api/Pauses.js"
import type {
  BulkAsked,
  BulkFilter,
  BulkNotFound,
  BulkPreview,
  BulkRequest,
  BulkView,
  ChangeQueueRequest,
  EmptyFilter,
  ExecutorView,
  GetOptions,
  InvalidCursor,
  InvalidLimits,
  InvalidOptions,
  InvalidPayload,
  InvalidQuery,
  InvalidReason,
  InvalidSignal,
  ListRequest,
  NotResumable,
  NotRetryable,
  OutcomeView,
  PayloadDiffers,
  PayloadView,
  QueueNotFound,
  QueueView,
  RetryOptions,
  RunCounts,
  RunExists,
  RunFinished,
  RunIdsView,
  RunIdTaken,
  RunNotFinished,
  RunNotFound,
  RunsPage,
  RunWithStepsView,
  SignalRequest,
  StartedView,
  StartRequest,
  StepNotFound,
  StepRequest,
  StepsPage,
  StepsRequest,
  StepView,
  TerminateRequest,
  UnknownSignal,
  UnknownWorkflow,
  WorkflowView
} from "../api/Runs.js"
import { Dispatcher } from "../engine/held/Dispatcher.js"
import * as RunQueue from "../engine/RunQueue.js"
import { Signals } from "../engine/Signals.js"
import { RunStore, type RunStoreError } from "../store/RunStore.js"
import { viewExecutor, viewSelf } from "./RunViews.js"
import * as Bulk from "./runs/Bulk.js"
import * as Change from "./runs/Change.js"
import { jsonSchemaOf } from "./runs/Definitions.js"
import * as Pauses from "./runs/Pauses.js"
import * as Queues from "./runs/Queues.js"
import * as Read from "./runs/Read.js"
import * as Signal from "./runs/Signal.js"
import * as Start from "./runs/Start.js"

export * from "../api/Runs.js"

export class Runs extends Context.Tag("effect-workflow-executor/Runs")<
  Runs,
  {
    /** The workflows registered in this process, by name. */
    readonly workflows: Effect.Effect<ReadonlyArray<WorkflowView>>

    /**
     * Starts a run; durable when it succeeds, also while draining. The same idempotency key gives
     * the same `runId`, and leaves the run that is there as it is: `created` is then false, and how it
     * stands is told. One with another payload is not what was asked for: `PayloadDiffers`. The options
     * say when it may begin, how long it may take, and what to do where there is one (`StartOptions`).
     */
    readonly start: (
      request: StartRequest
    ) => Effect.Effect<
      StartedView,
      | UnknownWorkflow
      | InvalidPayload
      | InvalidOptions
      | RunIdTaken
      | RunExists
      | PayloadDiffers
      | RunStoreError
    >

    /**
     * A run with its steps in the order in which they started, those in flight here included: the
     * first 1,000 of them, or those whose outcomes come to 2 MiB; where there are more, with a
     * `stepsCursor` for `steps`. What has more than 1 MiB is left out, and how many bytes it has is told
     * in its place: `payload`, `outcome` and `step` give it.
     *
     * @param options.stacks also where an unexpected error came from, which tells of the code.
     *   Default: false
     */
    readonly get: (
      runId: string,
      options?: GetOptions
    ) => Effect.Effect<RunWithStepsView, RunNotFound | RunStoreError>

    /** A page of the run's steps, as in `get`. */
    readonly steps: (
      request: StepsRequest
    ) => Effect.Effect<StepsPage, RunNotFound | InvalidCursor | RunStoreError>

    /** One attempt of a step, with the whole of what it came to. */
    readonly step: (
      request: StepRequest
    ) => Effect.Effect<StepView, RunNotFound | StepNotFound | RunStoreError>

    /** The whole of what the run was started with. */
    readonly payload: (runId: string) => Effect.Effect<PayloadView, RunNotFound | RunStoreError>

    /** The whole of what the run came to, or why it is suspended. */
    readonly outcome: (
      runId: string,
      options?: GetOptions
    ) => Effect.Effect<OutcomeView, RunNotFound | RunStoreError>

    /**
     * The runs whose id begins so, the first 10 of them: for ids that people have shortened. Fails with
     * `InvalidQuery` for fewer than 4 characters.
     */
    readonly ids: (prefix: string) => Effect.Effect<RunIdsView, InvalidQuery | RunStoreError>

    /**
     * A page of runs in short, newest first: their payloads and results are there on request. It may
     * have fewer than `limit` where these are large: up to 4 MiB of them, and one run at least.
     * `nextCursor` says whether there are more. Fails with `InvalidQuery` for a `key` without a
     * `workflow`.
     */
    readonly list: (
      request?: ListRequest
    ) => Effect.Effect<RunsPage, InvalidCursor | InvalidQuery | RunStoreError>

    /** Asks for the run's interrupt; no effect on a run that is over. */
    readonly interrupt: (runId: string) => Effect.Effect<void, RunNotFound | RunStoreError>

    /**
     * Ends a run at once, without compensations, whoever holds it and whatever it is doing: for runs
     * that would never end, of a workflow that is not registered any more, or whose payload does not
     * decode. It is then `interrupted`, with the reason, and cannot be retried. Its steps in flight are
     * cut, and what they still come to is not recorded. Runs that wait for it are told that it was
     * interrupted.
     *
     * Fails with `RunFinished` where it was over already, and with `children` all below it too.
     * Answers with how many runs were ended.
     */
    readonly terminate: (
      request: TerminateRequest
    ) => Effect.Effect<
      { readonly terminated: number },
      RunNotFound | RunFinished | InvalidReason | RunStoreError
    >

    /** Wakes a suspended run; no effect on one that is pending or running. Refused when it is over. */
    readonly resume: (
      runId: string
    ) => Effect.Effect<void, RunNotFound | NotResumable | RunStoreError>

    /**
     * Lets a run that failed or was interrupted go on from the step that failed, also while draining.
     * Completed steps stay. Refused where its compensations were executed.
     *
     * @param options.withChildren whether children by whose failure it would fail again are retried
     *   with it; without, it is refused because of them. Default: true
     */
    readonly retry: (
      runId: string,
      options?: RetryOptions
    ) => Effect.Effect<void, RunNotFound | NotRetryable | RunStoreError>

    /** Removes a run that is over, with its steps and signals. */
    readonly remove: (
      runId: string
    ) => Effect.Effect<void, RunNotFound | RunNotFinished | RunStoreError>

    /** The queues, by their names, with how many runs of each are under way and wait. */
    readonly queues: Effect.Effect<ReadonlyArray<QueueView>, RunStoreError>

    /**
     * Sets limits of a queue in place of those in the code, for all executors and also after a restart,
     * until they are removed (`limits: null`); pauses it, so that nothing of it begins, or lets it go on.
     */
    readonly changeQueue: (
      request: ChangeQueueRequest
    ) => Effect.Effect<void, QueueNotFound | InvalidLimits | RunStoreError>

    /** The workflows that are paused, by their names. */
    readonly pauses: Effect.Effect<ReadonlyArray<PauseView>, RunStoreError>

    /**
     * Lets no run of a workflow begin, on any executor and also after a restart, until `resumeWorkflow`.
     * What is under way goes on; with `park` it stops where its next step would start, and no step of it
     * starts after that. A run that is interrupted before it has begun ends all the same.
     *
     * Fails with `UnknownWorkflow` for one that is not registered here and has no runs.
     */
    readonly pauseWorkflow: (
      request: PauseRequest
    ) => Effect.Effect<void, UnknownWorkflow | RunStoreError>

    /** Lets a workflow go on; no effect on one that is not paused. */
    readonly resumeWorkflow: (workflow: string) => Effect.Effect<void, RunStoreError>

    /** How many runs there are in each status. */
    readonly counts: Effect.Effect<RunCounts, RunStoreError>

    /** How many runs of a filter there are in each status; looks at each of them. */
    readonly countBy: (
      filter?: BulkFilter
    ) => Effect.Effect<RunCounts, InvalidQuery | RunStoreError>

    /**
     * Does something with all runs of a filter, and answers at once: executors go through them, from the
     * newest to the oldest and a hundred at a time, and go on after a restart. What cannot be done with a
     * run is counted as refused, with why. Runs that are created later are left alone.
     *
     * Fails with `EmptyFilter` where the filter has nothing, and `all` is not true.
     */
    readonly bulk: (
      request: BulkRequest
    ) => Effect.Effect<BulkAsked, EmptyFilter | InvalidQuery | InvalidReason | RunStoreError>

    /** How many runs `bulk` would be about; nothing is done. */
    readonly previewBulk: (
      request: BulkRequest
    ) => Effect.Effect<BulkPreview, EmptyFilter | InvalidQuery | InvalidReason | RunStoreError>

    /** How far an operation of `bulk` is; it is told for 7 days after its end. */
    readonly bulkOperation: (id: number) => Effect.Effect<BulkView, BulkNotFound | RunStoreError>

    /** The newest 50 operations of `bulk`. */
    readonly bulkOperations: Effect.Effect<ReadonlyArray<BulkView>, RunStoreError>

    /** Ends an operation where it is; no effect on one that is over. Answers with how far it was. */
    readonly cancelBulk: (id: number) => Effect.Effect<BulkView, BulkNotFound | RunStoreError>

    /** The executors that work on this store, in the order in which they started. */
    readonly executors: Effect.Effect<ReadonlyArray<ExecutorView>, RunStoreError>

    /**
     * Completes the run's DurableDeferred of that name. The first value stays. The value is checked
     * where the deferred's schema is known here (see `Signals`), else stored as it is. A name that
     * the workflow neither declares nor has awaited here is refused where it declares its signals.
     */
    readonly signal: (
      request: SignalRequest
    ) => Effect.Effect<void, RunNotFound | UnknownSignal | InvalidSignal | RunStoreError>
  }
>() {}

const queueOf = (workflow: Workflow.Any): Pick<WorkflowView, "queue"> => {
  const queue = RunQueue.nameOf(workflow)
  return queue === undefined ? {} : { queue }
}

export const make: Effect.Effect<Runs["Type"], never, RunStore | Dispatcher> = Effect.gen(
  function* () {
    const store = yield* RunStore
    const dispatcher = yield* Dispatcher

    const workflows = Effect.map(dispatcher.workflows, (registered) =>
      registered
        .map((workflow) => ({
          name: workflow.name,
          payload: jsonSchemaOf(workflow.payloadSchema),
          signals: Context.get(workflow.annotations, Signals).map(({ name, successSchema }) => ({
            name,
            value: jsonSchemaOf(successSchema)
          })),
          ...queueOf(workflow)
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    )

    const executors = Effect.gen(function* () {
      const [now, all] = yield* Effect.all([Clock.currentTimeMillis, store.executors])
      const own = viewSelf(yield* dispatcher.inFlight, {
        drainLeft: yield* dispatcher.drainLeft,
        now
      })
      const self = dispatcher.executor()
      return all.map((info) => ({
        ...viewExecutor(info, { now, self }),
        ...(info.id === self ? own : {})
      }))
    })

    return {
      workflows,
      start: Start.make(dispatcher),
      ...Read.make(store, dispatcher),
      ...Change.make(store),
      ...Queues.make(store),
      ...Pauses.make(store, dispatcher),
      ...Bulk.make(store),
      counts: store.counts,
      executors,
      signal: Signal.make(store, dispatcher)
    }
  }
)

export const layer: Layer.Layer<Runs, never, RunStore | Dispatcher> = Layer.effect(Runs, make)
