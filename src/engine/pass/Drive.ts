/**
 * Drives one run that this process holds: pass after pass, until it is over or this process does not
 * hold it any more, with what became of it written before anybody is told.
 *
 * A pass is in memory for as long as its steps take, and thousands may be: nothing here is a fiber
 * that waits, and what waits for the end of a pass holds what it needs then and nothing else.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as HashMap from "effect/HashMap"
import { pause } from "../../internal/Turn.js"
import type { Json } from "../../store/RunStore.js"
import * as Metrics from "../../telemetry/Metrics.js"
import type { PassOutcome } from "../../telemetry/Spans.js"
import * as Codec from "../../values/Codec.js"
import * as MissingService from "../MissingService.js"
import type { ActiveRun } from "../run/ActiveRun.js"
import * as Fibers from "./Fibers.js"
import * as Interrupt from "./Interrupt.js"
import type { LazyScope } from "./LazyScope.js"
import * as Passes from "./Pass.js"
import { type Ending, Pass, type PassOwner, type Verdict } from "./Pass.js"
import type { Level } from "./Quiescence.js"
import { type SettleOptions, settle } from "./Settle.js"

export interface DriveOptions extends SettleOptions {
  /** A run of which so many executors have died in a row is set aside. */
  readonly maxCrashes: number
  /** Runs of this process are given back rather than begun again. */
  readonly isDraining: (run: ActiveRun) => boolean
  /** Whether anything is under way in its pass has changed. */
  readonly onLevel: (driving: Driving, pass: Pass, level: Level) => void
  /** This process does not hold the run any more. */
  readonly onOver: (driving: Driving) => void
}

/** A run while it is driven. */
export class Driving implements PassOwner {
  /** Passes so far. */
  passes = 0
  pass: Pass | undefined = undefined
  /** Its children are being told of its interrupt. */
  telling: Fiber.RuntimeFiber<void> | undefined = undefined
  /** Children whose end it is told of, also those whose start was not heard of. */
  awaited: Set<string> | undefined = undefined

  constructor(
    readonly run: ActiveRun,
    readonly options: DriveOptions,
    /** What the fibers of this run start with. */
    readonly origin: Fibers.Origin
  ) {}

  onLevel(pass: Pass, level: Level): void {
    this.options.onLevel(this, pass, level)
  }
}

export const drive = (run: ActiveRun, options: DriveOptions): Driving => {
  const { origin: registered } = run.registration
  const annotations = Fibers.annotationsOf(registered).pipe(
    HashMap.set<string, unknown>("runId", run.runId),
    HashMap.set<string, unknown>("workflow", run.workflowName)
  )
  return new Driving(run, options, Fibers.annotated(registered, annotations))
}

