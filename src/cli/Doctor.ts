/**
 * `workflow-executor doctor`: what is wrong with a database file, if anything. It only reads.
 */
import { constants } from "node:fs"
import { access, stat, statfs } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Machine from "../internal/Machine.js"
import type { ExecutorInfo, RunStoreError } from "../store/RunStore.js"
import * as Executors from "../store/sqlite/Executors.js"
import type { Sql } from "../store/sqlite/Sql.js"
import * as DatabaseFile from "./DatabaseFile.js"
import { CommandEnded, exitCodes } from "./Failures.js"
import * as MigrateCommand from "./MigrateCommand.js"
import * as Output from "./Output.js"

/**
 * - `ok`: as it should be.
 * - `warning`: worth a look; it may be meant so.
 * - `problem`: executors do not start on this file, or runs do not go on.
 */
export type Verdict = "ok" | "warning" | "problem"

export interface Finding {
  readonly check: string
  readonly verdict: Verdict
  readonly message: string
}

const found = (check: string, verdict: Verdict, message: string): Finding => ({
  check,
  verdict,
  message
})

// ---------------------------------------------------------------------------------------------
// What is found, from what is seen
// ---------------------------------------------------------------------------------------------

/** Its lease has lapsed, or its process, of this machine, is gone. */
const isGone = (executor: ExecutorInfo, now: number) =>
  executor.leaseUntil <= now || Machine.here.isDead(executor)

const describeExecutor = ({ host, id, pid, runs }: ExecutorInfo) =>
  `executor ${id} (pid ${pid} on ${Machine.nameOf(host)}), which holds ${runs} run${runs === 1 ? "" : "s"}`

/** Leases are seconds; one that ends this much later was given by a clock that is ahead. */
const leaseTooLong = 24 * 60 * 60 * 1000

export const ofExecutors = (
  executors: ReadonlyArray<ExecutorInfo>,
  now: number
): ReadonlyArray<Finding> => {
  const alive = executors.filter((executor) => !isGone(executor, now))
  const ahead = alive.filter(
    ({ leaseUntil, startedAt }) => leaseUntil - now > leaseTooLong || startedAt - now > 60_000
  )
  return [
    alive.length === 0
      ? found("executors", "warning", "none is running")
      : found("executors", "ok", `${alive.length} running`),
    ...executors
      .filter((executor) => isGone(executor, now))
      .map((executor) =>
        found(
          "leases",
          executor.runs > 0 ? "problem" : "warning",
          `${describeExecutor(executor)}, is dead or frozen${
            executor.leaseUntil <= now ? ": its lease has lapsed" : ": its process is gone"
          }; ${alive.length === 0 ? "the next one that starts takes over" : "another takes over"}`
        )
      ),
    ...ahead.map((executor) =>
      found(
        "clocks",
        "problem",
        `by this clock ${describeExecutor(executor)}, started or has its lease in the future: a clock was set`
      )
    )
  ]
}

export const ofPending = (
  pending: ReadonlyArray<{ readonly workflow: string; readonly runs: number }>,
  running: boolean
): ReadonlyArray<Finding> =>
  pending.length === 0
    ? [found("pending runs", "ok", "none")]
    : pending.map(({ runs, workflow }) =>
        found(
          "pending runs",
          running ? "ok" : "warning",
          `${runs} of ${workflow}${running ? "" : ": they wait for an executor"}`
        )
      )

/** Nothing wakes them. */
export const ofBlocked = (
  blocked: ReadonlyArray<{ readonly workflow: string; readonly runs: number }>
): ReadonlyArray<Finding> =>
  blocked.length === 0
    ? [found("runs to mend", "ok", "none")]
    : blocked.map(({ runs, workflow }) =>
        found(
          "runs to mend",
          "problem",
          `${runs} of ${workflow}, suspended after a failure: runs list --mend tells why; mend that, and resume them`
        )
      )

export const ofSchema = (file: string, schema: number): Finding =>
  schema === DatabaseFile.ourSchema
    ? found("schema", "ok", `${schema}, that of this version`)
    : found("schema", "problem", DatabaseFile.describeSchema(file, schema))

// ---------------------------------------------------------------------------------------------
// What is seen
// ---------------------------------------------------------------------------------------------

const may = (path: string, mode: number) =>
  Effect.match(
    Effect.tryPromise(() => access(path, mode)),
    { onFailure: () => false, onSuccess: () => true }
  )

const permission = (check: string, path: string, mode: number, message: string) =>
  Effect.map(may(path, mode), (allowed) =>
    allowed ? found(check, "ok", "yes") : found(check, "problem", message)
  )

const permissions = (file: string) => {
  const folder = dirname(resolve(file))
  return Effect.all([
    permission("readable", file, constants.R_OK, `this user may not read ${file}`),
    permission("writable", file, constants.W_OK, `this user may not write ${file}`),
    permission(
      "folder writable",
      folder,
      constants.W_OK,
      `this user may not write in ${folder}, where SQLite has its -wal file`
    )
  ])
}

const megabyte = 1024 * 1024

const megabytes = (bytes: number) => `${(bytes / megabyte).toFixed(1)} MB`

const space = (file: string) =>
  Effect.promise(async () => {
    const { bavail, bsize } = await statfs(dirname(resolve(file)))
    const free = bavail * bsize
    return found(
      "disk",
      free < 100 * megabyte ? "problem" : free < 1024 * megabyte ? "warning" : "ok",
      `${megabytes(free)} free`
    )
  })

