/**
 * The bundled example is for a file of its own: whoever forgets to name a module is not to have it on
 * the file of an app, where it would take what it finds for its own.
 */
import { existsSync } from "node:fs"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Settings from "../Settings.js"
import type { Sql } from "../store/sqlite/Sql.js"
import * as DatabaseFile from "./DatabaseFile.js"

/** The file is in use for something else; the message says for what. */
export class NotForExample extends Data.TaggedError("NotForExample")<{
  readonly message: string
}> {}

/** The workflows of the bundled example. */
export const workflows: ReadonlyArray<string> = ["Order"]

const selectTables = `
  SELECT name, name LIKE 'workflow\\_%' ESCAPE '\\' AS ours FROM sqlite_schema
  WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`

/** Of the oldest runs and of the newest, however many there are. */
const selectOther = `
  SELECT workflow FROM (
    SELECT * FROM (SELECT workflow FROM workflow_runs ORDER BY id LIMIT 1000)
    UNION ALL
    SELECT * FROM (SELECT workflow FROM workflow_runs ORDER BY id DESC LIMIT 1000)
  )
  WHERE workflow NOT IN (SELECT value FROM json_each(?)) LIMIT 1`

/** What there is in it that is not of the example, if anything. */
const otherUse = (sql: Sql) =>
  Effect.gen(function* () {
    const tables = yield* sql.rows<{ readonly name: string; readonly ours: 0 | 1 }>(selectTables)
    const other = tables.find(({ ours }) => ours === 0)
    if (other !== undefined) return `the table ${JSON.stringify(other.name)} of an app`
    if (!tables.some(({ name }) => name === "workflow_runs")) return undefined
    const [run] = yield* sql.rows<{ readonly workflow: string }>(selectOther, [
      JSON.stringify(workflows)
    ])
    return run && `runs of the workflow ${JSON.stringify(run.workflow)}`
  })

/** Fails where the file is there, and has what is not the example's; PostgreSQL is never for it. */
export const assertFree = (database: Settings.Database): Effect.Effect<void, NotForExample> =>
  database._tag === "File"
    ? assertFileFree(database.file)
    : new NotForExample({
        message:
          "DATABASE_URL (option --database-url) is set, and no module was given: the bundled example runs on a file of its own. Name the module with your workflows: workflow-executor start workflows.ts"
      })

const assertFileFree = (file: string): Effect.Effect<void, NotForExample> =>
  existsSync(file)
    ? DatabaseFile.inspect(file, otherUse).pipe(
        // whoever opens it says what is wrong with it
        Effect.orElseSucceed(() => undefined),
        Effect.flatMap((use) =>
          use === undefined
            ? Effect.void
            : new NotForExample({
                message: `${file} has ${use}, and no module was given: the bundled example does not run on a file that was made for others. Name the module with your workflows: workflow-executor start workflows.ts`
              })
        )
      )
    : Effect.void
