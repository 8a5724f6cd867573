/** The requests by which something is done to a run. */
import * as Effect from "effect/Effect"
import { InvalidSignal } from "../api/Runs.js"
import * as Typed from "../values/Typed.js"
import type { Client } from "./Client.js"
import type { Requests } from "./Requests.js"
import { hasPath, type RunsAsked, segment } from "./Wire.js"

type Changes = Pick<
  Client["Type"],
  "interrupt" | "terminate" | "resume" | "retry" | "remove" | "signal"
>

export const make = ({ ofRun }: Requests, runs: RunsAsked): Changes => ({
  interrupt: (runId) => Effect.asVoid(ofRun(runId, (runId) => runs.interrupt({ path: { runId } }))),
  terminate: (runId, { children, reason } = {}) =>
    Effect.map(
      ofRun(runId, (runId) =>
        runs.terminate({
          path: { runId },
          payload: {
            ...(children === undefined ? {} : { children }),
            ...(reason === undefined ? {} : { reason })
          }
        })
      ),
      ({ terminated }) => ({ terminated })
    ),
  resume: (runId) => Effect.asVoid(ofRun(runId, (runId) => runs.resume({ path: { runId } }))),
  retry: (runId, { withChildren } = {}) =>
    Effect.asVoid(
      ofRun(runId, (runId) =>
        runs.retry({
          path: { runId },
          urlParams: withChildren === undefined ? {} : { withChildren }
        })
      )
    ),
  // an answer that got lost is followed by another request, which then finds nothing
  remove: (runId) => ofRun(runId, (runId) => runs.remove({ path: { runId } })),
  signal: (deferred, target, value) =>
    Effect.flatMap(Typed.encodeSignal(deferred, target, value), ({ name, runId, value }) =>
      hasPath(name)
        ? Effect.asVoid(
            ofRun(runId, (runId) =>
              runs.signal({ path: { runId, name: segment(name) }, payload: { value } })
            )
          )
        : Effect.fail(
            new InvalidSignal({
              name,
              message: `A signal of the name ${JSON.stringify(name)} cannot be sent`
            })
          )
    )
})
