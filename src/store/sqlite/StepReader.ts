import * as Effect from "effect/Effect"
import type { ExitRow, StepReader } from "../StepPages.js"
import type { Param, Sql } from "./Sql.js"
import * as Statements from "./Statements.js"

const selectExits = Statements.forRows(
  (rows) => `
  SELECT s.name, s.attempt, s.exit, s.executor, s.is_inner FROM ${Statements.table(rows, 3)} v
  CROSS JOIN workflow_steps s
    ON s.run = v.column1 AND s.name = v.column2 AND s.attempt = v.column3`
)

export const stepReader = (sql: Sql): StepReader => ({
  ...sql,
  exitsOf: (run, steps) =>
    Effect.gen(function* () {
      const found: Array<ExitRow> = []
      for (const part of Statements.parts(steps)) {
        const params: Array<Param> = []
        for (const { attempt, name } of part) params.push(run, name, attempt)
        found.push(...(yield* sql.rows<ExitRow>(selectExits(part.length), params)))
      }
      return found
    })
})
