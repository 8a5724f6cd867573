/**
 * What an operator or a client can do with runs, by the workflow's name and in JSON: what HTTP, the
 * command and the promise façade are made of.
 */
import type { DurableDeferred, Workflow } from "@effect/workflow"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import {
  type ExecutorView,
  type GetOptions,
  InvalidCursor,
  InvalidPayload,
  InvalidQuery,
  InvalidReason,
  InvalidSignal,
  type ListRequest,
  maxPageSize,
  maxReasonLength,
  minPrefix,
  type NotResumable,
  type NotRetryable,
  type OutcomeView,
  type PayloadView,
  type RetryOptions,
  type RunCounts,
  type RunFinished,
  type RunIdsView,
  RunIdTaken,
  type RunNotFinished,
  type RunNotFound,
  type RunsPage,
  type RunWithStepsView,
  type SignalRequest,
  type StartedView,
  type StartRequest,
  type StepNotFound,
  type StepRequest,
  type StepsPage,
  type StepsRequest,
  type StepView,
  type TerminateRequest,
  type UnknownSignal,
  type UnknownWorkflow,
  type WorkflowView
} from "../api/Runs.js"
import { interruptPoint } from "../engine/held/ActiveRun.js"
import { Dispatcher } from "../engine/held/Dispatcher.js"
import { Signals } from "../engine/Signals.js"
import type { StepInFlight } from "../engine/step/StepInFlight.js"
import * as RunIds from "../internal/RunIds.js"
import {
  isFinal,
  type RunStatus,
  RunStore,
  type RunStoreError,
  type RunWithSteps,
  type StepCursor,
  type WithFinished
} from "../store/RunStore.js"
import * as Metrics from "../telemetry/Metrics.js"
import {
  encodedPayloadToJson,
  notReadBack,
  readBack,
  stringify,
  terminatedExit
} from "../values/Codec.js"
import * as EncodedCause from "../values/EncodedCause.js"
import { notWellFormed } from "../values/WellFormed.js"
import * as Cursors from "./Cursors.js"
import {
  notResumable,
  notRetryable,
  type Refused,
  runFinished,
  runNotFinished,
  runNotFound,
  stepNotFound,
  unknownSignal,
  unknownWorkflow
} from "./Refusals.js"
import {
  overlay,
  viewExecutor,
  viewFailure,
  viewOutcome,
  viewPayload,
  viewRelatives,
  viewRun,
  viewSelf,
  viewStarted,
  viewStep,
  viewWaits
} from "./RunViews.js"

export * from "../api/Runs.js"

/** What is told of many runs at once: in bytes, so that a page fits wherever an executor does. */
const listBounds = { maxBytes: 4 * 1024 * 1024, maxValueBytes: 64 * 1024 }

/** The same of one run and its steps: its payload and what it came to are there besides. */
const stepBounds = { limit: 1_000, maxBytes: 2 * 1024 * 1024, maxValueBytes: 1024 * 1024 }

/** So many of those that begin so are told. */
const maxIds = 10

