/**
 * The signals, for an app that leaves them to the executor.
 */
import * as StopSignals from "../internal/StopSignals.js"
import type { Drained } from "../runner/Runner.js"

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

/** Stops at the first signal. `told` hears which. */
export const onSignals = (
  stop: () => Promise<Drained>,
  told: (signal: StopSignals.Name) => void
) => {
  let unlisten = () => {}
  return {
    listen: () => {
      unlisten()
      unlisten = StopSignals.listen((signal) => {
        told(signal)
        stopWithExitCode(stop)
      })
    },
    unlisten: () => unlisten()
  }
}