/** Begins another pass, unless the run is not to go on here. */
export const next = (driving: Driving): void => {
  const payload = decodePayload(driving.run)
  const known = Codec.atHand(payload)
  if (known !== undefined) begin(driving, known)
  else {
    Fibers.fork(driving.origin, Effect.either(payload)).addObserver((exit) =>
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
  else if (run.crashes >= options.maxCrashes && !run.interrupting) {
    Metrics.setAside()
    conclude(driving, Effect.succeed({ _tag: "Suspend", cause: crashed(run) }))
  } else if (options.isDraining(run)) conclude(driving, Effect.succeed({ _tag: "Release" }))
  else execute(driving, payload.right)
}

/** Why it is not executed any more, until somebody resumes it. */
const crashed = ({ crashes, startedBefore }: ActiveRun): Json => {
  const where =
    startedBefore.length === 0
      ? "no step of it was under way, as far as is known: look at the code between its steps, and at the size of its record"
      : `${startedBefore.length === 1 ? "step" : "steps"} ${startedBefore.slice(0, 10).join(", ")} had been started`
  return Codec.blockCause(
    `set aside: ${crashes} executors in a row have died while this run was under way, and ${where}. Resume it to try again`
  )
}

/** Ends a pass with its verdict; closing its scopes may take a while. */
const conclude = (driving: Driving, verdict: Effect.Effect<Verdict>): void => {
  const settled = settle(driving.run, verdict, driving.options)
  Fibers.fork(Fibers.uninterruptible(driving.origin), settled).addObserver((exit) => {
    driving.pass = undefined
    if (Exit.isSuccess(exit) && exit.value === "again") next(driving)
    else driving.options.onOver(driving)
  })
}

/** The interrupt of the run was asked for. */
export const interrupt = (driving: Driving): void => {
  const { origin, pass } = driving
  // compensations are let finish
  if (pass === undefined || pass.returned || pass.ended !== undefined) return
  Interrupt.atEndOfRecord(pass, origin, () => tellChildren(driving))
}

/** Passes the interrupt on to the children that are not over, and for which no other run waits. */
const tellChildren = (driving: Driving): void => {
  const { options, origin, run } = driving
  const unfinished = [...run.children].filter(([, exit]) => exit === undefined)
  if (unfinished.length === 0) return
  const { interruptChild } = options.store.by(run.held)
  driving.telling = Fibers.fork(
    origin,
    Effect.forEach(unfinished, ([child]) => options.persist(interruptChild(child)), {
      concurrency: "unbounded",
      discard: true
    }).pipe(
      // whoever holds the run now passes it on
      Effect.catchTag("RunLost", () => Effect.void),
      Effect.catchAll((error) =>
        Effect.logError("the interrupt was not passed on", Cause.fail(error))
      )
    )
  )
}

/** Waits for somebody to mend it; but an interrupt that has nothing to undo needs no payload. */
const unreadable = (run: ActiveRun, cause: Json): Verdict =>
  run.interrupting && run.steps.size === 0
    ? { _tag: "Complete", exit: Exit.interrupt(FiberId.none), compensated: false }
    : { _tag: "Suspend", cause }

/** One execution of the workflow's function, and what it means for the run. */
const execute = (driving: Driving, payload: object): void => {
  const { run } = driving
  const pass = new Pass(run, driving)
  driving.pass = pass
  const services = Fibers.servicesOf(driving.origin.context, pass.instance, pass.scope)
  const fiber = Fibers.forkLater(
    Fibers.interruptible(Fibers.withServices(originOf(driving, pass), services)),
    new Program(pass, ++driving.passes, payload)
  )
  pass.fiber = fiber
  if (run.interrupting) Interrupt.atEndOfRecord(pass, driving.origin, () => tellChildren(driving))
  fiber.addObserver((exit) => onEnd(driving, pass, exit))
}

/** What a fiber of the pass starts with. */
const originOf = (driving: Driving, pass: Pass): Fibers.Origin => {
  const supervisor = Fibers.bothSupervise(pass.quiescence, pass.appSupervisor)
  const annotations = Fibers.annotationsOf(driving.origin)
  return Fibers.watched(Fibers.annotated(driving.origin, annotations, supervisor))
}

/**
 * What a pass executes. Whoever sees the fiber of a pass keeps what it was started with: this, and not
 * the effects that it is put together of.
 */
class Program extends Effectable.Class<unknown, unknown> {
  constructor(
    private readonly pass: Pass,
    private readonly number: number,
    private readonly payload: object
  ) {
    super()
  }

  override commit(): Effect.Effect<unknown, unknown> {
    return traced(this.pass, this.number, this.payload)
  }
}

/** The workflow, under the span of the pass. */
const traced = (pass: Pass, number: number, payload: object): Effect.Effect<unknown, unknown> => {
  const { run } = pass
  const { execute, spans } = run.registration
  // the engine that it asks for is the one it was registered with
  // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
  const workflow = execute(payload, run.runId) as Effect.Effect<unknown, unknown>
  const span = spans.pass({
    runId: run.runId,
    workflow: run.workflowName,
    pass: number,
    resumed: number > 1 || run.held.claim > 1,
    trace: run.trace
  })
  return Effect.flatMap(span, (begun) => {
    pass.span = begun
    return begun.inside(workflow)
  })
}

/**
 * Ends the pass from outside: its fiber is interrupted, which no handler of the workflow can catch;
 * its scope closes, and that of the run, which has its compensations, does not.
 */
export const end = (driving: Driving, pass: Pass, ending: Ending): void => {
  const began = pass.ended === undefined
  pass.ended = Passes.strongerEnding(pass.ended, ending)
  if (!began || pass.fiber === undefined) return
  // what upstream's own combinators and finalizers look at
  pass.instance.suspended = true
  pass.instance.cause = pass.failure
  pass.fiber.unsafeInterruptAsFork(pass.fiber.id())
  // most are over by then: nobody has to look after them
  setImmediate(() => {
    if (pass.fiber !== undefined) Fibers.fork(driving.origin, unwound(pass))
  })
}

/**
 * Waits of fibers that were interrupted, but not where they wait, are ended too: in the finalizers of
 * the workflow, and where it was made uninterruptible.
 */
const unwound = (pass: Pass) =>
  Effect.gen(function* () {
    let still = 0
    for (let count = 0; pass.fiber !== undefined; count++) {
      yield* pause(count)
      still = pass.quiescence.level === "moving" ? 0 : still + 1
      Interrupt.letGo(pass.waits, pass.waits.now(), still)
      if (still > 0 && pass.waits.size === 0) return
    }
  })

const onEnd = (driving: Driving, pass: Pass, exit: Exit.Exit<unknown, unknown>): void => {
  pass.returned = true
  pass.onProgress?.()
  conclude(
    driving,
    Effect.tap(concluded(driving, pass, exit), (verdict) => {
      pass.fiber = undefined
      const waits = verdict._tag === "Release" && driving.run.isSuspended
      return pass.span.end(
        waits ? "suspended" : passOutcomes[verdict._tag],
        verdict._tag === "Complete" ? verdict.exit : Exit.void
      )
    })
  )
}

const passOutcomes: Readonly<Record<Verdict["_tag"], PassOutcome>> = {
  Complete: "ended",
  Suspend: "suspended",
  Forget: "suspended",
  Release: "handed over",
  Drop: "lost"
}

/**
 * Closes what the pass has opened: its scope, and when the workflow is over that of the run. What
 * finalizers do is a part of the pass, to be ended like it.
 */
const concluded = (
  driving: Driving,
  pass: Pass,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<Verdict> => {
  if (!pass.scope.isMade) return compensated(driving, pass, exit)
  const origin = Fibers.uninterruptible(originOf(driving, pass))
  return Effect.flatMap(closed(origin, pass, pass.scope, exit), (closed) =>
    compensated(driving, pass, Exit.zipLeft(Passes.unlessInterrupted(exit, pass), closed))
  )
}

const compensated = (
  driving: Driving,
  pass: Pass,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<Verdict> => {
  if (pass.ended !== undefined) return Effect.succeed(Passes.verdictOfEnding(pass.ended))
  // a run that is to end needs no more than that
  const missing = driving.run.interrupting ? undefined : MissingService.of(exit)
  if (missing !== undefined) return lacking(driving, missing)
  const result = Passes.resultOf(Passes.unlessInterrupted(exit, pass), pass.instance)
  const end = Passes.endOf(result)
  if (end === undefined || !pass.compensations.isMade) {
    return Effect.as(told(driving), Passes.decide(result, pass))
  }
  pass.closing = true
  const origin = Fibers.interruptible(originOf(driving, pass))
  return Effect.flatMap(closed(origin, pass, pass.compensations, end), (undone) =>
    pass.ended === undefined
      ? Effect.as(told(driving), Passes.decide(Passes.withUndone(result, end, undone), pass))
      : Effect.succeed(Passes.verdictOfEnding(pass.ended))
  )
}

/** It waits for a service that its workflow asks for; nothing of it is undone. */
const lacking = (driving: Driving, service: string): Effect.Effect<Verdict> =>
  Effect.map(
    Effect.zipRight(MissingService.tell(driving.run, service), told(driving)),
    (): Verdict => ({
      _tag: "Suspend",
      cause: Codec.blockCause(MissingService.explain(service))
    })
  )

/** What its children were to be told. */
const told = ({ telling }: Driving): Effect.Effect<unknown> =>
  telling === undefined ? Effect.void : Fiber.await(telling)

/** Closes the scope in a fiber of its own, which can be ended like that of the workflow. */
const closed = (
  origin: Fibers.Origin,
  pass: Pass,
  scope: LazyScope,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<Exit.Exit<void>> =>
  Effect.suspend(() => {
    const fiber = Fibers.fork(origin, scope.close(exit))
    pass.fiber = fiber
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
