/**
 * What every call of the engine by a workflow has to do with: whose run it is in, how it waits, and how
 * it writes in that run's name.
 */
import * as Upstream from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import {
  type RunLost,
  type RunStore,
  RunStoreError,
  type WritesOfHolder
} from "../../store/RunStore.js"
import * as Codec from "../../values/Codec.js"
import { notWellFormed } from "../../values/WellFormed.js"
import type { Dispatcher } from "../held/Dispatcher.js"
import { type Instance, type Link, linkOf } from "../pass/Pass.js"
import type * as Waits from "../pass/Waits.js"
import type { RunIdTaken } from "../RunIdTaken.js"
import { mayPass } from "../run/Persist.js"

const { WorkflowInstance } = Upstream

export type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** What a wait has found where that is not there. */
export const unknown = { _tag: "Unknown" } as const

/** What the calls are of. */
export interface Parts {
  readonly store: RunStore["Type"]
  readonly dispatcher: Dispatcher["Type"]
}

export type Calls = ReturnType<typeof make>

export const make = ({ dispatcher, store }: Parts) => {
  /** An instance of another executor's engine is not in one of this one's runs. */
  const ownLink = (instance: Instance): Link | undefined => {
    const link = linkOf(instance)
    return link !== undefined && dispatcher.registry.knows(link.run.registration) ? link : undefined
  }

  /** Of the run in which this is called, if it is one of this engine's. */
  const callersLink = Effect.map(Effect.serviceOption(WorkflowInstance), (instance) =>
    Option.isNone(instance) ? undefined : ownLink(instance.value)
  )

  /**
   * A write in the name of the run in which this is called. If the run is held by somebody else it
   * is refused, and the caller goes no further.
   */
  const asHolder = <A>(
    link: Link,
    fiber: AnyFiber,
    write: (by: WritesOfHolder) => Effect.Effect<A, WriteError>
  ): Effect.Effect<A> =>
    Effect.catchTag(
      untilStored(Effect.suspend(() => write(store.by(link.run.held)))),
      "RunLost",
      () => lose(link, fiber)
    )

  /** Another executor holds the run. */
  const lose = (link: Link, fiber: AnyFiber): Effect.Effect<never> =>
    Effect.zipRight(
      Effect.sync(() => dispatcher.runs.end(link.run, { _tag: "lost" })),
      stay(link, fiber)
    )

  /** The run waits, suspended, until what is recorded can be read and somebody resumes it. */
  const block = (
    link: Link,
    fiber: AnyFiber,
    what: string,
    error: Codec.Unreadable
  ): Effect.Effect<never> => {
    const message = `${what} of run ${link.run.runId} of workflow "${link.run.workflowName}" does not decode: ${error.message}`
    return Effect.logError(message).pipe(
      Effect.zipRight(
        Effect.sync(() =>
          dispatcher.runs.end(link.run, { _tag: "block", cause: Codec.blockCause(message) })
        )
      ),
      Effect.zipRight(stay(link, fiber))
    )
  }

  return { dispatcher, store, ownLink, callersLink, asHolder, block }
}

/** Inside of a call of the engine, from when it begins until it is over or interrupted. */
export const inside = <A, E, R>(
  link: Link,
  fiber: AnyFiber,
  call: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) => {
    link.quiescence.enter(fiber)
    return Effect.matchCauseEffect(restore(call), {
      onFailure: (cause) => {
        link.quiescence.leave(fiber)
        return Effect.failCause(cause)
      },
      onSuccess: (value) => {
        link.quiescence.leave(fiber)
        return Effect.succeed(value)
      }
    })
  })

/** What is not to be done now stays where it is; its pass is ended from outside. */
export const stay = (link: Link, fiber: AnyFiber): Effect.Effect<never> =>
  inside(link, fiber, link.pass.waits.stay({ fiber, quiescence: link.quiescence }))

/** Waits in place. In a pass that goes as far as the record does, for what is in it. */
export const wait = <A>(
  link: Link,
  fiber: AnyFiber,
  key: string,
  look: Waits.Look<A>
): Effect.Effect<A> =>
  Effect.flatMap(Effect.clock, (clock) =>
    link.pass.waits.wait(
      { fiber, quiescence: link.quiescence },
      key,
      lookUnlessHidden(link, key, look),
      clock
    )
  )

const retrySchedule = Schedule.exponential("50 millis").pipe(
  Schedule.union(Schedule.spaced("1 second"))
)

/** In a pass that goes as far as the record does, where nothing new is begun. */
export const isReplayOnly = ({ nested, pass }: Link) => pass.isReplayOnly && !nested

/** What has come after the interrupt is not there for what the interrupt ends. */
export const lookUnlessHidden =
  <A>(link: Link, key: string, look: Waits.Look<A>): Waits.Look<A> =>
  (now) =>
    isReplayOnly(link) && link.run.isAfterInterrupt(key) ? unknown : look(now)

export const currentFiber: Effect.Effect<AnyFiber> = Effect.withFiberRuntime((fiber) =>
  Effect.succeed(fiber)
)

export const requireLink = (link: Link | undefined, what: string): Effect.Effect<Link> =>
  link === undefined ? outside(what) : Effect.succeed(link)

export const outside = (what: string) =>
  Effect.dieMessage(`"${what}" was used outside of a run of this engine`)

/** A name that the store would not give back as it was. */
export const requireWellFormed = (what: string, name: string): Effect.Effect<void> => {
  const refusal = notWellFormed(what, name)
  return refusal === undefined ? Effect.void : Effect.dieMessage(refusal)
}

/** What the caller has handed in is at fault, and the caller is told what of it. */
export const orDieAs =
  (what: string) =>
  <A, R>(effect: Effect.Effect<A, { readonly message: string }, R>): Effect.Effect<A, never, R> =>
    Effect.orDieWith(effect, (error) => new Error(`${what}: ${error.message}`, { cause: error }))

type WriteError = RunStoreError | RunLost | RunIdTaken

const isPassing = (error: unknown) => error instanceof RunStoreError && mayPass(error)

/** A write of a run that has nowhere to report to; the store is waited for. */
export const untilStored = <A>(write: Effect.Effect<A, WriteError>): Effect.Effect<A, RunLost> =>
  write.pipe(
    Effect.tapError((error) =>
      isPassing(error)
        ? Effect.logWarning("store write failed; trying again", Cause.fail(error))
        : Effect.void
    ),
    Effect.retry({ while: isPassing, schedule: retrySchedule }),
    Effect.catchAll((error) => (error._tag === "RunLost" ? Effect.fail(error) : Effect.die(error)))
  )
