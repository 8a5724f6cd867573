/** Completes DurableDeferreds of runs, from outside. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { InvalidSignal, type SignalRequest } from "../../api/Runs.js"
import type { Dispatcher } from "../../engine/held/Dispatcher.js"
import { Signals } from "../../engine/Signals.js"
import type { RunStore } from "../../store/RunStore.js"
import { notReadBack, readBack, stringify } from "../../values/Codec.js"
import * as ReservedNames from "../../values/ReservedNames.js"
import { notWellFormed } from "../../values/WellFormed.js"
import { runNotFound, unknownSignal } from "../Refusals.js"
import { canonicalSignal, explain } from "./Definitions.js"

export const make = (store: RunStore["Type"], dispatcher: Dispatcher["Type"]) => {
  /** A workflow that declares no signals may take any. */
  const assertDeclared = Effect.fnUntraced(function* (workflow: string, name: string) {
    const registered = yield* dispatcher.workflows
    const found = registered.find((one) => one.name === workflow)
    const declared = found === undefined ? [] : Context.get(found.annotations, Signals)
    const names = declared.map((deferred) => deferred.name)
    // as `DurableDeferred.into` and others name that of an attempt
    const isDeclared = names.includes(name.replace(/\/\d+$/, ""))
    if (names.length > 0 && !isDeclared) return yield* unknownSignal(workflow, name, names)
  })

  return Effect.fnUntraced(function* ({ name, runId, value }: SignalRequest) {
    const invalid = (message: string) => new InvalidSignal({ name, message })
    if (ReservedNames.isTheEngines(name)) {
      return yield* invalid("the name is the engine's own: a sleep, a race or the like")
    }
    const refusal = notWellFormed("signal name", name)
    if (refusal !== undefined) return yield* invalid(refusal)
    const run = yield* store.find(runId)
    if (Option.isNone(run)) return yield* runNotFound(runId)
    const deferred = dispatcher.deferred(run.value.workflow, name)
    if (Option.isNone(deferred)) yield* assertDeclared(run.value.workflow, name)
    const checked = Option.isNone(deferred)
      ? value
      : yield* Effect.mapError(canonicalSignal(deferred.value, value), (error) =>
          invalid(explain(error))
        )
    const json = yield* Effect.mapError(
      Either.flatMap(stringify(checked), dispatcher.bounded),
      (error) => invalid(`The value cannot be stored as JSON: ${error.message}`)
    )
    const exit = `{"_tag":"Success","value":${json}}`
    const read = Option.isNone(deferred) ? undefined : readBack(deferred.value, exit)
    if (read !== undefined && Either.isLeft(read)) {
      return yield* invalid(`The value cannot be stored: ${notReadBack(read.left).message}`)
    }
    yield* store.signal({ runId, name, exit })
  })
}
