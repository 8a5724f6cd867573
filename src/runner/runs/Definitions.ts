/**
 * What is asked for by the name of a workflow or a deferred, held against its definition: its schemas,
 * where this process has it registered.
 */
import type { DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { Dispatcher } from "../../engine/held/Dispatcher.js"
import { unknownWorkflow } from "../Refusals.js"

/**
 * A schema of a definition, for use outside of a run, where the services that its definition may
 * ask for are not at hand: with such a schema decoding dies, and the defect names the service.
 */
export const outside = (schema: Workflow.AnyStructSchema | Schema.Schema.Any) =>
  schema as Schema.Schema<unknown, unknown>

const jsonSchemas = new WeakMap<object, unknown>()

export const jsonSchemaOf = (schema: Workflow.AnyStructSchema | Schema.Schema.Any): unknown => {
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
export const explain = (error: ParseResult.ParseError): string => {
  const message = ParseResult.TreeFormatter.formatErrorSync(error)
  return message.length > 2_000 ? `${message.slice(0, 2_000)}…` : message
}

/** Through the schema and back: what is stored is what the schema itself would have written. */
const canonical = (
  schema: Schema.Schema<unknown, unknown>,
  value: unknown
): Effect.Effect<unknown, ParseResult.ParseError> =>
  Effect.flatMap(Schema.decodeUnknown(schema)(value), Schema.encode(schema))

export const canonicalSignal = (deferred: DurableDeferred.Any, value: unknown) => {
  const schema = outside(deferred.successSchema)
  const decoded = canonical(schema, value)
  // JSON has no undefined: null is the nearest that a client can send to a void deferred
  return value === null
    ? Effect.catchAll(decoded, (error) =>
        Effect.mapError(canonical(schema, undefined), () => error)
      )
    : decoded
}

/** The workflow of that name; a name that is not registered here is told with those that are. */
export const findWorkflow = Effect.fnUntraced(function* (
  { workflows }: Pick<Dispatcher["Type"], "workflows">,
  name: string
) {
  const registered = yield* workflows
  const workflow = registered.find((workflow) => workflow.name === name)
  if (workflow !== undefined) return workflow
  return yield* unknownWorkflow(name, registered.map((workflow) => workflow.name).sort())
})
