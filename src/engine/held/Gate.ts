/**
 * The gate of the drain: once it is closed no step starts in this process and no run is begun, and it
 * does not open again. What is released alone closes it for itself; for workflows and queues that are
 * paused, and are to park, it is closed until they go on.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Elapsed from "../../internal/Elapsed.js"
import type { ActiveRun } from "../run/ActiveRun.js"
import type { Slots } from "../step/Slots.js"
import type { Beside } from "./Beside.js"
import type { Registry } from "./Registry.js"

/** What is paused, and is to park: by its name. */
export interface Parked {
  readonly workflows: ReadonlySet<string>
  readonly queues: ReadonlySet<string>
}

export interface Gate {
  /** The executor stops. */
  readonly isClosed: () => boolean
  /** No step of this run may start here. */
  readonly refuses: (run: ActiveRun) => boolean
  /**
   * Closed for the runs of these. For others it is open again, but for runs that it has refused once: they
   * are given back first.
   */
  readonly park: (parked: Parked) => void
  /** What is. */
  readonly parked: () => Parked
  readonly isParked: (run: Pick<ActiveRun, "workflowName" | "queue">) => boolean
  /**
   * The executor stops: closes it. Answers with the time at which the drain has to be over, as
   * `Elapsed.now`, which counts from when it was first called.
   */
  readonly close: Effect.Effect<number>
  /** For how many milliseconds more a drain that has begun waits; `undefined` where none has. */
  readonly left: Effect.Effect<number | undefined>
  /** When the release of a part has to be over: of what is released alone it is its own time. */
  readonly deadlineOfRelease: Effect.Effect<number>
  /** What is done beside runs, for which a drain waits too. */
  readonly besides: Set<Beside>
}

export const make = (options: {
  readonly registry: Registry
  readonly slots: Slots
  readonly stopTimeout: Duration.Duration
  /** Whether the scope around the executor has begun to close. */
  readonly isStopping: Effect.Effect<boolean>
}): Gate => {
  const { registry, slots } = options
  const budget = Duration.toMillis(options.stopTimeout)
  const besides = new Set<Beside>()
  let parked: Parked = { workflows: new Set(), queues: new Set() }
  let closedSince: number | undefined

  const isClosed = () => closedSince !== undefined

  const isParked: Gate["isParked"] = ({ queue, workflowName }) =>
    (parked.workflows.size > 0 && parked.workflows.has(workflowName)) ||
    (queue !== undefined && parked.queues.has(queue))

  const close = Effect.map(Elapsed.now, (now) => {
    if (closedSince === undefined) {
      closedSince = now
      slots.close()
      for (const { draining } of registry.all()) draining.unsafeOpen()
      for (const beside of besides) beside.close()
    }
    return closedSince + budget
  })

  return {
    isClosed,
    refuses: (run) => {
      if (isParked(run)) run.parks = true
      return isClosed() || run.lost || run.parks || registry.isRetiring(run.registration)
    },
    park: (asked) => {
      parked = asked
      slots.recheck()
    },
    parked: () => parked,
    isParked,
    close,
    left: Effect.map(Elapsed.now, (now) =>
      closedSince === undefined ? undefined : Math.max(0, closedSince + budget - now)
    ),
    deadlineOfRelease: Effect.gen(function* () {
      const stops = isClosed() || (yield* options.isStopping)
      return stops ? yield* close : (yield* Elapsed.now) + budget
    }),
    besides
  }
}
