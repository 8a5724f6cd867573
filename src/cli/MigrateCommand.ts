/**
 * `workflow-executor migrate`: brings a file's schema to this version, before a deploy.
 */
import { existsSync } from "node:fs"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Settings from "../Settings.js"
import * as SqliteRunStore from "../store/sqlite/SqliteRunStore.js"
import * as DatabaseFile from "./DatabaseFile.js"
import * as Output from "./Output.js"

/** The file of `--database`, or of DATABASE_FILE. */
export const fileOf = (database: Option.Option<string>) =>
  Option.match(database, { onNone: () => Settings.database, onSome: Effect.succeed })

export interface Options {
  readonly database: Option.Option<string>
  readonly json: boolean
}

const describe = (before: number | undefined, after: number) => {
  if (before === undefined) return `made, with schema ${after}`
  if (before === after) return `schema ${after}, which is that of this version; nothing to do`
  return `schema ${before} brought to ${after}`
}

/** Makes the file where there is none. */
export const migrate = (options: Options) =>
  Effect.gen(function* () {
    const file = yield* fileOf(options.database)
    const before = existsSync(file) ? yield* DatabaseFile.schemaOf(file) : undefined
    // opening it is all that there is to it
    yield* Effect.scoped(
      Layer.build(SqliteRunStore.layerFile({ filename: file, pollInterval: Duration.infinity }))
    )
    const after = yield* DatabaseFile.schemaOf(file)
    yield* options.json
      ? Output.json({ database: file, before: before ?? null, after })
      : Output.line(`${file}: ${describe(before, after)}`)
  })
