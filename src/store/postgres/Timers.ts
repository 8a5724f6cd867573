import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { nextPosition, positionOfHolder } from "../Position.js"
import { wholeMillis } from "../Rows.js"
import type { NewTimers } from "../RunStore.js"
import type { Sql } from "./Sql.js"

/** A timer keeps the time that it was first given. */
const insertTimers = `
  INSERT INTO workflow_timers (run, name, wake_at, position)
  SELECT DISTINCT ON (v.run, v.name) v.run, v.name, v.wake_at, ${positionOfHolder("r", "v.count")}
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
    v(run, name, wake_at, count, ord)
  JOIN workflow_runs r ON r.id = v.run
  ORDER BY v.run, v.name, v.ord
  ON CONFLICT (run, name) DO NOTHING`

export const insert = (
  sql: Sql,
  runs: ReadonlyArray<{ readonly key: number; readonly timers: NewTimers }>
): Effect.Effect<void, SqlError> => {
  const rows = runs.flatMap(({ key, timers }) => timers.map((timer) => ({ key, ...timer })))
  return rows.length === 0
    ? Effect.void
    : Effect.asVoid(
        sql.changes(insertTimers, [
          rows.map(({ key }) => key),
          rows.map(({ name }) => name),
          rows.map(({ wakeAt }) => wholeMillis(wakeAt)),
          rows.map(() => nextPosition())
        ])
      )
}
