/**
 * What other executors commit. They tell it by NOTIFY; and as one that tells may be gone before
 * anybody hears, and a connection be lost, it is also looked for now and then.
 */

import { randomUUID } from "node:crypto"
import { SqlError } from "@effect/sql/SqlError"
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as EffectSchema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Pg from "pg"
import { systemClock } from "../../internal/SystemClock.js"
import { within } from "../../internal/Within.js"
import * as PostgresMetrics from "../../telemetry/PostgresMetrics.js"
import { nothing } from "../ChangeLog.js"
import type { Change } from "../RunStore.js"
import type { Told } from "./Commit.js"
import * as Liveness from "./Liveness.js"
import type { Schema } from "./Schema.js"
import type { Sql } from "./Sql.js"
import { decodedText, fromConnection } from "./Sql.js"

/** Anything may have happened. */
const anything: Change = { ...nothing, pending: true, foreign: true }

/** How often it is looked for what nobody has told. */
const betweenLooks = Duration.seconds(5)

/** How many looks' time a connection is silent before it is asked whether it is still one. */
const looksBetweenPings = 25

const Note = EffectSchema.parseJson(
  EffectSchema.Struct({
    from: EffectSchema.String,
    at: EffectSchema.optional(EffectSchema.Number),
    pending: EffectSchema.Boolean,
    woken: EffectSchema.Boolean,
    runs: EffectSchema.optional(EffectSchema.Array(EffectSchema.String)),
    wakeAt: EffectSchema.optional(EffectSchema.Number),
    schedules: EffectSchema.optional(EffectSchema.Literal(true)),
    bulk: EffectSchema.optional(EffectSchema.Literal(true)),
    pauses: EffectSchema.optional(EffectSchema.Literal(true))
  })
)

const decodeNote = EffectSchema.decodeUnknownOption(Note)

/** What another executor's note comes to here; `undefined` of one's own. */
export const changeOf = (payload: string | undefined, from: string): Change | undefined =>
  Option.match(decodeNote(payload), {
    // of a newer version
    onNone: () => anything,
    onSome: (note) =>
      note.from === from
        ? heardOfItself(note)
        : {
            ...nothing,
            pending: note.pending,
            foreign: note.woken,
            ...(note.runs === undefined ? {} : { told: note.runs.map(decodedText) }),
            wakeAt: note.wakeAt,
            ...(note.schedules === undefined ? {} : { schedules: note.schedules }),
            ...(note.bulk === undefined ? {} : { bulk: note.bulk }),
            ...(note.pauses === undefined ? {} : { pauses: note.pauses })
          }
  })

/** One's own note is no news; but it tells how long others wait for theirs. */
const heardOfItself = ({ at }: typeof Note.Type): undefined => {
  if (at !== undefined) PostgresMetrics.heardOfItself(performance.now() - at)
}

export interface Listener {
  readonly told: Told
  /** As long as this process is there its sessions stand for the executor; see `Liveness`. */
  readonly standFor: (executor: number) => Effect.Effect<void>
}

interface Options {
  readonly client: PgClient.PgClient
  readonly schema: Schema
  readonly publish: (change: Change) => void
}

