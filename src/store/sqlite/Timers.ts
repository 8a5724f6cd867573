import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { nextPosition, positionOfHolder } from "../Position.js"
import { wholeMillis } from "../Rows.js"
import type { NewTimers } from "../RunStore.js"
import type { Sql } from "./Sql.js"
import { requireWellFormed } from "./Texts.js"

/** A timer keeps the time that it was first given. */
const insertTimers = `
  INSERT INTO workflow_timers (run, name, wake_at, position)
  SELECT r.id, value ->> 'name', value ->> 'wakeAt', ${positionOfHolder("r", "(value ->> 'count')")}
  FROM json_each(?) CROSS JOIN workflow_runs r ON r.id = value ->> 'run'
  WHERE true
  ON CONFLICT (run, name) DO NOTHING`

export const insert = (
  sql: Sql,
  runs: ReadonlyArray<{ readonly key: number; readonly timers: NewTimers }>
): Effect.Effect<void, SqlError> => {
  const rows = runs.flatMap(({ key, timers }) =>
    timers.map(({ name, wakeAt }) => ({
      run: key,
      name,
      wakeAt: wholeMillis(wakeAt),
      count: nextPosition()
    }))
  )
  if (rows.length === 0) return Effect.void
  // as JSON any name is a text that SQLite takes
  const refusal = requireWellFormed(rows.map(({ name }) => name))
  return refusal ?? Effect.asVoid(sql.changes(insertTimers, [JSON.stringify(rows)]))
}
