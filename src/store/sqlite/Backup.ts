import { open, rename, rm } from "node:fs/promises"
import * as Module from "node:module"
import { Worker } from "node:worker_threads"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { RunStoreError } from "../RunStore.js"

/** A bundle that is CommonJS has a name of its own, and no `import.meta`. */
const here = () => (typeof __filename === "string" ? __filename : import.meta.url)

/**
 * What the driver is found from: it is the client's dependency, and not ours. In a bundle the client
 * is part of it, and the driver beside it.
 */
const driver = () => {
  // not by that name: the banner that makes bundles of ES modules work declares it
  const require = Module.createRequire(here())
  try {
    return Module.createRequire(require.resolve("@effect/sql-sqlite-node")).resolve(
      "better-sqlite3"
    )
  } catch {
    return require.resolve("better-sqlite3")
  }
}

/** On a thread of its own: SQLite copies the whole file in one call. */
const copy = `
  const { workerData, parentPort } = require("node:worker_threads")
  const Database = require(workerData.driver)
  const database = new Database(workerData.filename, { fileMustExist: true })
  try {
    database.pragma("busy_timeout = 10000")
    database.prepare("VACUUM INTO ?").run(workerData.destination)
  } finally {
    database.close()
  }
  parentPort.postMessage("done")`

class CopyFailed extends Data.TaggedError("CopyFailed")<{ readonly cause: unknown }> {}

const inWorker = (filename: string, destination: string) =>
  Effect.async<void, CopyFailed>((resume) => {
    const workerData = { driver: driver(), filename, destination }
    const worker = new Worker(copy, { eval: true, workerData, execArgv: [] })
    worker.once("message", () => resume(Effect.void))
    const failed = (cause: unknown) => resume(Effect.fail(new CopyFailed({ cause })))
    worker.once("error", failed)
    worker.once("exit", () => failed("the copying thread ended"))
    return Effect.promise(() => worker.terminate())
  })

/** SQLite does not sync what it makes. */
const sync = async (file: string) => {
  const handle = await open(file, "r+")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

let backups = 0

/** The copy has its name once it is whole and on disk; there is never half a backup of that name. */
export const backup = ({
  destination,
  filename
}: {
  readonly filename: string
  readonly destination: string
}): Effect.Effect<void, RunStoreError> => {
  const partial = `${destination}.${process.pid}-${backups++}.partial`
  const attempt = (body: () => Promise<void>) =>
    Effect.tryPromise({ try: body, catch: (cause) => new CopyFailed({ cause }) })
  return inWorker(filename, partial).pipe(
    Effect.zipRight(attempt(() => sync(partial))),
    Effect.zipRight(attempt(() => rename(partial, destination))),
    Effect.onError(() => Effect.ignore(attempt(() => rm(partial, { force: true })))),
    Effect.mapError(
      ({ cause }) =>
        new RunStoreError({
          reason:
            Predicate.hasProperty(cause, "code") && cause.code === "SQLITE_FULL"
              ? "full"
              : "unavailable",
          message: `${filename}: The run store could not be copied to ${destination}: ${
            cause instanceof Error ? cause.message : String(cause)
          }`,
          cause
        })
    )
  )
}
