/**
 * Executes steps: one fiber each, in one set for the whole process, from the moment a step may
 * start until its outcome is recorded.
 */
import { type Activity, Workflow, WorkflowEngine } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as Scope from "effect/Scope"
import type { StepInFlight } from "../Dispatcher.js"
import type { Json, RunStore } from "../RunStore.js"
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
  /** Whoever asked for it first does not want it any more. */
  abandoned: boolean
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
        yield* options
          .persist(
            store.recordStep({
              held: run.held,
              name: flight.name,
              attempt: flight.attempt,
              status: Exit.isSuccess(json.exit) ? "completed" : "failed",
              startedAt: flight.startedAt,
              completedAt: yield* Clock.currentTimeMillis,
              exit: json.text,
              timers
            })
          )
          .pipe(Effect.tapErrorCause(() => Effect.sync(() => run.returnTimers(timers))))
        const key = stepKey(flight.name, flight.attempt)
        run.steps.set(key, json.text)
        run.reach(key, flight.inner)
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
            return Effect.as(Effect.logError("step not recorded", error), suspended)
          }
        })
      )

    /** The whole of a step: execute, record. What it returns is recorded. */
    const fly = (flight: Flight, activity: Activity.Any): Effect.Effect<StepResult> =>
      Workflow.intoResult(activity.executeEncoded).pipe(
        Effect.provideService(WorkflowEngine.WorkflowInstance, flight.instance),
        Effect.exit,
        Effect.flatMap((exit) => {
          const outcome = outcomeOf(exit, flight.instance)
          return outcome === undefined
            ? Effect.succeed<StepResult>({ _tag: "Suspended", cause: flight.instance.cause })
            : record(flight, outcome)
        }),
        Effect.annotateLogs({
          runId: flight.runId,
          workflow: flight.workflow,
          step: stepKey(flight.name, flight.attempt)
        })
      ) as Effect.Effect<StepResult>

    const launch = (flight: Flight, activity: Activity.Any, leave: () => void) =>
      Effect.gen(function* () {
        const { run } = flight
        flights.set(flightKey(run, flight.key), flight)
        run.stepsInFlight++
        const fiber = yield* Effect.forkDaemon(fly(flight, activity))
        flight.fiber = fiber
        fiber.addObserver(() => {
          flights.delete(flightKey(run, flight.key))
          run.stepsInFlight--
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
        flight.instance.suspended = true
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
          flight.fiber === undefined ? Effect.succeed(suspended) : Fiber.join(flight.fiber),
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
            abandoned: false
          }
          const fiber = yield* launch(flight, activity, nested ? noLeave : slots.leave)
          return yield* Effect.onInterrupt(restore(Fiber.join(fiber)), () => abandon(flight, fiber))
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
          flight.instance.suspended = true
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

/** The exit to record, or `undefined` when the step has none: it suspended, or it was cut. */
const outcomeOf = (
  exit: Exit.Exit<Workflow.Result<unknown, unknown>>,
  instance: Instance
): Exit.Exit<unknown, unknown> | undefined => {
  if (Exit.isSuccess(exit)) {
    return exit.value._tag === "Complete" ? exit.value.exit : undefined
  }
  return instance.suspended || Cause.isInterruptedOnly(exit.cause) ? undefined : exit
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
