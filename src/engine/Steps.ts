/**
 * Executes steps: one fiber each, in one set for the whole process, from the moment a step may
 * start until its outcome is recorded.
 */
import type * as Activity from "@effect/workflow/Activity"
import * as Workflow from "@effect/workflow/Workflow"
import * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Scope from "effect/Scope"
import * as Events from "../Events.js"
import type { Json, RunLost, RunStore } from "../RunStore.js"
import type { StepInFlight } from "../StepInFlight.js"
import * as Metrics from "../telemetry/Metrics.js"
import { type ActiveRun, markInner, stepKey } from "./ActiveRun.js"
import * as Codec from "./Codec.js"
import * as Fibers from "./Fibers.js"
import { LazyScope, toScope } from "./LazyScope.js"
import { type Link, linkOf, stepInstance, suspendedBy } from "./Pass.js"
import type { GivenUp, Persist } from "./Persist.js"
import type { Slots } from "./Slots.js"
import type { Bounded } from "./ValueSize.js"

type Instance = WorkflowEngine.WorkflowInstance["Type"]

/** What a step came to in this process. */
export type StepResult =
  | { readonly _tag: "Recorded"; readonly exit: Json }
  /** Nothing was recorded: it suspended, was cut or was not let in. */
  | { readonly _tag: "Suspended"; readonly cause: Cause.Cause<never> | undefined }

/** The fiber in which a step is executed; what it returns is the exit of the activity. */
type Executing = Fiber.RuntimeFiber<Exit.Exit<unknown, unknown>>

