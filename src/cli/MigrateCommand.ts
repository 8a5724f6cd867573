/**
 * `workflow-executor migrate`: brings a database's schema to this version, before a deploy.
 */
import { existsSync } from "node:fs"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PostgresStore from "../PostgresStore.js"
import type * as Settings from "../Settings.js"
import * as SqliteRunStore from "../store/sqlite/SqliteRunStore.js"
import * as Database from "./Database.js"
import * as DatabaseFile from "./DatabaseFile.js"
import * as Output from "./Output.js"

export interface Options extends Database.Options {
  readonly json: boolean
}

const describe = (before: number | undefined, after: number) => {
  if (before === undefined) return `made, with schema ${after}`
  if (before === after) return `schema ${after}, which is that of this version; nothing to do`
  return `schema ${before} brought to ${after}`
}

/** Makes the file, or the schema, where there is none. */
export const migrate = (options: Options) =>
  Effect.gen(function* () {
    const database = yield* Database.read(options)
    const { after, before } = yield* database._tag === "File"
      ? migrateFile(database.file)
      : migratePostgres(database)
    const name = Database.nameOf(database)
    yield* options.json
      ? Output.json({ database: name, before: before ?? null, after })
      : Output.line(`${name}: ${describe(before, after)}`)
  })

const migrateFile = (file: string) =>
  Effect.gen(function* () {
    const before = existsSync(file) ? yield* DatabaseFile.schemaOf(file) : undefined
    // opening it is all that there is to it
    yield* Effect.scoped(
      Layer.build(SqliteRunStore.layerFile({ filename: file, pollInterval: Duration.infinity }))
    )
    return { before, after: yield* DatabaseFile.schemaOf(file) }
  })

const migratePostgres = (database: Extract<Settings.Database, { readonly _tag: "Postgres" }>) =>
  Effect.gen(function* () {
    const { theirs } = yield* Database.versions(database)
    yield* Effect.scoped(Layer.build(PostgresStore.layer(database)))
    const after = yield* Database.versions(database)
    return { before: theirs === 0 ? undefined : theirs, after: after.theirs }
  })
