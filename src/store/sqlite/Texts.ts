/**
 * Texts that SQLite does not keep: one with half of a character in it, as `slice` leaves of an emoji,
 * comes back with another character there, and is not found by what it was.
 */
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { explainHalf, isWellFormed } from "../../values/WellFormed.js"
import type { Param, Sql } from "./Sql.js"

const refused = (text: string) =>
  Effect.fail(new SqlError({ cause: new Error(explainHalf(`the text ${quoted(text)}`)) }))

const quoted = (text: string) => JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)

/** Fails with the first of these texts that would not come back. */
export const requireWellFormed = (
  texts: ReadonlyArray<Param>
): Effect.Effect<void, SqlError> | undefined => {
  for (const text of texts) {
    if (typeof text === "string" && !isWellFormed(text)) return refused(text)
  }
  return undefined
}

/** Every text that is written passes here. */
export const onlyWellFormed = ({ changes, dialect, once, rows }: Sql): Sql => ({
  dialect,
  once,
  rows: <Row>(statement: string, params: ReadonlyArray<Param> = []) => {
    const refusal = requireWellFormed(params)
    return refusal === undefined ? rows<Row>(statement, params) : Effect.as(refusal, [])
  },
  changes: (statement, params = []) => {
    const refusal = requireWellFormed(params)
    return refusal === undefined ? changes(statement, params) : Effect.as(refusal, 0)
  }
})
