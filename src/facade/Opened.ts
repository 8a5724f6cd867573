/**
 * An executor that is open: how it is opened and closed, and what can be seen of it.
 */
import * as HttpServer from "@effect/platform/HttpServer"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { RunnerState } from "../api/RunnerState.js"
import type * as Executor from "../Executor.js"
import { Dispatcher } from "../engine/held/Dispatcher.js"
import * as StopSignals from "../internal/StopSignals.js"
import { type Drained, Runner } from "../runner/Runner.js"
import type { RunStore } from "../store/RunStore.js"
import { messageOf, StopFailed } from "./Errors.js"

/** What an executor with a store of its own provides. */
export type Provided = Executor.Services | RunStore

/** What a start has opened. */
export interface Opened {
  readonly scope: Scope.CloseableScope
  readonly runtime: Runtime.Runtime<Provided>
  /** Done after the drain, before anything is released. */
  readonly leaving: Deferred.Deferred<void>
  /** Calls that have not been answered. */
  readonly calls: Set<Promise<unknown>>
}

/** Opens everything, or nothing. */
export const open = (layer: Layer.Layer<Provided, unknown>): Effect.Effect<Opened, unknown> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const runtime = yield* restore(Scope.extend(Layer.toRuntime(layer), scope)).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      const leaving = Deferred.unsafeMake<void>(FiberId.none)
      return { scope, runtime, leaving, calls: new Set() }
    })
  )

/** Drains, answers whoever still waits, and releases everything; in this order. */
const close = (opened: Opened) =>
  Effect.gen(function* () {
    const drained = yield* Effect.exit(Context.get(opened.runtime.context, Runner).drain)
    yield* Deferred.succeed(opened.leaving, undefined)
    yield* Effect.promise(() => Promise.all(opened.calls)).pipe(
      // they wait for nothing but the store
      Effect.timeoutOption("5 seconds")
    )
    // in a fiber of its own: the layers of `logging` take back what they set in the one that closes
    const closing = yield* Effect.fork(Scope.close(opened.scope, Exit.void))
    const closed = yield* Fiber.await(closing)
    return yield* Effect.zipLeft(drained, closed).pipe(
      Effect.tapErrorCause((cause) => Effect.logError("the executor did not stop properly", cause))
    )
  })

/** `close`, as a promise that rejects with `StopFailed`. */
export const shutDown = async (opened: Opened): Promise<Drained> => {
  const exit = await Runtime.runPromiseExit(opened.runtime)(close(opened))
  if (Exit.isSuccess(exit)) return exit.value
  const cause = Cause.squash(exit.cause)
  throw new StopFailed({ message: `The stop failed: ${messageOf(cause)}`, cause })
}

/** Says what a further signal does. */
export const logSignal = ({ runtime }: Opened, signal: StopSignals.Name): void => {
  Runtime.runFork(runtime)(StopSignals.log(signal))
}

/** Whether the drain is over, and calls are refused. */
export const isLeaving = ({ leaving }: Opened): boolean => Effect.runSync(Deferred.isDone(leaving))

export const runnerState = ({ runtime }: Opened): RunnerState =>
  Effect.runSync(SubscriptionRef.get(Context.get(runtime.context, Dispatcher).state))

/** Where its HTTP API is, if it has one. */
export const addressOf = ({ runtime }: Opened): string | undefined =>
  Context.getOption(runtime.context, HttpServer.HttpServer).pipe(
    Option.map(({ address }) => HttpServer.formatAddress(address)),
    Option.getOrUndefined
  )
