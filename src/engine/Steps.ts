/**
 * Executes steps: one fiber each, in one set for the whole process, from the moment a step may
 * start until its outcome is recorded.
 */
import type * as Activity from "@effect/workflow/Activity"
import * as Workflow from "@effect/workflow/Workflow"
import * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as Scope from "effect/Scope"
import type { Json, RunStore } from "../RunStore.js"
import type { StepInFlight } from "../StepInFlight.js"
import * as Metrics from "../telemetry/Metrics.js"
import { type ActiveRun, markInner, stepKey } from "./ActiveRun.js"
import * as Codec from "./Codec.js"
import { linkOf, stepInstance } from "./Pass.js"
import type { Persist } from "./Persist.js"
import type { Slots } from "./Slots.js"

type Instance = WorkflowEngine.WorkflowInstance["Type"]

/** What a step came to in this process. */
export type StepResult =
  | { readonly _tag: "Recorded"; readonly exit: Json }
  /** Nothing was recorded: it suspended, was cut or was not let in. */
  | { readonly _tag: "Suspended"; readonly cause: Cause.Cause<never> | undefined }

/** A step in flight, and what it takes to cut it without its counting as a failure. */
interface Flight extends StepInFlight {
  readonly run: ActiveRun
  readonly instance: Instance
  /** Replaying the workflow does not come by this step. */
  readonly inner: boolean
  fiber: Fiber.RuntimeFiber<StepResult> | undefined
  /** It was interrupted from outside: what comes of that is no failure of the step. */
  cut: boolean
  /** Whoever asked for it first does not want it any more. */
  abandoned: boolean
  /** Of one that was to be recorded; for the metrics. */
  outcome: "completed" | "failed" | "unrecorded" | undefined
  /** How long it took, once recorded. */
  millis: number | undefined
}

export interface Steps {
  /**
   * Executes a step of a run and records its outcome, or joins the one in flight.
   */
  readonly execute: (
    instance: Instance,
    activity: Activity.Any,
    attempt: number
  ) => Effect.Effect<StepResult>
  readonly list: () => ReadonlyArray<StepInFlight>
  /** Interrupts the steps in flight of these runs, and says which; does not wait for them. */
  readonly cut: (matches: (run: ActiveRun) => boolean) => ReadonlyArray<StepInFlight>
}

