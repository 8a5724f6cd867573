/** The queue that the runs of a schedule are in: that of its workflow, by the schedule's payload. */
import type { Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as RunQueue from "../../engine/RunQueue.js"
import type { QueueOf, StoredSchedule } from "../../store/RunStore.js"
import * as Codec from "../../values/Codec.js"

/**
 * None where the workflow is not registered here, as on a database without an executor; nor where its
 * schema does not read the payload any more: that its run will tell.
 */
export const queueOf = (
  workflows: ReadonlyArray<Workflow.Any>,
  { payload, workflow }: Pick<StoredSchedule, "payload" | "workflow">
): Effect.Effect<QueueOf | undefined> => {
  const found = workflows.find(({ name }) => name === workflow)
  if (found === undefined) return Effect.succeed(undefined)
  return Codec.contextFree(Codec.payloadFromJson(found, payload)).pipe(
    Effect.flatMap((decoded) => Effect.try(() => RunQueue.ofStart(found, decoded))),
    Effect.catchAllCause(() => Effect.succeed(undefined))
  )
}
