/**
 * Which runs that wait are kept in memory, and for how long. A run that is kept goes on where it is;
 * one that is not is replayed. For what lasts it makes no difference.
 */
import * as Duration from "effect/Duration"

/** What waits for less is not worth a write: it goes on before anybody could ask. */
const shortWait = Duration.toMillis("500 millis")

/** What waits for longer is not worth its memory. */
const longWait = Duration.toMillis("5 minutes")

/** How much is let go at a time, once there is too much: a tenth. */
const share = 10

export interface WarmLimits {
  /** At most so many runs. */
  readonly runs: number
  /** With at most so many bytes of JSON. */
  readonly bytes: number
}

/**
 * - `stay`: it stays `running`.
 * - `keep`: it is suspended, and kept in memory.
 * - `let go`: it is suspended, and kept in memory no longer.
 */
export type Choice = "stay" | "keep" | "let go"

/** @param dueAt when it goes on by itself, if that is known */
export const choose = (dueAt: number | undefined, now: number, { runs }: WarmLimits): Choice => {
  const remaining = dueAt === undefined ? undefined : dueAt - now
  if (remaining !== undefined && remaining <= shortWait) return "stay"
  return runs > 0 && (remaining === undefined || remaining <= longWait) ? "keep" : "let go"
}

/** How long one has waited, and is to wait. */
interface Waiting {
  readonly since: number
  readonly dueAt: number | undefined
  readonly bytes: number
}

/** One that waits for nobody knows how long is taken to wait for as long again as it has. */
const remainingOf = ({ dueAt, since }: Waiting, now: number) =>
  dueAt === undefined ? now - since : dueAt - now

/** The runs that are kept. */
export class WarmRuns<Run> {
  private readonly waiting = new Map<Run, Waiting>()
  /** Of all of them. */
  bytes = 0

  constructor(private readonly limits: WarmLimits) {}

  get size(): number {
    return this.waiting.size
  }

  runs(): ReadonlyArray<Run> {
    return [...this.waiting.keys()]
  }

  add(run: Run, waiting: Waiting): void {
    this.delete(run)
    this.waiting.set(run, waiting)
    this.bytes += waiting.bytes
  }

  delete(run: Run): boolean {
    const waiting = this.waiting.get(run)
    if (waiting === undefined) return false
    this.bytes -= waiting.bytes
    return this.waiting.delete(run)
  }

  /** Those to let go: they will wait longest. None while there is room. */
  overdue(now: number): ReadonlyArray<Run> {
    let runs = this.waiting.size - this.limits.runs
    let bytes = this.bytes - this.limits.bytes
    if (runs <= 0 && bytes <= 0) return []
    // some more, so that not each one that comes has them all looked through
    runs += Math.ceil(this.limits.runs / share)
    bytes += Math.ceil(this.limits.bytes / share)
    const longestFirst = [...this.waiting].sort(
      ([, a], [, b]) => remainingOf(b, now) - remainingOf(a, now)
    )
    const chosen: Array<Run> = []
    const tooMany = this.waiting.size > this.limits.runs
    const tooLarge = this.bytes > this.limits.bytes
    for (const [run, waiting] of longestFirst) {
      if (!((tooMany && runs > 0) || (tooLarge && bytes > 0))) break
      chosen.push(run)
      runs--
      bytes -= waiting.bytes
    }
    return chosen
  }
}
