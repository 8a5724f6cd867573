/**
 * What came of a run, by its workflow's schemas.
 */
import type { Workflow } from "@effect/workflow"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Dispatcher } from "../engine/held/Dispatcher.js"
import { RunNotFound } from "../runner/Runs.js"
import { isFinal, type Run, RunStore, type RunStoreError } from "../store/RunStore.js"
import * as Typed from "../values/Typed.js"
import { RunNotOver, runError } from "./Errors.js"

/** How a run stands. `error` is what `result` rejects with. */
export type Poll<A> =
  | { readonly status: "pending" | "running" | "suspended" }
  | { readonly status: "completed"; readonly value: A }
  | { readonly status: "failed" | "interrupted"; readonly error: Error }

const found = (workflow: Workflow.Any, runId: string) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const run = Option.getOrUndefined(yield* store.find(runId))
    if (run === undefined) {
      return yield* new RunNotFound({ runId, message: `There is no run ${JSON.stringify(runId)}` })
    }
    if (run.workflow !== workflow.name) {
      const message = `Run ${runId} is one of workflow "${run.workflow}", not of "${workflow.name}"`
      return yield* new RunNotFound({ runId, message })
    }
    return run
  })

const exitOf = (run: Run) => (isFinal(run.status) ? run.exit : undefined)

/** The recorded `Exit` of a run, waited for until the executor leaves. */
export const awaited = (
  leaving: Deferred.Deferred<void>,
  workflow: Workflow.Any,
  runId: string,
  durable: boolean
) =>
  Effect.gen(function* () {
    const dispatcher = yield* Dispatcher
    const exit = exitOf(yield* found(workflow, runId))
    if (exit !== undefined) return exit
    // the drain is over, and the word of its last runs may not have come round yet
    const lastLook = Deferred.await(leaving).pipe(
      Effect.zipRight(found(workflow, runId)),
      Effect.flatMap((run) => {
        const exit = exitOf(run)
        return exit === undefined
          ? Effect.fail(new RunNotOver({ runId, goesOn: durable }))
          : Effect.succeed(exit)
      })
    )
    return yield* Effect.raceFirst(dispatcher.result(runId), lastLook)
  })

/** The value of a run that is over, or the error that stands for it. */
export const outcome = <W extends Workflow.Any>(workflow: W, runId: string, json: string) =>
  Effect.flatMap(
    Typed.decodeExit(workflow, runId, json),
    Exit.match({
      onSuccess: (value) => Effect.succeed(value),
      onFailure: (cause) => Effect.fail(runError(runId, cause))
    })
  )

/** How it stands now. */
export const polled = <W extends Workflow.Any>(
  workflow: W,
  runId: string
): Effect.Effect<
  Poll<Typed.Success<W>>,
  RunNotFound | RunStoreError,
  RunStore | Typed.ResultContext<W>
> =>
  Effect.gen(function* () {
    const { exit, status } = yield* found(workflow, runId)
    if (!isFinal(status) || exit === undefined) {
      return { status: isFinal(status) ? "running" : status }
    }
    const result = yield* Effect.either(outcome(workflow, runId, exit))
    if (result._tag === "Right") return { status: "completed", value: result.right }
    return { status: status === "completed" ? "failed" : status, error: result.left }
  })
