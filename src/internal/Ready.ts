/**
 * Whether more fibers of runs are ready than have run, because the event loop was to have a turn in
 * between: see `RunScheduler`. What they are about to write is worth waiting for.
 */
let left = false

export const isMore = (): boolean => left

export const setMore = (isLeft: boolean): void => {
  left = isLeft
}
