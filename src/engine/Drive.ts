/**
 * Drives one run that this process holds: pass after pass, until it is over, suspended or handed
 * over, with what became of it written before anybody is told.
 */
import * as Workflow from "@effect/workflow/Workflow"
import * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type { Json, RunStore } from "../RunStore.js"
import * as Metrics from "../telemetry/Metrics.js"
import type { PassOutcome, Spans } from "../telemetry/Spans.js"
import { type ActiveRun, interruptPoint } from "./ActiveRun.js"
import * as Codec from "./Codec.js"
import * as Pass from "./Pass.js"
import type { Persist } from "./Persist.js"
import { turn } from "./Turn.js"

export interface DriveOptions {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
  /** Runs of this process are given back rather than begun again. */
  readonly isDraining: (run: ActiveRun) => boolean
  readonly spans: Spans
}

/** Whether another pass follows. */
type Settled = "over" | "again"

export const drive = (run: ActiveRun, options: DriveOptions): Effect.Effect<void> =>
  Effect.gen(function* () {
    const payload = yield* decodePayload(run)
    let passes = 0
    while (true) {
      const verdict: Pass.Verdict =
        payload._tag === "Left"
          ? unreadable(run, payload.left)
          : options.isDraining(run)
            ? { _tag: "Release" }
            : yield* pass(run, payload.right, options, ++passes)
      if ((yield* settle(run, verdict, options)) === "over") return
    }
  }).pipe(
    Effect.catchTags({
      RunLost: (error) => Effect.logWarning("run lost to another executor", Cause.fail(error)),
      GivenUp: (error) => Effect.logError("the run's state was not written", Cause.fail(error))
    }),
    Effect.annotateLogs({ runId: run.runId, workflow: run.workflowName }),
    Effect.uninterruptible
  )

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
  number: number
): Effect.Effect<Pass.Verdict> =>
  Effect.gen(function* () {
    const span = yield* options.spans.pass({
      runId: run.runId,
      workflow: run.workflowName,
      pass: number,
      resumed: number > 1 || run.held.claim > 1,
      trace: run.claimed.trace
    })
    const instance = Pass.runInstance(run)
    run.beginPass(instance)
    // the engine that it asks for is the one it was registered with
    // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
    const workflow = run.registration.execute(payload, run.runId) as Effect.Effect<
      unknown,
      unknown,
      WorkflowEngine.WorkflowInstance
    >
    const fiber = yield* Workflow.intoResult(workflow).pipe(
      Effect.provideService(WorkflowEngine.WorkflowInstance, instance),
      span.inside,
      // a workflow's services are those of its registration, not those around this executor
      Effect.mapInputContext((_: Context.Context<never>) => Context.empty()),
      Effect.forkDaemon
    )
    run.fiber = fiber
    if (run.interrupting) yield* Effect.forkDaemon(interruptAtEndOfRecord(run, fiber, options))
    const exit = yield* Fiber.await(fiber)
    run.fiber = undefined
    run.progressed()
    const verdict = Pass.decide({
      exit,
      suspended: instance.suspended,
      halt: run.halt,
      refused: run.refused,
      compensating: run.closing && instance.suspended
    })
    yield* span.end(
      passOutcomes[verdict._tag],
      verdict._tag === "Complete" ? verdict.exit : Exit.void
    )
    return verdict
  })

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
  fiber: Fiber.RuntimeFiber<unknown>,
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
  Effect.gen(function* () {
    const written = yield* writable(run, exit)
    const status = Codec.statusOfExit(written.exit)
    const { compensated, held } = run
    yield* options.persist(
      options.store.complete({ held, status, exit: written.text, compensated })
    )
    Metrics.runFinished(run.workflowName, status)
    yield* Effect.logDebug(`run ${status}`)
    return "over" as Settled
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
const decodePayload = (run: ActiveRun) =>
  contextFree(Codec.payloadFromJson(run.registration.workflow, run.claimed.payload)).pipe(
    Effect.mapError((error) =>
      blockCause(
        `the payload of run ${run.runId} of workflow "${run.workflowName}" does not decode: ${error.message}`
      )
    ),
    Effect.either
  )

/** A cause that keeps a run suspended, with what is to be mended before it is resumed. */
export const blockCause = (message: string): Json =>
  Codec.causeToJson(Cause.die(new Error(message)))

/** An exit as text; one that its schemas cannot write becomes a defect that says so. */
const writable = (run: ActiveRun, exit: Exit.Exit<unknown, unknown>) =>
  contextFree(Codec.exitToJson(run.registration.workflow, exit)).pipe(
    Effect.map((text) => ({ text, exit })),
    Effect.catchAllCause((cause) => {
      const failure = Exit.die(
        new Error(`the result of workflow "${run.workflowName}" cannot be written: ${cause}`)
      )
      return Effect.map(Effect.orDie(Codec.encodedExitToJson(failure)), (text) => ({
        text,
        exit: failure as Exit.Exit<unknown, unknown>
      }))
    })
  )
