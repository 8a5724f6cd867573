/** A client of the store's own. */
import * as Reactivity from "@effect/experimental/Reactivity"
import { SqlError } from "@effect/sql/SqlError"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Pg from "pg"
import * as Given from "../../internal/Given.js"
import { within } from "../../internal/Within.js"
import type { RunStoreError } from "../RunStore.js"
import * as Failure from "./Failure.js"

export interface Options {
  readonly url: Redacted.Redacted
  readonly maxConnections?: number | undefined
  readonly answerTimeout?: Duration.DurationInput | undefined
}

/** A network that swallows all is not told from a database that takes its time otherwise. */
const defaultAnswerTimeout = Duration.seconds(15)

const connectTimeoutMillis = 5_000

const defaultMaxConnections = 4

/** For rows that are looked up by their keys, whatever statistics say of a table that was small. */
const settings = [
  "synchronous_commit=on",
  "jit=off",
  "enable_seqscan=off",
  "enable_hashjoin=off",
  "enable_mergejoin=off"
]

const acquirePool = ({
  answerTimeout = defaultAnswerTimeout,
  maxConnections = defaultMaxConnections,
  url
}: Options) => {
  const max = Given.wholeNumber("maxConnections", maxConnections, { min: 1 })
  const timeout = Given.duration("answerTimeout", answerTimeout, { min: Given.shortestPause })
  const timeoutMillis = Duration.toMillis(timeout)
  return Effect.acquireRelease(
    Effect.try({
      try: () => {
        const pool = new Pg.Pool({
          connectionString: Redacted.value(url),
          max,
          application_name: "effect-workflow-executor",
          connectionTimeoutMillis: Math.min(connectTimeoutMillis, timeoutMillis),
          query_timeout: timeoutMillis,
          keepAlive: true,
          keepAliveInitialDelayMillis: 10_000,
          options: settings.map((setting) => `-c ${setting}`).join(" ")
        })
        // of connections that nobody uses: they are made anew
        pool.on("error", () => {})
        return pool
      },
      catch: (cause) => new SqlError({ cause, message: "The connection's URL is none" })
    }),
    // as long as a query is under way it has no end
    (pool) => within("5 seconds")(Effect.promise(() => pool.end()))
  )
}

export const layer = (options: Options): Layer.Layer<PgClient.PgClient, RunStoreError> =>
  Layer.scoped(
    PgClient.PgClient,
    Failure.orRunStoreError("open it")(
      PgClient.fromPool({ acquire: Effect.suspend(() => acquirePool(options)) })
    )
  ).pipe(Layer.provide(Reactivity.layer))
