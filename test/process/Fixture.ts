/** Executors of the fixture workflows, over one folder. */
import { readFile, stat, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as Reactivity from "@effect/experimental/Reactivity"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Process from "../support/Executor.js"

export const stopSignals = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const

export const make = Effect.gen(function* () {
  const folder = yield* Process.makeFolder
  const file = join(folder, "executions.jsonl")
  const env = {
    DATABASE_FILE: join(folder, "executor.db"),
    FIXTURE_FILE: file,
    FIXTURE_GATE: folder
  }
  const options = (extra: Readonly<Record<string, string>> = {}): Process.StartOptions => ({
    module: Process.fixture("work.ts"),
    cwd: folder,
    env: { ...env, ...extra }
  })
  return {
    folder,
    env,
    options,
    /** Starts one, and waits until it is ready. */
    start: (extra?: Readonly<Record<string, string>>) => Process.startReady(options(extra)),
    /** Stops one with SIGSTOP, outside of a write. */
    freeze: (executor: Process.Executor) => freeze(env.DATABASE_FILE, executor),
    executions: Process.executions(file),
    executed: (matches: (executions: ReadonlyArray<Process.Execution>) => boolean) =>
      Process.executed(file, matches),
    /** Waits until a step of a run has begun. */
    began: (runId: string, step: string) =>
      Process.executed(file, (executions) => times(executions, "began", runId, step) > 0),
    /** Lets a `Held` run's step end. */
    open: (id: string) => Effect.promise(() => writeFile(join(folder, id), ""))
  }
})

/** How often a step did that. */
export const times = (
  executions: ReadonlyArray<Process.Execution>,
  event: Process.Execution["event"],
  runId: string,
  step: string
): number =>
  executions.filter(
    (execution) => execution.event === event && execution.runId === runId && execution.step === step
  ).length

const execute = (filename: string, text: string) =>
  Effect.scoped(
    Effect.flatMap(SqliteClient.make({ filename }), (sql) => sql.unsafe(text).unprepared).pipe(
      Effect.provide(Reactivity.layer)
    )
  )

/** Somebody else's statement on a database file. */
export const statement = (filename: string, text: string) => Effect.orDie(execute(filename, text))

/**
 * Stops an executor, but not within a write: there it would keep SQLite's lock for as long as it
 * stands still, and nobody else could write.
 */
export const freeze = (filename: string, executor: Process.Executor): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* executor.kill("SIGSTOP")
    yield* Effect.repeat(isStopped(executor.pid), { until: (stopped) => stopped })
    const free = yield* Effect.isSuccess(execute(filename, "BEGIN IMMEDIATE"))
    if (free) return
    yield* executor.kill("SIGCONT")
    yield* freeze(filename, executor)
  })

/** A stop is there once the system call of the moment is over; what is not Linux is believed. */
const isStopped = (pid: number) =>
  Effect.promise(() =>
    readFile(`/proc/${pid}/stat`, "utf8").then(
      (stat) => /^.*\) T /.test(stat),
      () => true
    )
  )

/**
 * Expects what takes under so many milliseconds: of a few times the one that was least disturbed by
 * what else the machine does.
 */
export const atBest = <R>(
  what: string,
  measure: Effect.Effect<number, never, R>,
  limit: number
): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    const measured: Array<number> = []
    while (measured.length < 4 && !measured.some((millis) => millis < limit)) {
      measured.push(yield* measure)
    }
    console.info(`${what}: ${measured.map(Math.round).join(", ")} ms`)
    expect(Math.min(...measured)).toBeLessThan(limit)
  })

/** Cuts the end of a file off, as of a copy that was taken while it grew. */
export const damage = (filename: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    const { size } = await stat(filename)
    await truncate(filename, Math.floor(size / 2 / 4096) * 4096)
  })
