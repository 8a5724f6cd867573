/** Databases for tests, on the PostgreSQL of this run. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Pg from "pg"
import { inject } from "vitest"
import * as PostgresRunStore from "../../src/store/postgres/PostgresRunStore.js"
import { RunStore, type RunStoreError } from "../../src/store/RunStore.js"

/** The URL of the server's database; a run's first question starts it. */
export const url: Effect.Effect<string> = Effect.promise(async () => {
  const answer = await fetch(inject("postgres"))
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
})

let pool: Pg.Pool | undefined

/** Executes statements as the superuser that the tests are. */
export const execute = (statement: string): Effect.Effect<Pg.QueryResult> =>
  Effect.flatMap(url, (connectionString) =>
    Effect.promise(() => {
      pool ??= new Pg.Pool({ connectionString, max: 2, allowExitOnIdle: true })
      return pool.query(statement)
    })
  )

export interface Database {
  readonly url: Redacted.Redacted
  readonly schema: string
}

/** Made and empty: to make one takes a while, with others beside it. */
const free: Array<string> = []

let made = 0

const emptied = (schema: string) =>
  Effect.gen(function* () {
    const { rows } = yield* execute(
      `SELECT tablename FROM pg_tables WHERE schemaname = '${schema}'
      AND tablename <> 'workflow_executor_migrations'`
    )
    const tables = rows.map(({ tablename }) => `"${schema}"."${tablename}"`).join(", ")
    if (tables !== "") yield* execute(`TRUNCATE ${tables} RESTART IDENTITY`)
    free.push(schema)
  })

/** An empty schema, or none yet. */
export const database = Effect.gen(function* () {
  const connection = yield* url
  const schema = yield* Effect.acquireRelease(
    Effect.sync(() => free.pop() ?? `workflow_test_${process.pid}_${++made}`),
    emptied
  )
  return { url: Redacted.make(connection), schema } satisfies Database
})

/** A store in an empty schema. */
export const layer: Layer.Layer<RunStore, RunStoreError> = Layer.unwrapScoped(
  Effect.map(database, PostgresRunStore.layerUrl)
)

/** Another store on the same schema each time. */
export const open = (options: Parameters<typeof PostgresRunStore.layerUrl>[0]) =>
  Effect.map(Layer.build(Layer.fresh(PostgresRunStore.layerUrl(options))), (context) =>
    Context.get(context, RunStore)
  )

/** A database that nobody else is on, and that can be closed to everybody. */
export const ownDatabase = Effect.gen(function* () {
  const own = new URL(yield* url)
  const name = `own_${process.pid}_${++made}`
  yield* Effect.acquireRelease(execute(`CREATE DATABASE ${name}`), () =>
    execute(`DROP DATABASE ${name} WITH (FORCE)`)
  )
  own.pathname = name
  /** Ends all connections to it. */
  const end = execute(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`
  )
  return {
    url: Redacted.make(own.href),
    end,
    /** Whether it is read only, to those who connect from now on, which all have to. */
    readOnly: (is: boolean) =>
      Effect.zipRight(
        execute(`ALTER DATABASE ${name} SET default_transaction_read_only = ${is ? "on" : "off"}`),
        end
      ),
    close: Effect.zipRight(execute(`ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS false`), end),
    open: execute(`ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS true`)
  }
})
