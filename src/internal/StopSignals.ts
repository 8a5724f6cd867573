/**
 * The signals that ask a process to stop.
 *
 * One Ctrl-C often arrives twice: a terminal sends it to the whole group, and `npm` or a supervisor
 * passes its own on. So what comes within a second of the first is the first one again.
 */
import * as Effect from "effect/Effect"

export const names = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const

export type Name = (typeof names)[number]

/** How long after the first signal another one is still the same, in milliseconds. */
const sameFor = 1_000

/** Tells whoever sent it that it has come, and how not to wait. */
export const log = (signal: Name): Effect.Effect<void> =>
  Effect.logInfo(
    "stopping; another signal, a second from now or later, ends the process at once"
  ).pipe(Effect.annotateLogs({ signal }))

/**
 * Calls `stop` at the first signal. One that comes a second later or more finds nobody here, and does
 * what it does by default: it ends the process, also where code does not let the event loop go on.
 *
 * @returns stops listening, unless there has been a signal: its second is waited for
 */
export const listen = (stop: (signal: Name) => void): (() => void) => {
  let isAsked = false
  const unlisten = () => {
    for (const name of names) process.off(name, handle)
  }
  const handle = (signal: Name) => {
    if (isAsked) return
    isAsked = true
    // timers do not follow the time of day. Where the event loop stood still for the second, what
    // arrived meanwhile is told after the timers, and before this
    setTimeout(() => setImmediate(unlisten).unref(), sameFor).unref()
    stop(signal)
  }
  for (const name of names) process.on(name, handle)
  return () => {
    if (!isAsked) unlisten()
  }
}
