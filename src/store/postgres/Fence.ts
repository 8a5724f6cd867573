/**
 * The fence: every write of a holder names its hold in the statement that writes, and whoever takes
 * the run over changes the run's row.
 *
 * The run's key and the claim are counted, and counting is not enough: a server that takes another's
 * place without its last commits gives the same numbers out again. So a hold is also who has it, and the
 * id of the run.
 */
import type { Held } from "../RunStore.js"
import type { Param } from "./Sql.js"

/** Of the run that a statement is about; the first parameters are `ofOne`. */
export const isHeldBy = "id = $1 AND claim = $2 AND executor = $3 AND run_id = $4"

export const isHeld = `${isHeldBy} AND status = 'running'`

export const ofOne = ({ claim, executor, key, runId }: Held): ReadonlyArray<Param> => [
  key,
  claim,
  executor,
  runId
]

/** Holds `v`, of which the first parameters are `ofAll`. */
export const holds = `unnest($1::bigint[], $2::integer[], $3::bigint[], $4::text[])
    v(run, claim, executor, run_id)`

/** A statement locks rows as they come to it, and those that are about the same runs must not cross. */
export const inOrder = <A extends { readonly held: Held }>(
  writes: ReadonlyArray<A>
): ReadonlyArray<A> =>
  writes.length < 2 ? writes : [...writes].sort((a, b) => a.held.key - b.held.key)

export const ofAll = (helds: ReadonlyArray<Held>): ReadonlyArray<Param> => [
  helds.map(({ key }) => key),
  helds.map(({ claim }) => claim),
  helds.map(({ executor }) => executor),
  helds.map(({ runId }) => runId)
]

/** Of the run `r` and a hold `v`. The run is found by its key. */
export const isHold = `r.id = v.run AND r.claim = v.claim AND r.executor = v.executor
    AND coalesce(r.run_id, '') = v.run_id`

/** What tells holds of one executor apart. */
export const keyOf = ({ claim, key, runId }: Omit<Held, "executor">): string =>
  `${key}/${claim}/${runId}`
