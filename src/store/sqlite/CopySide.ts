/** A file, as a copy reads and writes it. */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Machine from "../../internal/Machine.js"
import { retryWhileBusy } from "../Busy.js"
import type { Side, Writer } from "../copy/Side.js"
import type { ColumnOf } from "../copy/Tables.js"
import { byTable } from "../copy/Tables.js"
import type { Portable } from "../Portable.js"
import type { RunStoreError } from "../RunStore.js"
import * as Connect from "./Connect.js"
import * as Databases from "./Database.js"
import * as Failure from "./Failure.js"
import { migrate } from "./Migrate.js"
import { migrations } from "./Migrations.js"
import { onlyWellFormed } from "./Texts.js"

const selectColumns = `
  SELECT m.name AS "table", c.name, c.type
  FROM sqlite_master m JOIN pragma_table_info(m.name) c
  WHERE m.type = 'table' AND m.name LIKE 'workflow|_%' ESCAPE '|'`

const columns = (sql: Portable) => Effect.map(sql.rows<ColumnOf>(selectColumns), byTable)

const createMarks = `
  CREATE TABLE workflow_copies (
    id TEXT NOT NULL PRIMARY KEY,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    peer TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER,
    progress TEXT
  ) STRICT, WITHOUT ROWID`

export const hasMarks = (sql: Pick<Portable, "rows">) =>
  Effect.map(
    sql.rows("SELECT 1 FROM sqlite_master WHERE name = 'workflow_copies'"),
    (rows) => rows.length > 0
  )

const kinds = ["INSERT", "UPDATE", "DELETE"] as const

const triggerOf = (table: string, kind: string) => `${table}_copied_${kind.toLowerCase()}`

const protect = (sql: Portable, tables: ReadonlyArray<string>) =>
  Effect.forEach(
    tables.flatMap((table) => kinds.map((kind) => ({ table, kind }))),
    ({ kind, table }) =>
      sql.changes(
        `CREATE TRIGGER ${triggerOf(table, kind)} BEFORE ${kind} ON ${table}
         BEGIN SELECT RAISE(ABORT, 'this database was copied elsewhere, and is out of use'); END`
      ),
    { discard: true }
  )

const unprotect = (sql: Portable, tables: ReadonlyArray<string>) =>
  Effect.forEach(
    tables.flatMap((table) => kinds.map((kind) => triggerOf(table, kind))),
    (trigger) => sql.changes(`DROP TRIGGER IF EXISTS ${trigger}`),
    { discard: true }
  )

/** By the executors' own clocks; a process of this machine that is seen to be dead is not waited for. */
const living = (sql: Portable) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const rows = yield* sql.rows<{
      readonly id: number
      readonly host: string
      readonly pid: number
    }>("SELECT id, host, pid FROM workflow_executors WHERE lease_until > ?", [now])
    return rows
      .filter((row) => !Machine.here.isDead(row))
      .map(({ host, id, pid }) => `executor ${id} (process ${pid} on ${host.split(" | ")[0]})`)
  })

const insertWith =
  (sql: Portable): Writer["insert"] =>
  (table, columns, rows) => {
    const names = columns.map(({ name }) => name)
    const statement = `INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`
    return Effect.forEach(
      rows,
      (row) =>
        sql.changes(
          statement,
          names.map((name) => row[name] ?? null)
        ),
      { discard: true }
    )
  }

const writer = (sql: Portable): Writer => ({ ...sql, insert: insertWith(sql) })

const selectHighest = `
  SELECT 'workflow_runs' AS name, max(
    (SELECT ifnull(max(id), 0) FROM workflow_runs),
    (SELECT ifnull(max(last), 0) FROM workflow_ids)
  ) AS id
  UNION ALL SELECT 'workflow_queues', ifnull(max(id), 0) FROM workflow_queues
  UNION ALL SELECT 'workflow_lanes', ifnull(max(id), 0) FROM workflow_lanes
  UNION ALL SELECT name, seq FROM sqlite_sequence
    WHERE name IN ('workflow_bulk', 'workflow_executors')`

const highestIds: Side["highestIds"] = (sql) =>
  Effect.map(sql.rows<{ readonly name: string; readonly id: number }>(selectHighest), (rows) =>
    Object.fromEntries(rows.map(({ id, name }) => [name, id]))
  )

const setHighestIds: Side["setHighestIds"] = (sql, highest) =>
  Effect.gen(function* () {
    yield* sql.changes("UPDATE workflow_ids SET last = ?", [highest.workflow_runs ?? 0])
    for (const name of ["workflow_bulk", "workflow_executors"]) {
      yield* sql.changes("DELETE FROM sqlite_sequence WHERE name = ?", [name])
      yield* sql.changes("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [
        name,
        highest[name] ?? 0
      ])
    }
  })

const countByStatus = `
  UPDATE workflow_counts SET runs = (
    SELECT count(*) FROM workflow_runs WHERE workflow_runs.status = workflow_counts.status
  ) WHERE status <> 'spared'`

const countSpared = `
  UPDATE workflow_counts SET runs = (
    SELECT count(*) FROM workflow_runs WHERE spared IS NOT NULL
  ) WHERE status = 'spared'`

/** Makes the file and its folder where they are missing. */
export const make = (filename: string): Effect.Effect<Side, RunStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const services = yield* Layer.build(Connect.layerFile(filename))
    const client = Context.get(services, SqlClient.SqlClient)
    const named = Effect.mapError(Failure.named(filename))
    const database = yield* named(Failure.orRunStoreError("open it")(Databases.make(client)))
    yield* named(Connect.configure(database))
    return {
      name: filename,
      read: (use) => named(Failure.orRunStoreError("read")(database.reserved(use))),
      write: (use) =>
        retryWhileBusy(
          Failure.orRunStoreError("write")(
            database.reserved((sql) =>
              Effect.zipRight(sql.once("BEGIN IMMEDIATE"), use(writer(onlyWellFormed(sql)))).pipe(
                Effect.tap(() => sql.once("COMMIT")),
                Effect.tapErrorCause(() => Failure.ignoreAll(sql.once("ROLLBACK")))
              )
            )
          ),
          { isBusy: ({ reason }) => reason === "busy", hurry: Effect.never }
        ).pipe(named),
      migrate: named(Effect.provide(migrate(migrations), services)),
      columns,
      hasMarks,
      createMarks: (sql) => Effect.asVoid(sql.changes(createMarks)),
      protect,
      unprotect,
      living,
      highestIds,
      setHighestIds,
      recount: (sql) =>
        Effect.zipRight(sql.changes(countByStatus), Effect.asVoid(sql.changes(countSpared)))
    } satisfies Side
  })
