/** A schema of PostgreSQL, as a copy reads and writes it. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Side, Writer } from "../copy/Side.js"
import { numbered } from "../copy/Side.js"
import type { ColumnOf } from "../copy/Tables.js"
import { byTable } from "../copy/Tables.js"
import type { Portable } from "../Portable.js"
import type { RunStoreError } from "../RunStore.js"
import * as Connect from "./Connect.js"
import * as AllConnections from "./Connections.js"
import * as Failure from "./Failure.js"
import { databaseTime } from "./Fragments.js"
import { migrate } from "./Migrate.js"
import { migrations } from "./Migrations.js"
import { portable } from "./Numbered.js"
import type { Schema } from "./Schema.js"
import type { Sql } from "./Sql.js"

const selectColumns = `
  SELECT c.relname AS table, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ? AND c.relname LIKE 'workflow@_%' ESCAPE '@'
    AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY c.relname, a.attnum`

const createMarks = `
  CREATE TABLE workflow_copies (
    began_at bigint NOT NULL,
    ended_at bigint,
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    role text NOT NULL,
    state text NOT NULL,
    peer text NOT NULL,
    progress text
  )`

export const hasMarks = (sql: Pick<Portable, "rows">) =>
  Effect.map(
    sql.rows<{ readonly found: string | null }>(
      "SELECT to_regclass('workflow_copies')::text AS found"
    ),
    ([row]) => (row?.found ?? null) !== null
  )

const createRefusal = `
  CREATE OR REPLACE FUNCTION workflow_copied() RETURNS trigger LANGUAGE plpgsql AS $f$
  BEGIN
    RAISE EXCEPTION 'this schema was copied elsewhere, and is out of use';
  END $f$`

const protect = (sql: Portable, tables: ReadonlyArray<string>) =>
  Effect.zipRight(
    sql.changes(createRefusal),
    Effect.forEach(
      tables,
      (table) =>
        sql.changes(
          `CREATE TRIGGER copied_elsewhere BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${table}
           FOR EACH STATEMENT EXECUTE FUNCTION workflow_copied()`
        ),
      { discard: true }
    )
  )

const unprotect = (sql: Portable, tables: ReadonlyArray<string>) =>
  Effect.zipRight(
    Effect.forEach(
      tables,
      (table) => sql.changes(`DROP TRIGGER IF EXISTS copied_elsewhere ON ${table}`),
      { discard: true }
    ),
    Effect.asVoid(sql.changes("DROP FUNCTION IF EXISTS workflow_copied()"))
  )

const living = (sql: Portable) =>
  Effect.map(
    sql.rows<{ readonly id: number; readonly host: string; readonly pid: number }>(
      `SELECT id, host, pid FROM workflow_executors WHERE lease_until > ${databaseTime}`
    ),
    (rows) =>
      rows.map(({ host, id, pid }) => `executor ${id} (process ${pid} on ${host.split(" | ")[0]})`)
  )

/** One statement for all of them: each would be a round trip. */
const insertWith =
  (sql: Sql): Writer["insert"] =>
  (table, columns, rows) => {
    const names = columns.map(({ name }) => name).join(", ")
    const arrays = columns.map(({ type }, index) => `$${index + 1}::${type}[]`).join(", ")
    return Effect.asVoid(
      sql.changes(
        `INSERT INTO ${table} (${names}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest(${arrays})`,
        columns.map(({ name }) => rows.map((row) => row[name] ?? null))
      )
    )
  }

const highestIds = (sql: Portable) =>
  Effect.map(
    Effect.forEach(numbered, (table) =>
      Effect.map(
        sql.rows<{ readonly id: number }>(
          `SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS id FROM ${table}_id_seq`
        ),
        ([row]) => [table, row?.id ?? 0] as const
      )
    ),
    (ids) => Object.fromEntries(ids)
  )

const setHighestIds: Side["setHighestIds"] = (sql, highest) =>
  Effect.forEach(
    numbered.filter((table) => (highest[table] ?? 0) > 0),
    (table) => sql.rows(`SELECT setval('${table}_id_seq', ?)`, [highest[table] ?? 0]),
    { discard: true }
  )

const countAnew = `
  INSERT INTO workflow_counts (status, runs)
  SELECT status, count(*) FROM workflow_runs WHERE status NOT IN ('pending', 'running')
  GROUP BY status
  UNION ALL SELECT 'spared', count(*) FROM workflow_runs WHERE spared IS NOT NULL`

const begin = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on"

/** What a copy asks takes longer than what an executor does. */
const answerTimeout = "10 minutes"

export const make = (
  options: { readonly url: Redacted.Redacted },
  schema: Schema,
  name: string
): Effect.Effect<Side, RunStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const services = yield* Layer.build(Connect.layer({ url: options.url, answerTimeout }))
    const connections = AllConnections.make(Context.get(services, PgClient.PgClient), schema)
    return {
      name,
      read: (use) =>
        Failure.orRunStoreError("read")(connections.reserved((sql) => use(portable(sql)))),
      write: (use) =>
        Failure.orRunStoreError("write")(
          connections.reserved((sql) =>
            Effect.uninterruptible(
              Effect.zipRight(
                sql.script(begin),
                use({ ...portable(sql), insert: insertWith(sql) })
              ).pipe(
                Effect.tap(() => sql.script("COMMIT")),
                Effect.tapErrorCause(() => Failure.ignoreAll(sql.script("ROLLBACK")))
              )
            )
          )
        ),
      migrate: Failure.orRunStoreError("migrate")(
        connections.reserved((sql) => migrate(sql, schema, migrations))
      ),
      columns: (sql) => Effect.map(sql.rows<ColumnOf>(selectColumns, [schema.name]), byTable),
      hasMarks,
      createMarks: (sql) => Effect.asVoid(sql.changes(createMarks)),
      protect,
      unprotect,
      living,
      highestIds,
      setHighestIds,
      recount: (sql) =>
        Effect.zipRight(
          sql.changes("DELETE FROM workflow_counts"),
          Effect.asVoid(sql.changes(countAnew))
        )
    } satisfies Side
  })
