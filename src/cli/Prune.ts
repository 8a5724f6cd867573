/**
 * `workflow-executor prune`: removes runs that are over from a database.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { RunStore } from "../store/RunStore.js"
import * as Database from "./Database.js"
import { UsageError } from "./Failures.js"
import type * as MigrateCommand from "./MigrateCommand.js"
import { layerStore } from "./OnFile.js"
import * as Output from "./Output.js"

/** How many runs one transaction looks at: others write in between. */
const batch = 100

export interface Options extends MigrateCommand.Options {
  /** Over for longer than this. */
  readonly olderThan: Option.Option<Duration.Duration>
  /** The newest so many stay. */
  readonly keep: Option.Option<number>
}

export const prune = ({ keep, olderThan, ...options }: Options) =>
  Effect.gen(function* () {
    if (Option.isNone(keep) && Option.isNone(olderThan)) {
      return yield* new UsageError({
        message: "Say what is to be removed, with --older-than or --keep or both"
      })
    }
    const database = yield* Database.read(options)
    const name = Database.nameOf(database)
    const removed = yield* Effect.gen(function* () {
      const store = yield* RunStore
      let removed = 0
      let more = true
      do {
        const part = yield* store.prune({
          olderThanMillis: Option.getOrUndefined(Option.map(olderThan, Duration.toMillis)),
          keep: Option.getOrUndefined(keep),
          limit: batch
        })
        removed += part.removed
        more = part.more
        // executors that wait for the lock come in between: SQLite has no queue, they look for it anew
        // every few milliseconds, and would go on missing it if the next batch began at once
        yield* Effect.sleep("10 millis")
      } while (more)
      return removed
    }).pipe(Effect.provide(layerStore(database)))
    yield* options.json
      ? Output.json({ database: name, removed })
      : Output.line(`${name}: ${removed} run${removed === 1 ? "" : "s"} removed`)
  })
