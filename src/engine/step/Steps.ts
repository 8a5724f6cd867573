/**
 * Executes steps: one fiber each. A step is in one set for the whole process from the moment it may
 * start until its outcome is recorded; its fiber ends with its activity.
 */
import type * as Activity from "@effect/workflow/Activity"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import * as Events from "../../events/Events.js"
import * as Metrics from "../../telemetry/Metrics.js"
import type { Lease } from "../held/Lease.js"
import type { Instance, Link } from "../pass/Pass.js"
import { type ActiveRun, stepKey } from "../run/ActiveRun.js"
import * as Flights from "./Flight.js"
import {
  type Executing,
  Flight,
  Request,
  restWith,
  type StepEnd,
  type StepResult,
  suspended
} from "./Flight.js"
import * as Programs from "./Programs.js"
import * as Recording from "./Recording.js"
import type { Slots } from "./Slots.js"
import type { StepInFlight } from "./StepInFlight.js"

export interface Steps {
  /**
   * Executes a step of a run and records its outcome, or joins the one in flight, and goes on with what
   * that is. Until then the fiber is inside of a call of the engine.
   */
  readonly execute: (
    link: Link,
    fiber: Fiber.RuntimeFiber<unknown, unknown>,
    runtimeFlags: RuntimeFlags.RuntimeFlags,
    instance: Instance,
    activity: Activity.Any,
    attempt: number,
    after: Flights.AfterStep
  ) => StepEnd
  readonly list: () => ReadonlyArray<StepInFlight>
  /** Interrupts the steps in flight of these runs, and says which; does not wait for them. */
  readonly cut: (matches: (run: ActiveRun) => boolean) => ReadonlyArray<StepInFlight>
  /** The same for those of a run whose workflow lets them be interrupted. */
  readonly interrupt: (run: ActiveRun) => void
}

interface StepsOptions extends Omit<Recording.RecordingOptions, "clock" | "land"> {
  readonly slots: Slots
  readonly lease: Lease
  /** No step of this run may start. */
  readonly refuses: (run: ActiveRun) => boolean
  /** A step is in flight no more. */
  readonly onLanded: () => void
  /** Goes on with a run that waits in memory, if it is to be gone on with here. */
  readonly activate: (run: ActiveRun) => Effect.Effect<void>
}

