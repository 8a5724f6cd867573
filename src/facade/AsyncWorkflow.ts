/**
 * Workflows that are async functions: for apps, and people, without Effect.
 *
 * What `defineWorkflow` gives is a workflow of `@effect/workflow` and the layer that registers it, so
 * all that there is for workflows is there for these: the HTTP API, the command, the client, and
 * workflows written with Effect beside them.
 */
import * as Workflow from "@effect/workflow/Workflow"
import type { WorkflowEngine } from "@effect/workflow/WorkflowEngine"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import { AnyJson } from "../values/AnyJson.js"
import { canonical } from "../values/Canonical.js"
import { JsonPayload } from "../values/Typed.js"
import { Conversation } from "./Conversation.js"
import { RecordedError, RecordedErrorSchema, recorded } from "./RecordedError.js"
import { check, type Invalid, type StandardSchema, validated } from "./StandardSchema.js"
import * as WorkflowContext from "./WorkflowContext.js"

export { RecordedError } from "./RecordedError.js"
export type { StandardSchema } from "./StandardSchema.js"
export type {
  Backoff,
  SignalOptions,
  StepContext,
  StepOptions,
  WorkflowContext
} from "./WorkflowContext.js"

/** A workflow that is an async function. */
export interface Any extends Workflow.Any {
  /** Registers it: for executors that are composed of Layers. */
  readonly layer: Layer.Layer<never, never, WorkflowEngine>
  readonly [WorkflowContext.OwnKey]: boolean
}

/** A workflow that is an async function: what it is given, and what it comes to. */
export interface AsyncWorkflow<Name extends string, Payload, Result> extends Any {
  readonly name: Name
  readonly payloadSchema: JsonPayload<Payload>
  // one that always throws has a value all the same, as far as schemas go
  readonly successSchema: Schema.Schema<[Result] extends [never] ? unknown : Result, unknown>
  readonly errorSchema: typeof RecordedErrorSchema
}

export interface Options<Input, Output, Returned, Result> {
  /**
   * Checks the payload, before a run is stored, and again on every replay: it must say the same
   * then. The function gets what it makes of the payload. Default: any JSON.
   */
  readonly payload?: StandardSchema<Input, Output> | undefined
  /**
   * Checks what the function returns. Where it does not pass the run fails, with an error of the
   * name `InvalidResult`. Default: any JSON.
   */
  readonly result?: StandardSchema<Returned, Result> | undefined
  /**
   * Two starts with the same key are one run: the second has the first one's result. Default: the
   * payload, so that the same payload is the same run. `crypto.randomUUID` makes each start a run of
   * its own, also one that a client repeats because it was not answered.
   */
  readonly idempotencyKey?: ((payload: Input) => string) | undefined
}

/** The function of a workflow. */
type Body<Payload, Result> = (
  context: WorkflowContext.WorkflowContext,
  payload: Payload
) => Promise<Result>

/**
 * Defines a workflow as an async function. The function is executed anew from its beginning whenever
 * its run goes on, and its steps answer with what they have recorded then: between them it must do
 * the same each time, so a clock, a random number and whatever has an effect belong into a step.
 *
 * What it throws is what its run fails with, as a `RecordedError`. A stop, a crash and an interrupt
 * throw nothing into it: it is not gone on with.
 *
 * @example
 * const order = defineWorkflow("order", {}, async (ctx, { orderId }: { orderId: string }) => {
 *   const receipt = await ctx.step("charge", ({ idempotencyKey }) => bank.charge(orderId, idempotencyKey), {
 *     retries: 5,
 *     backoff: "1 second"
 *   })
 *   await ctx.signal("approval")
 *   await ctx.sleep("1 day")
 *   return receipt
 * })
 */
export function defineWorkflow<
  const Name extends string,
  Input,
  Output,
  Returned,
  Result = Returned
>(
  name: Name,
  options: Options<Input, Output, Returned, Result> & {
    readonly payload: StandardSchema<Input, Output>
  },
  body: Body<Output, Returned>
): AsyncWorkflow<Name, Input, Result>
export function defineWorkflow<const Name extends string, Payload, Returned, Result = Returned>(
  name: Name,
  options: Options<Payload, Payload, Returned, Result> & { readonly payload?: undefined },
  body: Body<Payload, Returned>
): AsyncWorkflow<Name, Payload, Result>
export function defineWorkflow(
  name: string,
  options: Options<unknown, unknown, unknown, unknown>,
  body: Body<unknown, unknown>
): AsyncWorkflow<string, unknown, unknown> {
  const workflow = Workflow.make({
    name,
    payload: payloadOf(options.payload),
    success: AnyJson,
    error: RecordedErrorSchema,
    idempotencyKey: options.idempotencyKey ?? canonical
  })
  const layer = workflow.toLayer((payload, runId) =>
    Effect.gen(function* () {
      const input = yield* validated(options.payload, payload).pipe(named("InvalidPayload"))
      const conversation = new Conversation<unknown>()
      const context = WorkflowContext.make(conversation, runId)
      const returned = yield* conversation.run(async () => body(context, input))
      return yield* validated(options.result, returned).pipe(named("InvalidResult"))
    }).pipe(Effect.mapError(recorded))
  )
  return Object.assign(workflow, {
    layer,
    [WorkflowContext.OwnKey]: options.idempotencyKey !== undefined
  })
}

/** Whether it is one that `defineWorkflow` has made. */
export const isAsyncWorkflow = (u: unknown): u is Any =>
  Predicate.hasProperty(u, WorkflowContext.OwnKey)

const named = (name: string) =>
  Effect.mapError(({ message }: Invalid) => new RecordedError(name, message))

/** A payload is stored as it was given: a validator makes more of it, and not the way back. */
const payloadOf = (schema: StandardSchema | undefined) =>
  JsonPayload<unknown>((input, ast) =>
    schema === undefined
      ? ParseResult.succeed(input)
      : Effect.mapBoth(check(schema, input), {
          onFailure: ({ message }) => new ParseResult.Type(ast, input, message),
          onSuccess: () => input
        })
  )
