/**
 * Several executors on one file, or on PostgreSQL, killed, drained and frozen past their lease, while
 * runs with every feature are started, signalled and read; and what was kept of the promises in the end.
 */
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Pg from "pg"
import * as Process from "../support/Executor.js"
import { startAnother } from "../support/PostgresServer.js"
import * as Proxy from "../support/Proxy.js"
import * as Fleets from "./Fleet.js"
import * as Journal from "./Journal.js"
import * as Verdict from "./Verdict.js"
import {
  type Disturbance,
  disturbancesOf,
  type Options,
  randomOf,
  type Work,
  worksOf
} from "./Work.js"

export interface Outcome extends Verdict.Verdict {
  readonly disturbed: Readonly<Record<Disturbance, number>>
  /** How many frozen executors had lost their runs when they thawed. */
  readonly leasesLost: number
  /** Answers to reads of runs. */
  readonly reads: number
  /** Drains that could not hand over, for the database was away. */
  readonly cutOff: number
  /** Executors that did not end as they should. */
  readonly badExits: ReadonlyArray<string>
  readonly seconds: number
}

export const isKept = (outcome: Outcome): boolean =>
  Verdict.isKept(outcome) && outcome.badExits.length === 0

/** Runs that are under way at a time. */
const runsAtOnce = 60

/** How long steps may not come on, and runs may take after the last disturbance. */
const patience = Duration.minutes(3)

/** An execution's id, in a recorded outcome. */
const executionIn = (exit: string) => /"(\d+-\d+)"/.exec(exit)?.[1]

export const run = (
  options: Options,
  tell: (line: string) => Effect.Effect<void> = () => Effect.void
): Effect.Effect<Outcome> =>
  Effect.scoped(
    Effect.gen(function* () {
      const began = performance.now()
      const folder = yield* options.keep === undefined
        ? Process.makeFolder
        : Effect.as(
            Effect.promise(() => mkdir(options.keep ?? "", { recursive: true })),
            options.keep
          )
      const journal = join(folder, "journal")
      const database = options.postgres === true ? yield* onPostgres : onFile(folder)
      yield* Effect.promise(() => mkdir(journal))
      const progress = new Journal.Progress(journal)
      const fleet = yield* Fleets.make({
        onGone: ({ pid, stdout }) =>
          Effect.zipRight(
            progress.look([pid]),
            Effect.promise(() => writeFile(join(folder, `${pid}.log`), stdout))
          ),
        size: options.executors,
        leaseMillis: options.postgres === true ? 2_000 : 1_000,
        seed: options.seed,
        network: database.network,
        restart: database.restart,
        start: {
          module: fileURLToPath(new URL("./workflows.ts", import.meta.url)),
          cwd: folder,
          env: {
            ...database.env,
            CAMPAIGN_QUEUE: join(folder, options.postgres === true ? "queue.db" : "executor.db"),
            CAMPAIGN_JOURNAL: journal,
            MAX_CONCURRENT_STEPS: "50"
          }
        }
      })
      const chaos = chaosOf(options, fleet, progress, tell)
      const { accepted, load, reads, told } = loadOf(options, fleet, chaos.mayStart)

      const loaded = yield* Effect.fork(Effect.ensuring(load, chaos.hurry))
      yield* chaos.run
      yield* tell("nothing is disturbed any more")
      yield* Effect.timeoutOption(Fiber.join(loaded), patience)
      yield* fleet.close

      const verdict = Verdict.judge({
        accepted,
        told: told(),
        thaws: fleet.thaws,
        said: yield* Journal.read(journal),
        runs: yield* database.recorded
      })
      return {
        ...verdict,
        disturbed: chaos.disturbed,
        leasesLost: fleet.leasesLost(),
        reads: reads(),
        cutOff: fleet.cutOff(),
        badExits: fleet.faults,
        seconds: (performance.now() - began) / 1_000
      }
    })
  )

/** So many disturbances the runs are ahead. */
const lead = 2

