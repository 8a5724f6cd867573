import type { Dialect } from "../Dialect.js"

export const dialect: Dialect = {
  forUpdate: "FOR UPDATE",
  forUpdateOf: (table) => `FOR UPDATE OF ${table}`,
  skipLocked: "FOR UPDATE SKIP LOCKED",
  join: "JOIN",
  by: () => "",
  instr: "strpos"
}
