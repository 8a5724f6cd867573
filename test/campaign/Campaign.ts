/**
 * Several executors on one file, or on PostgreSQL, killed, drained and frozen past their lease, while
 * runs with every feature are started, signalled and read; and what was kept of the promises in the end.
 */
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Process from "../support/Executor.js"
import * as Database from "./Database.js"
import * as Fleets from "./Fleet.js"
import * as Gaps from "./Gaps.js"
import * as Journal from "./Journal.js"
import * as Verdict from "./Verdict.js"
import {
  type Disturbance,
  disturbancesOf,
  type Options,
  randomOf,
  runsAtOnce,
  type Work,
  worksOf
} from "./Work.js"

export interface Outcome extends Verdict.Verdict {
  readonly disturbed: Readonly<Record<Disturbance, number>>
  /** How many frozen executors had lost their runs when they thawed. */
  readonly leasesLost: number
  /** Answers to reads of runs. */
  readonly reads: number
  /** Runs that were set aside and resumed, as somebody would who looks after them. */
  readonly resumed: ReadonlyArray<string>
  /** Drains that could not hand over, for the database was away. */
  readonly cutOff: number
  /** How long runs stood still when their executor went. */
  readonly gaps: Gaps.Gaps
  /** Executors that did not end as they should. */
  readonly badExits: ReadonlyArray<string>
  readonly seconds: number
}

/**
 * Where executors are killed one after the other, three in a row come to find the same run at work: it
 * is set aside, as is promised. So many kills at least are behind each.
 */
const killsPerSetAside = 20

export const isKept = (outcome: Outcome): boolean =>
  Verdict.isKept(outcome) &&
  outcome.badExits.length === 0 &&
  outcome.resumed.length * killsPerSetAside <= outcome.disturbed.kill

const folderOf = ({ keep }: Options) =>
  keep === undefined
    ? Process.makeFolder
    : Effect.as(
        Effect.promise(() => mkdir(keep, { recursive: true })),
        keep
      )

/** How long steps may not come on, and runs may take after the last disturbance. */
const patience = Duration.minutes(3)

export const run = (
  options: Options,
  tell: (line: string) => Effect.Effect<void> = () => Effect.void
): Effect.Effect<Outcome> =>
  Effect.scoped(
    Effect.gen(function* () {
      const began = performance.now()
      const folder = yield* folderOf(options)
      const journal = join(folder, "journal")
      const database =
        options.postgres === true ? yield* Database.onPostgres : Database.onFile(folder)
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
      const { accepted, load, reads, resumed, told } = loadOf(options, fleet, chaos.mayStart)

      const loaded = yield* Effect.fork(Effect.ensuring(load, chaos.hurry))
      yield* chaos.run
      yield* tell("nothing is disturbed any more")
      yield* Effect.timeoutOption(Fiber.join(loaded), patience)
      yield* fleet.close

      const said = yield* Journal.read(journal)
      const verdict = Verdict.judge({
        accepted,
        told: told(),
        thaws: fleet.thaws,
        said,
        runs: yield* database.recorded
      })
      return {
        ...verdict,
        disturbed: chaos.disturbed,
        leasesLost: fleet.leasesLost(),
        reads: reads(),
        resumed: resumed(),
        cutOff: fleet.cutOff(),
        gaps: Gaps.gapsOf(said, fleet.departures),
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
  steps: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      attempt: Schema.Int,
      status: Schema.String,
      result: Schema.optional(Schema.Unknown)
    })
  )
})

const Listed = Schema.Struct({ runs: Schema.Array(Schema.Struct({ runId: Schema.String })) })

/** Starts runs, signals them, and reads them until they are over; meanwhile somebody looks after them. */
const loadOf = (options: Options, fleet: Fleets.Fleet, mayStart: (share: number) => boolean) => {
  const works = worksOf(options)
  const random = randomOf(options.seed + 3)
  const accepted = new Map<string, Work>()
  const told = new Map<string, Verdict.Told>()
  const resumed = new Set<string>()
  let reads = 0

  const signal = (runId: string, name: string, value: string) =>
    Effect.delay(
      fleet.ask("POST", `/runs/${runId}/signals/${name}`, { value }, [202]),
      `${Math.floor(random() * 300)} millis`
    )

  /** Whether it is over. */
  const read = (runId: string) =>
    Effect.gen(function* () {
      const { body } = yield* fleet.ask("GET", `/runs/${runId}`, undefined, [200])
      const { status, steps } = Schema.decodeUnknownSync(View)(body)
      reads++
      for (const { attempt, name, result, status } of steps) {
        if (status !== "completed" || typeof result !== "string") continue
        const step = `${name}/${attempt}`
        told.set(`${runId} ${step} ${result}`, { runId, step, execution: result })
      }
      return ["completed", "failed", "interrupted"].includes(status)
    })

  /** Resumes what was set aside, children too, until it is interrupted. */
  const attend = Effect.gen(function* () {
    while (true) {
      const { body } = yield* fleet.ask("GET", "/runs?mend=true&limit=200", undefined, [200])
      for (const { runId } of Schema.decodeUnknownSync(Listed)(body).runs) {
        resumed.add(runId)
        // it may have gone on meanwhile
        yield* fleet.ask("POST", `/runs/${runId}/resume`, undefined, [202, 409])
      }
      yield* Effect.sleep("1 second")
    }
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
    resumed: () => [...resumed],
    load: Effect.forEach(works, one, {
      concurrency: options.runs ?? runsAtOnce,
      discard: true
    }).pipe(Effect.race(attend))
  }
}

/** What it came to, for people. */
export const describe = (outcome: Outcome): string => {
  const { disturbed, executed, recorded } = outcome
  const faults = [
    ["lost", outcome.lost],
    ["recorded steps executed again", outcome.repeated],
    ["compensations without a failure, or missing", outcome.compensated],
    ["told, and not recorded", outcome.untrue],
    ["set aside, and left so", outcome.suspected],
    ["executors that ended wrongly", outcome.badExits]
  ] as const
  return [
    `${outcome.runs} runs, ${recorded} steps recorded, ${executed - recorded} executed without being recorded, ${outcome.reads} reads`,
    `${disturbed.kill} kills, ${disturbed.drain} drains, ${disturbed.freeze} freezes, ${disturbed.roll} rolling replacements (${outcome.leasesLost} lost their runs), in ${Math.round(outcome.seconds)} seconds`,
    `${disturbed.restart} restarts of the server, ${disturbed.hole} black holes, ${disturbed.reset} resets; drains that met one of them and said so by their exit code: ${outcome.cutOff}`,
    ...faults.map(([what, found]) => `${what}: ${found.length}`),
    `set aside after three deaths in a row, and resumed: ${outcome.resumed.length}`,
    Gaps.describe(outcome.gaps),
    `begun at the instruction at which their executor was frozen, and executed by another: ${outcome.caught.length}`,
    ...faults.flatMap(([, found]) => found.slice(0, 10))
  ].join("\n")
}