/** Hits executors, evenly over the steps of the campaign, which does not go on without it. */
const chaosOf = (
  options: Options,
  fleet: Fleets.Fleet,
  progress: Journal.Progress,
  tell: (line: string) => Effect.Effect<void>
) => {
  const disturbed = { kill: 0, drain: 0, freeze: 0, roll: 0, restart: 0, hole: 0, reset: 0 }
  const disturbances = disturbancesOf(options)
  let done = 0
  /** All runs are over: there are no more steps to wait for. */
  let hurried = false
  // the last ones too are to find something under way
  const apart = (0.9 * options.steps) / Math.max(1, disturbances.length)
  const reached = (steps: number): Effect.Effect<void> =>
    Effect.flatMap(progress.look(fleet.pids()), (count) =>
      hurried || count >= steps
        ? Effect.void
        : Effect.zipRight(Effect.sleep("20 millis"), reached(steps))
    )
  const run = Effect.forEach(
    disturbances,
    (disturbance, index) =>
      Effect.gen(function* () {
        yield* Effect.timeoutOption(reached(index * apart), patience)
        yield* fleet.isComplete
        // not to miss what the one that is hit has said
        yield* progress.look(fleet.pids())
        yield* fleet.disturb(disturbance)
        disturbed[disturbance]++
        done++
        if ((index + 1) % 50 === 0) {
          yield* tell(`${index + 1} of ${disturbances.length}, after ${progress.steps} steps`)
        }
      }),
    { discard: true }
  )
  /** Whether a run may start that comes when this share of all of them has. */
  const mayStart = (share: number) => share * disturbances.length <= done + lead
  const hurry = Effect.sync(() => {
    hurried = true
  })
  return { disturbed, hurry, mayStart, run }
}

const View = Schema.Struct({
  status: Schema.String,
  error: Schema.optional(Schema.Unknown),
  steps: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      attempt: Schema.Int,
      status: Schema.String,
      result: Schema.optional(Schema.Unknown)
    })
  )
})

/** Starts runs, signals them, and reads them until they are over. */
const loadOf = (options: Options, fleet: Fleets.Fleet, mayStart: (share: number) => boolean) => {
  const works = worksOf(options)
  const random = randomOf(options.seed + 3)
  const accepted = new Map<string, Work>()
  const told = new Map<string, Verdict.Told>()
  let reads = 0

  const signal = (runId: string, name: string, value: string) =>
    Effect.delay(
      fleet.ask("POST", `/runs/${runId}/signals/${name}`, { value }, [202]),
      `${Math.floor(random() * 300)} millis`
    )

  /** Whether it is over, or waits for somebody. */
  const read = (runId: string) =>
    Effect.gen(function* () {
      const { body } = yield* fleet.ask("GET", `/runs/${runId}`, undefined, [200])
      const { error, status, steps } = Schema.decodeUnknownSync(View)(body)
      reads++
      for (const { attempt, name, result, status } of steps) {
        if (status !== "completed" || typeof result !== "string") continue
        const step = `${name}/${attempt}`
        told.set(`${runId} ${step} ${result}`, { runId, step, execution: result })
      }
      const isOver = ["completed", "failed", "interrupted"].includes(status)
      return isOver || (status === "suspended" && error !== undefined)
    })

  const one = (work: Work, index: number) =>
    Effect.gen(function* () {
      while (!mayStart(index / works.length)) yield* Effect.sleep("20 millis")
      const { id, steps, workflow } = work
      const payload = { workflow, payload: { id, steps } }
      const { body } = yield* fleet.ask("POST", "/runs", payload, [200, 202])
      const { runId } = Schema.decodeUnknownSync(Schema.Struct({ runId: Schema.String }))(body)
      accepted.set(runId, work)
      if (workflow === "Signalled") {
        yield* signal(runId, "First", "first")
        yield* signal(runId, "Second", "second")
      }
      while (!(yield* read(runId))) {
        yield* Effect.sleep(`${200 + Math.floor(random() * 600)} millis`)
      }
    })

  return {
    accepted,
    told: () => [...told.values()],
    reads: () => reads,
    load: Effect.forEach(works, one, { concurrency: runsAtOnce, discard: true })
  }
}

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

interface Database {
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

const onFile = (folder: string): Database => {
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
const onPostgres: Effect.Effect<Database, never, Scope.Scope> = Effect.gen(function* () {
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

/** What it came to, for people. */
export const describe = (outcome: Outcome): string => {
  const { disturbed, executed, recorded } = outcome
  const faults = [
    ["lost", outcome.lost],
    ["recorded steps executed again", outcome.repeated],
    ["compensations without a failure, or missing", outcome.compensated],
    ["told, and not recorded", outcome.untrue],
    ["set aside", outcome.suspected],
    ["executors that ended wrongly", outcome.badExits]
  ] as const
  return [
    `${outcome.runs} runs, ${recorded} steps recorded, ${executed - recorded} executed without being recorded, ${outcome.reads} reads`,
    `${disturbed.kill} kills, ${disturbed.drain} drains, ${disturbed.freeze} freezes, ${disturbed.roll} rolling replacements (${outcome.leasesLost} lost their runs), in ${Math.round(outcome.seconds)} seconds`,
    `${disturbed.restart} restarts of the server, ${disturbed.hole} black holes, ${disturbed.reset} resets; drains that met one of them and said so by their exit code: ${outcome.cutOff}`,
    ...faults.map(([what, found]) => `${what}: ${found.length}`),
    `begun at the instruction at which their executor was frozen, and executed by another: ${outcome.caught.length}`,
    ...faults.flatMap(([, found]) => found.slice(0, 10))
  ].join("\n")
}
