/** The calls by which a workflow sleeps. */
import type * as Activity from "@effect/workflow/Activity"
import * as Workflow from "@effect/workflow/Workflow"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { Json } from "../../store/RunStore.js"
import * as Codec from "../../values/Codec.js"
import * as ReservedNames from "../../values/ReservedNames.js"
import type { Link } from "../pass/Pass.js"
import type * as Waits from "../pass/Waits.js"
import { type AnyFiber, inside, requireWellFormed, unknown, wait } from "./Call.js"

/** As `DurableClock.sleep` makes its activity. */
export const isVoid = ({ errorSchema, successSchema }: Activity.Any) =>
  successSchema === Schema.Void && errorSchema === Schema.Never

/**
 * `DurableClock.sleep` of up to its in-memory threshold comes as an activity that sleeps. As a
 * step it would hold a drain up and begin anew after a restart, so it is made a timer: its
 * duration is what it asks the Clock for.
 */
export const shortSleep = Effect.fnUntraced(function* (
  link: Link,
  fiber: AnyFiber,
  activity: Activity.Any
) {
  const asked: Array<Duration.Duration> = []
  const clock = yield* Effect.clock
  const asking: Clock.Clock = Object.assign(Object.create(clock), {
    sleep: (duration: Duration.Duration) => Effect.sync(() => asked.push(duration))
  })
  yield* Effect.orDie(Effect.withClock(activity.execute as Effect.Effect<void>, asking))
  const [duration] = asked
  if (duration === undefined || asked.length > 1) {
    return yield* Effect.dieMessage(ReservedNames.refusal("an Activity", activity.name))
  }
  yield* setTimer(link, activity.name, duration)
  yield* inside(link, fiber, wait(link, fiber, activity.name, timerLook(link, activity.name)))
  return new Workflow.Complete({ exit: Exit.void })
})

export const setTimer = (link: Link, name: string, duration: Duration.Duration) =>
  Effect.zipRight(
    requireWellFormed("timer name", name),
    Effect.map(Clock.currentTimeMillis, (now) =>
      link.run.setTimer(name, now + Duration.toMillis(duration))
    )
  )

/** What a wait for a timer, or for the signal of that name, looks at. */
export const timerLook =
  (link: Link, name: string): Waits.Look<Json> =>
  (now) => {
    const done = link.run.signals.get(name)
    if (done !== undefined) return { _tag: "There", value: done }
    const timer = link.run.timers.get(name)
    if (timer === undefined) return unknown
    if (!timer.fired && timer.wakeAt > now) return { _tag: "At", time: timer.wakeAt }
    timer.fired = true
    return { _tag: "There", value: Codec.exitVoid }
  }
