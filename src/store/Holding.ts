/** What is done in the name of a run's holder: it is refused once the run is not held under that claim. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Held } from "./RunStore.js"
import { RunLost } from "./RunStore.js"
import type { Operation } from "./Write.js"

export const lost = (held: Held): RunLost => new RunLost({ runId: held.runId })

type Holds<T> = (transaction: T, held: Held) => Effect.Effect<boolean, SqlError>

/** Refuses it once the run is not held under that claim. */
export const asHolderBy =
  <T>(holds: Holds<T>) =>
  <A>(held: Held, operation: Operation<T, A>): Operation<T, A, RunLost> =>
  (transaction) =>
    Effect.flatMap(
      holds(transaction, held),
      (isHolder): Effect.Effect<A, SqlError | RunLost> =>
        isHolder ? operation(transaction) : lost(held)
    )

/** Those of these holds that are over; looks at each once. */
export const lostAmongBy =
  <T>(holds: Holds<T>) =>
  (transaction: T, helds: ReadonlyArray<Held>): Effect.Effect<ReadonlySet<Held>, SqlError> =>
    Effect.map(
      Effect.filter(new Set(helds), (held) => Effect.map(holds(transaction, held), (is) => !is)),
      (lost) => new Set(lost)
    )
