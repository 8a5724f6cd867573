/**
 * How a pass ends: the pure decisions about a run, and the instance that a pass gives to its
 * workflow.
 */
import * as Workflow from "@effect/workflow/Workflow"
import type * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { Json } from "../RunStore.js"
import type { ActiveRun, Halt } from "./ActiveRun.js"
import * as Codec from "./Codec.js"
import { LazyLatch } from "./LazyLatch.js"
import { LazyScope, toScope } from "./LazyScope.js"

type Instance = WorkflowEngine.WorkflowInstance["Type"]

/** What becomes of a run after a pass. */
export type Verdict =
  | { readonly _tag: "Complete"; readonly exit: Exit.Exit<unknown, unknown> }
  /** Waits for a wake-up; with a `cause`, for somebody to resume it. */
  | { readonly _tag: "Suspend"; readonly cause: Json | undefined }
  /** Another pass at once, which ends in the interrupt that was asked for. */
  | { readonly _tag: "Interrupt" }
  /** Back to `pending`, for another executor. */
  | { readonly _tag: "Release" }
  /** Held by another executor: nothing to write. */
  | { readonly _tag: "Drop" }

/** What became of a run, from how its pass was cut, if it was, and how its fiber ended. */
export const decide = (pass: {
  readonly exit: Exit.Exit<Workflow.Result<unknown, unknown>>
  /** The workflow has asked to be suspended, or was made to. */
  readonly suspended: boolean
  readonly halt: Halt | undefined
  readonly refused: boolean
  /** The workflow has come to an end, but its compensations have not yet. */
  readonly compensating: boolean
}): Verdict => {
  const { exit, halt } = pass
  if (halt?._tag === "lost") return { _tag: "Drop" }
  if (!pass.compensating) {
    // a real end that came before or with the cut is an end all the same
    if (Exit.isSuccess(exit) && exit.value._tag === "Complete") {
      return { _tag: "Complete", exit: exit.value.exit }
    }
    if (Exit.isFailure(exit) && !(pass.suspended && Cause.isInterruptedOnly(exit.cause))) {
      // defects of a workflow that does not capture them, and self-interruption
      return { _tag: "Complete", exit }
    }
  }
  switch (halt?._tag) {
    case "block":
      return { _tag: "Suspend", cause: halt.cause }
    case "park":
      return { _tag: "Release" }
    case "interrupt":
      return { _tag: "Interrupt" }
    case undefined: {
      if (pass.refused) return { _tag: "Release" }
      const cause =
        Exit.isSuccess(exit) && exit.value._tag === "Suspended" ? exit.value.cause : undefined
      return { _tag: "Suspend", cause: cause === undefined ? undefined : Codec.causeToJson(cause) }
    }
  }
}

/** Marks an instance as one of this engine's, and survives its being copied (`DurableDeferred.into`). */
const LinkTypeId: unique symbol = Symbol.for("effect-workflow-executor/Link")

/** From an instance back to its run. */
export interface Link {
  readonly run: ActiveRun
  /** The instance of a step, which may execute steps of its own. */
  readonly nested: boolean
  /** How many waits of this instance wait in place. */
  waiting: number
}

interface LinkedInstance {
  readonly [LinkTypeId]?: Link
}

export const linkOf = (instance: Instance): Link | undefined =>
  (instance as LinkedInstance)[LinkTypeId]

/** As `WorkflowInstance.initial`, but for its scope and its latch: hardly any instance needs them. */
const linked = (
  link: Link,
  workflow: Workflow.Any,
  scope: LazyScope
): Instance & LinkedInstance => ({
  executionId: link.run.runId,
  workflow,
  scope: toScope(scope),
  suspended: false,
  interrupted: false,
  cause: undefined,
  activityState: { count: 0, latch: new LazyLatch() },
  [LinkTypeId]: link
})

/** The instance that a step of the run gets. */
export const stepInstance = (run: ActiveRun, scope: LazyScope): Instance =>
  linked({ run, nested: true, waiting: 0 }, run.registration.workflow, scope)

const withAnnotation = <I, S>(workflow: Workflow.Any, tag: Context.Tag<I, S>, value: S) => ({
  ...workflow,
  annotations: Context.add(workflow.annotations, tag, value) as Context.Context<never>
})

