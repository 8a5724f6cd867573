/**
 * The deferreds that a workflow waits for, declared beforehand.
 *
 * With them a signal is checked against its schema, also in a process that has not executed the
 * workflow yet.
 *
 * @example
 * ```ts
 * const Approval = DurableDeferred.make("Approval", { success: Schema.Boolean })
 *
 * const Order = Workflow.make({
 *   name: "Order",
 *   payload: { id: Schema.String },
 *   idempotencyKey: ({ id }) => id
 * }).annotate(Signals, [Approval])
 * ```
 */
import type { DurableDeferred } from "@effect/workflow"
import * as Context from "effect/Context"

/** An annotation of a workflow. Default: none. */
export class Signals extends Context.Reference<Signals>()("effect-workflow-executor/Signals", {
  defaultValue: (): ReadonlyArray<DurableDeferred.Any> => []
}) {}
