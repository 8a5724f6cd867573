/**
 * Tells runs, and whoever waits for one, what commits have changed: those of this process as they are
 * made, those of others by reading what they wrote.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as KeepGoing from "../../internal/KeepGoing.js"
import type { Change, RunStore } from "../../store/RunStore.js"
import type { ActiveRuns } from "./ActiveRuns.js"
import type { Room } from "./Room.js"
import type { RunEnds } from "./RunEnds.js"

interface NewsOptions {
  readonly store: RunStore["Type"]
  readonly runs: ActiveRuns
  readonly ends: RunEnds
  readonly room: Room
  /** The id under which this process holds runs, while it does. */
  readonly executor: () => number | undefined
}

/** In the background, for as long as the scope is open. */
export const tell = (options: NewsOptions): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const look = yield* makeLook(options)
    const changes = yield* options.store.changes
    const round = Effect.flatMap(changes.take, (change) =>
      Effect.suspend(() => {
        react(options, change)
        return change.foreign ? look(change.told ?? "all") : Effect.void
      }).pipe(
        // what was to be told then is read from the store
        Effect.tapErrorCause(() => look("all"))
      )
    )
    yield* Effect.forkScoped(KeepGoing.forever("telling runs what has changed", round))
  })

const react = ({ ends, room, runs }: NewsOptions, change: Change): void => {
  if (change.pending || (change.foreign && change.told === undefined)) {
    room.backlogGrows()
    room.wanted.unsafeOpen()
  }
  // first whose runs they are, then what they were told
  runs.woken(change.woken)
  for (const { exit, runId } of change.finished) {
    ends.tell(runId, exit)
    runs.childFinished(runId, exit)
  }
  for (const signal of change.signals) runs.signal(signal)
  for (const runId of change.interrupts) runs.interrupt(runId)
}

/** What another process has written to: these runs, or it is not known which. */
type Unseen = "all" | ReadonlyArray<string>

const both = (one: Unseen, other: Unseen): Unseen =>
  one === "all" || other === "all" ? "all" : [...new Set([...one, ...other])]

const none: ReadonlyArray<string> = []

/**
 * What another process wrote is looked for until it could be read; beside what is told of this
 * process's own writes, which does not wait for it.
 */
const makeLook = ({ ends, executor, runs }: NewsOptions) =>
  Effect.map(Effect.scope, (scope) => {
    /** What was written since the last look began. */
    let unseen: Unseen = none
    let looking = false

    const lookOnce = (at: Unseen) => {
      const holder = executor()
      if (at !== "all") return runs.refresh.runs(at)
      return Effect.zipRight(
        ends.look(runs.childrenAwaited()),
        holder === undefined ? Effect.void : runs.refresh.all(holder)
      )
    }

    const lookWhileUnseen = Effect.gen(function* () {
      while (unseen !== none) {
        const at = unseen
        unseen = none
        yield* Effect.catchAllCause(
          Effect.suspend(() => lookOnce(at)),
          (cause) => {
            unseen = both(unseen, at)
            return Effect.zipRight(
              Effect.logWarning("store could not be read; trying again", cause),
              Effect.sleep("1 second")
            )
          }
        )
      }
      looking = false
    })

    return (at: Unseen) =>
      Effect.suspend(() => {
        // most of what others are told is about runs that are theirs
        if (at !== "all" && !at.some(runs.isHeld)) return Effect.void
        unseen = both(unseen, at)
        if (looking) return Effect.void
        looking = true
        return Effect.asVoid(Effect.forkIn(lookWhileUnseen, scope))
      })
  })
