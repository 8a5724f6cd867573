/**
 * SIGTERM and SIGINT, for an app that leaves them to the executor.
 */
import type { Drained } from "../Runner.js"

const names = ["SIGTERM", "SIGINT"] as const

/** Stops, and says in the process's exit code how that went. */
export const stopWithExitCode = (stop: () => Promise<Drained>): void => {
  stop().then(
    () => {
      process.exitCode ??= 0
    },
    () => {
      process.exitCode = 1
    }
  )
}

/** Stops at the first signal; a second one finds nobody here and does what it does by default. */
export const onSignals = (stop: () => Promise<Drained>) => {
  const handle = () => {
    unlisten()
    stopWithExitCode(stop)
  }
  const listen = () => {
    for (const name of names) process.on(name, handle)
  }
  const unlisten = () => {
    for (const name of names) process.off(name, handle)
  }
  return { listen, unlisten }
}
