/** The requests that tell of runs. */
import * as Effect from "effect/Effect"
import {
  type BulkFilter,
  type ListRequest,
  type RunWithStepsView,
  StepNotFound
} from "../api/Runs.js"
import * as StepPages from "../api/StepPages.js"
import type { Client, StepsOption } from "./Client.js"
import type { Requests } from "./Requests.js"
import { hasPath, ProtocolError, type RunsAsked, segment } from "./Wire.js"

/** Without what is not said: `undefined` is no parameter. */
const said = (request: ListRequest): ListRequest =>
  Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined))

export const make = ({ call, ofRun }: Requests, runs: RunsAsked) => {
  const first = (runId: string) => ofRun(runId, (runId) => runs.get({ path: { runId } }))

  const steps: Client["Type"]["steps"] = ({ cursor, runId }) =>
    ofRun(runId, (runId) =>
      runs.steps({ path: { runId }, urlParams: cursor === undefined ? {} : { cursor } })
    )

  /** With the steps that did not come with it, unless those are enough. */
  const withSteps = (run: RunWithStepsView, { steps: which = "all" }: StepsOption = {}) =>
    which === "first"
      ? Effect.succeed(run)
      : StepPages.all(run, (cursor) => steps({ runId: run.runId, cursor })).pipe(
          Effect.catchTag("InvalidCursor", ({ message }) =>
            Effect.fail(new ProtocolError({ message }))
          )
        )

  const step: Client["Type"]["step"] = (request) =>
    hasPath(request.name)
      ? ofRun(request.runId, (runId) =>
          runs.step({
            path: { runId, name: segment(request.name), attempt: request.attempt }
          })
        )
      : new StepNotFound({
          ...request,
          message: `A step of the name ${JSON.stringify(request.name)} cannot be asked for`
        })

  return {
    /** The run with its first steps. */
    first,
    withSteps,
    steps,
    step,
    payload: (runId: string) => ofRun(runId, (runId) => runs.payload({ path: { runId } })),
    outcome: (runId: string) => ofRun(runId, (runId) => runs.outcome({ path: { runId } })),
    ids: (prefix: string) => call(runs.ids({ urlParams: { prefix } })),
    list: (request: ListRequest = {}) => call(runs.list({ urlParams: said(request) })),
    counts: call(runs.counts({ urlParams: {} })).pipe(
      // no filter is none that cannot be
      Effect.catchTag("InvalidQuery", ({ message }) => new ProtocolError({ message }))
    ),
    countBy: (filter: BulkFilter = {}) => call(runs.counts({ urlParams: said(filter) }))
  }
}
