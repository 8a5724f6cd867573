/**
 * What is released alone is drained alone: a workflow whose registration ends, and what is done beside
 * runs; and all of it together where the executor stops.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Metrics from "../../telemetry/Metrics.js"
import type { Registration } from "../run/ActiveRun.js"
import type { Slots } from "../step/Slots.js"
import * as Active from "./ActiveRuns.js"
import * as Besides from "./Beside.js"
import type { Gate } from "./Gate.js"
import type { Registry } from "./Registry.js"
import type { Room } from "./Room.js"

export interface Releases {
  /**
   * Registers a workflow for as long as the scope is open. Its release is a drain of that workflow
   * alone: it waits for its steps in flight, with a deadline of its own, and gives its runs back,
   * while those of others go on. Where the scope around the executor closes too it is the first
   * part of the executor's own drain, and shares its deadline.
   *
   * Dies with `WorkflowAlreadyRegistered`.
   */
  readonly register: (registration: Registration) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Does other work for as long as the scope is open, in a fiber of its own. Drains wait for its
   * pieces as they do for steps, and so does its release.
   */
  readonly beside: <R>(
    name: string,
    work: (beside: Besides.Beside) => Effect.Effect<unknown, never, R>
  ) => Effect.Effect<void, never, R | Scope.Scope>
  /** Ends what this process holds, as a drain does; see `ActiveRuns.retire`. */
  readonly retire: (deadline: number) => Effect.Effect<Active.Retired>
}

export const make = (options: {
  readonly registry: Registry
  readonly gate: Gate
  readonly room: Room
  readonly slots: Slots
  readonly runs: Active.ActiveRuns
  readonly grace: Duration.Duration
}): Releases => {
  const { gate, registry, room, runs, slots } = options

  const unregister = (registration: Registration) =>
    Effect.gen(function* () {
      registry.retire(registration)
      registration.draining.unsafeOpen()
      slots.recheck()
      const retired = yield* runs.retire((run) => run.registration === registration, {
        deadline: yield* gate.deadlineOfRelease,
        final: false
      })
      yield* Active.logCut(retired)
      registry.forget(registration)
    })

  return {
    register: (registration) =>
      Effect.suspend(() => {
        // throws, and so dies, where there is one of that name
        registry.add(registration)
        if (gate.isClosed()) registration.draining.unsafeOpen()
        Metrics.registered(registration.workflow.name)
        room.backlogGrows()
        room.wanted.unsafeOpen()
        return Effect.addFinalizer(() => unregister(registration))
      }),
    beside: (name, work) =>
      Effect.suspend(() => {
        const one = Besides.make(name, options.grace)
        if (gate.isClosed()) one.close()
        gate.besides.add(one)
        const release = Effect.flatMap(gate.deadlineOfRelease, one.drain).pipe(
          Effect.ensuring(Effect.sync(() => gate.besides.delete(one)))
        )
        // released before the fiber is interrupted
        return Effect.zipRight(
          Effect.forkScoped(work(one)),
          Effect.addFinalizer(() => release)
        )
      }),
    retire: (until) =>
      Effect.zipLeft(
        runs.retire(() => true, { deadline: until, final: true }),
        Effect.forEach(gate.besides, (one) => one.drain(until), {
          concurrency: "unbounded",
          discard: true
        }),
        { concurrent: true }
      )
  }
}
