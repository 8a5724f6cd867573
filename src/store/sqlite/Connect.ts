import { mkdir } from "node:fs/promises"
import { dirname } from "node:path"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import { retryWhileBusy } from "../Busy.js"
import { RunStoreError } from "../RunStore.js"
import type { Database } from "./Database.js"
import * as Databases from "./Database.js"
import * as Failure from "./Failure.js"
import type { Sql } from "./Sql.js"

/** A client of its own for a file, in WAL mode. Makes the file and its folder. */
export const layerFile = (filename: string): Layer.Layer<SqlClient.SqlClient, RunStoreError> =>
  Layer.scoped(
    SqlClient.SqlClient,
    Effect.gen(function* () {
      if (isPath(filename)) yield* makeFolder(dirname(filename))
      // Left to itself it switches to WAL waiting for locks with the event loop stopped.
      const client = yield* SqliteClient.make({ filename, disableWAL: true })
      const database = yield* Databases.make(client)
      yield* retryWhileBusy(enableWal(database), {
        isBusy: (error) => error.reason === "busy",
        hurry: Effect.never
      })
      return client
    }).pipe(Failure.orRunStoreError("open it"))
  ).pipe(Layer.provide(Reactivity.layer))

/** Neither in memory nor a URI. */
const isPath = (filename: string) =>
  filename !== "" && filename !== ":memory:" && !filename.startsWith("file:")

/**
 * One folder after the other. Node's recursive `mkdir` does not come back from where nothing can be
 * made, such as /proc: it takes the missing folder for a missing parent, for ever.
 */
const makeFolder = (folder: string): Effect.Effect<void, FolderNotMade> =>
  makeOne(folder).pipe(
    Effect.catchIf(
      ({ code }) => code === "ENOENT" && dirname(folder) !== folder,
      () => Effect.zipRight(makeFolder(dirname(folder)), makeOne(folder))
    )
  )

const makeOne = (folder: string): Effect.Effect<void, FolderNotMade> =>
  Effect.tryPromise({
    try: () => mkdir(folder),
    catch: (cause) => new FolderNotMade({ cause, code: codeOf(cause), message: messageOf(cause) })
  }).pipe(
    Effect.catchIf(
      ({ code }) => code === "EEXIST",
      () => Effect.void
    )
  )

class FolderNotMade extends Data.TaggedError("FolderNotMade")<{
  readonly cause: unknown
  readonly code: unknown
  readonly message: string
}> {}

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

const codeOf = (cause: unknown) => (Predicate.hasProperty(cause, "code") ? cause.code : undefined)

/** Bytes to which the WAL's file is cut back; without a limit it stays as large as it ever was. */
const largestWal = 64 * 1024 * 1024

const enableWal = (database: Database) =>
  database
    .reserved((sql) =>
      setBusyTimeout(sql).pipe(
        Effect.zipRight(sql.once("PRAGMA journal_mode = WAL")),
        Effect.zipRight(sql.once(`PRAGMA journal_size_limit = ${largestWal}`)),
        // a statement over many rows keeps what it would take back; in memory, not in a file
        Effect.zipRight(sql.once("PRAGMA temp_store = MEMORY"))
      )
    )
    .pipe(Failure.orRunStoreError("open it"))

/**
 * How long SQLite itself waits for a lock. It waits with the event loop stopped, so this only
 * spans another process's usual commit; everything longer waits with the loop free.
 */
const busyTimeoutMillis = 20

const setBusyTimeout = (sql: Sql) => sql.once(`PRAGMA busy_timeout = ${busyTimeoutMillis}`)

const syncsEveryCommit = 2

/**
 * An acknowledged write survives power loss. The default of better-sqlite3 in WAL mode is NORMAL,
 * which loses the last commits.
 */
export const configure = (database: Database): Effect.Effect<void, RunStoreError> =>
  database
    .reserved((sql) =>
      Effect.gen(function* () {
        yield* setBusyTimeout(sql)
        yield* sql.once("PRAGMA synchronous = FULL")
        const [row] = yield* sql.once<{ readonly synchronous: number }>("PRAGMA synchronous")
        if (row?.synchronous !== syncsEveryCommit) return yield* notDurable
      })
    )
    .pipe(Failure.orRunStoreError("set up its connection"))

const notDurable = new RunStoreError({
  reason: "unavailable",
  message: "The run store needs PRAGMA synchronous = FULL, and the connection did not accept it"
})
