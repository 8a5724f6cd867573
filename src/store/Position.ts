/**
 * The order of what is written of a run in the same millisecond. Only one process writes to a run
 * under one claim, so its own count orders the run's steps.
 */
let written = 0

export const nextPosition = (): number => written++

/** A position, in SQL, from a claim of the run and `nextPosition`. */
export const positionBy = (claim: string, count: string): string =>
  `${claim} * 4294967296 + ${count}`