/** A step in flight, and what it takes to cut it without its counting as a failure. */
interface Flight extends StepInFlight {
  readonly run: ActiveRun
  readonly instance: Instance
  /** The instance's scope, and the one of the activity's execution. */
  readonly scopes: { readonly instance: LazyScope; readonly execution: LazyScope }
  /** Replaying the workflow does not come by this step. */
  readonly inner: boolean
  /** While it is being executed: not while it is being started, nor recorded. */
  fiber: Executing | undefined
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
  readonly bounded: Bounded
  /** No step of this run may start. */
  readonly refuses: (run: ActiveRun) => boolean
  /** The run was found to be held by somebody else. */
  readonly onLost: (run: ActiveRun) => void
  /** A step is in flight no more. */
  readonly onLanded: () => void
}): Effect.Effect<Steps, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { slots, store } = options
    const clock = yield* Effect.clock
    const flights = yield* inFlight
    const events = Option.getOrUndefined(yield* Effect.serviceOption(Events.Events))

    /** It is in flight no more; whoever else has asked for it goes on when this returns. */
    const land = (flight: Flight, result: StepResult): StepResult => {
      const { run } = flight
      flights.delete(flightKey(run, flight.key))
      run.stepsInFlight--
      Metrics.stepLanded(
        flight.workflow,
        flight.outcome ?? (flight.cut ? "cut" : "suspended"),
        flight.millis
      )
      flight.leave()
      for (const tell of flight.waiting ?? []) tell(result)
      run.changed()
      options.onLanded()
      return result
    }

    const record = (flight: Flight, exit: Exit.Exit<unknown, unknown>) =>
      Effect.flatMap(outcomeJson(flight, exit, options.bounded), (json) => {
        const { run } = flight
        const status = Exit.isSuccess(json.exit) ? "completed" : "failed"
        const text = flight.inner ? markInner(json.text) : json.text
        const timers = run.takeNewTimers()
        const completedAt = clock.unsafeCurrentTimeMillis()
        flight.outcome = "unrecorded"
        const step = {
          held: run.held,
          name: flight.name,
          attempt: flight.attempt,
          status,
          startedAt: flight.startedAt,
          completedAt,
          exit: text,
          timers
        } as const
        return Effect.matchCauseEffect(options.persist(store.recordStep(step)), {
          onSuccess: () => {
            const key = stepKey(flight.name, flight.attempt)
            run.steps.set(key, text)
            run.reach(key, flight.inner)
            flight.outcome = status
            flight.millis = completedAt - flight.startedAt
            return Effect.succeed(land(flight, { _tag: "Recorded", exit: text }))
          },
          onFailure: (cause) => {
            run.returnTimers(timers)
            return unrecorded(flight, cause)
          }
        })
      })

    const unrecorded = (flight: Flight, cause: Cause.Cause<RunLost | GivenUp>) => {
      const error = Option.getOrUndefined(Cause.failureOption(cause))
      if (error?._tag === "RunLost") options.onLost(flight.run)
      // what executed and was not recorded executes again, in another executor
      else flight.run.refused = true
      const result = Effect.succeed(land(flight, suspended))
      return error?._tag === "RunLost"
        ? result
        : Effect.zipRight(
            Effect.annotateLogs(Effect.logError("step not recorded", cause), "step", flight.key),
            result
          )
    }

    /** What has come of executing it is recorded, or is no outcome. Not to be interrupted. */
    const conclude = (
      flight: Flight,
      exit: Exit.Exit<unknown, unknown>
    ): Effect.Effect<StepResult> => {
      flight.fiber = undefined
      const outcome = outcomeOf(exit)
      if (outcome === undefined || (flight.cut && Exit.isFailure(outcome))) {
        const { cause } = flight.instance
        return Effect.succeed(land(flight, { _tag: "Suspended", cause }))
      }
      return flight.scopes.instance.isMade
        ? Effect.zipRight(
            Effect.ignoreLogged(flight.scopes.instance.close(outcome)),
            record(flight, outcome)
          )
        : record(flight, outcome)
    }

    const launch = (asking: Asking, flight: Flight, activity: Activity.Any): Executing => {
      const { run } = flight
      flights.set(flightKey(run, flight.key), flight)
      run.stepsInFlight++
      Metrics.stepStarted()
      events?.publish(startOf(flight))
      const fiber = Fibers.fork(originOf(asking, flight), executed(flight, activity))
      flight.fiber = fiber
      flight.started = true
      return fiber
    }

    /** A step whose workflow does not want it any more: a race is lost, the run is interrupted. */
    const abandon = (flight: Flight, fiber: Executing) =>
      Effect.gen(function* () {
        flight.cut = true
        flight.abandoned = true
        const exit = yield* Fiber.interrupt(fiber)
        const result = yield* conclude(flight, Exit.flatten(exit))
        const halt = flight.run.halt?._tag
        if (result._tag === "Recorded" || slots.isClosed()) return
        if (halt !== undefined && halt !== "interrupt") return
        // for people to see; a write that fails here is no loss
        yield* Effect.forkDaemon(
          Effect.ignore(
            store.noteStep({
              held: flight.run.held,
              name: flight.name,
              attempt: flight.attempt,
              status: "interrupted",
              startedAt: flight.startedAt,
              completedAt: clock.unsafeCurrentTimeMillis()
            })
          )
        )
      })

    /** What a step in flight comes to for another who asks for it; who may have to take it on. */
    const join = (flight: Flight, step: Parameters<Steps["execute"]>): Effect.Effect<StepResult> =>
      Effect.flatMap(landing(flight), (result) =>
        flight.abandoned && result._tag === "Suspended" ? execute(...step) : Effect.succeed(result)
      )

    /**
     * Starts the step, which has its room, and waits for it. Who asks for a step also records it,
     * and cannot be interrupted from then on.
     */
    const begin = (
      asking: Asking,
      link: Link,
      [instance, activity, attempt]: Parameters<Steps["execute"]>,
      restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
    ): Effect.Effect<StepResult> => {
      const { nested, run } = link
      const scopes = { instance: new LazyScope(), execution: new LazyScope() }
      const flight: Flight = {
        key: `${run.runId}/${stepKey(activity.name, attempt)}`,
        runId: run.runId,
        workflow: run.workflowName,
        name: activity.name,
        attempt,
        startedAt: clock.unsafeCurrentTimeMillis(),
        run,
        instance: stepInstance(run, scopes.instance),
        scopes,
        inner: nested || run.closing || instance !== run.instance,
        fiber: undefined,
        started: false,
        waiting: undefined,
        leave: nested ? noLeave : slots.leave,
        cut: false,
        abandoned: false,
        outcome: undefined,
        millis: undefined
      }
      const fiber = launch(asking, flight, activity)
      const ended = fiber.unsafePoll()
      return ended !== null
        ? conclude(flight, Exit.flatten(ended))
        : Effect.matchCauseEffect(restore(end(fiber)), {
            onSuccess: (exit) => conclude(flight, exit),
            onFailure: (cause) => Effect.zipRight(abandon(flight, fiber), Effect.failCause(cause))
          })
    }

    const refuse = (run: ActiveRun): Effect.Effect<StepResult> => {
      run.refused = true
      return Effect.succeed(suspended)
    }

    /** There is no room now; meanwhile another may ask for the same step. */
    const queue = (
      asking: Asking,
      link: Link,
      step: Parameters<Steps["execute"]>
    ): Effect.Effect<StepResult> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(slots.admit(() => options.refuses(link.run))), (admitted) => {
          const { run } = link
          const [, activity, attempt] = step
          if (!admitted) return refuse(run)
          const key = stepKey(activity.name, attempt)
          const ended = run.steps.get(key)
          const begun = flights.get(flightKey(run, `${run.runId}/${key}`))
          if (run.halt === undefined && ended === undefined && begun === undefined) {
            return begin(asking, link, step, restore)
          }
          slots.leave()
          if (run.halt !== undefined) return refuse(run)
          if (ended !== undefined) return Effect.succeed({ _tag: "Recorded", exit: ended })
          return begun === undefined ? refuse(run) : restore(join(begun, step))
        })
      )

    const execute: Steps["execute"] = (...step) =>
      Effect.withFiberRuntime<StepResult>((fiber, { runtimeFlags }) => {
        const [instance, activity, attempt] = step
        const link = linkOf(instance)
        if (link === undefined) return Effect.dieMessage(notOfThisEngine(activity.name))
        const { nested, run } = link
        const key = `${run.runId}/${stepKey(activity.name, attempt)}`
        const existing = flights.get(flightKey(run, key))
        if (existing !== undefined) return join(existing, step)
        // a step inside a step is part of it: it has its room already
        const admitted = nested || slots.enter(() => options.refuses(run))
        const asking = { fiber, runtimeFlags }
        if (admitted === undefined) return queue(asking, link, step)
        if (admitted && run.halt === undefined) {
          return Effect.uninterruptibleMask((restore) => begin(asking, link, step, restore))
        }
        if (admitted && !nested) slots.leave()
        return refuse(run)
      })

    return {
      execute,
      list: () => Array.from(flights.values(), toStepInFlight),
      cut: (matches) => {
        const cut: Array<StepInFlight> = []
        for (const flight of flights.values()) {
          if (!flight.started || !matches(flight.run)) continue
          cut.push(toStepInFlight(flight))
          flight.cut = true
          flight.fiber?.unsafeInterruptAsFork(flight.fiber.id())
        }
        return cut
      }
    }
  })

