/**
 * `workflow-executor doctor`: what is wrong with a database, if anything. It only reads.
 */
import { constants } from "node:fs"
import { access, stat, statfs } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Pauses from "../store/Pauses.js"
import type { RunStoreError } from "../store/RunStore.js"
import * as Executors from "../store/sqlite/Executors.js"
import type { Sql } from "../store/sqlite/Sql.js"
import * as Database from "./Database.js"
import * as DatabaseFile from "./DatabaseFile.js"
import * as DoctorPostgres from "./DoctorPostgres.js"
import { CommandEnded, exitCodes } from "./Failures.js"
import type { Finding } from "./Findings.js"
import { found, isGone, ofBlocked, ofExecutors, ofPauses, ofPending } from "./Findings.js"
import type * as MigrateCommand from "./MigrateCommand.js"
import * as Output from "./Output.js"

export const ofSchema = (file: string, schema: number): Finding =>
  schema === DatabaseFile.ourSchema
    ? found("schema", "ok", `${schema}, that of this version`)
    : found("schema", "problem", DatabaseFile.describeSchema(file, schema))

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
      ),
      ...ofPauses(yield* Pauses.all(sql))
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
    const database = yield* Database.read(options)
    const findings = yield* database._tag === "File"
      ? DatabaseFile.assertExists(database.file).pipe(
          Effect.zipRight(examine(database.file, options.full)),
          orProblem("file")
        )
      : DoctorPostgres.examine(database)
    const isWell = findings.every(({ verdict }) => verdict !== "problem")
    yield* options.json
      ? Output.json({ database: Database.nameOf(database), ok: isWell, findings })
      : Output.table(
          ["CHECK", "VERDICT", "WHAT"],
          findings.map(({ check, message, verdict }) => [check, verdict, message])
        )
    if (!isWell) return yield* new CommandEnded({ exitCode: exitCodes.error })
  })
