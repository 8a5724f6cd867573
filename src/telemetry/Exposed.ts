/**
 * Which of the process's metrics `GET /metrics` shows.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { prefix } from "./Metrics.js"

/**
 * Whether a metric of this name is shown. Default: the executor's own, whose names begin with
 * `workflow_executor_`.
 *
 * Provide it to the layer that serves the API.
 *
 * @example
 * Executor.layer({ workflows: OrdersLive }).pipe(Layer.provide(Exposed.layerAll))
 */
export class Exposed extends Context.Reference<Exposed>()("effect-workflow-executor/Exposed", {
  defaultValue: () => (name: string) => name.startsWith(prefix)
}) {}

/** All of Effect's metrics in this process, the app's too. Their labels are the app's to bound. */
export const layerAll: Layer.Layer<Exposed> = Layer.succeed(Exposed, () => true)

/** The executor's own, and those that it names. */
export const layerAlso = (names: (name: string) => boolean): Layer.Layer<Exposed> =>
  Layer.succeed(Exposed, (name) => name.startsWith(prefix) || names(name))
