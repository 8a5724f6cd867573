/**
 * One execution of a workflow's function, from its beginning, over the recorded history as far as
 * it goes; what it has under way, and how it ends: by itself, or from outside.
 */
import * as Workflow from "@effect/workflow/Workflow"
import type * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type * as Supervisor from "effect/Supervisor"
import type { Json } from "../../store/RunStore.js"
import { noPassSpan, type PassSpan } from "../../telemetry/Spans.js"
import * as Codec from "../../values/Codec.js"
import type { ActiveRun } from "../run/ActiveRun.js"
import * as Fibers from "./Fibers.js"
import { LazyScope, toScope } from "./LazyScope.js"
import { type Level, Quiescence, type Watcher } from "./Quiescence.js"
import { Waits } from "./Waits.js"

export type Instance = WorkflowEngine.WorkflowInstance["Type"]

/**
 * Why a pass is ended from outside, weakest first. None of them is a failure of the run: no
 * compensation runs, nothing is recorded as failed, and nothing that the workflow returns then is
 * what the run came to.
 *
 * - `evict`: the run waits, suspended, and is kept in memory no longer.
 * - `park`: this process drains; the run becomes pending.
 * - `block`: what is recorded cannot be read, or the workflow suspends when it fails; the run waits,
 *   suspended, for somebody to resume it.
 * - `lost`: another executor holds the run now.
 */
export type Ending =
  | { readonly _tag: "evict" }
  | { readonly _tag: "park" }
  | { readonly _tag: "block"; readonly cause: Json }
  | { readonly _tag: "lost" }

const strength: Record<Ending["_tag"], number> = { evict: 0, park: 1, block: 2, lost: 3 }

/** Which of two reasons to end a pass decides what becomes of its run. */
export const strongerEnding = (a: Ending | undefined, b: Ending): Ending =>
  a !== undefined && strength[a._tag] >= strength[b._tag] ? a : b

/** Who drives the run. */
export interface PassOwner {
  /** What the fibers of the run start with. */
  readonly origin: Fibers.Origin
  /** Whether anything is under way in the pass has changed. */
  readonly onLevel: (pass: Pass, level: Level) => void
}

export class Pass implements Link, Watcher {
  readonly quiescence = new Quiescence(this)
  readonly instance: Instance
  /** The scope of the workflow's function. */
  readonly scope = new LazyScope()
  /** The scope of the run, whose finalizers are its compensations. */
  readonly compensations: LazyScope
  span: PassSpan = noPassSpan
  /** The fiber of the workflow, later that of its finalizers and compensations. */
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  ended: Ending | undefined = undefined
  /** The interrupt that was asked for has taken hold of its fiber. */
  interrupted = false
  /** The workflow's function is over. */
  returned = false
  /** Its compensations are running. */
  closing = false
  /** A compensation was executed, or whatever else was to be done if it failed. */
  compensated = false
  /** Why it is to be suspended, where its workflow suspends on failure. */
  failure: Cause.Cause<never> | undefined = undefined
  stepsInFlight = 0
  private waiting: Waits | undefined = undefined
  /** Recorded outcomes that it is still to come by. */
  private ahead: Set<string> | undefined
  /** Call when it has come by one, or what it has under way has changed. */
  onProgress: (() => void) | undefined = undefined

  constructor(
    readonly run: ActiveRun,
    private readonly owner: PassOwner
  ) {
    this.compensations = new CompensationScope(this)
    this.instance = runInstance(this)
    this.ahead = run.recorded()
  }

  get pass(): Pass {
    return this
  }

  get nested(): boolean {
    return false
  }

  get step(): undefined {
    return undefined
  }

  /** What else sees the fibers of workflows. */
  get appSupervisor(): Supervisor.Supervisor<unknown> {
    return Fibers.supervisorOf(this.owner.origin)
  }

  onLevel(level: Level): void {
    this.owner.onLevel(this, level)
  }

  /** What waits in it; most never wait. */
  get waits(): Waits {
    this.waiting ??= new Waits({
      origin: this.owner.origin,
      isWoken: () => this.run.suspendedAt !== undefined,
      isEnded: () => this.ended !== undefined,
      isOver: () => this.fiber === undefined || this.fiber.unsafePoll() !== null
    })
    return this.waiting
  }

  /** It has failed, and what it had done is being undone. */
  get isCompensating(): boolean {
    return this.closing && this.compensated
  }

  /** There are recorded outcomes that it is still to come by. */
  get isReplaying(): boolean {
    return this.ahead !== undefined
  }

  /** How many they are. */
  get toReplay(): number {
    return this.ahead?.size ?? 0
  }

  /**
   * It goes as far as the record does and no further: its interrupt was asked for, and is to take
   * hold when every finished step has its compensation in place.
   */
  get isReplayOnly(): boolean {
    return this.run.interrupting && !this.interrupted && !this.closing
  }

  /** It has come by the outcome of a step or a child. */
  reach(key: string): void {
    if (this.ahead?.delete(key) && this.ahead.size === 0) this.ahead = undefined
    this.onProgress?.()
  }
}

