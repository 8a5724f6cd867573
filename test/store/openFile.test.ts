/** A file that is removed, moved or replaced while a store has it open. */
import { copyFile, mkdir, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { aRun, register } from "../../src/testing/Acts.js"
import { client } from "./clients.js"
import { temporaryFolder } from "./files.js"

const lease = { leaseMillis: 10_000, state: "running" } as const

/** What happens to the file, in the folder `data` of a folder. */
const disturbances: Readonly<Record<string, (folder: string, file: string) => Promise<unknown>>> = {
  "is removed": (folder) => rm(join(folder, "data"), { recursive: true }),
  "is moved with its folder": (folder) => rename(join(folder, "data"), join(folder, "elsewhere")),
  "is replaced by a copy": async (folder, file) => {
    await copyFile(file, join(folder, "copy.db"))
    await rename(join(folder, "copy.db"), file)
  },
  "has another put in its place, in a new folder": async (folder, file) => {
    await rename(join(folder, "data"), join(folder, "elsewhere"))
    await mkdir(join(folder, "data"))
    await writeFile(file, "")
  },
  "is under what has become a file": async (folder) => {
    await rename(join(folder, "data"), join(folder, "elsewhere"))
    await writeFile(join(folder, "data"), "")
  },
  "loses its WAL": (_, file) => rm(`${file}-wal`),
  "has another WAL": async (_, file) => {
    await copyFile(`${file}-wal`, `${file}-new`)
    await rename(`${file}-new`, `${file}-wal`)
  },
  "loses the index of its WAL": (_, file) => rm(`${file}-shm`)
}

describe("the file of a store", () => {
  for (const [what, disturb] of Object.entries(disturbances)) {
    it.scoped.skipIf(process.platform === "win32")(
      `that ${what} is gone at the next renewal, and everything fails from then on`,
      () =>
        Effect.gen(function* () {
          const folder = yield* temporaryFolder
          const file = join(folder, "data", "executor.db")
          yield* Effect.gen(function* () {
            const store = yield* RunStore
            const executor = yield* register
            yield* store.create(aRun("before"))
            expect(yield* store.renew(executor, lease)).toBe(true)
            yield* Effect.promise(() => disturb(folder, file))
            const error = yield* Effect.flip(store.renew(executor, lease))
            expect(error).toMatchObject({ _tag: "RunStoreError", reason: "gone" })
            expect(error.message).toContain(file)
            for (const operation of [
              store.create(aRun("after")),
              store.signal({ runId: "before", name: "s", exit: "1" }),
              store.claim({ executor, workflows: ["Order"], limit: 1 }),
              store.find("before"),
              store.list({ limit: 1 }),
              store.renew(executor, lease)
            ] as ReadonlyArray<Effect.Effect<unknown, { readonly reason: string }>>) {
              expect((yield* Effect.flip(operation)).reason).toBe("gone")
            }
          }).pipe(Effect.provide(SqliteRunStore.layerFile({ filename: file })))
        })
    )
  }

  it.scoped("into which another database is restored is gone as well", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const [file, other] = [join(folder, "executor.db"), join(folder, "other.db")]
      const used = Effect.asVoid(Effect.flatMap(RunStore, (store) => store.create(aRun("a"))))
      yield* Effect.provide(used, SqliteRunStore.layerFile({ filename: other }))
      yield* Effect.provide(used, SqliteRunStore.layerFile({ filename: file }))
      yield* Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        // as the `.restore` of sqlite3 does
        yield* Effect.promise(() => new Sqlite(other).backup(file))
        expect((yield* Effect.flip(store.renew(executor, lease))).reason).toBe("gone")
      }).pipe(Effect.provide(SqliteRunStore.layerFile({ filename: file })))
    })
  )

  it.scoped("of the app's own client is looked at in the same way", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "app.db")
      yield* Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        expect(yield* store.renew(executor, lease)).toBe(true)
        yield* Effect.promise(() => rm(file))
        expect((yield* Effect.flip(store.renew(executor, lease))).reason).toBe("gone")
      }).pipe(Effect.provide(SqliteRunStore.layer), Effect.provide(client(file)))
    })
  )

  it.scoped("that nobody touches stays, whatever others do with it", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const filename = join(folder, "executor.db")
      yield* Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        const used = Effect.asVoid(Effect.flatMap(RunStore, (store) => store.create(aRun("a"))))
        for (let n = 0; n < 3; n++) {
          yield* Effect.provide(used, SqliteRunStore.layerFile({ filename }))
          yield* SqliteRunStore.backup({ filename, destination: join(folder, "backup.db") })
          expect(yield* store.renew(executor, lease)).toBe(true)
        }
      }).pipe(Effect.provide(SqliteRunStore.layerFile({ filename })))
    })
  )
})
