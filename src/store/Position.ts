/**
 * Where something stands in the order of what was written of a run: steps, signals, timers and the ends
 * of children, whichever process wrote them.
 *
 * A run's claims and its wake-ups are counted in its row, and each of them makes their sum grow. Between
 * two of them only its holder writes, so that one's own count orders the rest; a wake-up comes before
 * all that is written after it. 0 of a signal: it came before its run.
 */
let written = 0

export const nextPosition = (): number => written++

/** In SQL: what the holder of the run `r` writes, with a count of `nextPosition`. */
export const positionOfHolder = (r: string, count: string): string =>
  `(${r}.claim + ${r}.wakeups) * 4294967296 + ${count}`

/** In SQL: the wake-up that the run `r` is about to have. */
export const positionOfWakeUp = (r: string): string =>
  `(${r}.claim + ${r}.wakeups + 1) * 4294967296`
