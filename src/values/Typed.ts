/**
 * Between a workflow's own types and the JSON that `Runs` and the HTTP API speak.
 */
import * as DurableDeferred from "@effect/workflow/DurableDeferred"
import type * as Workflow from "@effect/workflow/Workflow"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import { InvalidPayload, InvalidSignal } from "../api/Runs.js"
import type { Json } from "../store/RunStore.js"
import { withNulls } from "./AnyJson.js"
import { exitFromJson, stringify } from "./Codec.js"

/** What `workflow.execute` takes: fields with defaults may be left out. */
export type Payload<W extends Workflow.Any> =
  W["payloadSchema"] extends JsonPayload<infer P>
    ? P
    : Schema.Simplify<Schema.Struct.Constructor<W["payloadSchema"]["fields"]>>

/** The payload, which can be left out where the workflow takes nothing; then the rest. */
export type Arguments<W extends Workflow.Any, Rest extends ReadonlyArray<unknown> = []> = [
  W["payloadSchema"] extends JsonPayload<infer P>
    ? undefined extends P
      ? never
      : P
    : keyof W["payloadSchema"]["fields"]
] extends [never]
  ? [payload?: Payload<W> | undefined, ...rest: Rest]
  : [payload: Payload<W>, ...rest: Rest]

const JsonPayloadTypeId: unique symbol = Symbol.for("effect-workflow-executor/JsonPayload")

/** The payload of a workflow that is an async function: any JSON, of which it knows the type. */
export interface JsonPayload<P> extends Schema.Schema<P, unknown> {
  readonly [JsonPayloadTypeId]: typeof JsonPayloadTypeId
  readonly fields: Schema.Struct.Fields
  readonly make: (payload: P) => P
}

/** @param check what is not to be a payload fails; else it is the value itself */
export const JsonPayload = <P>(
  check: (
    value: unknown,
    ast: SchemaAST.Transformation
  ) => Effect.Effect<unknown, ParseResult.ParseIssue>
): JsonPayload<P> => {
  const { ast } = Schema.transformOrFail(Schema.Unknown, Schema.Unknown, {
    strict: true,
    decode: (value, _, ast) => check(value, ast),
    encode: (value) => ParseResult.succeed(withNulls(value))
  })
  return Object.assign(Schema.make<P, unknown>(ast), {
    [JsonPayloadTypeId]: JsonPayloadTypeId,
    fields: {},
    make: (payload: P) => payload
  } as const)
}

export type Success<W extends Workflow.Any> = Schema.Schema.Type<W["successSchema"]>

export type Failure<W extends Workflow.Any> = Schema.Schema.Type<W["errorSchema"]>

/** What the schemas of a workflow's payload ask for. */
export type PayloadContext<W extends Workflow.Any> = Schema.Schema.Context<W["payloadSchema"]>

/** What the schemas of a workflow's result ask for. */
export type ResultContext<W extends Workflow.Any> =
  | Schema.Schema.Context<W["successSchema"]>
  | Schema.Schema.Context<W["errorSchema"]>

/** The run was interrupted because somebody asked for it: it has no result, and never will. */
export class RunInterrupted extends Data.TaggedError("RunInterrupted")<{
  readonly runId: string
}> {
  override get message() {
    return `Run ${this.runId} was interrupted`
  }
}

/** The result is there, and the schemas of the workflow in this process do not read it. */
export class UnreadableResult extends Data.TaggedError("UnreadableResult")<{
  readonly runId: string
  readonly workflow: string
  readonly reason: string
}> {
  override get message() {
    return `The result of run ${this.runId} does not decode as one of workflow "${this.workflow}": ${this.reason}`
  }
}

/**
 * A run's DurableDeferred: by the run, or by the token that the workflow has made of it
 * (`DurableDeferred.token`).
 */
export type SignalTarget = { readonly runId: string } | { readonly token: string }

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/** A value that did not fit may be a megabyte. */
const explain = (error: unknown): string => {
  const message = ParseResult.isParseError(error)
    ? ParseResult.TreeFormatter.formatErrorSync(error)
    : messageOf(error)
  return message.length > 2_000 ? `${message.slice(0, 2_000)}…` : message
}

// the values are of types that only the caller knows
const schemaOf = <S extends Schema.Schema.Any | Workflow.AnyStructSchema>(schema: S) =>
  schema as Schema.Schema<unknown, unknown, Schema.Schema.Context<S>>

/** The JSON value that stands for a payload, as `Runs.start` and `POST /runs` take it. */
export const encodePayload = <W extends Workflow.Any>(
  workflow: W,
  payload: Payload<W> | undefined
): Effect.Effect<unknown, InvalidPayload, PayloadContext<W>> => {
  const schema: W["payloadSchema"] = workflow.payloadSchema
  const invalid = (error: unknown) =>
    new InvalidPayload({ workflow: workflow.name, message: explain(error) })
  return Effect.try({
    try: (): unknown => schema.make(payload),
    catch: invalid
  }).pipe(
    Effect.flatMap((made) => Effect.mapError(Schema.encode(schemaOf(schema))(made), invalid)),
    Effect.tap((encoded) => Effect.mapError(stringify(encoded), invalid))
  )
}

/** A recorded `Exit`, with the values and errors that the workflow's schemas make of it. */
export const decodeExit = <W extends Workflow.Any>(
  workflow: W,
  runId: string,
  exit: Json
): Effect.Effect<Exit.Exit<Success<W>, Failure<W>>, UnreadableResult, ResultContext<W>> =>
  Effect.mapError(
    // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
    exitFromJson(workflow, exit) as Effect.Effect<
      Exit.Exit<Success<W>, Failure<W>>,
      { readonly message: string },
      ResultContext<W>
    >,
    ({ message }) => new UnreadableResult({ runId, workflow: workflow.name, reason: message })
  )

/** The value of a signal, encoded, and where it goes. */
export const encodeSignal = <Value extends Schema.Schema.Any, Error extends Schema.Schema.All>(
  deferred: DurableDeferred.DurableDeferred<Value, Error>,
  target: SignalTarget,
  value: Value["Type"]
): Effect.Effect<
  { readonly runId: string; readonly name: string; readonly value: unknown },
  InvalidSignal,
  Value["Context"]
> => {
  const invalid = (error: unknown) =>
    new InvalidSignal({ name: deferred.name, message: explain(error) })
  return Effect.gen(function* () {
    const { name, runId } = yield* Either.mapLeft(addressOf(deferred, target), invalid)
    const encoded = yield* Effect.mapError(
      Schema.encode(schemaOf(deferred.successSchema))(value),
      invalid
    )
    yield* Effect.mapError(stringify(encoded), invalid)
    return { runId, name, value: encoded }
  })
}

const decodeToken = Schema.decodeEither(DurableDeferred.TokenParsed.FromString)

const addressOf = (deferred: DurableDeferred.Any, target: SignalTarget) =>
  "runId" in target
    ? Either.right({ runId: target.runId, name: deferred.name })
    : Either.mapBoth(decodeToken(target.token), {
        onLeft: () => "the token is not one of a DurableDeferred",
        // the name in the token may say more, such as the attempt
        onRight: ({ deferredName, executionId }) => ({ runId: executionId, name: deferredName })
      })
