/**
 * How a pass ends: the pure decisions about a run, and the instance that a pass gives to its
 * workflow.
 */
import { Workflow, WorkflowEngine } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ExecutionStrategy } from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Json } from "../RunStore.js"
import type { ActiveRun, Halt } from "./ActiveRun.js"
import * as Codec from "./Codec.js"

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

export const linkOf = (instance: WorkflowEngine.WorkflowInstance["Type"]): Link | undefined =>
  (instance as LinkedInstance)[LinkTypeId]

const link = <I extends WorkflowEngine.WorkflowInstance["Type"]>(instance: I, to: Link): I =>
  Object.assign(instance, { [LinkTypeId]: to })

/** The instance that a step of the run gets. */
export const stepInstance = (run: ActiveRun): WorkflowEngine.WorkflowInstance["Type"] =>
  link(WorkflowEngine.WorkflowInstance.initial(run.registration.workflow, run.runId), {
    run,
    nested: true,
    waiting: 0
  })

const withAnnotation = <I, S>(workflow: Workflow.Any, tag: Context.Tag<I, S>, value: S) => ({
  ...workflow,
  annotations: Context.add(workflow.annotations, tag, value) as Context.Context<never>
})

/** The instance that a pass of the run gets. */
export const runInstance = (run: ActiveRun): WorkflowEngine.WorkflowInstance["Type"] => {
  const { workflow } = run.registration
  const instance = WorkflowEngine.WorkflowInstance.initial(
    // an interrupt that is asked for is no failure to suspend on
    run.interrupting ? withAnnotation(workflow, Workflow.SuspendOnFailure, false) : workflow,
    run.runId
  )
  return link(
    { ...instance, scope: compensationScope(instance.scope, run) },
    { run, nested: false, waiting: 0 }
  )
}

/** What `Scope.addFinalizerExit`, `Scope.fork` and `Scope.close` call; not in the scope's type. */
interface ScopeMethods {
  readonly addFinalizer: (finalizer: Scope.Scope.Finalizer) => Effect.Effect<void>
  readonly fork: (strategy: ExecutionStrategy) => Effect.Effect<Scope.CloseableScope>
  readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

/**
 * The workflow's scope, whose finalizers are its compensations. A compensation may execute steps,
 * wait for timers and signals, and be parked by a drain like any other part of a workflow. Then
 * those that come after it, in reverse order, must not run before it has finished: they are left
 * for the pass that resumes it.
 */
const compensationScope = (scope: Scope.CloseableScope, run: ActiveRun): Scope.CloseableScope =>
  Object.assign(Object.create(scope) as Scope.CloseableScope, {
    addFinalizer: (finalizer) =>
      Scope.addFinalizerExit(scope, (exit) =>
        Effect.suspend(() =>
          run.closing && run.instance?.suspended === true ? Effect.void : finalizer(exit)
        )
      ),
    fork: (strategy) => Scope.fork(scope, strategy),
    close: (exit) =>
      Effect.gen(function* () {
        run.closing = true
        if (run.instance !== undefined) run.instance.suspended = false
        // in a fiber of its own: one that was interrupted cannot wait any more
        const fiber = yield* Effect.forkDaemon(Scope.close(scope, exit))
        run.fiber = fiber
        const closed = yield* Fiber.await(fiber)
        if (run.instance?.suspended !== true) yield* closed
      })
  } satisfies ScopeMethods)
