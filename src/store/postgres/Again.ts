/** What a transaction fails with that is to be done once more, from its beginning. */
import { SqlError } from "@effect/sql/SqlError"

/** A conflict with another transaction, as PostgreSQL itself would say it. */
class Conflict extends Error {
  readonly code = "40001"
}

export const removedMeanwhile = (runId: string): SqlError =>
  new SqlError({ cause: new Conflict(`run ${runId} was removed meanwhile`) })

/** A signal found no run. Whether one is just being created is seen where nobody creates any. */
export const alone = new SqlError({ cause: new Conflict("a run may be created meanwhile") })
