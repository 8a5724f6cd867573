/**
 * Effects on an executor that is open, as promises.
 */
import type { Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import type { StartOptions } from "../api/StartOptions.js"
import { Runs } from "../runner/Runs.js"
import * as Typed from "../values/Typed.js"
import { callError } from "./Errors.js"
import type { Lifecycle } from "./Lifecycle.js"
import type { Opened } from "./Opened.js"
import * as Results from "./Results.js"

export interface WaitOptions {
  /** Ends the waiting, which then rejects with the signal's reason. The run goes on. */
  readonly signal?: AbortSignal | undefined
}

/** Runs an effect on what is open, and rejects with the error itself. */
export const call = async <A, R>(
  lifecycle: Lifecycle,
  effect: (opened: Opened) => Effect.Effect<A, unknown, R>,
  { signal }: WaitOptions = {}
): Promise<A> => {
  const opened = lifecycle.callable
  signal?.throwIfAborted()
  // what the schemas of a workflow ask for has come with the layer of the workflows
  const runtime = opened.runtime as Runtime.Runtime<R>
  const answer = Runtime.runPromiseExit(runtime)(
    effect(opened),
    signal === undefined ? undefined : { signal }
  )
  opened.calls.add(answer)
  const exit = await answer
  opened.calls.delete(answer)
  if (Exit.isSuccess(exit)) return exit.value
  signal?.throwIfAborted()
  throw callError(exit.cause)
}

/** Starts a run; its id. */
export const startedRun = <W extends Workflow.Any>(
  workflow: W,
  payload: Typed.Payload<W> | undefined,
  options?: StartOptions
) =>
  Effect.gen(function* () {
    const encoded = yield* Typed.encodePayload(workflow, payload)
    const runs = yield* Runs
    const { runId } = yield* runs.start({ workflow: workflow.name, payload: encoded, options })
    return runId
  })

/** The value of a run, once it is over. */
export const resultOf = <W extends Workflow.Any>(
  { leaving }: Opened,
  workflow: W,
  runId: string,
  durable: boolean
) =>
  Effect.flatMap(Results.awaited(leaving, workflow, runId, durable), (json) =>
    Results.outcome(workflow, runId, json)
  )
