/** The calls by which a workflow waits for a signal, and sends one. */
import type * as DurableDeferred from "@effect/workflow/DurableDeferred"
import { WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Json } from "../../store/RunStore.js"
import * as Codec from "../../values/Codec.js"
import * as ReservedNames from "../../values/ReservedNames.js"
import type { Link } from "../pass/Pass.js"
import {
  type Calls,
  currentFiber,
  inside,
  lookUnlessHidden,
  orDieAs,
  requireLink,
  requireWellFormed,
  untilStored,
  wait
} from "./Call.js"
import { timerLook } from "./Timers.js"

/** A deferred that is named as one of the engine's, and is none: a timer is set before it is awaited. */
const isReserved = ({ run }: Link, name: string) =>
  name.startsWith(ReservedNames.ownPrefix) ||
  (name.startsWith(ReservedNames.timerPrefix) && !run.timers.has(name))

export const make = ({ asHolder, block, callersLink, dispatcher, ownLink, store }: Calls) => {
  const deferredResult = Effect.fnUntraced(function* (deferred: DurableDeferred.Any) {
    const link = yield* requireLink(ownLink(yield* WorkflowInstance), deferred.name)
    yield* requireWellFormed("signal name", deferred.name)
    if (isReserved(link, deferred.name)) {
      return yield* Effect.dieMessage(ReservedNames.refusal("a DurableDeferred", deferred.name))
    }
    const fiber = yield* currentFiber
    const look = timerLook(link, deferred.name)
    let exit: Json
    if (deferred.name.startsWith(ReservedNames.racePrefix)) {
      const now = yield* Clock.currentTimeMillis
      const found = lookUnlessHidden(link, deferred.name, look)(now)
      if (found._tag !== "There") return undefined
      exit = found.value
    } else {
      dispatcher.registry.noteDeferred(link.run.workflowName, deferred)
      exit = yield* inside(link, fiber, wait(link, fiber, deferred.name, look))
    }
    return yield* Effect.catchAll(Codec.exitFromJson(deferred, exit), (error) =>
      block(link, fiber, `the signal "${deferred.name}"`, error)
    )
  })

  const deferredDone = Effect.fnUntraced(function* (
    deferred: DurableDeferred.Any,
    options: {
      readonly executionId: string
      readonly deferredName: string
      readonly exit: Exit.Exit<unknown, unknown>
    }
  ) {
    const link = yield* callersLink
    const own = link?.run.runId === options.executionId ? link : undefined
    const interrupted = Exit.isFailure(options.exit) && Cause.isInterruptedOnly(options.exit.cause)
    // `DurableDeferred.into` in a pass that was ended: not an outcome
    if (own !== undefined && (interrupted || own.pass.ended !== undefined)) return
    if (options.deferredName.startsWith(ReservedNames.ownPrefix)) {
      return yield* Effect.dieMessage(
        ReservedNames.refusal("a DurableDeferred", options.deferredName)
      )
    }
    yield* requireWellFormed("signal name", options.deferredName)
    yield* requireWellFormed("run id", options.executionId)
    const exit = yield* Codec.exitToJson(deferred, options.exit).pipe(
      Effect.flatMap(Codec.boundedExit(dispatcher.bounded)),
      orDieAs(`the signal "${options.deferredName}" cannot be stored as JSON`)
    )
    const signal = { runId: options.executionId, name: options.deferredName, exit }
    // a value that was there before stays
    if (link === undefined) {
      yield* Effect.orDie(untilStored(store.signal(signal)))
      return
    }
    const fiber = yield* currentFiber
    yield* inside(
      link,
      fiber,
      asHolder(link, fiber, (by) => by.signal(signal))
    )
  })

  return { deferredResult, deferredDone }
}
