/**
 * What a step can do beside its work: be tried again, with waits in between that outlast the process,
 * and learn early that a drain has begun.
 *
 * `Effect.retry` is no way to try an Activity again: what it executes is one step, whose failure is
 * recorded, and every attempt after the first is answered from the record.
 */
import * as Activity from "@effect/workflow/Activity"
import * as DurableClock from "@effect/workflow/DurableClock"
import { type WorkflowEngine, WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Random from "effect/Random"
import type * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as Intervals from "effect/ScheduleIntervals"
import * as Draining from "./step/Draining.js"

export interface RetryOptions<E, R = never> {
  /** How often it is tried again at most. Default: as often as the schedule says, or for ever. */
  readonly times?: number | undefined
  /**
   * How long to wait before each further attempt, and when to give up. It is stepped with the error,
   * and sees a time in which the attempts take none: what it says of elapsed time holds for the
   * waits. Default: no wait.
   */
  readonly schedule?: Schedule.Schedule<unknown, E, R> | undefined
  /**
   * Whether this error is worth another attempt. Asked again when the workflow is replayed, so it
   * may depend on the error alone. Default: every error is.
   */
  readonly while?: ((error: E) => boolean) | undefined
}

/** What is tried again: an Activity. */
type Retried<A, E, R> = Effect.Effect<A, E, R> & Pick<Activity.Any, Activity.TypeId | "name">

/**
 * Tries an Activity again when it fails, each attempt a step of its own (`Activity.CurrentAttempt`),
 * each wait a durable timer `<name>/<attempt>/backoff`: neither a restart nor a drain begins it anew,
 * and it takes no memory where nothing else of the run is under way. Fails with the last error.
 * Defects and interrupts are not tried again.
 *
 * A wait keeps the time that it was given first, and random delays are the same on every replay. A
 * fraction of a millisecond counts as a whole one.
 *
 * @example
 * const receipt = yield* Activity.make({
 *   name: "charge",
 *   success: Receipt,
 *   error: CardNotCharged,
 *   execute: charge
 * }).pipe(
 *   Step.retry({ times: 5, schedule: Schedule.jittered(Schedule.exponential("1 second")) })
 * )
 */
export const retry: {
  <E, RS = never>(
    options: RetryOptions<NoInfer<E>, RS>
  ): <A, R>(
    self: Retried<A, E, R>
  ) => Effect.Effect<A, E, R | RS | WorkflowEngine | WorkflowInstance>
  <A, E, R, RS = never>(
    self: Retried<A, E, R>,
    options: RetryOptions<NoInfer<E>, RS>
  ): Effect.Effect<A, E, R | RS | WorkflowEngine | WorkflowInstance>
} = dual(2, <A, E, R, RS = never>(self: Retried<A, E, R>, options: RetryOptions<E, RS>) =>
  Effect.gen(function* () {
    const { executionId } = yield* WorkflowInstance
    const waits = yield* makeWaits(options.schedule, `${executionId}/${self.name}`)
    const times = options.times ?? Number.POSITIVE_INFINITY
    for (let attempt = 1; ; attempt++) {
      const tried = yield* Effect.either(
        Effect.provideService(self, Activity.CurrentAttempt, attempt)
      )
      if (Either.isRight(tried)) return tried.right
      const error = tried.left
      const again = attempt <= times && (options.while?.(error) ?? true)
      const delay = again ? yield* waits(error) : undefined
      if (delay === undefined) return yield* Effect.fail(error)
      yield* DurableClock.sleep({
        name: `${self.name}/${attempt}/backoff`,
        duration: Duration.millis(delay)
      })
    }
  })
)

/**
 * Inside a step: waits until a drain has begun that the step is part of, because the executor stops or
 * the layer of its workflow is released. The step has until the stop timeout then; what it comes to
 * is recorded, as always. Dies where a workflow asks outside of its steps; never ends under another
 * engine, which does not say.
 *
 * @example
 * // as many pages as there is time for; the workflow goes on from what it returns
 * Activity.make({
 *   name: `import/${from}`,
 *   success: Schema.Int,
 *   execute: Effect.gen(function* () {
 *     const drain = yield* Effect.fork(Step.draining)
 *     let page = from
 *     while (page < last && drain.unsafePoll() === null) yield* importPage(page++)
 *     return page
 *   })
 * })
 */
export const draining: Effect.Effect<void, never, WorkflowInstance> = Effect.flatMap(
  WorkflowInstance,
  Draining.begun
)

/**
 * For the effect of a step that may as well be executed again: interrupts it when a drain begins. The
 * step has come to nothing then, and executes again where its run goes on, rather than hold the stop
 * up.
 *
 * @example
 * Activity.make({ name: "watch", success: Price, execute: Step.untilDrain(watchForPrice) })
 */
export const untilDrain = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | WorkflowInstance> =>
  Effect.flatMap(WorkflowInstance, (instance) =>
    Effect.raceFirst(
      effect,
      // where it cannot be interrupted the effect is not, but the wait for a drain is to end with it
      Effect.interruptible(
        Effect.zipRight(
          Draining.begun(instance),
          Effect.suspend(() => {
            Draining.giveUp(instance)
            return Effect.die(new Draining.DrainBegun())
          })
        )
      )
    )
  )

/**
 * The delays that a schedule gives, in whole milliseconds; `undefined` when it is done. The same
 * errors give the same delays: its time is moved by the delays themselves, and what is random in it
 * comes from a seed.
 */
const makeWaits = <E, R>(schedule: RetryOptions<E, R>["schedule"], seed: string) =>
  Effect.map(Clock.currentTimeMillis, (began) => {
    let now = began
    let state: unknown = schedule?.initial
    const random = Random.make(seed)
    return (error: E): Effect.Effect<number | undefined, never, R> =>
      schedule === undefined
        ? Effect.succeed(0)
        : schedule.step(now, error, state).pipe(
            Effect.withRandom(random),
            Effect.map(([next, , decision]) => {
              state = next
              if (ScheduleDecision.isDone(decision)) return undefined
              const then = Math.max(now, Intervals.start(decision.intervals))
              // less than a microsecond is what the sum of a time and a delay is off by
              const delay = Math.ceil(Math.round((then - now) * 1_000) / 1_000)
              now = then
              return delay
            })
          )
  })
