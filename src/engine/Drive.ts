/**
 * Drives one run that this process holds: pass after pass, until it is over, suspended or handed
 * over, with what became of it written before anybody is told.
 *
 * A pass is in memory for as long as its steps take, and thousands may be: nothing here is a fiber
 * that waits, and what waits for the end of a pass holds what it needs then and nothing else.
 */
import type * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as HashMap from "effect/HashMap"
import * as Scope from "effect/Scope"
import type { Json } from "../RunStore.js"
import { noPassSpan, type PassOutcome, type PassSpan, type Spans } from "../telemetry/Spans.js"
import type { ActiveRun } from "./ActiveRun.js"
import * as Codec from "./Codec.js"
import { interruptAtEndOfRecord } from "./EndOfRecord.js"
import * as Fibers from "./Fibers.js"
import { LazyScope } from "./LazyScope.js"
import * as Pass from "./Pass.js"
import { type SettleOptions, settle } from "./Settle.js"

export interface DriveOptions extends SettleOptions {
  /** Runs of this process are given back rather than begun again. */
  readonly isDraining: (run: ActiveRun) => boolean
  readonly spans: Spans
  /** What the fibers of runs start with. */
  readonly origin: Fibers.Origin
  /** This process does not hold the run any more. */
  readonly onOver: (run: ActiveRun) => void
}

/** A run while it is driven. */
interface Driving {
  readonly run: ActiveRun
  readonly options: DriveOptions
  readonly annotations: Fibers.Annotations
  /** Passes so far. */
  passes: number
}

/** One execution of the workflow's function. */
interface Passing {
  readonly run: ActiveRun
  readonly instance: WorkflowEngine.WorkflowInstance["Type"]
  readonly scope: LazyScope
  span: PassSpan
}

export const drive = (run: ActiveRun, options: DriveOptions): void => {
  const annotations = Fibers.annotationsOf(options.origin).pipe(
    HashMap.set<string, unknown>("runId", run.runId),
    HashMap.set<string, unknown>("workflow", run.workflowName)
  )
  next({ run, options, annotations, passes: 0 })
}

const originOf = ({ annotations, options }: Driving): Fibers.Origin =>
  Fibers.annotated(options.origin, annotations)

/** Begins another pass, unless the run is not to go on here. */
const next = (driving: Driving): void => {
  const payload = decodePayload(driving.run)
  const known = Codec.atHand(payload)
  if (known !== undefined) begin(driving, known)
  else {
    Fibers.fork(originOf(driving), Effect.either(payload)).addObserver((exit) =>
      begin(
        driving,
        Exit.isSuccess(exit) ? exit.value : Either.left(Codec.blockCause(Cause.pretty(exit.cause)))
      )
    )
  }
}

const begin = (driving: Driving, payload: Either.Either<object, Json>): void => {
  const { options, run } = driving
  if (Either.isLeft(payload)) conclude(driving, Effect.succeed(unreadable(run, payload.left)))
  else if (options.isDraining(run)) conclude(driving, Effect.succeed({ _tag: "Release" }))
  else pass(driving, payload.right)
}

/** Ends a pass with its verdict; closing its scopes may take a while. */
const conclude = (driving: Driving, verdict: Effect.Effect<Pass.Verdict>): void => {
  const settled = settle(driving.run, verdict, driving.options)
  Fibers.fork(Fibers.uninterruptible(originOf(driving)), settled).addObserver((exit) => {
    if (Exit.isSuccess(exit) && exit.value === "again") next(driving)
    else driving.options.onOver(driving.run)
  })
}

/** Waits for somebody to mend it; but an interrupt that has nothing to undo needs no payload. */
const unreadable = (run: ActiveRun, cause: Json): Pass.Verdict =>
  run.interrupting && run.steps.size === 0
    ? { _tag: "Complete", exit: Exit.interrupt(FiberId.none) }
    : { _tag: "Suspend", cause }

