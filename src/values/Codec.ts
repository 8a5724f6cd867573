/**
 * How outcomes are written and read back: an `Exit` whose values the schemas of its step, signal or
 * workflow have encoded, as JSON text in the shape of `Schema.Exit`.
 */
import type { Workflow } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { Json } from "../store/RunStore.js"
import { Defect } from "./Defects.js"
import * as EncodedCause from "./EncodedCause.js"
import { isJson, notJsonIn } from "./JsonValue.js"
import type { Bounded } from "./ValueSize.js"

/** A value that a schema encoded but JSON cannot carry: a BigInt, a cycle, NaN. */
export class NotJson extends Data.TaggedError("NotJson")<{ readonly message: string }> {}

/** Recorded text that the schemas of today do not read any more. */
export class Unreadable extends Data.TaggedError("Unreadable")<{ readonly message: string }> {}

/** The text of a value that comes back from it; `null` for one that is `undefined`. */
export const stringify = (value: unknown): Either.Either<Json, NotJson> =>
  written(value, () => value)

/**
 * @param toCheck what of it is to come back as it was
 * @param root what that is called
 */
const written = (
  value: unknown,
  toCheck: () => unknown,
  root?: string
): Either.Either<Json, NotJson> => {
  try {
    // before the walk, which a cycle would not end
    const json = JSON.stringify(value) ?? "null"
    const checked = toCheck()
    return checked === undefined || isJson(checked)
      ? Either.right(json)
      : Either.left(new NotJson({ message: `JSON has no ${notJsonIn(checked, root)}` }))
  } catch (cause) {
    return Either.left(
      new NotJson({ message: cause instanceof Error ? cause.message : String(cause) })
    )
  }
}

/**
 * What a run that was terminated came to: interrupted, and beside that the reason, which no schema of
 * a workflow reads.
 */
export const terminatedExit = (reason: string | undefined): Json =>
  JSON.stringify({
    _tag: "Failure",
    cause: { _tag: "Interrupt", fiberId: { _tag: "None" } },
    terminated: reason === undefined ? {} : { reason }
  })

/**
 * What a run came to that was interrupted because its `timeout` was over: an error that no schema of a
 * workflow knows, with the timeout beside it.
 */
export const timedOutExit = (
  timeout: number
): { readonly exit: Exit.Exit<never, never>; readonly text: Json } => {
  const error = new RunTimedOut({ timeout })
  const { message, name } = error
  return {
    exit: Exit.die(error),
    text: JSON.stringify({
      _tag: "Failure",
      cause: { _tag: "Die", defect: { name, message } },
      timedOut: { timeout }
    })
  }
}

/** The run did not end within its `timeout`, in milliseconds. */
export class RunTimedOut extends Data.TaggedError("RunTimedOut")<{ readonly timeout: number }> {
  override readonly name = "RunTimedOut"
  override get message() {
    return `the run did not end within its timeout of ${this.timeout} ms`
  }
}

/** The typed errors in a cause that is encoded; defects are text already. */
const errorsIn = (cause: Schema.CauseEncoded<unknown, unknown>): ReadonlyArray<unknown> => {
  switch (cause._tag) {
    case "Fail":
      return cause.error === undefined ? [] : [cause.error]
    case "Parallel":
    case "Sequential":
      return [...errorsIn(cause.left), ...errorsIn(cause.right)]
    default:
      return []
  }
}

const failureToJson = (
  cause: Schema.CauseEncoded<unknown, unknown>
): Either.Either<Json, NotJson> =>
  written(
    { _tag: "Failure", cause },
    () => errorsIn(cause).find((error) => !isJson(error)),
    "error"
  )

/** The exit of an effect that succeeded with nothing: what a due timer answers. */
export const exitVoid: Json = `{"_tag":"Success"}`

const ExitOfEncoded = Schema.Exit({
  success: Schema.Unknown,
  failure: Schema.Unknown,
  defect: Defect
})
const encodeFailure = Schema.encode(ExitOfEncoded)

const CauseOfNever = Schema.Cause({ error: Schema.Never, defect: Defect })

/** An exit whose values `success` and its like have encoded already. */
export const encodedExitToJson = (
  exit: Exit.Exit<unknown, unknown>,
  success: AnySchema
): Effect.Effect<Json, NotJson | ParseResult.ParseError> =>
  Exit.isSuccess(exit)
    ? successToJson(success, exit.value)
    : Effect.flatMap(encodeFailure(exit), (encoded) =>
        encoded._tag === "Failure" ? failureToJson(encoded.cause) : stringify(encoded)
      )

