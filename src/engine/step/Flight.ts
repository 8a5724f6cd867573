/**
 * A step in flight: what is known of it, and how its activity is executed, in a fiber of its own.
 */
import type * as Activity from "@effect/workflow/Activity"
import * as Workflow from "@effect/workflow/Workflow"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Supervisor from "effect/Supervisor"
import type { AnySpan } from "effect/Tracer"
import type * as Events from "../../events/Events.js"
import type { Json } from "../../store/RunStore.js"
import * as Fibers from "../pass/Fibers.js"
import { LazyScope } from "../pass/LazyScope.js"
import { type Instance, type Link, type Pass, stepInstance, suspendedBy } from "../pass/Pass.js"
import { Quiescence, type Watcher } from "../pass/Quiescence.js"
import { type ActiveRun, stepKey } from "../run/ActiveRun.js"
import type { StepInFlight } from "./StepInFlight.js"

/** What a step came to in this process. */
export type StepResult =
  | {
      readonly _tag: "Recorded"
      readonly exit: Json
      /** What its schema makes of that, where it was asked before it was recorded. */
      readonly read?: Exit.Exit<unknown, unknown> | undefined
    }
  /** Nothing was recorded: it suspended, was cut or was not let in. */
  | { readonly _tag: "Suspended"; readonly cause: Cause.Cause<never> | undefined }

/** The fiber in which a step is executed; what it returns is the exit of the activity. */
export type Executing = Fiber.RuntimeFiber<Exit.Exit<unknown, unknown>>

/** What a workflow that asks for a step gets, once the step's schema has decoded it. */
export type StepEnd = Effect.Effect<Workflow.Complete<unknown, unknown>, never, unknown>

/** What is made of what a step came to, for who has asked for it. */
export type AfterStep = (request: Request, result: StepResult) => StepEnd

/**
 * What is asked of a step. Executing it asks, and goes on with what the step came to; one that waits
 * is this one object and not the several of an effect that is put together.
 */
export class Request extends Effectable.Class<Effect.Effect.Success<StepEnd>, never, unknown> {
  constructor(
    /** Of whom asks: its workflow, or the step that it is part of. */
    readonly link: Link,
    /** Whose fiber asks. */
    readonly fiber: Fiber.RuntimeFiber<unknown, unknown>,
    readonly runtimeFlags: RuntimeFlags.RuntimeFlags,
    readonly instance: Instance,
    readonly activity: Activity.Any,
    readonly attempt: number,
    readonly after: AfterStep,
    private readonly answer: (request: Request) => StepEnd
  ) {
    super()
  }

  override commit(): StepEnd {
    return this.answer(this)
  }
}

/** Who has asked for a step. */
export interface Asking {
  readonly link: Link
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
}

/** Who waits for a step that another has asked for. */
export interface AlsoAsking extends Asking {
  readonly tell: (result: StepResult) => void
}

/** It waits for what the engine brings, like the step that it waits for; or not any more. */
export const restWith = ({ fiber, link }: Asking, rests: boolean): void => {
  if (rests) link.quiescence.rest(fiber)
  else link.quiescence.goOn()
}

/** A step in flight, and what it takes to cut it without its counting as a failure. */
export class Flight implements StepInFlight, Link, Watcher {
  readonly pass: Pass
  readonly instance: Instance
  /** Of its fibers. */
  readonly quiescence = new Quiescence(this)
  /** The instance's scope. */
  readonly instanceScope = new LazyScope()
  /** The scope of the activity's execution. */
  readonly executionScope = new LazyScope()
  /** Replaying the workflow does not come by this step. */
  readonly inner: boolean
  /** It is executed while its run undoes what it has done, for it has failed. */
  readonly compensation: boolean
  /** While it is being executed: not while it is being started, nor recorded. */
  fiber: Executing | undefined = undefined
  /** It is not just being started, in the fiber of whoever asks. */
  started = false
  /** Others who have asked for it. */
  waiting: Set<AlsoAsking> | undefined = undefined
  /** It was interrupted from outside: what comes of that is no failure of the step. */
  cut = false
  /** All that it has under way waits for what the engine brings. */
  rests = false
  /** Whoever asked for it first does not want it any more. */
  abandoned = false
  /** Of one that was to be recorded; for the metrics. */
  outcome: "completed" | "failed" | "unrecorded" | undefined = undefined
  /** How long it took, once recorded. */
  millis: number | undefined = undefined

  constructor(
    /** Who has asked for it first. */
    readonly request: Request,
    readonly startedAt: number,
    /** Told when it comes to rest, and when it goes on. */
    private readonly onRest: (flight: Flight, rests: boolean) => void
  ) {
    const { nested, pass } = request.link
    this.pass = pass
    this.instance = stepInstance(this, this.instanceScope)
    this.compensation = pass.isCompensating
    this.inner = nested || pass.closing || pass.interrupted || request.instance !== pass.instance
  }

