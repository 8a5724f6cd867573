/**
 * A step in flight: what is known of it, and how its activity is executed, in a fiber of its own.
 */
import type * as Activity from "@effect/workflow/Activity"
import * as Workflow from "@effect/workflow/Workflow"
import * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import * as Scope from "effect/Scope"
import type * as Events from "../Events.js"
import type { Json } from "../RunStore.js"
import type { StepInFlight } from "../StepInFlight.js"
import { type ActiveRun, stepKey } from "./ActiveRun.js"
import * as Fibers from "./Fibers.js"
import { LazyScope, toScope } from "./LazyScope.js"
import { type Link, stepInstance, suspendedBy } from "./Pass.js"

export type Instance = WorkflowEngine.WorkflowInstance["Type"]

/** What a step came to in this process. */
export type StepResult =
  | { readonly _tag: "Recorded"; readonly exit: Json }
  /** Nothing was recorded: it suspended, was cut or was not let in. */
  | { readonly _tag: "Suspended"; readonly cause: Cause.Cause<never> | undefined }

/** The fiber in which a step is executed; what it returns is the exit of the activity. */
export type Executing = Fiber.RuntimeFiber<Exit.Exit<unknown, unknown>>

/** A step in flight, and what it takes to cut it without its counting as a failure. */
export interface Flight extends StepInFlight {
  readonly run: ActiveRun
  readonly instance: Instance
  /** The instance's scope, and the one of the activity's execution. */
  readonly scopes: { readonly instance: LazyScope; readonly execution: LazyScope }
  /** Replaying the workflow does not come by this step. */
  readonly inner: boolean
  /** While it is being executed: not while it is being started, nor recorded. */
  fiber: Executing | undefined
  /** It is not just being started, in the fiber of whoever asks. */
  started: boolean
  /** Others who have asked for it. */
  waiting: Set<(result: StepResult) => void> | undefined
  /** Gives its room back. */
  readonly leave: () => void
  /** It was interrupted from outside: what comes of that is no failure of the step. */
  cut: boolean
  /** Whoever asked for it first does not want it any more. */
  abandoned: boolean
  /** Of one that was to be recorded; for the metrics. */
  outcome: "completed" | "failed" | "unrecorded" | undefined
  /** How long it took, once recorded. */
  millis: number | undefined
}

/** What is asked for: an activity, in the instance of its workflow or of the step that it is part of. */
export type Request = readonly [instance: Instance, activity: Activity.Any, attempt: number]

export const keyOf = (run: ActiveRun, [, activity, attempt]: Request): string =>
  `${run.runId}/${stepKey(activity.name, attempt)}`

export const make = (
  { nested, run }: Link,
  request: Request,
  options: { readonly startedAt: number; readonly leave: () => void }
): Flight => {
  const [instance, activity, attempt] = request
  const scopes = { instance: new LazyScope(), execution: new LazyScope() }
  return {
    key: keyOf(run, request),
    runId: run.runId,
    workflow: run.workflowName,
    name: activity.name,
    attempt,
    startedAt: options.startedAt,
    run,
    instance: stepInstance(run, scopes.instance),
    scopes,
    inner: nested || run.closing || instance !== run.instance,
    fiber: undefined,
    started: false,
    waiting: undefined,
    leave: options.leave,
    cut: false,
    abandoned: false,
    outcome: undefined,
    millis: undefined
  }
}

export const toStepInFlight = (flight: Flight): StepInFlight => ({
  key: flight.key,
  runId: flight.runId,
  workflow: flight.workflow,
  name: flight.name,
  attempt: flight.attempt,
  startedAt: flight.startedAt
})

/** The event of its start. */
export const startOf = ({
  attempt,
  name,
  runId,
  startedAt,
  workflow
}: Flight): Events.StepChanged => ({
  type: "step",
  at: startedAt,
  runId,
  workflow,
  name,
  attempt,
  status: "running"
})

/** Who asks for a step. */
export interface Asking {
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  readonly runtimeFlags: RuntimeFlags.RuntimeFlags
}

/**
 * What the step's fiber starts with: what its workflow has, and a scope. Interrupting it ends the
 * activity, and not the recording of an outcome that came all the same.
 */
const originOf = ({ fiber, runtimeFlags }: Asking, flight: Flight): Fibers.Origin =>
  Fibers.annotated(
    Fibers.uninterruptible({
      context: Context.merge(fiber.currentContext, servicesOf(flight)),
      fiberRefs: fiber.getFiberRefs(),
      runtimeFlags
    }),
    { step: stepKey(flight.name, flight.attempt) }
  )

const servicesOf = (flight: Flight) =>
  Context.add(
    Context.make(WorkflowEngine.WorkflowInstance, flight.instance),
    Scope.Scope,
    toScope(flight.scopes.execution)
  ) as Context.Context<never>

/** Executes its activity at once, as far as it goes without waiting. */
export const start = (asking: Asking, flight: Flight, activity: Activity.Any): Executing => {
  const fiber = Fibers.fork(originOf(asking, flight), executed(flight, activity))
  flight.fiber = fiber
  flight.started = true
  return fiber
}

/** Executes the activity, in the step's fiber, which is not interruptible otherwise. */
const executed = (
  flight: Flight,
  activity: Activity.Any
): Effect.Effect<Exit.Exit<unknown, unknown>> => {
  // what an activity needs is in the context of the workflow that asks for it
  const execution = activity.executeEncoded as Effect.Effect<unknown, unknown>
  return Effect.flatMap(Effect.exit(Effect.interruptible(execution)), (exit) => {
    const { instance, scopes } = flight
    const outcome =
      Exit.isFailure(exit) && Context.get(instance.workflow.annotations, Workflow.SuspendOnFailure)
        ? Exit.failCause(suspendedBy(exit.cause, instance))
        : exit
    return scopes.execution.isMade
      ? Effect.map(Effect.exit(scopes.execution.close(outcome)), (closed) =>
          Exit.zipLeft(outcome, closed)
        )
      : Effect.succeed(outcome)
  })
}

/**
 * What executing it has come to. Not `Fiber.join`: what a step does to its fiber's refs would be
 * gone on replay.
 */
export const end = (fiber: Executing): Effect.Effect<Exit.Exit<unknown, unknown>> =>
  Effect.async((resume) => {
    const tell = (exit: Exit.Exit<Exit.Exit<unknown, unknown>>) =>
      resume(Effect.succeed(Exit.flatten(exit)))
    fiber.addObserver(tell)
    return Effect.sync(() => fiber.removeObserver(tell))
  })

/** What it comes to; at once where it asks for itself while it is being started. */
export const landing = (flight: Flight): Effect.Effect<StepResult> =>
  flight.started
    ? Effect.async((resume) => {
        const tell = (result: StepResult) => resume(Effect.succeed(result))
        flight.waiting ??= new Set()
        flight.waiting.add(tell)
        return Effect.sync(() => {
          flight.waiting?.delete(tell)
        })
      })
    : Effect.succeed(suspended)

export const suspended: StepResult = { _tag: "Suspended", cause: undefined }

/** Real failures count, also beside interruptions; interruptions alone are no outcome. */
export const outcomeOf = (
  exit: Exit.Exit<unknown, unknown>
): Exit.Exit<unknown, unknown> | undefined => {
  if (Exit.isSuccess(exit)) return exit
  if (Cause.isInterruptedOnly(exit.cause)) return undefined
  return Exit.failCause(Cause.filter(exit.cause, (cause) => !Cause.isInterruptType(cause)))
}
