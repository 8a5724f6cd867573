/**
 * Serves schedules. Whoever may start runs of a workflow may say when they start: `RunAccess` is asked
 * about a start of each, and of those that it may read a request sees.
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Api } from "../api/Api.js"
import type { ScheduleView } from "../api/Schedules.js"
import { layerService, Schedules } from "../runner/Schedules.js"
import { scheduleNotFound } from "../runner/schedules/Refusals.js"
import { prefix } from "../store/ScheduleIds.js"
import * as Access from "./Access.js"
import * as NoBody from "./NoBody.js"
import { orNotAvailable } from "./StoreFailures.js"
import * as Values from "./Values.js"

/** A schedule is read as its runs are. */
const readable = ({ name, workflow }: ScheduleView) =>
  Access.allowed("read", { workflow, runId: prefix(name) })

const asVisible = (schedule: ScheduleView) =>
  Access.visible(schedule.lastRuns).pipe(
    Effect.map((lastRuns) => ({ ...schedule, lastRuns })),
    Effect.flatMap(Values.ofSchedule)
  )

export const layer = HttpApiBuilder.group(Api, "schedules", (handlers) =>
  Effect.gen(function* () {
    const schedules = yield* Schedules

    /** As who may start what it starts. */
    const authorized = Effect.fnUntraced(function* (name: string) {
      const { workflow } = yield* schedules.get(name)
      yield* Access.authorize("start", { workflow, runId: undefined })
    })

    return handlers
      .handle("list", ({ urlParams }) =>
        schedules.list(urlParams).pipe(
          Effect.bind("visible", (page) => Effect.filter(page.schedules, readable)),
          Effect.flatMap(({ nextCursor, visible }) =>
            Effect.map(Effect.forEach(visible, asVisible), (schedules) => ({
              schedules,
              nextCursor
            }))
          ),
          orNotAvailable
        )
      )
      .handle("get", ({ path: { name } }) =>
        Effect.gen(function* () {
          const schedule = yield* schedules.get(name)
          // to who may not read it, it is as one that is not there
          if (!(yield* readable(schedule))) return yield* scheduleNotFound(name)
          return yield* asVisible(schedule)
        }).pipe(orNotAvailable)
      )
      .handle("put", ({ path: { name }, payload }) =>
        Effect.gen(function* () {
          // of one that starts something else both are decided about
          yield* Effect.catchTag(authorized(name), "ScheduleNotFound", () => Effect.void)
          yield* Access.authorize("start", { workflow: payload.workflow, runId: undefined })
          return yield* Values.ofSchedule(yield* schedules.put(name, payload))
        }).pipe(orNotAvailable)
      )
      .handle("remove", ({ path: { name } }) =>
        orNotAvailable(Effect.zipRight(authorized(name), schedules.remove(name)))
      )
      .handle("pause", ({ path: { name }, request }) =>
        NoBody.expected(request, authorized(name)).pipe(
          Effect.zipRight(schedules.pause(name)),
          Effect.flatMap(Values.ofSchedule),
          orNotAvailable
        )
      )
      .handle("resume", ({ path: { name }, request }) =>
        NoBody.expected(request, authorized(name)).pipe(
          Effect.zipRight(schedules.resume(name)),
          Effect.flatMap(Values.ofSchedule),
          orNotAvailable
        )
      )
      .handle("trigger", ({ path: { name }, request }) =>
        NoBody.expected(request, authorized(name)).pipe(
          Effect.zipRight(schedules.trigger(name)),
          Effect.map(({ runId }) =>
            HttpServerResponse.unsafeJson(
              { runId },
              { status: 202, headers: { location: `/runs/${encodeURIComponent(runId)}` } }
            )
          ),
          orNotAvailable
        )
      )
      .handle("backfill", ({ path: { name }, payload }) =>
        orNotAvailable(Effect.zipRight(authorized(name), schedules.backfill(name, payload)))
      )
  })
).pipe(
  // it has no state: one of its own is as good as the executor's
  Layer.provide(layerService)
)
