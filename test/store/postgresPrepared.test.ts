/** Statements that a connection keeps, and a connection that does not have them any more. In real time. */
import * as PgClient from "@effect/sql-pg/PgClient"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as PostgresRunStore from "../../src/store/postgres/PostgresRunStore.js"
import { RunStore } from "../../src/store/RunStore.js"
import { aStep, begin, register } from "../../src/testing/Acts.js"
import * as Postgres from "../support/Postgres.js"

/** A client with one connection, of which a pooler would have told another session's id. */
const poolersClient = (options: PgClient.PgClientConfig) =>
  Layer.tap(PgClient.layer(options), (context) =>
    Effect.scoped(
      Effect.map(Context.get(context, PgClient.PgClient).reserve, (connection) =>
        Object.assign(Predicate.hasProperty(connection, "pg") ? Object(connection.pg) : {}, {
          processID: 0
        })
      )
    )
  )

/** A store over an app's client with one connection, on which the test is, too. */
const onOneConnectionOf = Effect.fn(function* (clientOf: typeof PgClient.layer) {
  const { schema, url } = yield* Postgres.database
  const client = yield* Layer.build(clientOf({ url, maxConnections: 1 }))
  const sql = Context.get(client, PgClient.PgClient)
  const store = Context.get(
    yield* Effect.provide(Layer.build(PostgresRunStore.layerWith({ schema })), client),
    RunStore
  )
  const executor = yield* Effect.provideService(register, RunStore, store)
  const { held } = yield* Effect.provideService(begin(executor, "a"), RunStore, store)
  const kept = Effect.map(
    sql<{ readonly statement: string }>`SELECT statement FROM pg_prepared_statements
      WHERE name LIKE 'workflow%'`,
    (rows) => rows.map(({ statement }) => statement)
  )
  const names = Effect.map(store.findWithSteps("a"), (found) =>
    Option.toArray(found).flatMap(({ steps }) => steps.map(({ name }) => name))
  )
  return { sql, store, held, kept, names }
})

const onOneConnection = onOneConnectionOf(PgClient.layer)

describe("what a store writes over and over", () => {
  it.scopedLive("is kept by its connection", () =>
    Effect.gen(function* () {
      const { held, kept, names, store } = yield* onOneConnection
      for (const name of ["one", "two", "three"]) yield* store.recordStep(aStep(held, { name }))
      expect(yield* names).toEqual(["one", "two", "three"])
      expect(yield* kept).toEqual([expect.stringContaining("workflow_commit_v")])
    })
  )

  it.scopedLive("is written once where its connection does not have it any more", () =>
    Effect.gen(function* () {
      const { held, kept, names, sql, store } = yield* onOneConnection
      yield* sql.unsafe("DEALLOCATE ALL")
      yield* store.recordStep(aStep(held, { name: "one" }))
      yield* store.recordStep(aStep(held, { name: "two" }))
      expect(yield* names).toEqual(["one", "two"])
      // it is not tried again
      expect(yield* kept).toEqual([])
    })
  )

  it.scopedLive("is not kept behind a pooler, whose sessions are not the server's", () =>
    Effect.gen(function* () {
      const { held, kept, names, store } = yield* onOneConnectionOf(poolersClient)
      for (const name of ["one", "two"]) yield* store.recordStep(aStep(held, { name }))
      expect(yield* names).toEqual(["one", "two"])
      expect(yield* kept).toEqual([])
    })
  )
})
