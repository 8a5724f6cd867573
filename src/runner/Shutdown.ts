/**
 * How somebody who may do so stops this executor from outside: `POST /drain`.
 *
 * An executor is a layer, and only the app around it can end it. The command `start` and the promise
 * façade provide this themselves. Any other app decides: without it the request is refused.
 *
 * Provided to the layer of the executor, rather than as an option of its HTTP API, it is also what the
 * executor itself asks for once its database is gone. Without it the Runner then drains by itself.
 *
 * @example
 * // a process of its own, which stops as at a SIGTERM
 * Executor.layerConfig({
 *   workflows: OrdersLive,
 *   http: { shutdown: Effect.sync(() => process.emit("SIGTERM", "SIGTERM")) }
 * }).pipe(Layer.launch, RunMain.runMain)
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

/**
 * Asks the app to stop this executor, which drains it, and does not wait for that. Asked for again
 * and again, it must do nothing more. Default: none.
 */
export class Shutdown extends Context.Reference<Shutdown>()("effect-workflow-executor/Shutdown", {
  defaultValue: () => Option.none<Effect.Effect<unknown>>()
}) {}

/** Provide it to the layer of the executor; merged beside that, nobody asks for it. */
export const layer = (request: Effect.Effect<unknown>): Layer.Layer<Shutdown> =>
  Layer.succeed(Shutdown, Option.some(request))
