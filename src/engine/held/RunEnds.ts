/**
 * Whoever waits for a run's end, woken by it.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import * as KeepGoing from "../../internal/KeepGoing.js"
import {
  isFinal,
  type Json,
  type Run,
  type RunStore,
  type RunStoreError
} from "../../store/RunStore.js"

export interface RunEnds {
  /** The run's encoded `Exit`: now, if `begin` answers with one that is over, or when it ends. */
  readonly of: <E = never>(
    runId: string,
    begin: Effect.Effect<Run | undefined, E | RunStoreError>
  ) => Effect.Effect<Json, E | RunStoreError>
  /** This run is over. */
  readonly tell: (runId: string, exit: Json) => void
  /** This run is not held here any more, and not over. */
  readonly left: (runId: string) => void
  /** Looks in the store for the end of runs that are waited for, and of those given. */
  readonly look: (others: ReadonlyArray<Told>) => Effect.Effect<void, RunStoreError>
}

/** Somebody else who wants to be told. */
export interface Told {
  readonly runId: string
  readonly tell: (exit: Json) => void
}

interface Waiting {
  readonly exit: Deferred.Deferred<Json>
  count: number
  /** The store was asked to tell of its end, should another process have it. */
  isAsked: boolean
}

export const make = ({
  isHeld,
  store
}: {
  readonly store: RunStore["Type"]
  /** Here, where its end is seen. */
  readonly isHeld: (runId: string) => boolean
}): Effect.Effect<RunEnds, never, Scope.Scope> =>
  Effect.gen(function* () {
    const waiting = new Map<string, Waiting>()
    const hasUnasked = yield* Effect.makeLatch(false)

    yield* Effect.addFinalizer(() =>
      Effect.forEach(waiting.values(), ({ exit }) => Deferred.interrupt(exit), { discard: true })
    )

    const join = (runId: string): Waiting => {
      const entry = waiting.get(runId) ?? {
        exit: Deferred.unsafeMake<Json>(FiberId.none),
        count: 0,
        isAsked: false
      }
      waiting.set(runId, entry)
      entry.count++
      return entry
    }

    const leave = (runId: string, entry: Waiting) => {
      entry.count--
      if (entry.count === 0 && waiting.get(runId) === entry) waiting.delete(runId)
    }

    const tell: RunEnds["tell"] = (runId, exit) => {
      const entry = waiting.get(runId)
      if (entry !== undefined) Deferred.unsafeDone(entry.exit, Effect.succeed(exit))
    }

    /** Its end is awaited; should another process have it, that is to be told. */
    const ended = (runId: string, { exit, isAsked }: Waiting) =>
      Effect.suspend(() => {
        if (!isAsked && !isHeld(runId)) hasUnasked.unsafeOpen()
        return Deferred.await(exit)
      })

    const ask = Effect.gen(function* () {
      yield* hasUnasked.await
      hasUnasked.unsafeClose()
      const unasked = [...waiting].filter(([runId, { isAsked }]) => !isAsked && !isHeld(runId))
      if (unasked.length === 0) return
      const runIds = unasked.map(([runId]) => runId)
      const finished = yield* store.finished(runIds, { tells: true })
      for (const [, entry] of unasked) entry.isAsked = true
      for (const { exit, runId } of finished) tell(runId, exit)
    }).pipe(Effect.tapErrorCause(() => hasUnasked.open))
    yield* Effect.forkScoped(KeepGoing.forever("asking for the ends of runs", ask))

    return {
      tell,
      left: (runId) => {
        if (waiting.get(runId)?.isAsked === false) hasUnasked.unsafeOpen()
      },
      of: (runId, begin) =>
        Effect.suspend(() => {
          const entry = join(runId)
          return Effect.ensuring(
            Effect.flatMap(begin, (run) =>
              run !== undefined && isFinal(run.status) && run.exit !== undefined
                ? Effect.succeed(run.exit)
                : ended(runId, entry)
            ),
            Effect.sync(() => leave(runId, entry))
          )
        }),
      look: (others) =>
        Effect.gen(function* () {
          const runIds = new Set([...waiting.keys(), ...others.map(({ runId }) => runId)])
          if (runIds.size === 0) return
          const finished = yield* store.finished([...runIds])
          for (const { exit, runId } of finished) {
            tell(runId, exit)
            for (const other of others) if (other.runId === runId) other.tell(exit)
          }
        })
    }
  })
