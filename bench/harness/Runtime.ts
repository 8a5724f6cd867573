/** Effects in a child process, over the layer that it measures. */
import { type Effect, Layer, Logger, LogLevel, ManagedRuntime } from "effect"

export interface Runtime<R> {
  readonly run: <A, E>(effect: Effect.Effect<A, E, R>) => Promise<A>
  readonly dispose: () => Promise<void>
}

/**
 * Warnings are printed: a measurement in which there are some measures something else.
 *
 * @param level `None` where warnings are what is asked for, such as of steps that a stop cuts
 */
export const make = async <R, E>(
  layer: Layer.Layer<R, E>,
  level: "Warning" | "None" = "Warning"
): Promise<Runtime<R>> => {
  const runtime = ManagedRuntime.make(
    Layer.provideMerge(layer, Logger.minimumLogLevel(LogLevel.fromLiteral(level)))
  )
  await runtime.runtime()
  return {
    run: (effect) => runtime.runPromise(effect),
    dispose: () => runtime.dispose()
  }
}
