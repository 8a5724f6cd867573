/** What is asked about schedules. Payloads are JSON here: a page has no workflows of its own. */
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as Effect from "effect/Effect"
import { Api } from "../../api/Api.js"
import {
  type BackfillRequest,
  maxSchedulesPage,
  type PutScheduleRequest,
  type SchedulesPage
} from "../../api/Schedules.js"
import { segment } from "../../client/Wire.js"
import { type Question, requests } from "./Server.js"

const { authorized, call, callOnce } = requests

const api = Effect.runSync(HttpApiClient.group(Api, { group: "schedules", httpClient: authorized }))

const path = (name: string) => ({ path: { name: segment(name) } })

const page = (cursor: string | null) =>
  call(api.list({ urlParams: { limit: maxSchedulesPage, ...(cursor === null ? {} : { cursor }) } }))

/** So many pages of them, as one. */
export const schedules = (pages: number): Question<SchedulesPage> =>
  Effect.gen(function* () {
    let listed = yield* page(null)
    for (let read = 1; read < pages && listed.nextCursor !== null; read++) {
      const next: SchedulesPage = yield* page(listed.nextCursor)
      listed = { ...next, schedules: [...listed.schedules, ...next.schedules] }
    }
    return listed
  })

export const schedule = (name: string) => call(api.get(path(name)))

export const putSchedule = (name: string, payload: PutScheduleRequest) =>
  call(api.put({ ...path(name), payload }))

export const removeSchedule = (name: string) => call(api.remove(path(name)))

export const pauseSchedule = (name: string) => call(api.pause(path(name)))

export const resumeSchedule = (name: string) => call(api.resume(path(name)))

/** Asked once: asked twice, it would be two runs. */
export const triggerSchedule = (name: string) => callOnce(api.trigger(path(name)))

export const backfillSchedule = (name: string, payload: BackfillRequest) =>
  call(api.backfill({ ...path(name), payload }))
