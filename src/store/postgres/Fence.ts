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

/**
 * Of the run `r` and a hold whose parts these are. The run is found by its key: there are indexes of the
 * others too, and that of executors has as many entries of one as it holds runs.
 */
const isOf = (r: string, parts: { readonly [Part in keyof Held]: string }) =>
  `${r}id = ${parts.key} AND ${r}claim = ${parts.claim}
    AND coalesce(${r}executor, 0) = ${parts.executor} AND coalesce(${r}run_id, '') = ${parts.runId}`

/** The first parameters of a statement. */
const ones = { key: "$1", claim: "$2", executor: "$3", runId: "$4" }

/** Of the run that a statement is about; the first parameters are `ofOne`. */
export const isHeldBy = isOf("", ones)

export const isHeld = `${isHeldBy} AND status = 'running'`

/** The same of the run `r`. */
export const isHeldByOf = isOf("r.", ones)

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

/** Of the run `r` and a hold `v`. */
export const isHold = isOf("r.", {
  key: "v.run",
  claim: "v.claim",
  executor: "v.executor",
  runId: "v.run_id"
})

/** What tells holds apart: two that agree in what is counted may be in one transaction. */
export const keyOf = ({ claim, executor, key, runId }: Held): string =>
  `${key}/${claim}/${executor}/${runId}`

/** For a statement that has holds `v`: which of them it was. */
export const holdColumns = "v.run, v.claim, v.executor, v.run_id"

export interface HoldRow {
  readonly run: number
  readonly claim: number
  readonly executor: number
  readonly run_id: string
}

/** Which holds these rows are of. */
export const among = (rows: ReadonlyArray<HoldRow>): ((held: Held) => boolean) => {
  const keys = new Set(
    rows.map(({ claim, executor, run, run_id: runId }) =>
      keyOf({ key: run, claim, executor, runId })
    )
  )
  return (held) => keys.has(keyOf(held))
}
