/**
 * The database's functions are planned once for a connection, which may be when there are no runs yet:
 * what they look at must not grow with what comes.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Pg from "pg"
import { ChangeLog } from "../../src/store/ChangeLog.js"
import { claimOldest } from "../../src/store/postgres/ClaimCall.js"
import * as Claims from "../../src/store/postgres/Claims.js"
import { commit } from "../../src/store/postgres/Commit.js"
import * as Schema from "../../src/store/postgres/Schema.js"
import { signalAll } from "../../src/store/postgres/SignalCall.js"
import { fromConnection, type Sql } from "../../src/store/postgres/Sql.js"
import type { Held } from "../../src/store/RunStore.js"
import { RunStore } from "../../src/store/RunStore.js"
import { aRun, aStep, register } from "../../src/testing/Acts.js"
import * as Postgres from "../support/Postgres.js"

const told = { channel: "nobody", from: "here" }

/** One connection, as the store uses it. */
const connect = ({ schema, url }: Postgres.Database) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Pg.Client({ connectionString: Redacted.value(url) })
        await client.connect()
        return client
      }),
      (client) => Effect.promise(() => client.end())
    ),
    (client) =>
      fromConnection(
        { executeRaw: (text, params) => Effect.promise(() => client.query(text, [...params])) },
        Schema.make(schema)
      )
  )

let batches = 0

const transaction = (sql: Sql, batch = ++batches) => ({
  ...sql,
  now: 1,
  leaseNow: null,
  batch,
  log: new ChangeLog()
})

const selectRead = `
  SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::integer AS rows
  FROM pg_stat_xact_user_tables WHERE schemaname = $1`

/** How many rows of the schema's tables an act reads. */
const readBy = (sql: Sql, schema: string, act: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    const read = Effect.map(
      sql.rows<{ readonly rows: number }>(selectRead, [schema]),
      ([read]) => read?.rows ?? 0
    )
    yield* sql.script("BEGIN")
    // it counts those before, too, until the server has gathered them
    const before = yield* read
    yield* act
    const after = yield* read
    yield* sql.script("COMMIT")
    return after - before
  }).pipe(Effect.orDie)

const create = (sql: Sql, executor: number, runIds: ReadonlyArray<string>) =>
  Effect.map(
    commit(transaction(sql), {
      creations: runIds.map((runId) => ({ run: aRun(runId), claimFor: executor }))
    }),
    ({ created }) =>
      runIds.map(
        (runId): Held => ({ runId, key: created.get(runId)?.key ?? 0, claim: 1, executor })
      )
  )

const complete = (sql: Sql, helds: ReadonlyArray<Held>, batch?: number) =>
  commit(transaction(sql, batch), {
    completions: helds.map((held) => ({ held, status: "completed", exit: "1" }))
  })

/** What the functions do for a run and its parent, each with what it reads. */
const acts = (sql: Sql, schema: string, executor: number, id: string) =>
  Effect.gen(function* () {
    const [parent, held] = yield* create(sql, executor, [`parent-${id}`, id])
    if (parent === undefined || held === undefined) return yield* Effect.dieMessage("not created")
    yield* sql.changes("INSERT INTO workflow_children (parent, child, awaits) VALUES ($1, $2, 1)", [
      parent.key,
      held.key
    ])
    yield* sql.changes(
      "UPDATE workflow_runs SET status = 'suspended', executor = NULL WHERE id = $1",
      [parent.key]
    )
    yield* sql.changes("UPDATE workflow_runs SET crashes = 1 WHERE id = $1", [held.key])
    const timers = [{ name: "late", wakeAt: 1 }]
    const noted = { ...aStep(held, { name: "noted" }), status: "running", exit: null } as const
    const end = complete(sql, [held], batches + 1_000_000)
    const done = {
      creation: create(sql, executor, [`new-${id}`]),
      "creation again": create(sql, executor, [`new-${id}`]),
      step: commit(transaction(sql), { steps: [aStep(held, { timers })] }),
      note: commit(transaction(sql), { steps: [noted] }),
      "reading what is claimed": Claims.read([{ held, bytes: 1 }])(sql),
      "reading what has woken": Claims.histories([held])(sql),
      signal: signalAll(transaction(sql), [{ runId: id, name: "paid", exit: "1" }], told),
      "signal to one that waits": signalAll(
        transaction(sql),
        [{ runId: parent.runId, name: "paid", exit: "1" }],
        told
      ),
      end,
      "end again": end,
      claim: claimOldest(
        { ...transaction(sql), leaseNow: 1, alone: false },
        { executor, workflows: ["Order", "Other"], limit: 5 },
        () => {}
      )
    }
    yield* commit(transaction(sql), {
      creations: [{ run: aRun(`free-${id}`), claimFor: undefined }]
    })
    const read: Record<string, number> = {}
    for (const [name, act] of Object.entries(done)) read[name] = yield* readBy(sql, schema, act)
    return read
  })

const many = 3_000

describe("what the functions planned when there were a few runs", () => {
  it.scoped(
    "is read by index when there are many",
    () =>
      Effect.gen(function* () {
        const database = yield* Postgres.database
        const store = yield* Postgres.open(database)
        const executor = yield* Effect.provideService(register, RunStore, store)
        const sql = yield* connect(database)
        const first = yield* acts(sql, database.schema, executor, "a")
        // a plan of a function that is not told otherwise is kept from the sixth time on
        for (let n = 0; n < 6; n++) yield* acts(sql, database.schema, executor, `b-${n}`)
        for (let n = 0; n < many; n += 500) {
          const runIds = Array.from({ length: 500 }, (_, i) => `many-${n + i}`)
          const helds = yield* create(sql, executor, runIds)
          yield* commit(transaction(sql), { steps: helds.map((held) => aStep(held)) })
          // half of them stay
          yield* complete(sql, helds.slice(250))
        }
        const then = yield* acts(sql, database.schema, executor, "c")
        const grown = Object.entries(then).filter(
          ([name, rows]) => rows > 30 + 2 * (first[name] ?? 0)
        )
        expect(grown).toEqual([])
      }),
    60_000
  )
})
