/**
 * What other executors commit. They tell it by NOTIFY; and as one that tells may be gone before
 * anybody hears, and a connection be lost, it is also looked for now and then.
 */
import { randomUUID } from "node:crypto"
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as EffectSchema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Pg from "pg"
import type { Change } from "../RunStore.js"
import type { Told } from "./Commit.js"
import type { Schema } from "./Schema.js"

const nothing: Change = {
  pending: false,
  foreign: false,
  finished: [],
  signals: [],
  interrupts: [],
  woken: [],
  wakeAt: undefined
}

/** Anything may have happened. */
const anything: Change = { ...nothing, pending: true, foreign: true }

/** How often it is looked for what nobody has told. */
const betweenLooks = Duration.seconds(5)

/** How long a connection is silent before it is asked whether it is still one. */
const betweenPings = Duration.seconds(10)

const Note = EffectSchema.parseJson(
  EffectSchema.Struct({
    from: EffectSchema.String,
    pending: EffectSchema.Boolean,
    woken: EffectSchema.Boolean,
    wakeAt: EffectSchema.optional(EffectSchema.Number)
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
        ? undefined
        : { ...nothing, pending: note.pending, foreign: note.woken, wakeAt: note.wakeAt }
  })

const systemClock = Context.get(DefaultServices.liveServices, Clock.Clock)

/** Listens until the scope is closed; answers how to tell the others. */
export const listen = (options: {
  readonly client: PgClient.PgClient
  readonly schema: Schema
  readonly publish: (change: Change) => void
}): Effect.Effect<Told, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { publish, schema } = options
    const told: Told = {
      channel: `workflow_executor/${schema.name}`.slice(0, 63),
      from: randomUUID()
    }
    const tried = yield* Deferred.make<void>()
    const session = Effect.scoped(
      Effect.gen(function* () {
        const { client, ended } = yield* connect(options.client.config)
        client.on("notification", ({ payload }) => {
          const change = changeOf(payload, told.from)
          if (change !== undefined) publish(change)
        })
        yield* query(client, `LISTEN ${Pg.escapeIdentifier(told.channel)}`)
        // whatever was told before is looked for
        publish(anything)
        yield* Deferred.succeed(tried, undefined)
        const pings = Effect.forever(
          Effect.zipRight(Effect.sleep(betweenPings), query(client, "SELECT 1"))
        )
        yield* Effect.raceFirst(ended, pings)
      })
    ).pipe(Effect.ensuring(Deferred.succeed(tried, undefined)))
    const looks = Effect.forever(
      Effect.zipRight(
        Effect.sleep(betweenLooks),
        Effect.sync(() => publish(anything))
      )
    )
    // what others do follows no TestClock
    yield* Effect.forkScoped(Effect.withClock(again(session), systemClock))
    yield* Effect.forkScoped(Effect.withClock(looks, systemClock))
    yield* Deferred.await(tried)
    return told
  })

/** Told once when it does not do any more, and once when it does. */
const again = <E>(session: Effect.Effect<void, E>): Effect.Effect<void> =>
  session.pipe(
    Effect.catchAllCause((cause) =>
      Effect.logWarning("the connection that listens to other executors was lost", cause)
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
    ({ client }) =>
      Effect.ignore(
        Effect.timeout(
          Effect.promise(() => client.end()),
          "1 second"
        )
      )
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

const query = (client: Pg.Client, statement: string) =>
  Effect.tryPromise(() => client.query(statement))
