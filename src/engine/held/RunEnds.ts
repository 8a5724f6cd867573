/**
 * Whoever waits for a run's end, woken by it.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import { RunNotFound } from "../../api/Errors.js"
import * as KeepGoing from "../../internal/KeepGoing.js"
import {
  isFinal,
  type Json,
  type Run,
  type RunStore,
  type RunStoreError
} from "../../store/RunStore.js"

export interface RunEnds {
  /**
   * The run's encoded `Exit`: now, if `begin` answers with one that is over, or when it ends. Fails once
   * a run that was there is gone. One that was not there is waited for until it is, and over.
   */
  readonly of: <E = never>(
    runId: string,
    begin: Effect.Effect<Run | undefined, E | RunStoreError>
  ) => Effect.Effect<Json, E | RunNotFound | RunStoreError>
  /** This run is over. */
  readonly tell: (runId: string, exit: Json) => void
  /** This run is not held here any more, and not over. */
  readonly left: (runId: string) => void
  /** Looks in the store for the end of runs that are waited for, and of those given, or for their being gone. */
  readonly look: (others: ReadonlyArray<Told>) => Effect.Effect<void, RunStoreError>
}

/** Somebody else who wants to be told. */
export interface Told {
  readonly runId: string
  readonly tell: (exit: Json) => void
}

interface Waiting {
  readonly exit: Deferred.Deferred<Json, RunNotFound>
  count: number
  /** The store had it. */
  isThere: boolean
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
        exit: Deferred.unsafeMake<Json, RunNotFound>(FiberId.none),
        count: 0,
        isThere: false,
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

    /** What became of those that are waited for. */
    const answer = (
      asked: ReadonlyMap<string, Waiting>,
      others: ReadonlySet<string>,
      options?: { readonly tells: boolean }
    ) =>
      Effect.gen(function* () {
        // one that is created while it is asked about was not there, and is not gone
        const wereThere = new Set([...asked].flatMap(([id, { isThere }]) => (isThere ? [id] : [])))
        const finished = yield* store.finished([...new Set([...asked.keys(), ...others])], options)
        for (const { exit, runId } of finished) tell(runId, exit)
        const left = new Map(asked)
        for (const { runId } of finished) left.delete(runId)
        if (left.size > 0) {
          for (const runId of yield* store.missing([...left.keys()])) {
            const entry = left.get(runId)
            left.delete(runId)
            if (entry === undefined || !wereThere.has(runId)) continue
            // whoever comes now waits for another of that id
            if (waiting.get(runId) === entry) waiting.delete(runId)
            Deferred.unsafeDone(entry.exit, Effect.fail(gone(runId)))
          }
        }
        for (const entry of left.values()) entry.isThere = true
        return finished
      })

    /** Its end is awaited; should another process have it, that is to be told. */
    const ended = (runId: string, { exit, isAsked }: Waiting) =>
      Effect.suspend(() => {
        if (!isAsked && !isHeld(runId)) hasUnasked.unsafeOpen()
        return Deferred.await(exit)
      })

    const ask = Effect.gen(function* () {
      yield* hasUnasked.await
      hasUnasked.unsafeClose()
      const unasked = new Map(
        [...waiting].filter(([runId, { isAsked }]) => !isAsked && !isHeld(runId))
      )
      if (unasked.size === 0) return
      yield* answer(unasked, new Set(), { tells: true })
      for (const entry of unasked.values()) entry.isAsked = true
    }).pipe(Effect.tapErrorCause(() => hasUnasked.open))
    yield* Effect.forkScoped(KeepGoing.forever("asking for the ends of runs", ask))

    const of: RunEnds["of"] = (runId, begin) =>
      Effect.suspend(() => {
        const entry = join(runId)
        return Effect.ensuring(
          Effect.flatMap(begin, (run) => {
            if (run !== undefined && isFinal(run.status) && run.exit !== undefined) {
              return Effect.succeed(run.exit)
            }
            // another of its id was gone meanwhile
            if (waiting.get(runId) !== entry) return of(runId, Effect.succeed(run))
            if (run !== undefined) entry.isThere = true
            return ended(runId, entry)
          }),
          Effect.sync(() => leave(runId, entry))
        )
      })

    return {
      tell,
      left: (runId) => {
        if (waiting.get(runId)?.isAsked === false) hasUnasked.unsafeOpen()
      },
      of,
      look: (others) =>
        Effect.gen(function* () {
          if (waiting.size === 0 && others.length === 0) return
          const otherIds = new Set(others.map(({ runId }) => runId))
          const finished = yield* answer(new Map(waiting), otherIds)
          for (const { exit, runId } of finished) {
            for (const other of others) if (other.runId === runId) other.tell(exit)
          }
        })
    }
  })

const gone = (runId: string) =>
  new RunNotFound({
    runId,
    message: `There is no run ${JSON.stringify(runId)} any more: it was removed, or another took its place`
  })
