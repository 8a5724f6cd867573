/**
 * What an operator or a client can do with runs, by the workflow's name and in JSON: what HTTP, the
 * command and the promise façade are made of.
 */
import type { DurableDeferred, Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as JSONSchema from "effect/JSONSchema"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { Dispatcher, type StepInFlight } from "./Dispatcher.js"
import { stringify } from "./engine/Codec.js"
import {
  isFinal,
  type Json,
  type Millis,
  type Run,
  type RunStatus,
  RunStore,
  type RunStoreError,
  type Step,
  type Trace
} from "./RunStore.js"

// ---------------------------------------------------------------------------------------------
// What a run looks like from outside
// ---------------------------------------------------------------------------------------------

export const RunStatusSchema = Schema.Literal(
  "pending",
  "running",
  "suspended",
  "completed",
  "failed",
  "interrupted"
) satisfies Schema.Schema<RunStatus>

/**
 * Why a run or a step failed. A typed error keeps its own fields; `_tag` is `Failure` where it has
 * none, `Defect` for an unexpected error, `Interrupted`, or `Unreadable` where what is stored is not
 * JSON of an `Exit`.
 */
export const ErrorView = Schema.Struct(
  { _tag: Schema.String, message: Schema.String },
  Schema.Record({ key: Schema.String, value: Schema.Unknown })
)
export type ErrorView = typeof ErrorView.Type

/** Times are ISO 8601. `result` is the encoded success, `error` is there when it failed. */
export const StepView = Schema.Struct({
  name: Schema.String,
  attempt: Schema.Int,
  status: Schema.Literal("running", "completed", "failed", "interrupted"),
  startedAt: Schema.String,
  completedAt: Schema.optional(Schema.String),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(ErrorView)
})
export type StepView = typeof StepView.Type

/**
 * Times are ISO 8601. `payload` and `result` are as the workflow's schemas encode them. `error` is
 * why the run failed, or why it is suspended where no signal and no timer will wake it.
 */
export const RunView = Schema.Struct({
  runId: Schema.String,
  workflow: Schema.String,
  status: RunStatusSchema,
  payload: Schema.Unknown,
  createdAt: Schema.String,
  startedAt: Schema.optional(Schema.String),
  completedAt: Schema.optional(Schema.String),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(ErrorView)
})
export type RunView = typeof RunView.Type

export const RunWithStepsView = Schema.Struct({ ...RunView.fields, steps: Schema.Array(StepView) })
export type RunWithStepsView = typeof RunWithStepsView.Type

/** `nextCursor` is null on the last page. */
export const RunsPage = Schema.Struct({
  runs: Schema.Array(RunView),
  nextCursor: Schema.NullOr(Schema.String)
})
export type RunsPage = typeof RunsPage.Type

/** `payload` is the JSON Schema of the workflow's payload; `{}` where it has none. */
export const WorkflowView = Schema.Struct({ name: Schema.String, payload: Schema.Unknown })
export type WorkflowView = typeof WorkflowView.Type

const iso = (millis: Millis): string => new Date(millis).toISOString()

const parse = (json: Json): Either.Either<unknown, string> =>
  Either.try({
    try: (): unknown => JSON.parse(json),
    catch: () => "what is stored is not JSON"
  })

const unreadable = (message: string): ErrorView => ({ _tag: "Unreadable", message })

const textOf = (value: unknown): string =>
  typeof value === "string" ? value : (JSON.stringify(value) ?? "undefined")

/** The encoded causes that are neither Parallel nor Sequential, from left to right. */
const leaves = (cause: unknown): ReadonlyArray<Readonly<Record<string, unknown>>> => {
  const found: Array<Readonly<Record<string, unknown>>> = []
  const open = [cause]
  while (open.length > 0) {
    const current = open.pop()
    if (!Predicate.isReadonlyRecord(current)) continue
    if (current._tag === "Parallel" || current._tag === "Sequential") {
      open.push(current.right, current.left)
    } else {
      found.push(current)
    }
  }
  return found
}

const failureView = (error: unknown): ErrorView => {
  if (!Predicate.isReadonlyRecord(error)) return { _tag: "Failure", message: textOf(error) }
  const tag = typeof error._tag === "string" ? error._tag : "Failure"
  const message =
    typeof error.message === "string" ? error.message : tag === "Failure" ? textOf(error) : tag
  return { ...error, _tag: tag, message }
}

const defectView = (defect: unknown): ErrorView => ({
  _tag: "Defect",
  message:
    Predicate.hasProperty(defect, "message") && typeof defect.message === "string"
      ? defect.message
      : textOf(defect)
})

/** What to tell of an encoded `Cause`: a typed error before a defect before an interruption. */
const causeView = (cause: unknown): ErrorView => {
  const all = leaves(cause)
  const failure = all.find((leaf) => leaf._tag === "Fail")
  if (failure !== undefined) return failureView(failure.error)
  const defect = all.find((leaf) => leaf._tag === "Die")
  if (defect !== undefined) return defectView(defect.defect)
  return all.some((leaf) => leaf._tag === "Interrupt")
    ? { _tag: "Interrupted", message: "interrupted" }
    : unreadable("what is stored is not a Cause")
}

const outcomeView = (exit: Json): { readonly result: unknown } | { readonly error: ErrorView } => {
  const parsed = parse(exit)
  if (Either.isLeft(parsed)) return { error: unreadable(parsed.left) }
  const outcome = parsed.right
  if (Predicate.isReadonlyRecord(outcome)) {
    if (outcome._tag === "Success") return { result: outcome.value }
    if (outcome._tag === "Failure") return { error: causeView(outcome.cause) }
  }
  return { error: unreadable("what is stored is not an Exit") }
}

const suspendedView = (cause: Json): { readonly error: ErrorView } => ({
  error: Either.match(parse(cause), { onLeft: unreadable, onRight: causeView })
})

/** A stored run as clients see it. Never fails: what does not read shows as an error. */
export const viewRun = (run: Run): RunView => ({
  runId: run.runId,
  workflow: run.workflow,
  status: run.status,
  // a payload is an object, so a string here can only be this
  payload: Either.getOrElse(parse(run.payload), (problem) => `unreadable: ${problem}`),
  createdAt: iso(run.createdAt),
  ...(run.startedAt === undefined ? {} : { startedAt: iso(run.startedAt) }),
  ...(run.completedAt === undefined ? {} : { completedAt: iso(run.completedAt) }),
  ...(run.exit !== undefined
    ? outcomeView(run.exit)
    : run.cause !== undefined
      ? suspendedView(run.cause)
      : {})
})

/** A stored step as clients see it. Never fails. */
export const viewStep = (step: Step): StepView => ({
  name: step.name,
  attempt: step.attempt,
  status: step.status,
  startedAt: iso(step.startedAt),
  ...(step.completedAt === undefined ? {} : { completedAt: iso(step.completedAt) }),
  ...(step.exit === undefined ? {} : outcomeView(step.exit))
})

/**
 * The stored steps, with those that are in flight in this process and have no recorded outcome as
 * `running`; in the order in which they started.
 */
export const overlay = (
  stored: ReadonlyArray<Step>,
  inFlight: ReadonlyArray<StepInFlight>
): ReadonlyArray<Step> => {
  if (inFlight.length === 0) return stored
  const key = (step: { readonly name: string; readonly attempt: number }) =>
    `${step.name}/${step.attempt}`
  const steps = new Map(stored.map((step) => [key(step), step]))
  for (const { name, attempt, startedAt } of inFlight) {
    const recorded = steps.get(key({ name, attempt }))
    if (recorded?.exit !== undefined) continue
    steps.set(key({ name, attempt }), {
      name,
      attempt,
      status: "running",
      startedAt,
      completedAt: undefined,
      exit: undefined
    })
  }
  return [...steps.values()].sort((a, b) => a.startedAt - b.startedAt)
}

// ---------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------

/** No workflow of that name is registered in this process. */
export class UnknownWorkflow extends Schema.TaggedError<UnknownWorkflow>()("UnknownWorkflow", {
  workflow: Schema.String,
  registered: Schema.Array(Schema.String),
  message: Schema.String
}) {}

/** The payload is not what the workflow's payload schema decodes. */
export class InvalidPayload extends Schema.TaggedError<InvalidPayload>()("InvalidPayload", {
  workflow: Schema.String,
  message: Schema.String
}) {}

/** The store has no such run. */
export class RunNotFound extends Schema.TaggedError<RunNotFound>()("RunNotFound", {
  runId: Schema.String,
  message: Schema.String
}) {}

/** The value is not what the deferred's success schema decodes. */
export class InvalidSignal extends Schema.TaggedError<InvalidSignal>()("InvalidSignal", {
  name: Schema.String,
  message: Schema.String
}) {}

/** The cursor did not come from a page of this API. */
export class InvalidCursor extends Schema.TaggedError<InvalidCursor>()("InvalidCursor", {
  message: Schema.String
}) {}

const unknownWorkflow = (workflow: string, registered: ReadonlyArray<string>) =>
  new UnknownWorkflow({
    workflow,
    registered,
    message: `Workflow ${JSON.stringify(workflow)} is not registered here; registered: ${
      registered.length === 0 ? "none" : registered.join(", ")
    }`
  })

const runNotFound = (runId: string) =>
  new RunNotFound({ runId, message: `There is no run ${JSON.stringify(runId)}` })

// ---------------------------------------------------------------------------------------------
// The service
// ---------------------------------------------------------------------------------------------

/** The most runs that one page can have. */
export const maxPageSize = 200

export interface StartRequest {
  /** Name of a registered workflow. */
  readonly workflow: string
  /** JSON that the workflow's payload schema decodes; an empty object when left out. */
  readonly payload?: unknown
  /** Where the caller is in its trace; the run's spans become its children. */
  readonly trace?: Trace | undefined
}

export interface ListRequest {
  readonly workflow?: string | undefined
  /** Runs in any of these; every status when empty or left out. */
  readonly status?: ReadonlyArray<RunStatus> | undefined
  /** 1 to 200; what lies outside is brought inside. Default: 50. */
  readonly limit?: number | undefined
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined
}

export interface SignalRequest {
  readonly runId: string
  /** Name of the run's DurableDeferred. */
  readonly name: string
  /** JSON that the deferred's success schema decodes; null or left out where it is void. */
  readonly value?: unknown
}

export class Runs extends Context.Tag("effect-workflow-executor/Runs")<
  Runs,
  {
    /** The workflows registered in this process, by name. */
    readonly workflows: Effect.Effect<ReadonlyArray<WorkflowView>>

    /**
     * Starts a run; durable when it succeeds, also while draining. The same idempotency key gives
     * the same `runId`, and leaves the run that is there as it is.
     */
    readonly start: (
      request: StartRequest
    ) => Effect.Effect<{ readonly runId: string }, UnknownWorkflow | InvalidPayload | RunStoreError>

    /** A run with its steps in the order in which they started, those in flight here included. */
    readonly get: (runId: string) => Effect.Effect<RunWithStepsView, RunNotFound | RunStoreError>

    /** A page of runs, newest first. */
    readonly list: (request?: ListRequest) => Effect.Effect<RunsPage, InvalidCursor | RunStoreError>

    /** Asks for the run's interrupt; no effect on a run that is over. */
    readonly interrupt: (runId: string) => Effect.Effect<void, RunNotFound | RunStoreError>

    /** Wakes a suspended run; no effect on any other. */
    readonly resume: (runId: string) => Effect.Effect<void, RunNotFound | RunStoreError>

    /**
     * Completes the run's DurableDeferred of that name. The first value stays. The value is checked
     * where the deferred's schema is known here (see `Signals`), else stored as it is.
     */
    readonly signal: (
      request: SignalRequest
    ) => Effect.Effect<void, RunNotFound | InvalidSignal | RunStoreError>
  }
>() {}

/**
 * A schema of a definition, for use outside of a run, where the services that its definition may
 * ask for are not at hand: with such a schema decoding dies, and the defect names the service.
 */
const outside = (schema: Workflow.AnyStructSchema | Schema.Schema.Any) =>
  schema as Schema.Schema<unknown, unknown>

const jsonSchemas = new WeakMap<Workflow.AnyStructSchema, unknown>()

const jsonSchemaOf = (schema: Workflow.AnyStructSchema): unknown => {
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

const cursorPattern = /^runs:(\d{1,15})$/

const encodeCursor = (position: number): string => Encoding.encodeBase64Url(`runs:${position}`)

const decodeCursor = (cursor: string): Effect.Effect<number, InvalidCursor> => {
  const text = Either.getOrElse(Encoding.decodeBase64UrlString(cursor), () => "")
  const position = cursorPattern.exec(text)?.[1]
  return position === undefined
    ? Effect.fail(new InvalidCursor({ message: "The cursor is not one that this API gave" }))
    : Effect.succeed(Number(position))
}

export const make: Effect.Effect<Runs["Type"], never, RunStore | Dispatcher> = Effect.gen(
  function* () {
    const store = yield* RunStore
    const dispatcher = yield* Dispatcher

    const workflows = Effect.map(dispatcher.workflows, (registered) =>
      registered
        .map((workflow) => ({ name: workflow.name, payload: jsonSchemaOf(workflow.payloadSchema) }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    )

    const find = Effect.fnUntraced(function* (name: string) {
      const registered = yield* dispatcher.workflows
      const workflow = registered.find((workflow) => workflow.name === name)
      if (workflow !== undefined) return workflow
      return yield* unknownWorkflow(name, registered.map((workflow) => workflow.name).sort())
    })

    const start = Effect.fnUntraced(function* (request: StartRequest) {
      const workflow = yield* find(request.workflow)
      const invalid = (message: string) => new InvalidPayload({ workflow: workflow.name, message })
      const schema = outside(workflow.payloadSchema)
      const decoded = yield* Schema.decodeUnknown(schema)(request.payload ?? {}).pipe(
        Effect.mapError((error) => invalid(explain(error)))
      )
      const runId = yield* Effect.suspend(() => workflow.executionId(decoded))
      const payload = yield* Schema.encode(schema)(decoded).pipe(
        Effect.mapError((error) => invalid(explain(error))),
        Effect.flatMap((encoded) =>
          Effect.mapError(stringify(encoded), (error) => invalid(error.message))
        )
      )
      yield* dispatcher.start({ runId, workflow: workflow.name, payload, trace: request.trace })
      return { runId }
    })

    const get = Effect.fnUntraced(function* (runId: string) {
      // before the store: a step that ends in between then shows its outcome
      const inFlight = yield* dispatcher.inFlight
      const found = yield* store.findWithSteps(runId)
      if (Option.isNone(found)) return yield* runNotFound(runId)
      const { run, steps } = found.value
      const here = isFinal(run.status) ? [] : inFlight.filter((step) => step.runId === runId)
      return { ...viewRun(run), steps: overlay(steps, here).map(viewStep) }
    })

    const list = Effect.fnUntraced(function* (request: ListRequest = {}) {
      const cursor = request.cursor === undefined ? undefined : yield* decodeCursor(request.cursor)
      const page = yield* store.list({
        workflow: request.workflow,
        status: request.status?.length === 0 ? undefined : request.status,
        limit: Math.min(Math.max(Math.trunc(request.limit ?? 50), 1), maxPageSize),
        cursor
      })
      return {
        runs: page.runs.map(viewRun),
        nextCursor: page.cursor === undefined ? null : encodeCursor(page.cursor)
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

    const signal = Effect.fnUntraced(function* ({ name, runId, value }: SignalRequest) {
      const invalid = (message: string) => new InvalidSignal({ name, message })
      const run = yield* store.find(runId)
      if (Option.isNone(run)) return yield* runNotFound(runId)
      const deferred = dispatcher.deferred(run.value.workflow, name)
      const checked = Option.isNone(deferred)
        ? value
        : yield* Effect.mapError(canonicalSignal(deferred.value, value), (error) =>
            invalid(explain(error))
          )
      const json = yield* Effect.mapError(stringify(checked), (error) => invalid(error.message))
      yield* store.signal({ runId, name, exit: `{"_tag":"Success","value":${json}}` })
    })

    return {
      workflows,
      start,
      get,
      list,
      interrupt: (runId) => known(runId, store.requestInterrupt(runId)),
      resume: (runId) => known(runId, store.wake(runId)),
      signal
    }
  }
)

export const layer: Layer.Layer<Runs, never, RunStore | Dispatcher> = Layer.effect(Runs, make)
