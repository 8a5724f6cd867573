/**
 * How outcomes are written and read back: an `Exit` whose values the schemas of its step, signal or
 * workflow have encoded, as JSON text in the shape of `Schema.Exit`.
 */
import type { Workflow } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { Json } from "../RunStore.js"

/** A value that a schema encoded but JSON cannot carry: a BigInt, a cycle. */
export class NotJson extends Data.TaggedError("NotJson")<{ readonly message: string }> {}

/** Recorded text that the schemas of today do not read any more. */
export class Unreadable extends Data.TaggedError("Unreadable")<{ readonly message: string }> {}

export const stringify = (value: unknown): Effect.Effect<Json, NotJson> =>
  Effect.try({
    try: () => JSON.stringify(value) ?? "null",
    catch: (cause) =>
      new NotJson({ message: cause instanceof Error ? cause.message : String(cause) })
  })

/** The exit of an effect that succeeded with nothing: what a due timer answers. */
export const exitVoid: Json = `{"_tag":"Success"}`

const ExitOfEncoded = Schema.Exit({
  success: Schema.Unknown,
  failure: Schema.Unknown,
  defect: Schema.Defect
})
const encodeFailure = Schema.encode(ExitOfEncoded)

const CauseOfNever = Schema.Cause({ error: Schema.Never, defect: Schema.Defect })

/** An exit whose values are encoded already. */
export const encodedExitToJson = (
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<Json, NotJson | ParseResult.ParseError> =>
  Exit.isSuccess(exit) ? successToJson(exit.value) : Effect.flatMap(encodeFailure(exit), stringify)

/** JSON has no `undefined`: a success with nothing has no value. */
const successToJson = (value: unknown): Effect.Effect<Json, NotJson> =>
  value === undefined
    ? Effect.succeed(exitVoid)
    : Effect.map(stringify(value), (json) => `{"_tag":"Success","value":${json}}`)

type AnySchema = Schema.Schema.All

const makeCauseSchema = (error: AnySchema) =>
  Schema.Cause({ error: anySchema(error), defect: Schema.Defect })

const causeSchemas = new WeakMap<AnySchema, ReturnType<typeof makeCauseSchema>>()

const causeSchema = (error: AnySchema) => {
  const known = causeSchemas.get(error)
  if (known !== undefined) return known
  const schema = makeCauseSchema(error)
  causeSchemas.set(error, schema)
  return schema
}

/** The schemas of a step, a signal or a workflow. */
export interface Outcome {
  readonly successSchema: AnySchema
  readonly errorSchema: AnySchema
}

// The schemas' own context is whatever the definition was given; the effects below need it.
const anySchema = (schema: AnySchema) => schema as Schema.Schema<unknown, unknown, unknown>

/** An exit with decoded values, through the schemas. */
export const exitToJson = (
  outcome: Outcome,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<Json, NotJson | ParseResult.ParseError, unknown> =>
  Exit.isSuccess(exit)
    ? Effect.flatMap(Schema.encode(anySchema(outcome.successSchema))(exit.value), successToJson)
    : Schema.encode(causeSchema(outcome.errorSchema))(exit.cause).pipe(
        Effect.flatMap((cause) => stringify({ _tag: "Failure", cause }))
      )

/** Recorded text back into an exit with decoded values. */
export const exitFromJson = (
  outcome: Outcome,
  json: Json
): Effect.Effect<Exit.Exit<unknown, unknown>, Unreadable, unknown> =>
  Effect.suspend(
    (): Effect.Effect<Exit.Exit<unknown, unknown>, ParseResult.ParseError, unknown> => {
      const parsed: { _tag?: unknown; value?: unknown; cause?: unknown } = JSON.parse(json)
      switch (parsed._tag) {
        case "Success":
          return Effect.map(
            Schema.decodeUnknown(anySchema(outcome.successSchema))(parsed.value),
            Exit.succeed
          )
        case "Failure":
          return Effect.map(
            Schema.decodeUnknown(causeSchema(outcome.errorSchema))(parsed.cause),
            Exit.failCause
          )
        default:
          throw new Error(`expected an exit, got ${json.slice(0, 80)}`)
      }
    }
  ).pipe(
    Effect.catchAllDefect((defect) => Effect.fail(new Unreadable({ message: String(defect) }))),
    Effect.mapError(toUnreadable)
  )

const toUnreadable = (error: Unreadable | ParseResult.ParseError) =>
  error._tag === "Unreadable"
    ? error
    : new Unreadable({ message: ParseResult.TreeFormatter.formatErrorSync(error) })

const makePayloadCodec = (payload: unknown) => {
  // struct schemas, as `Workflow.make` takes them; their context is the definition's, as above
  const schema = payload as Schema.Schema<object, unknown, unknown>
  return { encode: Schema.encode(schema), decode: Schema.decodeUnknown(schema) }
}

const payloadCodecs = new WeakMap<object, ReturnType<typeof makePayloadCodec>>()

/** Made once for each workflow: a schema's parser costs more to make than to run. */
const payloadCodec = ({ payloadSchema }: Workflow.Any) => {
  const known = payloadCodecs.get(payloadSchema)
  if (known !== undefined) return known
  const codec = makePayloadCodec(payloadSchema)
  payloadCodecs.set(payloadSchema, codec)
  return codec
}

export const payloadToJson = (
  workflow: Workflow.Any,
  payload: object
): Effect.Effect<Json, NotJson | ParseResult.ParseError, unknown> =>
  Effect.flatMap(payloadCodec(workflow).encode(payload), stringify)

export const payloadFromJson = (
  workflow: Workflow.Any,
  json: Json
): Effect.Effect<object, Unreadable, unknown> =>
  Effect.try({
    try: (): unknown => JSON.parse(json),
    catch: (cause) => new Unreadable({ message: String(cause) })
  }).pipe(Effect.flatMap(payloadCodec(workflow).decode), Effect.mapError(toUnreadable))

/** The text of a cause without typed errors, as `Workflow.Suspended` carries it. */
export const causeToJson = (cause: Cause.Cause<never>): Json =>
  JSON.stringify(Schema.encodeSync(CauseOfNever)(cause))

export const causeFromJson = (json: Json): Cause.Cause<never> => {
  const decoded = Schema.decodeUnknownEither(Schema.parseJson(CauseOfNever))(json)
  return decoded._tag === "Right" ? decoded.right : Cause.die(json)
}

/** Whether a recorded exit is a success, a failure or only an interruption. */
export const statusOfExit = (
  exit: Exit.Exit<unknown, unknown>
): "completed" | "failed" | "interrupted" =>
  Exit.isSuccess(exit)
    ? "completed"
    : Cause.isInterruptedOnly(exit.cause)
      ? "interrupted"
      : "failed"
