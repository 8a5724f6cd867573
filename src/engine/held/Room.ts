/** How many more runs this process may hold, and who gets the next place. */
import * as Effect from "effect/Effect"
import * as Backlogs from "./Backlog.js"

export interface Room {
  /** How many more runs there is room for. */
  readonly runs: () => number
  /** How many more bytes of JSON there is room for; at least 1 while there is room. */
  readonly bytes: () => number
  /** Keeps room for runs that are about to be claimed. */
  readonly reserve: Reserve
  /** Keeps room for a run that is about to be stored, where none that is older may wait for it. */
  readonly take: () => boolean
  /** Of what `take` has kept: the run is begun, and counts as such, or it is not. */
  readonly taken: (begun: boolean) => void
  /** There is more of it. */
  readonly freed: () => void
  /** There is one more run to claim, or may be. */
  readonly backlogGrows: () => void
  /** Opened whenever there may be something to claim. */
  readonly wanted: Effect.Latch
}

/**
 * Keeps room for up to `wanted` runs while `use` claims and begins them. Where there is none, opens
 * `Room.wanted` once there is.
 */
type Reserve = <E, R>(
  wanted: number,
  use: (
    count: number,
    /** It got less than it asked for: nothing waits but what has come meanwhile. */
    nothingWaits: () => void
  ) => Effect.Effect<void, E, R>
) => Effect.Effect<void, E, R>

export const make = (options: {
  readonly maxRuns: number
  readonly maxBytes: number
  /** The runs that take room now. */
  readonly held: () => { readonly size: () => number; readonly bytes: () => number }
  readonly isClosed: () => boolean
}): Room => {
  const { held, isClosed, maxBytes, maxRuns } = options
  const wanted = Effect.unsafeMakeLatch(false)
  const backlog = Backlogs.make()
  /** Room kept for runs that are being stored or claimed. */
  let reserved = 0
  /** There may be runs to claim, which wait for room. */
  let isAwaited = false

  const bytes = () => maxBytes - held().bytes()

  const runs = () => {
    if (isClosed()) return 0
    const under = held().size() + reserved
    // one is begun whatever it has: it would wait for ever
    return under > 0 && bytes() <= 0 ? 0 : maxRuns - under
  }

  const freed = () => {
    if (!isAwaited) return
    isAwaited = false
    wanted.unsafeOpen()
  }

  return {
    runs,
    bytes: () => Math.max(1, bytes()),
    reserve: (most, use) =>
      Effect.suspend(() => {
        const count = Math.max(0, Math.min(runs(), most))
        if (count === 0) {
          isAwaited = true
          return Effect.void
        }
        reserved += count
        const version = backlog.version()
        return Effect.ensuring(
          use(count, () => backlog.isTaken(version)),
          Effect.sync(() => {
            reserved -= count
            freed()
          })
        )
      }),
    take: () => {
      if (runs() <= 0 || backlog.mayWait()) return false
      reserved++
      return true
    },
    taken: (begun) => {
      reserved--
      if (!begun) freed()
    },
    freed,
    backlogGrows: backlog.grows,
    wanted
  }
}
