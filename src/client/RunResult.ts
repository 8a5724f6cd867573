/** What a run came to, as its workflow's schemas read it. */
import type { Workflow } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type OutcomeView, RunNotFound, type RunView } from "../api/Runs.js"
import type { Json } from "../store/RunStore.js"
import * as Typed from "../values/Typed.js"
import * as RunWatch from "./RunWatch.js"
import type { RequestError } from "./Wire.js"

export interface ResultOptions extends RunWatch.WatchOptions {
  /** What a run came to, where that is too large to come with it. */
  readonly outcome: (runId: string) => Effect.Effect<OutcomeView, RequestError<"get">>
}

export const make =
  (options: ResultOptions) =>
  <W extends Workflow.Any>(workflow: W, runId: string) =>
    Effect.gen(function* () {
      const run = yield* RunWatch.awaitEnd(options, workflow.name, runId)
      if (run.workflow !== workflow.name) return yield* notOf(workflow, run)
      // where values are hidden from the token, that is how it is refused
      const isWhole = run.leftOut === undefined && run.hidden !== true
      const outcome = isWhole ? run : yield* options.outcome(runId)
      const exit = yield* Typed.decodeExit(workflow, runId, exitOf(outcome))
      // the interrupt was the run's, and is not that of whoever waits for it
      if (Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)) {
        return yield* new Typed.RunInterrupted({ runId })
      }
      return yield* exit
    })

const notOf = (workflow: Workflow.Any, run: RunView) =>
  new RunNotFound({
    runId: run.runId,
    message: `Run ${run.runId} is one of workflow "${run.workflow}", not of "${workflow.name}"`
  })

/** The recorded `Exit` of a run that is over. */
const exitOf = ({ cause, result, status }: Omit<OutcomeView, "runId">): Json =>
  JSON.stringify(
    status === "completed" ? { _tag: "Success", value: result } : { _tag: "Failure", cause }
  )
