/**
 * Copies of a run by SQL, through whatever columns the schema has: a million runs in seconds.
 */
import type Database from "better-sqlite3"
import type { Template } from "./Template.js"

export interface CopyOptions {
  readonly template: Template
  readonly count: number
  /** SQL for columns of `workflow_runs` that differ from the template's; `i` counts from 1. */
  readonly set?: Readonly<Record<string, string>> | undefined
}

const perTransaction = 50_000

/** The copy with number `i` has the template's key plus `i`, and its id with `-i`. */
export const add = (database: Database.Database, options: CopyOptions): number => {
  const { id, runId } = options.template
  const { key } = database
    .prepare<[string], { key: number }>("SELECT id AS key FROM workflow_runs WHERE run_id = ?")
    .get(runId) ?? { key: undefined }
  if (key === undefined) throw new Error(`there is no run ${runId} to copy`)
  const runs: Readonly<Record<string, string>> = {
    id: "t.id + i",
    // ids of runs are hashes: they come in no order
    run_id: "lower(hex(randomblob(16)))",
    payload: `replace(t.payload, '${id}', '${id}-' || i)`,
    ...options.set
  }
  const timers = options.set?.wake_at === undefined ? {} : { wake_at: options.set.wake_at }
  const statements = [
    copy(database, "workflow_runs", "id", runs),
    copy(database, "workflow_steps", "run", { run: "t.run + i" }),
    copy(database, "workflow_timers", "run", { run: "t.run + i", ...timers })
  ]
  const range = database.transaction((first: number, last: number) => {
    for (const statement of statements) statement.run({ key, first, last })
  })
  for (let first = 1; first <= options.count; first += perTransaction) {
    range.immediate(first, Math.min(first + perTransaction - 1, options.count))
  }
  return key
}

const copy = (
  database: Database.Database,
  table: string,
  keyColumn: string,
  set: Readonly<Record<string, string>>
) => {
  const columns = database
    .prepare<[], { name: string }>(`SELECT name FROM pragma_table_info('${table}')`)
    .all()
    .map(({ name }) => name)
  return database.prepare<{ key: number; first: number; last: number }>(`
    WITH RECURSIVE numbers (i) AS (
      SELECT :first UNION ALL SELECT i + 1 FROM numbers WHERE i < :last
    )
    INSERT INTO ${table} (${columns.join(", ")})
    SELECT ${columns.map((column) => set[column] ?? `t.${column}`).join(", ")}
    FROM numbers, ${table} t WHERE t.${keyColumn} = :key`)
}
