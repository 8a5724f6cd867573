/** Copies of runs on PostgreSQL by SQL, through whatever columns the schema has: a million in seconds. */
import * as Pg from "pg"

export interface Copies {
  readonly url: string
  readonly schema: string
  /** A run that is over, and how many like it there are to be. */
  readonly finished: { readonly runId: string; readonly count: number }
  /** A run that sleeps, and how many like it there are to be. */
  readonly sleeping: { readonly runId: string; readonly count: number }
}

const perStatement = 500_000

/** With the steps of the one that is over; and the statistics that such tables would have. */
export const add = async ({ finished, schema, sleeping, url }: Copies): Promise<void> => {
  const client = new Pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(`SET search_path = ${Pg.escapeIdentifier(schema)}`)
    await client.query("SET synchronous_commit = off")
    await copy(client, finished)
    await copy(client, sleeping)
    await copySteps(client, finished.runId)
    await client.query("VACUUM ANALYZE")
  } finally {
    await client.end()
  }
}

const columns = async (client: Pg.Client, table: string, key: string) => {
  const { rows } = await client.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass
      AND attnum > 0 AND NOT attisdropped AND attname <> $2`,
    [table, key]
  )
  return rows.map(({ name }) => name)
}

const copy = async (client: Pg.Client, { count, runId }: Copies["finished"]) => {
  const names = await columns(client, "workflow_runs", "id")
  const valueOf = (name: string) => {
    // ids of runs are hashes: they come in no order
    if (name === "run_id") return "md5(run_id || n)"
    return name === "wake_at" ? "wake_at + n % 100000" : name
  }
  for (let first = 1; first <= count; first += perStatement) {
    await client.query(
      `INSERT INTO workflow_runs (${names.join(", ")}) SELECT ${names.map(valueOf).join(", ")}
        FROM workflow_runs, generate_series($2::bigint, $3::bigint) n WHERE run_id = $1`,
      [runId, first, Math.min(count, first + perStatement - 1)]
    )
  }
}

const copySteps = async (client: Pg.Client, runId: string) => {
  const names = await columns(client, "workflow_steps", "run")
  const values = names.map((name) => `s.${name}`)
  await client.query(
    `INSERT INTO workflow_steps (run, ${names.join(", ")}) SELECT r.id, ${values.join(", ")}
      FROM workflow_runs o JOIN workflow_steps s ON s.run = o.id, workflow_runs r
      WHERE o.run_id = $1 AND r.status = o.status AND r.id <> o.id
        AND NOT EXISTS (SELECT 1 FROM workflow_steps t WHERE t.run = r.id)`,
    [runId]
  )
}
