/**
 * Runs that were under way when their executor died, again and again, and have got nowhere in
 * between: one of them may be what it dies of.
 *
 * The first time says nothing: all that was under way is counted, so that nothing need be noted of
 * runs whose executors live. From then on it is noted what the run is at (`at_work`), and a further
 * death counts only where its code or a step of it was executing. From the second in a row on the run
 * is a suspect: it comes back after a pause, and one at a time (see `Claims`), so that the next death
 * tells it from the others. One that is under way for long lets others be tried beside it: it may be
 * one of these that it waits for, in a way that nobody sees. A death for which it was not even there clears one that is suspected for
 * the first time, and so does what it gets recorded, waits for, or comes to. One that dies while others
 * are suspected too is `doubted`, and has another try before it is set aside: where executors are
 * killed from outside, one of a long line is always under way.
 */

import type { Millis } from "./RunStore.js"

/** From so many deaths in a row on. */
export const suspicious = 2

const firstPauseMillis = 5_000
const longestPauseMillis = 5 * 60 * 1_000

/** What is known of a run when its executor has died. */
export interface Evidence {
  /** Deaths in a row, before this one. */
  readonly crashes: number
  /** Since it was claimed its code has executed, or a step was begun; known from the first death on. */
  readonly atWork: boolean
  /** No others were suspected when the executor died. */
  readonly alone: boolean
  readonly doubted: boolean
}

/** What a death makes of a run; `pauseMillis` of one that is to come back later. */
export interface Verdict {
  readonly crashes: number
  readonly doubted: boolean
  readonly pauseMillis: number | undefined
}

/** Five seconds, and then four times as long each time. */
const pauseOf = (crashes: number) =>
  Math.min(longestPauseMillis, firstPauseMillis * 4 ** (crashes - suspicious))

/** @param maxCrashes with so many it is set aside by whoever claims it, which nothing has to wait for */
export const judge = (evidence: Evidence, maxCrashes: number): Verdict => {
  const { alone, atWork, crashes } = evidence
  const doubted = evidence.doubted && crashes > 0
  const counted = crashes === 0 || atWork ? crashes + 1 : withoutIt(crashes, doubted)
  if (counted < suspicious) return { crashes: counted, doubted, pauseMillis: undefined }
  if (counted < maxCrashes) return { crashes: counted, doubted, pauseMillis: pauseOf(counted) }
  return counted > crashes && !alone && !doubted
    ? { crashes, doubted: true, pauseMillis: pauseOf(counted) }
    : { crashes: counted, doubted, pauseMillis: 0 }
}

/** Of one that was tried already there is more to say than that executors die of others, too. */
const withoutIt = (crashes: number, doubted: boolean) =>
  crashes === suspicious && !doubted ? suspicious - 1 : crashes

/** How much later the next suspect asks again, where one is under way. */
export const inLineMillis = 1_000

/**
 * Of `at_work`: 1 while its code executes, or a step of it, and 2 once others are tried beside it; both
 * may be.
 */
export const besideOthers = 2

/** A run of an executor that has died. */
export interface Left {
  readonly id: number
  readonly crashes: number
  readonly at_work: number
  readonly doubted: number
}

const wasAtWork = (run: Left) => (run.at_work & 1) === 1

/**
 * Whether it is known of which of these suspects an executor has died.
 *
 * @param othersWait there are suspects that were not under way
 */
export const isAlone = (suspects: ReadonlyArray<Left>, othersWait: boolean): boolean =>
  !othersWait && suspects.filter(wasAtWork).length < 2

/** What it becomes: `suspended` until `wakeAt`, or `pending` where there is none. */
export interface Taken {
  readonly crashes: number
  readonly doubted: 0 | 1
  readonly wakeAt: Millis | undefined
}

/** @param options.maxCrashes `Infinity`: nothing is counted */
export const taken = (
  run: Left,
  {
    alone,
    maxCrashes,
    now
  }: { readonly maxCrashes: number; readonly alone: boolean; readonly now: Millis }
): Taken => {
  const known = { crashes: run.crashes, atWork: wasAtWork(run), doubted: run.doubted === 1 }
  const judged = Number.isFinite(maxCrashes)
    ? judge({ ...known, alone }, maxCrashes)
    : { ...known, pauseMillis: undefined }
  return {
    crashes: judged.crashes,
    doubted: judged.doubted ? 1 : 0,
    wakeAt: judged.pauseMillis === undefined ? undefined : now + judged.pauseMillis
  }
}

/** No executor has this id. */
export const nobody = 0

/** So many times a run may take its executor with it, unless it is said. */
export const defaultMaxCrashes = 3