  get run(): ActiveRun {
    return this.pass.run
  }

  /** Of what it executes itself. */
  get nested(): boolean {
    return true
  }

  get step(): Flight {
    return this
  }

  get activity(): Activity.Any {
    return this.request.activity
  }

  get name(): string {
    return this.request.activity.name
  }

  get attempt(): number {
    return this.request.attempt
  }

  /** Its workflow asks for it where it can be interrupted. */
  get isInterruptible(): boolean {
    return RuntimeFlags.interruptible(this.request.runtimeFlags)
  }

  onLevel(): void {
    this.onRest(this, this.quiescence.waitsForEngine)
  }

  /** Who sees its fibers: what the app has for those of workflows, too. */
  get supervisor(): Supervisor.Supervisor<unknown> {
    return Fibers.bothSupervise(this.quiescence, this.pass.appSupervisor)
  }

  get runId(): string {
    return this.run.runId
  }

  get workflow(): string {
    return this.run.workflowName
  }

  get key(): string {
    return `${this.runId}/${stepKey(this.name, this.attempt)}`
  }
}

export const toStepInFlight = (flight: Flight): StepInFlight => ({
  key: flight.key,
  runId: flight.runId,
  workflow: flight.workflow,
  name: flight.name,
  attempt: flight.attempt,
  startedAt: flight.startedAt,
  compensation: flight.compensation
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

/**
 * What the step's fiber starts with: what its workflow has, and a scope. Interrupting it ends the
 * activity, and not the recording of an outcome that came all the same.
 */
const originOf = (flight: Flight): Fibers.Origin => {
  const { fiber, runtimeFlags } = flight.request
  flatten(fiber.currentSpan)
  const annotations = fiber.getFiberRef(FiberRef.currentLogAnnotations)
  return Fibers.uninterruptible({
    context: Fibers.servicesOf(fiber.currentContext, flight.instance, flight.executionScope),
    fiberRefs: fiber.getFiberRefs(),
    runtimeFlags,
    annotations: HashMap.set(annotations, "step", stepKey(flight.name, flight.attempt)),
    supervisor: flight.supervisor
  })
}

/**
 * Effect's own tracer makes the ids of a span letter by letter. Such a string is kept as a tree of
 * all its pieces, 1 kB of them, until somebody reads it; and a step's span is there as long as it.
 */
const flatten = (span: AnySpan | undefined): void => {
  span?.traceId.charCodeAt(0)
  span?.spanId.charCodeAt(0)
}

/** Executes its activity at once, as far as it goes without waiting. */
export const start = (flight: Flight): Executing => {
  const fiber = Fibers.fork(originOf(flight), executed(flight))
  flight.fiber = fiber
  flight.started = true
  return fiber
}

/** Executes the activity, in the step's fiber, which is not interruptible otherwise. */
const executed = (flight: Flight): Effect.Effect<Exit.Exit<unknown, unknown>> => {
  // what an activity needs is in the context of the workflow that asks for it
  const activity = flight.activity.executeEncoded as Effect.Effect<unknown, unknown>
  return Effect.matchCauseEffect(Effect.interruptible(activity), {
    onFailure: (cause) => {
      const { instance } = flight
      const suspends = Context.get(instance.workflow.annotations, Workflow.SuspendOnFailure)
      return closed(flight, Exit.failCause(suspends ? suspendedBy(cause, instance) : cause))
    },
    onSuccess: (value) => closed(flight, Exit.succeed(value))
  })
}

const closed = (
  { executionScope }: Flight,
  outcome: Exit.Exit<unknown, unknown>
): Effect.Effect<Exit.Exit<unknown, unknown>> =>
  executionScope.isMade
    ? Effect.map(Effect.exit(executionScope.close(outcome)), (closed) =>
        Exit.zipLeft(outcome, closed)
      )
    : Effect.succeed(outcome)

/**
 * What executing it has come to. Not `Fiber.join`: what a step does to its fiber's refs would be
 * gone on replay.
 */
export const end = (fiber: Executing): Effect.Effect<Exit.Exit<unknown, unknown>> =>
  Effect.async((resume) => {
    // not taken back: whoever does not wait any more interrupts it, and lets it go when it ends
    fiber.addObserver((exit) => resume(Effect.succeed(Exit.flatten(exit))))
  })

/** What it comes to; at once where it asks for itself while it is being started. */
export const landing = (flight: Flight, { fiber, link }: Request): Effect.Effect<StepResult> =>
  flight.started
    ? Effect.async((resume) => {
        const asking: AlsoAsking = {
          link,
          fiber,
          tell: (result) => {
            if (flight.rests) restWith(asking, false)
            resume(Effect.succeed(result))
          }
        }
        flight.waiting ??= new Set()
        flight.waiting.add(asking)
        if (flight.rests) restWith(asking, true)
        return Effect.sync(() => {
          if (flight.waiting?.delete(asking) && flight.rests) restWith(asking, false)
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
