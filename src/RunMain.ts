/**
 * The main effect of a process that drains when it is asked to stop.
 */
import * as PlatformRuntime from "@effect/platform/Runtime"
import * as StopSignals from "./internal/StopSignals.js"

/** As long as a timer can be. */
const longest = 2 ** 31 - 1

/**
 * As `NodeRuntime.runMain`, and for what drains: SIGHUP and SIGQUIT interrupt the effect as well as
 * SIGTERM and SIGINT, and a further signal ends the process at once only when it comes a second or
 * more after the first. Earlier it is the same one again: of a Ctrl-C under `npm start` the process
 * is told by the terminal and by npm.
 *
 * @example
 * Executor.layer({ workflows: OrdersLive }).pipe(Layer.launch, RunMain.runMain)
 */
export const runMain: PlatformRuntime.RunMain = PlatformRuntime.makeRunMain(
  ({ fiber, teardown }) => {
    const keepAlive = setInterval(() => {}, longest)
    let isAsked = false
    const unlisten = StopSignals.listen(() => {
      isAsked = true
      fiber.unsafeInterruptAsFork(fiber.id())
    })
    fiber.addObserver((exit) => {
      unlisten()
      clearInterval(keepAlive)
      teardown(exit, (code) => {
        if (isAsked || code !== 0) process.exit(code)
      })
    })
  }
)
