/** How runs are created, beside the rows that are written: with options, in queues, claimed at once. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Arrivals from "./Arrivals.js"
import type { PortableTransaction } from "./Portable.js"
import type { ClaimedRun, CreatedRun, Held, History, NewRun, RunLost } from "./RunStore.js"
import * as StartOptions from "./StartOptions.js"
import type { Operation } from "./Write.js"

export interface Creation {
  readonly run: NewRun
  readonly claimFor: number | undefined
  /** Whoever creates it does so as the holder of this run, and only as long as that is so. */
  readonly by?: Held | undefined
}

/** A transaction in which runs are created, and what their start does to others. */
export interface Creating extends PortableTransaction, Arrivals.Others {
  readonly createAll: (
    creations: ReadonlyArray<Creation>
  ) => Effect.Effect<ReadonlyArray<Exit.Exit<CreatedRun, RunLost>>, SqlError>
}

/** One that was started with more than most are: held back, it is claimed by nobody. */
export const createWithOptions =
  (creation: Creation): Operation<Creating, CreatedRun, RunLost> =>
  (transaction) =>
    Effect.gen(function* () {
      const arrived = yield* Arrivals.decide(transaction, creation.run, transaction)
      if ("instead" in arrived) return arrived.instead
      const { run, superseded = [] } = arrived
      const heldBack = StartOptions.isHeldBack(run, transaction.now)
      const [created = Exit.die(creation)] = yield* transaction.createAll([
        { ...creation, run, claimFor: heldBack ? undefined : creation.claimFor }
      ])
      const answer = yield* StartOptions.finish(transaction, run, yield* created)
      if (answer.created) yield* Arrivals.settle(transaction, run, transaction)
      return superseded.length === 0 ? answer : { ...answer, superseded }
    })

/**
 * Within a transaction that does more: for whoever claims them. Those that are there stay. Most are
 * created together, and those with options or in a queue one by one.
 */
export const createPending =
  (runs: ReadonlyArray<NewRun>): Operation<Creating, ReadonlyArray<CreatedRun>> =>
  (transaction) =>
    (runs.some(StartOptions.has)
      ? Effect.forEach(runs, (run) => createWithOptions({ run, claimFor: undefined })(transaction))
      : Effect.flatMap(
          transaction.createAll(runs.map((run) => ({ run, claimFor: undefined }))),
          Effect.all
        )
    ).pipe(
      // they are created in nobody's name
      Effect.catchTag("RunLost", Effect.die)
    )

/** About: what is not ASCII has more bytes than characters. */
export const bytesOf = ({ run }: Creation): number => run.payload.length

/** A run that was claimed when it was created: only signals may have come before it did. */
export const claimedAtOnce = (
  run: NewRun,
  { executor, key }: Pick<Held, "executor" | "key">,
  signals: History["signals"] = []
): ClaimedRun => ({
  bytes: run.payload.length,
  held: { runId: run.runId, key, claim: 1, executor },
  workflow: run.workflow,
  payload: run.payload,
  trace: run.trace,
  waitsFor: undefined,
  history: {
    steps: [],
    timers: [],
    children: [],
    signals,
    interruptRequested: false,
    wakeups: 0
  }
})