export const make = (options: {
  readonly store: RunStore["Type"]
  readonly slots: Slots
  readonly persist: Persist["persist"]
  /** No step of this run may start. */
  readonly refuses: (run: ActiveRun) => boolean
  /** The run was found to be held by somebody else. */
  readonly onLost: (run: ActiveRun) => void
  /** A step is in flight no more. */
  readonly onLanded: () => void
}): Effect.Effect<Steps, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { slots, store } = options
    const fibers = yield* unawaited(FiberMap.make<string, StepResult>())
    const flights = new Map<string, Flight>()

    const record = (flight: Flight, exit: Exit.Exit<unknown, unknown>) =>
      Effect.gen(function* () {
        const { run } = flight
        const outcome = yield* outcomeJson(flight, exit)
        const json = flight.inner ? { ...outcome, text: markInner(outcome.text) } : outcome
        const timers = run.takeNewTimers()
        const completedAt = yield* Clock.currentTimeMillis
        flight.outcome = "unrecorded"
        yield* options
          .persist(
            store.recordStep({
              held: run.held,
              name: flight.name,
              attempt: flight.attempt,
              status: Exit.isSuccess(json.exit) ? "completed" : "failed",
              startedAt: flight.startedAt,
              completedAt,
              exit: json.text,
              timers
            })
          )
          .pipe(Effect.tapErrorCause(() => Effect.sync(() => run.returnTimers(timers))))
        const key = stepKey(flight.name, flight.attempt)
        run.steps.set(key, json.text)
        run.reach(key, flight.inner)
        flight.outcome = Exit.isSuccess(json.exit) ? "completed" : "failed"
        flight.millis = completedAt - flight.startedAt
        return { _tag: "Recorded" as const, exit: json.text }
      }).pipe(
        Effect.catchTags({
          RunLost: () =>
            Effect.as(
              Effect.sync(() => options.onLost(flight.run)),
              suspended
            ),
          GivenUp: (error) => {
            // what executed and was not recorded executes again, in another executor
            flight.run.refused = true
            return Effect.as(Effect.logError("step not recorded", Cause.fail(error)), suspended)
          }
        })
      )

    /** The whole of a step: execute, record. What it returns is recorded. */
    const fly = (flight: Flight, activity: Activity.Any): Effect.Effect<StepResult> =>
      attempt(activity, flight.instance).pipe(
        Effect.flatMap((outcome) =>
          outcome === undefined || (flight.cut && Exit.isFailure(outcome))
            ? Effect.succeed<StepResult>({ _tag: "Suspended", cause: flight.instance.cause })
            : record(flight, outcome)
        ),
        Effect.annotateLogs({
          runId: flight.runId,
          workflow: flight.workflow,
          step: stepKey(flight.name, flight.attempt)
        })
      )

    const launch = (flight: Flight, activity: Activity.Any, leave: () => void) =>
      Effect.gen(function* () {
        const { run } = flight
        flights.set(flightKey(run, flight.key), flight)
        run.stepsInFlight++
        Metrics.stepStarted()
        const fiber = yield* Effect.forkDaemon(fly(flight, activity))
        flight.fiber = fiber
        fiber.addObserver(() => {
          flights.delete(flightKey(run, flight.key))
          run.stepsInFlight--
          Metrics.stepLanded(
            flight.workflow,
            flight.outcome ?? (flight.cut ? "cut" : "suspended"),
            flight.millis
          )
          leave()
          run.changed()
          options.onLanded()
        })
        FiberMap.unsafeSet(fibers, flightKey(run, flight.key), fiber)
        return fiber
      })

    /** A step whose workflow does not want it any more: a race is lost, the run is interrupted. */
    const abandon = (flight: Flight, fiber: Fiber.RuntimeFiber<StepResult>) =>
      Effect.gen(function* () {
        flight.cut = true
        flight.abandoned = true
        const exit = yield* Fiber.interrupt(fiber)
        const cut = Exit.isFailure(exit) || exit.value._tag === "Suspended"
        const halt = flight.run.halt?._tag
        if (!cut || slots.isClosed() || (halt !== undefined && halt !== "interrupt")) return
        // for people to see; a write that fails here is no loss
        yield* Effect.forkDaemon(
          Effect.ignore(
            store.noteStep({
              held: flight.run.held,
              name: flight.name,
              attempt: flight.attempt,
              status: "interrupted",
              startedAt: flight.startedAt,
              completedAt: yield* Clock.currentTimeMillis
            })
          )
        )
      })

    /** What a step in flight comes to for another who asks for it; who may have to take it on. */
    const joining =
      (instance: Instance, activity: Activity.Any, attempt: number) =>
      (flight: Flight): Effect.Effect<StepResult> =>
        Effect.flatMap(
          flight.fiber === undefined ? Effect.succeed(suspended) : landing(flight.fiber),
          (result) =>
            flight.abandoned && result._tag === "Suspended"
              ? execute(instance, activity, attempt)
              : Effect.succeed(result)
        )

    const execute: Steps["execute"] = (instance, activity, attempt) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const link = linkOf(instance)
          if (link === undefined) return yield* Effect.dieMessage(notOfThisEngine(activity.name))
          const { nested, run } = link
          const join = joining(instance, activity, attempt)
          const key = `${run.runId}/${stepKey(activity.name, attempt)}`
          const existing = flights.get(flightKey(run, key))
          if (existing !== undefined) return yield* restore(join(existing))
          // a step inside a step is part of it: it has its room already
          const admitted = nested || (yield* restore(slots.admit(() => options.refuses(run))))
          if (!admitted || run.halt !== undefined) {
            if (admitted && !nested) slots.leave()
            run.refused = true
            return suspended
          }
          // asked for twice while there was no room: the other has begun or even ended meanwhile
          const begun = nested ? undefined : flights.get(flightKey(run, key))
          const ended = nested ? undefined : run.steps.get(stepKey(activity.name, attempt))
          if (begun !== undefined || ended !== undefined) {
            slots.leave()
            if (ended !== undefined) return { _tag: "Recorded" as const, exit: ended }
            if (begun !== undefined) return yield* restore(join(begun))
          }
          const flight: Flight = {
            key,
            runId: run.runId,
            workflow: run.workflowName,
            name: activity.name,
            attempt,
            startedAt: yield* Clock.currentTimeMillis,
            run,
            instance: stepInstance(run),
            inner: nested || run.closing || instance !== run.instance,
            fiber: undefined,
            cut: false,
            abandoned: false,
            outcome: undefined,
            millis: undefined
          }
          const fiber = yield* launch(flight, activity, nested ? noLeave : slots.leave)
          return yield* Effect.onInterrupt(restore(landing(fiber)), () => abandon(flight, fiber))
        })
      )

    return {
      execute,
      list: () => Array.from(flights.values(), toStepInFlight),
      cut: (matches) => {
        const cut: Array<StepInFlight> = []
        for (const flight of flights.values()) {
          if (flight.fiber === undefined || !matches(flight.run)) continue
          cut.push(toStepInFlight(flight))
          flight.cut = true
          flight.fiber.unsafeInterruptAsFork(flight.fiber.id())
        }
        return cut
      }
    }
  })