export class Runs extends Context.Tag("effect-workflow-executor/Runs")<
  Runs,
  {
    /** The workflows registered in this process, by name. */
    readonly workflows: Effect.Effect<ReadonlyArray<WorkflowView>>

    /**
     * Starts a run; durable when it succeeds, also while draining. The same idempotency key gives
     * the same `runId`, and leaves the run that is there as it is: `created` is then false, and how it
     * stands is told.
     */
    readonly start: (
      request: StartRequest
    ) => Effect.Effect<StartedView, UnknownWorkflow | InvalidPayload | RunIdTaken | RunStoreError>

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

    /** How many runs there are in each status. */
    readonly counts: Effect.Effect<RunCounts, RunStoreError>

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

/**
 * A schema of a definition, for use outside of a run, where the services that its definition may
 * ask for are not at hand: with such a schema decoding dies, and the defect names the service.
 */
const outside = (schema: Workflow.AnyStructSchema | Schema.Schema.Any) =>
  schema as Schema.Schema<unknown, unknown>

const jsonSchemas = new WeakMap<object, unknown>()

const jsonSchemaOf = (schema: Workflow.AnyStructSchema | Schema.Schema.Any): unknown => {
  if (!jsonSchemas.has(schema)) {
    jsonSchemas.set(
      schema,
      Either.getOrElse(
        Either.try(() => JSONSchema.make(outside(schema))),
        () => ({})
      )
    )
  }
  return jsonSchemas.get(schema)
}

const strict = { onExcessProperty: "error" } as const

/** The message names the value that did not fit; a body of a megabyte must not come back whole. */
const explain = (error: ParseResult.ParseError): string => {
  const message = ParseResult.TreeFormatter.formatErrorSync(error)
  return message.length > 2_000 ? `${message.slice(0, 2_000)}…` : message
}

/** Through the schema and back: what is stored is what the schema itself would have written. */
const canonical = (
  schema: Schema.Schema<unknown, unknown>,
  value: unknown
): Effect.Effect<unknown, ParseResult.ParseError> =>
  Effect.flatMap(Schema.decodeUnknown(schema)(value), Schema.encode(schema))

const canonicalSignal = (deferred: DurableDeferred.Any, value: unknown) => {
  const schema = outside(deferred.successSchema)
  const decoded = canonical(schema, value)
  // JSON has no undefined: null is the nearest that a client can send to a void deferred
  return value === null
    ? Effect.catchAll(decoded, (error) =>
        Effect.mapError(canonical(schema, undefined), () => error)
      )
    : decoded
}

const decodeCursor = <A>(
  decode: (cursor: string) => A | undefined,
  cursor: string | undefined
): Effect.Effect<A | undefined, InvalidCursor> => {
  const decoded = cursor === undefined ? undefined : decode(cursor)
  return cursor !== undefined && decoded === undefined
    ? new InvalidCursor({ message: "The cursor is not one that this API gave" })
    : Effect.succeed(decoded)
}

/** The run that a key is of: each workflow has its own. */
const runIdOf = ({
  key,
  workflow
}: ListRequest): Effect.Effect<string | undefined, InvalidQuery> => {
  if (key === undefined) return Effect.succeed(undefined)
  return workflow === undefined
    ? new InvalidQuery({ message: "A key is one of a workflow: give the workflow too" })
    : RunIds.ofKey(workflow, key)
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
          }))
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    )

    const find = Effect.fnUntraced(function* (name: string) {
      const registered = yield* dispatcher.workflows
      const workflow = registered.find((workflow) => workflow.name === name)
      if (workflow !== undefined) return workflow
      return yield* unknownWorkflow(name, registered.map((workflow) => workflow.name).sort())
    })

    const storablePayload = (workflow: Workflow.Any, encoded: unknown) =>
      Either.flatMap(encodedPayloadToJson(workflow, encoded), dispatcher.bounded)

    const start = Effect.fnUntraced(function* (request: StartRequest) {
      const workflow = yield* find(request.workflow)
      const invalid = (message: string) => new InvalidPayload({ workflow: workflow.name, message })
      const schema = outside(workflow.payloadSchema)
      // a field that the schema does not have is a misspelt one: the schema that is published says so
      const decoded = yield* Schema.decodeUnknown(schema)(request.payload ?? {}, strict).pipe(
        Effect.mapError((error) => invalid(explain(error)))
      )
      const runId = yield* Effect.suspend(() => workflow.executionId(decoded))
      const payload = yield* Schema.encode(schema)(decoded).pipe(
        Effect.mapError((error) => invalid(explain(error))),
        Effect.flatMap((encoded) =>
          Effect.mapError(storablePayload(workflow, encoded), (error) =>
            invalid(`The payload cannot be stored as JSON: ${error.message}`)
          )
        )
      )
      return viewStarted(
        yield* dispatcher
          .start({ runId, workflow: workflow.name, payload, trace: request.trace })
          .pipe(
            Effect.catchTag(
              "RunIdTaken",
              ({ message, runId, workflow }) => new RunIdTaken({ runId, workflow, message })
            )
          )
      )
    })

    /** The steps of a page as they are told, with those in flight here. */
    const viewSteps = (
      { cursor, steps }: Pick<RunWithSteps, "cursor" | "steps">,
      inFlight: ReadonlyArray<StepInFlight>,
      after?: StepCursor
    ) => overlay(steps, inFlight, { after, upTo: cursor }).map(viewStep)

    /** Those of the run that have no outcome yet. Asked before the store, which then may have it. */
    const inFlightOf = (runId: string) =>
      Effect.map(dispatcher.inFlight, (all) => {
        const steps = all.filter((step) => step.runId === runId)
        return (status: RunStatus) => (isFinal(status) ? [] : steps)
      })

    /** The step whose failure the run ended with; it may be on a later page. */
    const failedStep = ({ cursor, run, steps }: RunWithSteps) => {
      const text = EncodedCause.tellingText(run.exit)
      if (text === undefined) return Effect.succeed(undefined)
      const isWhole = cursor === undefined && steps.every(({ leftOut }) => leftOut === undefined)
      return isWhole
        ? Effect.succeed(EncodedCause.failedWith(text, steps))
        : Effect.map(store.stepFailedWith({ runId: run.runId, text }), Option.getOrUndefined)
    }

    const get = Effect.fnUntraced(function* (runId: string, options: GetOptions = {}) {
      const inFlight = yield* inFlightOf(runId)
      const found = yield* store.findWithSteps(runId, stepBounds)
      if (Option.isNone(found)) return yield* runNotFound(runId)
      const { cursor, run } = found.value
      const registered = yield* dispatcher.workflows
      return {
        ...viewRun(run),
        ...viewFailure(run, yield* failedStep(found.value), { stacks: options.stacks === true }),
        ...viewWaits(run, {
          isRegistered: registered.some(({ name }) => name === run.workflow)
        }),
        ...viewRelatives(found.value),
        steps: viewSteps(found.value, inFlight(run.status)),
        ...(cursor === undefined ? {} : { stepsCursor: Cursors.ofSteps(cursor) })
      }
    })

    const steps = Effect.fnUntraced(function* (request: StepsRequest) {
      const { cursor, runId, values = true } = request
      const after = yield* decodeCursor(Cursors.toSteps, cursor)
      const inFlight = yield* inFlightOf(runId)
      const bounds = values ? stepBounds : { ...stepBounds, maxValueBytes: 0 }
      const found = yield* store.steps(runId, { ...bounds, after })
      if (Option.isNone(found)) return yield* runNotFound(runId)
      const page = found.value
      return {
        steps: viewSteps(page, inFlight(page.status), after),
        nextCursor: page.cursor === undefined ? null : Cursors.ofSteps(page.cursor)
      }
    })

    const findRun = (runId: string) =>
      Effect.flatMap(
        store.find(runId),
        Option.match({ onNone: () => runNotFound(runId), onSome: Effect.succeed })
      )

    const step = Effect.fnUntraced(function* (request: StepRequest) {
      const { attempt, name, runId } = request
      const inFlight = yield* inFlightOf(runId)
      const found = yield* store.step(request)
      const { status } = yield* findRun(runId)
      const here = inFlight(status).filter((one) => one.name === name && one.attempt === attempt)
      const [told] = overlay(Option.toArray(found), here)
      return told === undefined ? yield* stepNotFound(request) : viewStep(told)
    })

    const payload = (runId: string) =>
      // `find` leaves nothing out
      Effect.map(findRun(runId), ({ payload = "" }) => ({ runId, payload: viewPayload(payload) }))

    const outcome = (runId: string, options: GetOptions = {}) =>
      Effect.map(findRun(runId), (run) => viewOutcome(run, { stacks: options.stacks === true }))

    const ids = Effect.fnUntraced(function* (prefix: string) {
      if (prefix.length < minPrefix) {
        return yield* new InvalidQuery({
          message: `The beginning of an id has ${minPrefix} characters at least, and ${JSON.stringify(prefix)} has ${prefix.length}`
        })
      }
      const runs = yield* store.beginningWith({ prefix, limit: maxIds + 1 })
      return { runs: runs.slice(0, maxIds), more: runs.length > maxIds }
    })

    const list = Effect.fnUntraced(function* (request: ListRequest = {}) {
      const cursor = yield* decodeCursor(Cursors.toRuns, request.cursor)
      const runId = yield* runIdOf(request)
      const page = yield* store.list({
        runId,
        workflow: request.workflow,
        status: request.status?.length === 0 ? undefined : request.status,
        createdAfter: request.createdAfter?.getTime(),
        createdBefore: request.createdBefore?.getTime(),
        roots: request.roots,
        parent: request.parent,
        blocked: request.mend,
        limit: Math.min(Math.max(Math.trunc(request.limit ?? 50), 1), maxPageSize),
        payload: request.include?.includes("payload") ?? false,
        result: request.include?.includes("result") ?? false,
        ...listBounds,
        cursor
      })
      return {
        runs: page.runs.map(viewRun),
        nextCursor: page.cursor === undefined ? null : Cursors.ofRuns(page.cursor)
      }
    })

    const known = (
      runId: string,
      status: Effect.Effect<Option.Option<RunStatus>, RunStoreError>
    ): Effect.Effect<void, RunNotFound | RunStoreError> =>
      Effect.flatMap(
        status,
        Option.match({ onNone: () => runNotFound(runId), onSome: () => Effect.void })
      )

    const finished = <E>(
      runId: string,
      answer: Effect.Effect<WithFinished, RunStoreError>,
      refuse: (runId: string, refused: Refused) => E
    ): Effect.Effect<void, RunNotFound | E | RunStoreError> =>
      Effect.flatMap(answer, (answer): Effect.Effect<void, RunNotFound | E> => {
        switch (answer._tag) {
          case "Done":
            return Effect.void
          case "NotFound":
            return runNotFound(runId)
          case "Refused":
            return Effect.fail(refuse(runId, answer))
        }
      })

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

    /** A workflow that declares no signals may take any. */
    const assertDeclared = Effect.fnUntraced(function* (workflow: string, name: string) {
      const registered = yield* dispatcher.workflows
      const found = registered.find((one) => one.name === workflow)
      const declared = found === undefined ? [] : Context.get(found.annotations, Signals)
      const names = declared.map((deferred) => deferred.name)
      // as `DurableDeferred.into` and others name that of an attempt
      const isDeclared = names.includes(name.replace(/\/\d+$/, ""))
      if (names.length > 0 && !isDeclared) return yield* unknownSignal(workflow, name, names)
    })

    const signal = Effect.fnUntraced(function* ({ name, runId, value }: SignalRequest) {
      const invalid = (message: string) => new InvalidSignal({ name, message })
      if (name === interruptPoint) return yield* invalid("the name is the executor's own")
      const refusal = notWellFormed("signal name", name)
      if (refusal !== undefined) return yield* invalid(refusal)
      const run = yield* store.find(runId)
      if (Option.isNone(run)) return yield* runNotFound(runId)
      const deferred = dispatcher.deferred(run.value.workflow, name)
      if (Option.isNone(deferred)) yield* assertDeclared(run.value.workflow, name)
      const checked = Option.isNone(deferred)
        ? value
        : yield* Effect.mapError(canonicalSignal(deferred.value, value), (error) =>
            invalid(explain(error))
          )
      const json = yield* Effect.mapError(
        Either.flatMap(stringify(checked), dispatcher.bounded),
        (error) => invalid(`The value cannot be stored as JSON: ${error.message}`)
      )
      const exit = `{"_tag":"Success","value":${json}}`
      const read = Option.isNone(deferred) ? undefined : readBack(deferred.value, exit)
      if (read !== undefined && Either.isLeft(read)) {
        return yield* invalid(`The value cannot be stored: ${notReadBack(read.left).message}`)
      }
      yield* store.signal({ runId, name, exit })
    })

    const terminate = Effect.fnUntraced(function* (request: TerminateRequest) {
      const { children = false, reason, runId } = request
      if (reason !== undefined && reason.length > maxReasonLength) {
        return yield* new InvalidReason({
          message: `The reason has ${reason.length} characters; at most ${maxReasonLength} are allowed`
        })
      }
      const exit = terminatedExit(reason)
      const answer = yield* store.terminate({ runId, exit, children })
      switch (answer._tag) {
        case "NotFound":
          return yield* runNotFound(runId)
        case "Refused":
          return yield* runFinished(runId, answer.status)
        case "Done": {
          const terminated = answer.runs.length
          for (const { workflow } of answer.runs) Metrics.runFinished(workflow, "interrupted")
          yield* Effect.logWarning("run terminated, without compensations").pipe(
            Effect.annotateLogs({
              runId,
              runs: terminated,
              ...(reason === undefined ? {} : { reason })
            })
          )
          return { terminated }
        }
      }
    })

    return {
      workflows,
      start,
      get,
      steps,
      step,
      payload,
      outcome,
      ids,
      list,
      interrupt: (runId) => known(runId, store.requestInterrupt(runId)),
      terminate,
      resume: (runId) =>
        Effect.flatMap(
          store.wake(runId),
          (before): Effect.Effect<void, RunNotFound | NotResumable> => {
            if (Option.isNone(before)) return runNotFound(runId)
            return isFinal(before.value) ? notResumable(runId, before.value) : Effect.void
          }
        ),
      // the point at which an interrupt took hold is of the run that was, not of the one that follows
      retry: (runId, { withChildren = true } = {}) =>
        finished(
          runId,
          store.retry({ runId, forget: [interruptPoint], withChildren }),
          notRetryable
        ),
      remove: (runId) => finished(runId, store.remove(runId), runNotFinished),
      counts: store.counts,
      executors,
      signal
    }
  }
)

export const layer: Layer.Layer<Runs, never, RunStore | Dispatcher> = Layer.effect(Runs, make)
