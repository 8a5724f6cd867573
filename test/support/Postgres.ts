/** Databases for tests, on the PostgreSQL of this run. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { inject } from "vitest"
import * as PgRunStore from "../../src/store/postgres/PgRunStore.js"
import { RunStore, type RunStoreError } from "../../src/store/RunStore.js"

/** The URL of the server's database; a run's first question starts it. */
export const url: Effect.Effect<string> = Effect.promise(async () => {
  const answer = await fetch(inject("postgres"))
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
})

let schemas = 0

/** The name of a schema that nobody else has. */
export const newSchema = Effect.sync(() => `test_${process.pid}_${++schemas}`)

const dropped = (connection: string, schema: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql.unsafe(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`)
  }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(connection) })), Effect.ignore)

/** A schema that is gone afterwards. */
export const schema = Effect.gen(function* () {
  const connection = yield* url
  const name = yield* newSchema
  yield* Effect.addFinalizer(() => dropped(connection, name))
  return { url: Redacted.make(connection), schema: name }
})

/** A store in a schema of its own. */
export const layer: Layer.Layer<RunStore, RunStoreError> = Layer.unwrapScoped(
  Effect.map(schema, PgRunStore.layerUrl)
)

/** Another store on the same schema each time. */
export const open = (options: Effect.Effect.Success<typeof schema>) =>
  Effect.map(Layer.build(Layer.fresh(PgRunStore.layerUrl(options))), (context) =>
    Context.get(context, RunStore)
  )