type AnySchema = Schema.Schema.All

/**
 * JSON has no `undefined`: a success with nothing has no value. Nor has one of which the schema says
 * that nobody looks at it (`Schema.Void`, as where no schema was given) if JSON does not have it, such
 * as what `Effect.forEach` makes of steps without results.
 */
const successToJson = ({ ast }: AnySchema, value: unknown): Either.Either<Json, NotJson> => {
  if (value === undefined) return Either.right(exitVoid)
  const json = stringify(value)
  if (Either.isRight(json)) return Either.right(`{"_tag":"Success","value":${json.right}}`)
  return ast._tag === "VoidKeyword" ? Either.right(exitVoid) : json
}

// The schemas' own context is whatever the definition was given; the effects below need it.
const anySchema = (schema: AnySchema | Workflow.AnyStructSchema) =>
  schema as Schema.Schema<unknown, unknown, unknown>

/** Made once for each schema: its parser costs more to make than to run. */
const once = <Made>(make: (schema: Schema.Schema<unknown, unknown, unknown>) => Made) => {
  const made = new WeakMap<object, Made>()
  return (schema: AnySchema | Workflow.AnyStructSchema): Made => {
    const known = made.get(schema)
    if (known !== undefined) return known
    const parser = make(anySchema(schema))
    made.set(schema, parser)
    return parser
  }
}

/** The answer of a schema that needs nothing but the value, as most do: there is nothing to execute. */
export const atHand = <A>(
  effect: Effect.Effect<A, unknown, unknown>
): Either.Right<never, A> | undefined =>
  // one that is there can neither fail nor need anything
  // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
  Either.isEither(effect) && Either.isRight(effect) ? (effect as Either.Right<never, A>) : undefined

/** What a schema needs besides, its workflow's layer has: the definition's type says so. */
// @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
export const contextFree = <A, E>(effect: Effect.Effect<A, E, unknown>) =>
  effect as Effect.Effect<A, E>

const causeSchema = once((error) => Schema.Cause({ error, defect: Defect }))
const encoder = once(Schema.encode)
const decoder = once(Schema.decodeUnknown)

/** The schemas of a step, a signal or a workflow. */
export interface Outcome {
  readonly successSchema: AnySchema
  readonly errorSchema: AnySchema
}

