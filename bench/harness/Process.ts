/** What a child process knows of itself. */
import { monitorEventLoopDelay } from "node:perf_hooks"

/** Milliseconds on a clock that all processes of the machine share. */
export const sharedMillis = (): number => Number(process.hrtime.bigint()) / 1e6

export const collectGarbage = (): void => {
  globalThis.gc?.()
}

/** Bytes in use on the JavaScript heap, after what is not in use has been collected. */
export const heapInUse = async (): Promise<number> => {
  for (let i = 0; i < 3; i++) {
    collectGarbage()
    await pause(50)
  }
  collectGarbage()
  return process.memoryUsage().heapUsed
}

export const pause = (millis: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, millis))

export const until = async (condition: () => boolean, everyMillis = 5): Promise<void> => {
  while (!condition()) await pause(everyMillis)
}

/** Watches for how long the event loop is held up; `stop` answers with the longest, in ms. */
export const watchEventLoop = () => {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  return {
    stop: async (): Promise<number> => {
      // the last block is noticed by the timer that it held up
      await pause(5)
      histogram.disable()
      return histogram.max / 1e6
    }
  }
}
