/**
 * Drives one run that this process holds: pass after pass, until it is over, suspended or handed
 * over, with what became of it written before anybody is told.
 */
import * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Json, RunLost, RunStore } from "../RunStore.js"
import * as Metrics from "../telemetry/Metrics.js"
import { noPassSpan, type PassOutcome, type PassSpan, type Spans } from "../telemetry/Spans.js"
import { type ActiveRun, interruptPoint } from "./ActiveRun.js"
import * as Codec from "./Codec.js"
import * as Fibers from "./Fibers.js"
import { LazyScope, toScope } from "./LazyScope.js"
import * as Pass from "./Pass.js"
import type { GivenUp, Persist } from "./Persist.js"
import { turn } from "./Turn.js"
import type { Bounded } from "./ValueSize.js"

export interface DriveOptions {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
  /** Runs of this process are given back rather than begun again. */
  readonly isDraining: (run: ActiveRun) => boolean
  readonly spans: Spans
  readonly bounded: Bounded
  /** What the fibers of runs start with. */
  readonly origin: Fibers.Origin
}

/** Whether another pass follows. */
type Settled = "over" | "again"

/** What a pass ends with; closing its scopes may take a while. */
type Ended = (verdict: Effect.Effect<Pass.Verdict>) => void

/** @param onOver called once this process does not hold the run any more */
export const drive = (run: ActiveRun, options: DriveOptions, onOver: () => void): void => {
  const origin = Fibers.annotated(options.origin, {
    runId: run.runId,
    workflow: run.workflowName
  })
  let passes = 0

  const next = (payload: Either.Either<object, Json>) => {
    const settling: Ended = (verdict) => {
      const settled = Effect.flatMap(verdict, (verdict) => settle(run, verdict, options)).pipe(
        Effect.catchAllCause((cause) => unsettled(run, cause, options))
      )
      Fibers.fork(Fibers.uninterruptible(origin), settled).addObserver((exit) => {
        if (Exit.isSuccess(exit) && exit.value === "again") next(payload)
        else onOver()
      })
    }
    if (Either.isLeft(payload)) settling(Effect.succeed(unreadable(run, payload.left)))
    else if (options.isDraining(run)) settling(Effect.succeed({ _tag: "Release" }))
    else pass(run, payload.right, { ...options, origin }, ++passes, settling)
  }

  const payload = decodePayload(run)
  const known = Codec.atHand(payload)
  if (known !== undefined) next(known)
  else {
    Fibers.fork(origin, Effect.either(payload)).addObserver((exit) =>
      next(Exit.isSuccess(exit) ? exit.value : Either.left(blockCause(Cause.pretty(exit.cause))))
    )
  }
}

/** Waits for somebody to mend it; but an interrupt that has nothing to undo needs no payload. */
const unreadable = (run: ActiveRun, cause: Json): Pass.Verdict =>
  run.interrupting && run.steps.size === 0
    ? { _tag: "Complete", exit: Exit.interrupt(FiberId.none) }
    : { _tag: "Suspend", cause }

/** One execution of the workflow's function, and what it means for the run. */
const pass = (
  run: ActiveRun,
  payload: object,
  options: DriveOptions,
  number: number,
  ended: Ended
): void => {
  const instance = Pass.runInstance(run)
  const scope = new LazyScope()
  let span: PassSpan = noPassSpan
  run.beginPass(instance)
  // the engine that it asks for is the one it was registered with
  // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
  const workflow = run.registration.execute(payload, run.runId) as Effect.Effect<unknown, unknown>
  const traced = options.spans.pass({
    runId: run.runId,
    workflow: run.workflowName,
    pass: number,
    resumed: number > 1 || run.held.claim > 1,
    trace: run.claimed.trace
  })
  const inside = Effect.flatMap(traced, (begun) => {
    span = begun
    return begun.inside(workflow)
  })
  // a workflow's services are those of its registration, not those around this executor
  const services = Context.add(
    Context.make(WorkflowEngine.WorkflowInstance, instance),
    Scope.Scope,
    toScope(scope)
  )
  const origin = Fibers.withServices(options.origin, services)
  const fiber = Fibers.forkLater(Fibers.interruptible(origin), inside)
  run.fiber = fiber
  if (run.interrupting) {
    Fibers.fork(options.origin, interruptAtEndOfRecord(run, fiber, options))
  }
  fiber.addObserver((exit) => {
    run.fiber = undefined
    ended(
      Effect.tap(concluded(run, instance, scope, Pass.unlessCut(exit, run)), (verdict) =>
        span.end(passOutcomes[verdict._tag], verdict._tag === "Complete" ? verdict.exit : Exit.void)
      )
    )
  })
}

