/** What a campaign's executors share: a file, or a PostgreSQL of its own; and what is recorded there in the end. */
import { join } from "node:path"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Pg from "pg"
import { startAnother } from "../support/PostgresServer.js"
import * as Proxy from "../support/Proxy.js"
import type * as Fleets from "./Fleet.js"
import type * as Verdict from "./Verdict.js"

interface RunRow {
  readonly id: number
  readonly run_id: string
  readonly status: string
  readonly exit: string | null
  readonly cause: string | null
}

interface StepRow {
  readonly run: number
  readonly name: string
  readonly attempt: number
  readonly exit: string
}

const Completed = Schema.parseJson(Schema.Struct({ value: Schema.Unknown }))

/** An execution's id, in a recorded outcome. */
const executionIn = (exit: string) => /"(\d+-\d+)"/.exec(exit)?.[1]

export interface Database {
  readonly env: Readonly<Record<string, string>>
  readonly network?: Effect.Effect<Fleets.Network, never, Scope.Scope>
  readonly restart?: Effect.Effect<void>
  /** The record, as it is when every executor has ended. */
  readonly recorded: Effect.Effect<ReadonlyArray<Verdict.RecordedRun>>
}

const selectRuns = "SELECT id, run_id, status, exit, cause FROM workflow_runs"
const selectSteps = "SELECT run, name, attempt, exit FROM workflow_steps WHERE exit IS NOT NULL"

const recordedOf = (
  runs: ReadonlyArray<RunRow>,
  steps: ReadonlyArray<StepRow>
): ReadonlyArray<Verdict.RecordedRun> => {
  const stepsOfRun = new Map<number, Array<Verdict.RecordedStep>>(
    runs.map(({ id }) => [id, []] as const)
  )
  for (const { attempt, exit, name, run } of steps) {
    const execution = executionIn(exit)
    if (execution !== undefined)
      stepsOfRun.get(run)?.push({ step: `${name}/${attempt}`, execution })
  }
  return runs.map(({ cause, exit, id, run_id, status }) => ({
    runId: run_id,
    status,
    result: Option.getOrUndefined(Schema.decodeUnknownOption(Completed)(exit))?.value,
    setAside: cause?.includes("set aside") === true,
    steps: stepsOfRun.get(id) ?? []
  }))
}

export const onFile = (folder: string): Database => {
  const filename = join(folder, "executor.db")
  return {
    env: { DATABASE_FILE: filename },
    recorded: Effect.gen(function* () {
      const sql = yield* SqliteClient.make({ filename, readonly: true, disableWAL: true })
      const runs = yield* sql.unsafe<RunRow>(selectRuns)
      return recordedOf(runs, yield* sql.unsafe<StepRow>(selectSteps))
    }).pipe(Effect.scoped, Effect.provide(Reactivity.layer), Effect.orDie)
  }
}

/** A server of the campaign's own, and between it and each executor a network of its own. */
export const onPostgres: Effect.Effect<Database, never, Scope.Scope> = Effect.gen(function* () {
  const server = yield* Effect.acquireRelease(Effect.promise(startAnother), ({ stop }) =>
    Effect.promise(stop)
  )
  return {
    env: {},
    network: Effect.map(Proxy.make(server.url), ({ restore, swallow, url }) => ({
      env: { DATABASE_URL: url },
      restore,
      swallow
    })),
    restart: Effect.promise(async () => {
      await server.crash()
      await server.up()
    }),
    recorded: Effect.promise(async () => {
      const client = new Pg.Client({ connectionString: server.url })
      await client.connect()
      await client.query("SET search_path = workflow_executor")
      // ids are far from where numbers are not exact any more
      const runs = await client.query<RunRow>(selectRuns.replace("id,", "id::float8,"))
      const steps = await client.query<StepRow>(selectSteps.replace("run,", "run::float8,"))
      await client.end()
      return recordedOf(runs.rows, steps.rows)
    })
  }
})