const sizes = (file: string) =>
  Effect.promise(async () => {
    const { size } = await stat(file)
    const wal = await stat(`${file}-wal`).then(
      (stats) => stats.size,
      () => 0
    )
    return found(
      "size",
      wal > 256 * megabyte ? "warning" : "ok",
      `${megabytes(size)}, and ${megabytes(wal)} in the -wal file${
        wal > 256 * megabyte ? ": a reader that never ends keeps it from being taken up" : ""
      }`
    )
  })

const integrity = (sql: Sql, full: boolean) =>
  Effect.map(
    sql.once<Readonly<Record<string, string>>>(
      full ? "PRAGMA integrity_check(5)" : "PRAGMA quick_check(5)"
    ),
    (rows) => {
      const said = rows.flatMap((row) => Object.values(row))
      return said.length === 1 && said[0] === "ok"
        ? found("integrity", "ok", full ? "integrity_check" : "quick_check; --full looks closer")
        : found("integrity", "problem", `${said.join("; ")}: restore a backup`)
    }
  )

const journalMode = (sql: Sql) =>
  Effect.map(
    sql.once<{ readonly journal_mode: string }>("PRAGMA journal_mode"),
    ([{ journal_mode } = { journal_mode: "unknown" }]) =>
      journal_mode === "wal"
        ? found("journal", "ok", "WAL")
        : found("journal", "warning", `${journal_mode}; an executor sets it to WAL when it starts`)
  )

/** Of each connection its own; whether it is accepted is the file system's doing. */
const synchronous = (sql: Sql) =>
  Effect.gen(function* () {
    yield* sql.once("PRAGMA synchronous = FULL")
    const [row] = yield* sql.once<{ readonly synchronous: number }>("PRAGMA synchronous")
    return row?.synchronous === 2
      ? found("synchronous", "ok", "FULL, as every executor sets it")
      : found(
          "synchronous",
          "problem",
          "FULL is not accepted: power loss loses acknowledged writes"
        )
  })

const countPending = `
  SELECT workflow, count(*) AS runs FROM workflow_runs INDEXED BY workflow_runs_pending
  WHERE status = 'pending' GROUP BY workflow ORDER BY workflow`

const countBlocked = `
  SELECT workflow, count(*) AS runs FROM workflow_runs INDEXED BY workflow_runs_blocked
  WHERE status = 'suspended' AND cause IS NOT NULL GROUP BY workflow ORDER BY workflow`

const work = (sql: Sql, now: number) =>
  Effect.gen(function* () {
    const executors = yield* Executors.all(sql)
    const pending = yield* sql.once<{ readonly workflow: string; readonly runs: number }>(
      countPending
    )
    const blocked = yield* sql.once<{ readonly workflow: string; readonly runs: number }>(
      countBlocked
    )
    return [
      ...ofExecutors(executors, now),
      ...ofBlocked(blocked),
      ...ofPending(
        pending,
        executors.some((executor) => !isGone(executor, now))
      )
    ]
  })

/** What cannot be looked at is a problem of its own, and the rest is looked at all the same. */
const orProblem =
  (check: string) =>
  (
    findings: Effect.Effect<ReadonlyArray<Finding>, RunStoreError>
  ): Effect.Effect<ReadonlyArray<Finding>> =>
    Effect.catchAll(findings, ({ message }) => Effect.succeed([found(check, "problem", message)]))

const examine = (file: string, full: boolean): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const findings: Array<Finding> = [found("file", "ok", resolve(file))]
    findings.push(...(yield* permissions(file)), yield* sizes(file), yield* space(file))
    const inside = yield* DatabaseFile.inspect(file, (sql) =>
      Effect.all([integrity(sql, full), journalMode(sql), synchronous(sql)])
    ).pipe(orProblem("database"))
    findings.push(...inside)
    if (inside.some(({ check }) => check === "database")) return findings
    const schema = yield* Effect.either(DatabaseFile.schemaOf(file))
    if (schema._tag === "Left")
      return [...findings, found("schema", "problem", schema.left.message)]
    findings.push(ofSchema(file, schema.right))
    if (schema.right !== DatabaseFile.ourSchema) return findings
    const now = yield* Clock.currentTimeMillis
    return [
      ...findings,
      ...(yield* DatabaseFile.inspect(file, (sql) => work(sql, now)).pipe(orProblem("runs")))
    ]
  })

export interface Options extends MigrateCommand.Options {
  /** SQLite's integrity_check, which reads indexes against tables, instead of its quick_check. */
  readonly full: boolean
}

/** Tells what it found; fails, with code 1, when something is a problem. */
export const doctor = (options: Options) =>
  Effect.gen(function* () {
    const file = yield* MigrateCommand.fileOf(options.database)
    const findings = yield* DatabaseFile.assertExists(file).pipe(
      Effect.zipRight(examine(file, options.full)),
      orProblem("file")
    )
    const isWell = findings.every(({ verdict }) => verdict !== "problem")
    yield* options.json
      ? Output.json({ database: file, ok: isWell, findings })
      : Output.table(
          ["CHECK", "VERDICT", "WHAT"],
          findings.map(({ check, message, verdict }) => [check, verdict, message])
        )
    if (!isWell) return yield* new CommandEnded({ exitCode: exitCodes.error })
  })
