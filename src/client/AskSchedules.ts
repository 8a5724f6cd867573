/** The requests that are about schedules. */
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import type { Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import { Api } from "../api/Api.js"
import {
  type Backfilled,
  type BackfillRequest,
  InvalidSchedule,
  type ListSchedulesRequest,
  type PutScheduleRequest,
  ScheduleNotFound,
  type SchedulesPage,
  type ScheduleView
} from "../api/Schedules.js"
import * as Typed from "../values/Typed.js"
import type { Requests } from "./Requests.js"
import { hasPath, type RequestError, segment } from "./Wire.js"

/** When a schedule ticks, what it starts, and what becomes of a tick. */
export interface PutSchedule<W extends Workflow.Any>
  extends Omit<PutScheduleRequest, "workflow" | "payload"> {
  /** Of each of its runs. */
  readonly payload: W["payloadSchema"]["Type"]
}

type Failure = RequestError<"counts">

export interface Schedules {
  /**
   * Makes a schedule, or one that is there another; it ticks from now on.
   *
   * @example
   * client.schedules.put("nightly", Report, {
   *   payload: { kind: "daily" },
   *   cron: "0 3 * * *",
   *   timeZone: "Europe/Berlin"
   * })
   */
  readonly put: <W extends Workflow.Any>(
    name: string,
    workflow: W,
    request: PutSchedule<W>
  ) => Effect.Effect<ScheduleView, RequestError<"start"> | InvalidSchedule, Typed.PayloadContext<W>>
  readonly get: (name: string) => Effect.Effect<ScheduleView, Failure | ScheduleNotFound>
  /** A page of schedules, in the order of their names. */
  readonly list: (request?: ListSchedulesRequest) => Effect.Effect<SchedulesPage, Failure>
  /** Its runs stay. */
  readonly remove: (name: string) => Effect.Effect<void, Failure | ScheduleNotFound>
  readonly pause: (name: string) => Effect.Effect<ScheduleView, Failure | ScheduleNotFound>
  /** What was due while it was paused is left out. */
  readonly resume: (name: string) => Effect.Effect<ScheduleView, Failure | ScheduleNotFound>
  /** Starts a run now. Asked once, without retries: asked twice, it would be two. */
  readonly trigger: (
    name: string
  ) => Effect.Effect<{ readonly runId: string }, Failure | ScheduleNotFound>
  /** Starts the runs of the ticks in a range of the past; those that have one keep it. */
  readonly backfill: (
    name: string,
    request: BackfillRequest
  ) => Effect.Effect<Backfilled, Failure | ScheduleNotFound | InvalidSchedule>
}

const noSchedule = (name: string) =>
  new ScheduleNotFound({ name, message: `There is no schedule ${JSON.stringify(name)}` })

export const make = ({ authorized, call, callOnce }: Requests) =>
  Effect.gen(function* () {
    const api = yield* HttpApiClient.group(Api, { group: "schedules", httpClient: authorized })
    const path = (name: string) => ({ path: { name: segment(name) } })
    const named = <A, E>(name: string, request: Effect.Effect<A, E>) =>
      hasPath(name) ? request : Effect.fail(noSchedule(name))
    const schedules: Schedules = {
      put: (name, workflow, { payload, ...request }) =>
        hasPath(name)
          ? Effect.flatMap(Typed.encodePayload(workflow, payload), (encoded) =>
              call(
                api.put({
                  ...path(name),
                  payload: { ...request, workflow: workflow.name, payload: encoded }
                })
              )
            )
          : Effect.fail(
              new InvalidSchedule({
                field: "name",
                message: `name: ${JSON.stringify(name)} is not allowed`
              })
            ),
      get: (name) => named(name, call(api.get(path(name)))),
      list: ({ cursor, limit } = {}) =>
        call(
          api.list({
            urlParams: {
              ...(limit === undefined ? {} : { limit }),
              ...(cursor === undefined ? {} : { cursor })
            }
          })
        ),
      remove: (name) => named(name, call(api.remove(path(name)))),
      pause: (name) => named(name, call(api.pause(path(name)))),
      resume: (name) => named(name, call(api.resume(path(name)))),
      trigger: (name) => named(name, callOnce(api.trigger(path(name)))),
      backfill: (name, payload) => named(name, call(api.backfill({ ...path(name), payload })))
    }
    return { schedules }
  })
