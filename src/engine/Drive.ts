/**
 * Drives one run that this process holds: pass after pass, until it is over, suspended or handed
 * over, with what became of it written before anybody is told.
 */
import { Workflow, WorkflowEngine } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { Json, RunStore } from "../RunStore.js"
import type { ActiveRun } from "./ActiveRun.js"
import * as Codec from "./Codec.js"
import * as Pass from "./Pass.js"
import type { Persist } from "./Persist.js"
import { turn } from "./Turn.js"

export interface DriveOptions {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
  /** Runs of this process are given back rather than begun again. */
  readonly isDraining: (run: ActiveRun) => boolean
}

/** Whether another pass follows. */
type Settled = "over" | "again"

export const drive = (run: ActiveRun, options: DriveOptions): Effect.Effect<void> =>
  Effect.gen(function* () {
    const payload = yield* decodePayload(run)
    while (true) {
      const verdict: Pass.Verdict =
        payload._tag === "Left"
          ? { _tag: "Suspend", cause: payload.left }
          : options.isDraining(run)
            ? { _tag: "Release" }
            : yield* pass(run, payload.right)
      if ((yield* settle(run, verdict, options)) === "over") return
    }
  }).pipe(
    Effect.catchTags({
      RunLost: (error) => Effect.logWarning("run lost to another executor", error),
      GivenUp: (error) => Effect.logError("the run's state was not written", error)
    }),
    Effect.annotateLogs({ runId: run.runId, workflow: run.workflowName }),
    Effect.uninterruptible
  )

/** One execution of the workflow's function, and what it means for the run. */
const pass = (run: ActiveRun, payload: object): Effect.Effect<Pass.Verdict> =>
  Effect.gen(function* () {
    const instance = Pass.runInstance(run)
    run.beginPass(instance)
    const workflow = run.registration.execute(payload, run.runId) as Effect.Effect<
      unknown,
      unknown,
      WorkflowEngine.WorkflowInstance
    >
    const fiber = yield* Workflow.intoResult(workflow).pipe(
      Effect.provideService(WorkflowEngine.WorkflowInstance, instance),
      Effect.forkDaemon
    )
    run.fiber = fiber
    if (run.interrupting) yield* Effect.forkDaemon(interruptAtEndOfRecord(run, fiber))
    const exit = yield* Fiber.await(fiber)
    run.fiber = undefined
    return Pass.decide({
      exit,
      suspended: instance.suspended,
      halt: run.halt,
      refused: run.refused
    })
  })

/** Ends the present pass in the interrupt that was asked for; its compensations run. */
export const interruptNow = (run: ActiveRun): void => {
  if (run.closing || run.instance === undefined || run.fiber === undefined) return
  run.instance.suspended = false
  run.instance.interrupted = true
  run.fiber.unsafeInterruptAsFork(run.fiber.id())
}

/**
 * An interrupting pass ends where the record ends: at a step or wait, which the engine sees, or in
 * code between steps, which shows in nothing happening for a few turns of the event loop.
 */
const interruptAtEndOfRecord = (run: ActiveRun, fiber: Fiber.RuntimeFiber<unknown>) =>
  Effect.gen(function* () {
    let version = -1
    let quiet = 0
    while (run.fiber === fiber && !run.closing && quiet < 5) {
      quiet = version === run.version ? quiet + 1 : 0
      version = run.version
      yield* turn
    }
    if (run.fiber === fiber) interruptNow(run)
  })

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
      return Effect.succeed<Settled>("again")
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
    yield* options.persist(options.store.complete({ held: run.held, status, exit: written.text }))
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
        : Effect.logWarning("run suspended after a failure; it waits to be resumed", cause)
      return "over" as Settled
    }
    run.load(woken.value)
    return "again" as Settled
  })

const release = (run: ActiveRun, options: DriveOptions) =>
  Effect.gen(function* () {
    yield* options.persist(
      options.store.release([{ held: run.held, timers: run.takeNewTimers() }])
    )
    run.handedOver = true
    return "over" as Settled
  })

const contextFree = <A, E>(effect: Effect.Effect<A, E, unknown>) => effect as Effect.Effect<A, E>

/** The run's payload, or the cause that says why it cannot be read. */
const decodePayload = (run: ActiveRun) => {
  const schema = run.registration.workflow.payloadSchema as unknown as Schema.Schema<
    object,
    unknown,
    unknown
  >
  return contextFree(Schema.decode(Schema.parseJson(schema))(run.claimed.payload)).pipe(
    Effect.mapError((error) =>
      blockCause(
        `the payload of run ${run.runId} of workflow "${run.workflowName}" does not decode: ${ParseResult.TreeFormatter.formatErrorSync(error)}`
      )
    ),
    Effect.either
  )
}

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
