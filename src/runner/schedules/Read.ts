/** Schedules as clients see them. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import {
  type ListSchedulesRequest,
  maxSchedulesPage,
  type ScheduleDefinition,
  type ScheduledRunView,
  type SchedulesPage,
  type ScheduleView
} from "../../api/Schedules.js"
import type {
  FoundSchedule,
  Millis,
  RunOfSchedule,
  RunStore,
  StoredSchedule
} from "../../store/RunStore.js"
import * as Ids from "../../store/ScheduleIds.js"
import { viewPayload } from "../RunViews.js"
import { nextAt } from "./Decide.js"
import * as Plan from "./Plan.js"
import { scheduleNotFound } from "./Refusals.js"
import * as Ticks from "./Ticks.js"

/** So many of the next ticks are told, and of the last runs. */
const told = 5

const iso = (time: Millis) => new Date(time).toISOString()

const viewRun = (run: RunOfSchedule): ScheduledRunView => ({
  runId: run.runId,
  workflow: run.workflow,
  status: run.status,
  createdAt: iso(run.createdAt),
  ...(run.completedAt === undefined ? {} : { completedAt: iso(run.completedAt) })
})

/** Without what is not said. */
export const defined = (definition: ScheduleDefinition): ScheduleDefinition => ({
  ...(definition.cron === undefined ? {} : { cron: definition.cron }),
  ...(definition.every === undefined ? {} : { every: definition.every }),
  ...(definition.timeZone === undefined ? {} : { timeZone: definition.timeZone }),
  ...(definition.overlap === undefined ? {} : { overlap: definition.overlap }),
  ...(definition.catchUp === undefined ? {} : { catchUp: definition.catchUp }),
  ...(definition.jitter === undefined ? {} : { jitter: definition.jitter }),
  ...(definition.end === undefined ? {} : { end: definition.end }),
  ...(definition.count === undefined ? {} : { count: definition.count })
})

/** From when on it has ticks that nobody has decided about: later than now, but for those waiting. */
const viewNext = (schedule: StoredSchedule, now: Millis) =>
  Either.match(Plan.ofStored(schedule), {
    onLeft: ({ message }) => ({ nextTicks: [], problem: message }),
    onRight: (plan) => {
      const { decidedTo, paused, started, waitingTick } = schedule
      const left = plan.count - started - (waitingTick === undefined ? 0 : 1)
      const from = Math.max(decidedTo, now)
      const ticks = paused ? [] : Ticks.first(plan.ticks, from, Math.min(told, left))
      const next = nextAt(plan, { ...schedule, decidedTo: from })
      return {
        nextTicks: ticks.map(iso),
        ...(next === undefined ? {} : { nextStart: iso(next) })
      }
    }
  })

export const view = (
  schedule: StoredSchedule,
  runs: ReadonlyArray<RunOfSchedule>,
  now: Millis
): ScheduleView => {
  const { lastMissed, lastSkipped, lastStarted, waitingTick } = schedule
  return {
    name: schedule.name,
    workflow: schedule.workflow,
    payload: viewPayload(schedule.payload),
    ...defined(Either.getOrElse(Plan.decode(schedule.definition), () => ({}))),
    paused: schedule.paused,
    origin: schedule.origin,
    createdAt: iso(schedule.createdAt),
    changedAt: iso(schedule.changedAt),
    started: schedule.started,
    ...viewNext(schedule, now),
    ...(waitingTick === undefined ? {} : { waitingTick: iso(waitingTick) }),
    ...(lastStarted === undefined ? {} : { lastStarted: iso(lastStarted) }),
    ...(lastSkipped === undefined ? {} : { lastSkipped: iso(lastSkipped) }),
    ...(lastMissed === undefined ? {} : { lastMissed: iso(lastMissed) }),
    lastRuns: runs.map(viewRun)
  }
}

/** With its last runs, which are read. */
export const viewing = (store: RunStore["Type"]) =>
  Effect.fnUntraced(function* (schedule: StoredSchedule) {
    const prefix = Ids.prefix(schedule.name)
    const runs = yield* store.lastBeginningWith({ prefix, limit: told })
    return view(schedule, runs, yield* Clock.currentTimeMillis)
  })

/** The schedule of that name, as it is stored. */
export const finding = (store: RunStore["Type"]) => (name: string) =>
  Effect.flatMap(
    store.findSchedule(name),
    Option.match({
      onNone: () => scheduleNotFound(name),
      onSome: (found: FoundSchedule) => Effect.succeed(found)
    })
  )

export const make = (store: RunStore["Type"]) => {
  const viewed = viewing(store)
  const list = Effect.fnUntraced(function* ({ cursor, limit = 50 }: ListSchedulesRequest = {}) {
    const wanted = Math.min(maxSchedulesPage, Math.max(1, Math.trunc(limit)))
    const found = yield* store.listSchedules({ after: cursor, limit: wanted + 1 })
    const shown = found.slice(0, wanted)
    const schedules = yield* Effect.forEach(shown, ({ schedule }) => viewed(schedule))
    const last = shown.at(-1)
    return {
      schedules,
      nextCursor: found.length > wanted && last !== undefined ? last.schedule.name : null
    } satisfies SchedulesPage
  })
  return {
    get: (name: string) => Effect.flatMap(finding(store)(name), ({ schedule }) => viewed(schedule)),
    list
  }
}
