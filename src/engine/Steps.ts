/**
 * Executes steps: one fiber each. A step is in one set for the whole process from the moment it may
 * start until its outcome is recorded; its fiber ends with its activity.
 */
import type * as Activity from "@effect/workflow/Activity"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Events from "../Events.js"
import type { StepInFlight } from "../StepInFlight.js"
import * as Metrics from "../telemetry/Metrics.js"
import { type ActiveRun, stepKey } from "./ActiveRun.js"
import * as Flights from "./Flight.js"
import {
  type Asking,
  type Executing,
  type Flight,
  type Request,
  type StepResult,
  suspended
} from "./Flight.js"
import { type Link, linkOf } from "./Pass.js"
import * as Recording from "./Recording.js"
import type { Slots } from "./Slots.js"

export interface Steps {
  /**
   * Executes a step of a run and records its outcome, or joins the one in flight.
   */
  readonly execute: (...request: Request) => Effect.Effect<StepResult>
  readonly list: () => ReadonlyArray<StepInFlight>
  /** Interrupts the steps in flight of these runs, and says which; does not wait for them. */
  readonly cut: (matches: (run: ActiveRun) => boolean) => ReadonlyArray<StepInFlight>
}

interface StepsOptions extends Omit<Recording.RecordingOptions, "clock" | "land"> {
  readonly slots: Slots
  /** No step of this run may start. */
  readonly refuses: (run: ActiveRun) => boolean
  /** A step is in flight no more. */
  readonly onLanded: () => void
}

export const make = (options: StepsOptions): Effect.Effect<Steps, never, Scope.Scope> =>
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

    const conclude = Recording.make({ ...options, clock, land })

    const launch = (asking: Asking, flight: Flight, activity: Activity.Any): Executing => {
      flights.set(flightKey(flight.run, flight.key), flight)
      flight.run.stepsInFlight++
      Metrics.stepStarted()
      events?.publish(Flights.startOf(flight))
      return Flights.start(asking, flight, activity)
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
    const join = (flight: Flight, request: Request): Effect.Effect<StepResult> =>
      Effect.flatMap(Flights.landing(flight), (result) =>
        flight.abandoned && result._tag === "Suspended"
          ? execute(...request)
          : Effect.succeed(result)
      )

    /**
     * Starts the step, which has its room, and waits for it. Who asks for a step also records it,
     * and cannot be interrupted from then on.
     */
    const begin = (
      asking: Asking,
      link: Link,
      request: Request,
      restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
    ): Effect.Effect<StepResult> => {
      const [, activity] = request
      const flight = Flights.make(link, request, {
        startedAt: clock.unsafeCurrentTimeMillis(),
        leave: link.nested ? noLeave : slots.leave
      })
      const fiber = launch(asking, flight, activity)
      const ended = fiber.unsafePoll()
      return ended !== null
        ? conclude(flight, Exit.flatten(ended))
        : Effect.matchCauseEffect(restore(Flights.end(fiber)), {
            onSuccess: (exit) => conclude(flight, exit),
            onFailure: (cause) => Effect.zipRight(abandon(flight, fiber), Effect.failCause(cause))
          })
    }

    const refuse = (run: ActiveRun): Effect.Effect<StepResult> => {
      run.refused = true
      return Effect.succeed(suspended)
    }

    /** There is no room now; meanwhile another may ask for the same step. */
    const queue = (asking: Asking, link: Link, request: Request): Effect.Effect<StepResult> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(slots.admit(() => options.refuses(link.run))), (admitted) => {
          const { run } = link
          const [, activity, attempt] = request
          if (!admitted) return refuse(run)
          const ended = run.steps.get(stepKey(activity.name, attempt))
          const begun = flights.get(flightKey(run, Flights.keyOf(run, request)))
          if (run.halt === undefined && ended === undefined && begun === undefined) {
            return begin(asking, link, request, restore)
          }
          slots.leave()
          if (run.halt !== undefined) return refuse(run)
          if (ended !== undefined) return Effect.succeed({ _tag: "Recorded", exit: ended })
          return begun === undefined ? refuse(run) : restore(join(begun, request))
        })
      )

    const execute: Steps["execute"] = (...request) =>
      Effect.withFiberRuntime<StepResult>((fiber, { runtimeFlags }) => {
        const [instance, activity] = request
        const link = linkOf(instance)
        if (link === undefined) return Effect.dieMessage(notOfThisEngine(activity.name))
        const { nested, run } = link
        const existing = flights.get(flightKey(run, Flights.keyOf(run, request)))
        if (existing !== undefined) return join(existing, request)
        // a step inside a step is part of it: it has its room already
        const admitted = nested || slots.enter(() => options.refuses(run))
        const asking = { fiber, runtimeFlags }
        if (admitted === undefined) return queue(asking, link, request)
        if (admitted && run.halt === undefined) {
          return Effect.uninterruptibleMask((restore) => begin(asking, link, request, restore))
        }
        if (admitted && !nested) slots.leave()
        return refuse(run)
      })

    return {
      execute,
      list: () => Array.from(flights.values(), Flights.toStepInFlight),
      cut: (matches) => {
        const cut: Array<StepInFlight> = []
        for (const flight of flights.values()) {
          if (!flight.started || !matches(flight.run)) continue
          cut.push(Flights.toStepInFlight(flight))
          flight.cut = true
          flight.fiber?.unsafeInterruptAsFork(flight.fiber.id())
        }
        return cut
      }
    }
  })

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

const noLeave = () => {}

const notOfThisEngine = (name: string) =>
  `Activity "${name}" was executed outside of a run: an Activity runs inside a workflow only`
