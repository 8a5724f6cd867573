/** What an executor on PostgreSQL tells the others, as one who listens hears it. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Pg from "pg"
import { type Change, RunStore } from "../../src/store/RunStore.js"
import { begin, register } from "../../src/testing/Acts.js"
import * as Postgres from "../support/Postgres.js"

const decode = Schema.decodeUnknownSync(
  Schema.parseJson(
    Schema.Struct({
      woken: Schema.Boolean,
      runs: Schema.optional(Schema.Array(Schema.String)),
      pauses: Schema.optional(Schema.Literal(true))
    })
  )
)

/** Hears all that is told on the schema. */
const listen = ({ schema, url }: Postgres.Database) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Pg.Client({ connectionString: Redacted.value(url) })
        await client.connect()
        await client.query(`LISTEN "workflow_executor/${schema}"`)
        return client
      }),
      (client) => Effect.promise(() => client.end())
    ),
    (client) => {
      const heard: Array<ReturnType<typeof decode>> = []
      let hear = () => {}
      const last = new Promise<void>((resolve) => {
        hear = resolve
      })
      client.on("notification", ({ payload }) => {
        const note = decode(payload)
        if (note.pauses === true) hear()
        else heard.push(note)
      })
      /** Until a workflow was paused, which is told of itself. */
      return Effect.map(
        Effect.promise(() => last),
        () => heard
      )
    }
  )

describe("what a run is told", () => {
  it.scoped(
    "is told to others with its name, as long as they are few",
    () =>
      Effect.gen(function* () {
        const database = yield* Postgres.database
        const one = yield* Postgres.open(database)
        const act = Effect.provideService(RunStore, one)
        const executor = yield* act(register)
        const odd = `"a", b}\u0000\\`
        const many = Array.from({ length: 21 }, (_, n) => `run-${n}`)
        yield* act(Effect.forEach([odd, ...many], (runId) => begin(executor, runId)))
        const signal = (runId: string) => one.signal({ runId, name: "paid", exit: "1" })
        const two = yield* Postgres.open(database)
        const hears = yield* two.changes
        const heard = yield* listen(database)
        yield* signal(odd)
        // nothing is new
        yield* signal(odd)
        yield* one.wake(odd)
        yield* Effect.forEach(many, signal, { concurrency: "unbounded" })
        // before its run: nobody has it yet
        yield* signal("none")
        yield* one.pauseWorkflow({ workflow: "Order", parks: false })
        const notes = yield* heard
        expect(notes.map(({ runs, woken }) => [woken, runs?.length])).toEqual([
          [true, 1],
          [true, 1],
          [true, undefined],
          [true, 1]
        ])
        const told: Array<Change> = []
        while (told.at(-1)?.pauses !== true) told.push(yield* hears.take)
        expect(told.flatMap((change) => change.told ?? [])).toEqual([odd, odd, "none"])
        expect(told.filter(({ foreign, told }) => foreign && told === undefined)).toHaveLength(1)
      }),
    60_000
  )
})

describe("the end of a run", () => {
  it.scoped(
    "is told to others if one of them waits for it, and else to nobody",
    () =>
      Effect.gen(function* () {
        const database = yield* Postgres.database
        const one = yield* Postgres.open(database)
        const two = yield* Postgres.open(database)
        const act = Effect.provideService(RunStore, one)
        const executor = yield* act(register)
        const runs = yield* act(
          Effect.forEach(["before", "awaited", "after"], (runId) => begin(executor, runId))
        )
        const heard = yield* listen(database)
        expect(yield* two.finished(["before", "awaited", "nobody"])).toEqual([])
        expect(yield* two.finished(["awaited", "nobody"], { tells: true })).toEqual([])
        for (const { held } of runs) yield* one.complete({ held, status: "completed", exit: "1" })
        yield* one.pauseWorkflow({ workflow: "Order", parks: false })
        expect(yield* heard).toMatchObject([{ woken: true }])
        expect(yield* two.finished(["awaited"], { tells: true })).toEqual([
          { runId: "awaited", exit: "1" }
        ])
        expect(Option.isSome(yield* two.find("awaited"))).toBe(true)
      }),
    60_000
  )
})