/** Closes what the pass has opened: its scope, and when the workflow is over that of the run. */
const concluded = (
  run: ActiveRun,
  instance: WorkflowEngine.WorkflowInstance["Type"],
  scope: LazyScope,
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

/** The run is lost or given up, or cannot be driven at all. */
const unsettled = (
  run: ActiveRun,
  cause: Cause.Cause<RunLost | GivenUp>,
  options: DriveOptions
): Effect.Effect<Settled> => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  switch (error?._tag) {
    case "RunLost":
      return Effect.as(Effect.logWarning("run lost to another executor", cause), "over")
    case "GivenUp":
      return Effect.as(Effect.logError("the run's state was not written", cause), "over")
    case undefined:
      return Effect.as(setAside(run, cause, options), "over")
  }
}

/** A run that cannot be driven waits, suspended, for somebody to mend it and resume it. */
const setAside = (
  run: ActiveRun,
  defect: Cause.Cause<unknown>,
  { persist, store }: DriveOptions
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const what = `run ${run.runId} of workflow "${run.workflowName}" cannot be executed`
    yield* Effect.logError(what, defect)
    const cause = blockCause(`${what}: ${Cause.pretty(defect)}`)
    let { wakeups } = run
    while (true) {
      const woken = yield* persist(
        store.suspend({ held: run.held, wakeups, timers: [], wakeAt: undefined, cause })
      )
      if (Option.isNone(woken)) return
      wakeups = woken.value.wakeups
    }
  }).pipe(Effect.ignoreLogged)

const passOutcomes: Readonly<Record<Pass.Verdict["_tag"], PassOutcome>> = {
  Complete: "ended",
  Suspend: "suspended",
  Interrupt: "interrupting",
  Release: "handed over",
  Drop: "lost"
}

/**
 * How long an interrupting pass may take over code of its own between two recorded steps: what it
 * would have come by later is not undone.
 */
const replayPatience = Duration.seconds(10)

/**
 * An interrupting pass ends where the record ends, in all branches of the workflow: each one waits,
 * asks for a step that is not recorded, or is in code of its own and there is nothing more to come
 * by. It shows in nothing happening for a few turns of the event loop.
 */
const interruptAtEndOfRecord = (
  run: ActiveRun,
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  options: DriveOptions
) =>
  Effect.gen(function* () {
    while (true) {
      const progress = yield* untilQuiet(run)
      if (run.fiber !== fiber || run.closing) return
      if (!run.isReplaying()) break
      const more = yield* Effect.timeoutOption(progressAfter(run, progress), replayPatience)
      if (Option.isNone(more)) break
    }
    yield* keepInterruptPoint(run, options)
    if (run.fiber !== fiber || run.closing) return
    const { instance } = run
    if (instance === undefined) return
    instance.suspended = false
    instance.interrupted = true
    fiber.unsafeInterruptAsFork(fiber.id())
  }).pipe(Effect.interruptible)

const untilQuiet = (run: ActiveRun) =>
  Effect.gen(function* () {
    let before = -1
    let quiet = 0
    while (quiet < 5) {
      const now = run.progress + run.version
      quiet = before === now ? quiet + 1 : 0
      before = now
      yield* turn
    }
    return run.progress
  })

const progressAfter = (run: ActiveRun, progress: number) =>
  Effect.async<void>((resume) => {
    if (run.progress !== progress) return resume(Effect.void)
    run.onProgress = () => resume(Effect.void)
    return Effect.sync(() => {
      run.onProgress = undefined
    })
  })

/** Writes down where the interrupt takes hold, and passes it on to the children. */
const keepInterruptPoint = (run: ActiveRun, { persist, store }: DriveOptions) =>
  Effect.gen(function* () {
    if (run.seen === undefined) {
      const seen = new Set(run.found)
      const signal = { runId: run.runId, name: interruptPoint, exit: JSON.stringify([...seen]) }
      if (yield* persist(store.signal(signal))) run.wakeups++
      run.seen ??= seen
    }
    const unfinished = [...run.children].filter(([, exit]) => exit === undefined)
    yield* Effect.forEach(unfinished, ([child]) => persist(store.requestInterrupt(child)), {
      concurrency: "unbounded",
      discard: true
    })
  }).pipe(
    Effect.catchAll((error) => Effect.logError("the interrupt was not written", Cause.fail(error)))
  )

