import type { ExitRow, StepReader } from "../StepPages.js"
import { portable } from "./Numbered.js"
import type { Sql } from "./Sql.js"

const selectExits = `
  SELECT s.name, s.attempt, s.exit, s.executor, s.is_inner
  FROM unnest($2::text[], $3::integer[]) v(name, attempt)
  JOIN workflow_steps s ON s.run = $1 AND s.name = v.name AND s.attempt = v.attempt`

export const stepReader = (sql: Sql): StepReader => ({
  ...portable(sql),
  exitsOf: (run, steps) =>
    sql.rows<ExitRow>(selectExits, [
      run,
      steps.map(({ name }) => name),
      steps.map(({ attempt }) => attempt)
    ])
})
