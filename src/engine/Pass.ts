/**
 * How a pass ends: the pure decisions about a run, and the instance that a pass gives to its
 * workflow.
 */
import * as Workflow from "@effect/workflow/Workflow"
import type * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ExecutionStrategy } from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as Scope from "effect/Scope"
import type { Json } from "../RunStore.js"
import type { ActiveRun, Halt } from "./ActiveRun.js"
import * as Codec from "./Codec.js"

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

const link = (instance: Instance, to: Link): Instance =>
  Object.assign(instance, { [LinkTypeId]: to })

/** As `WorkflowInstance.initial`, but for its scope: hardly any instance needs one. */
const initial = (workflow: Workflow.Any, runId: string, scope: Scope.CloseableScope): Instance => ({
  executionId: runId,
  workflow,
  scope,
  suspended: false,
  interrupted: false,
  cause: undefined,
  activityState: { count: 0, latch: Effect.unsafeMakeLatch() }
})

/** The instance that a step of the run gets. */
export const stepInstance = (run: ActiveRun): Instance =>
  link(
    initial(
      run.registration.workflow,
      run.runId,
      lazyScope({ finalizer: identity, close: Scope.close })
    ),
    { run, nested: true, waiting: 0 }
  )

const withAnnotation = <I, S>(workflow: Workflow.Any, tag: Context.Tag<I, S>, value: S) => ({
  ...workflow,
  annotations: Context.add(workflow.annotations, tag, value) as Context.Context<never>
})

/** The instance that a pass of the run gets. */
export const runInstance = (run: ActiveRun): Instance => {
  const { workflow } = run.registration
  return link(
    initial(
      // an interrupt that is asked for is no failure to suspend on
      run.interrupting ? withAnnotation(workflow, Workflow.SuspendOnFailure, false) : workflow,
      run.runId,
      compensationScope(run)
    ),
    { run, nested: false, waiting: 0 }
  )
}

/** What `Scope.addFinalizerExit`, `Scope.fork` and `Scope.close` call; not in the scope's type. */
interface ScopeMethods {
  readonly addFinalizer: (finalizer: Scope.Scope.Finalizer) => Effect.Effect<void>
  readonly fork: (strategy: ExecutionStrategy) => Effect.Effect<Scope.CloseableScope>
  readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

const anyScope = Effect.runSync(Scope.make())

/** A scope that is made when somebody first puts something in. */
const lazyScope = (options: {
  readonly finalizer: (finalizer: Scope.Scope.Finalizer) => Scope.Scope.Finalizer
  readonly close: (
    scope: Scope.CloseableScope,
    exit: Exit.Exit<unknown, unknown>
  ) => Effect.Effect<void>
  readonly onClose?: () => void
}): Scope.CloseableScope => {
  let made: Scope.CloseableScope | undefined
  const scope = Effect.suspend(() =>
    made === undefined ? Effect.tap(Scope.make(), (scope) => (made = scope)) : Effect.succeed(made)
  )
  return Object.assign(Object.create(anyScope) as Scope.CloseableScope, {
    addFinalizer: (finalizer) =>
      Effect.flatMap(scope, (scope) => Scope.addFinalizerExit(scope, options.finalizer(finalizer))),
    fork: (strategy) => Effect.flatMap(scope, (scope) => Scope.fork(scope, strategy)),
    close: (exit) =>
      Effect.suspend(() => {
        options.onClose?.()
        return made === undefined ? Effect.void : options.close(made, exit)
      })
  } satisfies ScopeMethods)
}

/**
 * The workflow's scope, whose finalizers are its compensations. A compensation may execute steps,
 * wait for timers and signals, and be parked by a drain like any other part of a workflow. Then
 * those that come after it, in reverse order, must not run before it has finished: they are left
 * for the pass that resumes it.
 */
const compensationScope = (run: ActiveRun): Scope.CloseableScope =>
  lazyScope({
    finalizer: (finalizer) => (exit) =>
      Effect.suspend(() => {
        if (run.closing && run.instance?.suspended === true) return Effect.void
        if (Exit.isFailure(exit)) run.compensated = true
        return finalizer(exit)
      }),
    onClose: () => {
      run.closing = true
      if (run.instance !== undefined) run.instance.suspended = false
    },
    close: (scope, exit) =>
      Effect.gen(function* () {
        // in a fiber of its own: one that was interrupted cannot wait any more
        const fiber = yield* Effect.forkDaemon(Scope.close(scope, exit))
        run.fiber = fiber
        const closed = yield* Fiber.await(fiber)
        if (run.instance?.suspended !== true) yield* closed
      })
  })