/** One execution of the workflow's function, and what it means for the run. */
const pass = (driving: Driving, payload: object): void => {
  const { options, run } = driving
  const instance = Pass.runInstance(run)
  const passing: Passing = { run, instance, scope: new LazyScope(), span: noPassSpan }
  run.beginPass(instance)
  // a workflow's services are those of its registration, not those around this executor
  const services = Fibers.servicesOf(run.registration.services, instance, passing.scope)
  const origin = originOf(driving)
  const fiber = Fibers.forkLater(
    Fibers.interruptible(Fibers.withServices(origin, services)),
    traced(passing, ++driving.passes, payload, options.spans)
  )
  run.fiber = fiber
  if (run.interrupting) Fibers.fork(origin, interruptAtEndOfRecord(run, fiber, options))
  fiber.addObserver(onEnd(driving, passing))
}

/** The workflow, under the span of the pass. */
const traced = (
  passing: Passing,
  pass: number,
  payload: object,
  spans: Spans
): Effect.Effect<unknown, unknown> => {
  const { run } = passing
  // the engine that it asks for is the one it was registered with
  // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
  const workflow = run.registration.execute(payload, run.runId) as Effect.Effect<unknown, unknown>
  const span = spans.pass({
    runId: run.runId,
    workflow: run.workflowName,
    pass,
    resumed: pass > 1 || run.held.claim > 1,
    trace: run.trace
  })
  return Effect.flatMap(span, (begun) => {
    passing.span = begun
    return begun.inside(workflow)
  })
}

const onEnd = (driving: Driving, passing: Passing) => (exit: Exit.Exit<unknown, unknown>) => {
  const { run } = passing
  run.fiber = undefined
  conclude(
    driving,
    Effect.tap(concluded(passing, Pass.unlessCut(exit, run)), (verdict) =>
      passing.span.end(
        passOutcomes[verdict._tag],
        verdict._tag === "Complete" ? verdict.exit : Exit.void
      )
    )
  )
}

const passOutcomes: Readonly<Record<Pass.Verdict["_tag"], PassOutcome>> = {
  Complete: "ended",
  Suspend: "suspended",
  Interrupt: "interrupting",
  Release: "handed over",
  Drop: "lost"
}

/** Closes what the pass has opened: its scope, and when the workflow is over that of the run. */
const concluded = (
  { instance, run, scope }: Passing,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<Pass.Verdict> => {
  const close = (closed: Exit.Exit<unknown>) => {
    const result = Pass.resultOf(Exit.zipLeft(exit, closed), instance)
    const end = Pass.endOf(result)
    return end === undefined
      ? Effect.sync(() => verdictOf(run, instance, result))
      : Effect.map(Effect.exit(Scope.close(instance.scope, end)), (undone) =>
          verdictOf(run, instance, Exit.zipLeft(result, undone))
        )
  }
  return scope.isMade ? Effect.flatMap(closing(run, scope, exit), close) : close(Exit.void)
}

const verdictOf = (
  run: ActiveRun,
  instance: WorkflowEngine.WorkflowInstance["Type"],
  exit: ReturnType<typeof Pass.resultOf>
): Pass.Verdict => {
  run.fiber = undefined
  run.progressed()
  return Pass.decide({
    exit,
    suspended: instance.suspended,
    halt: run.halt,
    refused: run.refused,
    compensating: run.closing && instance.suspended
  })
}

/** In a fiber of its own, which can be cut like that of the workflow. */
const closing = (run: ActiveRun, scope: LazyScope, exit: Exit.Exit<unknown, unknown>) =>
  Effect.flatMap(Effect.forkDaemon(scope.close(exit)), (fiber) => {
    run.fiber = fiber
    return Fiber.await(fiber)
  })

/** The run's payload, or the cause that says why it cannot be read. */
const decodePayload = (run: ActiveRun): Effect.Effect<object, Json> => {
  const payload = Codec.contextFree(Codec.payloadFromJson(run.registration.workflow, run.payload))
  return (
    Codec.atHand(payload) ??
    Effect.mapError(payload, (error) =>
      Codec.blockCause(
        `the payload of run ${run.runId} of workflow "${run.workflowName}" does not decode: ${error.message}`
      )
    )
  )
}
