/**
 * What a copy takes along: every table of a store, and of each all columns. Names and columns are those
 * of both schemas; what one of them alone has is said here, with why. What is said nowhere is refused,
 * so that nothing new is left behind in silence.
 */

import type { Param } from "../Portable.js"

export interface CopiedTable {
  readonly name: string
  /** What tells its rows apart, and orders them. */
  readonly key: ReadonlyArray<string>
  /** The same row may be there more than once, and once is enough. */
  readonly repeats?: true
}

/** In this order, which is no more than a habit: nothing refers to another by a constraint. */
export const copied: ReadonlyArray<CopiedTable> = [
  { name: "workflow_runs", key: ["id"] },
  { name: "workflow_steps", key: ["run", "name", "attempt"] },
  { name: "workflow_signals", key: ["run_id", "name"] },
  { name: "workflow_timers", key: ["run", "name"] },
  { name: "workflow_children", key: ["parent", "child"] },
  { name: "workflow_labels", key: ["label", "run"] },
  { name: "workflow_queues", key: ["id"] },
  { name: "workflow_lanes", key: ["id"] },
  // PostgreSQL only adds them, so that nobody waits for another's
  { name: "workflow_lane_marks", key: ["lane", "queue"], repeats: true },
  { name: "workflow_begins", key: ["lane", "at", "run"] },
  { name: "workflow_schedules", key: ["name"] },
  { name: "workflow_schedule_runs", key: ["schedule", "run_id"] },
  { name: "workflow_bulk", key: ["id"] },
  { name: "workflow_paused", key: ["workflow"] },
  // those whose runs nobody has taken over yet
  { name: "workflow_executors", key: ["id"] },
  { name: "workflow_terminations", key: ["executor", "run"] },
  { name: "workflow_removed", key: ["run_id"] }
]

/** Tables that are not copied, and why. */
export const left: Readonly<Record<string, string>> = {
  workflow_executor_migrations: "each database has its own history",
  workflow_commits: "a mark says what became of a commit whose answer was lost, to who made it",
  workflow_copies: "it says of each database what was copied",
  workflow_counts: "runs are counted anew",
  workflow_ids: "the highest id of a run is carried over as the next one's start",
  workflow_identity: "it names the file that it is in",
  workflow_queue: "the runs that wait for an element of a durable queue offer it anew",
  workflow_rate_limits: "they are of a while, and begin anew",
  workflow_rate_limit_uses: "they are of a while, and begin anew"
}

/** Columns that one of the schemas alone has, with what they begin with there. */
export const leftColumns: Readonly<Record<string, Row>> = {
  // of the commit that has created it: none that anybody asks after; and nobody waits for its end
  workflow_runs: { batch: -1, awaited: null },
  workflow_signals: { batch: null },
  // whether a session of PostgreSQL stands for the executor: none does
  workflow_executors: { session: 0 }
}

/** A row, by its columns. */
export type Row = Readonly<Record<string, Param>>

/** By the name of its table. */
export type Columns = ReadonlyMap<string, ReadonlyArray<Column>>

export interface Column {
  readonly name: string
  /** As the database calls it. */
  readonly type: string
}

export interface ColumnOf extends Column {
  readonly table: string
}

export const byTable = (columns: ReadonlyArray<ColumnOf>): Columns => {
  const tables = new Map<string, Array<Column>>()
  for (const { name, table, type } of columns) {
    const known = tables.get(table)
    if (known === undefined) tables.set(table, [{ name, type }])
    else known.push({ name, type })
  }
  return tables
}

export interface Planned {
  /** What is read, in the types of the target. */
  readonly read: ReadonlyArray<Column>
  /** What is written: that, and what begins anew. */
  readonly written: ReadonlyArray<Column>
}

/** Which columns of a table are copied; or what of the two schemas nobody has thought of. */
export const plan = (
  source: Columns,
  target: Columns
): {
  readonly columns: (table: string) => Planned
  readonly unknown: ReadonlyArray<string>
} => {
  const known = new Set([...copied.map(({ name }) => name), ...Object.keys(left)])
  const unknown: Array<string> = []
  for (const [one, other] of [
    [source, target],
    [target, source]
  ] as const) {
    for (const [table, columns] of one) {
      if (!known.has(table)) unknown.push(table)
      if (!known.has(table) || table in left) continue
      const names = new Set(other.get(table)?.map(({ name }) => name))
      for (const { name } of columns) {
        if (!names.has(name) && leftColumns[table]?.[name] === undefined) {
          unknown.push(`${table}.${name}`)
        }
      }
    }
  }
  for (const { name } of copied) if (!source.has(name)) unknown.push(name)
  return {
    unknown: [...new Set(unknown)],
    columns: (table) => {
      const names = new Set(source.get(table)?.map(({ name }) => name))
      const written = target.get(table) ?? []
      return { read: written.filter(({ name }) => names.has(name)), written }
    }
  }
}