/** An exit with decoded values, through the schemas, as text that will be read as the same. */
export const exitToJson = (
  outcome: Outcome,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<Json, NotJson | Unreadable | ParseResult.ParseError, unknown> =>
  Effect.flatMap(
    Exit.isSuccess(exit)
      ? Effect.flatMap(encoder(outcome.successSchema)(exit.value), (value) =>
          successToJson(outcome.successSchema, value)
        )
      : Effect.flatMap(Schema.encode(causeSchema(outcome.errorSchema))(exit.cause), failureToJson),
    ifReadBack((json) => (json === exitVoid ? undefined : readBack(outcome, json)))
  )

/** An exit that is not too large; where its defects came from is the first to go. */
export const boundedExit =
  (bounded: Bounded) =>
  (json: Json): ReturnType<Bounded> => {
    const fits = bounded(json)
    if (Either.isRight(fits)) return fits
    return Either.mapLeft(bounded(EncodedCause.withoutStacks(json)), () => fits.left)
  }

/** Recorded text back into an exit with decoded values. */
export const exitFromJson = (
  outcome: Outcome,
  json: Json
): Effect.Effect<Exit.Exit<unknown, unknown>, Unreadable, unknown> => {
  try {
    const decoded = decodeExit(outcome, json)
    return (
      atHand(decoded) ?? Effect.catchAllDefect(Effect.mapError(decoded, toUnreadable), unreadable)
    )
  } catch (defect) {
    return unreadable(defect)
  }
}

const decodeExit = (
  outcome: Outcome,
  json: Json
): Effect.Effect<Exit.Exit<unknown, unknown>, ParseResult.ParseError, unknown> => {
  const parsed: { _tag?: unknown; value?: unknown; cause?: unknown } = JSON.parse(json)
  switch (parsed._tag) {
    case "Success":
      return mapAtOnce(decoder(outcome.successSchema)(parsed.value), Exit.succeed)
    case "Failure":
      return mapAtOnce(
        Schema.decodeUnknown(causeSchema(outcome.errorSchema))(parsed.cause),
        Exit.failCause
      )
    default:
      throw new Error(`expected an exit, got ${json.slice(0, 80)}`)
  }
}

/** The answer of a schema, good or bad, where there is nothing to execute. */
const answered = <A, E>(effect: Effect.Effect<A, E, unknown>): Either.Either<A, E> | undefined =>
  // one that is there needs nothing
  // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
  Either.isEither(effect) ? (effect as Either.Either<A, E>) : undefined

/** What is there stays there. */
const mapAtOnce = <A, B, E, R>(
  effect: Effect.Effect<A, E, R>,
  f: (value: A) => B
): Effect.Effect<B, E, R> => {
  const known = answered(effect)
  return known === undefined ? Effect.map(effect, f) : Either.map(known, f)
}

/**
 * What a text that is about to be recorded will be read as; `undefined` where that is not known
 * before, because the schema needs more than the text.
 */
export const readBack = (
  outcome: Outcome,
  json: Json
): Either.Either<Exit.Exit<unknown, unknown>, Unreadable> | undefined =>
  reading(() => decodeExit(outcome, json))

const reading = <A>(
  decode: () => Effect.Effect<A, ParseResult.ParseError, unknown>
): Either.Either<A, Unreadable> | undefined => {
  try {
    const decoded = answered(decode())
    return decoded === undefined ? undefined : Either.mapLeft(decoded, toUnreadable)
  } catch (defect) {
    return Either.left(new Unreadable({ message: String(defect) }))
  }
}

/** The text, unless it will not be read as what it stands for. */
const ifReadBack =
  (read: (json: Json) => Either.Either<unknown, Unreadable> | undefined) =>
  (json: Json): Either.Either<Json, Unreadable> => {
    const answer = read(json)
    return answer === undefined || Either.isRight(answer)
      ? Either.right(json)
      : Either.left(notReadBack(answer.left))
  }

export const notReadBack = ({ message }: Unreadable): Unreadable =>
  new Unreadable({ message: `its schema does not read what it has written: ${message}` })

const unreadable = (defect: unknown) => Effect.fail(new Unreadable({ message: String(defect) }))

const toUnreadable = (error: Unreadable | ParseResult.ParseError) =>
  error._tag === "Unreadable"
    ? error
    : new Unreadable({ message: ParseResult.TreeFormatter.formatErrorSync(error) })

/** A payload that is encoded, as text that will be read as one. */
export const encodedPayloadToJson = (
  { payloadSchema }: Workflow.Any,
  encoded: unknown
): Either.Either<Json, NotJson | Unreadable> =>
  Either.flatMap(
    stringify(encoded),
    ifReadBack((json) => reading(() => decoder(payloadSchema)(JSON.parse(json))))
  )

export const payloadToJson = (
  workflow: Workflow.Any,
  payload: object
): Effect.Effect<Json, NotJson | Unreadable | ParseResult.ParseError, unknown> =>
  Effect.flatMap(encoder(workflow.payloadSchema)(payload), (encoded) =>
    encodedPayloadToJson(workflow, encoded)
  )

/** The payload, or an effect that it takes to decode it. */
export const payloadFromJson = (
  { payloadSchema }: Workflow.Any,
  json: Json
): Effect.Effect<object, Unreadable, unknown> => {
  try {
    // struct schemas, as `Workflow.make` takes them
    const decoded = decoder(payloadSchema)(JSON.parse(json)) as Effect.Effect<
      object,
      ParseResult.ParseError,
      unknown
    >
    return atHand(decoded) ?? Effect.mapError(decoded, toUnreadable)
  } catch (cause) {
    return unreadable(cause)
  }
}

/** The text of a cause without typed errors, as `Workflow.Suspended` carries it. */
export const causeToJson = (cause: Cause.Cause<never>): Json =>
  JSON.stringify(Schema.encodeSync(CauseOfNever)(cause))

/** A cause that keeps a run suspended, with what is to be mended before it is resumed. */
export const blockCause = (message: string): Json => {
  const error = new Error(message)
  // it is no fault of the code here
  error.stack = ""
  return causeToJson(Cause.die(error))
}

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