export const make = (options: StepsOptions): Effect.Effect<Steps, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { lease, slots, store } = options
    const clock = yield* Effect.clock
    const flights = yield* inFlight
    yield* Programs.watch
    const events = Option.getOrUndefined(yield* Effect.serviceOption(Events.Events))

    // a step inside a step is part of it: it has no room of its own
    const leaveRoom = ({ request, rests }: Flight) => {
      if (!request.link.nested && !rests) slots.leave()
    }

    /** What only waits for the engine needs no room, and is nothing that a run has under way. */
    const onRest = (flight: Flight, rests: boolean) => {
      if (flight.rests === rests) return
      if (rests) leaveRoom(flight)
      else if (!flight.request.link.nested) slots.takeBack()
      flight.rests = rests
      flight.pass.stepsInFlight += rests ? -1 : 1
      restWith(flight.request, rests)
      for (const asking of flight.waiting ?? []) restWith(asking, rests)
      options.onLanded()
    }

    /** It is in flight no more; whoever else has asked for it goes on when this returns. */
    const land = (flight: Flight, result: StepResult): StepResult => {
      const { pass, run } = flight
      flights.delete(flightKey(run, stepKey(flight.name, flight.attempt)))
      if (!flight.rests) pass.stepsInFlight--
      Metrics.stepLanded(
        flight.workflow,
        flight.outcome ?? (flight.cut ? "cut" : "suspended"),
        flight.millis
      )
      leaveRoom(flight)
      for (const { tell } of flight.waiting ?? []) tell(result)
      options.onLanded()
      return result
    }

    const conclude = Recording.make({ ...options, clock, land })

    const launch = (flight: Flight): Executing => {
      flights.set(flightKey(flight.run, stepKey(flight.name, flight.attempt)), flight)
      flight.pass.stepsInFlight++
      Metrics.stepStarted()
      events?.publish(Flights.startOf(flight))
      return Flights.start(flight)
    }

    /** A step whose workflow does not want it any more: a race is lost, the run is interrupted. */
    const abandon = (flight: Flight, fiber: Executing) =>
      Effect.gen(function* () {
        flight.cut = true
        flight.abandoned = true
        const exit = yield* Fiber.interrupt(fiber)
        const result = yield* conclude(flight, Exit.flatten(exit))
        if (result._tag === "Suspended") yield* Effect.forkDaemon(noteCut(flight))
      })

    /** For people to see; a write that fails here is no loss. */
    const noteCut = (flight: Flight) =>
      slots.isClosed() || flight.pass.ended !== undefined
        ? Effect.void
        : Effect.ignore(
            store.noteStep({
              held: flight.run.held,
              name: flight.name,
              attempt: flight.attempt,
              status: "interrupted",
              startedAt: flight.startedAt,
              completedAt: clock.unsafeCurrentTimeMillis(),
              compensation: flight.compensation
            })
          )

    /** Of a step that was cut because the interrupt of its run was asked for, that is noted first. */
    const concluded = (flight: Flight, exit: Exit.Exit<unknown, unknown>) =>
      Effect.tap(conclude(flight, exit), (result) =>
        result._tag === "Suspended" ? noteCut(flight) : Effect.void
      )

    /** The fiber is out of the call, and goes on as interruptible as it was. */
    const answered = (request: Request, asked: Effect.Effect<StepResult>): StepEnd =>
      Effect.matchCauseEffect(asked, {
        onFailure: (cause) => {
          leave(request)
          return Effect.failCause(cause)
        },
        onSuccess: (result) => {
          leave(request)
          const end = request.after(request, result)
          return Exit.isExit(end) ? end : restored(request, end)
        }
      })

    /** What a step in flight comes to for another who asks for it; who may have to take it on. */
    const join = (flight: Flight, request: Request): StepEnd =>
      Effect.flatMap(
        orLeave(request, restored(request, Flights.landing(flight, request))),
        (result) =>
          flight.abandoned && result._tag === "Suspended"
            ? ask(request)
            : answered(request, Effect.succeed(result))
      )

    /** Starts the step, which has its room, and waits for it. Who asks for a step also records it. */
    const begin = (request: Request): StepEnd => {
      const flight = new Flight(request, clock.unsafeCurrentTimeMillis(), onRest)
      const fiber = launch(flight)
      const ended = fiber.unsafePoll()
      return ended === null
        ? landed(flight, fiber)
        : answered(request, conclude(flight, Exit.flatten(ended)))
    }

    const landed = (flight: Flight, fiber: Executing): StepEnd => {
      const { request } = flight
      return Effect.matchCauseEffect(restored(request, Flights.end(fiber)), {
        onSuccess: (exit) =>
          answered(request, flight.cut ? concluded(flight, exit) : conclude(flight, exit)),
        onFailure: (cause) =>
          answered(request, Effect.zipRight(abandon(flight, fiber), Effect.failCause(cause)))
      })
    }

    const refuse = (request: Request): StepEnd => answered(request, Effect.succeed(suspended))

    const refuses = ({ pass, run }: Link) => pass.ended !== undefined || options.refuses(run)

    /** There is no room now, or the lease is to be renewed first; meanwhile another may ask for the same step. */
    const queue = (request: Request): StepEnd => {
      const { link } = request
      const { nested, run } = link
      const admission = restored(
        request,
        nested ? Effect.as(lease.fresh, true) : slots.admit(() => refuses(link))
      )
      const noted = run.crashes > 0 ? Effect.zipRight(noteWaiting(run), admission) : admission
      return Effect.flatMap(orLeave(request, noted), (admitted) =>
        admitted ? afterWait(request, run.crashes > 0 ? beginNoted : begin) : refuse(request)
      )
    }

    /**
     * It has its room. Whatever was waited for since that was given may have taken long: the step is begun
     * if that is still to be, and if not the lease has run out meanwhile.
     */
    const afterWait = (request: Request, next: (request: Request) => StepEnd): StepEnd => {
      const { link } = request
      const known = knownOf(request)
      const isOver = link.pass.ended !== undefined
      const isRefused = link.nested ? isOver : refuses(link)
      if (known === undefined && !isRefused && lease.isFresh()) return next(request)
      if (!link.nested) slots.leave()
      if (known !== undefined && !isOver) return known
      return isRefused ? refuse(request) : queue(request)
    }

    /** Of a run that was under way when its executor died: it may be there the next time, and do nothing. */
    const noteWaiting = (run: ActiveRun): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (run.noted !== "nothing") return Effect.void
        run.noted = "waits"
        // not written, it is suspected a little sooner
        return Effect.ignore(store.waitsForRoom(run.held))
      })

    /**
     * Of a run that was under way when its executor died: what it dies of the next time has a name.
     * It has its room; meanwhile another may ask for the same step.
     */
    const beginNoted = (request: Request): StepEnd =>
      Effect.suspend(() => {
        const { pass, run } = request.link
        run.noted = "step"
        return store.noteStep({
          held: run.held,
          name: request.activity.name,
          attempt: request.attempt,
          status: "running",
          startedAt: clock.unsafeCurrentTimeMillis(),
          completedAt: undefined,
          compensation: pass.isCompensating
        })
      }).pipe(
        Effect.catchAll((error) => {
          if (error._tag === "RunLost") options.onLost(request.link.run)
          return Effect.void
        }),
        (noted) => orLeave(request, noted),
        Effect.zipRight(Effect.suspend(() => afterWait(request, begin)))
      )

    /** Of a step that was recorded meanwhile, or is in flight. */
    const knownOf = (request: Request): StepEnd | undefined => {
      const { run } = request.link
      const key = stepKey(request.activity.name, request.attempt)
      const exit = run.steps.get(key)
      if (exit !== undefined) return answered(request, Effect.succeed({ _tag: "Recorded", exit }))
      const flight = flights.get(flightKey(run, key))
      return flight === undefined ? undefined : join(flight, request)
    }

    const ask = (request: Request): StepEnd => {
      const known = knownOf(request)
      if (known !== undefined) return known
      const { link } = request
      const { nested, pass, run } = link
      // a step inside a step is part of it: it has its room already
      const admitted = nested ? lease.isFresh() || undefined : slots.enter(() => refuses(link))
      if (admitted === undefined) return queue(request)
      if (admitted && pass.ended === undefined) {
        return run.crashes > 0 ? beginNoted(request) : begin(request)
      }
      if (admitted && !nested) slots.leave()
      return refuse(request)
    }

    /** The fiber is inside of the call until it is answered: none of it can be interrupted. */
    const answer = (request: Request): StepEnd => {
      const { fiber, link } = request
      link.quiescence.enter(fiber)
      return link.run.isSuspended
        ? Effect.zipRight(
            orLeave(request, options.activate(link.run)),
            Effect.suspend(() => ask(request))
          )
        : ask(request)
    }

    // not to be interrupted between taking the room and recording what came of it, but while it waits
    const execute: Steps["execute"] = (...what) =>
      Effect.uninterruptible(new Request(...what, answer))

    const cut = (matches: (flight: Flight) => boolean) => {
      const cut: Array<StepInFlight> = []
      for (const flight of flights.values()) {
        if (!flight.started || !matches(flight)) continue
        cut.push(Flights.toStepInFlight(flight))
        flight.cut = true
        flight.fiber?.unsafeInterruptAsFork(flight.fiber.id())
      }
      return cut
    }

    return {
      execute,
      list: () => Array.from(flights.values(), Flights.toStepInFlight),
      cut: (matches) => cut(({ run }) => matches(run)),
      interrupt: (run) => void cut((flight) => flight.run === run && flight.isInterruptible)
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

/** As interruptible as whoever asks for the step. */
const restored = <A, R>(
  { runtimeFlags }: Request,
  effect: Effect.Effect<A, never, R>
): Effect.Effect<A, never, R> =>
  RuntimeFlags.interruptible(runtimeFlags) ? Effect.interruptible(effect) : effect

const leave = ({ fiber, link }: Request): void => link.quiescence.leave(fiber)

/** Where this fails, or is interrupted, the fiber is out of the call. */
const orLeave = <A>(request: Request, effect: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.tapErrorCause(effect, () => Effect.sync(() => leave(request)))

/** A step that was left behind is not the same step of the same run, claimed anew. */
const flightKey = ({ held, runId }: ActiveRun, step: string) => `${held.claim}/${runId}/${step}`
