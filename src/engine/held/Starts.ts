/** Stores runs that are started, and begins those that this process holds. */
import * as Effect from "effect/Effect"
import type { ClaimedRun, CreatedRun, NewRun, RunStore } from "../../store/RunStore.js"
import type { Registration } from "../run/ActiveRun.js"
import type { Persist } from "../run/Persist.js"
import * as SetAside from "../run/SetAside.js"
import type { Gate } from "./Gate.js"
import type { Registry } from "./Registry.js"
import type { Room } from "./Room.js"

/** A run as it is, and whether it was stored now. */
export type Started = Pick<CreatedRun, "run" | "created" | "replaced" | "skipped">

/** Who stores a run. */
type Create<E> = (run: NewRun, claimFor?: number) => Effect.Effect<CreatedRun, E>

export interface Starts {
  /** Stores a run, and begins it at once where this process has room and the workflow. */
  readonly start: <E>(create: Create<E>, run: NewRun) => Effect.Effect<Started, E>
  /** Begins runs that were claimed; gives back those that must not begin any more. */
  readonly begin: (runs: ReadonlyArray<ClaimedRun>) => Effect.Effect<void>
}

export const make = (options: {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
  readonly registry: Registry
  readonly gate: Gate
  readonly room: Room
  /** The id under which this process holds runs, while it does. */
  readonly executor: () => number | undefined
  readonly maxRunSize: number
  readonly begin: (registration: Registration, claimed: ClaimedRun) => void
}): Starts => {
  const { gate, maxRunSize, persist, registry, room, store } = options

  const beginOne = (run: ClaimedRun): Effect.Effect<void> => {
    const registration = registry.find(run.workflow)
    if (registration === undefined || gate.isClosed()) {
      return Effect.ignore(persist(store.release([{ held: run.held, timers: [] }])))
    }
    if (run.bytes > maxRunSize) return SetAside.unread(run, maxRunSize, { store, persist })
    return Effect.catchAllDefect(
      Effect.sync(() => options.begin(registration, run)),
      // the others that were claimed with it are begun
      (defect) => SetAside.unbegun(run, defect, { store, persist })
    )
  }

  /** For an executor that has room for it. */
  const startHere = <E>(create: Create<E>, run: NewRun, claimFor: number) =>
    // a run that is claimed is also begun, or given back
    Effect.uninterruptible(
      Effect.matchCauseEffect(create(run, claimFor), {
        onFailure: (cause) => {
          room.taken(false)
          return Effect.failCause(cause)
        },
        onSuccess: (answer) => {
          room.taken(answer.claimed !== undefined)
          return answer.claimed === undefined
            ? Effect.succeed(answer)
            : Effect.as(beginOne(answer.claimed), answer)
        }
      })
    )

  return {
    start: (create, run) =>
      Effect.suspend(() => {
        const executor = options.executor()
        const isNext =
          executor !== undefined && registry.find(run.workflow) !== undefined && room.take()
        if (isNext) return startHere(create, run, executor)
        room.backlogGrows()
        return create(run)
      }),
    begin: (claimed) =>
      // those that are given back come last: the others are told what comes next from now on
      Effect.suspend(() => Effect.all(claimed.map(beginOne), { discard: true }))
  }
}