/** Listens until the scope is closed. */
export const listen = (options: Options): Effect.Effect<Listener, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { publish, schema } = options
    const told: Told = { channel: channelOf(schema), from: randomUUID() }
    const executors = new Set<number>()
    let current: Sql | undefined
    let there = true
    const wasThere = () => {
      const was = there
      there = false
      return was
    }
    const tried = yield* Deferred.make<void>()
    const session = connect(options.client.config).pipe(
      Effect.flatMap(({ client, ended }) =>
        Effect.gen(function* () {
          const sql = fromClient(client, schema)
          client.on("notification", ({ payload }) => {
            const change = changeOf(payload, told.from)
            if (change !== undefined) publish(change)
          })
          yield* sql.script(`LISTEN ${Pg.escapeIdentifier(told.channel)}`)
          for (const executor of executors) yield* Liveness.standFor(sql, schema.name, executor)
          current = sql
          there = true
          // whatever was told before is looked for
          publish(anything)
          yield* Deferred.succeed(tried, undefined)
          const look = Liveness.make(schema.name)
          yield* Effect.raceFirst(ended, watching(sql, look, options, executors))
        })
      ),
      Effect.ensuring(
        Effect.zipRight(
          Deferred.succeed(tried, undefined),
          Effect.sync(() => {
            current = undefined
          })
        )
      ),
      Effect.scoped
    )
    // what others do follows no TestClock
    yield* Effect.forkScoped(Effect.withClock(again(session, wasThere), systemClock))
    yield* Effect.forkScoped(Effect.withClock(looking(publish), systemClock))
    yield* Deferred.await(tried)
    return {
      told,
      standFor: (executor) =>
        Effect.suspend(() => {
          executors.add(executor)
          return current === undefined
            ? Effect.void
            : Effect.ignore(Liveness.standFor(current, schema.name, executor))
        })
    }
  })

const channelOf = ({ name }: Schema) => `workflow_executor/${name}`.slice(0, 63)

/** Whether the other executors are there; and, where nobody looks, whether the connection is. */
const watching = (
  sql: Sql,
  look: (sql: Sql) => Effect.Effect<boolean, SqlError>,
  { publish }: Options,
  executors: ReadonlySet<number>
) =>
  Effect.suspend(() => {
    let silent = 0
    return Effect.forever(
      Effect.gen(function* () {
        yield* Effect.sleep(Liveness.betweenLooks)
        if (executors.size > 0) {
          if (yield* look(sql)) publish({ ...anything, lapsed: true })
        } else if (++silent >= looksBetweenPings) {
          silent = 0
          yield* sql.script("SELECT 1")
        }
      })
    )
  })

const looking = (publish: Options["publish"]) =>
  Effect.forever(
    Effect.zipRight(
      Effect.sleep(betweenLooks),
      Effect.sync(() => publish(anything))
    )
  )

/** Once more whenever it ends; that it has is said once, until it was there again. */
const again = <E>(session: Effect.Effect<void, E>, wasThere: () => boolean): Effect.Effect<void> =>
  session.pipe(
    Effect.catchAllCause((cause) =>
      wasThere()
        ? Effect.logWarning("the connection that listens to other executors was lost", cause)
        : Effect.void
    ),
    Effect.repeat(Schedule.spaced("250 millis")),
    Effect.asVoid
  )

const connect = (config: PgClient.PgClientConfig) =>
  Effect.acquireRelease(
    Effect.tryPromise(async () => {
      const client = new Pg.Client(clientConfig(config))
      const lost = new Promise<never>((_, reject) => {
        client.on("error", reject)
        client.on("end", () => reject(new Error("the connection was closed")))
      })
      // whoever waits for it hears of it later
      lost.catch(() => {})
      await client.connect()
      return { client, ended: Effect.tryPromise(() => lost) }
    }),
    ({ client }) => within("1 second")(Effect.promise(() => client.end()))
  )

/** As the client that the app brings is connected. */
const clientConfig = (config: PgClient.PgClientConfig): Pg.ClientConfig => ({
  ...(config.url === undefined
    ? {
        host: config.host,
        port: config.port,
        user: config.username,
        database: config.database,
        password: config.password === undefined ? undefined : Redacted.value(config.password)
      }
    : { connectionString: Redacted.value(config.url) }),
  ...(config.ssl === undefined ? {} : { ssl: config.ssl }),
  application_name: "effect-workflow-executor listener",
  connectionTimeoutMillis: 5_000,
  query_timeout: 5_000,
  keepAlive: true
})

const fromClient = (client: Pg.Client, schema: Schema): Sql =>
  fromConnection(
    {
      executeRaw: (statement, params) =>
        Effect.tryPromise({
          try: () => client.query(statement, [...params]),
          catch: (cause) => new SqlError({ cause, message: "Failed to execute statement" })
        })
    },
    schema
  )