/** Writes what became of the run. */
const settle = (run: ActiveRun, verdict: Pass.Verdict, options: DriveOptions) => {
  switch (verdict._tag) {
    case "Complete":
      return complete(run, verdict.exit, options)
    case "Suspend":
      return suspend(run, verdict.cause, options)
    case "Release":
      return release(run, options)
    case "Interrupt":
      run.interrupting = true
      // children that were being started when the pass was cut are its children too
      return options.persist(options.store.history(run.held)).pipe(
        Effect.map((history) => {
          run.load(history)
          return "again" as Settled
        })
      )
    case "Drop":
      return Effect.as(
        Effect.logWarning("run lost to another executor; its fiber was interrupted here"),
        "over" as Settled
      )
  }
}

const complete = (run: ActiveRun, exit: Exit.Exit<unknown, unknown>, options: DriveOptions) =>
  Effect.flatMap(writable(run, exit, options.bounded), (written) => {
    const status = Codec.statusOfExit(written.exit)
    const { compensated, held } = run
    const completion = { held, status, exit: written.text, compensated }
    return Effect.flatMap(options.persist(options.store.complete(completion)), () => {
      Metrics.runFinished(run.workflowName, status)
      return Effect.as(Effect.logDebug(`run ${status}`), "over" as Settled)
    })
  })

const suspend = (run: ActiveRun, cause: Json | undefined, options: DriveOptions) =>
  Effect.gen(function* () {
    const timers = run.takeNewTimers()
    const woken = yield* options.persist(
      options.store.suspend({
        held: run.held,
        wakeups: run.wakeups,
        timers,
        wakeAt: cause === undefined ? run.nextWakeAt() : undefined,
        cause
      })
    )
    if (Option.isNone(woken)) {
      yield* cause === undefined
        ? Effect.logDebug("run suspended")
        : Effect.logWarning("run suspended after a failure; it waits to be resumed").pipe(
            Effect.annotateLogs({ failure: cause })
          )
      return "over" as Settled
    }
    run.load(woken.value)
    return "again" as Settled
  })

const release = (run: ActiveRun, options: DriveOptions) =>
  Effect.gen(function* () {
    yield* options.persist(options.store.release([{ held: run.held, timers: run.takeNewTimers() }]))
    run.handedOver = true
    return "over" as Settled
  })

/** What a schema needs besides, its workflow's layer has: the definition's type says so. */
// @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
const contextFree = <A, E>(effect: Effect.Effect<A, E, unknown>) => effect as Effect.Effect<A, E>

/** The run's payload, or the cause that says why it cannot be read. */
const decodePayload = (run: ActiveRun): Effect.Effect<object, Json> => {
  const payload = contextFree(Codec.payloadFromJson(run.registration.workflow, run.claimed.payload))
  return (
    Codec.atHand(payload) ??
    Effect.mapError(payload, (error) =>
      blockCause(
        `the payload of run ${run.runId} of workflow "${run.workflowName}" does not decode: ${error.message}`
      )
    )
  )
}

/** A cause that keeps a run suspended, with what is to be mended before it is resumed. */
export const blockCause = (message: string): Json =>
  Codec.causeToJson(Cause.die(new Error(message)))

/** An exit as text; one that cannot be written becomes a defect that says so. */
const writable = (run: ActiveRun, exit: Exit.Exit<unknown, unknown>, bounded: Bounded) => {
  const json = Effect.flatMap(
    Effect.suspend(() => contextFree(Codec.exitToJson(run.registration.workflow, exit))),
    bounded
  )
  return Effect.matchCauseEffect(json, {
    onSuccess: (text) => Effect.succeed({ text, exit }),
    onFailure: (cause) => {
      const failure: Exit.Exit<unknown, unknown> = Exit.die(
        new Error(
          `the result of workflow "${run.workflowName}" cannot be recorded as JSON: ${Cause.pretty(cause)}`
        )
      )
      return Effect.map(Effect.orDie(Codec.encodedExitToJson(failure)), (text) => ({
        text,
        exit: failure
      }))
    }
  })
}
