import type { Dialect } from "../Dialect.js"

/**
 * Transactions are serial: there is nothing to lock. The planner is told how to find things: what it
 * knows may be of when somebody ran ANALYZE while the tables were small.
 */
export const dialect: Dialect = {
  forUpdate: "",
  forUpdateOf: () => "",
  skipLocked: "",
  join: "CROSS JOIN",
  by: (index) => `INDEXED BY ${index}`,
  instr: "instr"
}
