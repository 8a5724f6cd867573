/** When there is something to do next that only time brings. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Admission from "./Admission.js"
import * as Deadlines from "./Deadlines.js"
import type { Portable } from "./Portable.js"
import type { Millis } from "./RunStore.js"

interface NextRow {
  readonly wake_at: Millis | null
  readonly deadline: Millis | null
  readonly next_at: Millis | null
}

/**
 * In one statement: a timer of a run or its time to begin, a timeout, a rate of a queue.
 *
 * @param timers where runs are looked for that wait for their `wake_at`: the table, with its index where
 *   that is to be named
 */
export const make = (timers: string) => {
  const select = `
    SELECT
      (SELECT wake_at FROM ${timers}
        WHERE status = 'suspended' AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1) AS wake_at,
      (${Deadlines.selectNext}) AS deadline,
      (${Admission.selectNext}) AS next_at`
  return (sql: Portable): Effect.Effect<Option.Option<Millis>, SqlError> =>
    Effect.map(sql.rows<NextRow>(select), ([row]) => {
      const times = [row?.wake_at, row?.deadline, row?.next_at].filter(
        (time): time is Millis => typeof time === "number"
      )
      return times.length === 0 ? Option.none() : Option.some(Math.min(...times))
    })
}
