import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as PostgresRunStore from "../../src/store/postgres/PostgresRunStore.js"
import { aRun } from "../../src/testing/Acts.js"
import * as Postgres from "../support/Postgres.js"

const newSchema = Effect.acquireRelease(
  Effect.sync(() => `opening_${process.pid}_${++made}`),
  (schema) => Postgres.execute(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`)
)

let made = 0

const fails = (options: Parameters<typeof PostgresRunStore.layerUrl>[0]) =>
  Effect.flip(Effect.scoped(Layer.build(PostgresRunStore.layerUrl(options))))

describe("a store on PostgreSQL", () => {
  it.scopedLive("is made by whoever comes first, of ten that start together", () =>
    Effect.gen(function* () {
      const url = Redacted.make(yield* Postgres.url)
      const schema = yield* newSchema
      const stores = yield* Effect.forEach(
        Array.from({ length: 10 }),
        () => Postgres.open({ url, schema }),
        { concurrency: "unbounded" }
      )
      yield* Effect.forEach(stores, (store, i) => store.create(aRun(`${i}`)), {
        concurrency: "unbounded"
      })
      for (const store of stores) expect((yield* store.counts).pending).toBe(10)
    })
  )

  it.scopedLive("refuses a schema that is newer, and leaves it as it is", () =>
    Effect.gen(function* () {
      const url = Redacted.make(yield* Postgres.url)
      const schema = yield* newSchema
      yield* Effect.scoped(Postgres.open({ url, schema }))
      yield* Postgres.execute(
        `INSERT INTO "${schema}".workflow_executor_migrations (migration_id, name) VALUES (99, 'newer')`
      )
      const error = yield* fails({ url, schema })
      expect(error).toMatchObject({ reason: "migration", _tag: "RunStoreError" })
      expect(error.message).toContain(`The schema ${schema} is of version 99`)
      expect(yield* PostgresRunStore.versions({ url, schema })).toMatchObject({ theirs: 99 })
    })
  )

  it.scopedLive("says what is wrong with a database that does not answer, and no password", () =>
    Effect.gen(function* () {
      const url = Redacted.make("postgres://somebody:a-secret@127.0.0.1:1/nowhere")
      const error = yield* fails({ url })
      expect(error).toMatchObject({ reason: "unavailable" })
      expect(error.message).toContain("ECONNREFUSED")
      const none = yield* fails({ url: Redacted.make("postgres://a-secret:1:2:3/x") })
      expect(none).toMatchObject({ reason: "unavailable" })
      for (const { message } of [error, none]) expect(message).not.toContain("a-secret")
    })
  )
})
