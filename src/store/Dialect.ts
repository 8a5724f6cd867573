/**
 * What a statement that is written once for all stores says in another way in each: how it locks rows,
 * what is not left to the planner, and how functions are called.
 */
export interface Dialect {
  /** Locks the rows; nothing where transactions are serial. */
  readonly forUpdate: string
  /** The same, of one of the tables that are joined. */
  readonly forUpdateOf: (table: string) => string
  /** Locks the rows, but passes over those that another transaction has locked. */
  readonly skipLocked: string
  /** Joins with what was found before, where that is up to the statement. */
  readonly join: string
  /** The index that is used, where that is up to the statement. */
  readonly by: (index: string) => string
  /** Tells where in the first text the second begins, from 1 on; 0: nowhere. */
  readonly instr: string
}
