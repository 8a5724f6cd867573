/**
 * Starts fibers from plain code. A run and a step have one each, and whoever waits for its end is
 * called: a fiber that only waits would cost as much as the step.
 */
import { WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import type * as HashMap from "effect/HashMap"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Scope from "effect/Scope"
import * as Supervisor from "effect/Supervisor"
import { type LazyScope, toScope } from "./LazyScope.js"

/** What a fiber starts with: services, fiber refs and runtime flags. */
export type Origin = Pick<Runtime.Runtime<never>, "context" | "fiberRefs" | "runtimeFlags">

/** What every line that it logs is annotated with. */
export type Annotations = HashMap.HashMap<string, unknown>

export const annotationsOf = ({ fiberRefs }: Pick<Origin, "fiberRefs">): Annotations =>
  FiberRefs.getOrDefault(fiberRefs, FiberRef.currentLogAnnotations)

/** Who sees its fibers. */
export const supervisorOf = ({
  fiberRefs
}: Pick<Origin, "fiberRefs">): Supervisor.Supervisor<unknown> =>
  FiberRefs.getOrDefault(fiberRefs, FiberRef.currentSupervisor)

/** Both see them. */
export const bothSupervise = (
  supervisor: Supervisor.Supervisor<unknown>,
  other: Supervisor.Supervisor<unknown>
): Supervisor.Supervisor<unknown> =>
  other === Supervisor.none ? supervisor : supervisor.zip(other)

/** The same, but for what it logs, and who sees its fibers. */
export const annotated = (
  origin: Origin,
  annotations: Annotations,
  supervisor: Supervisor.Supervisor<unknown> | undefined = undefined
): Origin => {
  const { context, fiberRefs, runtimeFlags } = origin
  const locals = new Map(fiberRefs.locals)
  // written afresh: a ref keeps the values that it had in the fibers before, with all they hold
  locals.set(FiberRef.currentLogAnnotations, [[FiberId.none, annotations]])
  if (supervisor !== undefined) locals.set(FiberRef.currentSupervisor, [[FiberId.none, supervisor]])
  // what a fiber starts with is in `context`
  locals.delete(FiberRef.currentContext)
  return { context, runtimeFlags, fiberRefs: FiberRefs.unsafeMake(locals) }
}

/**
 * `services` with the instance and the scope of a pass or a step. In one copy: the services of an
 * app may be many, and whatever is in flight has them all.
 */
export const servicesOf = (
  services: Context.Context<never>,
  instance: WorkflowInstance["Type"],
  scope: LazyScope
): Context.Context<never> =>
  Context.unsafeMake(
    new Map(services.unsafeMap)
      .set(WorkflowInstance.key, instance)
      .set(Scope.Scope.key, toScope(scope))
  )

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

/** Its supervisor is told of each effect that a fiber executes. */
export const watched = (origin: Origin): Origin =>
  withFlags(origin, RuntimeFlags.enable(origin.runtimeFlags, RuntimeFlags.OpSupervision))

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