/** A step that was left behind is not the same step of the same run, claimed anew. */
const flightKey = ({ held }: ActiveRun, key: string) => `${held.claim}/${key}`

const suspended: StepResult = { _tag: "Suspended", cause: undefined }

/**
 * A resource whose release nobody waits for. When the set of steps is released a drain is over:
 * what it still holds are steps that nothing could end, and they must not hold the rest up.
 */
const unawaited = <A, E>(acquire: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.acquireRelease(Scope.make(), (scope, exit) =>
    Effect.forkDaemon(Scope.close(scope, exit))
  ).pipe(Effect.flatMap((scope) => Scope.extend(acquire, scope)))

const noLeave = () => {}

const notOfThisEngine = (name: string) =>
  `Activity "${name}" was executed outside of a run: an Activity runs inside a workflow only`

const toStepInFlight = (flight: Flight): StepInFlight => ({
  key: flight.key,
  runId: flight.runId,
  workflow: flight.workflow,
  name: flight.name,
  attempt: flight.attempt,
  startedAt: flight.startedAt
})

/** A step's end. Not `Fiber.join`: what a step does to its fiber's refs would be gone on replay. */
const landing = (fiber: Fiber.RuntimeFiber<StepResult>): Effect.Effect<StepResult> =>
  Effect.async((resume) => {
    const land = (exit: Exit.Exit<StepResult>) => resume(exit)
    fiber.addObserver(land)
    return Effect.sync(() => fiber.removeObserver(land))
  })

/**
 * Executes an activity: the exit to record, or `undefined` when it has none, because it suspended
 * or was cut. What `Workflow.intoResult` does for a workflow, in this fiber: interrupting it ends
 * the activity, and not the recording of an outcome that came all the same.
 */
const attempt = (
  activity: Activity.Any,
  instance: Instance
): Effect.Effect<Exit.Exit<unknown, unknown> | undefined> =>
  // what an activity needs is in the context of the workflow that asks for it
  // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
  suspendingOnFailure(activity.executeEncoded, instance).pipe(
    Effect.scoped,
    Effect.interruptible,
    Effect.provideService(WorkflowEngine.WorkflowInstance, instance),
    Effect.exit,
    Effect.flatMap((exit) => {
      const outcome = outcomeOf(exit)
      return outcome === undefined
        ? Effect.succeed(undefined)
        : Effect.as(Scope.close(instance.scope, outcome), outcome)
    })
  ) as Effect.Effect<Exit.Exit<unknown, unknown> | undefined>

const suspendingOnFailure = (
  effect: Effect.Effect<unknown, unknown, unknown>,
  instance: Instance
) =>
  Context.get(instance.workflow.annotations, Workflow.SuspendOnFailure)
    ? Effect.catchAllCause(effect, (cause) => {
        instance.suspended = true
        if (!Cause.isInterruptedOnly(cause)) instance.cause = Cause.die(Cause.squash(cause))
        return Effect.interrupt
      })
    : effect

/** Real failures count, also beside interruptions; interruptions alone are no outcome. */
const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> | undefined => {
  if (Exit.isSuccess(exit)) return exit
  if (Cause.isInterruptedOnly(exit.cause)) return undefined
  return Exit.failCause(Cause.filter(exit.cause, (cause) => !Cause.isInterruptType(cause)))
}

/** What cannot be written is the step's failure, as a defect that says so. */
const outcomeJson = (flight: Flight, exit: Exit.Exit<unknown, unknown>) =>
  Codec.encodedExitToJson(exit).pipe(
    Effect.map((text) => ({ text, exit })),
    Effect.catchAll((error) => {
      const message = `the outcome of step "${flight.name}" of workflow "${flight.workflow}" cannot be written as JSON: ${error.message}`
      const failure = Exit.die(new Error(message))
      return Effect.map(Effect.orDie(Codec.encodedExitToJson(failure)), (text) => ({
        text,
        exit: failure
      }))
    })
  )
