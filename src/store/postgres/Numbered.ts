/** Operations that are written once for all stores, on PostgreSQL. */
import type { Portable, PortableTransaction } from "../Portable.js"
import { dialect } from "./Dialect.js"
import type { Sql } from "./Sql.js"
import type { Transaction } from "./Transaction.js"

const known = new Map<string, string>()

/** `?` becomes `$1`, `$2` and so on. There are as many statements as are written in the code. */
const numbered = (statement: string): string => {
  const before = known.get(statement)
  if (before !== undefined) return before
  let count = 0
  const made = statement.replaceAll("?", () => `$${++count}`)
  known.set(statement, made)
  return made
}

export const portable = (sql: Sql): Portable => ({
  dialect,
  rows: (statement, params) => sql.rows(numbered(statement), params),
  changes: (statement, params) => sql.changes(numbered(statement), params)
})

export const inTransaction = (transaction: Transaction): PortableTransaction => ({
  ...portable(transaction),
  now: transaction.now,
  log: transaction.log
})
