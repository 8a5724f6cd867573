/**
 * What becomes of a schedule's ticks that are due: a plain function of what is known of it, which
 * whoever decides at the same time may decide too; the store lets one of them write it.
 */
import type { Millis, StoredSchedule } from "../../store/RunStore.js"
import type { Plan } from "./Plan.js"
import * as Ticks from "./Ticks.js"

/** What of a schedule is decided. */
export type Progress = Pick<
  StoredSchedule,
  | "paused"
  | "decidedTo"
  | "waitingTick"
  | "nextAt"
  | "started"
  | "lastStarted"
  | "lastSkipped"
  | "lastMissed"
>

export interface Decision {
  /** The ticks whose runs are to be created, in their order. */
  readonly starts: ReadonlyArray<Millis>
  /** The runs under way are to be interrupted. */
  readonly interrupts: boolean
  readonly progress: Progress
}

/** No more are started in one transaction; the next one goes on. */
const maxStarts = 1_000

/** Nobody is so punctual that a tick could be older than nothing. */
const shortestCatchUp = 10_000

/** The last tick whose run is to have started by now. */
const lastDue = ({ dueAt, ticks }: Plan, now: Millis): Millis | undefined => {
  const last = ticks.upTo(now)
  // a run starts before the next tick
  return last !== undefined && dueAt(last) > now ? ticks.upTo(last - 1) : last
}

interface Due {
  /** The first of those that may be started. */
  readonly ticks: ReadonlyArray<Millis>
  /** The last one of those that are too old. */
  readonly missed: Millis | undefined
}

const dueOf = (plan: Plan, { decidedTo }: Progress, now: Millis): Due => {
  const last = lastDue(plan, now)
  if (last === undefined || last <= decidedTo) return { ticks: [], missed: undefined }
  const oldest =
    plan.catchUp === undefined ? last : now - Math.max(plan.catchUp, shortestCatchUp) - plan.jitter
  const tooOld = plan.ticks.upTo(oldest - 1)
  return {
    ticks: Ticks.first(plan.ticks, Math.max(decidedTo, oldest - 1), maxStarts, last),
    missed: tooOld === undefined || tooOld <= decidedTo ? undefined : Math.min(tooOld, last)
  }
}

/** When to decide next, of what is decided: not of a tick that waits, for which no time comes. */
export const nextAt = (plan: Plan, progress: Omit<Progress, "nextAt">): Millis | undefined => {
  const { decidedTo, paused, started, waitingTick } = progress
  if (paused || started + (waitingTick === undefined ? 0 : 1) >= plan.count) return undefined
  const next = plan.ticks.after(decidedTo)
  return next === undefined ? undefined : plan.dueAt(next)
}

export const decide = (
  plan: Plan,
  before: Progress,
  { isUnderWay, now }: { readonly now: Millis; readonly isUnderWay: boolean }
): Decision => {
  const { catchUp, count, dueAt, overlap } = plan
  const due = dueOf(plan, before, now)
  const starts: Array<Millis> = []
  let { decidedTo, lastSkipped, lastStarted, started, waitingTick } = before
  let interrupts = false
  let isBehind = false

  const start = (tick: Millis) => {
    starts.push(tick)
    started++
    lastStarted = tick
  }
  const skip = (tick: Millis) => {
    lastSkipped = tick
  }
  /** It waits for its turn, behind those that nobody was there for. */
  const isLate = (tick: Millis) =>
    catchUp !== undefined &&
    (due.ticks.length > 1 || starts.length > 0 || now - dueAt(tick) > shortestCatchUp)
  const isOver = () => started + (waitingTick === undefined ? 0 : 1) >= count

  if (due.missed !== undefined) decidedTo = due.missed
  if (overlap === "cancel" && due.ticks.length > 0) {
    // of several the last one is left: each would have cancelled the one before
    for (const tick of [waitingTick, ...due.ticks.slice(0, -1)]) if (tick !== undefined) skip(tick)
    waitingTick = undefined
  }
  if (waitingTick !== undefined && (!isUnderWay || overlap === "allow")) {
    const tick = waitingTick
    waitingTick = undefined
    start(tick)
  }
  for (const tick of overlap === "cancel" ? due.ticks.slice(-1) : due.ticks) {
    if (isOver()) break
    const isFree = !isUnderWay && starts.length === 0 && waitingTick === undefined
    if (overlap === "allow" || isFree) start(tick)
    else if (overlap === "cancel") {
      interrupts = true
      waitingTick = tick
    } else if (isLate(tick)) {
      // caught up with one after the other, each when the one before is over
      isBehind = true
      if (waitingTick !== undefined) break
      waitingTick = tick
      decidedTo = tick
      break
    } else if (overlap === "queue" && waitingTick === undefined) waitingTick = tick
    else skip(tick)
    decidedTo = tick
  }

  const progress = {
    paused: before.paused,
    decidedTo,
    waitingTick,
    started,
    lastStarted,
    lastSkipped,
    lastMissed: due.missed ?? before.lastMissed
  }
  return {
    starts,
    interrupts,
    progress: { ...progress, nextAt: isBehind ? undefined : nextAt(plan, progress) }
  }
}
