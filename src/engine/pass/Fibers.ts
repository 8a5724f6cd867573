/**
 * Starts fibers from plain code. A run and a step have one each, and whoever waits for its end is
 * called: a fiber that only waits would cost as much as the step.
 *
 * One that waits takes 4.1 kB. By `Runtime.runFork` and `Effect.provideService`, with the same services
 * and annotations, it took 11.5 kB and three times as long to start (20,000 of each, on 2026-11-28 on a
 * machine of 2 cores that was busy).
 */
import { WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
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

const none = FiberRefs.empty()

/**
 * What a fiber starts with: services, fiber refs and runtime flags; and where they are not those of
 * its fiber refs, what its lines in the log are annotated with, and who sees its fibers.
 */
export interface Origin
  extends Pick<Runtime.Runtime<never>, "context" | "fiberRefs" | "runtimeFlags"> {
  readonly annotations?: Annotations | undefined
  readonly supervisor?: Supervisor.Supervisor<unknown> | undefined
}

/** What every line that it logs is annotated with. */
export type Annotations = HashMap.HashMap<string, unknown>

export const annotationsOf = ({ annotations, fiberRefs }: Origin): Annotations =>
  annotations ?? FiberRefs.getOrDefault(fiberRefs, FiberRef.currentLogAnnotations)

/** Who sees its fibers. */
export const supervisorOf = ({ fiberRefs, supervisor }: Origin): Supervisor.Supervisor<unknown> =>
  supervisor ?? FiberRefs.getOrDefault(fiberRefs, FiberRef.currentSupervisor)

/** Both see them. */
export const bothSupervise = (
  supervisor: Supervisor.Supervisor<unknown>,
  other: Supervisor.Supervisor<unknown>
): Supervisor.Supervisor<unknown> =>
  other === Supervisor.none ? supervisor : supervisor.zip(other)

/** The same, but for what it logs, and who sees its fibers. */
export const annotated = (
  { context, fiberRefs, runtimeFlags, supervisor }: Origin,
  annotations: Annotations,
  other: Supervisor.Supervisor<unknown> | undefined = supervisor
): Origin => ({ context, fiberRefs, runtimeFlags, annotations, supervisor: other })

/**
 * The same, with no more refs than differ from what a fiber has without them, and no values that they
 * had before: every service that a fiber provides, and every span, is a copy of all that it has.
 */
export const compact = (runtime: Runtime.Runtime<never>): Origin => {
  const { context, fiberRefs, runtimeFlags } = runtime
  const locals: FiberRefs.FiberRefs["locals"] = new Map()
  for (const [ref, [last]] of FiberRefs.forkAs(fiberRefs, FiberId.none).locals) {
    if (isOfEachFiber(ref) || Equal.equals(last[1], FiberRefs.getOrDefault(none, ref))) continue
    locals.set(ref, [last])
  }
  return { context, fiberRefs: FiberRefs.unsafeMake(locals), runtimeFlags }
}

/** What a fiber starts with is written afresh; its flags are, whenever its refs are asked for. */
const isOfEachFiber = (ref: FiberRef.FiberRef<unknown>): boolean =>
  ref === FiberRef.currentContext || ref === FiberRef.currentRuntimeFlags

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
  { annotations, fiberRefs, runtimeFlags, supervisor }: Origin,
  context: Context.Context<never>
): Origin => ({ context, fiberRefs, runtimeFlags, annotations, supervisor })

const withFlags = (
  { annotations, context, fiberRefs, supervisor }: Origin,
  runtimeFlags: RuntimeFlags.RuntimeFlags
): Origin => ({ context, fiberRefs, runtimeFlags, annotations, supervisor })

export const uninterruptible = (origin: Origin): Origin =>
  withFlags(origin, RuntimeFlags.disable(origin.runtimeFlags, RuntimeFlags.Interruption))

/** Its supervisor is told of each effect that a fiber executes. */
export const watched = (origin: Origin): Origin =>
  withFlags(origin, RuntimeFlags.enable(origin.runtimeFlags, RuntimeFlags.OpSupervision))

export const interruptible = (origin: Origin): Origin =>
  withFlags(origin, RuntimeFlags.enable(origin.runtimeFlags, RuntimeFlags.Interruption))

/**
 * The refs of a fiber that starts, in one copy. They are written afresh: a ref keeps the values that
 * it had in the fibers before, with all they hold.
 */
const refsOf = (
  { annotations, context, fiberRefs, supervisor }: Origin,
  fiberId: FiberId.Runtime
): FiberRefs.FiberRefs => {
  const refs = FiberRefs.forkAs(fiberRefs, fiberId)
  const { locals } = refs
  locals.set(FiberRef.currentContext, [[fiberId, context]])
  if (annotations !== undefined)
    locals.set(FiberRef.currentLogAnnotations, [[fiberId, annotations]])
  if (supervisor !== undefined) locals.set(FiberRef.currentSupervisor, [[fiberId, supervisor]])
  return refs
}

const run = <A, E>(
  origin: Origin,
  effect: Effect.Effect<A, E>,
  immediate: boolean
): Fiber.RuntimeFiber<A, E> =>
  Runtime.runFork(
    // the runtime copies what it is given: nothing
    Runtime.make({ context: origin.context, fiberRefs: none, runtimeFlags: origin.runtimeFlags }),
    effect,
    { immediate, updateRefs: (_, fiberId) => refsOf(origin, fiberId) }
  )

/** Executes it at once, as far as it goes. Nobody supervises the fiber but whoever started it. */
export const fork = <A, E>(origin: Origin, effect: Effect.Effect<A, E>): Fiber.RuntimeFiber<A, E> =>
  run(origin, effect, true)

/** Executes nothing of it before this returns. */
export const forkLater = <A, E>(
  origin: Origin,
  effect: Effect.Effect<A, E>
): Fiber.RuntimeFiber<A, E> => run(origin, effect, false)
