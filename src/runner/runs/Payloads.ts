/** Payloads as they are stored, of runs that are started by the name of their workflow. */
import type { Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { InvalidPayload } from "../../api/Runs.js"
import type { Dispatcher } from "../../engine/held/Dispatcher.js"
import * as RunQueue from "../../engine/RunQueue.js"
import type { Json, QueueOf } from "../../store/RunStore.js"
import { encodedPayloadToJson } from "../../values/Codec.js"
import { explain, outside } from "./Definitions.js"

/** A field that the schema does not have is a misspelt one: the schema that is published says so. */
const strict = { onExcessProperty: "error" } as const

type Bounded = Pick<Dispatcher["Type"], "bounded">

/** Decodes it, and encodes it as the schema itself would have. */
export const make =
  (dispatcher: Bounded) =>
  (
    workflow: Workflow.Any,
    given: unknown
  ): Effect.Effect<
    {
      readonly decoded: unknown
      readonly payload: Json
      /** Its run's. */
      readonly queue: QueueOf | undefined
    },
    InvalidPayload
  > =>
    Effect.gen(function* () {
      const decoded = yield* Schema.decodeUnknown(outside(workflow.payloadSchema))(
        given ?? {},
        strict
      ).pipe(Effect.mapError((error) => invalid(workflow, explain(error))))
      return {
        decoded,
        payload: yield* encoded(dispatcher, workflow, decoded),
        queue: yield* queueOf(workflow, decoded)
      }
    })

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

/** The queue of a run with this payload, if its workflow has one. */
export const queueOf = (
  workflow: Workflow.Any,
  decoded: unknown
): Effect.Effect<QueueOf | undefined, InvalidPayload> =>
  Effect.try({
    try: () => RunQueue.ofStart(workflow, decoded),
    catch: (cause) => invalid(workflow, `The key of its queue: ${messageOf(cause)}`)
  })

/** Encodes one that the workflow's own code would be given. */
export const encoded = (
  dispatcher: Bounded,
  workflow: Workflow.Any,
  decoded: unknown
): Effect.Effect<Json, InvalidPayload> =>
  Schema.encode(outside(workflow.payloadSchema))(decoded).pipe(
    Effect.mapError((error) => invalid(workflow, explain(error))),
    Effect.flatMap((value) =>
      Effect.mapError(
        Either.flatMap(encodedPayloadToJson(workflow, value), dispatcher.bounded),
        (error) => invalid(workflow, `The payload cannot be stored as JSON: ${error.message}`)
      )
    )
  )

const invalid = ({ name }: Workflow.Any, message: string) =>
  new InvalidPayload({ workflow: name, message })