/** What becomes of a run after a pass. */
export type Verdict =
  | {
      readonly _tag: "Complete"
      readonly exit: Exit.Exit<unknown, unknown>
      /** Its compensations were executed. */
      readonly compensated: boolean
    }
  /** Waits for a wake-up; with a `cause`, for somebody to resume it. */
  | { readonly _tag: "Suspend"; readonly cause: Json | undefined }
  /** Waits already, and is written so. */
  | { readonly _tag: "Forget" }
  /** Back to `pending`, for another executor. */
  | { readonly _tag: "Release" }
  /** Held by another executor: nothing to write. */
  | { readonly _tag: "Drop" }

/** What becomes of a run whose pass was ended from outside. */
export const verdictOfEnding = (ending: Ending): Verdict => {
  switch (ending._tag) {
    case "evict":
      return { _tag: "Forget" }
    case "park":
      return { _tag: "Release" }
    case "block":
      return { _tag: "Suspend", cause: ending.cause }
    case "lost":
      return { _tag: "Drop" }
  }
}

/** What became of a run whose pass has come to its own end. */
export const decide = (
  result: Exit.Exit<Workflow.Result<unknown, unknown>>,
  { compensated }: { readonly compensated: boolean }
): Verdict => {
  // defects of a workflow that does not capture them, and self-interruption
  if (Exit.isFailure(result)) return { _tag: "Complete", exit: result, compensated }
  if (result.value._tag === "Complete") {
    return { _tag: "Complete", exit: result.value.exit, compensated }
  }
  const { cause } = result.value
  return { _tag: "Suspend", cause: cause === undefined ? undefined : Codec.causeToJson(cause) }
}

/** Marks an instance as one of this engine's, and survives its being copied (`DurableDeferred.into`). */
const LinkTypeId: unique symbol = Symbol.for("effect-workflow-executor/Link")

/** From an instance back to its pass: that, or a step of it. */
export interface Link {
  readonly pass: Pass
  readonly run: ActiveRun
  /** The instance of a step, which may execute steps of its own. */
  readonly nested: boolean
  /** Of the fibers of its pass, or of its step. */
  readonly quiescence: Quiescence
  /** Of the instance of a step. */
  readonly step: StepName | undefined
}

export interface StepName {
  readonly name: string
  readonly attempt: number
}

interface LinkedInstance {
  readonly [LinkTypeId]?: Link
}

export const linkOf = (instance: Instance): Link | undefined =>
  (instance as LinkedInstance)[LinkTypeId]

/**
 * Upstream counts the calls of the engine that are under way, for those that suspend wait for each
 * other. Here none suspends: one that waits stays where it is, and must not hold up one that only
 * looks, as `DurableDeferred.raceAll` does before it begins.
 */
const nothingToCount: Instance["activityState"] = {
  get count() {
    return 0
  },
  set count(_) {},
  latch: Effect.unsafeMakeLatch(true)
}

/** As `WorkflowInstance.initial`, but for its scope: hardly any instance needs one. */
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
  activityState: nothingToCount,
  [LinkTypeId]: link
})

/** The instance that a step of a pass gets. */
export const stepInstance = (step: Link, scope: LazyScope): Instance =>
  linked(step, step.run.registration.workflow, scope)

const withAnnotation = <I, S>(workflow: Workflow.Any, tag: Context.Tag<I, S>, value: S) => ({
  ...workflow,
  annotations: Context.add(workflow.annotations, tag, value) as Context.Context<never>
})

/** The instance that a pass gets. */
const runInstance = (pass: Pass): Instance => {
  const { run } = pass
  const { workflow } = run.registration
  return linked(
    pass,
    // an interrupt that is asked for is no failure to suspend on
    run.interrupting ? withAnnotation(workflow, Workflow.SuspendOnFailure, false) : workflow,
    pass.compensations
  )
}

class CompensationScope extends LazyScope {
  constructor(private readonly pass: Pass) {
    super()
  }

  override addFinalizer(finalizer: Scope.Scope.Finalizer): Effect.Effect<void> {
    return super.addFinalizer((exit) =>
      Effect.suspend(() => {
        if (Exit.isFailure(exit)) this.pass.compensated = true
        return finalizer(exit)
      })
    )
  }
}

/** What fails because an interrupt that was asked for takes hold is no failure of the run. */
export const unlessInterrupted = (
  exit: Exit.Exit<unknown, unknown>,
  { interrupted }: Pass
): Exit.Exit<unknown, unknown> =>
  interrupted && Exit.isFailure(exit) && Cause.isInterrupted(exit.cause)
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

/** Why the run ended, and what went wrong in its compensations after that. */
export const withUndone = (
  result: Exit.Exit<Workflow.Result<unknown, unknown>>,
  end: Exit.Exit<unknown, unknown>,
  undone: Exit.Exit<unknown, unknown>
): Exit.Exit<Workflow.Result<unknown, unknown>> => {
  if (Exit.isSuccess(undone)) return result
  const cause = Exit.isSuccess(end) ? undone.cause : Cause.sequential(end.cause, undone.cause)
  return Exit.succeed(new Workflow.Complete({ exit: Exit.failCause(cause) }))
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