/** The instance that a pass of the run gets. */
export const runInstance = (run: ActiveRun): Instance => {
  const { workflow } = run.registration
  return linked(
    { run, nested: false, waiting: 0 },
    // an interrupt that is asked for is no failure to suspend on
    run.interrupting ? withAnnotation(workflow, Workflow.SuspendOnFailure, false) : workflow,
    new CompensationScope(run)
  )
}

/**
 * The workflow's scope, whose finalizers are its compensations. A compensation may execute steps,
 * wait for timers and signals, and be parked by a drain like any other part of a workflow. Then
 * those that come after it, in reverse order, must not run before it has finished: they are left
 * for the pass that resumes it.
 */
class CompensationScope extends LazyScope {
  constructor(private readonly run: ActiveRun) {
    super()
  }

  override addFinalizer(finalizer: Scope.Scope.Finalizer): Effect.Effect<void> {
    const { run } = this
    return super.addFinalizer((exit) =>
      Effect.suspend(() => {
        if (run.closing && run.instance?.suspended === true) return Effect.void
        if (Exit.isFailure(exit)) run.compensated = true
        return finalizer(exit)
      })
    )
  }

  override close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { run } = this
      run.closing = true
      if (run.instance !== undefined) run.instance.suspended = false
      const closing = super.close(exit)
      if (!this.isMade) return closing
      return Effect.gen(function* () {
        // in a fiber of its own, which can be cut like that of the workflow
        const fiber = yield* Effect.forkDaemon(closing)
        run.fiber = fiber
        const closed = yield* Fiber.await(fiber)
        if (run.instance?.suspended !== true) yield* closed
      })
    })
  }
}

/** What fails because a pass was cut from outside, a finalizer for instance, is no failure of the run. */
export const unlessCut = (
  exit: Exit.Exit<unknown, unknown>,
  { halt, instance }: ActiveRun
): Exit.Exit<unknown, unknown> =>
  (halt !== undefined || instance?.interrupted === true) &&
  Exit.isFailure(exit) &&
  Cause.isInterrupted(exit.cause)
    ? Exit.interrupt(FiberId.none)
    : exit

/**
 * What a workflow's function came to, from how its fiber ended: as `Workflow.intoResult` of
 * `@effect/workflow` has it.
 */
export const resultOf = (
  exit: Exit.Exit<unknown, unknown>,
  instance: Instance
): Exit.Exit<Workflow.Result<unknown, unknown>> => {
  if (Exit.isSuccess(exit)) return Exit.succeed(new Workflow.Complete({ exit }))
  const { annotations } = instance.workflow
  const cause = Context.get(annotations, Workflow.SuspendOnFailure)
    ? suspendedBy(exit.cause, instance)
    : exit.cause
  const interrupted = Cause.isInterruptedOnly(cause)
  if (interrupted && instance.suspended) {
    return Exit.succeed(new Workflow.Suspended({ cause: instance.cause }))
  }
  const failure = Exit.failCause(interrupted ? cause : withoutInterrupts(cause))
  const escapes = interrupted
    ? !instance.interrupted
    : !Context.get(annotations, Workflow.CaptureDefects) && Cause.isDie(cause)
  return escapes
    ? // interruptions and defects are of no type
      // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
      (failure as Exit.Exit<never>)
    : Exit.succeed(new Workflow.Complete({ exit: failure }))
}

/** How the run ended; `undefined` where it is to go on. */
export const endOf = (
  result: Exit.Exit<Workflow.Result<unknown, unknown>>
): Exit.Exit<unknown, unknown> | undefined => {
  if (Exit.isFailure(result)) return result
  return result.value._tag === "Complete" ? result.value.exit : undefined
}

/** Notes why the workflow suspends, instead of failing. */
export const suspendedBy = (
  cause: Cause.Cause<unknown>,
  instance: Instance
): Cause.Cause<never> => {
  instance.suspended = true
  if (!Cause.isInterruptedOnly(cause)) instance.cause = Cause.die(Cause.squash(cause))
  return Cause.interrupt(FiberId.none)
}

const withoutInterrupts = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
  Cause.isInterrupted(cause) ? Cause.filter(cause, (cause) => !Cause.isInterruptType(cause)) : cause
