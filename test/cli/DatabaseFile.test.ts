import { join } from "node:path"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DatabaseFile from "../../src/cli/DatabaseFile.js"
import * as Doctor from "../../src/cli/Doctor.js"
import * as OnFile from "../../src/cli/OnFile.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import * as Process from "../support/Executor.js"

/** A file of our schema, with what one statement then makes of it. */
const makeFile = (...statements: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const file = join(yield* Process.makeFolder, "executor.db")
    yield* Effect.scoped(Layer.build(SqliteRunStore.layerFile({ filename: file })))
    yield* Effect.scoped(
      Effect.gen(function* () {
        const sql = yield* SqliteClient.make({ filename: file })
        yield* Effect.forEach(statements, (statement) => sql.unsafe(statement))
      }).pipe(Effect.provide(Reactivity.layer))
    )
    return file
  })

const older = "DELETE FROM workflow_executor_migrations WHERE migration_id > 1"
const newer =
  "INSERT INTO workflow_executor_migrations (migration_id, name) VALUES (99, 'of tomorrow')"
const none = "DROP TABLE workflow_executor_migrations"

describe("a file whose schema is not ours", () => {
  it.scopedLive("is refused, and left as it is", () =>
    Effect.gen(function* () {
      const refused = [
        [older, 1, /it has schema 1, and this version needs \d+: .*workflow-executor migrate/],
        [newer, 99, /it has schema 99, written by a newer version/],
        [none, 0, /no executor has used this file yet/]
      ] as const
      for (const [statement, schema, message] of refused) {
        const file = yield* makeFile(statement)
        const error = yield* Effect.flip(
          Effect.scoped(Layer.build(OnFile.layer({ _tag: "File", file })))
        )
        expect(error.message).toMatch(message)
        expect(yield* DatabaseFile.schemaOf(file)).toBe(schema)
        expect(Doctor.ofSchema(file, schema)).toMatchObject({ verdict: "problem" })
      }
    })
  )

  it.scopedLive("is none where there is no file, and none is made", () =>
    Effect.gen(function* () {
      const file = join(yield* Process.makeFolder, "nothing.db")
      const error = yield* Effect.flip(DatabaseFile.assertOurs(file))
      expect(error.message).toBe(`${file}: there is no such file`)
    })
  )
})
