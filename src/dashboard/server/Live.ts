/**
 * What happens in the executor, as it happens: one stream of events for the whole page. It is opened
 * again when it is lost, and closed while nobody sees the page.
 */

import * as HttpClient from "@effect/platform/HttpClient"
import { computed, effect, signal } from "@preact/signals"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { EventView } from "../../api/EventView.js"
import type { RunnerState } from "../../api/RunnerState.js"
import * as EventStream from "../../client/EventStream.js"
import { requests, requestTimeout } from "./Server.js"
import { rights, signOut, token } from "./Session.js"

export type Listener = (event: EventView) => void

const listeners = new Set<Listener>()

/** Calls the listener with each event until the answer is called. */
export const onEvent = (listener: Listener): (() => void) => {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

/** Since when there is no connection; `undefined` while there is one. */
export const lostSince = signal<number | undefined>(undefined)

/** Whether events have arrived, ever. */
export const connected = signal(false)

/** Counts how often everything that is shown is to be asked for again. */
export const refreshes = signal(0)

export const executorState = signal<RunnerState | undefined>(undefined)

/** When the drain that goes on was first seen. */
export const drainingSince = signal<number | undefined>(undefined)

const visible = signal(document.visibilityState === "visible")

document.addEventListener("visibilitychange", () => {
  visible.value = document.visibilityState === "visible"
})

const refresh = () => {
  refreshes.value = refreshes.peek() + 1
}

/**
 * More happens than anybody reads: then everything that is shown is asked for again every ten seconds,
 * and nothing in between, so that those who look do not hold up what they look at.
 */
export const busy = signal(false)

const busyFor = 10_000

let resetAt = Number.NEGATIVE_INFINITY

const beBusy = () => {
  busy.value = true
  const timer = window.setInterval(() => {
    if (Date.now() - resetAt >= busyFor) {
      window.clearInterval(timer)
      busy.value = false
    }
    // at the end too: what happened since the last time was not asked for
    refresh()
  }, busyFor)
}

/** Something was not told. Told again so soon, it will be again. */
const notTold = () => {
  const isAgain = Date.now() - resetAt < busyFor
  resetAt = Date.now()
  if (busy.peek()) return
  refresh()
  if (isAgain) beBusy()
}

/** What is done when something happens, unless too much does. */
export const calmly = (action: () => void) => (): void => {
  if (!busy.peek()) action()
}

const opened = () => {
  const wasLost = lostSince.peek() !== undefined
  lostSince.value = undefined
  connected.value = true
  if (wasLost) refresh()
}

const lost = () => {
  if (lostSince.peek() === undefined) lostSince.value = Date.now()
}

/** For ever, every second or so: the page is told, and goes on trying. */
const again = Schedule.exponential("250 millis", 1.5).pipe(
  Schedule.union(Schedule.spaced("2 seconds")),
  Schedule.tapInput(() => Effect.sync(lost))
)

const streams = (whenOpened: () => void, retry: Schedule.Schedule<unknown>) =>
  EventStream.make({
    httpClient: requests.authorized.pipe(
      HttpClient.tap(({ status }) => Effect.sync(() => status === 200 && whenOpened()))
    ),
    requestTimeout,
    retry,
    longestPause: Duration.seconds(2)
  })

/** Of one run: what it is, and what happens to it until it is over. */
export const ofRun = (runId: string): Stream.Stream<EventView, EventStream.StreamError> =>
  streams(
    () => {},
    Schedule.exponential("250 millis", 1.5).pipe(Schedule.union(Schedule.spaced("2 seconds")))
  )({ runId })

let lastEventId: string | undefined

const told = (event: EventView) => {
  lastEventId = event.id
  if (event.type === "executor") {
    executorState.value = event.state
    drainingSince.value =
      event.state === "draining" ? (drainingSince.peek() ?? Date.now()) : undefined
  }
  if (event.type === "reset") notTold()
  for (const listener of [...listeners]) listener(event)
}

const failed = (error: EventStream.StreamError) =>
  Effect.sync(() => {
    if (error._tag === "Unauthorized") signOut(error.message)
    else lost()
  })

const listen = Effect.suspend(() =>
  streams(
    opened,
    again
  )({ lastEventId, digest: true }).pipe(
    Stream.runForEach((event) => Effect.sync(() => told(event))),
    Effect.catchAll(failed)
  )
).pipe(Effect.repeat(Schedule.spaced("5 seconds")))

export const isListening = computed(
  () => token.value !== undefined && rights.value.read && visible.value
)

/** From now on, while somebody is signed in and the page is seen. */
export const start = (): void => {
  effect(() => {
    if (!isListening.value) return undefined
    // what was missed while nobody looked
    if (connected.peek()) refresh()
    const fiber = Effect.runFork(listen)
    return () => void Effect.runFork(Fiber.interrupt(fiber))
  })
}