/** Who asks for a step. */
interface Asking {
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  readonly runtimeFlags: RuntimeFlags.RuntimeFlags
}

/**
 * What the step's fiber starts with: what its workflow has, and a scope. Interrupting it ends the
 * activity, and not the recording of an outcome that came all the same.
 */
const originOf = ({ fiber, runtimeFlags }: Asking, flight: Flight): Fibers.Origin =>
  Fibers.annotated(
    Runtime.make({
      context: Context.merge(fiber.currentContext, servicesOf(flight)),
      fiberRefs: fiber.getFiberRefs(),
      runtimeFlags: RuntimeFlags.disable(runtimeFlags, RuntimeFlags.Interruption)
    }),
    { step: stepKey(flight.name, flight.attempt) }
  )

const servicesOf = (flight: Flight) =>
  Context.add(
    Context.make(WorkflowEngine.WorkflowInstance, flight.instance),
    Scope.Scope,
    toScope(flight.scopes.execution)
  ) as Context.Context<never>

/**
 * The steps in flight. When this is released a drain is over: what it still holds are steps that
 * nothing could end. They are interrupted, and nobody waits for them.
 */
const inFlight = Effect.acquireRelease(
  Effect.sync(() => new Map<string, Flight>()),
  (flights) =>
    Effect.sync(() => {
      for (const { fiber } of flights.values()) fiber?.unsafeInterruptAsFork(fiber.id())
    })
)

/** A step that was left behind is not the same step of the same run, claimed anew. */
const flightKey = ({ held }: ActiveRun, key: string) => `${held.claim}/${key}`

const suspended: StepResult = { _tag: "Suspended", cause: undefined }

const noLeave = () => {}

const startOf = ({ attempt, name, runId, startedAt, workflow }: Flight): Events.StepChanged => ({
  type: "step",
  at: startedAt,
  runId,
  workflow,
  name,
  attempt,
  status: "running"
})

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

/** What executing it has come to. Not `Fiber.join`: what a step does to its fiber's refs would be gone on replay. */
const end = (fiber: Executing): Effect.Effect<Exit.Exit<unknown, unknown>> =>
  Effect.async((resume) => {
    const tell = (exit: Exit.Exit<Exit.Exit<unknown, unknown>>) =>
      resume(Effect.succeed(Exit.flatten(exit)))
    fiber.addObserver(tell)
    return Effect.sync(() => fiber.removeObserver(tell))
  })

/** What it comes to; at once where it asks for itself while it is being started. */
const landing = (flight: Flight): Effect.Effect<StepResult> =>
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

/** Real failures count, also beside interruptions; interruptions alone are no outcome. */
const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> | undefined => {
  if (Exit.isSuccess(exit)) return exit
  if (Cause.isInterruptedOnly(exit.cause)) return undefined
  return Exit.failCause(Cause.filter(exit.cause, (cause) => !Cause.isInterruptType(cause)))
}

/** What cannot be written is the step's failure, as a defect that says so. */
const outcomeJson = (flight: Flight, exit: Exit.Exit<unknown, unknown>, bounded: Bounded) => {
  const json = Codec.encodedExitToJson(exit)
  const text = Codec.atHand(json)
  const fits = text === undefined ? undefined : bounded(text.right)
  return fits !== undefined && Either.isRight(fits)
    ? Effect.succeed({ text: fits.right, exit })
    : json.pipe(
        Effect.flatMap(bounded),
        Effect.map((text) => ({ text, exit })),
        Effect.catchAll((error) => unwritable(flight, error))
      )
}

const unwritable = (flight: Flight, error: Error) => {
  const message = `the outcome of step "${flight.name}" of workflow "${flight.workflow}" cannot be recorded as JSON: ${error.message}`
  const exit = Exit.die(new Error(message))
  return Effect.map(Effect.orDie(Codec.encodedExitToJson(exit)), (text) => ({ text, exit }))
}
