/**
 * What an executor does for schedules all the time: one fiber for all of them, which sleeps until the
 * next one ticks. Every executor does it; the store lets one of them start a tick.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { Dispatcher } from "../../engine/held/Dispatcher.js"
import { firstOf } from "../../internal/FirstOf.js"
import * as KeepGoing from "../../internal/KeepGoing.js"
import { type FoundSchedule, type Millis, RunStore } from "../../store/RunStore.js"
import * as Ids from "../../store/ScheduleIds.js"
import * as Metrics from "../../telemetry/Metrics.js"
import type { Nudge } from "../Nudges.js"
import { type Decision, decide } from "./Decide.js"
import * as Plan from "./Plan.js"
import { queueOf } from "./Queue.js"

/** Schedules that are read at once. */
const batch = 100

/** setTimeout's limit. */
const maxSleepMillis = 2 ** 31 - 1

/** Starts what is due, until it is interrupted: what is due in a drain is the next executor's. */
export const ticking = (latch: Effect.Latch) =>
  Effect.gen(function* () {
    const { registry } = yield* Dispatcher
    const store = yield* RunStore
    const advance = yield* advancing
    registry.onAdded(() => latch.unsafeOpen())
    const round = Effect.gen(function* () {
      latch.unsafeClose()
      const workflows = registry.names()
      if (workflows.length === 0) return yield* latch.await
      const now = Math.floor(yield* Clock.currentTimeMillis)
      const due = yield* store.dueSchedules({ workflows, now, limit: batch })
      // what is due together is committed together
      const advanced = yield* Effect.forEach(due, (found) => advance(found, now), {
        concurrency: "unbounded"
      })
      if (advanced.includes(true)) return
      const next = yield* store.nextSchedule({ workflows, after: now })
      yield* Option.match(next, {
        onNone: () => latch.await,
        onSome: (at) =>
          firstOf(Effect.sleep(Duration.millis(Math.min(at - now, maxSleepMillis))), latch.await)
      })
    })
    return yield* KeepGoing.forever("starting runs of schedules", round)
  })

/** Of a schedule that may have something to start that it had not before. */
export const nudge =
  (latch: Effect.Latch): Nudge =>
  ({ finished, foreign, schedules }) => {
    const isOver = finished.some(({ runId }) => Ids.isScheduled(runId))
    if (foreign || schedules === true || isOver) latch.unsafeOpen()
  }

/**
 * Decides on what is due of a schedule, and has it written; answers whether there is anything new to
 * see of it.
 */
const advancing = Effect.gen(function* () {
  const store = yield* RunStore
  const { registry } = yield* Dispatcher
  const told = new Set<string>()

  const warn = (name: string, definition: string, message: string) => {
    const key = `${name} ${definition}`
    if (told.has(key)) return Effect.void
    told.add(key)
    return Effect.logWarning("a schedule cannot be read; it does not tick here").pipe(
      Effect.annotateLogs({ schedule: name, problem: message })
    )
  }

  return (found: FoundSchedule, now: Millis) =>
    Effect.gen(function* () {
      const { schedule, underWay, version } = found
      const plan = Plan.ofStored(schedule)
      if (Either.isLeft(plan)) {
        yield* warn(schedule.name, schedule.definition, plan.left.message)
        return false
      }
      const decision = decide(plan.right, schedule, { now, isUnderWay: underWay.length > 0 })
      const { interrupts, progress, starts } = decision
      const queue = yield* queueOf(registry.workflows(), schedule)
      const changed = yield* store.changeSchedule({
        schedule: { ...schedule, ...progress },
        version,
        queue,
        starts: starts.map((tick) => ({ runId: Ids.ofTick(schedule.name, tick) })),
        interrupts: interrupts
          ? underWay.flatMap((run) => (run.interruptRequested ? [] : [run.runId]))
          : []
      })
      // who was quicker has changed it
      if (Option.isSome(changed)) yield* tell(schedule, decision)
      return true
    })
})

const iso = (tick: Millis) => new Date(tick).toISOString()

const tell = (
  before: FoundSchedule["schedule"],
  { progress, starts }: Decision
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const about = Effect.annotateLogs({ schedule: before.name })
    const { lastMissed, lastSkipped } = progress
    if (starts.length > 0) {
      Metrics.scheduleTicks("started", starts.length)
      yield* about(Effect.logDebug("schedule ticked")).pipe(
        Effect.annotateLogs({ ticks: starts.slice(0, 100).map(iso) })
      )
    }
    if (lastSkipped !== undefined && lastSkipped !== before.lastSkipped) {
      Metrics.scheduleTicks("skipped", 1)
      yield* about(Effect.logDebug("schedule skipped a tick: a run of it is under way")).pipe(
        Effect.annotateLogs({ tick: iso(lastSkipped) })
      )
    }
    if (lastMissed !== undefined && lastMissed !== before.lastMissed) {
      Metrics.scheduleTicks("missed", 1)
      yield* about(Effect.logWarning("schedule missed ticks while no executor was there")).pipe(
        Effect.annotateLogs({ last: iso(lastMissed) })
      )
    }
  })
