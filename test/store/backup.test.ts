import { existsSync, readdirSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { aRun, begin, register } from "../../src/testing/Acts.js"
import { temporaryFolder } from "./files.js"

const countIn = (filename: string) =>
  Effect.flatMap(RunStore, (store) => store.counts).pipe(
    Effect.provide(SqliteRunStore.layerFile({ filename })),
    Effect.map(({ pending, running }) => pending + running)
  )

describe("a backup", () => {
  it.scopedLive("is whole while the store is written to, and holds up nobody", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const [filename, destination] = [`${folder}/executor.db`, `${folder}/backup.db`]
      writeFileSync(destination, "an older one")
      const before = yield* Effect.gen(function* () {
        const store = yield* RunStore
        const executor = yield* register
        yield* Effect.forEach(Array.from({ length: 2_000 }), (_, n) => begin(executor, `${n}`), {
          concurrency: "unbounded",
          discard: true
        })
        let n = 0
        const writer = yield* Effect.forkScoped(
          Effect.forever(Effect.suspend(() => store.create(aRun(`later ${n++}`))))
        )
        yield* SqliteRunStore.backup({ filename, destination })
        // written to all the while
        expect(n).toBeGreaterThan(5)
        yield* Fiber.interrupt(writer)
        return yield* store.counts
      }).pipe(Effect.scoped, Effect.provide(SqliteRunStore.layerFile({ filename })))
      const copied = yield* countIn(destination)
      expect(copied).toBeGreaterThanOrEqual(2_000)
      expect(copied).toBeLessThanOrEqual(before.pending + before.running)
      expect(readdirSync(folder).filter((name) => name.endsWith(".partial"))).toEqual([])
    })
  )

  it.scopedLive("that fails says why, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const destination = `${folder}/backup.db`
      const missing = yield* Effect.flip(
        SqliteRunStore.backup({ filename: `${folder}/none.db`, destination })
      )
      expect(missing).toMatchObject({ _tag: "RunStoreError", reason: "unavailable" })
      expect(missing.message).toContain("none.db")
      yield* countIn(`${folder}/executor.db`)
      const nowhere = yield* Effect.flip(
        SqliteRunStore.backup({
          filename: `${folder}/executor.db`,
          destination: `${folder}/no folder/backup.db`
        })
      )
      expect(nowhere.reason).toBe("unavailable")
      expect(existsSync(destination)).toBe(false)
      expect(readdirSync(folder)).toEqual(["executor.db"])
    })
  )
})
