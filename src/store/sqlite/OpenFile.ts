/**
 * Whether the file that is open is still the one at its path.
 *
 * SQLite goes on with a file that was removed, moved or replaced: what it writes then is there for as
 * long as this process lives, and nobody will ever open it again. The same of its WAL and of the index
 * of that: where another process takes them away, which it does when this one has lost its locks, each
 * has commits that the other does not see.
 *
 * The files are only looked at. To open one would be to close it again, and with that all the locks
 * go which this process has on it.
 */
import { statSync } from "node:fs"
import * as Effect from "effect/Effect"
import { RunStoreError } from "../RunStore.js"
import type { Database } from "./Database.js"
import * as Failure from "./Failure.js"

export interface OpenFile {
  /** Fails as `gone`, once and for all, when it is not there any more. Costs microseconds. */
  readonly check: Effect.Effect<void, RunStoreError>
  /** What it has failed with. */
  readonly gone: () => RunStoreError | undefined
}

/** A file of the system, whatever its name; `undefined` where there is none of that name. */
type Identity = string | undefined

/** `unknown` where the system does not say, which it may the next time. */
const identify = (path: string): Identity | "unknown" => {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
    return stats === undefined ? undefined : `${stats.dev}/${stats.ino}`
  } catch (error) {
    // a folder on the way has become a file
    const isNotThere = error instanceof Error && "code" in error && error.code === "ENOTDIR"
    return isNotThere ? undefined : "unknown"
  }
}

const selectId = "SELECT id FROM workflow_identity"

/** Which database it is, whatever file it is in; `undefined` where there is none of ours. */
const idOf = (database: Database): Effect.Effect<string | undefined, RunStoreError> =>
  database
    .read((sql) => sql.once<{ readonly id: string }>(selectId))
    .pipe(
      Failure.orRunStoreError("read its identity"),
      Effect.map(([row]) => row?.id)
    )

const advice =
  "what was written since is lost with it. A database, its -wal and its -shm are not to be removed, moved or replaced, nor opened by a step, while an executor uses them"

const noFile: OpenFile = { check: Effect.void, gone: () => undefined }

/** Of a database that has been written to; one in memory is always there. */
export const make = (database: Database): Effect.Effect<OpenFile, RunStoreError> =>
  Effect.gen(function* () {
    const files = yield* database
      .read((sql) =>
        sql.once<{ readonly name: string; readonly file: string | null }>("PRAGMA database_list")
      )
      .pipe(Failure.orRunStoreError("read where its file is"))
    const path = files.find(({ name }) => name === "main")?.file
    if (path === undefined || path === null || path === "") return noFile

    const opened = [path, `${path}-wal`, `${path}-shm`]
      .map((name) => ({ name, identity: identify(name) }))
      .filter(({ identity }) => identity !== undefined && identity !== "unknown")
    const id = yield* idOf(database)
    let gone: RunStoreError | undefined

    const missing = (): string | undefined => {
      for (const { identity, name } of opened) {
        const now = identify(name)
        if (now === identity || now === "unknown") continue
        return now === undefined
          ? `${name} is not there any more`
          : `there is another file in the place of ${name}`
      }
      return undefined
    }

    /** Another was restored into it, in the same file. */
    const overwritten = Effect.match(idOf(database), {
      onSuccess: (now) => (now === id ? undefined : `there is another database in ${path}`),
      onFailure: ({ message, reason }) =>
        reason === "damaged" || message.includes("no such table")
          ? `there is something else in ${path} (${message})`
          : undefined
    })

    const check = Effect.suspend(() => {
      const what = missing()
      return Effect.flatMap(what === undefined ? overwritten : Effect.succeed(what), (what) => {
        if (what === undefined) return Effect.void
        gone = new RunStoreError({ reason: "gone", message: `${what}: ${advice}` })
        return Effect.fail(gone)
      })
    })
    return {
      check: Effect.suspend(() => (gone === undefined ? check : Effect.fail(gone))),
      gone: () => gone
    }
  })

/** A file with more bytes is not read through at each start. */
const largestChecked = 4 * 1024 * 1024

/** Fails as `damaged` where a file that is small enough to be read at once is not whole. */
export const assertWhole = (database: Database): Effect.Effect<void, RunStoreError> =>
  database
    .read((sql) =>
      Effect.gen(function* () {
        const [size] = yield* sql.once<{ readonly bytes: number }>(
          "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size"
        )
        if (size === undefined || size.bytes > largestChecked) return "ok"
        const [first] = yield* sql.once<{ readonly quick_check: string }>("PRAGMA quick_check(1)")
        return first?.quick_check ?? "ok"
      })
    )
    .pipe(
      Failure.orRunStoreError("read it"),
      Effect.flatMap((found) =>
        found === "ok" ? Effect.void : Effect.fail(Failure.damaged(found.replace(/\s*\n\s*/g, " ")))
      )
    )
