/**
 * Whether older runs may wait for the room that a new one would take. What waits is in the store, so
 * it is only known that nothing does: when a claim has brought less than there was room for, and
 * nothing has been told since.
 */
export interface Backlog {
  readonly mayWait: () => boolean
  /** There is one more, or may be. */
  readonly grows: () => void
  /** Grows with it. */
  readonly version: () => number
  /** All that waited at that version is taken. */
  readonly isTaken: (version: number) => void
}

export const make = (): Backlog => {
  let version = 0
  let taken = -1
  return {
    mayWait: () => taken !== version,
    grows: () => {
      version++
    },
    version: () => version,
    isTaken: (version) => {
      taken = version
    }
  }
}
