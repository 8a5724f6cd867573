/** Runs as they are stored: from what a workflow is executed with. */
import type * as Workflow from "@effect/workflow/Workflow"
import * as Effect from "effect/Effect"
import type { AnySpan } from "effect/Tracer"
import type { Json, NewRun, Trace } from "../../store/RunStore.js"
import * as Codec from "../../values/Codec.js"
import * as RunQueue from "../RunQueue.js"
import { type Calls, orDieAs, requireWellFormed } from "./Call.js"

/** What a workflow is executed with. */
export interface Execution {
  readonly executionId: string
  readonly payload: object
  /** Nobody waits for it. */
  readonly discard?: boolean | undefined
}

/** Only a span of this process has been told to whoever looks at them. */
const traceOf = (span: AnySpan | undefined): Trace | undefined =>
  span?._tag === "Span"
    ? { traceId: span.traceId, spanId: span.spanId, sampled: span.sampled }
    : undefined

/** Encodes what it is executed with; dies of what cannot be stored. */
export const make = ({ dispatcher }: Pick<Calls, "dispatcher">) => {
  /** @param queueOf of a child, or of a run that is started */
  const newRun = (
    workflow: Workflow.Any,
    { executionId, payload }: Execution,
    queueOf = RunQueue.of
  ) =>
    Effect.zipRight(
      requireWellFormed("run id", executionId),
      encodedRun(workflow, { executionId, payload }, queueOf)
    )

  const encodedRun = (
    workflow: Workflow.Any,
    { executionId, payload }: Execution,
    queueOf: typeof RunQueue.of
  ) =>
    Effect.withFiberRuntime<NewRun, never, unknown>((fiber) => {
      const json = Codec.payloadToJson(workflow, payload)
      const queue = queueOf(workflow, payload)
      const run = (payload: Json): NewRun => ({
        runId: executionId,
        workflow: workflow.name,
        payload,
        ...(queue === undefined ? {} : { queue }),
        trace: traceOf(fiber.currentSpan)
      })
      return Effect.flatMap(json, dispatcher.bounded).pipe(
        orDieAs(`the payload of workflow "${workflow.name}" cannot be stored as JSON`),
        Effect.map(run)
      )
    })

  return newRun
}

export type ToNewRun = ReturnType<typeof make>
