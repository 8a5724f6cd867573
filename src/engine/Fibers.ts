/**
 * Starts fibers from plain code. A run and a step have one each, and whoever waits for its end is
 * called: a fiber that only waits would cost as much as the step.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"

/** What a fiber starts with: services, fiber refs and runtime flags. */
export type Origin = Pick<Runtime.Runtime<never>, "context" | "fiberRefs" | "runtimeFlags">

/** With these annotations on every line that is logged. */
export const annotated = (
  origin: Origin,
  annotations: Readonly<Record<string, string>>
): Origin => {
  const fiberRef = FiberRef.currentLogAnnotations
  let value = FiberRefs.getOrDefault(origin.fiberRefs, fiberRef)
  for (const key in annotations) value = HashMap.set(value, key, annotations[key])
  return {
    context: origin.context,
    runtimeFlags: origin.runtimeFlags,
    fiberRefs: FiberRefs.updateAs(origin.fiberRefs, { fiberId: FiberId.none, fiberRef, value })
  }
}

export const withServices = (
  { fiberRefs, runtimeFlags }: Origin,
  context: Context.Context<never>
): Origin => ({ context, fiberRefs, runtimeFlags })

const withFlags = (
  { context, fiberRefs }: Origin,
  runtimeFlags: RuntimeFlags.RuntimeFlags
): Origin => ({ context, fiberRefs, runtimeFlags })

export const uninterruptible = (origin: Origin): Origin =>
  withFlags(origin, RuntimeFlags.disable(origin.runtimeFlags, RuntimeFlags.Interruption))

export const interruptible = (origin: Origin): Origin =>
  withFlags(origin, RuntimeFlags.enable(origin.runtimeFlags, RuntimeFlags.Interruption))

/** Executes it at once, as far as it goes. Nobody supervises the fiber but whoever started it. */
export const fork = <A, E>(origin: Origin, effect: Effect.Effect<A, E>): Fiber.RuntimeFiber<A, E> =>
  Runtime.runFork(Runtime.make(origin), effect)

/** Executes nothing of it before this returns. */
export const forkLater = <A, E>(
  origin: Origin,
  effect: Effect.Effect<A, E>
): Fiber.RuntimeFiber<A, E> => Runtime.runFork(Runtime.make(origin), effect, { immediate: false })
